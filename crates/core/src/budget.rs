//! Bounds how many attempts are repeats that did not help, over all requests.
//!
//! In: each request, and each further attempt that failed as well. Out: whether one more may be made.
//! Clients repeat on their own, ten times and more: a relay that repeats each of those does so while
//! its upstreams are at their weakest. A repeat that is served is no storm, and costs nothing: with
//! one of two upstreams down every request may need one.

use parking_lot::Mutex;

/// Failed repeats that are allowed beyond the share: a relay with one user must fail over as well.
const RESERVE: u64 = 10;

/// Failed repeats that can be saved up, so that a quiet hour does not pay for a storm.
const MOST_SAVED: u64 = 100;

/// A share of requests. A request puts in, a repeat that failed takes out.
#[derive(Debug)]
pub struct RetryBudget {
    /// Hundredths of a repeat.
    balance: Mutex<u64>,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            balance: Mutex::new(RESERVE * 100),
        }
    }
}

impl RetryBudget {
    /// Notes a request, which allows `percent` hundredths of a failed repeat.
    pub fn deposit(&self, percent: u32) {
        let mut balance = self.balance.lock();
        *balance = balance
            .saturating_add(u64::from(percent))
            .min(MOST_SAVED * 100);
    }

    /// Tells whether a repeat may be made. Those under way at once may each be told so.
    pub fn allows(&self) -> bool {
        *self.balance.lock() >= 100
    }

    /// Notes a repeat that failed as well.
    pub fn spend(&self) {
        let mut balance = self.balance.lock();
        *balance = balance.saturating_sub(100);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_reserve_serves_a_relay_with_one_user() {
        let budget = RetryBudget::default();
        let mut failed = 0;
        while budget.allows() {
            budget.spend();
            failed += 1;
        }
        assert_eq!(failed, 10);
        budget.deposit(100);
        assert!(budget.allows());
    }

    proptest! {
        /// One after the other: failed repeats are at most the share of the requests and the reserve.
        #[test]
        fn failed_repeats_stay_within_the_share(steps in prop::collection::vec(any::<(bool, bool)>(), 0..2000), percent in 0_u32..100) {
            let budget = RetryBudget::default();
            let (mut requests, mut failed) = (0_u64, 0_u64);
            for (request, fails) in steps {
                if request {
                    budget.deposit(percent);
                    requests += 1;
                } else if budget.allows() && fails {
                    budget.spend();
                    failed += 1;
                }
                prop_assert!(failed * 100 <= requests * u64::from(percent) + RESERVE * 100);
            }
        }
    }
}
