//! Repository tasks, run as `cargo xtask NAME`.
//!
//! In: the name of a task and its options. Out: one line a step, a summary,
//! and an exit code that is 0 only if every step passed. It must never skip a
//! step because something is missing, and never depend on a crate of ours:
//! it judges them.

mod clock;
mod count;
mod coverage;
mod e2e;
mod rust;
mod shell;
mod steps;
mod tidy;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::e2e::Suite;
use crate::steps::Steps;

const USAGE: &str = "\
Repository tasks of cc-relay.

Usage: cargo xtask TASK

  test [--only rust|python|typescript|claude|dashboard]
             every test: the crates, then the official Python and TypeScript
             SDKs and the real Claude Code through the relay, and Grafana's
             dashboard
  soak [--seconds N] [--seed N]
             chaos from a seed through real sockets; ten minutes if not said
  tidy       the rules that no compiler checks: layers, sizes, links
  coverage [--only rust]
             one instrumented run of the tests, lines covered for each crate
  ci         fmt, tidy, clippy, doc, deny, test, soak, coverage
";

fn main() -> ExitCode {
    if let Some(code) = coverage::as_compiler() {
        return code;
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            steps::complain(&format!("error: {fault:#}"));
            ExitCode::from(2)
        }
    }
}

/// Runs one task; `false` means that a step failed and was already reported.
fn run(words: &[String]) -> Result<bool> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    std::env::set_current_dir(shell::root()).context("cannot enter the repository's folder")?;
    match words.as_slice() {
        ["test"] => Ok(test(&Part::ALL)),
        ["test", "--only", part] => Ok(test(&[Part::named(part)?])),
        ["soak", options @ ..] => {
            let soak = rust::Soak::of(options)?;
            let mut steps = Steps::new();
            steps.run("soak", |log| soak.run(log));
            Ok(steps.finish())
        }
        ["tidy"] => {
            let mut steps = Steps::new();
            steps.run("tidy", tidy::check);
            Ok(steps.finish())
        }
        ["coverage"] => Ok(coverage(&Part::ALL)),
        ["coverage", "--only", part] => Ok(coverage(&[Part::named(part)?])),
        ["ci"] => Ok(ci()),
        [] | ["help" | "-h" | "--help"] => {
            write!(std::io::stdout(), "{USAGE}").context("cannot print")?;
            Ok(true)
        }
        _ => bail!("no such task: {}\n\n{USAGE}", words.join(" ")),
    }
}

/// A part of the tests that can be run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// `cargo test --workspace`.
    Rust,
    /// A real client through the built binaries.
    Client(Suite),
}

impl Part {
    const ALL: [Self; 5] = [
        Self::Rust,
        Self::Client(Suite::Python),
        Self::Client(Suite::TypeScript),
        Self::Client(Suite::Claude),
        Self::Client(Suite::Dashboard),
    ];

    fn named(name: &str) -> Result<Self> {
        match name {
            "rust" => Ok(Self::Rust),
            "python" => Ok(Self::Client(Suite::Python)),
            "typescript" => Ok(Self::Client(Suite::TypeScript)),
            "claude" => Ok(Self::Client(Suite::Claude)),
            "dashboard" => Ok(Self::Client(Suite::Dashboard)),
            _ => bail!("--only {name}: one of rust, python, typescript, claude, dashboard"),
        }
    }
}

fn test(parts: &[Part]) -> bool {
    let mut steps = Steps::new();
    test_steps(&mut steps, parts);
    steps.finish()
}

fn test_steps(steps: &mut Steps, parts: &[Part]) {
    if parts.contains(&Part::Rust) {
        steps.run("rust: tests of the crates", rust::test);
    }
    let suites: Vec<Suite> = clients(parts);
    if suites.is_empty() {
        return;
    }
    // Without these no client can run, and each would fail with a worse message.
    let ready = steps.run("e2e: fetch the clients", |log| e2e::fetch(log, &suites))
        && (!suites.iter().any(|suite| suite.runs_the_relay())
            || steps.run("e2e: build the binaries", rust::build_binaries));
    for suite in suites {
        if ready {
            steps.run(suite.title(), |log| e2e::run(log, suite, &[]));
        } else {
            steps.fail(suite.title(), "not run: the step before it failed");
        }
    }
}

fn clients(parts: &[Part]) -> Vec<Suite> {
    let suite = |part: &Part| match part {
        Part::Rust => None,
        Part::Client(suite) => Some(*suite),
    };
    parts.iter().filter_map(suite).collect()
}

fn coverage(parts: &[Part]) -> bool {
    let mut steps = Steps::new();
    coverage::steps(&mut steps, parts.contains(&Part::Rust), &clients(parts));
    steps.finish()
}

fn ci() -> bool {
    let mut steps = Steps::new();
    steps.run("fmt", rust::fmt);
    steps.run("tidy", tidy::check);
    steps.run("deny", rust::deny);
    steps.run("clippy", rust::clippy);
    steps.run("doc", rust::doc);
    test_steps(&mut steps, &Part::ALL);
    steps.again("soak", |log| rust::Soak::default().run(log));
    coverage::steps(&mut steps, true, &clients(&Part::ALL));
    steps.finish()
}
