//! `tui`: the dashboard of a running relay, in this terminal.

use std::io::IsTerminal as _;

use clap::Args;
use relay_tui::{Look, Options, Palette, TuiError};

use super::manage::{Relay, RelayArgs, unreachable};
use crate::command::{Context, block_on};
use crate::exit::Exit;
use crate::failure::Failure;

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  cc-relay tui
  cc-relay tui --demo
  cc-relay tui --theme light
  cc-relay tui --addr 127.0.0.1:9000
  CC_RELAY_ASCII=1 NO_COLOR=1 cc-relay tui

? shows the keys. Quitting changes nothing: the relay keeps running.";

/// Flags of `tui`.
#[derive(Debug, Clone, Default, Args)]
pub struct TuiArgs {
    /// Show made-up data; no relay is needed
    #[arg(long)]
    pub demo: bool,
    /// Colours: the terminal's own, or exact ones for a dark or a light ground; plain has none
    #[arg(long, value_name = "THEME", value_parser = ["terminal", "dark", "light", "plain"])]
    #[arg(env = "CC_RELAY_THEME", hide_env = true)]
    pub theme: Option<String>,
    /// Leave the mouse to the terminal
    #[arg(long)]
    pub no_mouse: bool,
    /// Draw once a second, and not as things happen; so does `REDUCE_MOTION=1`
    #[arg(long)]
    pub no_motion: bool,
    /// Where the relay is.
    #[command(flatten)]
    pub relay: RelayArgs,
}

/// Shows the dashboard until it is ended by a key.
///
/// # Errors
/// Exit 69 when no relay answers; exit 2 without a terminal.
pub fn run(context: &mut Context, arguments: &TuiArgs) -> Result<Exit, Failure> {
    let options = Options {
        suspend: true,
        ..options(context, arguments)?
    };
    match block_on(relay_tui::run(options))? {
        Ok(()) => Ok(Exit::Done),
        Err(TuiError::Connect(error)) => Err(unreachable(&error)),
        Err(error @ TuiError::Terminal(_)) => {
            Err(Failure::new(Exit::Failed, "terminal", error.to_string()))
        }
    }
}

/// Returns how the dashboard is shown in this terminal, in a process that goes on when it is closed.
///
/// # Errors
/// Exit 2 without a terminal, or when an address or a file with a token is not what it should be.
pub fn options(context: &Context, arguments: &TuiArgs) -> Result<Options, Failure> {
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
    Ok(Options {
        relay,
        look: Look {
            palette: palette(context, arguments),
            ascii: context.env.ascii_only(),
        },
        mouse: !arguments.no_mouse,
        motion: !arguments.no_motion && !is_reduced(context),
        suspend: false,
    })
}

/// Tells whether somebody wants little motion, as other programs are told it too.
fn is_reduced(context: &Context) -> bool {
    let said = context.env.get("REDUCE_MOTION");
    said.is_some_and(|value| !value.is_empty() && value != "0")
}

/// Returns the colours: none where none are wanted, else those of the theme.
fn palette(context: &Context, arguments: &TuiArgs) -> Palette {
    if anstream::AutoStream::choice(&std::io::stdout()) == anstream::ColorChoice::Never {
        return Palette::Plain;
    }
    // `serve --tui` has no flag of its own for it.
    let named = arguments.theme.as_deref();
    let named = named.or_else(|| context.env.get("CC_RELAY_THEME"));
    named.and_then(Palette::named).unwrap_or(Palette::Terminal)
}
