//! What tokens cost.
//!
//! In: a model as anybody writes it, and tokens by kind. Out: [`Money`], or `None` where the price
//! is not known. It must never take an unknown price for zero, and never compute money in floats:
//! rates are whole nano-dollars a million tokens, and only a total is rounded.

mod name;

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;

pub use name::plain_name;

use crate::usage::Usage;

const BUILT_IN: &str = include_str!("../data/prices.json");

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

/// A price list cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PriceFault {
    /// It is no JSON of the right form.
    #[error("the price list is not in the form of the built-in one")]
    Form(#[source] serde_json::Error),
    /// A price is negative, or higher than a million dollars a million tokens.
    #[error("{field} of {model} is no price between 0 and 1,000,000")]
    Range {
        /// The model as the list says it.
        model: String,
        /// The name of the price.
        field: &'static str,
    },
}

/// Prices by model.
#[derive(Debug, Clone, Default)]
pub struct Prices {
    as_of: String,
    source: String,
    models: HashMap<String, Price>,
}

impl Prices {
    /// Reads the list that comes with the program.
    ///
    /// # Errors
    /// As [`Prices::read`]. A test holds that there are none.
    pub fn built_in() -> Result<Self, PriceFault> {
        Self::read(BUILT_IN)
    }

    /// Reads a list in the form of `data/prices.json`.
    ///
    /// # Errors
    /// [`PriceFault`] says what is wrong with it.
    pub fn read(text: &str) -> Result<Self, PriceFault> {
        let form: ListForm = serde_json::from_str(text).map_err(PriceFault::Form)?;
        let mut models = HashMap::with_capacity(form.models.len());
        for (model, form) in form.models {
            let price = Price::of(&model, &form)?;
            models.insert(plain_name(&model), price);
        }
        Ok(Self {
            as_of: form.as_of,
            source: form.source,
            models,
        })
    }

    /// Returns this list with the prices of `other` over it. Date and source become those of `other`.
    #[must_use]
    pub fn overridden_by(mut self, other: Self) -> Self {
        self.models.extend(other.models);
        Self {
            models: self.models,
            ..other
        }
    }

    /// Returns the day of the prices, as `2026-11-22`.
    pub fn as_of(&self) -> &str {
        &self.as_of
    }

    /// Returns where they come from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns every price, by name.
    pub fn list(&self) -> Vec<Listed<'_>> {
        let mut list: Vec<Listed<'_>> = self
            .models
            .iter()
            .map(|(model, price)| Listed {
                model,
                base: price.base,
                above: price.above,
            })
            .collect();
        list.sort_by_key(|listed| listed.model);
        list
    }

    /// Returns the names of all models whose price is known.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(String::as_str)
    }

    /// Tells whether the price of a model is known.
    pub fn knows(&self, model: &str) -> bool {
        self.find(model).is_some()
    }

    fn find(&self, model: &str) -> Option<&Price> {
        self.models.get(&plain_name(model))
    }

    /// Returns what a request cost. `None` if the model has no known price, or if its input or its
    /// output was not counted; upstreams without a prompt cache leave out the counts of it, and these
    /// are then zero. Writes of unknown life are priced as those for five minutes.
    pub fn cost(&self, model: &str, usage: &Usage) -> Option<Money> {
        let price = self.find(model)?;
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
        let rates = price.rates(prompt);
        Some(total(&[
            (input, rates.input),
            (output, rates.output),
            (read, rates.cache_read),
            (hour, rates.cache_write_1h),
            (written.saturating_sub(hour), rates.cache_write_5m),
        ]))
    }

    /// Returns what reading from the cache saved, against sending the same tokens as fresh input.
    /// `None` if the model has no known price.
    pub fn saved(&self, model: &str, usage: &Usage) -> Option<Money> {
        let read = usage.cache_read_input_tokens?;
        let prompt = usage.total_input_tokens()?;
        let rates = self.find(model)?.rates(prompt);
        let difference = rates.input.saturating_sub(rates.cache_read);
        Some(total(&[(read, difference)]))
    }

    /// Returns what a request will cost if so many tokens are fresh, read from the cache, and
    /// produced. Fresh ones are priced as plain input.
    pub fn expected(&self, model: &str, fresh: u64, cached: u64, output: u64) -> Option<Money> {
        let rates = self.find(model)?.rates(fresh.saturating_add(cached));
        Some(total(&[
            (fresh, rates.input),
            (cached, rates.cache_read),
            (output, rates.output),
        ]))
    }

    /// Returns what it costs to have a prefix written to another cache instead of read from this one.
    pub fn move_cost(&self, model: &str, prefix_tokens: u64, one_hour: bool) -> Option<Money> {
        let rates = self.find(model)?.rates(prefix_tokens);
        let write = if one_hour {
            rates.cache_write_1h
        } else {
            rates.cache_write_5m
        };
        Some(total(&[(
            prefix_tokens,
            write.saturating_sub(rates.cache_read),
        )]))
    }
}

/// Sums tokens by nano-dollars a million tokens; the sum alone is rounded, to the nearest.
fn total(parts: &[(u64, u64)]) -> Money {
    let mut sum: u128 = 0;
    for (tokens, rate) in parts {
        sum = sum.saturating_add(u128::from(*tokens).saturating_mul(u128::from(*rate)));
    }
    let rounded = sum.saturating_add(500_000) / 1_000_000;
    Money(u64::try_from(rounded).unwrap_or(u64::MAX))
}

/// The price of one model: a second set of rates counts for the whole request above a length.
#[derive(Debug, Clone, Copy)]
struct Price {
    base: Rates,
    above: Option<(u64, Rates)>,
}

impl Price {
    fn of(model: &str, form: &PriceForm) -> Result<Self, PriceFault> {
        let base = Rates::of(model, &form.base)?;
        let above = match &form.above {
            Some(above) => Some((above.prompt_tokens, Rates::of(model, &above.rates)?)),
            None => None,
        };
        Ok(Self { base, above })
    }

    fn rates(&self, prompt_tokens: u64) -> &Rates {
        match &self.above {
            Some((limit, rates)) if prompt_tokens > *limit => rates,
            _ => &self.base,
        }
    }
}

/// One price of a list.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    /// The model's plain name.
    pub model: &'a str,
    /// What it costs.
    pub base: Rates,
    /// What the whole of a request costs whose prompt is longer than so many tokens.
    pub above: Option<(u64, Rates)>,
}

/// Nano-dollars a million tokens.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// Fresh input.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Read from the prompt cache.
    pub cache_read: u64,
    /// Written to the prompt cache for five minutes.
    pub cache_write_5m: u64,
    /// Written for an hour.
    pub cache_write_1h: u64,
}

impl Rates {
    fn of(model: &str, form: &RatesForm) -> Result<Self, PriceFault> {
        let rate = |dollars: f64, field| {
            if !(0.0..=1e6).contains(&dollars) {
                let model = model.to_owned();
                return Err(PriceFault::Range { model, field });
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the range was checked"
            )]
            Ok((dollars * 1e9).round() as u64)
        };
        Ok(Self {
            input: rate(form.input, "input")?,
            output: rate(form.output, "output")?,
            cache_read: rate(form.cache_read, "cache_read")?,
            cache_write_5m: rate(form.cache_write_5m, "cache_write_5m")?,
            cache_write_1h: rate(form.cache_write_1h, "cache_write_1h")?,
        })
    }
}

#[derive(Deserialize)]
struct ListForm {
    as_of: String,
    source: String,
    models: HashMap<String, PriceForm>,
}

#[derive(Deserialize)]
struct PriceForm {
    #[serde(flatten)]
    base: RatesForm,
    above: Option<AboveForm>,
}

#[derive(Deserialize)]
struct AboveForm {
    prompt_tokens: u64,
    #[serde(flatten)]
    rates: RatesForm,
}

#[derive(Deserialize)]
struct RatesForm {
    input: f64,
    output: f64,
    cache_read: f64,
    cache_write_5m: f64,
    cache_write_1h: f64,
}

#[cfg(test)]
mod tests;
