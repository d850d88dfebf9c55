//! What is in force, and what a worker makes of it.
//!
//! In: [`Settings`], put in place of the last ones at any time. Out: a [`View`] a worker, which has
//! the connections to each target beside them. A request keeps the view that it began with, so what
//! is taken out of the settings goes away when the last request is done with it. What two settings
//! share, by being the same connector, keeps its open connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use relay_core::error::RelayError;
use relay_core::snapshot::Snapshot;
use tokio_util::task::TaskTracker;

use crate::connect::Connector;
use crate::exhibit::ExhibitOptions;
use crate::pool::Pool;
use crate::probe::Probing;

/// Everything that can change while the relay runs.
#[expect(missing_debug_implementations, reason = "a snapshot holds secrets")]
pub struct Settings {
    /// What decides about requests.
    pub snapshot: Arc<Snapshot>,
    /// How each target is reached, in the snapshot's order.
    pub connectors: Vec<Arc<Connector>>,
    /// How upstreams in trouble are asked, if they are.
    pub probing: Option<Probing>,
    /// What the log keeps beyond the record.
    pub exhibit: ExhibitOptions,
    /// TLS for clients that connect from now on.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Whether HTTP/2 is spoken: by ALPN over TLS, by prior knowledge without.
    pub enable_http2: bool,
    /// Every setting by its path, credentials as digests: a JSON object, for whoever may look.
    pub shown: Box<str>,
    /// Most client connections at once; one more is closed at once.
    pub max_connections: usize,
}

/// The settings as one worker sees them.
pub(crate) struct View {
    pub(crate) settings: Arc<Settings>,
    /// One for each target, in the same order.
    pub(crate) pools: Vec<Arc<Pool>>,
}

impl View {
    /// Starts with no connection open.
    pub(crate) fn new(settings: Arc<Settings>, tasks: &TaskTracker) -> Self {
        Self::with(settings, |connector| {
            Pool::new(Arc::clone(connector), tasks.clone())
        })
    }

    /// Takes over the connections that go on, and opens those that are new.
    pub(crate) fn after(&self, settings: Arc<Settings>, tasks: &TaskTracker) -> Self {
        Self::with(settings, |connector| {
            if let Some(pool) = self.pools.iter().find(|pool| pool.is_of(connector)) {
                return Arc::clone(pool);
            }
            let pool = Pool::new(Arc::clone(connector), tasks.clone());
            tasks.spawn(Arc::clone(&pool).prewarm());
            pool
        })
    }

    fn with(settings: Arc<Settings>, pool: impl FnMut(&Arc<Connector>) -> Arc<Pool>) -> Self {
        let pools = settings.connectors.iter().map(pool).collect();
        Self { settings, pools }
    }

    /// Returns what decides.
    pub(crate) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.settings.snapshot
    }

    /// Returns the connections to a target.
    pub(crate) fn pool(&self, place: usize) -> Result<&Arc<Pool>, RelayError> {
        self.pools
            .get(place)
            .ok_or(RelayError::Internal("a target has no connection pool"))
    }
}

/// What became of the changes to the settings.
#[derive(Debug, Default)]
pub struct Reloads {
    accepted: AtomicU64,
    refused: AtomicU64,
    last: Mutex<LastReload>,
}

/// How the last change went.
#[derive(Debug, Clone, Default)]
pub struct LastReload {
    /// When settings were last put in force, as time since the Unix epoch; zero for at the start.
    pub accepted_at: Duration,
    /// Why the last one was refused, in words without any secret; `None` if it was not.
    pub refused: Option<Arc<str>>,
}

impl Reloads {
    /// Notes that settings were put in force at this time since the Unix epoch.
    pub fn accept(&self, at: Duration) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        *self.last.lock() = LastReload {
            accepted_at: at,
            refused: None,
        };
    }

    /// Notes that new settings were refused; `why` must hold no secret.
    pub fn refuse(&self, why: &str) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.last.lock().refused = Some(why.into());
    }

    /// Returns how many were put in force since the start, and how many were refused.
    pub fn counts(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.accepted), count(&self.refused))
    }

    /// Returns how the last one went.
    pub fn last(&self) -> LastReload {
        self.last.lock().clone()
    }
}
