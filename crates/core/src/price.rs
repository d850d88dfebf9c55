//! What tokens cost.
//!
//! In: a model as anybody writes it, who sells it, and tokens by kind. Out: [`Money`], or `None` where
//! the price is not known. It must never take an unknown price for zero, and never compute money in
//! floats: rates are whole nano-dollars a million tokens, and only a total is rounded.

mod day;
mod form;
mod money;
mod name;
mod tariff;

use std::collections::HashMap;
use std::sync::Arc;

pub use day::Day;
pub use form::PriceFault;
use form::{ListForm, Models};
pub use money::Money;
use name::is_geographic;
pub use name::plain_name;
pub use tariff::Tariff;

const BUILT_IN: &str = include_str!("../data/prices.json");

/// Who sells tokens.
#[derive(Debug, Clone)]
pub struct Seller {
    /// Its name and its kind: a list may have prices for either. The first that has one counts.
    pub names: [Arc<str>; 2],
    /// What it takes of the list price.
    pub percent: u32,
}

impl Seller {
    /// Makes one of this name and kind that takes what the list says.
    pub fn at_list_price(name: &str) -> Self {
        Self {
            names: [name, name].map(Into::into),
            percent: 100,
        }
    }
}

/// Prices by model.
#[derive(Debug, Clone, Default)]
pub struct Prices {
    as_of: String,
    source: String,
    models: Models,
    /// By name or kind of a provider; they come before those of anybody.
    providers: HashMap<String, Models>,
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
        let form = ListForm::read(text)?;
        let (as_of, source) = (form.as_of.clone(), form.source.clone());
        let (models, providers) = form.prices()?;
        Ok(Self {
            as_of,
            source,
            models,
            providers,
        })
    }

    /// Returns this list with the prices of `other` over it. Date and source become those of `other`.
    #[must_use]
    pub fn overridden_by(mut self, other: Self) -> Self {
        self.models.extend(other.models);
        for (provider, models) in other.providers {
            self.providers.entry(provider).or_default().extend(models);
        }
        Self {
            as_of: other.as_of,
            source: other.source,
            ..self
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

    /// Returns every price: those of anybody first, then by provider; by name, and by day.
    pub fn list(&self) -> Vec<Listed<'_>> {
        let any = self
            .models
            .iter()
            .map(|(model, series)| (None, model, series));
        let own = self.providers.iter().flat_map(|(provider, models)| {
            let models = models.iter();
            models.map(move |(model, series)| (Some(provider.as_str()), model, series))
        });
        let mut list: Vec<Listed<'_>> = any
            .chain(own)
            .flat_map(|(provider, model, series)| {
                series.0.iter().map(move |price| Listed {
                    provider,
                    model,
                    price,
                })
            })
            .collect();
        list.sort_by_key(|listed| (listed.provider, listed.model, listed.price.since));
        list
    }

    /// Returns the names of all models whose price is known, whoever sells them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(String::as_str)
    }

    /// Tells whether anybody has a known price for a model.
    pub fn knows(&self, model: &str) -> bool {
        let name = plain_name(model);
        let mut all = std::iter::once(&self.models).chain(self.providers.values());
        all.any(|models| models.contains_key(&name))
    }

    /// Returns what a model costs at a seller on a day. `None` if that is not known.
    ///
    /// `sold_as` is the name under which the seller was asked: one that names a geography, as
    /// `eu.anthropic.claude-opus-5-5` does, is dearer.
    pub fn of(&self, seller: &Seller, model: &str, sold_as: &str, day: Day) -> Option<Tariff<'_>> {
        let name = plain_name(model);
        let own = seller
            .names
            .iter()
            .filter_map(|name| self.providers.get(&**name));
        let mut lists = own.chain([&self.models]);
        let price = lists.find_map(|models| models.get(&name)?.on(day))?;
        let percent = u64::from(seller.percent);
        let percent = if is_geographic(sold_as) {
            percent.saturating_mul(price.geographic_percent) / 100
        } else {
            percent
        };
        Some(Tariff { price, percent })
    }
}

/// The prices of a model, each from a day on, in order.
#[derive(Debug, Clone)]
struct Series(Vec<Price>);

impl Series {
    fn on(&self, day: Day) -> Option<&Price> {
        self.0.iter().rev().find(|price| price.since <= day)
    }
}

/// The price of one model.
#[derive(Debug, Clone, Copy)]
pub struct Price {
    /// The first day on which it counts.
    pub since: Day,
    /// What it costs.
    pub base: Rates,
    /// What the whole of a request costs whose prompt is longer than so many tokens.
    pub above: Option<(u64, Rates)>,
    /// Nano-dollars a search of the web. `None`: not known.
    pub web_search: Option<u64>,
    /// What a fast answer costs, of 100.
    pub fast_percent: u64,
    /// What an answer costs that was made in the United States on demand, of 100.
    pub us_only_percent: u64,
    /// What an answer costs under a name that names a geography, of 100.
    pub geographic_percent: u64,
}

/// One price of a list.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    /// The name or kind of the provider whose price it is; `None` for anybody's.
    pub provider: Option<&'a str>,
    /// The model's plain name.
    pub model: &'a str,
    /// What it costs.
    pub price: &'a Price,
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

#[cfg(test)]
mod tests;
