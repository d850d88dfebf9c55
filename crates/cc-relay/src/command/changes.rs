//! `changes`: what was changed in the running relay, and by whom.
//!
//! In: the history. Out: a line a change, the oldest first.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use relay_store::{KeptChange, changes};
use serde_json::json;

use crate::command::{Context, requests};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log::{readable, timestamp};
use crate::output::{BAD, STRONG, paint};

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  cc-relay changes
  cc-relay changes --limit 100 --json

Those made over the management API, as the history keeps them; what was edited in the file is in
the log as config.reload. Times are UTC.";

/// Flags of `changes`.
#[derive(Debug, Clone, Args)]
pub struct ChangesArgs {
    /// Changes at most, the last ones
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// The history's file [default: the one in the configuration, or ~/.local/state/cc-relay/relay.db]
    #[arg(long, value_name = "FILE", env = "CC_RELAY_HISTORY", hide_env = true)]
    pub history: Option<PathBuf>,
}

/// Prints them.
///
/// # Errors
/// Exit 1 when there is no history, or it cannot be read.
pub fn run(context: &mut Context, arguments: &ChangesArgs) -> Result<Exit, Failure> {
    let path = requests::history(context, arguments.history.as_deref())?;
    let found = changes(&path, arguments.limit);
    let found = found.map_err(|error| requests::unreadable(path.display(), &error))?;
    if context.out.is_json() {
        context.out.data(json!({ "changes": found }), &[])?;
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        context.out.note("no change is kept yet");
    }
    for change in &found {
        for line in lines(change) {
            context.out.line(&line)?;
        }
    }
    Ok(Exit::Done)
}

fn lines(change: &KeptChange) -> Vec<String> {
    let at = timestamp(Duration::from_millis(change.at_ms));
    let what = paint(STRONG, &readable(&change.what));
    let mut lines = vec![format!("{at}  {what}  by {}", readable(&change.by))];
    match &change.refused {
        Some(why) => lines.push(format!("  {} {}", paint(BAD, "refused:"), readable(why))),
        None => lines.extend(
            change
                .changes
                .split("; ")
                .filter(|it| !it.is_empty())
                .map(|it| format!("  {}", readable(it))),
        ),
    }
    lines
}
