//! The rules that no compiler checks.
//!
//! In: the repository's files as git lists them, and `cargo metadata`. Out:
//! every fault at once, each with its place and what to do. The rules are
//! tables in `layers.rs`, `text.rs` and `links.rs`; this file only gathers.
//! It must never change a file.

mod layers;
mod links;
mod sizes;
mod text;

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::count::Counts;
use crate::shell::{self, Log};

pub(crate) use sizes::lines_without_tests;

/// A file of the repository: its path from the root, and its text.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Path with forward slashes, from the root.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
}

impl Source {
    /// Returns the end of the name after the last dot.
    fn kind(&self) -> &str {
        kind(&self.path)
    }
}

/// Returns the end of a file's name after the last dot.
fn kind(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(_, kind)| kind)
}

/// Files that must be in the repository.
const COMMITTED: &[&str] = &[
    "Cargo.lock",
    "e2e/package-lock.json",
    "e2e/dashboard/package-lock.json",
    "e2e/requirements.txt",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
];

/// Checks every rule.
///
/// # Errors
/// All the faults, one a line.
pub(crate) fn check(log: &Log) -> Result<Counts> {
    let names = listed()?;
    let sources: Vec<Source> = names.iter().filter_map(|name| read(name)).collect();
    let mut faults = missing(&names);
    faults.extend(layers::check(&layers::metadata()?));
    for source in &sources {
        faults.extend(sizes::check(source));
        faults.extend(text::check(source));
        faults.extend(links::check(source, &names, &sources));
    }
    log.note(&format!("{} files checked", sources.len()))?;
    if faults.is_empty() {
        return Ok(Counts::default());
    }
    for fault in &faults {
        log.note(fault)?;
    }
    bail!("{} faults", faults.len());
}

/// Lists what is or would be committed, without what is ignored.
fn listed() -> Result<Vec<String>> {
    let words = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let text = shell::output(Command::new("git").current_dir(shell::root()).args(words))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Reads a text file; a binary one, and one deleted but not yet committed so, have no rules.
fn read(name: &str) -> Option<Source> {
    let text = std::fs::read_to_string(shell::root().join(Path::new(name))).ok()?;
    Some(Source {
        path: name.to_owned(),
        text,
    })
}

fn missing(names: &[String]) -> Vec<String> {
    let absent = |wanted: &&&str| !names.iter().any(|name| name == **wanted);
    COMMITTED
        .iter()
        .filter(absent)
        .map(|name| format!("{name}: must be committed"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{COMMITTED, missing};

    #[test]
    fn an_uncommitted_lock_file_is_a_fault() {
        let mut names: Vec<String> = COMMITTED.iter().map(|&name| name.to_owned()).collect();
        assert!(missing(&names).is_empty());
        names.retain(|name| name != "Cargo.lock");
        assert_eq!(missing(&names), ["Cargo.lock: must be committed"]);
    }
}
