//! What the relay is set to, at one moment. A request keeps the snapshot that it began with.

use std::fmt;
use std::sync::Arc;

use crate::credential::AuthPolicy;
use crate::provider::Provider;
use crate::request::Timeouts;
use crate::secret::Secret;

/// The name of a target, as the config file says it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TargetId(Arc<str>);

impl TargetId {
    /// Takes a name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An upstream that can take a request.
#[expect(missing_debug_implementations, reason = "it holds a secret")]
pub struct Target {
    /// Its name.
    pub id: TargetId,
    /// Its dialect.
    pub provider: Box<dyn Provider>,
    /// The relay's key for it.
    pub key: Option<Secret>,
    /// Whether a client's own credential may go there.
    pub accepts_client_credential: bool,
}

/// Sizes beyond which a request is refused.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest body of a buffered endpoint, in bytes.
    pub max_body_bytes: usize,
    /// Longest body that streams through (batches, files), in bytes.
    pub max_passthrough_bytes: u64,
    /// Most requests under way at once.
    pub max_concurrent: usize,
}

/// Everything that decides about a request.
#[expect(missing_debug_implementations, reason = "it holds secrets")]
pub struct Snapshot {
    /// Who is let in.
    pub auth: AuthPolicy,
    /// Where requests can go, in the order of the config file. Never empty.
    pub targets: Vec<Arc<Target>>,
    /// Sizes.
    pub limits: Limits,
    /// Times.
    pub timeouts: Timeouts,
    /// Names the configuration: the start of its digest.
    pub digest: Arc<str>,
}
