//! Runs steps one after another and keeps their results.
//!
//! In: a name and a function for each step. Out: one line a step as it ends,
//! the log of a step that failed, and at the end the table of times with the
//! line `N passed, N failed`. It must never call a run good in which a step
//! failed or a test was skipped.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::clock;
use crate::count::Counts;
use crate::shell::Log;

/// The lines of a failed step's log that are shown; the rest stays in its file.
const SHOWN_LINES: usize = 200;

/// The lines that name a failure and are shown before those.
const NAMED_LINES: usize = 40;

/// What has been run so far.
#[derive(Debug)]
pub(crate) struct Steps {
    began: Instant,
    done: Vec<Done>,
}

#[derive(Debug)]
struct Done {
    name: String,
    took: Duration,
    counts: Counts,
    good: bool,
    again: bool,
}

impl Steps {
    /// Starts the clock.
    pub(crate) fn new() -> Self {
        Self {
            began: clock::now(),
            done: Vec::new(),
        }
    }

    /// Runs `step`, prints its line, and says whether it passed.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce(&Log) -> Result<Counts>) -> bool {
        self.record(name, false, step)
    }

    /// As `run`, for tests that another step has run already: the summary counts them once.
    pub(crate) fn again(&mut self, name: &str, step: impl FnOnce(&Log) -> Result<Counts>) -> bool {
        self.record(name, true, step)
    }

    fn record(
        &mut self,
        name: &str,
        again: bool,
        step: impl FnOnce(&Log) -> Result<Counts>,
    ) -> bool {
        say(&format!("{name:<38} "));
        let began = clock::now();
        let result = Log::named(name).and_then(|log| Ok((step(&log)?, log)));
        let took = began.elapsed();
        let (counts, fault) = match result {
            Ok((counts, _)) => (counts, counts.fault()),
            Err(fault) => (Counts::default(), Some(format!("{fault:#}"))),
        };
        let good = fault.is_none();
        let tests = if counts.total() == 0 {
            String::new()
        } else {
            format!("{counts}")
        };
        let word = if good { "ok" } else { "FAILED" };
        say(&format!(
            "{word:<6} {:>7.1} s  {tests}\n",
            took.as_secs_f64()
        ));
        if let Some(fault) = fault {
            show(name, &fault);
        }
        self.done.push(Done {
            name: name.to_owned(),
            took,
            counts,
            good,
            again,
        });
        good
    }

    /// Records a step that could not be run at all, as a failure.
    pub(crate) fn fail(&mut self, name: &str, why: &str) {
        self.run(name, |_| Err(anyhow::anyhow!("{why}")));
    }

    /// Prints the table of times and the summary; `true` if every step passed.
    pub(crate) fn finish(self) -> bool {
        let mut failed_steps = Vec::new();
        let mut counts = Counts::default();
        if self.done.len() > 1 {
            say("\n");
        }
        for done in &self.done {
            if self.done.len() > 1 {
                say(&format!(
                    "{:>8.1} s  {}\n",
                    done.took.as_secs_f64(),
                    done.name
                ));
            }
            if !done.again {
                counts = counts.plus(done.counts);
            }
            if !done.good {
                failed_steps.push(done.name.as_str());
            }
        }
        say(&format!(
            "{:>8.1} s  in all\n",
            self.began.elapsed().as_secs_f64()
        ));
        if !failed_steps.is_empty() {
            say(&format!("failed: {}\n", failed_steps.join("; ")));
        }
        if counts.total() > 0 {
            say(&format!(
                "{} passed, {} failed\n",
                counts.passed, counts.failed
            ));
        }
        failed_steps.is_empty()
    }
}

fn show(name: &str, fault: &str) {
    complain(fault);
    let Ok(text) = std::fs::read_to_string(Log::path(name)) else {
        return;
    };
    let lines: Vec<&str> = text.lines().collect();
    // Runners name what failed anywhere in what they print.
    for line in lines
        .iter()
        .filter(|line| names_a_failure(line))
        .take(NAMED_LINES)
    {
        complain(line);
    }
    let hidden = lines.len().saturating_sub(SHOWN_LINES);
    if hidden > 0 {
        complain(&format!(
            "... {hidden} lines before these are in {}",
            Log::path(name).display()
        ));
    }
    for line in lines.iter().skip(hidden) {
        complain(line);
    }
}

fn names_a_failure(line: &str) -> bool {
    let starts = ["FAILED ", "ERROR ", "not ok ", "error: ", "error["];
    line.ends_with(" ... FAILED")
        || line.contains("' panicked at ")
        || starts.iter().any(|start| line.starts_with(start))
}

/// Prints to standard output; a closed pipe is no reason to stop the tests.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout();
    drop(out.write_all(text.as_bytes()));
    drop(out.flush());
}

/// Prints a line to standard error.
pub(crate) fn complain(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

#[cfg(test)]
mod tests {
    use super::Steps;
    use crate::count::Counts;

    fn counts(passed: u64, failed: u64) -> Counts {
        Counts {
            passed,
            failed,
            skipped: 0,
        }
    }

    #[test]
    fn a_run_is_good_only_if_every_step_is() {
        let mut steps = Steps::new();
        assert!(steps.run("xtask test: good", |_| Ok(counts(1, 0))));
        assert!(steps.finish());

        let mut steps = Steps::new();
        assert!(!steps.run("xtask test: a failed test", |_| Ok(counts(1, 1))));
        assert!(steps.run("xtask test: good", |_| Ok(counts(1, 0))));
        assert!(!steps.finish(), "a later success hides no failure");

        let mut steps = Steps::new();
        steps.fail("xtask test: not run", "something is missing");
        assert!(!steps.finish());
    }
}
