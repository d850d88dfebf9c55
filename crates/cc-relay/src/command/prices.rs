//! `prices`: what tokens cost, as the relay reckons.
//!
//! In: the configuration's own list, if it has one, over that of the program. Out: a table, or JSON
//! in the form that `prices.list` takes.

mod public;
mod update;

use clap::{Args, Subcommand};
use relay_core::price::{Day, Listed, Price, Prices, Rates, plain_name};
use serde_json::{Map, Value, json};

use crate::assemble::prices;
use crate::command::{Context, config};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{STRONG, paint};

/// The names of rates in a list.
const RATES: [&str; 5] = [
    "input",
    "output",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
];

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  cc-relay prices
  cc-relay prices claude-opus-5-5
  cc-relay prices --json | jq .data > prices.json
  cc-relay prices update --output prices.json

Dollars a million tokens. Another list comes before the program's: prices.list in the configuration.";

const UNIT: &str = "US dollars per million tokens; web_search: per thousand; \
                    fast, us_only and geographic: factors";

/// Flags of `prices`.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct PricesArgs {
    /// This model alone
    #[arg(value_name = "MODEL")]
    pub model: Option<String>,
    /// What else is to be done
    #[command(subcommand)]
    pub command: Option<PricesCommand>,
}

/// What can be done with prices.
#[derive(Debug, Clone, Subcommand)]
pub enum PricesCommand {
    /// Write a list of today's prices, from public data
    #[command(after_help = update::EXAMPLES)]
    Update(update::UpdateArgs),
}

/// Prints what tokens cost.
///
/// # Errors
/// Exit 78 with every fault of the configuration; exit 1 where the model has no known price.
pub fn run(context: &mut Context, arguments: &PricesArgs) -> Result<Exit, Failure> {
    if let Some(PricesCommand::Update(arguments)) = &arguments.command {
        return update::run(context, arguments);
    }
    let plan = config::load(context)?;
    let prices = prices(&plan)
        .map_err(|error| Failure::new(Exit::ConfigInvalid, "prices", format!("{error:#}")))?;
    let wanted = arguments.model.as_deref().map(plain_name);
    let mut list = prices.list();
    list.retain(|listed| wanted.as_ref().is_none_or(|model| model == listed.model));
    if list.is_empty() {
        let name = crate::log::readable(arguments.model.as_deref().unwrap_or_default());
        let message = format!("the price of {name} is not known");
        return Err(Failure::new(Exit::Failed, "no_price", message)
            .help("its requests have no cost; write one: prices.list in the configuration"));
    }
    if context.out.is_json() {
        context.out.data(data(&prices, &list), &[])?;
        return Ok(Exit::Done);
    }
    let lines: Vec<(String, &Rates)> = list.iter().flat_map(lines).collect();
    let width = lines.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or(0).max("model".len());
    let head = format!(
        "{:width$}  {:>8} {:>8} {:>10} {:>9} {:>9}",
        "model", "input", "output", "cache read", "write 5m", "write 1h"
    );
    context.out.line(&paint(STRONG, &head))?;
    for (name, rates) in lines {
        let [input, output, read, short, long] = in_dollars(rates);
        let line = format!("{name:width$}  {input:>8} {output:>8} {read:>10} {short:>9} {long:>9}");
        context.out.line(&line)?;
    }
    let note = format!("as of {}: {}", prices.as_of(), prices.source());
    context.out.note(&note);
    Ok(Exit::Done)
}

/// Returns the lines of one price, each with what it is of.
fn lines<'a>(listed: &Listed<'a>) -> Vec<(String, &'a Rates)> {
    let mut lines = vec![(name(listed), &listed.price.base)];
    if let Some((tokens, rates)) = &listed.price.above {
        lines.push((format!("  above {tokens}"), rates));
    }
    lines
}

/// Returns whose price it is, and from when on.
fn name(listed: &Listed<'_>) -> String {
    let provider = listed.provider.map(|provider| format!(" at {provider}"));
    let name = format!("{}{}", listed.model, provider.unwrap_or_default());
    if listed.price.since > Day::default() {
        format!("{name} since {}", listed.price.since)
    } else {
        name
    }
}

/// Returns the list as `prices.list` takes it.
fn data(prices: &Prices, list: &[Listed<'_>]) -> Value {
    let mut models = Map::new();
    let mut providers: Map<String, Value> = Map::new();
    for listed in list {
        let into = match listed.provider {
            None => &mut models,
            Some(provider) => {
                let own = providers.entry(provider).or_insert_with(|| json!({}));
                let Value::Object(own) = own else { continue };
                own
            }
        };
        let price = form(listed.price);
        match into.get_mut(listed.model) {
            None => {
                into.insert(listed.model.to_owned(), price);
            }
            Some(Value::Array(series)) => series.push(price),
            Some(first) => *first = json!([first.take(), price]),
        }
    }
    json!({
        "as_of": prices.as_of(),
        "source": prices.source(),
        "unit": UNIT,
        "models": models,
        "providers": providers,
    })
}

/// Returns what stands in a list for one price.
fn form(price: &Price) -> Value {
    let mut form = of_rates(&price.base);
    if price.since > Day::default() {
        form.insert("since".to_owned(), price.since.to_string().into());
    }
    if let Some((tokens, rates)) = &price.above {
        let mut above = of_rates(rates);
        above.insert("prompt_tokens".to_owned(), (*tokens).into());
        form.insert("above".to_owned(), Value::Object(above));
    }
    if let Some(search) = price.web_search {
        form.insert("web_search".to_owned(), whole(search, 1e6).into());
    }
    form.extend(factors(price));
    Value::Object(form)
}

/// Returns what makes a model dearer.
fn factors(price: &Price) -> Map<String, Value> {
    let factors = [
        ("fast", price.fast_percent),
        ("us_only", price.us_only_percent),
        ("geographic", price.geographic_percent),
    ];
    let dearer = factors.into_iter().filter(|(_, percent)| *percent != 100);
    dearer
        .map(|(name, percent)| (name.to_owned(), whole(percent, 100.0).into()))
        .collect()
}

fn of_rates(rates: &Rates) -> Map<String, Value> {
    let values = in_dollars(rates).map(Value::from);
    RATES.into_iter().map(str::to_owned).zip(values).collect()
}

/// Returns dollars a million tokens.
fn in_dollars(rates: &Rates) -> [f64; 5] {
    let rates = [
        rates.input,
        rates.output,
        rates.cache_read,
        rates.cache_write_5m,
        rates.cache_write_1h,
    ];
    rates.map(|nano_dollars| whole(nano_dollars, 1e9))
}

/// Returns a count of parts as wholes.
#[expect(clippy::cast_precision_loss, reason = "prices are far below 2^52")]
fn whole(parts: u64, of_a_whole: f64) -> f64 {
    parts as f64 / of_a_whole
}
