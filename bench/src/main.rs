//! Measures cc-relay beside nginx and a bare hyper proxy, on this machine, in one run.
//!
//! Arguments come in; tables go to standard output and, after a whole run, into
//! docs/performance.md and its chart. Must never reach beyond loopback, nor report a number of one
//! run beside a number of another.
mod body;
mod chart;
mod clock;
mod economics;
mod gate;
mod load;
mod measure;
mod mock;
mod nginx;
mod proxy_hyper;
mod report;
mod rounds;
mod scenarios;
mod sheet;
mod subject;
mod wire;

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::{
    rounds::Bounds,
    scenarios::{ALL, Plan, Scenario},
    sheet::Sheet,
    subject::{Kind, Launcher, Mock},
};

/// Measures cc-relay beside nginx and a bare hyper proxy.
#[derive(Debug, Parser)]
#[command(name = "relay-bench", about)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Mode>,
    /// Run shorter and write no files.
    #[arg(long)]
    quick: bool,
    /// Run only these scenarios and write no files.
    #[arg(long, value_enum, global = true)]
    only: Vec<Scenario>,
    /// Measure only these subjects and write no files; `direct` is always measured.
    #[arg(long, value_enum, global = true)]
    subjects: Vec<Kind>,
    /// Use this cc-relay binary instead of building one.
    #[arg(long, global = true)]
    relay: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Judge the exact metrics and end with status 1 if a goal is missed.
    Gate,
    /// Replay days of Claude Code in made-up time: what the ways to choose a key cost.
    Economics {
        /// Replay a tenth of each day and write no file.
        #[arg(long)]
        quick: bool,
    },
    /// Be the mock upstream.
    #[command(hide = true)]
    Mock {
        /// Address to listen on.
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Be the bare hyper proxy.
    #[command(hide = true)]
    Hyper {
        /// Address to listen on.
        #[arg(long)]
        listen: SocketAddr,
        /// Address to pass requests to.
        #[arg(long)]
        upstream: SocketAddr,
        /// Threads of the runtime.
        #[arg(long)]
        threads: usize,
    },
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Mode::Mock { listen }) => single()?.block_on(mock::serve(listen))?,
        Some(Mode::Hyper {
            listen,
            upstream,
            threads,
        }) => {
            let runtime = if threads == 1 {
                single()?
            } else {
                Builder::new_multi_thread()
                    .worker_threads(threads)
                    .enable_all()
                    .build()?
            };
            runtime.block_on(proxy_hyper::serve(listen, upstream))?;
        }
        Some(Mode::Gate) => return run_gate(&arguments),
        Some(Mode::Economics { quick }) => {
            economics::run(quick || arguments.quick, repository())?;
        }
        None => run_bench(&arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn single() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

fn run_bench(arguments: &Arguments) -> Result<()> {
    require_tools()?;
    let chosen = if arguments.only.is_empty() {
        &ALL[..]
    } else {
        &arguments.only
    };
    let mock = Mock::start()?;
    let plan = Plan {
        rounds: Bounds {
            want: if arguments.quick { 3 } else { 5 },
            limit: Duration::from_secs(if arguments.quick { 20 } else { 100 }),
        },
        length: if arguments.quick { 1 } else { 2 },
        many_streams: if arguments.quick { 0 } else { many_streams()? },
        drain_seconds: if arguments.quick { 5 } else { 60 },
        starts: if arguments.quick { 5 } else { 20 },
        kinds: kinds(&arguments.subjects),
        launcher: Launcher {
            mock: mock.address,
            relay: relay(arguments)?,
        },
    };
    let mut sheet = Sheet::default();
    for scenario in chosen {
        say(&format!("measuring {scenario:?}"))?;
        sheet.absorb(single()?.block_on(plan.run(*scenario))?);
    }
    let tables = report::metrics(&sheet, &plan.kinds) + &report::goals(&sheet);
    writeln!(std::io::stdout(), "{tables}")?;
    let whole = arguments.only.is_empty() && arguments.subjects.is_empty() && !arguments.quick;
    if whole {
        let docs = repository().join("docs");
        report::write_page(&docs.join("performance.md"), &tables)?;
        fs::create_dir_all(docs.join("assets"))?;
        let chart = docs.join("assets/performance.svg");
        fs::write(&chart, chart::svg(&sheet, &plan.kinds)).context("writing the chart")?;
        say("wrote docs/performance.md and docs/assets/performance.svg")?;
    }
    Ok(())
}

fn run_gate(arguments: &Arguments) -> Result<ExitCode> {
    require_tools()?;
    let mock = Mock::start()?;
    let plan = Plan {
        rounds: Bounds {
            want: 7,
            limit: Duration::from_secs(30),
        },
        length: 1,
        many_streams: 0,
        drain_seconds: 0,
        starts: 20,
        kinds: kinds(&[Kind::Hyper, Kind::Nginx, Kind::NginxChecked, Kind::Relay]),
        launcher: Launcher {
            mock: mock.address,
            relay: relay(arguments)?,
        },
    };
    let sheet = single()?.block_on(gate::measure(&plan))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", report::metrics(&sheet, &plan.kinds))?;
    for note in &sheet.notes {
        writeln!(out, "note: {note}")?;
    }
    let failures = gate::failures(&sheet);
    for failure in &failures {
        writeln!(out, "gate: {failure}")?;
    }
    if failures.is_empty() {
        writeln!(out, "gate: every goal is met")?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// Returns `Direct` and the chosen subjects, or all of them.
fn kinds(chosen: &[Kind]) -> Vec<Kind> {
    let all = [
        Kind::Hyper,
        Kind::HyperOne,
        Kind::Nginx,
        Kind::NginxChecked,
        Kind::Relay,
    ];
    let mut kinds = vec![Kind::Direct];
    kinds.extend(
        all.into_iter()
            .filter(|kind| chosen.is_empty() || chosen.contains(kind)),
    );
    kinds
}

/// Returns the binary to measure, built if it is ours to build.
fn relay(arguments: &Arguments) -> Result<PathBuf> {
    if let Some(path) = &arguments.relay {
        return Ok(path.clone());
    }
    let own = std::env::current_exe()?;
    let folder = own.parent().context("no folder of the own program")?;
    let chosen = &arguments.subjects;
    if chosen.is_empty() || chosen.contains(&Kind::Relay) {
        say("building cc-relay")?;
        let target = folder.parent().context("no target folder")?;
        let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args([
                "build",
                "--release",
                "--package",
                "cc-relay",
                "--target-dir",
            ])
            .arg(target)
            .current_dir(repository())
            .status()
            .context("running cargo; name a built binary with --relay")?;
        anyhow::ensure!(built.success(), "cc-relay did not build");
        return Ok(target.join("release/cc-relay"));
    }
    Ok(folder.join("cc-relay"))
}

fn repository() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// Says which tools are missing before anything is measured.
fn require_tools() -> Result<()> {
    for (tool, argument) in [("nginx", "-v"), ("strace", "-V"), ("kill", "-V")] {
        let found = Command::new(tool)
            .arg(argument)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok();
        anyhow::ensure!(
            found,
            "`{tool}` is missing; on Debian: apt-get install nginx-light strace procps"
        );
    }
    Ok(())
}

/// Returns how many streams the limit on open files allows, at most 8,000: a proxy needs two
/// files a stream.
fn many_streams() -> Result<usize> {
    let limit = measure::open_file_limit()?;
    Ok((limit.saturating_sub(400) / 2).min(8000))
}

fn say(text: &str) -> Result<()> {
    writeln!(std::io::stderr(), "{text}").context("writing to standard error")
}
