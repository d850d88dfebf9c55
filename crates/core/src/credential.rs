//! Who is asking, and with whose credential the upstream is asked.
//!
//! In: the credential headers of a request and the relay's policy. Out: an [`Admission`], and for
//! a given upstream an [`UpstreamCredential`]. It must never let the relay's own credential out,
//! nor a client's credential to an upstream that is not configured to take it.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::error::Unauthenticated;
use crate::identity::{Identity, Issued};
use crate::secret::{Secret, SecretDigest};

/// The header of API keys.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What `config cc init` may write where a client insists on a credential: no credential at all.
pub const PLACEHOLDER: &str = "managed-by-cc-relay";

/// In which header a client key is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialHeader {
    /// `x-api-key` or `Authorization: Bearer`.
    Any,
    /// `x-api-key` alone.
    ApiKey,
    /// `Authorization: Bearer` alone.
    Bearer,
}

/// A client that the relay knows.
#[derive(Clone)]
#[expect(
    missing_debug_implementations,
    reason = "it holds the digest of a secret"
)]
pub struct Client {
    /// Its name in logs.
    pub name: Arc<str>,
    /// The digest of its key.
    pub digest: SecretDigest,
    /// Where it may stand.
    pub header: CredentialHeader,
}

/// Who is let in.
#[derive(Clone, Default)]
#[expect(missing_debug_implementations, reason = "it holds digests of secrets")]
pub struct AuthPolicy {
    /// The clients with a key. None: the relay is transparent and lets everybody in.
    pub clients: Vec<Client>,
    /// Whether a client may come with its own upstream credential instead of, or beside, a key.
    pub allow_subscription: bool,
}

/// A client that was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// The name of its key, if it came with one.
    pub client: Option<Arc<str>>,
    /// Which of its headers hold a credential of its own.
    pub own: OwnCredential,
    /// Whether the relay's keys may serve it.
    pub may_use_relay_keys: bool,
}

/// Which headers hold the client's own upstream credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnCredential {
    /// `x-api-key`.
    pub api_key: bool,
    /// `authorization`.
    pub authorization: bool,
}

impl OwnCredential {
    /// Tells whether there is any.
    pub const fn any(self) -> bool {
        self.api_key || self.authorization
    }
}

/// With what the upstream is asked.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "it holds a secret")]
pub enum UpstreamCredential {
    /// The client's own headers, unchanged.
    Client(OwnCredential),
    /// A key of the relay's.
    Relay(Secret),
    /// An identity of the relay's, which something has yet to be issued to.
    Identity(Arc<dyn Identity>),
    /// What was issued to the relay for a time.
    Issued(Arc<Issued>),
    /// Nothing: the upstream asks for no credential.
    Nothing,
}

impl UpstreamCredential {
    /// Returns when what was issued ends, as time since the Unix epoch; `None` where nothing was, or
    /// it does not end.
    pub fn expires(&self) -> Option<Duration> {
        match self {
            Self::Identity(identity) => identity.current()?.expires,
            Self::Issued(issued) => issued.expires,
            Self::Client(_) | Self::Relay(_) | Self::Nothing => None,
        }
    }

    /// Returns what can be sent: what an identity was issued, or the credential itself. `None` while
    /// an identity has nothing.
    pub fn in_force(&self) -> Option<Self> {
        match self {
            Self::Identity(identity) => identity.current().map(Self::Issued),
            Self::Client(_) | Self::Relay(_) | Self::Issued(_) | Self::Nothing => {
                Some(self.clone())
            }
        }
    }
}

/// Decides whether a request is let in.
///
/// # Errors
/// [`Unauthenticated`] with the reason. It becomes a 401 before any upstream is touched.
pub fn admit(policy: &AuthPolicy, headers: &HeaderMap) -> Result<Admission, Unauthenticated> {
    let api_key = only(headers, &X_API_KEY)?;
    let authorization = only(headers, &AUTHORIZATION)?;
    let bearer = authorization.and_then(bearer_token);
    let client_by_key = api_key.and_then(|key| policy.find(key));
    let client_by_bearer = bearer.and_then(|token| policy.find(token));
    let own = OwnCredential {
        api_key: is_own(api_key, client_by_key),
        // A scheme other than Bearer is never the relay's: it can only be the client's own.
        // Unless it holds a key of the relay's all the same: that one is accepted nowhere else.
        authorization: is_own(
            bearer.or(authorization),
            client_by_bearer.or(authorization.and_then(|it| policy.find(last_word(it)))),
        ),
    };
    let client = client_by_key
        .filter(|client| client.takes(CredentialHeader::ApiKey))
        .or(client_by_bearer.filter(|client| client.takes(CredentialHeader::Bearer)));
    if policy.clients.is_empty() {
        return Ok(Admission {
            client: None,
            own,
            may_use_relay_keys: true,
        });
    }
    if let Some(client) = client {
        let own = if policy.allow_subscription {
            own
        } else {
            OwnCredential::default()
        };
        return Ok(Admission {
            client: Some(Arc::clone(&client.name)),
            own,
            may_use_relay_keys: true,
        });
    }
    match (own.any(), policy.allow_subscription) {
        (true, true) => Ok(Admission {
            client: None,
            own,
            may_use_relay_keys: false,
        }),
        (true, false) => Err(Unauthenticated::Wrong),
        (false, _) => Err(Unauthenticated::Missing),
    }
}

/// Decides with what one upstream is asked on behalf of an admitted client.
///
/// # Errors
/// [`Unauthenticated::NothingToSend`] if the client brought nothing that this upstream takes and
/// the relay has no key that may serve it. Such an upstream is skipped without a round trip.
pub fn for_upstream(
    admission: &Admission,
    accepts_client_credential: bool,
    relay_key: Option<&UpstreamCredential>,
) -> Result<UpstreamCredential, Unauthenticated> {
    if admission.own.any() && accepts_client_credential {
        return Ok(UpstreamCredential::Client(admission.own));
    }
    match relay_key {
        Some(key) if admission.may_use_relay_keys => Ok(key.clone()),
        _ => Err(Unauthenticated::NothingToSend),
    }
}

impl AuthPolicy {
    /// Finds the client whose key this is, in whichever header it stands. Compares with every key,
    /// so that the time tells nothing about which one matched.
    fn find(&self, presented: &[u8]) -> Option<&Client> {
        if self.clients.is_empty() {
            return None;
        }
        let digest = SecretDigest::of(presented);
        let mut found = None;
        for client in &self.clients {
            if client.digest.matches(&digest) {
                found = Some(client);
            }
        }
        found
    }
}

impl Client {
    fn takes(&self, header: CredentialHeader) -> bool {
        self.header == CredentialHeader::Any || self.header == header
    }
}

/// Tells whether a value is the client's own upstream credential. A key of the relay's is not,
/// even in a header where it is not accepted: it must not leave the relay.
fn is_own(value: Option<&[u8]>, client: Option<&Client>) -> bool {
    value.is_some_and(|value| value != PLACEHOLDER.as_bytes()) && client.is_none()
}

/// Returns the only value of a header. A second line would leave open which one is meant.
fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a [u8]>, Unauthenticated> {
    let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let first = values.next().filter(|value| !value.is_empty());
    if values.next().is_some() {
        Err(Unauthenticated::Repeated)
    } else {
        Ok(first)
    }
}

/// Returns what stands behind the last white space.
fn last_word(value: &[u8]) -> &[u8] {
    let mut words = value.rsplit(u8::is_ascii_whitespace);
    words.next().unwrap_or(value)
}

/// Returns the token of `Bearer <token>`; the scheme in any case, as RFC 9110 §11.1 wants.
fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests;
