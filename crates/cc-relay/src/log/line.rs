//! One request as one line: JSON for machines, short for people.
//!
//! JSON names are those of [`relay_core::semconv`], which spans share.

use std::borrow::Cow;
use std::time::Duration;

use relay_config::LogLevel;
use relay_core::capability::Capability;
use relay_core::price::Money;
use relay_core::project::ProjectName;
use relay_core::record::{Attempt, ConnectionFacts, Exhibit, Observation, Outcome, RequestRecord};
use relay_core::request::{ModelName, SessionId};
use relay_core::semconv as name;
use relay_core::snapshot::TargetId;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

/// Returns the level of a request's line: an error where the client saw a failure that was not its
/// own.
pub(super) fn level(record: &RequestRecord) -> LogLevel {
    let server_fault = record.status.is_some_and(|status| status >= 500);
    let broken = matches!(
        record.outcome,
        Outcome::StreamCut | Outcome::Stalled | Outcome::ErrorEvent
    );
    if server_fault || broken {
        LogLevel::Error
    } else {
        LogLevel::Info
    }
}

/// Returns a time as RFC 3339 in UTC with milliseconds.
pub(crate) fn timestamp(unix: Duration) -> String {
    let milliseconds = i64::try_from(unix.as_millis()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Longest text of somebody else's in a line for people. The longest model names are below 100.
const READABLE_CHARS: usize = 200;

/// Returns a text that a terminal can show: what could break the line, move the cursor, colour the
/// screen or turn the direction of reading is escaped, and what is too long is cut. Model names,
/// paths and error types are the word of clients and upstreams.
pub(crate) fn readable(text: &str) -> Cow<'_, str> {
    let is_plain = |letter: char| {
        !letter.is_control()
            && !matches!(letter, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.len() <= READABLE_CHARS && text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for (place, letter) in text.chars().enumerate() {
        if place == READABLE_CHARS {
            shown.push('…');
            break;
        }
        if is_plain(letter) {
            shown.push(letter);
        } else {
            shown.extend(letter.escape_default());
        }
    }
    Cow::Owned(shown)
}

/// Writes the line for machines.
pub(super) fn json(record: &RequestRecord, out: &mut Vec<u8>) {
    // A map of plain values and a vector as its target: this cannot fail.
    drop(serde_json::to_writer(&mut *out, &Line(record)));
    out.push(b'\n');
}

struct Line<'a>(&'a RequestRecord);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.0;
        let severity = if level(record) == LogLevel::Error {
            "ERROR"
        } else {
            "INFO"
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(
            "timestamp",
            &timestamp(record.started.saturating_add(record.duration)),
        )?;
        map.serialize_entry("severity_text", severity)?;
        map.serialize_entry("event.name", "request")?;
        let trace = record.trace.as_ref();
        some(&mut map, "trace_id", trace.map(|it| it.id.to_string()))?;
        let span = trace.and_then(|trace| trace.span);
        some(&mut map, "span_id", span.map(|it| it.to_string()))?;
        map.serialize_entry(name::METHOD, record.method.as_str())?;
        map.serialize_entry(name::PATH, &record.path)?;
        some(&mut map, name::STATUS, record.status)?;
        map.serialize_entry(name::REQUEST_ID, &record.request_id)?;
        map.serialize_entry(name::OUTCOME, record.outcome.name())?;
        some(&mut map, name::ERROR_TYPE, record.error_type.as_deref())?;
        some(&mut map, "ccrelay.budget", record.budget.as_deref())?;
        let endpoint = (!record.endpoint.is_empty()).then_some(record.endpoint);
        some(&mut map, name::ENDPOINT, endpoint)?;
        some(&mut map, name::CLIENT, record.client.as_deref())?;
        some(
            &mut map,
            name::PROVIDER,
            record.target.as_ref().map(TargetId::as_str),
        )?;
        routed(&mut map, record)?;
        some(
            &mut map,
            name::UPSTREAM_REQUEST_ID,
            record.upstream_request_id.as_deref(),
        )?;
        gen_ai(&mut map, record)?;
        some(&mut map, name::COST, record.cost.map(dollars))?;
        map.serialize_entry(name::STREAM, &record.stream)?;
        times(&mut map, record)?;
        map.serialize_entry("http.request.body.size", &record.request_bytes)?;
        map.serialize_entry("http.response.body.size", &record.response_bytes)?;
        if record.events > 0 {
            map.serialize_entry("ccrelay.events", &record.events)?;
        }
        if let Some(connection) = &record.connection
            && record.logs_connection
        {
            connection_facts(&mut map, connection)?;
        }
        if let Some(exhibit) = &record.exhibit {
            exhibits(&mut map, exhibit)?;
        }
        map.end()
    }
}

/// How long its parts took.
fn times<M: serde::ser::SerializeMap>(map: &mut M, record: &RequestRecord) -> Result<(), M::Error> {
    some(
        map,
        "ccrelay.time_to_head_s",
        record.time_to_head.map(seconds),
    )?;
    some(
        map,
        name::FIRST_EVENT,
        record.time_to_first_event.map(seconds),
    )?;
    some(
        map,
        "ccrelay.longest_gap_s",
        record.longest_gap.map(seconds),
    )?;
    map.serialize_entry("ccrelay.duration_s", &seconds(record.duration))?;
    map.serialize_entry("ccrelay.overhead_s", &seconds(record.overhead))
}

/// How the request found its upstream.
fn routed<M: serde::ser::SerializeMap>(
    map: &mut M,
    record: &RequestRecord,
) -> Result<(), M::Error> {
    let key = record.key.as_ref();
    some(map, name::KEY, key.map(|key| &*key.name))?;
    some(map, name::KEY_ID, key.map(|key| key.id.as_str().to_owned()))?;
    some(map, name::AFFINITY, record.affinity)?;
    if !record.waited.is_zero() {
        map.serialize_entry("ccrelay.waited_s", &seconds(record.waited))?;
    }
    if record.thinking_removed > 0 {
        map.serialize_entry("ccrelay.thinking_removed", &record.thinking_removed)?;
    }
    if !record.left_out.is_empty() {
        let names: Vec<&str> = record.left_out.iter().map(Capability::as_str).collect();
        map.serialize_entry("ccrelay.left_out", &names)?;
    }
    let hops: Vec<Hop<'_>> = record.attempts.iter().map(Hop::of).collect();
    some(
        map,
        "ccrelay.hops",
        Some(hops).filter(|hops| !hops.is_empty()),
    )
}

/// An attempt that failed before the client saw anything of it.
#[derive(Serialize)]
struct Hop<'a> {
    provider: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    reason: &'static str,
    took_s: f64,
}

impl<'a> Hop<'a> {
    fn of(attempt: &'a Attempt) -> Self {
        Self {
            provider: attempt.target.as_str(),
            key: attempt.key.as_ref().map(|key| &*key.name),
            status: attempt.status,
            reason: attempt.reason,
            took_s: seconds(attempt.took),
        }
    }
}

fn gen_ai<M: serde::ser::SerializeMap>(
    map: &mut M,
    record: &RequestRecord,
) -> Result<(), M::Error> {
    some(
        map,
        name::MODEL,
        record.model.as_ref().map(ModelName::as_str),
    )?;
    some(map, name::RESPONSE_MODEL, record.response_model.as_deref())?;
    some(
        map,
        name::FINISH_REASONS,
        record.stop_reason.as_deref().map(|it| [it]),
    )?;
    some(
        map,
        name::CONVERSATION,
        record.session.as_ref().map(SessionId::as_str),
    )?;
    some(map, name::AGENT, record.agent.as_deref())?;
    let project = record.project.as_ref().map(ProjectName::as_str);
    some(map, name::PROJECT, project)?;
    let usage = &record.usage;
    some(map, name::INPUT_TOKENS, usage.total_input_tokens())?;
    some(map, name::CACHE_READ_TOKENS, usage.cache_read_input_tokens)?;
    some(
        map,
        name::CACHE_WRITE_TOKENS,
        usage.cache_creation_input_tokens,
    )?;
    some(map, name::OUTPUT_TOKENS, usage.output_tokens)?;
    if record.observation == Observation::Unreadable {
        map.serialize_entry("ccrelay.usage.unreadable", &true)?;
    }
    Ok(())
}

fn connection_facts<M: serde::ser::SerializeMap>(
    map: &mut M,
    connection: &ConnectionFacts,
) -> Result<(), M::Error> {
    map.serialize_entry("ccrelay.connection.reused", &connection.reused)?;
    map.serialize_entry("network.protocol.version", connection.protocol)?;
    some(map, "ccrelay.connection.dns_s", connection.dns.map(seconds))?;
    some(
        map,
        "ccrelay.connection.connect_s",
        connection.connect.map(seconds),
    )?;
    some(
        map,
        "ccrelay.connection.tls_handshake_s",
        connection.handshake.map(seconds),
    )?;
    some(
        map,
        "tls.protocol.version",
        connection.tls_version.as_deref(),
    )?;
    some(map, "tls.cipher", connection.tls_cipher.as_deref())
}

fn exhibits<M: serde::ser::SerializeMap>(map: &mut M, exhibit: &Exhibit) -> Result<(), M::Error> {
    let headers = |lines: &[(Box<str>, Box<str>)]| (!lines.is_empty()).then(|| lines.to_vec());
    some(
        map,
        "ccrelay.request.headers",
        headers(&exhibit.request_headers),
    )?;
    some(
        map,
        "ccrelay.response.headers",
        headers(&exhibit.response_headers),
    )?;
    some(map, "ccrelay.request.body", exhibit.request_body.as_deref())?;
    some(
        map,
        "ccrelay.response.body",
        exhibit.response_body.as_deref(),
    )
}

/// Writes a value that is known. What is unknown is absent, never zero.
fn some<M: serde::ser::SerializeMap, T: Serialize>(
    map: &mut M,
    name: &'static str,
    value: Option<T>,
) -> Result<(), M::Error> {
    match value {
        Some(value) => map.serialize_entry(name, &value),
        None => Ok(()),
    }
}

/// Rounds to microseconds.
fn seconds(duration: Duration) -> f64 {
    let micros =
        u32::try_from(duration.as_micros()).map_or(duration.as_secs_f64() * 1e6, f64::from);
    micros / 1e6
}

/// Returns an amount in dollars to the millionth.
fn dollars(amount: Money) -> String {
    let micros = amount.as_nano_dollars() / 1_000;
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// Says an attempt for people.
fn hop(attempt: &Attempt) -> String {
    let key = attempt.key.as_ref().map(|key| format!("/{}", key.name));
    let key = key.unwrap_or_default();
    format!("hop={}{key}:{}", attempt.target, attempt.reason)
}

/// Returns what a request belongs to, as far as that is known.
fn belongings(record: &RequestRecord) -> [Option<String>; 3] {
    let budget = record.budget.as_ref();
    let session = record.session.as_ref();
    [
        budget.map(|budget| format!("budget={budget}")),
        session.map(|session| format!("session={}", session.as_str())),
        record.trace.map(|trace| format!("trace={}", trace.id)),
    ]
}

/// Writes the line for people.
pub(super) fn pretty(record: &RequestRecord, out: &mut Vec<u8>) {
    let time = timestamp(record.started.saturating_add(record.duration));
    let time = time.get(11..23).unwrap_or_default();
    let level = if level(record) == LogLevel::Error {
        "ERROR"
    } else {
        "INFO "
    };
    let status = record.status.map(|status| status.to_string());
    let status = status.as_deref().unwrap_or("-");
    let what = record
        .model
        .as_ref()
        .map_or(&*record.path, |model| model.as_str());
    let target = record.target.as_ref().map_or("-", |target| target.as_str());
    let key = record.key.as_ref().map(|key| format!("/{}", key.name));
    let key = key.unwrap_or_default();
    let mut line = format!(
        "{time} {level} request  {status} {} {target}{key}",
        readable(what)
    );
    let mut add = |text: std::fmt::Arguments<'_>| {
        line.push(' ');
        line.push_str(&text.to_string());
    };
    add(format_args!("{:.2}s", record.duration.as_secs_f64()));
    if let Some(ttfe) = record.time_to_first_event {
        add(format_args!("ttfe={:.2}s", ttfe.as_secs_f64()));
    }
    let usage = &record.usage;
    for (name, tokens) in [
        ("in", usage.total_input_tokens()),
        ("cache_read", usage.cache_read_input_tokens),
        ("out", usage.output_tokens),
    ] {
        if let Some(tokens) = tokens {
            add(format_args!("{name}={tokens}"));
        }
    }
    if let Some(cost) = record.cost {
        add(format_args!("{cost}"));
    }
    for attempt in &record.attempts {
        add(format_args!("{}", hop(attempt)));
    }
    if record.outcome != Outcome::Complete {
        add(format_args!("{}", record.outcome.name()));
    }
    if let Some(error) = &record.error_type {
        add(format_args!("error={}", readable(error)));
    }
    for word in belongings(record).into_iter().flatten() {
        add(format_args!("{word}"));
    }
    add(format_args!("{}", readable(&record.request_id)));
    line.push('\n');
    out.extend_from_slice(line.as_bytes());
}
