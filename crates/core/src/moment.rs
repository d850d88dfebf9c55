//! Moments in made-up or real time.
//!
//! Everything that decides takes the present as a [`Moment`], the time since a start that only the
//! caller knows. A test makes one from a number; the proxy makes one from its clock.

use std::time::Duration;

/// A point in time: how long after the start it is. Never goes backwards, has no calendar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// The start.
    pub const START: Self = Self(Duration::ZERO);

    /// Returns the moment that is this long after the start.
    pub const fn after_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// Returns how long after the start this is.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// Returns the moment that is this much later. At the end of time it stays there.
    #[must_use]
    pub const fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }

    /// Returns the moment that is this much earlier, or the start.
    #[must_use]
    pub const fn minus(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(earlier))
    }

    /// Returns how long it is since `earlier`; zero if that is later.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_neither_wraps_nor_goes_below_the_start() {
        let early = Moment::after_start(Duration::from_secs(1));
        let late = early.plus(Duration::from_secs(2));
        assert_eq!(late.since(early), Duration::from_secs(2));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.minus(Duration::from_secs(5)), Moment::START);
        assert_eq!(late.plus(Duration::MAX).since_start(), Duration::MAX);
    }
}
