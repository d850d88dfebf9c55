//! The one place that reads the clock. In: nothing; out: instants. Must never decide anything.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Returns the present moment of the runtime's clock (paused with it in tests).
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns the time since 1970, zero on a machine whose clock stands before it.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the clock"
)]
pub(crate) fn unix() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
