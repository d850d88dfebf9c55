//! What to answer. In: builder calls or the JSON form; out: a [`Script`] that the player performs.
//! Must never know a connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::encode::{Encoding, Split};
use crate::fault::Fault;
use crate::grammar::{Block, Message, Segment, Usage};

/// One scripted answer.
#[derive(Clone, Debug)]
pub struct Script {
    pub(crate) content: Content,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) removed_headers: Vec<String>,
    pub(crate) delay_head: Duration,
    pub(crate) event_gap: Duration,
    pub(crate) split: Split,
    pub(crate) encoding: Option<Encoding>,
    pub(crate) fault: Option<Fault>,
    pub(crate) then_close: bool,
    pub(crate) before_body: bool,
}

/// The body of an answer, before the request is known.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// JSON or events, as the request asks.
    Message(Message),
    /// An error envelope, which repeats the request id.
    Error {
        kind: String,
        message: String,
        details: Option<Value>,
    },
    /// Exact writes of an event stream.
    Sse(Vec<Bytes>),
    /// An exact body.
    Body { content_type: String, bytes: Bytes },
}

impl Script {
    pub(crate) fn new(status: u16, content: Content) -> Self {
        Self {
            content,
            status,
            headers: Vec::new(),
            removed_headers: Vec::new(),
            delay_head: Duration::ZERO,
            event_gap: Duration::ZERO,
            split: Split::default(),
            encoding: None,
            fault: None,
            then_close: false,
            before_body: false,
        }
    }

    /// Answers with this text, as JSON or SSE by the request's `stream`.
    pub fn text(text: impl Into<String>) -> Self {
        Self::sequence(vec![Block::text(text)])
    }

    /// Answers with one tool call and `stop_reason: tool_use`.
    pub fn tool_use(name: impl Into<String>, input: Value) -> Self {
        Self::sequence(vec![Block::tool_use(name, input)])
    }

    /// Answers with a thinking block and then text.
    pub fn thinking(
        text: impl Into<String>,
        signature: impl Into<String>,
        answer: impl Into<String>,
    ) -> Self {
        Self::sequence(vec![Block::thinking(text, signature), Block::text(answer)])
    }

    /// Answers with these content blocks.
    pub fn sequence(blocks: Vec<Block>) -> Self {
        Self::new(
            200,
            Content::Message(Message {
                blocks,
                ..Message::default()
            }),
        )
    }

    /// Answers with this JSON value.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers hand over a `json!` they built for this"
    )]
    pub fn json(status: u16, body: Value) -> Self {
        Self::raw(status, "application/json", body.to_string())
    }

    /// Answers with exactly these bytes.
    pub fn raw(status: u16, content_type: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self::new(
            status,
            Content::Body {
                content_type: content_type.into(),
                bytes: body.into(),
            },
        )
    }

    /// Answers with Anthropic's error envelope and a matching `request-id` header.
    pub fn error(status: u16, kind: impl Into<String>, message: impl Into<String>) -> Self {
        let (kind, message) = (kind.into(), message.into());
        Self::new(
            status,
            Content::Error {
                kind,
                message,
                details: None,
            },
        )
    }

    /// Streams exactly these bytes, each element one event for the counts and one write.
    pub fn raw_sse(writes: Vec<Bytes>) -> Self {
        Self::new(200, Content::Sse(writes))
    }

    /// Sets the error's `details` object; without effect on other answers.
    #[must_use]
    pub fn details(mut self, value: Value) -> Self {
        if let Content::Error { details, .. } = &mut self.content {
            *details = Some(value);
        }
        self
    }

    /// Sets the usage numbers of a message.
    #[must_use]
    pub fn usage(self, usage: Usage) -> Self {
        self.message(|message| message.usage = usage)
    }

    /// Sets a message's `stop_reason`.
    #[must_use]
    pub fn stop_reason(self, reason: impl Into<String>) -> Self {
        self.message(|message| message.stop_reason = Some(reason.into()))
    }

    /// Sets the model that a message names instead of the request's.
    #[must_use]
    pub fn model(self, model: impl Into<String>) -> Self {
        self.message(|message| message.model = Some(model.into()))
    }

    /// Streams `n` more text deltas of `text` in the last text block; `u64::MAX` never ends.
    #[must_use]
    pub fn repeat_delta(self, n: u64, text: impl Into<String>) -> Self {
        self.message(|message| message.repeat = Some((n, text.into())))
    }

    /// Sets the status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Appends a header; repeats stay repeats.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// Leaves out a header that the sim would send of itself. To replace one, leave it out and
    /// append it with [`Script::header`].
    #[must_use]
    pub fn no_header(mut self, name: impl Into<String>) -> Self {
        self.removed_headers.push(name.into());
        self
    }

    /// Waits this long before the head.
    #[must_use]
    pub fn delay_head(mut self, delay: Duration) -> Self {
        self.delay_head = delay;
        self
    }

    /// Waits this long between events (between writes, for a split that gathers events).
    #[must_use]
    pub fn event_gap(mut self, gap: Duration) -> Self {
        self.event_gap = gap;
        self
    }

    /// Sets how the body is cut into writes.
    #[must_use]
    pub fn split(mut self, split: Split) -> Self {
        self.split = split;
        self
    }

    /// Compresses the body, whatever the request accepts; a stream is flushed after every event.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = Some(encoding);
        self
    }

    /// Sets what goes wrong.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// Closes the connection after this answer without having announced it, as a server does with
    /// idle connections; on HTTP/2 with `GOAWAY`.
    #[must_use]
    pub fn then_close(mut self) -> Self {
        self.then_close = true;
        self
    }

    /// Answers when the head has been read and throws the request's body away, as an edge server
    /// does that refuses an upload; the connection is closed then. The record has no body.
    #[must_use]
    pub fn before_body(mut self) -> Self {
        self.before_body = true;
        self
    }

    fn message(mut self, edit: impl FnOnce(&mut Message)) -> Self {
        if let Content::Message(message) = &mut self.content {
            edit(message);
        }
        self
    }
}

/// A script with all its events but the first written out, so that a request costs one event.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) script: Script,
    pub(crate) later_events: Vec<Segment>,
}

impl Prepared {
    pub(crate) fn new(script: Script) -> Arc<Self> {
        let later_events = match &script.content {
            Content::Message(message) => message.later_events(),
            Content::Sse(writes) => writes
                .iter()
                .map(|bytes| Segment {
                    bytes: bytes.clone(),
                    times: 1,
                })
                .collect(),
            Content::Error { .. } | Content::Body { .. } => Vec::new(),
        };
        Arc::new(Self {
            script,
            later_events,
        })
    }

    /// Returns the answer to a request that may want no stream: such a one cannot get an
    /// `event: error`, so it gets the error itself.
    pub(crate) fn without_stream_error(self: Arc<Self>, streams: bool) -> Arc<Self> {
        let streamed = match self.script.content {
            Content::Message(_) => streams,
            Content::Sse(_) => true,
            Content::Error { .. } | Content::Body { .. } => false,
        };
        match &self.script.fault {
            Some(Fault::ErrorEventAfter(_, kind, message)) if !streamed => {
                Self::new(Script::error(status_of(kind), kind, message))
            }
            _ => self,
        }
    }
}

/// Returns the status that goes with an error type
/// (<https://platform.claude.com/docs/en/api/errors>; AWS's `InvokeModel`).
fn status_of(kind: &str) -> u16 {
    match kind {
        "invalid_request_error" | "ValidationException" | "ServiceQuotaExceededException" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" | "AccessDeniedException" => 403,
        "not_found_error" | "ResourceNotFoundException" => 404,
        "ModelTimeoutException" => 408,
        "request_too_large" => 413,
        "ModelErrorException" | "ModelStreamErrorException" => 424,
        "rate_limit_error" | "ThrottlingException" | "ModelNotReadyException" => 429,
        "ServiceUnavailableException" => 503,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    }
}
