//! One wire dialect: how a request is said to an upstream.

use bytes::Bytes;
use http::{HeaderMap, Method};

use crate::credential::UpstreamCredential;
use crate::error::RelayError;
use crate::request::{Inbound, ModelName};

/// A request in the upstream's dialect, before it meets a connection.
#[derive(Debug)]
pub struct Encoded {
    /// Method.
    pub method: Method,
    /// Path and query, from the root of the upstream's host.
    pub path_and_query: Box<str>,
    /// End-to-end headers and the credential; without `host` and `content-length`.
    pub headers: HeaderMap,
    /// The body of a buffered endpoint; empty where the body streams through.
    pub body: Bytes,
    /// Blocks of thinking that were taken out of it.
    pub thinking_removed: usize,
}

/// What of a request is said otherwise to this target.
#[derive(Debug, Clone, Copy, Default)]
pub struct Changes<'a> {
    /// The model's name there, where the body names one.
    pub model: Option<&'a ModelName>,
    /// Whether thinking is taken out of the conversation: another vendor's model wrote it.
    pub strips_thinking: bool,
}

/// One wire dialect. Pure: no I/O, no clock, no locks.
pub trait Provider: Send + Sync + std::fmt::Debug {
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
}
