//! The only file that reads a clock.
//!
//! Nothing comes in; an instant or a wall-clock time goes out. The wall clock is used only to
//! compare moments between two processes of one machine. Must never be cached by a caller across
//! an await.
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Returns the monotonic time.
#[expect(clippy::disallowed_methods, reason = "this is the crate's clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns nanoseconds since 1970, which two processes of one machine agree on.
#[expect(clippy::disallowed_methods, reason = "this is the crate's clock")]
pub(crate) fn unix_nanos() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
