//! Prices as genai-prices publishes them.
//!
//! In: its `prices/data.json` (<https://github.com/pydantic/genai-prices>, MIT; its form as of
//! version 0.2.3). Out: models with their prices in the form of the relay's own list. A model whose
//! price depends on what a list here cannot say, such as the hour, is left out: unknown, not wrong.

use std::collections::BTreeMap;

use relay_core::price::{Prices, plain_name};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

/// Vendors whose own price is the price of their models, whoever sells them.
const VENDORS: [&str; 5] = ["anthropic", "zai", "minimax", "moonshotai", "deepseek"];

/// Those that sell others' models at prices of their own, with the types of their providers.
const RESELLERS: [&str; 1] = ["openrouter"];

#[derive(Deserialize)]
struct Vendor {
    id: String,
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    #[serde(rename = "match")]
    matches: Match,
    prices: PriceForms,
}

/// Which names a model goes by; those that are told as a whole count here.
#[derive(Deserialize)]
#[serde(untagged)]
enum Match {
    Equals {
        equals: String,
    },
    Or {
        or: Vec<Match>,
    },
    /// By a part of a name: it matches names that a list cannot tell.
    Other(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PriceForms {
    One(PriceForm),
    Several(Vec<Conditional>),
}

#[derive(Deserialize)]
struct Conditional {
    constraint: Option<Map<String, Value>>,
    prices: PriceForm,
}

#[derive(Deserialize)]
struct PriceForm {
    input_mtok: Option<Amount>,
    output_mtok: Option<Amount>,
    cache_read_mtok: Option<Amount>,
    cache_write_mtok: Option<Amount>,
    cache_write_1h_mtok: Option<Amount>,
    web_searches_kcount: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Amount {
    Flat(f64),
    Tiered { base: f64, tiers: Vec<Tier> },
}

#[derive(Deserialize)]
struct Tier {
    start: u64,
    price: f64,
}

/// Returns a list for `prices.list`. What makes Claude models dearer besides is not published
/// there, and goes on from `known`.
pub(super) fn list(text: &str, as_of: &str, known: &Prices) -> Result<Value, serde_json::Error> {
    let vendors: Vec<Vendor> = serde_json::from_str(text)?;
    let of = |id: &str| -> BTreeMap<String, Value> {
        let mut models = BTreeMap::new();
        for vendor in vendors.iter().filter(|vendor| vendor.id == id) {
            for (name, price) in vendor.models.iter().flat_map(of_model) {
                models.entry(name).or_insert(price);
            }
        }
        models
    };
    let mut models: BTreeMap<String, Value> = BTreeMap::new();
    for (name, mut price) in VENDORS.iter().flat_map(|id| of(id)) {
        for form in forms(&mut price) {
            if name.starts_with("claude") {
                add_long_writes(form);
            }
            form.extend(factors(&name, known));
        }
        models.entry(name).or_insert(price);
    }
    let resold = RESELLERS.iter().map(|id| ((*id).to_owned(), json!(of(id))));
    let providers: Map<String, Value> = resold.collect();
    Ok(json!({
        "as_of": as_of,
        "source": "genai-prices (MIT, https://github.com/pydantic/genai-prices)",
        "unit": super::UNIT,
        "models": models,
        "providers": providers,
    }))
}

/// Returns a model's price under each of its names; nothing where a list cannot say it.
fn of_model(model: &Model) -> Vec<(String, Value)> {
    let price = match &model.prices {
        PriceForms::One(form) => of_form(form, None),
        PriceForms::Several(forms) => {
            let series = forms.iter().map(|conditional| {
                let since = match &conditional.constraint {
                    None => None,
                    Some(constraint) => Some(constraint.get("start_date")?.as_str()?),
                };
                of_form(&conditional.prices, since)
            });
            series.collect::<Option<Vec<_>>>().map(Value::from)
        }
    };
    let mut names = vec![model.id.as_str()];
    names_of(&model.matches, &mut names);
    let names = names.into_iter().map(plain_name);
    price.map_or_else(Vec::new, |price| {
        names.map(|name| (name, price.clone())).collect()
    })
}

fn names_of<'a>(matches: &'a Match, names: &mut Vec<&'a str>) {
    match matches {
        Match::Equals { equals } => names.push(equals),
        Match::Or { or } => or.iter().for_each(|one| names_of(one, names)),
        Match::Other(_) => {}
    }
}

/// `None` where input or output has no price, or prices have more than two steps.
fn of_form(form: &PriceForm, since: Option<&str>) -> Option<Value> {
    let rates = [
        ("input", &form.input_mtok),
        ("output", &form.output_mtok),
        ("cache_read", &form.cache_read_mtok),
        ("cache_write_5m", &form.cache_write_mtok),
        ("cache_write_1h", &form.cache_write_1h_mtok),
    ];
    form.input_mtok.as_ref().and(form.output_mtok.as_ref())?;
    let (mut base, mut above) = (Map::new(), Map::new());
    let mut limit = None;
    for (name, amount) in rates {
        let (low, high) = match amount {
            None => continue,
            Some(Amount::Flat(price)) => (*price, *price),
            Some(Amount::Tiered { base, tiers }) => {
                let [tier] = tiers.as_slice() else {
                    return None;
                };
                if *limit.get_or_insert(tier.start) != tier.start {
                    return None;
                }
                (*base, tier.price)
            }
        };
        base.insert(name.to_owned(), low.into());
        above.insert(name.to_owned(), high.into());
    }
    if let Some(limit) = limit {
        above.insert("prompt_tokens".to_owned(), limit.into());
        base.insert("above".to_owned(), above.into());
    }
    if let Some(search) = form.web_searches_kcount {
        base.insert("web_search".to_owned(), search.into());
    }
    if let Some(since) = since {
        base.insert("since".to_owned(), since.into());
    }
    Some(base.into())
}

/// Returns the prices of a model, each from its day on.
fn forms(price: &mut Value) -> Vec<&mut Map<String, Value>> {
    if price.is_array() {
        let forms = price.as_array_mut().into_iter().flatten();
        forms.filter_map(Value::as_object_mut).collect()
    } else {
        price.as_object_mut().into_iter().collect()
    }
}

/// Adds what writing for an hour costs, where that is not told: twice the input, as Anthropic's page
/// on prompt caching has it of every model.
fn add_long_writes(form: &mut Map<String, Value>) {
    let Some(input) = form.get("input").and_then(Value::as_f64) else {
        return;
    };
    form.entry("cache_write_1h")
        .or_insert_with(|| (2.0 * input).into());
    if let Some(above) = form.get_mut("above").and_then(Value::as_object_mut) {
        add_long_writes(above);
    }
}

/// Returns what makes a model dearer, as the list known so far has it.
fn factors(name: &str, known: &Prices) -> Map<String, Value> {
    let known = known.list();
    let mut same = known.iter().rev().filter(|it| it.provider.is_none());
    let same = same.find(|listed| listed.model == name);
    same.map(|listed| super::factors(listed.price))
        .unwrap_or_default()
}
