//! `usage`: what requests used and what they cost.
//!
//! In: the history that `serve --history` keeps. Out: a chart with a bar a group, JSON or CSV. It
//! reads the file alone, whether the relay runs or not, and must never show an unknown cost as zero.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use relay_core::price::Money;
use relay_proxy::clock;
use relay_store::{By, Sums, usage};
use serde_json::{Value, json};

use crate::command::Context;
use crate::command::requests::{history, unreadable};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{GOOD, STRONG, WARN, paint};

/// Letters of the longest bar.
const BAR: usize = 24;

/// Letters of a name that are shown.
const NAME: usize = 40;

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  cc-relay usage
  cc-relay usage --by day --since 30d
  cc-relay usage --by session --since 2026-11-01 --csv

The history is what `cc-relay serve --history` keeps. Days and hours are UTC.";

/// Flags of `usage`.
#[derive(Debug, Clone, Args)]
pub struct UsageArgs {
    /// What to sum by
    #[arg(long, value_enum, default_value = "model")]
    pub by: Group,
    /// From when on: 12h, 7d, or a day such as 2026-11-01 (UTC); whole hours
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = since)]
    pub since: Since,
    /// Answer with comma-separated values
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// The history's file [default: the one in the configuration, or ~/.local/state/cc-relay/relay.db]
    #[arg(long, value_name = "FILE", env = "CC_RELAY_HISTORY", hide_env = true)]
    pub history: Option<PathBuf>,
}

/// What to sum by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Group {
    /// The model that answered.
    Model,
    /// The upstream.
    Provider,
    /// The relay's key.
    Key,
    /// The client's key.
    Client,
    /// The session.
    Session,
    /// The agent within its session.
    Agent,
    /// The project: the folder Claude Code was started in, or what x-cc-relay-project says
    Project,
    /// The day.
    Day,
    /// The hour.
    Hour,
}

impl From<Group> for By {
    fn from(group: Group) -> Self {
        match group {
            Group::Model => Self::Model,
            Group::Provider => Self::Provider,
            Group::Key => Self::Key,
            Group::Client => Self::Client,
            Group::Session => Self::Session,
            Group::Agent => Self::Agent,
            Group::Project => Self::Project,
            Group::Day => Self::Day,
            Group::Hour => Self::Hour,
        }
    }
}

/// Where a time begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// So many seconds ago.
    Ago(u64),
    /// At this second of the Unix epoch.
    At(u64),
}

impl Since {
    fn second(self) -> u64 {
        match self {
            Self::Ago(seconds) => clock::unix().as_secs().saturating_sub(seconds),
            Self::At(second) => second,
        }
    }
}

/// Reads `12h`, `7d` or `2026-11-01`.
fn since(text: &str) -> Result<Since, String> {
    let fault = || format!("`{text}` is no time; write for example 12h, 7d or 2026-11-01");
    if let Ok(day) = text.parse::<Date>() {
        let midnight = day.to_zoned(TimeZone::UTC).map_err(|_| fault())?;
        let second = u64::try_from(midnight.timestamp().as_second()).map_err(|_| fault())?;
        return Ok(Since::At(second));
    }
    let hours = text.strip_suffix('h').map(|number| (number, 3600));
    let days = text.strip_suffix('d').map(|number| (number, 86_400));
    let (number, unit) = hours.or(days).ok_or_else(fault)?;
    let number: u64 = number.parse().map_err(|_| fault())?;
    number.checked_mul(unit).map(Since::Ago).ok_or_else(fault)
}

/// Prints what requests used and cost.
///
/// # Errors
/// Exit 1 when there is no history, or it cannot be read.
pub fn run(context: &mut Context, arguments: &UsageArgs) -> Result<Exit, Failure> {
    let path = history(context, arguments.history.as_deref())?;
    let groups = usage(&path, arguments.by.into(), arguments.since.second());
    let shown = context.env.show_path(&path);
    let groups = groups.map_err(|error| unreadable(shown, &error))?;
    if context.out.is_json() {
        let groups: Vec<Value> = groups.iter().map(as_json).collect();
        context.out.data(json!({ "groups": groups }), &[])?;
    } else if arguments.csv {
        context.out.text(&csv(&groups))?;
    } else {
        for line in screen(&groups, context.env.ascii_only()) {
            context.out.line(&line)?;
        }
    }
    Ok(Exit::Done)
}

/// Returns the known cost; `None` where nothing of a group has one.
fn known(sums: &Sums) -> Option<Money> {
    let nothing_known = sums.cost == 0 && sums.unpriced > 0;
    (!nothing_known).then(|| Money::nano_dollars(sums.cost))
}

fn dollars(nano: u64) -> f64 {
    Money::nano_dollars(nano).as_dollars()
}

fn as_json(sums: &Sums) -> Value {
    json!({
        "name": sums.name, "requests": sums.requests, "failed": sums.failed,
        "unknown_cost": sums.unpriced, "input_tokens": sums.input,
        "cache_read_tokens": sums.cache_read, "cache_write_tokens": sums.cache_write,
        "output_tokens": sums.output, "cost_usd": known(sums).map(Money::as_dollars),
        "saved_usd": dollars(sums.saved), "moves": sums.moves, "moves_usd": dollars(sums.moved),
    })
}

fn csv(groups: &[Sums]) -> String {
    let mut text = "name,requests,failed,unknown_cost,input_tokens,cache_read_tokens,\
         cache_write_tokens,output_tokens,cost_usd,saved_usd,moves,moves_usd\n"
        .to_owned();
    for sums in groups {
        let cost = known(sums).map(|cost| cost.as_dollars().to_string());
        let fields = [
            quoted(&sums.name),
            sums.requests.to_string(),
            sums.failed.to_string(),
            sums.unpriced.to_string(),
            sums.input.to_string(),
            sums.cache_read.to_string(),
            sums.cache_write.to_string(),
            sums.output.to_string(),
            cost.unwrap_or_default(),
            dollars(sums.saved).to_string(),
            sums.moves.to_string(),
            dollars(sums.moved).to_string(),
        ];
        text.push_str(&fields.join(","));
        text.push('\n');
    }
    text
}

/// Quotes a name; a spreadsheet must not take it for a formula.
fn quoted(name: &str) -> String {
    let guard = if name.starts_with(['=', '+', '-', '@']) {
        "'"
    } else {
        ""
    };
    format!("\"{guard}{}\"", name.replace('"', "\"\""))
}

fn screen(groups: &[Sums], ascii: bool) -> Vec<String> {
    let mut total = Sums::default();
    for sums in groups {
        total.add(sums);
    }
    let top = groups.iter().map(|sums| sums.cost).max().unwrap_or(0);
    let width = groups.iter().map(|sums| shown(&sums.name).chars().count());
    let width = width.max().unwrap_or(0);
    let mut lines: Vec<String> = groups
        .iter()
        .map(|sums| line(sums, top, width, ascii))
        .collect();
    let cost = paint(STRONG, &cost_words(&total));
    lines.push(format!("{}   {cost}", requests(total.requests)));
    if total.saved > 0 {
        let saved = Money::nano_dollars(total.saved);
        lines.push(format!("reads of the prompt cache saved {saved}"));
    }
    if total.moves > 0 {
        let again = Money::nano_dollars(total.moved);
        let moves = total.moves;
        lines.push(format!(
            "{moves} served away from their home: {again} for prefixes written again"
        ));
    }
    lines
}

fn line(sums: &Sums, top: u64, width: usize, ascii: bool) -> String {
    let part = u128::from(sums.cost).saturating_mul(BAR as u128);
    let length = part.checked_div(u128::from(top)).unwrap_or(0);
    let length = usize::try_from(length).unwrap_or(BAR);
    let bar = if ascii { "#" } else { "█" }.repeat(length);
    let pad = BAR.saturating_sub(length);
    let name = shown(&sums.name);
    let bar = paint(GOOD, &bar);
    let cost = cost_words(sums);
    let requests = requests(sums.requests);
    format!("{name:width$}  {bar}{:pad$}  {cost}  {requests}", "")
}

/// Says how many requests there are.
pub(super) fn requests(count: u64) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} request{end}")
}

/// Says a cost, and for how many requests it is unknown.
pub(super) fn cost_words(sums: &Sums) -> String {
    let unknown = |words: String| paint(WARN, &words);
    match (known(sums), sums.unpriced) {
        (None, count) => unknown(format!("cost unknown ({count})")),
        (Some(cost), 0) => cost.to_string(),
        (Some(cost), count) => format!("{cost} {}", unknown(format!("+ {count} unknown"))),
    }
}

/// Returns a name as a terminal can show it.
fn shown(name: &str) -> String {
    if name.is_empty() {
        return "-".to_owned();
    }
    crate::log::readable(name).chars().take(NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(since("7d"), Ok(Since::Ago(604_800)));
        assert_eq!(since("12h"), Ok(Since::Ago(43_200)));
        assert_eq!(since("2026-11-01"), Ok(Since::At(1_793_491_200)));
        for wrong in ["", "7", "d", "-1d", "7w", "2026-13-01", "ä"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn unknown_is_said_and_is_no_zero() {
        let sums = |name: &str, cost, unpriced| Sums {
            name: name.to_owned(),
            requests: 2,
            cost,
            unpriced,
            ..Sums::default()
        };
        let groups = [sums("opus", 1_500_000_000, 1), sums("=glm", 0, 2)];
        let plain = |line: &String| anstream::adapter::strip_str(line).to_string();
        let lines: Vec<String> = screen(&groups, true).iter().map(plain).collect();
        assert_eq!(
            lines,
            [
                "opus  ########################  $1.5000 + 1 unknown  2 requests",
                "=glm                            cost unknown (2)  2 requests",
                "4 requests   $1.5000 + 3 unknown",
            ]
        );
        assert_eq!(groups.get(1).map(as_json).unwrap()["cost_usd"], Value::Null);
        let csv = csv(&groups);
        assert!(csv.ends_with("\n\"'=glm\",2,0,2,0,0,0,0,,0,0,0\n"), "{csv}");
    }
}
