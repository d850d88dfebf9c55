//! An amount of US dollars.

use std::fmt;

/// An amount of US dollars, in billionths. At the top of its range, 18 billion dollars, it stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(u64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Takes billionths of a dollar.
    pub const fn nano_dollars(nano_dollars: u64) -> Self {
        Self(nano_dollars)
    }

    /// Returns billionths of a dollar.
    pub const fn as_nano_dollars(self) -> u64 {
        self.0
    }

    /// Returns dollars, for a gauge or a screen.
    pub fn as_dollars(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "shown, not computed with")]
        {
            self.0 as f64 / 1e9
        }
    }

    /// Returns the sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Money {
    /// Dollars to four places, rounded down: `$0.7200`; below a cent to six, so that little is not
    /// taken for nothing: `$0.000047`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1..1_000 => return f.write_str("<$0.000001"),
            1_000..10_000_000 => return write!(f, "$0.{:06}", self.0 / 1_000),
            _ => {}
        }
        let whole = self.0 / 1_000_000_000;
        let rest = self.0 % 1_000_000_000 / 100_000;
        write!(f, "${whole}.{rest:04}")
    }
}
