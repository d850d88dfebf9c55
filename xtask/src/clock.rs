//! The one file of this crate that reads the clock.
//!
//! Nothing comes in; an instant goes out. It must never be used to judge a
//! test: durations are only printed.

use std::time::Instant;

/// Returns the present instant, for the timing table.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the file that reads the clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
