//! The only place of this crate that reads the wall clock.
//!
//! In: nothing. Out: the present time. Code that needs a time takes it as an argument.

/// Returns the present time.
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Returns a time as a file-name stamp in UTC: `20261122T140211`.
pub fn stamp(time: jiff::Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%S").to_string()
}
