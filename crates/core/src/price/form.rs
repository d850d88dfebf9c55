//! A list of prices as it is written.
//!
//! In: JSON. Out: prices by model, or what is wrong. It must never take what it cannot read for
//! nothing.

use std::collections::HashMap;

use serde::Deserialize;

use super::{Day, Price, Rates, Series, plain_name};

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
    /// The day from which a price counts is no date.
    #[error("since of {model} is no date such as 2026-11-22")]
    Date {
        /// The model as the list says it.
        model: String,
    },
}

#[derive(Deserialize)]
pub(super) struct ListForm {
    pub(super) as_of: String,
    pub(super) source: String,
    #[serde(default)]
    models: ModelsForm,
    #[serde(default)]
    providers: HashMap<String, ModelsForm>,
}

type ModelsForm = HashMap<String, SeriesForm>;

/// One price, or several that follow each other.
#[derive(Deserialize)]
#[serde(untagged)]
enum SeriesForm {
    One(PriceForm),
    Several(Vec<PriceForm>),
}

#[derive(Deserialize)]
struct PriceForm {
    #[serde(flatten)]
    base: RatesForm,
    above: Option<AboveForm>,
    since: Option<String>,
    web_search: Option<f64>,
    fast: Option<f64>,
    us_only: Option<f64>,
    geographic: Option<f64>,
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
    cache_read: Option<f64>,
    cache_write_5m: Option<f64>,
    cache_write_1h: Option<f64>,
}

/// Prices by plain name.
pub(super) type Models = HashMap<String, Series>;

impl ListForm {
    pub(super) fn read(text: &str) -> Result<Self, PriceFault> {
        serde_json::from_str(text).map_err(PriceFault::Form)
    }

    /// Returns the prices of models, and those of providers.
    pub(super) fn prices(self) -> Result<(Models, HashMap<String, Models>), PriceFault> {
        let mut providers = HashMap::with_capacity(self.providers.len());
        for (provider, form) in self.providers {
            providers.insert(provider, models(form)?);
        }
        Ok((models(self.models)?, providers))
    }
}

fn models(form: ModelsForm) -> Result<Models, PriceFault> {
    let mut models = HashMap::with_capacity(form.len());
    for (model, form) in form {
        let forms = match form {
            SeriesForm::One(form) => vec![form],
            SeriesForm::Several(forms) => forms,
        };
        let price = |form: &PriceForm| price(&model, form);
        let mut series = forms.iter().map(price).collect::<Result<Vec<_>, _>>()?;
        series.sort_by_key(|price| price.since);
        models.insert(plain_name(&model), Series(series));
    }
    Ok(models)
}

fn price(model: &str, form: &PriceForm) -> Result<Price, PriceFault> {
    let since = match &form.since {
        Some(text) => Day::parse(text).ok_or_else(|| PriceFault::Date {
            model: model.to_owned(),
        })?,
        None => Day::default(),
    };
    let above = match &form.above {
        Some(above) => Some((above.prompt_tokens, rates(model, &above.rates)?)),
        None => None,
    };
    let factor = |factor: Option<f64>, field| number(model, field, factor.unwrap_or(1.0), 100.0);
    Ok(Price {
        since,
        base: rates(model, &form.base)?,
        above,
        // From dollars a thousand to billionths of a dollar each.
        web_search: match form.web_search {
            Some(dollars) => Some(number(model, "web_search", dollars, 1e6)?),
            None => None,
        },
        fast_percent: factor(form.fast, "fast")?,
        us_only_percent: factor(form.us_only, "us_only")?,
        geographic_percent: factor(form.geographic, "geographic")?,
    })
}

/// What is not said of the cache costs as plain input: its vendor makes no difference.
fn rates(model: &str, form: &RatesForm) -> Result<Rates, PriceFault> {
    let rate = |dollars: f64, field| number(model, field, dollars, 1e9);
    let short = form.cache_write_5m.unwrap_or(form.input);
    Ok(Rates {
        input: rate(form.input, "input")?,
        output: rate(form.output, "output")?,
        cache_read: rate(form.cache_read.unwrap_or(form.input), "cache_read")?,
        cache_write_5m: rate(short, "cache_write_5m")?,
        cache_write_1h: rate(form.cache_write_1h.unwrap_or(short), "cache_write_1h")?,
    })
}

/// Returns a number of a list in smaller units, as a whole.
fn number(model: &str, field: &'static str, number: f64, units: f64) -> Result<u64, PriceFault> {
    if !(0.0..=1e6).contains(&number) {
        let model = model.to_owned();
        return Err(PriceFault::Range { model, field });
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked"
    )]
    Ok((number * units).round() as u64)
}
