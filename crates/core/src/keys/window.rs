//! A sliding window of a minute over what was used.
//!
//! In: amounts, each at a moment. Out: whether one more fits. It must never let more than the limit
//! into any minute, whatever its phase: amounts are kept by the second, and a second counts until
//! the whole of it is out of the window.

use std::collections::VecDeque;
use std::time::Duration;

use crate::moment::Moment;

/// Seconds that may still hold something younger than a minute.
const SECONDS: u64 = 60;

/// What was used within the last minute. At most 61 entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window {
    entries: VecDeque<(u64, u64)>,
    sum: u64,
}

fn second(moment: Moment) -> u64 {
    moment.since_start().as_secs()
}

impl Window {
    fn let_go(&mut self, now: Moment) {
        let now = second(now);
        while let Some((at, amount)) = self.entries.front().copied()
            && now.saturating_sub(at) > SECONDS
        {
            self.sum = self.sum.saturating_sub(amount);
            self.entries.pop_front();
        }
    }

    /// Returns what counts now.
    pub(crate) fn used(&mut self, now: Moment) -> u64 {
        self.let_go(now);
        self.sum
    }

    /// Returns when an amount fits under a limit: `now` if it does. What is beyond the limit by
    /// itself fits where nothing else is.
    pub(crate) fn fits_at(&mut self, amount: u64, limit: u64, now: Moment) -> Moment {
        self.let_go(now);
        let allowed = limit.saturating_sub(amount);
        let mut left = self.sum;
        let mut at = now;
        for (second, amount) in &self.entries {
            if left <= allowed {
                break;
            }
            left = left.saturating_sub(*amount);
            let out = second.saturating_add(SECONDS).saturating_add(1);
            at = at.max(Moment::after_start(Duration::from_secs(out)));
        }
        at
    }

    /// Counts an amount.
    pub(crate) fn add(&mut self, amount: u64, now: Moment) {
        self.let_go(now);
        if amount == 0 {
            return;
        }
        self.sum = self.sum.saturating_add(amount);
        match self.entries.back_mut() {
            // Threads may bring moments out of order, by less than a second.
            Some((at, sum)) if *at >= second(now) => *sum = sum.saturating_add(amount),
            _ => self.entries.push_back((second(now), amount)),
        }
    }

    /// Takes back what was counted at a moment, if it still counts.
    pub(crate) fn take_back(&mut self, amount: u64, then: Moment, now: Moment) {
        self.let_go(now);
        let then = second(then);
        let mut left = amount;
        // It stands in its own second, or in the next one that was there before it.
        for (at, sum) in &mut self.entries {
            if *at >= then && left > 0 {
                let part = left.min(*sum);
                *sum = sum.saturating_sub(part);
                left = left.saturating_sub(part);
                self.sum = self.sum.saturating_sub(part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::after_start(Duration::from_millis(milliseconds))
    }

    #[test]
    fn an_amount_beyond_the_limit_fits_where_nothing_else_is() {
        let mut window = Window::default();
        assert_eq!(window.fits_at(500, 100, at(0)), at(0));
        window.add(1, at(0));
        assert_eq!(window.fits_at(500, 100, at(10)), at(61_000));
    }

    proptest! {
        /// Against a list of all that was let in: never above the limit in any minute, the moment
        /// told is the first at which the amount fits, and nothing is lost by taking back.
        #[test]
        fn no_minute_holds_more_than_the_limit(
            steps in prop::collection::vec((0_u64..20_000, 1_u64..40, any::<bool>()), 1..200),
            limit in 40_u64..120,
        ) {
            let mut window = Window::default();
            let mut kept: Vec<(u64, u64)> = Vec::new();
            let mut now = 0;
            for (later, amount, takes_back) in steps {
                now += later;
                let fits = window.fits_at(amount, limit, at(now));
                if fits == at(now) {
                    window.add(amount, at(now));
                    kept.push((now, amount));
                    let minute: u64 = kept.iter().filter(|(then, _)| now - then < 60_000).map(|it| it.1).sum();
                    prop_assert!(minute <= limit, "{minute} > {limit}");
                } else {
                    let mut then = window.clone();
                    prop_assert_eq!(then.fits_at(amount, limit, fits), fits);
                    prop_assert!(fits.since(at(now)) <= Duration::from_secs(62));
                }
                if takes_back && let Some((then, amount)) = kept.pop() {
                    window.take_back(amount, at(then), at(now));
                }
                prop_assert!(window.entries.len() <= 62);
            }
            prop_assert_eq!(window.used(at(now + 62_000)), 0);
        }
    }
}
