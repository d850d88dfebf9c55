//! Chooses the target, and the credential with which it is asked.

use std::sync::Arc;

use relay_core::credential::{Admission, UpstreamCredential, for_upstream};
use relay_core::error::{RelayError, Unauthenticated};
use relay_core::request::Inbound;
use relay_core::snapshot::{Snapshot, Target};

/// A target that can take the request.
pub(crate) struct Candidate<'a> {
    /// The target.
    pub(crate) target: &'a Arc<Target>,
    /// Its place in the snapshot, which is also that of its connection pool.
    pub(crate) index: usize,
    /// With what it is asked.
    pub(crate) credential: UpstreamCredential,
}

/// Returns the first target, in the order of the config file, that may be asked for this client.
///
/// A body without a model passes as it is where only one target could take it; among several it
/// cannot be routed.
pub(crate) fn choose<'a>(
    snapshot: &'a Snapshot,
    admission: &Admission,
    inbound: &Inbound,
) -> Result<Candidate<'a>, RelayError> {
    let routed = inbound.endpoint.is_buffered() && snapshot.targets.len() > 1;
    if routed && inbound.facts.model.is_none() {
        return Err(RelayError::NoModel);
    }
    for (index, target) in snapshot.targets.iter().enumerate() {
        let key = target.key.as_ref();
        if let Ok(credential) = for_upstream(admission, target.accepts_client_credential, key) {
            return Ok(Candidate {
                target,
                index,
                credential,
            });
        }
    }
    Err(RelayError::Unauthenticated(Unauthenticated::NothingToSend))
}
