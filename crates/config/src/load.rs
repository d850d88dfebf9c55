//! From a path or a text to a [`Plan`].
//!
//! In: a file (at most 1 MiB), its format by extension, an environment. Out: a plan with its
//! source and digest, or every fault. It must never read more than the limit nor follow a file
//! into another.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use relay_core::secret::SecretDigest;

use serde::Deserialize as _;

use crate::check;
use crate::fault::{Fault, Faults};
use crate::keychain::Refused;
use crate::mask::{self, Masks};
use crate::plan::{Plan, ServerPlan, Warning};
use crate::raw::Raw;
use crate::schema::Schema;
use crate::source::{Source, Words};
use crate::tree;
use crate::walk::Walk;

/// The largest file that is read.
const MAX_FILE_BYTES: usize = 1 << 20;

/// The largest file that `${file:...}` may name.
const MAX_SECRET_BYTES: u64 = 64 << 10;

/// Where `${VAR}` is looked up.
pub trait Env {
    /// Returns the value of a variable, or `None` if it is not set.
    fn var(&self, name: &str) -> Option<String>;

    /// Returns what a file holds that `${file:...}` names.
    ///
    /// # Errors
    /// If it cannot be read, is longer than 64 KiB, or is no text.
    fn file(&self, path: &Path) -> std::io::Result<String> {
        use std::io::Read as _;
        let file = std::fs::File::open(path)?;
        let mut text = String::new();
        let read = file
            .take(MAX_SECRET_BYTES.saturating_add(1))
            .read_to_string(&mut text)?;
        if u64::try_from(read).is_ok_and(|read| read > MAX_SECRET_BYTES) {
            return Err(std::io::Error::other("it is longer than 64 KiB"));
        }
        Ok(text)
    }

    /// Returns an entry of the operating system's keychain that `${keychain:...}` names.
    ///
    /// # Errors
    /// If there is no keychain, no such entry, or nobody unlocks it. Without an implementation
    /// there is no keychain.
    fn keychain(&self, _service: &str, _account: &str) -> Result<String, Refused> {
        Err(Refused::Unknown)
    }
}

/// The environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl<S: std::hash::BuildHasher> Env for HashMap<String, String, S> {
    fn var(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}

/// The language a configuration is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2.
    Yaml,
    /// TOML 1.0.
    Toml,
}

impl Format {
    /// Returns the format that an extension stands for (`yaml`, `yml`, `toml`, in any case).
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "yaml" | "yml" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            _ => None,
        }
    }
}

/// Returns the first six hex digits of the SHA-256 of a configuration's text.
pub(crate) fn digest(text: &str) -> String {
    let id = SecretDigest::of(text.as_bytes()).id();
    id.as_str().chars().take(6).collect()
}

/// Reads and checks a file.
///
/// # Errors
/// Every fault found, sorted by position; one that names the file if it cannot be read.
pub fn load(path: &Path, env: &dyn Env) -> Result<Plan, Faults> {
    let name = path.display().to_string();
    let Some(format) = Format::of(path) else {
        return Err(file_fault(
            "config::unknown_format",
            &name,
            "the extension says neither YAML nor TOML".to_owned(),
            "name the file .yaml, .yml or .toml",
        ));
    };
    let text = read(path, &name)?;
    let mut plan = parse(&name, &text, format, env)?;
    plan.source = Some(path.to_owned());
    plan.warnings.extend(exposed(path));
    Ok(plan)
}

/// Checks a text. `name` is what faults call it.
///
/// # Errors
/// Every fault found, sorted by position.
pub fn parse(name: &str, text: &str, format: Format, env: &dyn Env) -> Result<Plan, Faults> {
    let (plan, faults) = parse_all(name, text, format, env)?;
    Faults::new(faults).map_or(Ok(plan), Err)
}

/// Returns where a file has its relay listen, as far as it can be read in spite of its faults: a
/// relay that runs with what stood there before can be asked there.
pub fn server(path: &Path, env: &dyn Env) -> Option<ServerPlan> {
    let name = path.display().to_string();
    let text = read(path, &name).ok()?;
    let (plan, _) = parse_all(&name, &text, Format::of(path)?, env).ok()?;
    Some(plan.server)
}

/// Reads a text as far as it can be read: a plan without what is at fault, and the faults.
fn parse_all(
    name: &str,
    text: &str,
    format: Format,
    env: &dyn Env,
) -> Result<(Plan, Vec<Fault>), Faults> {
    let schema = Schema::new();
    if text.len() > MAX_FILE_BYTES {
        let message = "the file is larger than 1 MiB".to_owned();
        return Err(file_fault(
            "config::too_large",
            name,
            message,
            "a configuration is smaller",
        ));
    }
    let tree = match tree::read(text, format) {
        Ok(tree) => tree,
        Err(syntax) => {
            let source = Source::blind(name, text, &schema.known);
            let words = Words {
                code: syntax.code,
                message: mask::message(&syntax.message, &schema.known),
                help: syntax.help,
                ..Words::default()
            };
            let span = syntax.at..syntax.at.saturating_add(1);
            return Err(Faults::one(source.fault(&span, words)));
        }
    };
    let masks = Masks::of(&tree, schema.showable());
    let source = Source::masked(name, text, masks);
    let mut walk = Walk::new(&source, &schema, env);
    let value = walk.root(&tree);
    // The walk has left out whatever does not fit, so this fails only if it has a bug.
    let Ok(raw) = Raw::deserialize(value) else {
        let message = "this configuration cannot be read".to_owned();
        let help = "this is a bug of cc-relay; please report the file without its keys";
        return Err(file_fault("config::internal", name, message, help));
    };
    let mut plan = check::check(raw, &mut walk);
    plan.digest = digest(text);
    plan.secret_files = std::mem::take(&mut walk.files);
    Ok((plan, walk.faults))
}

/// Returns where the file is looked for: `config.yaml` in `$XDG_CONFIG_HOME/cc-relay` or
/// `~/.config/cc-relay`; `config.toml` if that is there and the YAML is not.
pub fn default_path(env: &dyn Env) -> PathBuf {
    let set = |name: &str| env.var(name).filter(|value| !value.is_empty());
    let base = match (set("XDG_CONFIG_HOME").map(PathBuf::from), set("HOME")) {
        // The XDG specification says to ignore a relative path.
        (Some(path), _) if path.is_absolute() => path,
        (_, Some(home)) => PathBuf::from(home).join(".config"),
        (_, None) => PathBuf::from(".config"),
    };
    let folder = base.join("cc-relay");
    let (yaml, toml) = (folder.join("config.yaml"), folder.join("config.toml"));
    if toml.is_file() && !yaml.is_file() {
        toml
    } else {
        yaml
    }
}

fn read(path: &Path, name: &str) -> Result<String, Faults> {
    use std::io::Read as _;
    let unreadable = |error: std::io::Error| {
        let help = if error.kind() == std::io::ErrorKind::NotFound {
            "check the path, or write one: cc-relay config init"
        } else {
            "check the path and the rights of the file"
        };
        file_fault(
            "config::unreadable",
            name,
            format!("cannot read the file: {error}"),
            help,
        )
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // One byte more than is allowed tells that there is more.
    let limit = u64::try_from(MAX_FILE_BYTES)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| {
        let help = "save it as UTF-8";
        file_fault(
            "config::not_utf8",
            name,
            "the file is not UTF-8 text".to_owned(),
            help,
        )
    })
}

/// Returns a warning if others than the owner may read the file.
#[cfg(unix)]
fn exposed(path: &Path) -> Option<Warning> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let message = format!("{} is readable by others ({mode:04o})", path.display());
    (mode & 0o044 != 0).then(|| Warning {
        message,
        fix: format!("chmod 600 {}", path.display()),
    })
}

#[cfg(not(unix))]
fn exposed(_path: &Path) -> Option<Warning> {
    None
}

fn file_fault(code: &'static str, file: &str, message: String, help: &str) -> Faults {
    Faults::one(Fault {
        code,
        message,
        file: file.to_owned(),
        line: 0,
        column: 0,
        path: String::new(),
        snippet: Vec::new(),
        label: String::new(),
        help: help.to_owned(),
    })
}
