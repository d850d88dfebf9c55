//! What passed, within the last minute, five, fifteen, or hour.
//!
//! In: records of ended requests, and the present second. Out: sums and percentiles of a window. It
//! keeps single seconds for a minute and five of them together for an hour, and nothing of seconds
//! in which nothing ended.

use std::collections::BTreeMap;
use std::time::Duration;

use relay_api::v1;
use relay_core::price::Money;
use relay_core::record::{Outcome, RequestRecord};

use super::histogram::Histogram;

/// Parts of a window that are told one by one.
const PARTS: u64 = 60;
/// Seconds that are kept one by one.
const FINE_S: u64 = 60;
/// Seconds that are kept together beyond these.
const COARSE_S: u64 = 5;
/// The longest window.
const LONGEST_S: u64 = 3_600;

/// A span of time that rates are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Window {
    #[default]
    Minute,
    FiveMinutes,
    Quarter,
    Hour,
}

impl Window {
    /// Reads seconds as a caller says them: 0 is the default.
    pub(crate) fn of(seconds: u32) -> Option<Self> {
        match seconds {
            0 | 60 => Some(Self::Minute),
            300 => Some(Self::FiveMinutes),
            900 => Some(Self::Quarter),
            3_600 => Some(Self::Hour),
            _ => None,
        }
    }

    pub(crate) const fn seconds(self) -> u32 {
        match self {
            Self::Minute => 60,
            Self::FiveMinutes => 300,
            Self::Quarter => 900,
            Self::Hour => 3_600,
        }
    }
}

/// What ended within some seconds.
#[derive(Debug, Clone, Default)]
struct Slot {
    requests: u64,
    errors: u64,
    hops: u64,
    tokens: [Option<u64>; 4],
    cost: u64,
    unpriced: u64,
    /// Tokens that were produced in answers of which it is known how long they streamed.
    streamed_tokens: u64,
    streamed: Duration,
    first_event: Histogram,
    duration: Histogram,
}

impl Slot {
    fn add(&mut self, record: &RequestRecord) {
        bump(&mut self.requests, 1);
        bump(&mut self.errors, u64::from(failed(record)));
        let hops = record.attempts.len();
        let hops = if record.answered {
            hops
        } else {
            hops.saturating_sub(1)
        };
        bump(&mut self.hops, u64::try_from(hops).unwrap_or(u64::MAX));
        let usage = &record.usage;
        let kinds = [
            usage.input_tokens,
            usage.cache_read_input_tokens,
            usage.cache_creation_input_tokens,
            usage.output_tokens,
        ];
        for (sum, more) in self.tokens.iter_mut().zip(kinds) {
            *sum = add(*sum, more);
        }
        bump(
            &mut self.cost,
            record.cost.map_or(0, Money::as_nano_dollars),
        );
        bump(&mut self.unpriced, u64::from(unpriced(record)));
        if let Some(first) = record.time_to_first_event {
            self.first_event.add(first);
            if let (true, Some(tokens)) = (record.stream, usage.output_tokens) {
                bump(&mut self.streamed_tokens, tokens);
                let streamed = record.duration.saturating_sub(first);
                self.streamed = self.streamed.saturating_add(streamed);
            }
        }
        if record.outcome != Outcome::Refused {
            self.duration.add(record.duration);
        }
    }

    fn merge(&mut self, other: &Self) {
        bump(&mut self.requests, other.requests);
        bump(&mut self.errors, other.errors);
        bump(&mut self.hops, other.hops);
        for (sum, more) in self.tokens.iter_mut().zip(other.tokens) {
            *sum = add(*sum, more);
        }
        bump(&mut self.cost, other.cost);
        bump(&mut self.unpriced, other.unpriced);
        bump(&mut self.streamed_tokens, other.streamed_tokens);
        self.streamed = self.streamed.saturating_add(other.streamed);
        self.first_event.merge(&other.first_event);
        self.duration.merge(&other.duration);
    }
}

fn bump(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

fn add(sum: Option<u64>, more: Option<u64>) -> Option<u64> {
    match (sum, more) {
        (Some(sum), Some(more)) => Some(sum.saturating_add(more)),
        (known, None) | (None, known) => known,
    }
}

/// Tells whether the client saw a failure.
pub(crate) fn failed(record: &RequestRecord) -> bool {
    match record.outcome {
        Outcome::Complete | Outcome::Refused => record.status.is_none_or(|status| status >= 400),
        Outcome::ErrorEvent | Outcome::StreamCut | Outcome::Stalled => true,
        Outcome::ClientGone => false,
    }
}

/// Tells whether an answer used tokens whose price nobody knows.
pub(crate) fn unpriced(record: &RequestRecord) -> bool {
    let used = record.usage.input_tokens.is_some() || record.usage.output_tokens.is_some();
    record.answered && used && record.cost.is_none()
}

/// What passed, by time.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// By second.
    fine: BTreeMap<u64, Slot>,
    /// By [`COARSE_S`] seconds.
    coarse: BTreeMap<u64, Slot>,
    pub(super) last_s: u64,
}

impl Traffic {
    /// Takes what ended in a second.
    pub(crate) fn add(&mut self, record: &RequestRecord, now_s: u64) {
        self.pass(now_s);
        self.fine.entry(now_s).or_default().add(record);
        self.coarse.entry(now_s / COARSE_S).or_default().add(record);
    }

    /// Forgets what is older than any window.
    fn pass(&mut self, now_s: u64) {
        self.last_s = self.last_s.max(now_s);
        let keep = self.fine.split_off(&now_s.saturating_sub(FINE_S));
        self.fine = keep;
        let oldest = now_s.saturating_sub(LONGEST_S) / COARSE_S;
        let keep = self.coarse.split_off(&oldest);
        self.coarse = keep;
    }

    /// Sums a window that ends with this second.
    pub(crate) fn sum(&self, window: Window, now_s: u64) -> v1::Traffic {
        let length = u64::from(window.seconds());
        let (slots, unit) = match window {
            Window::Minute => (&self.fine, 1),
            Window::FiveMinutes | Window::Quarter | Window::Hour => (&self.coarse, COARSE_S),
        };
        let end = now_s / unit;
        let count = length / unit;
        let start = end.saturating_add(1).saturating_sub(count);
        let per_part = (count / PARTS).max(1);
        let mut all = Slot::default();
        let mut parts = vec![0_u32; usize::try_from(PARTS).unwrap_or(0)];
        for (index, slot) in slots.range(start..=end) {
            all.merge(slot);
            let place = index.saturating_sub(start) / per_part;
            let part = usize::try_from(place).ok().and_then(|it| parts.get_mut(it));
            if let Some(part) = part {
                *part = part.saturating_add(u32::try_from(slot.requests).unwrap_or(u32::MAX));
            }
        }
        told(&all, window, parts)
    }
}

fn told(all: &Slot, window: Window, parts: Vec<u32>) -> v1::Traffic {
    let quantiles = |histogram: &Histogram| v1::Quantiles {
        p50_us: histogram.percentile(50),
        p95_us: histogram.percentile(95),
        p99_us: histogram.percentile(99),
    };
    let [input, cache_read, cache_write, output] = all.tokens;
    let streamed = all.streamed.as_secs_f64();
    v1::Traffic {
        window_s: window.seconds(),
        requests: all.requests,
        errors: all.errors,
        hops: all.hops,
        requests_per_minute: float(all.requests) * 60.0 / f64::from(window.seconds()),
        time_to_first_event: Some(quantiles(&all.first_event)),
        duration: Some(quantiles(&all.duration)),
        tokens: Some(v1::Tokens {
            input,
            cache_read,
            cache_write,
            output,
        }),
        cost_nano_usd: all.cost,
        unpriced: all.unpriced,
        requests_by_part: parts,
        output_tokens_per_second: (streamed > 0.0).then(|| float(all.streamed_tokens) / streamed),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate, to be shown")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(duration_ms: u64) -> RequestRecord {
        let begun = RequestRecord::begun("r".into(), http::Method::POST, "/", Duration::ZERO);
        RequestRecord {
            answered: true,
            status: Some(200),
            outcome: Outcome::Complete,
            duration: Duration::from_millis(duration_ms),
            ..begun
        }
    }

    #[test]
    fn a_window_holds_what_ended_in_it() {
        let mut traffic = Traffic::default();
        for second in 0..600_u64 {
            traffic.add(&record(second), 10_000 + second);
        }
        let now = 10_599;
        let minute = traffic.sum(Window::Minute, now);
        assert_eq!(minute.requests, 60);
        assert_eq!(minute.requests_by_part, vec![1; 60]);
        assert!((minute.requests_per_minute - 60.0).abs() < 1e-9);
        let p50 = minute.duration.unwrap().p50_us.unwrap();
        assert!((569_000..=604_000).contains(&p50), "{p50}");
        let five = traffic.sum(Window::FiveMinutes, now);
        assert_eq!((five.requests, five.requests_by_part), (300, vec![5; 60]));
        assert_eq!(traffic.sum(Window::Hour, now).requests, 600);
        // An hour later nothing of it is left, and nothing is kept.
        traffic.add(&record(1), now + 3_700);
        assert_eq!(traffic.sum(Window::Hour, now + 3_700).requests, 1);
        assert_eq!((traffic.fine.len(), traffic.coarse.len()), (1, 1));
    }

    #[test]
    fn unknown_tokens_are_not_zero() {
        let mut traffic = Traffic::default();
        traffic.add(&record(1), 5);
        assert_eq!(
            traffic.sum(Window::Minute, 5).tokens,
            Some(v1::Tokens::default())
        );
    }
}
