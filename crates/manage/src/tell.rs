//! What the relay knows, in the words of the API.
//!
//! In: records, stations, plans. Out: messages. Nothing of it holds a credential, a prompt or an
//! answer, and what is unknown stays absent.

mod key;
mod provider;
mod request;
mod session;
mod stats;

pub(crate) use key::keys;
pub(crate) use provider::{Place, provider, providers};
pub(crate) use request::{ended, underway};
pub(crate) use session::sessions;
pub(crate) use stats::stats;

use std::time::Duration;

/// Returns whole microseconds.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Returns a count as the API says small ones.
pub(crate) fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
