//! What a day came to.
//!
//! In: answers and refusals as they come. Out: dollars, shares, waits. Must never count what was
//! not billed.
#![expect(
    clippy::cast_precision_loss,
    reason = "sums of a day are far below 2^52"
)]
use std::time::Duration;

use relay_core::{
    affinity::Change,
    price::{Day, Money, Prices, Seller},
    usage::Usage,
};

use super::world::{Answer, MODEL};

/// Sums of a day.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// What was billed; `None` once a price was not known.
    pub(crate) dollars: Option<Money>,
    /// Requests that were served.
    pub(crate) served: u64,
    /// Input tokens of all kinds.
    pub(crate) input: u64,
    /// Input tokens read from a cache.
    pub(crate) read: u64,
    /// What each key carried of what limits count: fresh and written input, and output.
    pub(crate) counted: Vec<u64>,
    /// What each key carried in all.
    pub(crate) carried: Vec<u64>,
    /// Refusals that a client saw, of status 429.
    pub(crate) limited: u64,
    /// Refusals that a client saw, of other status.
    pub(crate) failed: u64,
    /// Refusals of an upstream.
    pub(crate) setbacks: u64,
    /// Requests that a client gave up.
    pub(crate) lost: u64,
    /// Turns that were served away from a warm home.
    pub(crate) moves: u64,
    /// Their price.
    pub(crate) moved: Money,
    /// How long each request waited before it was sent.
    pub(crate) waited: Vec<Duration>,
}

impl Tally {
    pub(crate) fn new(keys: usize) -> Self {
        Self {
            dollars: Some(Money::ZERO),
            counted: vec![0; keys],
            carried: vec![0; keys],
            ..Self::default()
        }
    }

    /// Takes an attempt that was answered.
    pub(crate) fn sent(&mut self, key: usize, answer: &Answer, output: u64) {
        if answer.status != 200 {
            self.setbacks = self.setbacks.saturating_add(1);
            return;
        }
        let total = answer.usage.total_input_tokens().unwrap_or(0);
        let read = answer.usage.cache_read_input_tokens.unwrap_or(0);
        if let (Some(counted), Some(carried)) =
            (self.counted.get_mut(key), self.carried.get_mut(key))
        {
            *carried = carried.saturating_add(total).saturating_add(output);
            let fresh = total.saturating_sub(read);
            *counted = counted.saturating_add(fresh).saturating_add(output);
        }
    }

    /// Takes an answer that was delivered.
    pub(crate) fn served(&mut self, usage: &Usage, change: Option<Change>, prices: &Prices) {
        self.served = self.served.saturating_add(1);
        let seller = Seller::at_list_price("anthropic");
        let Some(tariff) = prices.of(&seller, MODEL, MODEL, Day::default()) else {
            self.dollars = None;
            return;
        };
        let cost = tariff.cost(usage);
        self.dollars = self.dollars.zip(cost).map(|(sum, cost)| sum.plus(cost));
        let read = usage.cache_read_input_tokens.unwrap_or(0);
        self.read = self.read.saturating_add(read);
        let total = usage.total_input_tokens().unwrap_or(0);
        self.input = self.input.saturating_add(total);
        if let Some(Change::Borrowed { rewritten_tokens } | Change::Moved { rewritten_tokens }) =
            change
        {
            self.moves = self.moves.saturating_add(1);
            let hour = usage.cache_write_1h_tokens.unwrap_or(0) > 0;
            let cost = tariff.move_cost(rewritten_tokens, hour);
            self.moved = self.moved.plus(cost);
        }
    }

    /// Takes a refusal that a client saw.
    pub(crate) fn refused(&mut self, status: u16) {
        let count = if status == 429 {
            &mut self.limited
        } else {
            &mut self.failed
        };
        *count = count.saturating_add(1);
    }
}

/// Days of one way to choose, taken together.
#[derive(Clone, Debug)]
pub(crate) struct Sum {
    /// Dollars a day; `None` where a price is not known.
    pub(crate) dollars: Option<f64>,
    /// Percent of input that was read from a cache.
    pub(crate) read_share: f64,
    /// The hottest key of a day beside the day's mean, by what limits count; the mean of the days.
    pub(crate) hottest_counted: f64,
    /// The same, by all tokens.
    pub(crate) hottest_carried: f64,
    pub(crate) limited: u64,
    pub(crate) failed: u64,
    pub(crate) lost: u64,
    pub(crate) moves: u64,
    /// Dollars a day that moves cost; `None` where no price is known.
    pub(crate) moved: Option<f64>,
    /// The waits that 50, 95 and 99 percent of requests did not exceed.
    pub(crate) waits: [Duration; 3],
}

impl Sum {
    /// Takes days together.
    pub(crate) fn of(days: &[Tally]) -> Self {
        let count = days.len().max(1) as f64;
        let sum = |of: fn(&Tally) -> u64| days.iter().map(of).sum::<u64>();
        // Each day's hottest is another key: the mean of days is not the days' mean.
        let mean = |of: fn(&Tally) -> f64| days.iter().map(of).sum::<f64>() / count;
        let dollars: Option<f64> = days.iter().map(|day| Some(day.dollars?.as_dollars())).sum();
        let moved: f64 = days.iter().map(|day| day.moved.as_dollars()).sum();
        let mut waits: Vec<Duration> = Vec::new();
        for day in days {
            waits.extend(&day.waited);
        }
        waits.sort_unstable();
        let wait = |percent: usize| {
            let at = waits.len().saturating_mul(percent) / 100;
            let last = waits.len().saturating_sub(1);
            waits.get(at.min(last)).copied().unwrap_or_default()
        };
        Self {
            dollars: dollars.map(|it| it / count),
            read_share: 100.0 * sum(|day| day.read) as f64 / sum(|day| day.input).max(1) as f64,
            hottest_counted: mean(|day| hottest(&day.counted)),
            hottest_carried: mean(|day| hottest(&day.carried)),
            limited: sum(|day| day.limited),
            failed: sum(|day| day.failed),
            lost: sum(|day| day.lost),
            moves: sum(|day| day.moves),
            moved: dollars.map(|_| moved / count),
            waits: [wait(50), wait(95), wait(99)],
        }
    }

    /// Returns how many times as much as another this costs.
    pub(crate) fn times(&self, other: &Self) -> Option<f64> {
        Some(self.dollars? / other.dollars?)
    }
}

/// Returns the hottest key beside the mean.
fn hottest(sums: &[u64]) -> f64 {
    let sum: u64 = sums.iter().sum();
    let most = sums.iter().max().copied().unwrap_or(0);
    most as f64 * sums.len() as f64 / sum.max(1) as f64
}
