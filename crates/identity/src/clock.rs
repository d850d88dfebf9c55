//! The only place that reads the clock, and the only source of chance.
//!
//! In: nothing. Out: the time since the Unix epoch, and seeds. It must never decide anything.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time by which credentials end: the wall clock, which runs on while a machine sleeps.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// Returns the machine's clock.
    pub(crate) fn wall() -> Self {
        Self(Arc::new(wall))
    }

    /// Returns a clock that tells what it is given.
    #[cfg(test)]
    pub(crate) fn of(tell: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// Returns the time since the Unix epoch.
    pub(crate) fn unix(&self) -> Duration {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({:?})", self.unix())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the clock"
)]
fn wall() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Returns a seed that differs from call to call and from process to process.
pub(crate) fn seed() -> u64 {
    RandomState::new().hash_one(0_u8)
}
