//! `logs`: what the running relay says of itself, beside its requests.

use std::time::Duration;

use clap::{Args, ValueEnum};
use relay_api::v1::{Event, Level, StreamEventsRequest};
use serde_json::json;

use super::{Relay, RelayArgs};
use crate::command::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log::{readable, timestamp};
use crate::output::Output;

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  cc-relay logs
  cc-relay logs --follow
  cc-relay logs --level warn --json

Requests are listed by cc-relay requests.";

/// Flags of `logs`.
#[derive(Debug, Clone, Args)]
pub struct LogsArgs {
    /// Go on with what comes
    #[arg(short, long)]
    pub follow: bool,
    /// How many of the last ones, at most 1000
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: u32,
    /// The least important level: debug, info, warn or error
    #[arg(
        long,
        value_enum,
        value_name = "LEVEL",
        default_value = "info",
        hide_possible_values = true
    )]
    pub level: LeastLevel,
    /// Where the relay is.
    #[command(flatten)]
    pub relay: RelayArgs,
}

/// The least important level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LeastLevel {
    /// To find faults with.
    Debug,
    /// To be known.
    Info,
    /// To be looked at.
    Warn,
    /// Something fails.
    Error,
}

/// Prints them.
///
/// # Errors
/// Exit 69 when no relay answers; else what it said.
pub fn run(context: &mut Context, arguments: &LogsArgs) -> Result<Exit, Failure> {
    let least = match arguments.level {
        LeastLevel::Debug => Level::Debug,
        LeastLevel::Info => Level::Info,
        LeastLevel::Warn => Level::Warn,
        LeastLevel::Error => Level::Error,
    };
    let asked = StreamEventsRequest {
        backlog: arguments.limit,
        least: least.into(),
    };
    let relay = Relay::find(context, &arguments.relay)?;
    let out = &mut context.out;
    let mut written = Ok(());
    relay.ask(async |mut api| {
        let mut events = api.stream_events(asked).await?.into_inner();
        while let Some(message) = events.message().await? {
            let Some(event) = message.event else {
                // It has no more for now.
                if arguments.follow {
                    continue;
                }
                break;
            };
            written = write(out, &event);
            if written.is_err() {
                break;
            }
        }
        Ok(())
    })?;
    written.map(|()| Exit::Done)
}

fn write(out: &mut Output, event: &Event) -> Result<(), Failure> {
    let time = timestamp(Duration::from_millis(event.unix_ms));
    let level = event.level().as_str_name().trim_start_matches("LEVEL_");
    let line = if out.is_json() {
        let line = json!({
            "time": time,
            "level": level.to_ascii_lowercase(),
            "name": event.name,
            "message": event.message,
            "fields": event.fields,
        });
        line.to_string()
    } else {
        format!("{time}  {level:5}  {}", readable(&event.message))
    };
    out.line(&line)?;
    out.flush()
}
