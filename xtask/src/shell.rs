//! Starts programs and keeps what they print.
//!
//! In: a command. Out: its output in a file under `target/xtask/`, and an
//! error that names the command if it failed. It must never read standard
//! input and never leave a program running.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Returns the repository's folder.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Returns a path below the build folder.
pub(crate) fn target(below: &str) -> PathBuf {
    let folder =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    folder.join(below)
}

/// Returns the cargo that started this program.
pub(crate) fn cargo(words: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(words);
    // Set by `cargo run` for this program alone; a build script must not see them.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        command.env_remove(name);
    }
    command
}

/// Where one step's programs print to.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
}

impl Log {
    /// Creates an empty log for the step.
    pub(crate) fn named(step: &str) -> Result<Self> {
        let path = Self::path(step);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path })
    }

    /// Returns where the log of a step lies.
    pub(crate) fn path(step: &str) -> PathBuf {
        let name: String = step
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        target("xtask").join(format!("{name}.log"))
    }

    /// Runs the command to its end and returns all that the log now holds.
    ///
    /// # Errors
    /// The program could not be started, or did not exit with 0.
    pub(crate) fn run(&self, command: &mut Command) -> Result<String> {
        let open = || {
            File::options()
                .append(true)
                .open(&self.path)
                .with_context(|| format!("cannot write {}", self.path.display()))
        };
        let name = format!("{command:?}");
        let status = command
            .stdin(Stdio::null())
            .stdout(open()?)
            .stderr(open()?)
            .status()
            .with_context(|| format!("cannot start {name}"))?;
        if !status.success() {
            bail!("{name} failed: {status}");
        }
        self.text()
    }

    /// Returns all that was printed so far.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn text(&self) -> Result<String> {
        fs::read_to_string(&self.path)
            .with_context(|| format!("cannot read {}", self.path.display()))
    }

    /// Adds a line of our own.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn note(&self, line: &str) -> Result<()> {
        let mut file = File::options().append(true).open(&self.path)?;
        writeln!(file, "{line}").with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Runs a command quietly and returns its standard output.
///
/// # Errors
/// The program could not be started, or did not exit with 0; its own words are in the error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = format!("{command:?}");
    let done = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {name}"))?;
    if !done.status.success() {
        bail!(
            "{name} failed: {}\n{}",
            done.status,
            String::from_utf8_lossy(&done.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
