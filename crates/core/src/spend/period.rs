//! Periods of the calendar, in UTC.
//!
//! In: seconds of the Unix epoch. Out: the period that they are in, and its days as people write
//! them. It knows no time zones and no leap seconds, as Unix time does not.

use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const HOUR: u64 = 3600;
const DAY: u64 = 86_400;

/// How long a budget lasts until it begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday's midnight on.
    Week,
    /// From the first day's midnight on.
    Month,
}

impl Period {
    /// Returns the name used in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// Returns how long it can be at most, in days.
    pub const fn most_days(self) -> u64 {
        match self {
            Self::Hour | Self::Day => 1,
            Self::Week => 7,
            Self::Month => 31,
        }
    }

    /// Returns the period that a second is in: from its first second to the next one's. Weeks and
    /// months follow the calendar up to the year 9999.
    pub fn around(self, unix_seconds: u64) -> Range<u64> {
        let from = |start: u64, length: u64| start..start.saturating_add(length);
        let midnight = unix_seconds - unix_seconds % DAY;
        let seconds = |days: i8| u64::from(days.unsigned_abs()).saturating_mul(DAY);
        match self {
            Self::Hour => from(unix_seconds - unix_seconds % HOUR, HOUR),
            Self::Day => from(midnight, DAY),
            Self::Week => {
                // The epoch began on a Thursday: what was left of that week is a period too.
                let weekday = civil(unix_seconds).weekday();
                let since = seconds(weekday.to_monday_zero_offset());
                let next = midnight.saturating_add((7 * DAY).saturating_sub(since));
                midnight.saturating_sub(since)..next
            }
            Self::Month => {
                let date = civil(unix_seconds).date();
                let since = seconds(date.day().saturating_sub(1));
                from(
                    midnight.saturating_sub(since),
                    seconds(date.days_in_month()),
                )
            }
        }
    }
}

/// Returns a time as `2026-12-01 00:00 UTC`.
pub(super) fn shown(unix_seconds: u64) -> String {
    civil(unix_seconds)
        .strftime("%Y-%m-%d %H:%M UTC")
        .to_string()
}

fn civil(unix_seconds: u64) -> DateTime {
    let seconds = i64::try_from(unix_seconds).ok();
    let at = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    TimeZone::UTC.to_datetime(at.unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Period; 4] = [Period::Hour, Period::Day, Period::Week, Period::Month];

    #[test]
    fn periods_begin_where_the_calendar_says() {
        // 2028-02-29 13:45:10 UTC, a Tuesday.
        let now = 1_835_444_710;
        let shown_of = |period: Period| {
            let range = period.around(now);
            [shown(range.start), shown(range.end)]
        };
        assert_eq!(shown(now), "2028-02-29 13:45 UTC");
        let table = [
            (Period::Hour, "2028-02-29 13:00 UTC", "2028-02-29 14:00 UTC"),
            (Period::Day, "2028-02-29 00:00 UTC", "2028-03-01 00:00 UTC"),
            (Period::Week, "2028-02-28 00:00 UTC", "2028-03-06 00:00 UTC"),
            (
                Period::Month,
                "2028-02-01 00:00 UTC",
                "2028-03-01 00:00 UTC",
            ),
        ];
        for (period, start, end) in table {
            assert_eq!(shown_of(period), [start, end], "{period:?}");
        }
        assert_eq!(shown(0), "1970-01-01 00:00 UTC");
        assert_eq!(shown(4_107_542_400), "2100-03-01 00:00 UTC");
        assert_eq!(Period::Week.around(0), 0..4 * DAY);
    }

    proptest! {
        /// Each second is in one period, and the next begins where that ends.
        #[test]
        fn periods_follow_each_other(now in 0_u64..40_000_000_000) {
            for period in ALL {
                let range = period.around(now);
                prop_assert!(range.contains(&now), "{:?}", period);
                prop_assert_eq!(period.around(range.start), range.clone());
                prop_assert_eq!(period.around(range.end - 1), range.clone());
                prop_assert_eq!(period.around(range.end).start, range.end);
                prop_assert!(range.end - range.start <= period.most_days() * DAY);
                prop_assert_eq!(range.end % HOUR, 0);
            }
        }
    }

    #[test]
    fn no_time_is_too_late() {
        for period in ALL {
            assert!(period.around(u64::MAX).start > 0);
        }
    }
}
