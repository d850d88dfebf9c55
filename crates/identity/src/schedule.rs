//! When to ask again. Pure: time and chance are arguments.
//!
//! In: how long an answer holds, how often asking failed. Out: a delay. It must never return a
//! delay so short that asking becomes a loop.

use std::time::Duration;

use relay_core::chance;

/// How long before its end a credential is replaced, at least.
const LEAD: Duration = Duration::from_mins(5);

/// The first delay after a failure, and the shortest between two questions.
pub(crate) const FIRST: Duration = Duration::from_secs(1);

/// The longest delay after a failure.
const LONGEST: Duration = Duration::from_mins(1);

/// Returns when to replace what is issued `now` and ends at `expires`: five minutes ahead, or a
/// fifth of a life shorter than 25 minutes, and up to a quarter of that earlier, so that replicas do
/// not all ask at once.
pub(crate) fn ahead(now: Duration, expires: Duration, seed: u64) -> Duration {
    let life = expires.saturating_sub(now);
    let lead = (life / 5).min(LEAD);
    let jitter = lead.mul_f64(chance::fraction(seed) / 4.0);
    expires.saturating_sub(lead).saturating_sub(jitter)
}

/// Returns how long to wait after this many failures in a row: 1 s, doubling, up to 60 s, less up
/// to a quarter of it.
pub(crate) fn backoff(failures: u32, seed: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(6);
    let delay = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let jitter = delay.mul_f64(chance::fraction(seed) / 4.0);
    delay.saturating_sub(jitter).max(FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_long_life_is_replaced_five_minutes_ahead_and_a_short_one_by_a_fifth() {
        for seed in 0..1_000 {
            let hour = ahead(seconds(1_000), seconds(4_600), seed);
            assert!((4_225..=4_300).contains(&hour.as_secs()), "{hour:?}");
            let short = ahead(seconds(1_000), seconds(1_010), seed);
            assert!(
                (7_500..=8_000).contains(&short.saturating_sub(seconds(1_000)).as_millis()),
                "{short:?}"
            );
        }
        assert_eq!(ahead(seconds(9), seconds(9), 1), seconds(9));
        assert_eq!(ahead(seconds(9), seconds(3), 1), seconds(3));
    }

    #[test]
    fn delays_double_from_one_second_to_a_minute() {
        for seed in 0..1_000 {
            assert_eq!(backoff(0, seed), FIRST);
            assert_eq!(backoff(1, seed), FIRST);
            for (failures, most) in [(2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (900, 60)] {
                let delay = backoff(failures, seed);
                assert!(delay <= seconds(most) && delay >= seconds(most) * 3 / 4);
            }
        }
    }
}
