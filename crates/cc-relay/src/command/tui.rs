//! `tui`: the dashboard of a running relay, in this terminal.

use std::io::IsTerminal as _;

use clap::Args;
use relay_tui::{Look, Options, TuiError};

use super::manage::{Relay, RelayArgs, unreachable};
use crate::command::{Context, block_on};
use crate::exit::Exit;
use crate::failure::Failure;

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  cc-relay tui
  cc-relay tui --demo
  cc-relay tui --addr 127.0.0.1:9000
  CC_RELAY_ASCII=1 NO_COLOR=1 cc-relay tui

? shows the keys. Quitting changes nothing: the relay keeps running.";

/// Flags of `tui`.
#[derive(Debug, Clone, Args)]
pub struct TuiArgs {
    /// Show made-up data; no relay is needed
    #[arg(long)]
    pub demo: bool,
    /// Leave the mouse to the terminal
    #[arg(long)]
    pub no_mouse: bool,
    /// Where the relay is.
    #[command(flatten)]
    pub relay: RelayArgs,
}

/// Shows the dashboard until it is ended by a key.
///
/// # Errors
/// Exit 69 when no relay answers; exit 2 without a terminal.
pub fn run(context: &mut Context, arguments: &TuiArgs) -> Result<Exit, Failure> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        let message = "the dashboard needs a terminal";
        return Err(Failure::new(Exit::Usage, "no_terminal", message)
            .help("cc-relay status --json and cc-relay requests --follow do without"));
    }
    let relay = if arguments.demo {
        None
    } else {
        Some(Relay::find(context, &arguments.relay)?.into_parts())
    };
    let options = Options {
        relay,
        look: Look {
            color: anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never,
            ascii: context.env.ascii_only(),
        },
        mouse: !arguments.no_mouse,
    };
    match block_on(relay_tui::run(options))? {
        Ok(()) => Ok(Exit::Done),
        Err(TuiError::Connect(error)) => Err(unreachable(&error)),
        Err(error @ TuiError::Terminal(_)) => {
            Err(Failure::new(Exit::Failed, "terminal", error.to_string()))
        }
    }
}
