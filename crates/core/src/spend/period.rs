//! Periods of the calendar, in UTC.
//!
//! In: seconds of the Unix epoch. Out: the period that they are in, and its days as people write
//! them. It knows no time zones and no leap seconds, as Unix time does not.

use std::ops::Range;

const HOUR: u64 = 3600;
const DAY: u64 = 86_400;

/// Days of 400 years: then the calendar repeats itself.
const CYCLE_DAYS: u64 = 146_097;

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

    /// Returns the period that a second is in: from its first second to the next one's.
    pub fn around(self, unix_seconds: u64) -> Range<u64> {
        let from = |start: u64, length: u64| start..start.saturating_add(length);
        match self {
            Self::Hour => from(unix_seconds - unix_seconds % HOUR, HOUR),
            Self::Day => from(unix_seconds - unix_seconds % DAY, DAY),
            Self::Week => {
                // The epoch began on a Thursday: what was left of that week is a period too.
                let days = unix_seconds / DAY;
                let since_monday = days.saturating_add(3) % 7;
                let monday = days.saturating_sub(since_monday).saturating_mul(DAY);
                let next = days.saturating_add(7_u64.saturating_sub(since_monday));
                monday..next.saturating_mul(DAY)
            }
            Self::Month => {
                let date = Date::of(unix_seconds);
                let days = unix_seconds / DAY;
                let first = days.saturating_sub(date.day.saturating_sub(1));
                from(
                    first.saturating_mul(DAY),
                    month_days(date.year, date.month).saturating_mul(DAY),
                )
            }
        }
    }
}

/// Returns a time as `2026-12-01 00:00 UTC`.
pub(super) fn shown(unix_seconds: u64) -> String {
    let Date { year, month, day } = Date::of(unix_seconds);
    let (hour, minute) = (unix_seconds % DAY / HOUR, unix_seconds % HOUR / 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// A day of the Gregorian calendar; months and days count from 1.
struct Date {
    year: u64,
    month: u64,
    day: u64,
}

impl Date {
    /// Counts years and months off, at most 400 and 12.
    fn of(unix_seconds: u64) -> Self {
        let days = unix_seconds / DAY;
        let mut left = days % CYCLE_DAYS;
        let mut year = (days / CYCLE_DAYS).saturating_mul(400).saturating_add(1970);
        while left >= year_days(year) {
            left = left.saturating_sub(year_days(year));
            year = year.saturating_add(1);
        }
        let mut month = 1;
        while left >= month_days(year, month) {
            left = left.saturating_sub(month_days(year, month));
            month = month.saturating_add(1);
        }
        Self {
            year,
            month,
            day: left.saturating_add(1),
        }
    }
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn year_days(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

const fn month_days(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
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
