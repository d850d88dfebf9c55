//! The command line: what may be typed, with its help texts and examples.
//!
//! In: arguments and their `CC_RELAY_*` twins. Out: a [`Cli`]. No flag carries a secret: a
//! credential is named by its environment variable, because arguments are visible to every process.

mod examples;
mod time;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use time::duration;

use examples::{
    CC_EXAMPLES, CC_INIT_EXAMPLES, CC_REMOVE_EXAMPLES, CC_STATUS_EXAMPLES, COMPLETIONS_EXAMPLES,
    CONFIG_EXAMPLES, DEMO_EXAMPLES, DIFF_EXAMPLES, DOCTOR_EXAMPLES, INIT_EXAMPLES, MAN_EXAMPLES,
    ROOT_EXAMPLES, SCHEMA_EXAMPLES, SERVE_EXAMPLES, SHOW_EXAMPLES, STATUS_EXAMPLES,
    VALIDATE_EXAMPLES, VERSION_EXAMPLES,
};

pub use crate::command::changes::ChangesArgs;
pub use crate::command::completions::CompletionsArgs;
pub use crate::command::manage::key::KeyCommand;
pub use crate::command::manage::logs::LogsArgs;
pub use crate::command::manage::provider::ProviderCommand;
pub use crate::command::manage::routing::RoutingCommand;
pub use crate::command::manage::sessions::SessionsArgs;
pub use crate::command::manage::settings::{GetArgs, ReloadArgs, SetArgs};
pub use crate::command::prices::PricesArgs;
pub use crate::command::request::RequestArgs;
pub use crate::command::requests::RequestsArgs;
pub use crate::command::session::SessionArgs;
pub use crate::command::tui::TuiArgs;
pub use crate::command::usage::UsageArgs;

/// A proxy between Claude Code and your Anthropic upstreams: every byte as it was sent
#[derive(Debug, Parser)]
#[command(name = "cc-relay", version, max_term_width = 100, after_help = ROOT_EXAMPLES)]
#[command(propagate_version = false, disable_help_subcommand = true)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Configuration file [default: ~/.config/cc-relay/config.yaml]
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        env = "CC_RELAY_CONFIG"
    )]
    #[arg(hide_env = true)]
    pub config: Option<PathBuf>,
    /// Answer with one JSON object on stdout
    #[arg(long, global = true, env = "CC_RELAY_JSON", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub json: bool,
    /// Colour: auto, always or never; auto follows `NO_COLOR`, `CLICOLOR_FORCE` and the terminal
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    #[arg(env = "CC_RELAY_COLOR", hide_env = true)]
    pub color: Color,
    /// Print errors only
    #[arg(short, long, global = true, env = "CC_RELAY_QUIET", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub quiet: bool,
    /// Print reasons too
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Never ask; a missing answer is an error that names the flag
    #[arg(long, global = true, env = "CC_RELAY_NO_INPUT", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub no_input: bool,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// As the environment and the terminal say.
    Auto,
    /// Always, also into a pipe.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Makes this the choice of the whole process.
    pub fn apply(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the relay
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeArgs),
    /// Show it working: made-up upstreams, real streams, no account, nothing written
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(DemoArgs),
    /// Tell how the running relay is doing
    #[command(after_help = STATUS_EXAMPLES)]
    Status(StatusArgs),
    /// Watch the running relay in this terminal, and change it by a key
    #[command(after_help = crate::command::tui::EXAMPLES)]
    Tui(TuiArgs),
    /// List the last requests, and those that come
    #[command(after_help = crate::command::requests::REQUESTS_EXAMPLES)]
    Requests(RequestsArgs),
    /// Show one request with each of its attempts
    #[command(after_help = crate::command::request::EXAMPLES)]
    Request(RequestArgs),
    /// Show what one session used, agent by agent
    #[command(after_help = crate::command::session::EXAMPLES)]
    Session(SessionArgs),
    /// Tell what requests used and what they cost
    #[command(after_help = crate::command::usage::EXAMPLES)]
    Usage(UsageArgs),
    /// Tell what tokens cost
    #[command(after_help = crate::command::prices::EXAMPLES)]
    Prices(PricesArgs),
    /// List sessions that were seen lately: where each lives, and what it costs
    #[command(after_help = crate::command::manage::sessions::EXAMPLES)]
    Sessions(SessionsArgs),
    /// List the relay's providers, see how one does, switch one off or on
    #[command(subcommand, after_help = crate::command::manage::provider::EXAMPLES)]
    Provider(ProviderCommand),
    /// List the relay's keys, add one, take one away, switch one off or on
    #[command(subcommand, after_help = crate::command::manage::key::EXAMPLES)]
    Key(KeyCommand),
    /// Tell how requests find their provider, or change it
    #[command(subcommand, after_help = crate::command::manage::routing::EXAMPLES)]
    Routing(RoutingCommand),
    /// Print what the running relay says of itself
    #[command(after_help = crate::command::manage::logs::EXAMPLES)]
    Logs(LogsArgs),
    /// List what was changed in the running relay, and by whom
    #[command(after_help = crate::command::changes::EXAMPLES)]
    Changes(ChangesArgs),
    /// Make, check and show the configuration; point Claude Code at the relay
    #[command(subcommand, after_help = CONFIG_EXAMPLES)]
    Config(ConfigCommand),
    /// Look for everything that could be wrong and say how to mend it
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
    /// Print the manual page, or write one page for each command
    #[command(after_help = MAN_EXAMPLES)]
    Man(ManArgs),
    /// Print the version
    #[command(after_help = VERSION_EXAMPLES)]
    Version,
}

/// Flags of `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Address to listen on instead of the one in the file; port 0 takes a free one
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "CC_RELAY_LISTEN",
        hide_env = true
    )]
    pub listen: Option<SocketAddr>,
    /// Keep what requests used and cost, for `cc-relay usage`; in FILE, or where `usage` looks
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "")]
    #[arg(env = "CC_RELAY_HISTORY", hide_env = true)]
    pub history: Option<String>,
    /// Show the dashboard in this terminal; when it is closed, the relay runs on
    #[arg(long)]
    pub tui: bool,
}

/// Flags of `demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Stop after this time, for example 30s or 2m; otherwise at ctrl-c
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    #[arg(env = "CC_RELAY_FOR", hide_env = true)]
    pub duration: Option<Duration>,
    /// Address of the relay; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    #[arg(env = "CC_RELAY_LISTEN", hide_env = true)]
    pub listen: SocketAddr,
}

/// Flags of `status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Address of the relay [default: the one in the configuration, or 127.0.0.1:8787]
    #[arg(long, value_name = "HOST:PORT", env = "CC_RELAY_ADDR", hide_env = true)]
    pub addr: Option<String>,
}

/// Flags of `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Address of the relay [default: the one in the configuration, or 127.0.0.1:8787]
    #[arg(long, value_name = "HOST:PORT", env = "CC_RELAY_ADDR", hide_env = true)]
    pub addr: Option<String>,
    /// Mend what can be mended, and ask before each
    #[arg(long)]
    pub fix: bool,
    /// Mend without asking
    #[arg(short, long, requires = "fix")]
    pub yes: bool,
}

/// The commands under `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Write a commented configuration file
    #[command(after_help = INIT_EXAMPLES)]
    Init(InitArgs),
    /// Check a configuration file and report every fault at once
    #[command(after_help = VALIDATE_EXAMPLES)]
    Validate(ValidateArgs),
    /// Print the JSON Schema of the configuration
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema,
    /// Print the configuration in effect, secrets masked
    #[command(after_help = SHOW_EXAMPLES)]
    Show,
    /// Tell what a file would change of what the running relay does, and which sessions would move
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(DiffArgs),
    /// Print settings of the running relay
    #[command(after_help = crate::command::manage::settings::GET_EXAMPLES)]
    Get(GetArgs),
    /// Set one setting in the file; its comments and all else stay
    #[command(after_help = crate::command::manage::settings::SET_EXAMPLES)]
    Set(SetArgs),
    /// Open the file in `$VISUAL` or `$EDITOR`; it is replaced only if it is valid
    #[command(after_help = crate::command::manage::settings::EDIT_EXAMPLES)]
    Edit,
    /// Have the running relay read its file again
    #[command(after_help = crate::command::manage::settings::RELOAD_EXAMPLES)]
    Reload(ReloadArgs),
    /// Point Claude Code at the relay, undo it, or look
    #[command(subcommand, after_help = CC_EXAMPLES)]
    Cc(CcCommand),
}

/// Flags of `config init`.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// Ask nothing and take what was found
    #[arg(short, long, env = "CC_RELAY_YES", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub yes: bool,
    /// Replace an existing file; the old one is kept as a .bak
    #[arg(long)]
    pub force: bool,
    /// Format of the file: yaml or toml
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    pub format: Option<ConfigFormat>,
    /// File to write [default: the configuration file]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Format of a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConfigFormat {
    /// YAML.
    Yaml,
    /// TOML.
    Toml,
}

/// Flags of `config validate`.
#[derive(Debug, Clone, Args)]
pub struct ValidateArgs {
    /// File to check [default: the configuration file]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Flags of `config diff`.
#[derive(Debug, Clone, Args)]
pub struct DiffArgs {
    /// File to compare [default: the configuration file]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Address of the relay [default: the one in the configuration, or 127.0.0.1:8787]
    #[arg(long, value_name = "HOST:PORT", env = "CC_RELAY_ADDR", hide_env = true)]
    pub addr: Option<String>,
    /// Ask with the client key in this environment variable [default: the first of the file's]
    #[arg(long, value_name = "ENV_NAME")]
    pub token: Option<String>,
}

/// The commands under `config cc`.
#[derive(Debug, Subcommand)]
pub enum CcCommand {
    /// Point Claude Code at the relay
    #[command(after_help = CC_INIT_EXAMPLES)]
    Init(CcInitArgs),
    /// Undo `config cc init`
    #[command(after_help = CC_REMOVE_EXAMPLES)]
    Remove(CcRemoveArgs),
    /// Tell where Claude Code sends its requests, and which setting decides
    #[command(after_help = CC_STATUS_EXAMPLES)]
    Status(CcStatusArgs),
}

/// Which of Claude Code's settings files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Scope {
    /// ~/.claude/settings.json: every project of yours.
    User,
    /// .claude/settings.json: shared with everybody through git.
    Project,
    /// .claude/settings.local.json: this folder, yours alone.
    Local,
}

/// Flags that `config cc init` and `config cc remove` share.
#[derive(Debug, Clone, Args)]
pub struct CcChangeArgs {
    /// Which settings file
    #[arg(long, value_enum, default_value = "user")]
    pub scope: Scope,
    /// Write without asking
    #[arg(short, long, env = "CC_RELAY_YES", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub yes: bool,
    /// Show the change and write nothing
    #[arg(long, env = "CC_RELAY_DRY_RUN", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub dry_run: bool,
}

/// Flags of `config cc init`.
#[derive(Debug, Clone, Args)]
pub struct CcInitArgs {
    /// Shared flags.
    #[command(flatten)]
    pub change: CcChangeArgs,
    /// Address of the relay [default: the one in the configuration, or the usual one]
    #[arg(long, env = "CC_RELAY_URL", hide_env = true)]
    pub url: Option<String>,
    /// Write the relay's client key too, taken from this environment variable
    #[arg(long, value_name = "ENV_NAME", conflicts_with = "placeholder")]
    pub token: Option<String>,
    /// Write a token that means "no credential of my own": the relay's keys are used, not a login
    #[arg(long)]
    pub placeholder: bool,
    /// Replace values that cc-relay did not write, without asking about each
    #[arg(long)]
    pub force: bool,
}

/// Flags of `config cc remove`.
#[derive(Debug, Clone, Args)]
pub struct CcRemoveArgs {
    /// Shared flags.
    #[command(flatten)]
    pub change: CcChangeArgs,
}

/// Flags of `config cc status`.
#[derive(Debug, Clone, Args)]
pub struct CcStatusArgs {
    /// Only this settings file
    #[arg(long, value_enum)]
    pub scope: Option<Scope>,
}

/// Flags of `man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Write one page for each command into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
