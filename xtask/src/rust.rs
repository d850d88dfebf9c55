//! The steps that cargo and its plugins do.
//!
//! In: a log. Out: test counts, or nothing for a check. It must never pass
//! `--offline`-like switches that hide a stale lock file: all run `--locked`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::count::Counts;
use crate::shell::{self, Log};

/// Version of the dependency checker; `.ci/run` installs it.
const DENY_VERSION: &str = "0.20.2";

/// Runs the tests of every crate.
///
/// # Errors
/// A test failed, or none ran.
pub(crate) fn test(log: &Log) -> Result<Counts> {
    counted(
        log,
        &mut shell::cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]),
    )
}

/// Chaos for a while: the same test that `test` runs for seconds.
#[derive(Debug)]
pub(crate) struct Soak {
    seconds: String,
    seed: Option<String>,
}

impl Default for Soak {
    fn default() -> Self {
        Self {
            seconds: "600".to_owned(),
            seed: None,
        }
    }
}

impl Soak {
    /// Reads `--seconds N` and `--seed N`.
    pub(crate) fn of(options: &[&str]) -> Result<Self> {
        let mut soak = Self::default();
        for pair in options.chunks(2) {
            match pair {
                ["--seconds", number] if number.parse::<u64>().is_ok() => {
                    (*number).clone_into(&mut soak.seconds);
                }
                ["--seed", number] if number.parse::<u64>().is_ok() => {
                    soak.seed = Some((*number).to_owned());
                }
                _ => bail!("soak {}: --seconds N or --seed N", pair.join(" ")),
            }
        }
        Ok(soak)
    }

    /// Runs it.
    pub(crate) fn run(&self, log: &Log) -> Result<Counts> {
        let words = [
            "test",
            "--locked",
            "-p",
            "cc-relay",
            "--test",
            "it",
            "soak",
            "--",
            "--nocapture",
        ];
        let mut command = shell::cargo(&words);
        command.env("CC_RELAY_SOAK_SECONDS", &self.seconds);
        if let Some(seed) = &self.seed {
            command.env("CC_RELAY_SOAK_SEED", seed);
        }
        counted(log, &mut command)
    }
}

/// Runs a test command and counts; a failed test is in the counts, not an error.
pub(crate) fn counted(log: &Log, command: &mut Command) -> Result<Counts> {
    let result = log.run(command);
    let text = log.text()?;
    let counts = Counts::read(&text);
    if let Err(fault) = result
        && counts.failed == 0
    {
        return Err(fault);
    }
    if counts.total() == 0 {
        bail!("no test ran");
    }
    Ok(counts)
}

/// Builds the relay and the simulator, as the end-to-end tests start them.
///
/// # Errors
/// They do not compile.
pub(crate) fn build_binaries(log: &Log) -> Result<Counts> {
    log.run(&mut shell::cargo(&[
        "build",
        "--locked",
        "--package",
        "cc-relay",
        "--package",
        "relay-sim",
        "--bins",
    ]))?;
    Ok(Counts::default())
}

/// Checks the formatting.
///
/// # Errors
/// A file is not formatted.
pub(crate) fn fmt(log: &Log) -> Result<Counts> {
    log.run(&mut shell::cargo(&["fmt", "--all", "--check"]))?;
    Ok(Counts::default())
}

/// Runs the lints over every target.
///
/// # Errors
/// There is a warning.
pub(crate) fn clippy(log: &Log) -> Result<Counts> {
    let words = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--keep-going",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    log.run(&mut shell::cargo(&words))?;
    Ok(Counts::default())
}

/// Builds the documentation.
///
/// # Errors
/// There is a warning.
pub(crate) fn doc(log: &Log) -> Result<Counts> {
    let mut command = shell::cargo(&[
        "doc",
        "--workspace",
        "--no-deps",
        "--locked",
        "--document-private-items",
    ]);
    log.run(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Counts::default())
}

/// Checks bans, licences and sources of the dependencies.
///
/// # Errors
/// The checker is missing, or a rule of `deny.toml` is broken.
pub(crate) fn deny(log: &Log) -> Result<Counts> {
    let Some(program) = deny_program() else {
        bail!(
            "cargo-deny {DENY_VERSION} is missing: bash .ci/run installs it, or \
             cargo install --locked cargo-deny@{DENY_VERSION} --no-default-features"
        );
    };
    let mut command = Command::new(program);
    // No advisories: their database would have to be fetched at each run.
    log.run(command.args([
        "--locked",
        "--workspace",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))?;
    Ok(Counts::default())
}

/// Returns the checker of the wanted version: ours under `target/tools`, or the one on the PATH.
fn deny_program() -> Option<PathBuf> {
    let places = [
        shell::target("tools/bin/cargo-deny"),
        PathBuf::from("cargo-deny"),
    ];
    places.into_iter().find(|place| {
        shell::output(Command::new(place).arg("--version"))
            .is_ok_and(|text| text.trim().ends_with(DENY_VERSION))
    })
}
