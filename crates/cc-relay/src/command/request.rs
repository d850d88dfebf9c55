//! `request`: one request of the history.
//!
//! In: the history that a relay keeps, and a request's name. Out: its attempts as bars, one below the
//! other; or what was asked or answered, byte for byte; or JSON. It reads the file alone, whether the
//! relay runs or not.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use relay_core::price::Money;
use relay_store::{Kept, KeptText, Wanted, bodies};
use serde_json::json;

use super::requests::{history, place, read, seconds, status, time, unreadable, word};
use crate::command::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log::readable;
use crate::output::{BAD, GOOD, STRONG, paint};

/// Letters of the longest bar.
const BAR: u64 = 40;

/// The end of the help of `request`.
pub const EXAMPLES: &str = "\
Examples:
  cc-relay request req_01M82CV14VZNGQ2XE5JHSNQXXG
  cc-relay request req_01M82CV1 --json
  cc-relay request req_01M82CV1 --body request

The name stands in the log, and in the header x-cc-relay-request-id of each answer. Bodies are kept
where the configuration has `history.bodies: true`.";

/// Flags of `request`.
#[derive(Debug, Clone, Args)]
pub struct RequestArgs {
    /// Its name, or how that begins
    #[arg(value_name = "ID")]
    pub name: String,
    /// Print what was asked, or what was answered, and nothing else
    #[arg(long, value_name = "WHICH")]
    pub body: Option<WhichBody>,
    /// The history's file [default: the one in the configuration, or ~/.local/state/cc-relay/relay.db]
    #[arg(long, value_name = "FILE", env = "CC_RELAY_HISTORY", hide_env = true)]
    pub history: Option<PathBuf>,
}

/// What of a request is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhichBody {
    /// What the client sent
    Request,
    /// What the client got
    Response,
}

/// `request`: prints one request with its attempts.
///
/// # Errors
/// Exit 1 when it is not among those that are kept.
pub fn run(context: &mut Context, arguments: &RequestArgs) -> Result<Exit, Failure> {
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
    let said = bodies(&path, kept.number).map_err(|error| unreadable(path.display(), &error))?;
    if let Some(which) = arguments.body {
        return body(context, which, said);
    }
    if context.out.is_json() {
        let sizes = said.map(|[request, response]| {
            json!({"request_bytes": request.whole_bytes, "response_bytes": response.whole_bytes})
        });
        let data = json!({ "request": kept, "bodies": sizes });
        context.out.data(data, &[])?;
        return Ok(Exit::Done);
    }
    for line in waterfall(kept, context.env.ascii_only()) {
        context.out.line(&line)?;
    }
    if let Some([request, response]) = &said {
        let (request, response) = (size(request), size(response));
        let line = format!("  bodies: request {request}, response {response}");
        context.out.line(&line)?;
    }
    Ok(Exit::Done)
}

/// Prints what was asked or answered, as it was kept.
fn body(
    context: &mut Context,
    which: WhichBody,
    said: Option<[KeptText; 2]>,
) -> Result<Exit, Failure> {
    let Some([request, response]) = said else {
        let message = "what was said in this request is not kept";
        return Err(Failure::new(Exit::Failed, "no_body", message).help(
            "`history.bodies: true` keeps it from then on; the oldest go first when the file is full",
        ));
    };
    let text = match which {
        WhichBody::Request => request,
        WhichBody::Response => response,
    };
    let warning = text.is_cut.then(|| {
        let (kept, whole) = (text.bytes.len(), text.whole_bytes);
        format!("cut: {kept} of {whole} bytes are kept; `history.max_body_bytes` says how many")
    });
    if context.out.is_json() {
        let body = String::from_utf8_lossy(&text.bytes);
        let data = json!({"body": body, "whole_bytes": text.whole_bytes, "is_cut": text.is_cut});
        context.out.data(data, warning.as_slice())?;
        return Ok(Exit::Done);
    }
    context.out.bytes(&text.bytes)?;
    if let Some(warning) = warning {
        context.out.note(&warning);
    }
    Ok(Exit::Done)
}

fn size(text: &KeptText) -> String {
    let cut = if text.is_cut { ", cut" } else { "" };
    format!("{} bytes{cut}", text.whole_bytes)
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
        ("project", &kept.project),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fill_their_width() {
        assert_eq!(
            bar((0, 10), 40, true),
            format!("{}{}", "#".repeat(10), ".".repeat(30))
        );
        assert_eq!(
            bar((10, 30), 40, true),
            format!("{}{}", ".".repeat(10), "#".repeat(30))
        );
        // What is too short to be seen is seen all the same.
        assert_eq!(bar((0, 1), 1_000_000, true), format!("#{}", ".".repeat(39)));
    }
}
