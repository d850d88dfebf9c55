//! What a request costs where it is served.
//!
//! In: the price of a model, who sells it and under which name, and what was used. Out: [`Money`],
//! rounded once.

use super::{Money, Price, Rates};
use crate::usage::Usage;

/// What a model costs at one seller on one day.
#[derive(Debug, Clone, Copy)]
pub struct Tariff<'a> {
    pub(super) price: &'a Price,
    /// What the seller takes of the list price.
    pub(super) percent: u64,
}

impl Tariff<'_> {
    /// Returns what a request cost. `None` if its input or its output was not counted, or if it
    /// searched the web and what that costs is not known; upstreams without a prompt cache leave out
    /// the counts of it, and these are then zero. Writes of unknown life are priced as those for
    /// five minutes.
    pub fn cost(&self, usage: &Usage) -> Option<Money> {
        let input = usage.input_tokens?;
        let output = usage.output_tokens?;
        let read = usage.cache_read_input_tokens.unwrap_or(0);
        let hour = usage.cache_write_1h_tokens.unwrap_or(0);
        let split = hour.saturating_add(usage.cache_write_5m_tokens.unwrap_or(0));
        let written = usage
            .cache_creation_input_tokens
            .unwrap_or(split)
            .max(split);
        let prompt = input.saturating_add(read).saturating_add(written);
        let rates = self.rates(prompt);
        let parts = [
            (input, rates.input),
            (output, rates.output),
            (read, rates.cache_read),
            (hour, rates.cache_write_1h),
            (written.saturating_sub(hour), rates.cache_write_5m),
        ];
        let searches = u64::from(usage.web_search_requests);
        let tokens = self.total(&parts, usage);
        if searches == 0 {
            return Some(tokens);
        }
        let extra = searches.saturating_mul(self.price.web_search?);
        Some(tokens.plus(Money::nano_dollars(extra)))
    }

    /// Returns what reading from the cache saved, against sending the same tokens as fresh input.
    /// `None` if that was not counted.
    pub fn saved(&self, usage: &Usage) -> Option<Money> {
        let read = usage.cache_read_input_tokens?;
        let prompt = usage.total_input_tokens()?;
        let rates = self.rates(prompt);
        let difference = rates.input.saturating_sub(rates.cache_read);
        Some(self.total(&[(read, difference)], usage))
    }

    /// Returns what a request will cost if so many tokens are fresh, read from the cache, and
    /// produced. Fresh ones are priced as plain input.
    pub fn expected(&self, fresh: u64, cached: u64, output: u64) -> Money {
        let rates = self.rates(fresh.saturating_add(cached));
        let parts = [
            (fresh, rates.input),
            (cached, rates.cache_read),
            (output, rates.output),
        ];
        self.total(&parts, &Usage::default())
    }

    /// Returns what it costs to have a prefix written to another cache instead of read from this one.
    pub fn move_cost(&self, prefix_tokens: u64, one_hour: bool) -> Money {
        let rates = self.rates(prefix_tokens);
        let write = if one_hour {
            rates.cache_write_1h
        } else {
            rates.cache_write_5m
        };
        let difference = write.saturating_sub(rates.cache_read);
        self.total(&[(prefix_tokens, difference)], &Usage::default())
    }

    fn rates(&self, prompt_tokens: u64) -> &Rates {
        match &self.price.above {
            Some((limit, rates)) if prompt_tokens > *limit => rates,
            _ => &self.price.base,
        }
    }

    /// Sums tokens by nano-dollars a million tokens, with whatever makes the whole of them dearer;
    /// the sum alone is rounded, to the nearest.
    fn total(&self, parts: &[(u64, u64)], usage: &Usage) -> Money {
        let mut sum: u128 = 0;
        for (tokens, rate) in parts {
            sum = sum.saturating_add(u128::from(*tokens).saturating_mul(u128::from(*rate)));
        }
        let mut whole = 1_000_000_u128;
        let fast = usage.fast.then_some(self.price.fast_percent);
        let us_only = usage.us_only.then_some(self.price.us_only_percent);
        for percent in [Some(self.percent), fast, us_only].into_iter().flatten() {
            sum = sum.saturating_mul(u128::from(percent));
            whole = whole.saturating_mul(100);
        }
        let rounded = sum.saturating_add(whole / 2) / whole;
        Money::nano_dollars(u64::try_from(rounded).unwrap_or(u64::MAX))
    }
}
