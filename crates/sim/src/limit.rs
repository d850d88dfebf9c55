//! A model of the API's rate limits (<https://platform.claude.com/docs/en/api/rate-limits>, read
//! 2026-11). In: who asks, for which model, how many tokens, and the time; out: admitted, or how
//! long to wait, and the headers of the answer. Must never read a clock.
//!
//! A bucket a limit, refilled without pause, for each organisation and class of models. Reads from
//! the prompt cache do not count: the caller leaves them out of a request's input.

use std::collections::HashMap;
use std::time::Duration;

/// What an organisation may use in a minute, for each class of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests a minute.
    pub requests: u64,
    /// Input tokens a minute, without what is read from the cache.
    pub input_tokens: u64,
    /// Output tokens a minute.
    pub output_tokens: u64,
}

/// A request over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The wait after which the same request is admitted if nothing else comes.
    pub retry_after: Duration,
}

/// A level is held in tokens times this, so that a nanosecond's refill is a whole number: the
/// limit.
const UNITS: i128 = 60_000_000_000;
/// Token headers are rounded to this.
const ROUNDED_TO: i128 = 1000;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    limit: i128,
    /// Below zero after a debt: output is known only when it has been said.
    level: i128,
    at: Duration,
}

impl Bucket {
    fn full(limit: u64, now: Duration) -> Self {
        let limit = i128::from(limit);
        Self {
            limit,
            level: limit.saturating_mul(UNITS),
            at: now,
        }
    }

    fn refill(&mut self, now: Duration) {
        let passed = nanos(now.saturating_sub(self.at));
        let capacity = self.limit.saturating_mul(UNITS);
        let refilled = passed.saturating_mul(self.limit);
        self.level = self.level.saturating_add(refilled).min(capacity);
        self.at = self.at.max(now);
    }

    /// Returns the wait until `tokens` are in, or until full for more than it ever holds.
    fn wait(&self, tokens: u64) -> Duration {
        if tokens == 0 {
            return Duration::ZERO;
        }
        if self.limit <= 0 {
            // A limit of zero never refills; a day stands for never.
            return Duration::from_hours(24);
        }
        let wanted = i128::from(tokens).min(self.limit).saturating_mul(UNITS);
        let missing = wanted.saturating_sub(self.level).max(0);
        let up = self.limit.saturating_sub(1);
        let whole = missing.saturating_add(up) / self.limit;
        Duration::from_nanos(u64::try_from(whole).unwrap_or(u64::MAX))
    }

    fn take(&mut self, tokens: u64) {
        let taken = i128::from(tokens).saturating_mul(UNITS);
        self.level = self.level.saturating_sub(taken);
    }

    fn remaining(&self) -> i128 {
        self.level.max(0) / UNITS
    }

    fn until_full(&self) -> Duration {
        self.wait(u64::MAX)
    }
}

fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

#[derive(Debug)]
struct Buckets {
    requests: Bucket,
    input: Bucket,
    output: Bucket,
}

impl Buckets {
    fn all(&mut self) -> [&mut Bucket; 3] {
        [&mut self.requests, &mut self.input, &mut self.output]
    }
}

/// The rate limits of all organisations.
#[derive(Debug, Default)]
pub struct RateLimiter {
    limits: HashMap<String, Limits>,
    buckets: HashMap<(String, String), Buckets>,
}

impl RateLimiter {
    /// Returns a limiter that admits everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an organisation's limits; each class of models has its own buckets, full at first.
    pub fn set_limits(&mut self, organisation: &str, limits: Limits) {
        self.limits.insert(organisation.to_owned(), limits);
        self.buckets.retain(|(owner, _), _| owner != organisation);
    }

    /// Admits a request of this much input that is not read from the cache, and counts it.
    ///
    /// A request larger than the limit itself is admitted by a full bucket, which then owes.
    ///
    /// # Errors
    /// [`Refused`] if a bucket lacks what is needed; then nothing is counted.
    pub fn admit(
        &mut self,
        organisation: &str,
        model: &str,
        input_tokens: u64,
        now: Duration,
    ) -> Result<(), Refused> {
        let Some(buckets) = self.buckets(organisation, model, now) else {
            return Ok(());
        };
        let waits = [
            buckets.requests.wait(1),
            buckets.input.wait(input_tokens),
            buckets.output.wait(1),
        ];
        let retry_after = waits.into_iter().max().unwrap_or_default();
        if !retry_after.is_zero() {
            return Err(Refused { retry_after });
        }
        buckets.requests.take(1);
        buckets.input.take(input_tokens);
        Ok(())
    }

    /// Counts output that was said.
    pub fn spend_output(&mut self, organisation: &str, model: &str, tokens: u64, now: Duration) {
        if let Some(buckets) = self.buckets(organisation, model, now) {
            buckets.output.take(tokens);
        }
    }

    /// Returns the `anthropic-ratelimit-*` headers of an answer at `now`, which is `unix` since
    /// 1970; none for an organisation without limits.
    pub fn headers(
        &mut self,
        organisation: &str,
        model: &str,
        now: Duration,
        unix: Duration,
    ) -> Vec<(String, String)> {
        let Some(buckets) = self.buckets(organisation, model, now) else {
            return Vec::new();
        };
        let (input, output) = (&buckets.input, &buckets.output);
        let sum = (
            input.limit.saturating_add(output.limit),
            input.remaining().saturating_add(output.remaining()),
            input.until_full().max(output.until_full()),
        );
        let of = |bucket: &Bucket| (bucket.limit, bucket.remaining(), bucket.until_full());
        let rows = [
            ("requests", of(&buckets.requests), 1),
            ("input-tokens", of(input), ROUNDED_TO),
            ("output-tokens", of(output), ROUNDED_TO),
            ("tokens", sum, ROUNDED_TO),
        ];
        let mut headers = Vec::new();
        for (name, (limit, remaining, until_full), step) in rows {
            let remaining = remaining.saturating_add(step / 2) / step * step;
            for (field, value) in [
                ("limit", limit.to_string()),
                ("remaining", remaining.min(limit).to_string()),
                ("reset", rfc3339(unix.saturating_add(until_full))),
            ] {
                headers.push((format!("anthropic-ratelimit-{name}-{field}"), value));
            }
        }
        headers
    }

    fn buckets(&mut self, organisation: &str, model: &str, now: Duration) -> Option<&mut Buckets> {
        let limits = self.limits.get(organisation)?;
        let key = (organisation.to_owned(), model_class(model).to_owned());
        let buckets = self.buckets.entry(key).or_insert_with(|| Buckets {
            requests: Bucket::full(limits.requests, now),
            input: Bucket::full(limits.input_tokens, now),
            output: Bucket::full(limits.output_tokens, now),
        });
        for bucket in buckets.all() {
            bucket.refill(now);
        }
        Some(buckets)
    }
}

/// Returns the class whose limits a model shares: all Opus 4.x are one, all Sonnet 4.x another,
/// any other model is its own whatever its date.
pub fn model_class(model: &str) -> &str {
    for class in ["claude-opus-4", "claude-sonnet-4"] {
        if model
            .strip_prefix(class)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        {
            return class;
        }
    }
    match model.rsplit_once('-') {
        Some((name, date)) if date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => model,
    }
}

/// Returns a moment since 1970 as RFC 3339, rounded up to the second.
fn rfc3339(unix: Duration) -> String {
    let up = u64::from(unix.subsec_nanos() > 0);
    let seconds = unix.as_secs().saturating_add(up);
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days from 1 March of the year 0, in eras of 400 years, so that a leap day ends its year.
    let days = days.saturating_add(719_468);
    let (era, day) = (days / 146_097, days % 146_097);
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests;
