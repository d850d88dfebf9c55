//! Bounds how many attempts are repeats, over all requests.
//!
//! In: each request, and each further attempt that one wants. Out: whether it may. Clients repeat
//! on their own, ten times and more: a relay that repeats each of those does so while the upstreams
//! are at their weakest.

use parking_lot::Mutex;

/// Repeats that are allowed beyond the share: a relay with one user must fail over as well.
const RESERVE: u64 = 10;

/// Repeats that can be saved up, so that a quiet hour does not pay for a storm.
const MOST_SAVED: u64 = 100;

/// A share of requests that may be repeated. A request puts in, a repeat takes out.
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
    /// Notes a request, which allows `percent` hundredths of a repeat.
    pub fn deposit(&self, percent: u32) {
        let mut balance = self.balance.lock();
        *balance = balance
            .saturating_add(u64::from(percent))
            .min(MOST_SAVED * 100);
    }

    /// Takes out one repeat. `false` if there is none left.
    pub fn withdraw(&self) -> bool {
        let mut balance = self.balance.lock();
        let left = balance.checked_sub(100);
        *balance = left.unwrap_or(*balance);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_reserve_serves_a_relay_with_one_user() {
        let budget = RetryBudget::default();
        let granted = (0..50).filter(|_| budget.withdraw()).count();
        assert_eq!(granted, 10);
    }

    proptest! {
        /// In any window: repeats are at most the share of its requests and what was saved.
        #[test]
        fn repeats_stay_within_the_share(steps in prop::collection::vec(any::<bool>(), 0..2000), percent in 0_u32..100) {
            let budget = RetryBudget::default();
            let (mut requests, mut repeats) = (0_u64, 0_u64);
            for request in steps {
                if request {
                    budget.deposit(percent);
                    requests += 1;
                } else if budget.withdraw() {
                    repeats += 1;
                }
                prop_assert!(repeats * 100 <= requests * u64::from(percent) + RESERVE * 100);
            }
        }
    }
}
