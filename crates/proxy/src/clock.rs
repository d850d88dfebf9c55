//! The only place that reads the clock, and the only source of chance.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use relay_core::moment::Moment;

/// Returns the present moment, for measuring.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> Instant {
    Instant::now()
}

/// Returns the time since the Unix epoch, for telling.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn unix() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Tells the time to what decides, and gives it chance.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    drawn: AtomicU64,
    chance: RandomState,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            started: now(),
            drawn: AtomicU64::new(0),
            chance: RandomState::new(),
        }
    }
}

impl Clock {
    /// Returns the present moment.
    pub fn now(&self) -> Moment {
        Moment::after_start(self.started.elapsed())
    }

    /// Returns a moment as timers want it.
    pub fn instant(&self, moment: Moment) -> Instant {
        let later = self.started.checked_add(moment.since_start());
        later.unwrap_or(self.started)
    }

    /// Returns a seed that was not returned before.
    pub fn seed(&self) -> u64 {
        self.chance
            .hash_one(self.drawn.fetch_add(1, Ordering::Relaxed))
    }
}

/// Makes names for requests: `req_` and 26 characters of Crockford's base 32, of which the first
/// ten are the time in milliseconds, so that names sort as the requests came (as ULIDs do).
#[derive(Debug)]
pub(crate) struct RequestIds {
    state: AtomicU64,
    seed: RandomState,
}

impl RequestIds {
    /// Starts from a seed of the operating system's.
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU64::new(0),
            seed: RandomState::new(),
        }
    }

    /// Returns a name that was not returned before.
    pub(crate) fn next(&self, unix: Duration) -> Box<str> {
        const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let count = self.state.fetch_add(1, Ordering::Relaxed);
        let chance = u128::from(self.seed.hash_one(count)) << 64
            | u128::from(self.seed.hash_one((count, unix.subsec_nanos())));
        let bits = (unix.as_millis() << 80) | (chance >> 48);
        let mut name = String::with_capacity(30);
        name.push_str("req_");
        for place in (0..26_u32).rev() {
            let digit = usize::try_from((bits >> (5 * place)) & 31).unwrap_or_default();
            name.push(char::from(DIGITS.get(digit).copied().unwrap_or(b'0')));
        }
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time_and_differ() {
        let ids = RequestIds::new();
        let early = ids.next(Duration::from_millis(1_763_836_799_999));
        let twin = ids.next(Duration::from_millis(1_763_836_799_999));
        let late = ids.next(Duration::from_millis(1_763_836_800_001));
        assert_eq!(early.len(), 30);
        assert!(early < late && twin < late && early != twin);
    }
}
