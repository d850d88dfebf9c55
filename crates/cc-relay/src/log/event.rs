//! The relay's own events, as `tracing` hands them over.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use relay_api::v1;
use relay_config::LogLevel;
use relay_manage::Events;
use relay_proxy::clock;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use super::line::{readable, timestamp};
use super::{Entry, Inlet, Threshold};

/// One event.
#[derive(Debug)]
pub(super) struct Event {
    unix: Duration,
    level: &'static str,
    message: String,
    /// In the order in which they were given.
    fields: Vec<(&'static str, Value)>,
}

impl Event {
    /// The sign to end; it is not written.
    pub(super) fn last() -> Self {
        Self::new(Duration::ZERO, "", String::new())
    }

    pub(super) fn is_last(&self) -> bool {
        self.level.is_empty()
    }

    /// Says that lines were dropped.
    pub(super) fn dropped(unix: Duration, lines: u64) -> Self {
        let mut event = Self::new(
            unix,
            "WARN",
            "log lines dropped: the queue was full".to_owned(),
        );
        event.fields.push(("lines", lines.into()));
        event
    }

    fn new(unix: Duration, level: &'static str, message: String) -> Self {
        Self {
            unix,
            level,
            message,
            fields: Vec::new(),
        }
    }

    /// Writes the event as a line.
    pub(super) fn write(&self, json: bool, out: &mut Vec<u8>) {
        if json {
            // A map of plain values and a vector as its target: this cannot fail.
            drop(serde_json::to_writer(&mut *out, self));
        } else {
            out.extend_from_slice(self.pretty().as_bytes());
        }
        out.push(b'\n');
    }

    fn pretty(&self) -> String {
        let time = timestamp(self.unix);
        let time = time.get(11..23).unwrap_or_default();
        format!("{time} {:5} {}", self.level, self.words())
    }

    /// Returns the event as the management API tells it.
    fn message(&self) -> v1::Event {
        let level = match self.level {
            "ERROR" => v1::Level::Error,
            "WARN" => v1::Level::Warn,
            "INFO" => v1::Level::Info,
            _ => v1::Level::Debug,
        };
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), Into::into);
        let fields = self
            .fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), text(value)));
        let is_name = !self.message.contains(' ');
        v1::Event {
            unix_ms: u64::try_from(self.unix.as_millis()).unwrap_or(u64::MAX),
            level: level.into(),
            name: if is_name {
                self.message.clone()
            } else {
                String::new()
            },
            message: self.words(),
            fields: fields.collect(),
        }
    }

    fn words(&self) -> String {
        let mut line = readable(&self.message).into_owned();
        for (name, value) in &self.fields {
            for part in [" ", name, "=", &readable(&value.to_string())] {
                line.push_str(part);
            }
        }
        line
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &timestamp(self.unix))?;
        map.serialize_entry("severity_text", self.level)?;
        map.serialize_entry("body", &self.message)?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Makes this process's events come to a log.
pub(super) fn subscribe(
    inlet: Inlet,
    watched: Arc<Events>,
) -> Result<(), tracing::subscriber::SetGlobalDefaultError> {
    tracing::subscriber::set_global_default(subscriber(inlet, watched))
}

/// Returns what takes events and gives them to a log.
pub(super) fn subscriber(inlet: Inlet, watched: Arc<Events>) -> impl Subscriber + Send + Sync {
    let ours = Ours(inlet.level.clone());
    tracing_subscriber::registry().with(Forward(inlet, watched).with_filter(ours))
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Ours at the level asked for; the libraries' only from warnings on, and all at `trace`.
struct Ours(Threshold);

impl Ours {
    fn admits(&self, metadata: &Metadata<'_>) -> bool {
        let ours = ["relay_", "cc_relay"]
            .iter()
            .any(|name| metadata.target().starts_with(name));
        let asked = filter(self.0.get());
        let level = if ours || asked == LevelFilter::TRACE {
            asked
        } else {
            asked.min(LevelFilter::WARN)
        };
        *metadata.level() <= level
    }
}

impl<S> tracing_subscriber::layer::Filter<S> for Ours {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.admits(metadata)
    }

    /// What is written of an event is settled here, once for each place in the code and again when
    /// the level changes.
    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.admits(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(filter(self.0.get()))
    }
}

struct Forward(Inlet, Arc<Events>);

impl<S: Subscriber> Layer<S> for Forward {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARN",
            Level::INFO => "INFO",
            Level::DEBUG => "DEBUG",
            Level::TRACE => "TRACE",
        };
        let mut entry = Event::new(clock::unix(), level, String::new());
        event.record(&mut entry);
        self.1.push(entry.message());
        self.0.push(Entry::Event(entry));
    }
}

impl Visit for Event {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.push((field.name(), text.into()));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.push((field.name(), value.into()));
    }
}
