//! `prices update`: the prices of today, from public data.
//!
//! In: where they are, an address or a file. Out: a list for `prices.list`, whole or not at all, and
//! what is different in it. A list that knows no Claude model is not written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use relay_core::error::chain;
use relay_core::price::{Prices, Rates};

use super::public;
use crate::assemble::prices;
use crate::command::{Context, block_on, config};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings::write;

/// Where the public prices are.
const PUBLIC: &str =
    "https://raw.githubusercontent.com/pydantic/genai-prices/main/prices/data.json";

/// How long they may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The end of the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  cc-relay prices update --output ~/.config/cc-relay/prices.json
  cc-relay prices update --from data.json --dry-run

Prices of genai-prices (MIT). The relay reckons by them where prices.list names the file, at once.";

/// Flags of `prices update`.
#[derive(Debug, Clone, Args)]
pub struct UpdateArgs {
    /// Where the public prices are: an address, or a file
    #[arg(long, value_name = "URL|FILE", default_value = PUBLIC)]
    pub from: String,
    /// Where to write the list [default: the file that prices.list names]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Tell what would be different, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Writes a list of today's prices.
///
/// # Errors
/// Exit 1 where there is no file to write, the prices cannot be had, or are none.
pub(super) fn run(context: &mut Context, arguments: &UpdateArgs) -> Result<Exit, Failure> {
    let plan = config::load(context)?;
    let output = arguments.output.clone().or_else(|| plan.price_file.clone());
    let Some(output) = output.or_else(|| arguments.dry_run.then(PathBuf::new)) else {
        let message = "there is no list of your own to update";
        return Err(Failure::new(Exit::Usage, "no_list", message).help(
            "say where: --output FILE, and name the file as prices.list in the configuration",
        ));
    };
    let text = read(&arguments.from)?;
    let old = prices(&plan)
        .map_err(|error| Failure::new(Exit::ConfigInvalid, "prices", format!("{error:#}")))?;
    let built_in = Prices::built_in().map_err(|error| strange(&arguments.from, &error))?;
    let as_of = crate::clock::now().strftime("%Y-%m-%d").to_string();
    let list =
        public::list(&text, &as_of, &built_in).map_err(|error| strange(&arguments.from, &error))?;
    let list = format!("{list:#}\n");
    let new = Prices::read(&list).map_err(|error| strange(&arguments.from, &error))?;
    if !new.names().any(|name| name.starts_with("claude")) {
        let message = format!("{} has no Claude model", arguments.from);
        return Err(Failure::new(Exit::Failed, "no_prices", message));
    }
    for line in differences(&old, &new) {
        context.out.line(&line)?;
    }
    if arguments.dry_run {
        return Ok(Exit::Done);
    }
    save(&output, &list)?;
    let count = new.list().len();
    context
        .out
        .note(&format!("{count} prices written to {}", output.display()));
    if plan.price_file.as_deref() != Some(&*output) {
        let note = format!(
            "to reckon by them: `prices: {{list: {}}}` in the configuration",
            output.display()
        );
        context.out.note(&note);
    }
    Ok(Exit::Done)
}

fn save(path: &Path, list: &str) -> Result<(), Failure> {
    let path = write::target(path);
    let written = path.and_then(|path| write::replace(&path, list));
    written.map_err(|error| {
        Failure::new(
            Exit::Failed,
            "write",
            format!("the list cannot be written: {error}"),
        )
    })
}

fn strange(from: &str, error: &dyn std::error::Error) -> Failure {
    let message = format!("{from} is not in the form of genai-prices: {error}");
    Failure::new(Exit::Failed, "no_prices", message)
        .help("a newer cc-relay may read it; the prices in force stay as they are")
}

fn read(from: &str) -> Result<String, Failure> {
    let failed = |why: String| {
        Failure::new(Exit::Failed, "no_prices", format!("{from}: {why}"))
            .help("fetch the file by other means, and give it: --from FILE")
    };
    if !from.starts_with("http://") && !from.starts_with("https://") {
        return std::fs::read_to_string(from).map_err(|error| failed(error.to_string()));
    }
    let address: Uri = from.parse().map_err(|_| failed("no address".to_owned()))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static("cc-relay"));
    let answer = block_on(crate::http::get_from(&address, "", headers, None, LIMIT))?;
    let answer = answer.map_err(|error| failed(chain(&error)))?;
    if answer.status != StatusCode::OK {
        return Err(failed(format!("status {}", answer.status.as_u16())));
    }
    String::from_utf8(answer.body.to_vec()).map_err(|_| failed("no text".to_owned()))
}

/// Returns a line for each model whose price is new, or another than before.
fn differences(old: &Prices, new: &Prices) -> Vec<String> {
    let old = old.list();
    let mut lines = Vec::new();
    for listed in new.list() {
        let place = |it: &super::Listed<'_>| (it.provider.map(str::to_owned), it.price.since);
        let mut same = old.iter().filter(|it| it.model == listed.model);
        let same = same.find(|it| place(it) == place(&listed));
        let name = super::name(&listed);
        match same {
            None if listed.provider.is_none() => lines.push(format!("+ {name}")),
            None => {}
            Some(same) => {
                let changed = changes(&same.price.base, &listed.price.base);
                if !changed.is_empty() {
                    lines.push(format!("~ {name}: {}", changed.join(", ")));
                }
            }
        }
    }
    lines
}

fn changes(old: &Rates, new: &Rates) -> Vec<String> {
    let pairs = super::in_dollars(old)
        .into_iter()
        .zip(super::in_dollars(new));
    let named = super::RATES.iter().zip(pairs);
    let changed = named.filter(|(_, (old, new))| (old - new).abs() > 1e-9);
    changed
        .map(|(name, (old, new))| format!("{name} {old} -> {new}"))
        .collect()
}
