//! The one place that reads the clock. In: nothing; out: instants. Must never decide anything.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Returns the present moment of the runtime's clock (paused with it in tests).
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns the time since 1970, zero on a machine whose clock stands before it.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the clock"
)]
pub(crate) fn unix() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// Returns the time since 1970 of a date like `20150830T123600Z`, or `None` if it is none.
pub(crate) fn parse_basic(date: &str) -> Option<Duration> {
    let date = date.strip_suffix('Z')?;
    if date.len() != 15 || date.get(8..9) != Some("T") {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = date.get(from..to)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let seconds = number(9, 11)?
        .saturating_mul(3600)
        .saturating_add(number(11, 13)?.saturating_mul(60))
        .saturating_add(number(13, 15)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March end with the leap day.
    let (year, month) = if month > 2 {
        (year, month.saturating_sub(3))
    } else {
        (year.checked_sub(1)?, month.saturating_add(9))
    };
    let leaps = (year / 4)
        .saturating_add(year / 400)
        .saturating_sub(year / 100);
    let days = year
        .saturating_mul(365)
        .saturating_add(leaps)
        .saturating_add(month.saturating_mul(153).saturating_add(2) / 5)
        .saturating_add(day)
        .checked_sub(DAYS_TO_1970)?;
    Some(Duration::from_secs(
        days.saturating_mul(86_400).saturating_add(seconds),
    ))
}

/// Days from the first of March of the year 0 to the first of January 1970, and one, since days
/// of a month are counted from one.
const DAYS_TO_1970: u64 = 719_469;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse_basic;

    #[test]
    fn dates_are_read() {
        let seconds = |date| parse_basic(date).map(|since| since.as_secs());
        assert_eq!(seconds("19700101T000000Z"), Some(0));
        assert_eq!(seconds("20150830T123600Z"), Some(1_440_938_160));
        assert_eq!(seconds("20000229T235959Z"), Some(951_868_799));
        assert_eq!(seconds("20261123T012609Z"), Some(1_795_397_169));
        for wrong in [
            "",
            "20150830",
            "2015-08-30T12:36:00Z",
            "20151330T123600Z",
            "2015083+T123600Z",
        ] {
            assert_eq!(parse_basic(wrong), None::<Duration>, "{wrong}");
        }
    }
}
