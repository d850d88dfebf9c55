//! What cc-relay wrote into settings files, remembered in its own file.
//!
//! In: the state folder. Out: per settings file, which values are ours, what stood there before, and
//! how to take the change back exactly. Our own values are kept as digests only; a previous value is
//! kept whole, because it must be put back, so the file has mode 0600.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings::edit::Splice;
use crate::settings::write;

/// The version of the state file's form.
const SCHEMA: u32 = 1;

/// Everything remembered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    schema: u32,
    /// By the absolute path of the settings file.
    files: BTreeMap<String, Entry>,
}

/// What was written to one settings file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Whether cc-relay made the file.
    pub created: bool,
    /// Whether cc-relay made the `env` object.
    pub env_created: bool,
    /// Our variables.
    pub variables: BTreeMap<String, Written>,
    /// Digest of the text that was written.
    pub text_digest: String,
    /// The changes from the first text to that one; empty when somebody wrote in between.
    pub splices: Vec<Splice>,
}

/// One variable of ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// Digest of the value that was written.
    pub digest: String,
    /// The value that it replaced.
    pub previous: Option<Value>,
}

impl Entry {
    /// Tells whether this is the value that was written under this name.
    pub fn is_ours(&self, name: &str, value: &Value) -> bool {
        self.variables
            .get(name)
            .is_some_and(|written| written.digest == digest(&value.to_string()))
    }

    /// Returns the first text if `text` is still the one that was written.
    pub fn undo(&self, text: &str) -> Option<String> {
        if self.text_digest != digest(text) || self.splices.is_empty() {
            return None;
        }
        let mut before = text.to_owned();
        for splice in self.splices.iter().rev() {
            before = splice.undo(&before)?;
        }
        Some(before)
    }
}

impl State {
    /// Reads the state; an absent file is an empty state.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn load(env: &Environment) -> Result<Self, Failure> {
        let path = path(env);
        let fault = |reason: String| {
            Failure::new(
                Exit::Failed,
                "state",
                format!("cannot read what was written before: {reason}"),
            )
            .file(env.show_path(&path))
            .help("move that file away; then `remove` can restore nothing")
        };
        let text = write::read(&path).map_err(|error| fault(error.to_string()))?;
        let Some(text) = text else {
            return Ok(Self {
                schema: SCHEMA,
                files: BTreeMap::new(),
            });
        };
        let state: Self = serde_json::from_str(&text)
            .map_err(|error| fault(format!("line {}, column {}", error.line(), error.column())))?;
        if state.schema != SCHEMA {
            return Err(fault(format!("schema {} is not known here", state.schema)));
        }
        Ok(state)
    }

    /// Returns what was written to a settings file.
    pub fn get(&self, file: &Path) -> Option<&Entry> {
        self.files.get(file.to_string_lossy().as_ref())
    }

    /// Remembers what was written to a settings file, or forgets it.
    pub fn put(&mut self, file: &Path, entry: Option<Entry>) {
        let key = file.to_string_lossy().into_owned();
        match entry {
            Some(entry) => drop(self.files.insert(key, entry)),
            None => drop(self.files.remove(&key)),
        }
    }

    /// Writes the state; an empty one leaves no file.
    ///
    /// # Errors
    /// Exit 73 when it cannot be written.
    pub fn save(&self, env: &Environment) -> Result<(), Failure> {
        let path = path(env);
        let result = if self.files.is_empty() {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            }
        } else {
            let text = serde_json::to_string_pretty(self).map_err(std::io::Error::other);
            text.and_then(|text| write::replace(&path, &format!("{text}\n")))
        };
        result.map_err(|error| {
            let message = format!("cannot remember what was written: {error}");
            Failure::new(Exit::CannotWrite, "cannot_write", message)
                .file(env.show_path(&path))
                .help("make that folder writable, or set XDG_STATE_HOME")
        })
    }
}

fn path(env: &Environment) -> PathBuf {
    env.state_dir().join("cc-settings.json")
}

/// Returns the SHA-256 of a text in hex.
pub fn digest(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        for nibble in [byte >> 4, byte & 15] {
            hex.extend(char::from_digit(u32::from(nibble), 16));
        }
    }
    hex
}
