//! What one worker thread works with: the settings in force, its own connections, the counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use http::request;
use relay_core::error::RelayError;
use relay_core::snapshot::Snapshot;

use crate::buffer::Buffers;
use crate::clock::{self, RequestIds};
use crate::finish::{Exchange, Shared};
use crate::pool::Pool;

/// One worker's view. A worker is one thread with a runtime of its own, so that an event crosses no
/// thread on its way from upstream to client.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) settings: Arc<ArcSwap<Snapshot>>,
    /// One for each target of the snapshot, in the same order.
    pub(crate) pools: Vec<Arc<Pool>>,
    pub(crate) buffers: Buffers,
    pub(crate) ids: Arc<RequestIds>,
    pub(crate) draining: Arc<AtomicBool>,
    pub(crate) started: Instant,
    pub(crate) version: &'static str,
}

impl Worker {
    /// Returns the settings in force. A request keeps those that it began with.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.settings.load_full()
    }

    /// Returns the connections to a target.
    pub(crate) fn pool(&self, index: usize) -> Result<&Arc<Pool>, RelayError> {
        self.pools
            .get(index)
            .ok_or(RelayError::Internal("a target has no connection pool"))
    }

    /// Begins an exchange, under the client's name for it or one of ours.
    pub(crate) fn begin(&self, head: &request::Parts) -> Exchange {
        let named = head
            .headers
            .get("x-request-id")
            .and_then(|value| value.to_str().ok());
        let usable = named.filter(|name| !name.is_empty() && name.len() <= 128);
        let id = usable.map_or_else(|| self.ids.next(clock::unix()), Into::into);
        Exchange::begin(&self.shared, head, id)
    }

    /// Refuses a request beyond those that may be under way, or one that comes while stopping.
    pub(crate) fn admit(&self, snapshot: &Snapshot) -> Result<(), RelayError> {
        if self.is_draining() {
            return Err(RelayError::Draining);
        }
        let live = self.shared.counters.live.load(Ordering::Relaxed);
        if live > snapshot.limits.max_concurrent {
            Err(RelayError::Overloaded)
        } else {
            Ok(())
        }
    }

    /// Tells whether the relay is stopping.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
