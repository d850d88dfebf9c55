//! Fetches the real clients and runs the end-to-end suites with them.
//!
//! In: which suites. Out: test counts. The clients come from the two registries'
//! ordinary tools by the committed lock files, into `target/e2e/`; a second
//! run finds them there. It must never install anything outside the build
//! folder, and never go on without a tool that is missing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::count::Counts;
use crate::rust;
use crate::shell::{self, Log};

/// Real programs of others that a part of the tests is run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suite {
    /// The official Python SDK.
    Python,
    /// The official TypeScript SDK.
    TypeScript,
    /// Claude Code itself.
    Claude,
    /// Grafana's own components, with a recording of the relay's metrics.
    Dashboard,
}

impl Suite {
    /// Returns the name of the suite's step.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Python => "e2e: Python SDK",
            Self::TypeScript => "e2e: TypeScript SDK",
            Self::Claude => "e2e: Claude Code",
            Self::Dashboard => "e2e: Grafana dashboard",
        }
    }

    /// Returns whether it starts the built binaries.
    pub(crate) fn runs_the_relay(self) -> bool {
        match self {
            Self::Python | Self::TypeScript | Self::Claude => true,
            Self::Dashboard => false,
        }
    }

    /// Returns where its npm packages are listed, and the name of their folder in `target/e2e/`.
    fn packages(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Python => None,
            Self::TypeScript | Self::Claude => Some(("e2e", "node")),
            Self::Dashboard => Some(("e2e/dashboard", "dashboard")),
        }
    }

    fn needs(self) -> &'static [&'static Tool] {
        match self {
            Self::Python => &[&PYTHON, &PROMTOOL],
            Self::TypeScript => &[&NODE, &NPM],
            Self::Claude => &[&PYTHON, &NODE, &NPM],
            Self::Dashboard => &[&NODE, &NPM, &PROMETHEUS, &PROMTOOL, &CHROMIUM],
        }
    }
}

/// A program that must be on the machine.
struct Tool {
    name: &'static str,
    /// The oldest version that will do.
    least: (u32, u32),
    how: &'static str,
}

const NODE: Tool = Tool {
    name: "node",
    least: (20, 0),
    how: "install Node.js 20 or newer from nodejs.org or your system's packages",
};
const NPM: Tool = Tool {
    name: "npm",
    least: (9, 0),
    how: "it comes with Node.js",
};
const PYTHON: Tool = Tool {
    name: "python3",
    least: (3, 10),
    how: "install Python 3.10 or newer with its venv module (Debian: apt-get install python3 python3-venv)",
};

const PROMTOOL: Tool = Tool {
    name: "promtool",
    least: (2, 40),
    how: "it comes with Prometheus (Debian: apt-get install prometheus); it checks metrics and alerts",
};

const PROMETHEUS: Tool = Tool {
    name: "prometheus",
    least: (2, 40),
    how: "Debian: apt-get install prometheus; the dashboard asks it",
};

const CHROMIUM: Tool = Tool {
    name: "chromium",
    least: (120, 0),
    how: "Debian: apt-get install chromium; the dashboard is drawn in it",
};

/// Brings the clients of the suites into `target/e2e/`, unless they are there.
///
/// # Errors
/// A tool is missing or too old (all of them are named), or a client cannot be fetched.
pub(crate) fn fetch(log: &Log, suites: &[Suite]) -> Result<Counts> {
    let mut tools: Vec<&Tool> = Vec::new();
    for tool in suites.iter().flat_map(|suite| suite.needs()) {
        if !tools.iter().any(|known| known.name == tool.name) {
            tools.push(tool);
        }
    }
    let faults: Vec<String> = tools.iter().filter_map(|tool| unfit(tool)).collect();
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    let packages: BTreeSet<_> = suites.iter().filter_map(|suite| suite.packages()).collect();
    for (list, name) in packages {
        fetch_node(log, Path::new(list), name)?;
    }
    if tools.iter().any(|tool| tool.name == "python3") {
        fetch_python(log)?;
    }
    Ok(Counts::default())
}

/// Says what is wrong with a tool of this machine, if anything is.
fn unfit(tool: &Tool) -> Option<String> {
    let (major, minor) = tool.least;
    let found = shell::output(Command::new(tool.name).arg("--version")).ok();
    let Some(found) = found else {
        return Some(format!(
            "{} is missing; version {major}.{minor} or newer is needed: {}",
            tool.name, tool.how
        ));
    };
    if version(&found) >= Some(tool.least) {
        return None;
    }
    let found = found.trim();
    Some(format!(
        "{} is {found}; version {major}.{minor} or newer is needed: {}",
        tool.name, tool.how
    ))
}

/// Reads the first two numbers of `v20.1.2` or `Python 3.11.7`.
fn version(text: &str) -> Option<(u32, u32)> {
    let digits = text
        .trim()
        .trim_start_matches(|c: char| !c.is_ascii_digit());
    let mut parts = digits.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    Some((major, minor))
}

fn fetch_node(log: &Log, list: &Path, name: &str) -> Result<()> {
    let place = folder(name)?;
    let lock_file = list.join("package-lock.json");
    let lock = fs::read_to_string(&lock_file)
        .with_context(|| format!("cannot read {}", lock_file.display()))?;
    if !is_stale(&place, &lock) {
        return Ok(());
    }
    for name in ["package.json", "package-lock.json", ".npmrc"] {
        let file = list.join(name);
        fs::copy(&file, place.join(name))
            .with_context(|| format!("cannot copy {}", file.display()))?;
    }
    // Programs come in packages of their own: no install script has to run.
    log.run(Command::new("npm").current_dir(&place).args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
    ]))?;
    done(&place, &lock)
}

fn fetch_python(log: &Log) -> Result<()> {
    let place = folder("python")?;
    let pins =
        fs::read_to_string("e2e/requirements.txt").context("cannot read e2e/requirements.txt")?;
    if !is_stale(&place, &pins) {
        return Ok(());
    }
    log.run(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&place),
    )?;
    let python = place.join("bin/python");
    let pip = [
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--no-deps",
        "--requirement",
    ];
    log.run(Command::new(&python).args(pip).arg("e2e/requirements.txt"))?;
    // --no-deps: every version is pinned. This finds one that is not.
    log.run(Command::new(&python).args(["-m", "pip", "check"]))?;
    done(&place, &pins)
}

fn folder(name: &str) -> Result<PathBuf> {
    let place = shell::target("e2e").join(name);
    fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    Ok(place)
}

/// The file that says which lock file a folder was made from.
const STAMP: &str = ".made-from";

fn is_stale(place: &Path, lock: &str) -> bool {
    !fs::read_to_string(place.join(STAMP)).is_ok_and(|text| text == lock)
}

fn done(place: &Path, lock: &str) -> Result<()> {
    fs::write(place.join(STAMP), lock).with_context(|| format!("cannot write {}", place.display()))
}

/// Runs one suite against the built binaries, with more variables for them if given.
///
/// # Errors
/// The runner could not start, or no test ran.
pub(crate) fn run(log: &Log, suite: Suite, variables: &[(&str, PathBuf)]) -> Result<Counts> {
    let mut command = match suite {
        Suite::Python => pytest(&[
            "e2e/python/sdk",
            "e2e/python/dialects",
            "e2e/python/observability",
            "e2e/python/management",
        ]),
        Suite::Claude => pytest(&["e2e/python/claude"]),
        Suite::TypeScript => {
            let mut command = Command::new("node");
            command
                .args(["--test", "--test-reporter=tap", "--test-concurrency=2"])
                .args(node_tests()?);
            command
        }
        Suite::Dashboard => {
            let mut command = Command::new("node");
            command.args([
                "--test",
                "--test-reporter=tap",
                "e2e/dashboard/dashboard.test.mjs",
            ]);
            command
        }
    };
    for name in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()) {
        if changes_a_client(&name) {
            command.env_remove(name);
        }
    }
    command.env("E2E_NODE", shell::target("e2e/node"));
    command.env("E2E_NODE_DASHBOARD", shell::target("e2e/dashboard"));
    command.env("E2E_BIN", shell::target("debug"));
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    rust::counted(log, &mut command)
}

/// Returns whether a variable of this shell would give the clients a real credential, another
/// address, or a proxy.
fn changes_a_client(name: &str) -> bool {
    let upper = name.to_uppercase();
    let of_a_provider = ["ANTHROPIC_", "AWS_", "CLAUDE", "CLOUD_ML_", "GOOGLE_"];
    of_a_provider.iter().any(|start| upper.starts_with(start)) || upper.ends_with("_PROXY")
}

fn pytest(folders: &[&str]) -> Command {
    let mut command = Command::new(shell::target("e2e/python/bin/python"));
    // Most tests wait for a client to retry: more workers than cores.
    command.args([
        "-B",
        "-m",
        "pytest",
        "-c",
        "e2e/pytest.ini",
        "--numprocesses=4",
    ]);
    command.args(folders);
    command
}

fn node_tests() -> Result<Vec<PathBuf>> {
    let folder = Path::new("e2e/typescript");
    let mut tests = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".test.mjs") {
            tests.push(path);
        }
    }
    tests.sort();
    Ok(tests)
}

#[cfg(test)]
mod tests {
    use super::{STAMP, Tool, changes_a_client, done, is_stale, unfit, version};

    #[test]
    fn a_real_credential_never_reaches_a_client() {
        for name in [
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_BASE_URL",
            "AWS_BEARER_TOKEN_BEDROCK",
            "CLAUDE_CODE_USE_BEDROCK",
            "https_proxy",
        ] {
            assert!(changes_a_client(name), "{name}");
        }
        for name in ["PATH", "HOME", "LLVM_PROFILE_FILE"] {
            assert!(!changes_a_client(name), "{name}");
        }
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(version("v20.20.2\n"), Some((20, 20)));
        assert_eq!(version("Python 3.11.7"), Some((3, 11)));
        assert_eq!(version("11.19.1"), Some((11, 19)));
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn a_missing_tool_is_named_with_its_version_and_how_to_get_it() {
        let tool = Tool {
            name: "no-such-program",
            least: (4, 2),
            how: "ask a friend",
        };
        let fault = unfit(&tool).unwrap();
        assert_eq!(
            fault,
            "no-such-program is missing; version 4.2 or newer is needed: ask a friend"
        );
    }

    #[test]
    fn an_old_tool_is_named_with_its_version() {
        let fault = unfit(&Tool {
            name: "rustc",
            least: (999, 0),
            how: "wait",
        })
        .unwrap();
        assert!(
            fault.contains("version 999.0 or newer is needed"),
            "{fault}"
        );
    }

    #[test]
    fn a_changed_lock_file_makes_the_folder_stale() {
        let place = tempfile::tempdir().unwrap();
        assert!(is_stale(place.path(), "one"));
        done(place.path(), "one").unwrap();
        assert!(!is_stale(place.path(), "one"));
        assert!(is_stale(place.path(), "two"));
        assert!(place.path().join(STAMP).exists());
    }
}
