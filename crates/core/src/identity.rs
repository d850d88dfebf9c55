//! A credential that an identity provider issues for a time: AWS credentials, OAuth tokens.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::secret::Secret;

/// What was issued.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "it holds secrets")]
pub struct Issued {
    /// What it is.
    pub form: IssuedForm,
    /// Counts up with each that is issued.
    pub generation: u64,
    /// When it ends, as time since the Unix epoch; `None` if it does not.
    pub expires: Option<Duration>,
}

/// What can be issued.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "it holds secrets")]
pub enum IssuedForm {
    /// A token for `authorization: Bearer`.
    Bearer {
        /// The token.
        token: Secret,
        /// `x-goog-user-project`: whom Google bills, where that is not the caller.
        quota_project: Option<Box<str>>,
    },
    /// AWS credentials, to sign with.
    Aws {
        /// Access key id.
        access_key_id: Box<str>,
        /// Secret access key.
        secret_access_key: Secret,
        /// Session token of temporary credentials.
        session_token: Option<Secret>,
    },
}

/// Why nothing was issued, in words that name no secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct NotIssued(pub Arc<str>);

/// A renewal under way.
pub type Renewal<'a> = Pin<Box<dyn Future<Output = Result<Arc<Issued>, NotIssued>> + Send + 'a>>;

/// Whom the relay is to an upstream that issues credentials for a time. Kept fresh in the
/// background: a request finds one that holds.
pub trait Identity: Send + Sync + fmt::Debug {
    /// Returns its name in logs.
    fn name(&self) -> &str;

    /// Returns what is in force; `None` before the first was issued, or when it has ended.
    fn current(&self) -> Option<Arc<Issued>>;

    /// Resolves to one that is newer than this generation, having asked for it if nobody has: one
    /// question at a time, however many wait. Generation 0 is older than all.
    ///
    /// # Errors
    /// [`NotIssued`] if the question failed; bounded in time.
    fn renew(&self, generation: u64) -> Renewal<'_>;
}
