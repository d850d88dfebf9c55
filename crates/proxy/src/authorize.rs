//! Lets a client in, or says why not, before any upstream is touched.

use http::request;
use relay_core::credential::{Admission, admit};
use relay_core::error::RelayError;
use relay_core::snapshot::Snapshot;

/// Compares the request's credentials with the snapshot's policy.
pub(crate) fn authorize(
    snapshot: &Snapshot,
    head: &request::Parts,
) -> Result<Admission, RelayError> {
    admit(&snapshot.auth, &head.headers).map_err(RelayError::Unauthenticated)
}
