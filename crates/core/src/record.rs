//! What is known of a request once it has ended: the one record that logs and counters are made of.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::capability::Capability;
use crate::price::Money;
use crate::project::ProjectName;
use crate::request::{ModelName, SessionId};
use crate::secret::KeyId;
use crate::snapshot::{Origin, TargetId};
use crate::trace::{SpanId, Trace};
use crate::usage::Usage;

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The upstream's answer went to the client whole, whatever its status.
    Complete,
    /// The upstream sent `event: error` after its head: passed on as it came.
    ErrorEvent,
    /// The upstream's answer broke off, or ended without saying so: the client's connection was
    /// aborted.
    StreamCut,
    /// The upstream fell silent in the middle of its answer: aborted likewise.
    Stalled,
    /// The client went away first.
    ClientGone,
    /// The relay answered by itself: nothing came from an upstream.
    Refused,
}

impl Outcome {
    /// Returns the name used in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ErrorEvent => "error_event",
            Self::StreamCut => "stream_cut",
            Self::Stalled => "stalled",
            Self::ClientGone => "client_gone",
            Self::Refused => "refused",
        }
    }
}

/// How well the relay could read a copy of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Observation {
    /// Nothing in it was to be read.
    None,
    /// Read whole.
    Read,
    /// It could not be read: too long, an unknown encoding, or no JSON. Usage is unknown.
    Unreadable,
}

/// How the connection to the upstream came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// Whether an open connection was used again.
    pub reused: bool,
    /// `h1` or `h2`.
    pub protocol: &'static str,
    /// Time for the name lookup, where one was made.
    pub dns: Option<Duration>,
    /// Time for the TCP (and proxy) connect.
    pub connect: Option<Duration>,
    /// Time for the TLS handshake.
    pub handshake: Option<Duration>,
    /// For example `TLSv1_3`.
    pub tls_version: Option<Arc<str>>,
    /// For example `TLS13_AES_256_GCM_SHA384`.
    pub tls_cipher: Option<Arc<str>>,
}

/// The name of one of the relay's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName {
    /// By its digest.
    pub id: KeyId,
    /// As the config file calls it.
    pub name: Arc<str>,
}

/// An attempt that failed before the client saw anything of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Where it went.
    pub target: TargetId,
    /// With which key, if it was one of the relay's.
    pub key: Option<KeyName>,
    /// The status that refused it.
    pub status: Option<u16>,
    /// Low-cardinality name of why the request moved on, or could not.
    pub reason: &'static str,
    /// When it was sent, since the request's first byte.
    pub began: Duration,
    /// From sending to refusal.
    pub took: Duration,
    /// Its span, where requests are traced.
    pub span: Option<SpanId>,
    /// Where its target is.
    pub origin: Arc<Origin>,
}

/// The attempt that was answered, or was under way when the client left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// When it was sent, since the request's first byte.
    pub began: Duration,
    /// Its span, where requests are traced.
    pub span: Option<SpanId>,
    /// Where its target is.
    pub origin: Arc<Origin>,
}

/// Header lines and body starts, kept only where `logging.debug_options` asks for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exhibit {
    /// Request header lines, credentials masked.
    pub request_headers: Vec<(Box<str>, Box<str>)>,
    /// Response header lines.
    pub response_headers: Vec<(Box<str>, Box<str>)>,
    /// Start of the request body, credentials masked.
    pub request_body: Option<Box<str>>,
    /// Start of the response body.
    pub response_body: Option<Box<str>>,
}

/// The start of a body, and how long all of it was. It cannot be printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeptBody {
    /// As it was said, decompressed.
    pub start: Bytes,
    /// Bytes of the whole.
    pub whole_bytes: u64,
}

impl fmt::Debug for KeptBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptBody")
            .field("whole_bytes", &self.whole_bytes)
            .finish_non_exhaustive()
    }
}

impl KeptBody {
    /// Keeps so many bytes of a body at most.
    pub fn of(body: &Bytes, limit: usize) -> Self {
        Self {
            start: body.slice(..limit.min(body.len())),
            whole_bytes: u64::try_from(body.len()).unwrap_or(u64::MAX),
        }
    }
}

/// What was asked and answered, kept only where the history has it. It is no part of the record:
/// that is logged, counted and shown, and this never.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bodies {
    /// What the client sent.
    pub request: KeptBody,
    /// What the client got.
    pub response: KeptBody,
}

/// One request, from its first byte to its last.
#[derive(Debug, Clone)]
pub struct RequestRecord {
    /// Tells it from every other request of this run, whatever its client calls it.
    pub number: u64,
    /// The client's `x-request-id`, or one of ours.
    pub request_id: Box<str>,
    /// `request-id` of the upstream.
    pub upstream_request_id: Option<Box<str>>,
    /// Its place in a trace, where it has one.
    pub trace: Option<Trace>,
    /// Start, as time since the Unix epoch.
    pub started: Duration,
    /// HTTP method.
    pub method: http::Method,
    /// Path without query.
    pub path: Box<str>,
    /// Name of the endpoint.
    pub endpoint: &'static str,
    /// Name of the client key.
    pub client: Option<Arc<str>>,
    /// Where it went.
    pub target: Option<TargetId>,
    /// With which key, if it was one of the relay's.
    pub key: Option<KeyName>,
    /// Attempts before the one that was answered, or all if none was.
    pub attempts: Vec<Attempt>,
    /// The attempt beyond these, where there is one.
    pub last: Option<Departure>,
    /// Whether an attempt beyond these was answered, and its answer is what the client got.
    pub answered: bool,
    /// What became of the session's binding.
    pub affinity: Option<&'static str>,
    /// How long it waited for capacity.
    pub waited: Duration,
    /// Thinking blocks of another vendor that were taken out.
    pub thinking_removed: usize,
    /// What else was taken out, since the upstream cannot take it.
    pub left_out: Vec<Capability>,
    /// Model asked for.
    pub model: Option<ModelName>,
    /// Model that answered.
    pub response_model: Option<Box<str>>,
    /// Session.
    pub session: Option<SessionId>,
    /// Project, as far as the client tells it.
    pub project: Option<ProjectName>,
    /// `x-claude-code-agent-id`.
    pub agent: Option<Box<str>>,
    /// `x-claude-code-parent-agent-id`: the agent that started this one, where that is one itself.
    pub parent_agent: Option<Box<str>>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// Status sent to the client; `None` if it left before one was.
    pub status: Option<u16>,
    /// From the request's last byte to the upstream's head.
    pub time_to_head: Option<Duration>,
    /// From the request's last byte to the first event or byte of the body.
    pub time_to_first_event: Option<Duration>,
    /// The longest silence between two pieces of the answer's body; `None` with less than two.
    pub longest_gap: Option<Duration>,
    /// From first byte in to last byte out.
    pub duration: Duration,
    /// The relay's own time before the request was sent on, without waiting for the client's body.
    pub overhead: Duration,
    /// Bytes of the request body.
    pub request_bytes: u64,
    /// Bytes of the response body that were passed on.
    pub response_bytes: u64,
    /// Stream events that were passed on.
    pub events: u64,
    /// What it used.
    pub usage: Usage,
    /// What that cost at list prices. `None` is unknown, never zero.
    pub cost: Option<Money>,
    /// What reading from the prompt cache saved, against the same tokens as plain input.
    pub saved: Option<Money>,
    /// What it cost to write a warm prefix again, as another upstream than the session's home served.
    pub moved: Option<Money>,
    /// Why the model stopped.
    pub stop_reason: Option<Box<str>>,
    /// How it ended.
    pub outcome: Outcome,
    /// The budget that was spent, where that is why it was refused.
    pub budget: Option<Arc<str>>,
    /// Low-cardinality name of what went wrong.
    pub error_type: Option<Box<str>>,
    /// Whether usage could be read.
    pub observation: Observation,
    /// The connection to the upstream, where one was used.
    pub connection: Option<ConnectionFacts>,
    /// Whether the log tells of it.
    pub logs_connection: bool,
    /// Kept only where asked for.
    pub exhibit: Option<Box<Exhibit>>,
}

impl RequestRecord {
    /// Begins one of a request of which only this is known. Until more is, its client is gone.
    pub fn begun(
        request_id: Box<str>,
        method: http::Method,
        path: &str,
        started: Duration,
    ) -> Self {
        Self {
            number: 0,
            request_id,
            started,
            method,
            path: path.into(),
            upstream_request_id: None,
            trace: None,
            endpoint: "",
            client: None,
            target: None,
            key: None,
            attempts: Vec::new(),
            last: None,
            answered: false,
            affinity: None,
            waited: Duration::ZERO,
            thinking_removed: 0,
            left_out: Vec::new(),
            model: None,
            response_model: None,
            session: None,
            project: None,
            agent: None,
            parent_agent: None,
            stream: false,
            status: None,
            time_to_head: None,
            time_to_first_event: None,
            longest_gap: None,
            duration: Duration::ZERO,
            overhead: Duration::ZERO,
            request_bytes: 0,
            response_bytes: 0,
            events: 0,
            usage: Usage::default(),
            cost: None,
            saved: None,
            moved: None,
            stop_reason: None,
            outcome: Outcome::ClientGone,
            budget: None,
            error_type: None,
            observation: Observation::None,
            connection: None,
            logs_connection: false,
            exhibit: None,
        }
    }
}
