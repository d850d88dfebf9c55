//! `prices`: what tokens cost, as the relay reckons.
//!
//! In: the configuration's own list, if it has one, over that of the program. Out: a table, or JSON
//! in the form that `prices.list` takes.

use clap::Args;
use relay_core::price::{Listed, Rates, plain_name};
use serde_json::{Map, Value, json};

use crate::assemble::prices;
use crate::command::{Context, config};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{STRONG, paint};

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  cc-relay prices
  cc-relay prices claude-opus-5-5
  cc-relay prices --json | jq .data > prices.json

Dollars a million tokens. Another list comes before the program's: prices.list in the configuration.";

/// Flags of `prices`.
#[derive(Debug, Clone, Args)]
pub struct PricesArgs {
    /// This model alone
    #[arg(value_name = "MODEL")]
    pub model: Option<String>,
}

/// Prints what tokens cost.
///
/// # Errors
/// Exit 78 with every fault of the configuration; exit 1 where the model has no known price.
pub fn run(context: &mut Context, arguments: &PricesArgs) -> Result<Exit, Failure> {
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
        let models: Map<String, Value> = list
            .iter()
            .map(|listed| (listed.model.to_owned(), form(listed)))
            .collect();
        let data = json!({
            "as_of": prices.as_of(),
            "source": prices.source(),
            "unit": "US dollars per million tokens",
            "models": models,
        });
        context.out.data(data, &[])?;
        return Ok(Exit::Done);
    }
    let width = list.iter().map(|listed| listed.model.len()).max();
    let width = width.unwrap_or(0).max("model".len());
    let head = format!(
        "{:width$}  {:>8} {:>8} {:>10} {:>9} {:>9}",
        "model", "input", "output", "cache read", "write 5m", "write 1h"
    );
    context.out.line(&paint(STRONG, &head))?;
    for listed in &list {
        context.out.line(&line(listed.model, &listed.base, width))?;
        if let Some((tokens, rates)) = &listed.above {
            let name = format!("  above {tokens}");
            context.out.line(&line(&name, rates, width))?;
        }
    }
    let note = format!("as of {}: {}", prices.as_of(), prices.source());
    context.out.note(&note);
    Ok(Exit::Done)
}

fn line(name: &str, rates: &Rates, width: usize) -> String {
    let [input, output, read, short, long] = in_dollars(rates);
    format!("{name:width$}  {input:>8} {output:>8} {read:>10} {short:>9} {long:>9}")
}

/// Returns what stands in a list for one model.
fn form(listed: &Listed<'_>) -> Value {
    let mut form = of_rates(&listed.base);
    if let Some((tokens, rates)) = &listed.above {
        let mut above = of_rates(rates);
        above.insert("prompt_tokens".to_owned(), (*tokens).into());
        form.insert("above".to_owned(), Value::Object(above));
    }
    Value::Object(form)
}

fn of_rates(rates: &Rates) -> Map<String, Value> {
    let names = [
        "input",
        "output",
        "cache_read",
        "cache_write_5m",
        "cache_write_1h",
    ];
    let values = in_dollars(rates).map(Value::from);
    names.into_iter().map(str::to_owned).zip(values).collect()
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
    #[expect(clippy::cast_precision_loss, reason = "prices are far below 2^52")]
    rates.map(|nano_dollars| nano_dollars as f64 / 1e9)
}
