//! The one place that reads the clock. In: nothing; out: instants. Must never decide anything.

use tokio::time::Instant;

/// Returns the present moment of the runtime's clock (paused with it in tests).
pub(crate) fn now() -> Instant {
    Instant::now()
}
