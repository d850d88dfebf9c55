//! `status`: how the running relay is doing.
//!
//! In: the relay's address. Out: one screen or JSON, and an exit code for scripts: 0 healthy,
//! 3 degraded or draining, 4 no usable provider, 69 not reachable. It asks `/health` once and
//! changes nothing.

mod budget;
mod screen;

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderMap;
use relay_core::error::chain;
use serde::{Deserialize, Serialize};

use crate::cli::StatusArgs;
use crate::command::{Context, block_on, config};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::http::{GetError, get_from};

pub use budget::Budget;
use screen::screen;

const LIMIT: Duration = Duration::from_secs(5);

/// What `/health` answers. Every field may be missing: the relay may be another version.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub struct Health {
    /// `ok` or `draining`.
    pub status: Option<String>,
    /// The relay's version.
    pub version: Option<String>,
    /// Seconds since the start.
    pub uptime_s: Option<f64>,
    /// The first hex digits of the configuration's digest.
    pub config: Option<String>,
    /// Times that another configuration was put in force.
    pub reloads: Option<u64>,
    /// Times that one was refused.
    pub reloads_refused: Option<u64>,
    /// Why the last one was refused, if it was.
    pub config_refused: Option<String>,
    /// Requests under way.
    pub live: Option<u64>,
    /// Requests since the start.
    pub requests: Option<u64>,
    /// Of these, failed ones.
    pub failed: Option<u64>,
    /// Times that an upstream was asked again without what it could not take.
    pub left_out: Option<u64>,
    /// How upstreams are ordered.
    pub strategy: Option<String>,
    /// Sessions whose home is known.
    pub sessions: Option<u64>,
    /// Requests that wait for capacity.
    pub waiting: Option<u64>,
    /// The upstreams.
    pub upstreams: Vec<Upstream>,
    /// What may be spent, and how much of it was.
    pub budgets: Vec<Budget>,
}

/// One upstream in `/health`.
#[derive(Debug, Default, Clone, Deserialize, Serialize)]
#[serde(default)]
pub struct Upstream {
    /// Its name.
    pub name: Option<String>,
    /// Its address.
    pub url: Option<String>,
    /// `up`, `slow`, `probing`, `open`, `cooling`, `off` or a word of a later version.
    pub state: Option<String>,
    /// The relay's keys for it.
    pub keys: Vec<Key>,
    /// What it has refused to take.
    pub lacks: Vec<Lacks>,
}

/// Something that an upstream cannot take.
#[derive(Debug, Default, Clone, Deserialize, Serialize)]
#[serde(default)]
pub struct Lacks {
    /// For this model, as the upstream calls it.
    pub model: Option<String>,
    /// A beta's name or a field's path.
    pub capability: Option<String>,
    /// How long the relay believes it.
    pub for_s: Option<f64>,
}

/// How the relay is, as one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Everything works.
    Healthy,
    /// It serves, with something amiss.
    Degraded,
    /// It finishes what it has and takes nothing more.
    Draining,
    /// No provider is usable.
    Down,
}

impl State {
    /// Returns the exit code that says so.
    pub fn exit(self) -> Exit {
        match self {
            Self::Healthy => Exit::Done,
            Self::Degraded | Self::Draining => Exit::Degraded,
            Self::Down => Exit::NoProvider,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Draining => "draining",
            Self::Down => "down, no usable provider",
        }
    }
}

impl Health {
    /// Judges the whole from its parts. An upstream that is `off` is off on purpose: it makes
    /// nothing worse, and cannot serve either.
    pub fn state(&self) -> State {
        let on: Vec<&str> = self
            .upstreams
            .iter()
            .map(Upstream::word)
            .filter(|s| *s != "off")
            .collect();
        let broken = on
            .iter()
            .filter(|state| matches!(**state, "open" | "down" | "bad"))
            .count();
        if !self.upstreams.is_empty() && broken == on.len() {
            return State::Down;
        }
        match self.status.as_deref() {
            Some("draining") => State::Draining,
            None | Some("ok") if self.config_refused.is_some() => State::Degraded,
            None | Some("ok")
                if on
                    .iter()
                    .all(|state| matches!(*state, "up" | "ok" | "idle" | "-")) =>
            {
                State::Healthy
            }
            _ => State::Degraded,
        }
    }
}

/// A key of the relay's, by name.
#[derive(Debug, Default, Clone, Deserialize, Serialize)]
#[serde(default)]
pub struct Key {
    /// Its name in the config file.
    pub name: Option<String>,
    /// The start of its SHA-256.
    pub id: Option<String>,
    /// Requests under way with it.
    pub in_flight: u64,
    /// What is left of its tightest limit.
    pub capacity_percent: Option<u64>,
    /// How long it is left alone.
    pub cools_for_s: Option<f64>,
}

impl Key {
    /// Says what is to be known of it; nothing where all is well.
    fn trouble(&self) -> Option<String> {
        let name = self.name.as_deref().unwrap_or("-");
        if let Some(seconds) = self.cools_for_s {
            return Some(format!("{name} cools {}", uptime(seconds)));
        }
        let left = self.capacity_percent.filter(|left| *left < 20)?;
        Some(format!("{name} {left}% left"))
    }
}

impl Upstream {
    fn word(&self) -> &str {
        self.state.as_deref().unwrap_or("-")
    }
}

/// Where the relay is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `HOST:PORT`.
    pub authority: String,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// A certificate (PEM) to trust: the relay's own.
    pub trust: Option<PathBuf>,
}

impl Endpoint {
    /// Reads an address with or without `http://` or `https://`.
    pub fn parse(text: &str) -> Self {
        let (tls, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some((_, rest)) => (false, rest),
            None => (false, text),
        };
        let authority = rest.split('/').next().unwrap_or(rest);
        let authority = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        Self {
            authority: authority.to_owned(),
            tls,
            trust: None,
        }
    }

    /// Returns the endpoint as a URL.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }
}

/// Asks the relay for its health.
///
/// # Errors
/// When there is no answer, or one that is not the relay's.
pub async fn ask(endpoint: &Endpoint) -> Result<Health, Failure> {
    let url = endpoint.url();
    let failure = |message: String| {
        Failure::new(Exit::Unreachable, "unreachable", message)
            .help("start it: cc-relay serve; or name another address: --addr HOST:PORT")
    };
    let answer = match url.parse::<http::Uri>() {
        Ok(base) => {
            let trust = endpoint.trust.as_deref();
            get_from(&base, "/health", HeaderMap::new(), trust, LIMIT).await
        }
        Err(_) => Err(GetError::Address),
    };
    let answer =
        answer.map_err(|error| failure(format!("no relay answers at {url}: {}", chain(&error))))?;
    let health = serde_json::from_slice::<Health>(&answer.body);
    match health {
        Ok(health) if health.status.is_some() => Ok(health),
        Ok(_) | Err(_) => Err(failure(format!(
            "something else answers at {url} (status {}): it is not cc-relay",
            answer.status.as_u16()
        ))),
    }
}

/// Prints how the relay is doing.
///
/// # Errors
/// Exit 69 when no relay answers.
pub fn run(context: &mut Context, arguments: &StatusArgs) -> Result<Exit, Failure> {
    let endpoint = endpoint(context, arguments.addr.as_deref());
    if arguments.addr.is_none() && config::load(context).is_err() {
        let words = "the configuration has faults (cc-relay config validate); asking at";
        context.out.note(&format!("{words} {}", endpoint.url()));
    }
    let health = block_on(ask(&endpoint))??;
    let url = endpoint.url();
    let state = health.state();
    if context.out.is_json() {
        let data = serde_json::json!({
            "state": state,
            "url": url,
            "version": health.version,
            "uptime_ms": health.uptime_s.map(|seconds| (seconds * 1000.0).round()),
            "config": health.config,
            "reloads": health.reloads,
            "reloads_refused": health.reloads_refused,
            "config_refused": health.config_refused,
            "live": health.live,
            "requests": health.requests,
            "failed": health.failed,
            "left_out": health.left_out,
            "strategy": health.strategy,
            "sessions": health.sessions,
            "waiting": health.waiting,
            "upstreams": health.upstreams,
            "budgets": health.budgets,
        });
        context.out.data(data, &[])?;
    } else {
        for line in screen(&health, state, &url, context.env.ascii_only()) {
            context.out.line(&line)?;
        }
    }
    Ok(state.exit())
}

/// Returns where to ask: at the address named, else where the configuration listens.
pub fn endpoint(context: &Context, named: Option<&str>) -> Endpoint {
    let configured = config::endpoint(context);
    match named.map(Endpoint::parse) {
        Some(named) if named.authority != configured.authority => Endpoint {
            trust: configured.trust,
            ..named
        },
        // The same address speaks what the configuration says.
        Some(_) | None => configured,
    }
}

/// Returns a length of time as people say it: `12s`, `7m03s`, `3h12m`, `4d07h`.
pub fn uptime(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds)
        .unwrap_or_default()
        .as_secs();
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86_400);
    match whole {
        0..60 => format!("{whole}s"),
        60..3600 => format!("{minutes}m{:02}s", whole % 60),
        3600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(json: &str) -> Health {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_whole_is_judged_from_its_parts() {
        let cases = [
            (r#"{"status":"ok"}"#, State::Healthy),
            (
                r#"{"status":"ok","upstreams":[{"name":"a","state":"up"}]}"#,
                State::Healthy,
            ),
            (
                r#"{"status":"ok","upstreams":[{"state":"up"},{"state":"off"}]}"#,
                State::Healthy,
            ),
            (
                r#"{"status":"ok","upstreams":[{"state":"up"},{"state":"open"}]}"#,
                State::Degraded,
            ),
            (
                r#"{"status":"ok","upstreams":[{"state":"slow"}]}"#,
                State::Degraded,
            ),
            (
                r#"{"status":"ok","upstreams":[{"state":"open"}]}"#,
                State::Down,
            ),
            (
                r#"{"status":"ok","upstreams":[{"state":"off"}]}"#,
                State::Down,
            ),
            (
                r#"{"status":"draining","upstreams":[{"state":"up"}]}"#,
                State::Draining,
            ),
            (r#"{"status":"strange"}"#, State::Degraded),
            (
                r#"{"status":"ok","later":1,"upstreams":[{"name":"a","more":{}}]}"#,
                State::Healthy,
            ),
        ];
        for (json, expected) in cases {
            assert_eq!(health(json).state(), expected, "{json}");
        }
    }

    #[test]
    fn times_read_well() {
        let cases = [
            (0.0, "0s"),
            (59.9, "59s"),
            (423.0, "7m03s"),
            (11_520.0, "3h12m"),
            (370_800.0, "4d07h"),
            (-1.0, "0s"),
        ];
        for (seconds, text) in cases {
            assert_eq!(uptime(seconds), text);
        }
    }
}
