//! What one worker thread works with: the settings in force, its own connections, the counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use http::request;
use parking_lot::Mutex;
use relay_core::error::RelayError;
use relay_core::snapshot::Snapshot;
use tokio_util::task::TaskTracker;

use crate::buffer::Buffers;
use crate::clock::{self, RequestIds};
use crate::exhibit::ExhibitOptions;
use crate::finish::{Exchange, Shared};
use crate::settings::{Settings, View};

/// One worker's view. A worker is one thread with a runtime of its own, so that an event crosses no
/// thread on its way from upstream to client.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) settings: Arc<ArcSwap<Settings>>,
    /// Never fought over: a worker is one thread.
    pub(crate) view: Mutex<Arc<View>>,
    /// What its connections to upstreams run as.
    pub(crate) tasks: TaskTracker,
    pub(crate) buffers: Buffers,
    pub(crate) ids: Arc<RequestIds>,
    pub(crate) draining: Arc<AtomicBool>,
    pub(crate) started: Instant,
    pub(crate) version: &'static str,
}

impl Worker {
    /// Returns what is in force. A request keeps what it began with. Within the worker's runtime
    /// alone: new upstreams are connected to.
    pub(crate) fn view(&self) -> Arc<View> {
        let settings = self.settings.load();
        let mut view = self.view.lock();
        if !Arc::ptr_eq(&view.settings, &settings) {
            *view = Arc::new(view.after(Arc::clone(&settings), &self.tasks));
        }
        Arc::clone(&view)
    }

    /// Begins an exchange, under the client's name for it or one of ours.
    pub(crate) fn begin(&self, head: &request::Parts, exhibit: ExhibitOptions) -> Exchange {
        let named = head
            .headers
            .get("x-request-id")
            .and_then(|value| value.to_str().ok());
        let usable = named.filter(|name| !name.is_empty() && name.len() <= 128);
        let id = usable.map_or_else(|| self.ids.next(clock::unix()), Into::into);
        Exchange::begin(&self.shared, exhibit, head, id)
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
