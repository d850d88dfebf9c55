//! A day, from which a price counts.

use std::time::Duration;

use jiff::civil::Date;

/// A day in UTC, by its number since 1970-01-01.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u64);

impl Day {
    /// Returns the day of a time since the Unix epoch.
    pub const fn of(unix: Duration) -> Self {
        Self(unix.as_secs() / 86_400)
    }

    /// Reads `2026-11-22`; nothing before 1970.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let date: Date = text.parse().ok()?;
        let days = date.since(Date::constant(1970, 1, 1)).ok()?.get_days();
        u64::try_from(days).ok().map(Self)
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let days = i64::try_from(self.0).unwrap_or(i64::MAX);
        let span = jiff::Span::new().try_days(days).unwrap_or_default();
        let date = Date::constant(1970, 1, 1).saturating_add(span);
        write!(f, "{date}")
    }
}
