//! `requests` and `request`: single requests of the history, as a list and one by one.
//!
//! In: the history that a relay keeps. Out: a line a request, or one request with each of its
//! attempts as a bar; or JSON. It reads the file alone, whether the relay runs or not.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use relay_core::error::chain;
use relay_core::price::Money;
use relay_store::{Kept, StoreError, Wanted, requests};
use serde_json::json;

use crate::command::{Context, config};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log::readable;
use crate::output::{BAD, GOOD, STRONG, WARN, paint};

/// How often the history is looked at for more.
const LOOK: Duration = Duration::from_millis(500);

/// Letters of the longest bar.
const BAR: u64 = 40;

/// The end of the help of `requests`.
pub const REQUESTS_EXAMPLES: &str = "\
Examples:
  cc-relay requests
  cc-relay requests --follow
  cc-relay requests --session 5f0c1d1e-0000-4000-8000-000000000000 --limit 100 --json

The history is what `cc-relay serve --history` keeps. Times are UTC.";

/// The end of the help of `request`.
pub const REQUEST_EXAMPLES: &str = "\
Examples:
  cc-relay request req_01M82CV14VZNGQ2XE5JHSNQXXG
  cc-relay request req_01M82CV1 --json

The name stands in the log, and in the header x-cc-relay-request-id of each answer.";

/// Flags of `requests`.
#[derive(Debug, Clone, Args)]
pub struct RequestsArgs {
    /// Requests at most, the last ones
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
    /// Of this session alone
    #[arg(long)]
    pub session: Option<String>,
    /// Go on with those that come
    #[arg(short, long)]
    pub follow: bool,
    /// The history's file [default: the one in the configuration, or ~/.local/state/cc-relay/relay.db]
    #[arg(long, value_name = "FILE", env = "CC_RELAY_HISTORY", hide_env = true)]
    pub history: Option<PathBuf>,
}

/// Flags of `request`.
#[derive(Debug, Clone, Args)]
pub struct RequestArgs {
    /// Its name, or how that begins
    #[arg(value_name = "ID")]
    pub name: String,
    /// The history's file [default: the one in the configuration, or ~/.local/state/cc-relay/relay.db]
    #[arg(long, value_name = "FILE", env = "CC_RELAY_HISTORY", hide_env = true)]
    pub history: Option<PathBuf>,
}

/// Returns the history's file: the one named, else that of the configuration, else the usual one.
///
/// # Errors
/// Exit 1 where there is none.
pub fn history(context: &Context, named: Option<&Path>) -> Result<PathBuf, Failure> {
    let named = named.filter(|path| !path.as_os_str().is_empty());
    let configured = || config::load(context).ok()?.history.file;
    let path = named.map(Path::to_owned).or_else(configured);
    let path = path.unwrap_or_else(|| context.env.history());
    if path.is_file() {
        return Ok(path);
    }
    let message = format!("there is no history at {}", context.env.show_path(&path));
    Err(Failure::new(Exit::Failed, "no_history", message)
        .help("keep one: cc-relay serve --history; or name another: --history FILE"))
}

fn read(path: &Path, wanted: &Wanted) -> Result<Vec<Kept>, Failure> {
    requests(path, wanted).map_err(|error| unreadable(path.display(), &error))
}

/// Says that a history cannot be read.
pub(super) fn unreadable(path: impl Display, error: &StoreError) -> Failure {
    let message = format!("{path}: {}", chain(error));
    Failure::new(Exit::Failed, "history", message)
}

/// `requests`: prints the last requests, and with `--follow` those that come.
///
/// # Errors
/// Exit 1 when there is no history, or it cannot be read.
pub fn list(context: &mut Context, arguments: &RequestsArgs) -> Result<Exit, Failure> {
    let path = history(context, arguments.history.as_deref())?;
    let mut wanted = Wanted {
        limit: arguments.limit,
        session: arguments.session.clone(),
        ..Wanted::default()
    };
    let mut found = read(&path, &wanted)?;
    if context.out.is_json() && !arguments.follow {
        context.out.data(json!({ "requests": found }), &[])?;
        return Ok(Exit::Done);
    }
    if found.is_empty() && !arguments.follow {
        context.out.note("no request is kept yet");
    }
    // What comes between two looks is shown whole.
    wanted.limit = u32::MAX;
    loop {
        for kept in &found {
            wanted.after = wanted.after.max(kept.number);
            if context.out.is_json() {
                context.out.data(json!(kept), &[])?;
            } else {
                context.out.line(&line(kept, context.env.ascii_only()))?;
            }
        }
        if !arguments.follow {
            return Ok(Exit::Done);
        }
        std::thread::sleep(LOOK);
        found = read(&path, &wanted)?;
    }
}

/// `request`: prints one request with its attempts.
///
/// # Errors
/// Exit 1 when it is not among those that are kept.
pub fn one(context: &mut Context, arguments: &RequestArgs) -> Result<Exit, Failure> {
    let path = history(context, arguments.history.as_deref())?;
    let wanted = Wanted {
        limit: 2,
        name: Some(arguments.name.clone()),
        ..Wanted::default()
    };
    let found = read(&path, &wanted)?;
    let [kept] = found.as_slice() else {
        let name = readable(&arguments.name);
        let (message, help) = if found.is_empty() {
            (
                format!("no request {name} is kept"),
                "the oldest go first; cc-relay requests has the last",
            )
        } else {
            (
                format!("several requests begin with {name}"),
                "give more of its name",
            )
        };
        return Err(Failure::new(Exit::Failed, "no_request", message).help(help));
    };
    if context.out.is_json() {
        context.out.data(json!({ "request": kept }), &[])?;
        return Ok(Exit::Done);
    }
    for line in waterfall(kept, context.env.ascii_only()) {
        context.out.line(&line)?;
    }
    Ok(Exit::Done)
}

/// A request on one line.
fn line(kept: &Kept, ascii: bool) -> String {
    let good = kept.outcome == "complete" && kept.status.is_some_and(|status| status < 400);
    let (symbol, style) = match (good, ascii) {
        (true, false) => ("✔", GOOD),
        (true, true) => ("ok", GOOD),
        (false, false) => ("✖", BAD),
        (false, true) => ("X", BAD),
    };
    let mut parts = vec![time(kept.at), paint(style, symbol), status(kept)];
    parts.push(word(&kept.model));
    parts.push(place(&kept.provider, &kept.key));
    parts.push(seconds(kept.duration_us));
    if let Some(first) = kept.first_event_us {
        parts.push(format!("ttfe={}", seconds(first)));
    }
    let [input, written] = [kept.input, kept.cache_write].map(Option::unwrap_or_default);
    let share = |read| cache_share(input, read, written);
    if let Some(share) = kept.cache_read.and_then(share) {
        parts.push(format!("cache={share}%"));
    }
    if let Some(output) = kept.output {
        parts.push(format!("out={output}"));
    }
    parts.extend(kept.cost.map(|cost| Money::nano_dollars(cost).to_string()));
    if !kept.attempts.is_empty() {
        let hops = format!("hops={}", kept.attempts.len());
        parts.push(paint(WARN, &hops));
    }
    if !good {
        parts.push(word(kept.error.as_deref().unwrap_or(&kept.outcome)));
    }
    parts.push(word(&kept.name));
    parts.join(" ")
}

/// A request with a bar for each of its attempts.
fn waterfall(kept: &Kept, ascii: bool) -> Vec<String> {
    let mut lines = vec![format!(
        "{}  {}  {}",
        paint(STRONG, &word(&kept.name)),
        time(kept.at),
        word(&kept.model)
    )];
    let facts = [
        ("session", kept.session.as_str()),
        ("agent", &kept.agent),
        ("client", &kept.client),
        ("affinity", kept.affinity.as_deref().unwrap_or_default()),
    ];
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        lines.push(format!("  {name:<9} {}", word(value)));
    }
    let whole = kept.duration_us.max(1);
    // An earlier version kept no beginnings: they are drawn one behind the other.
    let mut behind = 0;
    for attempt in &kept.attempts {
        let from = attempt.began_us.unwrap_or(behind);
        let key = attempt.key.as_deref().unwrap_or_default();
        let status = attempt.status.map(|status| format!(" {status}"));
        let why = format!("{}{}", attempt.reason, status.unwrap_or_default());
        let bar = bar((from, attempt.took_us), whole, ascii);
        let (place, took) = (place(&attempt.provider, key), seconds(attempt.took_us));
        lines.push(format!("  {} {place} {took} {why}", paint(BAD, &bar)));
        behind = from.saturating_add(attempt.took_us);
    }
    let from = kept.began_us.unwrap_or(behind);
    let took = kept.duration_us.saturating_sub(from);
    let bar = bar((from, took), whole, ascii);
    let end = match (&kept.error, kept.outcome.as_str()) {
        (Some(error), _) => word(error),
        (None, outcome) => outcome.to_owned(),
    };
    let (place, shown) = (place(&kept.provider, &kept.key), seconds(took));
    let status = status(kept);
    let style = if kept.error.is_none() { GOOD } else { BAD };
    lines.push(format!(
        "  {} {place} {shown} {status} {end}",
        paint(style, &bar)
    ));
    if let Some(first) = kept.first_event_us {
        lines.push(format!("  first event after {}", seconds(first)));
    }
    lines.extend(used(kept));
    lines
}

/// What it used, and what that cost.
fn used(kept: &Kept) -> Vec<String> {
    let mut lines = Vec::new();
    let tokens = [
        ("input", kept.input),
        ("cache read", kept.cache_read),
        ("cache written", kept.cache_write),
        ("output", kept.output),
    ];
    let tokens: Vec<String> = tokens
        .iter()
        .filter_map(|(name, count)| Some(format!("{name} {}", (*count)?)))
        .collect();
    if !tokens.is_empty() {
        lines.push(format!("  tokens: {}", tokens.join(", ")));
    }
    let cost = kept.cost.map(|cost| Money::nano_dollars(cost).to_string());
    let cost = cost.unwrap_or_else(|| "unknown".to_owned());
    lines.push(format!("  cost: {cost}"));
    lines
}

/// Draws a part of a whole.
fn bar((from, took): (u64, u64), whole: u64, ascii: bool) -> String {
    let scaled = |part: u64| {
        part.saturating_mul(BAR)
            .checked_div(whole)
            .unwrap_or(0)
            .min(BAR)
    };
    let (blank, end) = (scaled(from), scaled(from.saturating_add(took)));
    let length = end.saturating_sub(blank).max(1);
    let rest = BAR.saturating_sub(blank).saturating_sub(length);
    let count = |number: u64| usize::try_from(number).unwrap_or(0);
    let (full, empty) = if ascii { ("#", ".") } else { ("█", "·") };
    format!(
        "{}{}{}",
        empty.repeat(count(blank)),
        full.repeat(count(length)),
        empty.repeat(count(rest))
    )
}

fn status(kept: &Kept) -> String {
    let status = kept.status.map(|status| status.to_string());
    status.unwrap_or_else(|| "---".to_owned())
}

fn place(provider: &str, key: &str) -> String {
    if key.is_empty() {
        word(provider)
    } else {
        format!("{}/{}", word(provider), word(key))
    }
}

/// Returns a name as a terminal can show it.
fn word(text: &str) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    readable(text).into_owned()
}

/// Returns the share of input that was read from the cache, in percent.
pub(super) fn cache_share(input: u64, read: u64, written: u64) -> Option<u64> {
    let all = input.saturating_add(read).saturating_add(written);
    read.saturating_mul(100).checked_div(all)
}

fn seconds(micros: u64) -> String {
    match micros {
        0..1_000 => return format!("{micros}us"),
        1_000..1_000_000 => return format!("{}ms", micros / 1_000),
        1_000_000.. => {}
    }
    let seconds = Duration::from_micros(micros).as_secs_f64();
    format!("{seconds:.2}s")
}

/// Returns a time of day, UTC.
fn time(at: u64) -> String {
    let at = i64::try_from(at).unwrap_or_default();
    let at = jiff::Timestamp::from_second(at).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fill_their_width_and_times_have_units() {
        assert_eq!(
            bar((0, 10), 40, true),
            format!("{}{}", "#".repeat(10), ".".repeat(30))
        );
        assert_eq!(
            bar((10, 30), 40, true),
            format!("{}{}", ".".repeat(10), "#".repeat(30))
        );
        assert_eq!(
            [950, 410_999, 7_930_000].map(seconds),
            ["950us", "410ms", "7.93s"]
        );
        // What is too short to be seen is seen all the same.
        assert_eq!(bar((0, 1), 1_000_000, true), format!("#{}", ".".repeat(39)));
    }
}
