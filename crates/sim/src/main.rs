//! The sim as a program. In: flags; out: a first line that says where it listens, then a server
//! until SIGTERM or SIGINT. Must never print anything else to standard output.

use std::fs::File;
use std::io::{Write as _, stderr, stdout};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;
use relay_sim::{Account, AwsKey, Dialect, Fault, Script, Sim, Split};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

const AFTER_HELP: &str = "\
A script is a JSON object (see the crate's README for all of it), for example
  {\"text\": \"hello\", \"event_gap_ms\": 50, \"fault\": \"reset-after-events:3\"}
  {\"tool_use\": {\"name\": \"Bash\", \"input\": {\"command\": \"echo hi\"}}}
  {\"preset\": \"rate_limited\", \"headers\": [[\"x-extra\", \"1\"]]}
While it runs: GET|DELETE /__sim/requests, GET /__sim/stats, GET /__sim/presets,
POST|DELETE /__sim/script, POST /__sim/default.";

/// A scriptable upstream in the shape of Anthropic's API, with faults.
#[derive(Debug, Parser)]
#[command(name = "cc-relay-sim", version, after_help = AFTER_HELP)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of a command line"
)]
struct Flags {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Print one JSON line {"url":..,"pid":..} instead of `listening on ..`.
    #[arg(long)]
    json: bool,
    /// Serve TLS with a certificate of its own authority.
    #[arg(long)]
    tls: bool,
    /// Write the authority's certificate (PEM) here.
    #[arg(long, requires = "tls", value_name = "FILE")]
    ca_out: Option<PathBuf>,
    /// Do not offer HTTP/2.
    #[arg(long)]
    no_http2: bool,
    /// HTTP/2 streams at once on a connection.
    #[arg(long, value_name = "N")]
    max_concurrent_streams: Option<u32>,
    /// Answer requests that carry no credential.
    #[arg(long)]
    no_credential: bool,
    /// Accept only this key (repeatable).
    #[arg(long, value_name = "KEY")]
    accept_key: Vec<String>,
    /// Speak this API strictly: bedrock, mantle, vertex, foundry, anthropic, zai, minimax, ollama,
    /// ollama-cloud, kimi, deepseek, openrouter, vllm, llamacpp, lmstudio.
    #[arg(long, value_name = "NAME")]
    dialect: Option<Dialect>,
    /// A key that may sign (bedrock and mantle; repeatable): `ID:SECRET[:SESSION-TOKEN]`.
    #[arg(long, value_name = "ID:SECRET", value_parser = aws_key, requires = "dialect")]
    aws_key: Vec<AwsKey>,
    /// Region to sign for (bedrock and mantle).
    #[arg(long, value_name = "REGION", requires = "dialect")]
    region: Option<String>,
    /// Project that paths must name (vertex).
    #[arg(long, value_name = "ID", requires = "dialect")]
    project: Option<String>,
    /// Deployment that exists (foundry; repeatable).
    #[arg(long, value_name = "NAME", requires = "dialect")]
    deployment: Vec<String>,
    /// Model that is listed (repeatable).
    #[arg(long, value_name = "ID")]
    model: Vec<String>,
    /// Say where a key belongs (repeatable): `KEY=ORGANISATION/WORKSPACE[:RPM,ITPM,OTPM]`. Its
    /// requests are billed by a model of the prompt cache and held to the limits.
    #[arg(long, value_name = "KEY=...", value_parser = account)]
    account: Vec<(String, Account)>,
    /// Answer with this ready-made script; `list` prints their names.
    #[arg(long, value_name = "NAME", conflicts_with = "script")]
    preset: Option<String>,
    /// Read scripts: one object becomes the default answer, a list is queued.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Answer with this text.
    #[arg(long, conflicts_with_all = ["preset", "script"])]
    text: Option<String>,
    /// Stream this many more text deltas.
    #[arg(long, value_name = "N")]
    events: Option<u64>,
    /// Text of each of those deltas.
    #[arg(long, value_name = "TEXT", default_value = "token ")]
    delta: String,
    /// Wait between events: `50ms`, `2s`.
    #[arg(long, value_parser = duration)]
    gap: Option<Duration>,
    /// Wait before the head.
    #[arg(long, value_parser = duration)]
    delay: Option<Duration>,
    /// Cut the body: per-event, each-byte, at:N, chunk:N, whole.
    #[arg(long)]
    split: Option<Split>,
    /// What goes wrong: `reset-after-events:3`, `stall-before-head`, ...
    #[arg(long)]
    fault: Option<Fault>,
    /// Write one JSON line for each ended exchange.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Write the same lines to standard error.
    #[arg(long, conflicts_with = "record")]
    log: bool,
    /// Records kept in memory.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    keep_requests: usize,
    /// Worker threads.
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    match run(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do if standard error is gone too.
            drop(writeln!(stderr(), "cc-relay-sim: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> anyhow::Result<()> {
    if flags.preset.as_deref() == Some("list") {
        for name in Script::presets() {
            writeln!(stdout(), "{name}").context("print the presets")?;
        }
        return Ok(());
    }
    let mut builder = if flags.threads > 1 {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(flags.threads);
        builder
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = builder.enable_all().build().context("start the runtime")?;
    runtime.block_on(serve(flags))
}

async fn serve(flags: &Flags) -> anyhow::Result<()> {
    // Taken first, so that a signal that follows the first line at once is not lost.
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let (default, queue) = scripts(flags)?;
    let sim = builder(flags)?.start().await?;
    sim.set_default(default);
    for script in queue {
        sim.push(script);
    }
    if let (Some(path), Some(pem)) = (&flags.ca_out, sim.ca_pem()) {
        std::fs::write(path, pem).with_context(|| format!("write {}", path.display()))?;
    }
    announce(flags, &sim.base_url()).context("print the address")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    sim.stop().await;
    Ok(())
}

fn announce(flags: &Flags, url: &str) -> std::io::Result<()> {
    let mut out = stdout().lock();
    if flags.json {
        writeln!(out, "{}", json!({ "url": url, "pid": std::process::id() }))?;
    } else {
        writeln!(out, "listening on {url}")?;
    }
    out.flush()
}

fn builder(flags: &Flags) -> anyhow::Result<relay_sim::SimBuilder> {
    let mut builder = Sim::builder()
        .listen(flags.listen)
        .tls(flags.tls)
        .http2(!flags.no_http2)
        .require_credential(!flags.no_credential)
        .accept_keys(flags.accept_key.iter().cloned())
        .keep_requests(flags.keep_requests);
    if let Some(dialect) = dialect(flags)? {
        builder = builder.dialect(dialect);
    }
    if !flags.model.is_empty() {
        builder = builder.models(flags.model.iter().cloned());
    }
    for (key, account) in &flags.account {
        builder = builder.account(key, account.clone());
    }
    if let Some(streams) = flags.max_concurrent_streams {
        builder = builder.max_concurrent_streams(streams);
    }
    if let Some(path) = &flags.record {
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        builder = builder.record_to(file);
    }
    if flags.log {
        builder = builder.record_to(stderr());
    }
    Ok(builder)
}

/// Returns the dialect with its settings.
fn dialect(flags: &Flags) -> anyhow::Result<Option<Dialect>> {
    let mut dialect = flags.dialect.clone();
    let (mut signs, mut has_project, mut deploys) = (false, false, false);
    match &mut dialect {
        Some(Dialect::Bedrock(aws) | Dialect::Mantle(aws)) => {
            signs = true;
            if !flags.aws_key.is_empty() {
                aws.keys.clone_from(&flags.aws_key);
            }
            if let Some(region) = &flags.region {
                aws.region.clone_from(region);
            }
        }
        Some(Dialect::Vertex(vertex)) => {
            has_project = true;
            if let Some(project) = &flags.project {
                vertex.project.clone_from(project);
            }
        }
        Some(Dialect::Foundry(foundry)) => {
            deploys = true;
            foundry.deployments.clone_from(&flags.deployment);
        }
        Some(Dialect::Vendor(_)) | None => {}
    }
    if !signs && (!flags.aws_key.is_empty() || flags.region.is_some()) {
        bail!("--aws-key and --region need --dialect bedrock or mantle");
    }
    if !has_project && flags.project.is_some() {
        bail!("--project needs --dialect vertex");
    }
    if !deploys && !flags.deployment.is_empty() {
        bail!("--deployment needs --dialect foundry");
    }
    Ok(dialect)
}

/// Parses `ID:SECRET[:SESSION-TOKEN]`.
fn aws_key(text: &str) -> Result<AwsKey, String> {
    let mut parts = text.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(id), Some(secret), token) if !id.is_empty() && !secret.is_empty() => {
            let key = AwsKey::new(id, secret);
            Ok(match token {
                Some(token) => key.session_token(token),
                None => key,
            })
        }
        // The text is not repeated: it may hold a secret.
        _ => Err("write ID:SECRET or ID:SECRET:SESSION-TOKEN".to_owned()),
    }
}

/// Returns the default script and those to queue.
fn scripts(flags: &Flags) -> anyhow::Result<(Script, Vec<Script>)> {
    let mut queue = Vec::new();
    let mut default = Script::text("Hello from cc-relay-sim.");
    if let Some(name) = &flags.preset {
        default = match Script::preset(name) {
            Some(script) => script,
            None => bail!(
                "no preset `{name}`; there are: {}",
                Script::presets().join(", ")
            ),
        };
    }
    if let Some(text) = &flags.text {
        default = Script::text(text);
    }
    if let Some(path) = &flags.script {
        match read_scripts(path)? {
            Scripts::Default(script) => default = *script,
            Scripts::Queue(scripts) => queue = scripts,
        }
    }
    if let Some(events) = flags.events {
        default = default.repeat_delta(events, flags.delta.as_str());
    }
    if let Some(gap) = flags.gap {
        default = default.event_gap(gap);
    }
    if let Some(delay) = flags.delay {
        default = default.delay_head(delay);
    }
    if let Some(split) = flags.split {
        default = default.split(split);
    }
    if let Some(fault) = &flags.fault {
        default = default.fault(fault.clone());
    }
    Ok((default, queue))
}

enum Scripts {
    Default(Box<Script>),
    Queue(Vec<Script>),
}

fn read_scripts(path: &Path) -> anyhow::Result<Scripts> {
    let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let parsed = if text.trim_ascii_start().first() == Some(&b'[') {
        serde_json::from_slice(&text).map(Scripts::Queue)
    } else {
        serde_json::from_slice(&text).map(Scripts::Default)
    };
    parsed.with_context(|| format!("read a script from {}", path.display()))
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = text.strip_prefix(digits).unwrap_or_default();
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("`{text}`: write 50ms, 2s or 1m"))?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err(format!("`{text}`: write 50ms, 2s or 1m")),
    }
}

/// Parses `KEY=ACCOUNT`.
fn account(text: &str) -> Result<(String, Account), String> {
    let (key, account) = text
        .split_once('=')
        .ok_or("write KEY=ORGANISATION/WORKSPACE")?;
    let account = account
        .parse::<Account>()
        .map_err(|error| error.to_string())?;
    Ok((key.to_owned(), account))
}
