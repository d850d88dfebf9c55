//! What an upstream says is left of an organisation's limits, for one class of models.
//!
//! In: response headers. Out: how much of each limit is left, refilled as time passes. It must never
//! believe a header that makes no sense, nor one for longer than [`HINT_CAP`].
//!
//! Header names, and that limits refill continuously: Anthropic's rate-limits page, read 2026-11-22.

use std::time::Duration;

use http::HeaderMap;

use crate::moment::Moment;
use crate::refusal::HINT_CAP;

/// How often a plan whose window is spent is tried all the same: its reset may be days away, and an
/// owner can lift it.
const PLAN_RETRY: Duration = Duration::from_mins(15);

/// The buckets, and what of a request each counts.
const BUCKETS: [&str; 4] = ["requests", "input-tokens", "output-tokens", "tokens"];

/// What a request needs of each bucket, in their order.
pub(crate) type Need = [u64; 4];

/// A bucket that refills continuously.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    limit: u64,
    /// What is left at `at`.
    level: f64,
    at: Moment,
}

/// The limits of one organisation for one class of models.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    buckets: [Option<Bucket>; 4],
    /// Reserved by requests that the upstream has not counted yet.
    pending: Need,
    /// A limit lasts until then.
    pub(crate) parked_until: Moment,
    /// The upstream refuses these models until then, limits or not.
    pub(crate) forbidden_until: Moment,
}

#[expect(clippy::cast_precision_loss, reason = "limits are far below 2^52")]
fn float(number: u64) -> f64 {
    number as f64
}

impl Bucket {
    fn level(&self, now: Moment) -> f64 {
        let refill = float(self.limit) / 60.0 * now.since(self.at).as_secs_f64();
        (self.level + refill).min(float(self.limit))
    }

    /// Returns when so much is there. What is beyond the limit by itself needs a full bucket.
    fn has_at(&self, need: u64, now: Moment) -> Moment {
        let need = float(need.min(self.limit));
        let lacks = need - self.level(now);
        if lacks <= 0.0 {
            return now;
        }
        let wait = lacks * 60.0 / float(self.limit.max(1));
        now.plus(
            Duration::try_from_secs_f64(wait)
                .unwrap_or(HINT_CAP)
                .min(HINT_CAP),
        )
    }
}

impl Ledger {
    /// Returns when a request fits: `now` if it does.
    pub(crate) fn fits_at(&self, need: &Need, now: Moment) -> Moment {
        let mut at = now.max(self.parked_until);
        for (bucket, need) in self.buckets.iter().zip(need) {
            if let Some(bucket) = bucket {
                at = at.max(bucket.has_at(*need, now));
            }
        }
        at
    }

    /// Reserves for a request that is sent now.
    pub(crate) fn reserve(&mut self, need: &Need, now: Moment) {
        for ((bucket, pending), need) in self.buckets.iter_mut().zip(&mut self.pending).zip(need) {
            *pending = pending.saturating_add(*need);
            if let Some(bucket) = bucket {
                bucket.level = bucket.level(now) - float(*need);
                bucket.at = now;
            }
        }
    }

    /// Notes that the upstream has counted a request, or never will. `returned` is given back.
    pub(crate) fn release(&mut self, need: &Need, returned: bool, now: Moment) {
        for ((bucket, pending), need) in self.buckets.iter_mut().zip(&mut self.pending).zip(need) {
            *pending = pending.saturating_sub(*need);
            if let Some(bucket) = bucket.as_mut().filter(|_| returned) {
                bucket.level = (bucket.level(now) + float(*need)).min(float(bucket.limit));
                bucket.at = now;
            }
        }
    }

    /// Takes the upstream's word. What others have under way it does not know yet.
    pub(crate) fn observe(
        &mut self,
        headers: &HeaderMap,
        status: u16,
        now: Moment,
        unix: Duration,
    ) {
        for ((name, bucket), pending) in BUCKETS.iter().zip(&mut self.buckets).zip(self.pending) {
            let number = |what: &str| {
                let name = format!("anthropic-ratelimit-{name}-{what}");
                text(headers, &name)?.parse::<u64>().ok()
            };
            let (Some(limit), Some(remaining)) = (number("limit"), number("remaining")) else {
                continue;
            };
            if limit > 0 && remaining <= limit {
                *bucket = Some(Bucket {
                    limit,
                    level: float(remaining) - float(pending),
                    at: now,
                });
            }
        }
        if text(headers, "anthropic-ratelimit-unified-status") == Some("rejected") && status == 429
        {
            let reset = text(headers, "anthropic-ratelimit-unified-reset").and_then(time);
            let wait = reset.map_or(PLAN_RETRY, |at| at.saturating_sub(unix));
            self.parked_until = self.parked_until.max(now.plus(wait.min(PLAN_RETRY)));
        }
    }

    /// Takes over what another ledger knows: its organisation turned out to be this one.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (pending, more) in self.pending.iter_mut().zip(other.pending) {
            *pending = pending.saturating_add(more);
        }
        self.parked_until = self.parked_until.max(other.parked_until);
        self.forbidden_until = self.forbidden_until.max(other.forbidden_until);
        for (mine, other) in self.buckets.iter_mut().zip(other.buckets) {
            let newer = match (&mine, other) {
                (Some(mine), Some(other)) => mine.at <= other.at,
                (None, Some(_)) => true,
                (_, None) => false,
            };
            if newer {
                *mine = other;
            }
        }
    }

    /// Returns limit and level of each known bucket, by name.
    pub(crate) fn levels(&self, now: Moment) -> Vec<(&'static str, u64, u64)> {
        let known = BUCKETS.iter().zip(&self.buckets);
        let shown = known.filter_map(|(name, bucket)| {
            let bucket = bucket.as_ref()?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between zero and the limit"
            )]
            let level = bucket.level(now).max(0.0) as u64;
            Some((*name, bucket.limit, level))
        });
        shown.collect()
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Reads a time: seconds since the epoch, or RFC 3339.
fn time(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at: jiff::Timestamp = text.parse().ok()?;
    Duration::try_from_secs_f64(at.duration_since(jiff::Timestamp::UNIX_EPOCH).as_secs_f64()).ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const UNIX: Duration = Duration::from_hours(498_720);

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        };
        lines.iter().map(line).collect()
    }

    const INPUT: [&str; 2] = [
        "anthropic-ratelimit-input-tokens-limit",
        "anthropic-ratelimit-input-tokens-remaining",
    ];

    fn input(limit: &str, remaining: &str) -> HeaderMap {
        headers(&[(INPUT[0], limit), (INPUT[1], remaining)])
    }

    #[test]
    fn the_upstreams_word_sets_the_level_and_time_refills_it() {
        let mut ledger = Ledger::default();
        assert_eq!(
            ledger.fits_at(&[1, 9_000_000, 0, 0], at(0)),
            at(0),
            "nothing is known"
        );
        ledger.observe(&input("60000", "10000"), 200, at(10), UNIX);
        assert_eq!(ledger.fits_at(&[1, 10_000, 0, 0], at(10)), at(10));
        assert_eq!(
            ledger.fits_at(&[1, 30_000, 0, 0], at(10)),
            at(30),
            "1,000 a second"
        );
        assert_eq!(
            ledger.fits_at(&[1, 900_000, 0, 0], at(10)),
            at(60),
            "a full bucket is enough"
        );
    }

    #[test]
    fn what_is_under_way_is_not_given_away_twice() {
        let mut ledger = Ledger::default();
        let need = [1, 20_000, 0, 0];
        ledger.observe(&input("60000", "60000"), 200, at(0), UNIX);
        ledger.reserve(&need, at(0));
        ledger.reserve(&need, at(0));
        // The answer to the first: the upstream has not seen the second.
        ledger.release(&need, false, at(0));
        ledger.observe(&input("60000", "40000"), 200, at(0), UNIX);
        assert_eq!(ledger.levels(at(0)), [("input-tokens", 60_000, 20_000)]);
        ledger.release(&need, true, at(0));
        assert_eq!(ledger.levels(at(0)), [("input-tokens", 60_000, 40_000)]);
        assert_eq!(ledger.pending, [0; 4]);
    }

    #[test]
    fn nonsense_is_not_believed() {
        for (limit, remaining) in [
            ("0", "0"),
            ("-5", "1"),
            ("10", "11"),
            ("many", "1"),
            ("", ""),
        ] {
            let mut ledger = Ledger::default();
            ledger.observe(&input(limit, remaining), 200, at(0), UNIX);
            assert!(ledger.levels(at(0)).is_empty(), "{limit} {remaining}");
        }
    }

    #[test]
    fn a_spent_plan_is_tried_again_within_a_quarter_of_an_hour() {
        let unified = "anthropic-ratelimit-unified-status";
        let reset = "anthropic-ratelimit-unified-reset";
        let soon = (UNIX.as_secs() + 40).to_string();
        let days = (UNIX.as_secs() + 400_000).to_string();
        for (told, seconds) in [
            (soon.as_str(), 40),
            (days.as_str(), 900),
            ("1970-01-01T00:00:00Z", 0),
            ("2999-01-01T00:00:00Z", 900),
            ("soon", 900),
        ] {
            let mut ledger = Ledger::default();
            let spent = headers(&[(unified, "rejected"), (reset, told)]);
            ledger.observe(&spent, 429, at(5), UNIX);
            assert_eq!(
                ledger.fits_at(&[1, 0, 0, 0], at(5)),
                at(5 + seconds),
                "{told}"
            );
        }
    }
}
