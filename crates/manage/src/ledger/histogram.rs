//! Counts durations finely enough for percentiles.
//!
//! In: durations. Out: percentiles that are never too low, and at most 6 % too high: there are
//! twelve grades an octave. It holds the grades that were met and no others.

use std::collections::BTreeMap;
use std::time::Duration;

/// Grades from one power of two to the next: 2^(1/12) is 1.059.
const GRADES: f64 = 12.0;

/// How often durations of each grade were met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Histogram(BTreeMap<u16, u32>);

impl Histogram {
    pub(crate) fn add(&mut self, duration: Duration) {
        let count = self.0.entry(grade(duration)).or_default();
        *count = count.saturating_add(1);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (grade, more) in &other.0 {
            let count = self.0.entry(*grade).or_default();
            *count = count.saturating_add(*more);
        }
    }

    /// Returns the duration in microseconds that so many percent do not exceed.
    pub(crate) fn percentile(&self, percent: u64) -> Option<u64> {
        let total: u64 = self.0.values().map(|count| u64::from(*count)).sum();
        let rank = total.saturating_mul(percent).div_ceil(100).max(1);
        let mut below = 0_u64;
        for (grade, count) in &self.0 {
            below = below.saturating_add(u64::from(*count));
            if below >= rank {
                return Some(ceiling(*grade));
            }
        }
        None
    }
}

/// Returns the grade of a duration: everything up to a microsecond is of the first.
fn grade(duration: Duration) -> u16 {
    let micros = duration.as_secs_f64() * 1e6;
    let grade = (micros.max(1.0).log2() * GRADES).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 12 times 84"
    )]
    {
        grade as u16
    }
}

/// Returns the longest duration of a grade.
fn ceiling(grade: u16) -> u64 {
    let micros = (f64::from(grade) / GRADES).exp2();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and a cast stays within the type"
    )]
    {
        micros.round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(Histogram::default().percentile(50), None);
    }

    proptest! {
        #[test]
        fn a_percentile_is_never_too_low_and_at_most_six_percent_too_high(
            mut micros in prop::collection::vec(1_u64..4_000_000_000, 1..200),
            percent in 1_usize..=100,
        ) {
            let mut histogram = Histogram::default();
            for micros in &micros {
                histogram.add(Duration::from_micros(*micros));
            }
            micros.sort_unstable();
            let rank = (micros.len() * percent).div_ceil(100).max(1);
            let exact = micros[rank - 1];
            let told = histogram.percentile(percent.try_into().unwrap()).unwrap();
            // Whole microseconds are rounded to.
            prop_assert!(told + 1 >= exact, "{told} {exact}");
            prop_assert!(told * 100 <= exact * 106 + 100, "{told} {exact}");
        }

        #[test]
        fn merging_is_adding(one in prop::collection::vec(1_u64..1_000_000, 0..50), two in prop::collection::vec(1_u64..1_000_000, 0..50)) {
            let of = |micros: &[u64]| {
                let mut histogram = Histogram::default();
                for micros in micros {
                    histogram.add(Duration::from_micros(*micros));
                }
                histogram
            };
            let mut merged = of(&one);
            merged.merge(&of(&two));
            let all: Vec<u64> = one.into_iter().chain(two).collect();
            prop_assert_eq!(merged, of(&all));
        }
    }
}
