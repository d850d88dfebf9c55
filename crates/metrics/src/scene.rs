//! The state of everything at the moment of a scrape.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use relay_core::moment::Moment;
use relay_core::snapshot::Snapshot;
use relay_core::spend::Standing;

/// What is read, not counted.
pub struct Scene {
    /// The settings in force, with their stations.
    pub snapshot: Arc<Snapshot>,
    /// The present.
    pub now: Moment,
    /// Requests under way.
    pub live: usize,
    /// Client connections open.
    pub connections: usize,
    /// Sessions whose home is known.
    pub sessions: usize,
    /// Requests that wait for capacity.
    pub waiting: usize,
    /// How the budgets stand.
    pub budgets: Vec<Standing>,
    /// Times that other settings were put in force, and that some were refused.
    pub reloads: (u64, u64),
    /// When settings were last put in force, as time since the Unix epoch.
    pub reloaded_at: Duration,
    /// Whether the last ones were refused.
    pub reload_refused: bool,
    /// Lines that the log had no room for.
    pub log_dropped: u64,
    /// Requests whose spans the collector has, and those whose spans were dropped; `None` where they
    /// are not traced.
    pub traces: Option<(u64, u64)>,
    /// The program's version.
    pub version: &'static str,
}

impl fmt::Debug for Scene {
    /// A snapshot holds secrets: its name stands for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene")
            .field("snapshot", &self.snapshot.digest)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}
