//! The configuration's file, as the API reads and writes it.
//!
//! In: a path. Out: its text and a name for just that content; another text in its place, whole or
//! not at all.

use std::io::Write as _;
use std::path::Path;

use relay_config::Format;
use relay_core::secret::SecretDigest;
use tonic::{Code, Status};

use crate::orders::Refused;
use crate::refusal::refuse;

/// Reads the file, and names its content.
pub(crate) fn read(path: &Path) -> Result<(String, String), Status> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            return Refused::NoFile.status();
        }
        let message = format!("cannot read {}: {error}", path.display());
        refuse(
            Code::FailedPrecondition,
            "FILE_UNREADABLE",
            message,
            "check the file's rights",
        )
    })?;
    let revision = revision(&text);
    Ok((text, revision))
}

/// Names a content.
pub fn revision(text: &str) -> String {
    SecretDigest::of(text.as_bytes()).id().to_string()
}

pub(crate) fn format(path: &Path) -> Result<Format, Status> {
    Format::of(path).ok_or_else(|| {
        let message = format!("{} is neither YAML nor TOML", path.display());
        refuse(
            Code::FailedPrecondition,
            "FORMAT_UNKNOWN",
            message,
            "name the file .yaml or .toml",
        )
    })
}

/// Puts another text in place of a file's, with the same rights; a link's target is replaced, not
/// the link. Whoever reads sees the one text or the other.
///
/// # Errors
/// Those of the file system; the file is then as it was.
pub fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let target = std::fs::canonicalize(path)?;
    let rights = std::fs::metadata(&target)?.permissions();
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = target.with_file_name(name);
    let written = (|| {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&beside)?;
        file.set_permissions(rights)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, &target)
    })();
    if written.is_err() {
        drop(std::fs::remove_file(&beside));
    }
    written
}
