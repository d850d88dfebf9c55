//! `requests`: single requests of the history, as a list.
//!
//! In: the history that a relay keeps. Out: a line a request, or JSON. It reads the file alone,
//! whether the relay runs or not.

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
use crate::output::{BAD, GOOD, WARN, paint};

/// How often the history is looked at for more.
const LOOK: Duration = Duration::from_millis(500);

/// The end of the help of `requests`.
pub const REQUESTS_EXAMPLES: &str = "\
Examples:
  cc-relay requests
  cc-relay requests --follow
  cc-relay requests --session 5f0c1d1e-0000-4000-8000-000000000000 --limit 100 --json

The history is what `cc-relay serve --history` keeps. Times are UTC.";

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

pub(super) fn read(path: &Path, wanted: &Wanted) -> Result<Vec<Kept>, Failure> {
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

pub(super) fn status(kept: &Kept) -> String {
    let status = kept.status.map(|status| status.to_string());
    status.unwrap_or_else(|| "---".to_owned())
}

pub(super) fn place(provider: &str, key: &str) -> String {
    if key.is_empty() {
        word(provider)
    } else {
        format!("{}/{}", word(provider), word(key))
    }
}

/// Returns a name as a terminal can show it.
pub(super) fn word(text: &str) -> String {
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

pub(super) fn seconds(micros: u64) -> String {
    match micros {
        0..1_000 => return format!("{micros}us"),
        1_000..1_000_000 => return format!("{}ms", micros / 1_000),
        1_000_000.. => {}
    }
    let seconds = Duration::from_micros(micros).as_secs_f64();
    format!("{seconds:.2}s")
}

/// Returns a time of day, UTC.
pub(super) fn time(at: u64) -> String {
    let at = i64::try_from(at).unwrap_or_default();
    let at = jiff::Timestamp::from_second(at).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(
            [950, 410_999, 7_930_000].map(seconds),
            ["950us", "410ms", "7.93s"]
        );
    }
}
