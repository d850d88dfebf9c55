//! From the raw form to the plan: what the values mean together.
//!
//! In: the raw form, the place of each value, the faults so far. Out: a plan with its warnings,
//! and more faults. It reads no file but asks whether named ones are there. It must never fault a
//! value that the walk faulted already, nor put a credential into words.

mod address;
mod budget;
mod client;
mod cloud;
mod grpc;
mod history;
mod key;
mod metrics;
mod model;
mod prices;
mod provider;
mod routing;
mod traces;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use relay_core::secret::Secret;

use crate::mask;
use crate::plan::{
    DebugPlan, FilePlan, LogFormat, LogLevel, LoggingPlan, Plan, ProviderPlan, ServerPlan, TlsPlan,
    Warning,
};
use crate::raw;
use crate::source::Words;
use crate::walk::Walk;

/// The check and what it has gathered.
pub(crate) struct Check<'w, 'a> {
    walk: &'w mut Walk<'a>,
    warnings: Vec<Warning>,
    /// Names of providers that stand in the file and may be repeated in a fault.
    said: Vec<String>,
}

/// Makes the plan of a raw form. Faults go to the walk; with any, the plan is not to be used.
pub(crate) fn check(raw: raw::Raw, walk: &mut Walk<'_>) -> Plan {
    let mut check = Check {
        walk,
        warnings: Vec::new(),
        said: Vec::new(),
    };
    if raw.providers.is_none() {
        check.said.push(ProviderPlan::anthropic().name);
    }
    let mut plan = Plan::transparent();
    plan.server = check.server(raw.server);
    if let Some(providers) = raw.providers {
        plan.providers = check.providers(providers);
    }
    plan.routing = check.routing(raw.routing, &plan.providers);
    plan.health = check.health(&raw.health);
    plan.logging = check.logging(raw.logging);
    plan.metrics = check.metrics(raw.metrics);
    plan.history = check.history(raw.history, !raw.budgets.is_empty());
    plan.budgets = check.budgets(raw.budgets, &plan);
    plan.traces = check.traces(raw.traces);
    plan.grpc = check.grpc(raw.grpc);
    plan.price_file = check.price_file(raw.prices);
    check.exposure(&plan);
    plan.warnings = check.warnings;
    plan
}

impl Check<'_, '_> {
    /// Adds a fault at a path, or at the nearest part of it that the file holds.
    fn fault(&mut self, path: &str, code: &'static str, message: String, label: &str, help: &str) {
        let mut at = path;
        while !self.walk.places.contains_key(at) && !at.is_empty() {
            at = at.rsplit_once(['.', '[']).map_or("", |(parent, _)| parent);
        }
        let span = self.walk.places.get(at).cloned().unwrap_or_default().span;
        let words = Words {
            code,
            message,
            path: path.to_owned(),
            label: label.to_owned(),
            help: help.to_owned(),
        };
        self.walk.fault(&span, words);
    }

    /// Adds a fault at the key of a table's entry, given by the path of its value.
    fn key_fault(&mut self, path: &str, mut words: Words) {
        let span = self.walk.keys.get(path).cloned().unwrap_or_default();
        path.clone_into(&mut words.path);
        self.walk.fault(&span, words);
    }

    fn warn(&mut self, message: String, fix: &str) {
        self.warnings.push(Warning {
            message,
            fix: fix.to_owned(),
        });
    }

    /// Tells whether a value came, at least in part, from a variable.
    fn referenced(&self, path: &str) -> bool {
        self.walk
            .places
            .get(path)
            .is_some_and(|place| place.referenced)
    }

    /// Returns a value for use in a message; what a variable holds is never said.
    fn shown(&self, text: &str, path: &str) -> String {
        if self.referenced(path) {
            "from the environment".to_owned()
        } else {
            mask::word(text)
        }
    }

    /// Tells whether a place, or anything in it, is at fault already.
    fn faulty(&self, path: &str) -> bool {
        let inside = |other: &str| {
            other
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.walk.faults.iter().any(|fault| inside(&fault.path))
    }

    /// Returns a value that must be there and not be empty.
    fn needed(&mut self, value: Option<String>, path: &str, help: &str) -> Option<String> {
        if self.faulty(path) {
            return None;
        }
        let name = path.rsplit('.').next().unwrap_or(path);
        match value {
            Some(text) if !text.trim().is_empty() => Some(text),
            Some(_) => {
                self.fault(
                    path,
                    "config::empty",
                    format!("`{name}` is empty"),
                    "empty",
                    help,
                );
                None
            }
            None => {
                let message = format!("`{name}` is missing");
                let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
                let label = format!("`{parent}` needs `{name}`");
                self.fault(path, "config::missing_key", message, &label, help);
                None
            }
        }
    }

    /// Returns a credential, or nothing if it is absent, skipped by `${VAR:-}`, or at fault.
    fn secret(&mut self, value: Option<String>, path: &str) -> Option<Secret> {
        let text = value?;
        let place = self.walk.places.get(path).cloned().unwrap_or_default();
        if place.defaulted {
            let message = format!("`{path}` is left out: its variable is not set");
            self.warn(message, "set the variable, or remove the line");
            return None;
        }
        if text.is_empty() {
            let help = "set it, remove the line, or write ${NAME:-} to skip it while unset";
            self.fault(
                path,
                "config::empty",
                "the credential is empty".to_owned(),
                "empty",
                help,
            );
            return None;
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = "the credential cannot be sent in a header".to_owned();
            let label = "holds a space, a line break or a character outside ASCII";
            let help = "copy it again, without what surrounds it";
            self.fault(path, "config::bad_credential", message, label, help);
            return None;
        }
        if !place.referenced {
            let message = format!("`{path}` is written in the file");
            self.warn(
                message,
                "put it into an environment variable and write ${NAME}",
            );
        }
        Some(Secret::new(text))
    }

    /// Returns the path of a file that must be there.
    fn file(&mut self, value: Option<String>, path: &str) -> Option<PathBuf> {
        let text = value?;
        if !Path::new(&text).is_file() {
            let help = "check the path and its rights; a relative one starts at the working folder";
            let message = "the file is not there".to_owned();
            self.fault(path, "config::file_missing", message, "no such file", help);
            return None;
        }
        Some(PathBuf::from(text))
    }

    /// Faults a name that was used before.
    fn unique(&mut self, seen: &mut BTreeSet<String>, name: &str, path: &str, what: &str) {
        if !seen.insert(name.to_owned()) {
            let shown = self.shown(name, path);
            let message = format!("the {what} name {shown} is taken");
            self.fault(
                path,
                "config::duplicate_name",
                message,
                "taken",
                "choose another name",
            );
        }
    }

    fn server(&mut self, raw: raw::Server) -> ServerPlan {
        let base = ServerPlan::default();
        let bytes = |value: Option<u64>, default: usize| value.map_or(default, size);
        ServerPlan {
            listen: raw
                .listen
                .and_then(|text| self.listen(&text, "server.listen"))
                .unwrap_or(base.listen),
            tls: raw.tls.and_then(|tls| self.tls(tls)),
            enable_http2: raw.enable_http2.unwrap_or(base.enable_http2),
            workers: raw.workers.and_then(|count| NonZeroUsize::new(size(count))),
            max_body_bytes: bytes(raw.max_body_bytes, base.max_body_bytes),
            max_passthrough_bytes: raw
                .max_passthrough_bytes
                .unwrap_or(base.max_passthrough_bytes),
            max_concurrent: bytes(raw.max_concurrent, base.max_concurrent),
            max_connections: bytes(raw.max_connections, base.max_connections),
            timeout: millis(raw.timeout_ms, base.timeout),
            stream_first_byte_timeout: millis(
                raw.stream_first_byte_timeout_ms,
                base.stream_first_byte_timeout,
            ),
            stream_gap_timeout: millis(raw.stream_gap_timeout_ms, base.stream_gap_timeout),
            body_read_timeout: millis(raw.body_read_timeout_ms, base.body_read_timeout),
            drain_timeout: millis(raw.drain_timeout_ms, base.drain_timeout),
            auth: self.auth(raw.auth, raw.api_key),
        }
    }

    fn listen(&mut self, text: &str, path: &str) -> Option<std::net::SocketAddr> {
        let parsed = address::listen(text);
        if parsed.is_none() {
            let name = path.rsplit('.').next().unwrap_or(path);
            let message = format!("`{name}` must be an address and a port");
            let help = "such as 127.0.0.1:8787 or [::1]:8787; for every interface 0.0.0.0:8787";
            let code = "config::bad_address";
            self.fault(path, code, message, "not an address", help);
        }
        parsed
    }

    fn tls(&mut self, raw: raw::Tls) -> Option<TlsPlan> {
        let help = "`tls` needs both `cert_file` and `key_file`, two PEM files";
        let cert = self.needed(raw.cert_file, "server.tls.cert_file", help);
        let key = self.needed(raw.key_file, "server.tls.key_file", help);
        let cert_file = self.file(cert, "server.tls.cert_file");
        let key_file = self.file(key, "server.tls.key_file");
        Some(TlsPlan {
            cert_file: cert_file?,
            key_file: key_file?,
        })
    }

    fn logging(&mut self, raw: raw::Logging) -> LoggingPlan {
        let base = LoggingPlan::default();
        if raw.pretty.is_some() && raw.format.is_some() {
            let message = "`pretty` and `format` are one setting".to_owned();
            let help = "keep `format`";
            self.fault(
                "logging.pretty",
                "config::conflict",
                message,
                "set twice",
                help,
            );
        }
        let format = match (raw.format, raw.pretty) {
            (Some(raw::LogFormat::Auto), _) | (None, None) => LogFormat::Auto,
            (Some(raw::LogFormat::Pretty), _) | (None, Some(true)) => LogFormat::Pretty,
            (Some(raw::LogFormat::Json), _) | (None, Some(false)) => LogFormat::Json,
        };
        LoggingPlan {
            level: raw.level.map_or(base.level, level),
            format,
            file: raw.file.and_then(|file| self.log_file(file)),
            debug_options: debug_options(&raw.debug_options),
        }
    }

    fn log_file(&mut self, raw: raw::LogFile) -> Option<FilePlan> {
        let path = self.needed(
            raw.path,
            "logging.file.path",
            "where to write, such as relay.log",
        )?;
        let base = FilePlan::at(PathBuf::from(path));
        let max_bytes = raw.max_bytes.unwrap_or(base.max_bytes);
        let keep = raw.keep.map_or(base.keep, size);
        Some(FilePlan {
            max_bytes,
            keep,
            ..base
        })
    }

    /// Looks at who can reach the relay and what they would find.
    fn exposure(&mut self, plan: &Plan) {
        let server = &plan.server;
        let at_fault = self.faulty("server");
        let open = server.auth.client_keys.is_empty() && !at_fault;
        let remote = !server.listen.ip().is_loopback();
        if open && remote && !server.auth.allow_unauthenticated_remote {
            let message = "the relay would listen beyond this machine without authentication";
            let help = "set `server.auth.api_key`, listen on 127.0.0.1, or say \
                        `server.auth.allow_unauthenticated_remote: true`";
            let label = "reachable by others";
            self.fault(
                "server.listen",
                "config::open_relay",
                message.to_owned(),
                label,
                help,
            );
        } else if open && remote {
            let message = "anyone who reaches this machine can use the relay".to_owned();
            self.warn(message, "set `server.auth.api_key`");
        } else if open
            && plan
                .providers
                .iter()
                .any(|provider| !provider.keys.is_empty())
        {
            let message = "any program on this machine can use the relay's keys".to_owned();
            self.warn(message, "set `server.auth.api_key`");
        }
        if remote && server.tls.is_none() && !at_fault {
            let message = "clients beyond this machine send their credentials in the clear";
            self.warn(
                message.to_owned(),
                "set `server.tls`, or put a TLS proxy in front",
            );
        }
    }
}

fn debug_options(raw: &raw::DebugOptions) -> DebugPlan {
    let base = DebugPlan::default();
    DebugPlan {
        log_headers: raw.log_headers.unwrap_or(base.log_headers),
        log_bodies: raw.log_bodies.unwrap_or(base.log_bodies),
        max_body_log_bytes: raw.max_body_log_bytes.map_or(base.max_body_log_bytes, size),
        log_connection: raw.log_connection.unwrap_or(base.log_connection),
    }
}

fn level(raw: raw::Level) -> LogLevel {
    match raw {
        raw::Level::Error => LogLevel::Error,
        raw::Level::Warn => LogLevel::Warn,
        raw::Level::Info => LogLevel::Info,
        raw::Level::Debug => LogLevel::Debug,
        raw::Level::Trace => LogLevel::Trace,
    }
}

/// A bound beyond the machine's own word is no bound; saturating keeps its meaning.
fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// The walk holds such a number to bounds far below what saturates here.
fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// As `small`, of a number that may be negative.
fn signed(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(0)
}

fn millis(value: Option<u64>, default: Duration) -> Duration {
    value.map_or(default, Duration::from_millis)
}
