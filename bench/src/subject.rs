//! The things that are measured, each started and stopped as a process of its own.
//!
//! A kind and the mock's address come in; a running proxy that has answered on /livez goes out,
//! with the time from exec to that answer. Must never leave a process behind: dropping a subject
//! stops it.
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    clock, measure, nginx,
    wire::{CLIENT_KEY, UPSTREAM_KEY},
};

/// What stands between the load generator and the mock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Nothing: the load generator speaks to the mock.
    Direct,
    /// The bare hyper proxy on two threads.
    Hyper,
    /// The bare hyper proxy on one thread.
    HyperOne,
    /// nginx with two workers.
    Nginx,
    /// nginx with a key check and a JSON access log.
    NginxChecked,
    /// cc-relay with its defaults: key check, body scan, observer, JSON log.
    Relay,
    /// The same with metrics and the history.
    Observed,
    /// The same in front of Bedrock: streams arrive as frames and are signed for.
    Bedrock,
}

impl Kind {
    /// Returns the name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Hyper => "bare hyper",
            Self::HyperOne => "bare hyper, 1 thread",
            Self::Nginx => "nginx",
            Self::NginxChecked => "nginx + key check + JSON log",
            Self::Relay => "cc-relay",
            Self::Observed => "cc-relay, everything on",
            Self::Bedrock => "cc-relay, Bedrock",
        }
    }
}

/// How to start subjects.
#[derive(Clone, Debug)]
pub(crate) struct Launcher {
    /// Address of the mock upstream.
    pub(crate) mock: SocketAddr,
    /// Path of the `cc-relay` binary.
    pub(crate) relay: PathBuf,
}

/// A running subject.
pub(crate) struct Subject {
    /// What it is.
    pub(crate) kind: Kind,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where its metrics are.
    pub(crate) metrics: Option<SocketAddr>,
    /// The processes that do its work; none for `Direct`.
    pub(crate) pids: Vec<u32>,
    /// Where it keeps its state; empty for `Direct`.
    pub(crate) folder: PathBuf,
    /// From exec to the first 200 on /livez.
    pub(crate) cold_start: Duration,
    _process: Option<Process>,
}

/// A child process and its folder, both gone when dropped.
struct Process {
    child: Child,
    folder: PathBuf,
    stop: Option<Command>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Killing the master of nginx would orphan its workers: ask it to stop.
        let asked = self.stop.as_mut().is_some_and(|stop| stop.status().is_ok());
        if !asked {
            self.child.kill().unwrap_or_default();
        }
        self.child.wait().map(|_| ()).unwrap_or_default();
        fs::remove_dir_all(&self.folder).unwrap_or_default();
    }
}

impl Launcher {
    /// Starts a subject and waits for its first answer.
    ///
    /// # Errors
    /// When the program is missing, ends at once, or gives no 200 on /livez within ten seconds.
    pub(crate) fn start(&self, kind: Kind) -> Result<Subject> {
        let mut pids = Vec::new();
        if kind == Kind::Direct {
            let cold_start = Duration::ZERO;
            return Ok(Subject {
                kind,
                address: self.mock,
                metrics: None,
                pids,
                folder: PathBuf::new(),
                cold_start,
                _process: None,
            });
        }
        let address = free_address()?;
        let folder = new_folder()?;
        let metrics = (kind == Kind::Observed).then(free_address).transpose()?;
        let (mut command, stop) = self.command(kind, (address, metrics), &folder)?;
        let log = fs::File::create(folder.join("stderr.log"))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let begun = clock::now();
        let child = command
            .spawn()
            .with_context(|| format!("starting {}", kind.name()))?;
        let mut process = Process {
            child,
            folder: folder.clone(),
            stop,
        };
        wait_ready(&mut process.child, address).with_context(|| {
            let said = fs::read_to_string(folder.join("stderr.log")).unwrap_or_default();
            format!("{} did not answer; it said: {}", kind.name(), said.trim())
        })?;
        let cold_start = begun.elapsed();
        pids.push(process.child.id());
        if process.stop.is_some() {
            pids.extend(measure::children(process.child.id())?);
        }
        Ok(Subject {
            kind,
            address,
            metrics,
            pids,
            folder,
            cold_start,
            _process: Some(process),
        })
    }

    fn command(
        &self,
        kind: Kind,
        (address, metrics): (SocketAddr, Option<SocketAddr>),
        folder: &Path,
    ) -> Result<(Command, Option<Command>)> {
        if matches!(kind, Kind::Hyper | Kind::HyperOne) {
            let mut command = Command::new(std::env::current_exe()?);
            let threads = if kind == Kind::Hyper { "2" } else { "1" };
            command.args(["hyper", "--threads", threads]);
            command.args([
                "--listen",
                &address.to_string(),
                "--upstream",
                &self.mock.to_string(),
            ]);
            return Ok((command, None));
        }
        if matches!(kind, Kind::Relay | Kind::Observed | Kind::Bedrock) {
            let path = folder.join("config.yaml");
            let mut config = relay_config(kind, address, self.mock);
            if let Some(metrics) = metrics {
                config.push_str(&observed(metrics, &folder.join("relay.db")));
            }
            fs::write(&path, config)?;
            let mut command = Command::new(&self.relay);
            command.args(["serve", "--config"]).arg(path);
            command.env("XDG_STATE_HOME", folder);
            return Ok((command, None));
        }
        let path = folder.join("nginx.conf");
        fs::write(
            &path,
            nginx::config(folder, address, self.mock, kind == Kind::NginxChecked),
        )?;
        let nginx = || {
            let mut command = Command::new("nginx");
            command.args(["-e", "stderr", "-c"]).arg(&path);
            command
        };
        let mut stop = nginx();
        stop.args(["-s", "stop"]).stderr(Stdio::null());
        Ok((nginx(), Some(stop)))
    }
}

/// The mock upstream in a process of its own.
pub(crate) struct Mock {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    _process: Process,
}

impl Mock {
    /// Starts the mock and waits until it answers.
    pub(crate) fn start() -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["mock", "--listen", &address.to_string()])
            .stdout(Stdio::null());
        let child = command.spawn().context("starting the mock upstream")?;
        let mut process = Process {
            child,
            folder: new_folder()?,
            stop: None,
        };
        wait_ready(&mut process.child, address).context("the mock upstream did not answer")?;
        Ok(Self {
            address,
            _process: process,
        })
    }
}

/// Its JSON log goes to standard error, which `start` puts into a file of the subject's folder.
fn relay_config(kind: Kind, listen: SocketAddr, mock: SocketAddr) -> String {
    let provider = if kind == Kind::Bedrock {
        "    type: bedrock\n    runtime: invoke\n    aws_region: us-east-1\n    \
         aws_access_key_id: AKIDEXAMPLE\n    aws_secret_access_key: not-a-real-secret-key\n"
            .to_owned()
    } else {
        format!("    type: anthropic\n    keys:\n      - key: \"{UPSTREAM_KEY}\"\n")
    };
    format!(
        "server:\n  listen: \"{listen}\"\n  max_concurrent: 20000\n  \
         max_connections: 20000\n  auth:\n    api_key: \"{CLIENT_KEY}\"\n\
         providers:\n  - name: up\n    base_url: \"http://{mock}\"\n{provider}\
         logging:\n  format: json\n  level: info\n"
    )
}

/// Turns on whatever can be seen.
fn observed(metrics: SocketAddr, history: &Path) -> String {
    format!(
        "metrics:\n  enabled: true\n  prometheus_listen: \"{metrics}\"\nhistory:\n  enabled: true\n  file: \"{}\"\n",
        history.display()
    )
}

/// Returns an address that was free a moment ago; the kernel does not hand it out again soon.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn new_folder() -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let serial = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("relay-bench-{}-{serial}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    Ok(folder)
}

fn wait_ready(child: &mut Child, address: SocketAddr) -> Result<()> {
    let begun = clock::now();
    while begun.elapsed() < Duration::from_secs(10) {
        if livez(address).unwrap_or(false) {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            bail!("it ended with {status}");
        }
        thread::sleep(Duration::from_micros(100));
    }
    bail!("no 200 on http://{address}/livez in 10 s")
}

fn livez(address: SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(&answer == b"HTTP/1.1 200")
}
