//! What the relay knows about a request: its facts, and the names that occur in them.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use http::request;

/// The name of a model as a client or an upstream writes it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelName(Box<str>);

impl ModelName {
    /// Takes a name as it is.
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self(name.into())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The name of a session: the requests that share a prompt cache.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionId(Box<str>);

impl SessionId {
    /// Longest name in bytes; Claude Code's is a UUID of 36.
    pub const MAX_BYTES: usize = 128;

    /// Takes a name, or `None` if it is empty, too long, or not printable ASCII.
    pub fn new(name: &str) -> Option<Self> {
        let fits = !name.is_empty() && name.len() <= Self::MAX_BYTES;
        (fits && name.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Self(name.into()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The `model` member of a body: its value, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelField {
    /// The name, unescaped.
    pub name: ModelName,
    /// The range of the value in the body, quotes included.
    pub span: Range<usize>,
}

/// What one scan of the body tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The model, if the body names one by a string.
    pub model: Option<ModelField>,
    /// Whether `stream` is `true`.
    pub stream: bool,
    /// `max_tokens`, if it is a whole number.
    pub max_tokens: Option<u64>,
    /// The session in `metadata.user_id`.
    pub session: Option<SessionId>,
    /// Whether `thinking` is asked for.
    pub thinking: bool,
    /// The range of the value of `tools` in the body.
    pub tools: Option<Range<usize>>,
    /// The range of the value of `system` in the body.
    pub system: Option<Range<usize>>,
    /// The range of the value of `messages` in the body.
    pub messages: Option<Range<usize>>,
}

/// What a request asks for, by method and path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /v1/messages`: a turn, streamed or not.
    Messages,
    /// `POST /v1/messages/count_tokens`: free, answered at once.
    CountTokens,
    /// `GET /v1/models` and `GET /v1/models/{id}`.
    Models,
    /// Any other path below `/v1/`: batches, files and what comes next.
    Passthrough,
}

impl Endpoint {
    /// Returns the name used in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::Models => "models",
            Self::Passthrough => "passthrough",
        }
    }

    /// Tells whether the body is read whole for its facts before it is sent on.
    pub const fn is_buffered(self) -> bool {
        matches!(self, Self::Messages | Self::CountTokens)
    }
}

/// A request as it came in: authorized, and read as far as its endpoint wants it read.
#[derive(Debug, Clone)]
pub struct Inbound {
    /// Method, headers and version as received.
    pub head: request::Parts,
    /// What is asked for.
    pub endpoint: Endpoint,
    /// Path and query for the upstream: what the client sent, without a base-path prefix.
    pub path_and_query: Box<str>,
    /// The body of a buffered endpoint, whole; else empty.
    pub body: Bytes,
    /// What the scan found; the default where nothing was scanned.
    pub facts: Facts,
}

/// How long each part of an exchange may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From the request's last byte to the upstream's head, where a stream was asked for.
    pub stream_first_byte: Duration,
    /// The same where no stream was asked for: an answer that is made whole takes minutes.
    pub first_byte: Duration,
    /// Between two reads of a response body.
    pub gap: Duration,
    /// Between two reads of a request body.
    pub body_read: Duration,
}
