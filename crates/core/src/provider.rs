//! One wire dialect: how a request is said to an upstream, and how its answer is read.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, response};

use crate::capability::Capability;
use crate::credential::UpstreamCredential;
use crate::error::RelayError;
use crate::refusal::Refusal;
use crate::request::{Endpoint, Inbound, ModelName};

/// A request in the upstream's dialect, before it meets a connection.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// Method.
    pub method: Method,
    /// Path and query, from the root of the upstream's host.
    pub path_and_query: Box<str>,
    /// End-to-end headers and the credential; without `host` and `content-length`.
    pub headers: HeaderMap,
    /// The body of a buffered endpoint; empty where the body streams through.
    pub body: Bytes,
    /// SHA-256 of the body, where a signature needs it: made once, however often it is signed.
    pub body_sha256: Option<[u8; 32]>,
    /// Blocks of thinking that were taken out of it.
    pub thinking_removed: usize,
    /// What else was taken out, since this upstream cannot take it.
    pub removed: Vec<Capability>,
}

/// What of a request is said otherwise to this target.
#[derive(Debug, Clone, Copy, Default)]
pub struct Changes<'a> {
    /// The model's name there, where the body names one.
    pub model: Option<&'a ModelName>,
    /// Whether thinking is taken out of the conversation: another vendor's model wrote it.
    pub strips_thinking: bool,
    /// What this target refused before, for this model: taken out beside what the dialect's own
    /// table takes out.
    pub without: &'a [Capability],
}

/// One wire dialect. Pure: no I/O, no clock, no locks.
pub trait Provider: Send + Sync + fmt::Debug {
    /// Says an inbound request in this dialect.
    ///
    /// # Errors
    /// [`RelayError`] if it cannot be said. The attempt then fails visibly; nothing else is sent.
    fn encode(
        &self,
        request: Inbound,
        credential: &UpstreamCredential,
        changes: &Changes<'_>,
    ) -> Result<Encoded, RelayError>;

    /// Puts in what holds only for a time: an issued token, or a signature. Called before each
    /// sending, on a request as [`Provider::encode`] made it. `unix` is the time since the epoch.
    ///
    /// # Errors
    /// [`RelayError`] if it cannot be signed. Nothing is then sent.
    fn sign(
        &self,
        encoded: &mut Encoded,
        credential: &UpstreamCredential,
        unix: Duration,
    ) -> Result<(), RelayError> {
        let _ = (encoded, credential, unix);
        Ok(())
    }

    /// Returns what reads an answer with this head, and makes the head what the client gets. `None`
    /// where the bytes pass as they come.
    fn decoder(&self, endpoint: Endpoint, head: &mut response::Parts) -> Option<Box<dyn Decoder>> {
        let _ = (endpoint, head);
        None
    }

    /// Says a refusal in Anthropic's words. `None` where it is said in them: it passes word for
    /// word.
    fn translate(&self, refusal: &Refusal<'_>) -> Option<Translation> {
        let _ = refusal;
        None
    }

    /// Tells whether refusals are read even where nobody else could answer: they may have to be
    /// translated, or name what is lacking.
    fn reads_refusals(&self) -> bool {
        false
    }

    /// Names what a refusal says that this upstream cannot take. Always `None` on Anthropic's own
    /// API, where the client heals itself by the text of the error.
    fn lacks(&self, refusal: &Refusal<'_>) -> Option<Capability> {
        let _ = refusal;
        None
    }

    /// Tells whether this upstream has an endpoint. What it has not is answered by the relay, or by
    /// another upstream.
    fn has(&self, endpoint: Endpoint) -> bool {
        let _ = endpoint;
        true
    }

    /// Returns a free question that tells whether the upstream answers: method is GET, the path is
    /// one as a client would write it. `None` if there is none.
    fn probe(&self) -> Option<&str> {
        Some("/v1/models?limit=1")
    }
}

/// Reads an answer whose bytes are not those the client gets.
pub trait Decoder: Send + Sync + fmt::Debug {
    /// Takes the next bytes, and appends what the client gets for them, as soon as it is known.
    ///
    /// # Errors
    /// [`Undecodable`] if they are not in the dialect: the answer is broken off behind `out`.
    fn push(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<(), Undecodable>;

    /// Takes the end of the upstream's body, and appends what is left to say.
    ///
    /// # Errors
    /// [`Undecodable`] if it came in the middle: the answer is broken off behind `out`.
    fn end(&mut self, out: &mut BytesMut) -> Result<(), Undecodable>;

    /// Returns what the client gets while the upstream is silent, where the dialect has no pings of
    /// its own and an event may stand here.
    fn ping(&self) -> Option<Bytes>;
}

/// Bytes of an answer that are not in its dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not in its dialect: {0}")]
pub struct Undecodable(pub &'static str);

/// A refusal in Anthropic's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// Status that Anthropic would give.
    pub status: StatusCode,
    /// `error.type`.
    pub kind: &'static str,
    /// `error.message`, without names of accounts, projects or resources.
    pub message: String,
    /// How long it lasts, where the refusal says so in its body.
    pub retry_after: Option<Duration>,
    /// Whether it is a limit of the account, though it does not say for how long.
    pub limits_account: bool,
}
