//! Counts tests from what the runners print.
//!
//! In: the output of `cargo test`, pytest and node's test runner. Out: how
//! many tests passed, failed and were skipped. It must never take a runner
//! that ran nothing, or that left tests out, for a success.

use std::fmt;

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed, or could not start.
    pub(crate) failed: u64,
    /// Tests that a runner left out.
    pub(crate) skipped: u64,
}

impl Counts {
    /// Reads the closing lines of any of the three runners.
    pub(crate) fn read(output: &str) -> Self {
        output.lines().map(line).fold(Self::default(), Self::plus)
    }

    /// Returns the sum.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed.saturating_add(other.passed),
            failed: self.failed.saturating_add(other.failed),
            skipped: self.skipped.saturating_add(other.skipped),
        }
    }

    /// Returns how many tests there were.
    pub(crate) fn total(self) -> u64 {
        self.passed
            .saturating_add(self.failed)
            .saturating_add(self.skipped)
    }

    /// Says what is wrong with these results, if anything is.
    pub(crate) fn fault(self) -> Option<String> {
        if self.failed > 0 {
            return Some(format!("{} of {} tests failed", self.failed, self.total()));
        }
        if self.skipped > 0 {
            return Some(format!("{} tests were skipped; none may be", self.skipped));
        }
        None
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} passed", self.passed)?;
        if self.failed > 0 {
            write!(out, ", {} failed", self.failed)?;
        }
        if self.skipped > 0 {
            write!(out, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

fn line(text: &str) -> Counts {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("test result:") {
        return words(rest);
    }
    // pytest: `=== 3 passed, 1 failed in 2.10s ===`, or without the rules under -q.
    let plain = text.trim_matches('=').trim();
    if let Some((list, took)) = plain.split_once(" in ")
        && took.ends_with(['s', ')'])
        && list.split(", ").all(is_tally)
    {
        return words(list);
    }
    node(text)
}

/// Returns whether the text is `NUMBER WORD`, as in a list of results.
fn is_tally(text: &str) -> bool {
    let mut parts = text.split_whitespace();
    let number = parts
        .next()
        .is_some_and(|first| first.parse::<u64>().is_ok());
    number && parts.next().is_some() && parts.next().is_none()
}

/// Reads `NUMBER WORD` pairs, whatever stands between them.
fn words(text: &str) -> Counts {
    let mut counts = Counts::default();
    let mut number = None;
    for word in text
        .split([' ', ',', ';', '.'])
        .filter(|word| !word.is_empty())
    {
        if let Ok(value) = word.parse::<u64>() {
            number = Some(value);
            continue;
        }
        let value = number.take().unwrap_or(0);
        match word {
            "passed" => counts.passed = value,
            "failed" | "error" | "errors" => counts.failed = counts.failed.saturating_add(value),
            "ignored" | "skipped" | "xfailed" | "xpassed" | "deselected" => {
                counts.skipped = counts.skipped.saturating_add(value);
            }
            _ => {}
        }
    }
    counts
}

/// Reads one of node's closing lines: `# pass 3`, `# fail 0`, `# skipped 0`.
fn node(text: &str) -> Counts {
    let mut counts = Counts::default();
    let Some(rest) = text.strip_prefix("# ") else {
        return counts;
    };
    let Some((name, number)) = rest.split_once(' ') else {
        return counts;
    };
    let Ok(number) = number.parse() else {
        return counts;
    };
    match name {
        "pass" => counts.passed = number,
        "fail" | "cancelled" => counts.failed = number,
        "skipped" | "todo" => counts.skipped = number,
        _ => {}
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::Counts;

    fn counts(passed: u64, failed: u64, skipped: u64) -> Counts {
        Counts {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn each_runner_is_read() {
        let table = [
            (
                "test result: ok. 12 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.01s",
                counts(12, 1, 2),
            ),
            (
                "test result: ok. 3 passed; 0 failed; 0 ignored\ntest result: ok. 4 passed; 0 failed",
                counts(7, 0, 0),
            ),
            (
                "===== 4 passed, 1 error in 61.20s (0:01:01) =====",
                counts(4, 1, 0),
            ),
            ("4 passed, 2 skipped, 3 warnings in 1.20s", counts(4, 0, 2)),
            (
                "# tests 9\n# pass 7\n# fail 1\n# cancelled 0\n# skipped 1",
                counts(7, 1, 1),
            ),
            ("a test that passed in 3 s", counts(0, 0, 0)),
            ("7 passed", counts(0, 0, 0)),
        ];
        for (text, want) in table {
            assert_eq!(Counts::read(text), want, "{text}");
        }
    }

    #[test]
    fn a_skipped_test_is_a_fault() {
        assert!(counts(5, 0, 1).fault().is_some());
        assert!(counts(5, 1, 0).fault().is_some());
        assert_eq!(counts(5, 0, 0).fault(), None);
    }
}
