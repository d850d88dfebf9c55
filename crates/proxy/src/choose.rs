//! Chooses where a request goes that is not routed: batches, files, models, and bodies that name no
//! model.
//!
//! What an upload or a batch leaves behind belongs to one workspace, so such requests always go to
//! the same target, and with the same key.

use std::sync::Arc;

use relay_core::credential::{Admission, UpstreamCredential, for_upstream};
use relay_core::error::{RelayError, Unauthenticated};
use relay_core::record::KeyName;
use relay_core::request::Inbound;
use relay_core::snapshot::{Snapshot, Target};

/// A target that can take the request.
pub(crate) struct Candidate<'a> {
    /// The target.
    pub(crate) target: &'a Arc<Target>,
    /// Its place in the snapshot, which is also that of its connection pool.
    pub(crate) place: usize,
    /// With what it is asked.
    pub(crate) credential: UpstreamCredential,
    /// The key that is, where it is one of the relay's.
    pub(crate) key: Option<KeyName>,
}

/// Returns the default target, or else the first in the order of the config file, that may be asked
/// for this client.
///
/// A body without a model passes as it is where only one target could take it; among several it
/// cannot be routed.
pub(crate) fn choose<'a>(
    snapshot: &'a Snapshot,
    admission: &Admission,
    inbound: &Inbound,
) -> Result<Candidate<'a>, RelayError> {
    if inbound.endpoint.is_buffered() && snapshot.targets.len() > 1 {
        return Err(RelayError::NoModel);
    }
    let default = snapshot.routing.default_target.as_ref();
    let mut places: Vec<usize> = (0..snapshot.targets.len()).collect();
    places.sort_by_key(|place| {
        let target = snapshot.targets.get(*place);
        target.map(|target| &target.id) != default
    });
    for place in places {
        let Some(target) = snapshot.targets.get(place) else {
            continue;
        };
        let first = target.station.keys.first();
        let (key, name) = first.map_or((None, None), |(key, name)| (Some(key), Some(name)));
        let own = target.accepts_client_credential;
        if let Ok(credential) = for_upstream(admission, own, key.as_ref()) {
            let is_relays = !matches!(credential, UpstreamCredential::Client(_));
            return Ok(Candidate {
                target,
                place,
                credential,
                key: name.filter(|_| is_relays),
            });
        }
    }
    Err(RelayError::Unauthenticated(Unauthenticated::NothingToSend))
}
