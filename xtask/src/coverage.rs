//! Lines covered by the tests, for each crate.
//!
//! In: one instrumented run of the tests; the binaries built for it serve the
//! end-to-end suites too. Out: a table, and a failure under the floor. Only
//! our own crates are instrumented: this program stands in for the compiler
//! (`RUSTC_WORKSPACE_WRAPPER`) and adds the flag, so the dependencies of an
//! ordinary build are used again. It must never count lines of tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::count::Counts;
use crate::e2e::{self, Suite};
use crate::shell::{self, Log};
use crate::steps::Steps;
use crate::{rust, tidy};

/// Lines of each crate that the tests must reach, in percent.
const FLOOR: u64 = 80;

/// Left out: this program runs the tests, and the bench measures in a run of its own.
const WITHOUT: &[&str] = &["--exclude", "xtask", "--exclude", "relay-bench"];

/// Says to this program that it stands in for the compiler.
const AS_COMPILER: &str = "XTASK_AS_COMPILER";

/// Compiles with instrumentation, if cargo started this program for that.
pub(crate) fn as_compiler() -> Option<ExitCode> {
    std::env::var_os(AS_COMPILER)?;
    let mut words = std::env::args_os().skip(1);
    let status = Command::new(words.next()?)
        .args(words)
        .arg("-Cinstrument-coverage")
        .status();
    let good = status.is_ok_and(|status| status.success());
    Some(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs the tests instrumented and judges the lines they reach.
pub(crate) fn steps(steps: &mut Steps, with_rust: bool, suites: &[Suite]) {
    let mut built = Vec::new();
    let ready = steps.run("coverage: build", |log| {
        built = build(log)?;
        Ok(Counts::default())
    });
    if !ready {
        return;
    }
    if with_rust {
        steps.again("coverage: tests of the crates", |log| {
            let mut words = vec![
                "test",
                "--workspace",
                "--locked",
                "--no-fail-fast",
                "--lib",
                "--bins",
                "--tests",
            ];
            words.extend(WITHOUT);
            rust::counted(log, &mut instrumented(&words)?)
        });
    }
    let suites: Vec<Suite> = suites
        .iter()
        .copied()
        .filter(|suite| suite.runs_the_relay())
        .collect();
    if !suites.is_empty()
        && steps.run("coverage: fetch the clients", |log| {
            e2e::fetch(log, &suites)
        })
    {
        for suite in suites {
            let variables = [("LLVM_PROFILE_FILE", profiles())];
            steps.again(&format!("coverage: {}", suite.title()), |log| {
                e2e::run(log, suite, &variables)
            });
        }
    }
    steps.run("coverage: lines", |log| judge(log, &built));
}

fn profiles() -> PathBuf {
    // %m: one file for a binary, merged into by each process. %p would leave thousands.
    shell::target("coverage/%m.profraw")
}

/// Returns cargo with this program, copied aside, as its compiler.
fn instrumented(words: &[&str]) -> Result<Command> {
    let place = shell::target("coverage");
    fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    let wrapper = place.join("compiler");
    if !wrapper.exists() {
        // A copy: cargo replaces this program's own file while it builds the workspace.
        fs::copy(std::env::current_exe()?, &wrapper).context("cannot copy this program")?;
    }
    let mut command = shell::cargo(words);
    command
        .env("RUSTC_WORKSPACE_WRAPPER", &wrapper)
        .env(AS_COMPILER, "1")
        .env("LLVM_PROFILE_FILE", profiles());
    Ok(command)
}

/// Builds all tests and binaries and returns where they are.
fn build(log: &Log) -> Result<Vec<PathBuf>> {
    let place = shell::target("coverage");
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("cannot empty {}", place.display()))?;
    }
    let mut words = vec![
        "test",
        "--workspace",
        "--locked",
        "--no-run",
        "--lib",
        "--bins",
        "--tests",
    ];
    words.extend(WITHOUT);
    words.push("--message-format=json-render-diagnostics");
    let text = log.run(&mut instrumented(&words)?)?;
    // The binaries as such, which the end-to-end suites start.
    let bins = [
        "build",
        "--locked",
        "--package",
        "cc-relay",
        "--package",
        "relay-sim",
        "--bins",
    ];
    let mut words = bins.to_vec();
    words.push("--message-format=json-render-diagnostics");
    let text = text + &log.run(&mut instrumented(&words)?)?;
    let found: BTreeSet<PathBuf> = text.lines().filter_map(executable).collect();
    if found.is_empty() {
        bail!("cargo named no executable");
    }
    Ok(found.into_iter().collect())
}

/// Reads the executable's path from one of cargo's messages.
fn executable(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    Some(PathBuf::from(message.get("executable")?.as_str()?))
}

fn judge(log: &Log, built: &[PathBuf]) -> Result<Counts> {
    let merged = shell::target("coverage/all.profdata");
    let mut raw = Vec::new();
    for entry in fs::read_dir(shell::target("coverage"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "profraw") {
            raw.push(path);
        }
    }
    log.run(
        Command::new(tool("llvm-profdata")?)
            .args(["merge", "-sparse", "-o"])
            .arg(&merged)
            .args(&raw),
    )?;
    let mut export = Command::new(tool("llvm-cov")?);
    export
        .args(["export", "--format=lcov", "--instr-profile"])
        .arg(&merged);
    for path in built {
        export.arg("--object").arg(path);
    }
    let lcov = shell::output(&mut export)?;
    let table = by_crate(&lcov, |path| fs::read_to_string(path).ok());
    let faults = verdicts(&table);
    crate::steps::say("\n");
    for (name, lines) in &table {
        crate::steps::say(&format!(
            "    {name:<12} {:>5}.{} %  of {} lines\n",
            lines.tenths() / 10,
            lines.tenths() % 10,
            lines.all
        ));
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(Counts::default())
}

/// Finds a tool of LLVM: by its variable, with the version that fits the compiler, or plain.
fn tool(name: &str) -> Result<PathBuf> {
    let variable = name.to_uppercase().replace('-', "_");
    let named = std::env::var_os(variable).map(PathBuf::from);
    let places = [PathBuf::from(format!("{name}-22")), PathBuf::from(name)];
    let mut all = named.into_iter().chain(places);
    let found = all.find(|place| shell::output(Command::new(place).arg("--version")).is_ok());
    found.with_context(|| {
        format!("{name} is missing; version 22 is needed: apt-get install llvm-22 (Debian 12)")
    })
}

/// Lines of a crate: all that have code, and those that were run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lines {
    all: u64,
    run: u64,
}

impl Lines {
    /// Returns the part that was run, in tenths of a percent.
    fn tenths(self) -> u64 {
        self.run
            .saturating_mul(1000)
            .checked_div(self.all)
            .unwrap_or(0)
    }
}

/// Sums an lcov report by the folder below `crates/`, leaving out lines of tests.
fn by_crate(lcov: &str, read: impl Fn(&Path) -> Option<String>) -> BTreeMap<String, Lines> {
    let mut table: BTreeMap<String, Lines> = BTreeMap::new();
    let mut current: Option<(String, usize)> = None;
    for line in lcov.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            current = code(Path::new(path), &read);
        }
        let Some((name, most)) = &current else {
            continue;
        };
        let Some((number, hits)) = line
            .strip_prefix("DA:")
            .and_then(|rest| rest.split_once(','))
        else {
            continue;
        };
        if number.parse::<usize>().is_ok_and(|number| number <= *most) {
            let lines = table.entry(name.clone()).or_default();
            lines.all = lines.all.saturating_add(1);
            lines.run = lines.run.saturating_add(u64::from(hits != "0"));
        }
    }
    table
}

/// Returns the crate that a file of code belongs to, and its last line that is not of tests.
fn code(path: &Path, read: impl Fn(&Path) -> Option<String>) -> Option<(String, usize)> {
    let below = path.strip_prefix(shell::root()).unwrap_or(path);
    let parts: Vec<&str> = below.iter().filter_map(|part| part.to_str()).collect();
    let ["crates", name, "src", rest @ ..] = parts.as_slice() else {
        return None;
    };
    if rest
        .iter()
        .any(|part| matches!(*part, "tests.rs" | "tests"))
    {
        return None;
    }
    Some(((*name).to_owned(), tidy::lines_without_tests(&read(path)?)))
}

fn verdicts(table: &BTreeMap<String, Lines>) -> Vec<String> {
    let mut faults = Vec::new();
    if table.is_empty() {
        faults.push("no line of ours was run".to_owned());
    }
    for (name, lines) in table {
        if lines.tenths() < FLOOR.saturating_mul(10) {
            faults.push(format!(
                "{name}: {} of {} lines are run by a test; at least {FLOOR} % must be",
                lines.run, lines.all
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::{Lines, by_crate, executable, verdicts};
    use crate::shell;

    #[test]
    fn lines_are_summed_by_crate_without_those_of_tests() {
        let file = |below: &str| shell::root().join(below).display().to_string();
        let lcov = format!(
            "SF:{}\nDA:1,1\nDA:2,0\nDA:9,5\nend_of_record\nSF:{}\nDA:1,1\nend_of_record\nSF:{}\nDA:1,1\n",
            file("crates/core/src/a.rs"),
            file("crates/core/src/a/tests.rs"),
            file("xtask/src/main.rs"),
        );
        let text = "fn a() {}\nfn b() {}\n#[cfg(test)]\nmod tests {\n}\n";
        let table = by_crate(&lcov, |_| Some(text.to_owned()));
        assert_eq!(
            table,
            BTreeMap::from([("core".to_owned(), Lines { all: 2, run: 1 })])
        );
    }

    #[test]
    fn a_crate_under_the_floor_is_a_fault() {
        let table = |run| BTreeMap::from([("core".to_owned(), Lines { all: 1000, run })]);
        assert_eq!(verdicts(&table(799)).len(), 1);
        assert!(verdicts(&table(800)).is_empty());
        assert_eq!(
            verdicts(&BTreeMap::new()).len(),
            1,
            "nothing measured is not a success"
        );
    }

    #[test]
    fn cargos_messages_name_the_executables() {
        let line = r#"{"reason":"compiler-artifact","executable":"/x/debug/cc-relay"}"#;
        assert_eq!(executable(line), Some(PathBuf::from("/x/debug/cc-relay")));
        assert_eq!(
            executable(r#"{"reason":"compiler-artifact","executable":null}"#),
            None
        );
        assert_eq!(executable("warning: text"), None);
    }
}
