//! The commands, one file each.
//!
//! In: parsed arguments and a [`Context`]. Out: an exit code or a failure. A command touches the
//! outside only by its context, the file system and loopback connections.

pub mod cc;
pub mod changes;
pub mod completions;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod man;
pub mod manage;
pub mod serve;
pub mod session;
pub mod prices;
pub mod request;
pub mod requests;
pub mod status;
pub mod tui;
pub mod usage;
pub mod version;

use std::path::PathBuf;

use crate::ask::{Ask, Terminal};
use crate::cli::{CcCommand, Command, ConfigCommand, Global};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Where the relay listens when nothing else is said.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:8787";

/// What a command may use of the process that it runs in.
pub struct Context {
    /// The environment variables.
    pub env: Environment,
    /// The present folder.
    pub cwd: PathBuf,
    /// The configuration file that was named.
    pub config: Option<PathBuf>,
    /// Where words go.
    pub out: Output,
    /// Where answers come from.
    pub ask: Box<dyn Ask>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("cwd", &self.cwd)
            .finish_non_exhaustive()
    }
}

impl Context {
    /// Takes the context from this process.
    pub fn of_process(global: &Global, env: Environment) -> Self {
        Self {
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            config: global.config.clone(),
            out: Output::of_process(global.json, global.quiet, global.verbose),
            ask: Box::new(Terminal::of_process(global.no_input, &env)),
            env,
        }
    }
}

/// Runs a command.
///
/// # Errors
/// Whatever kept the command from doing what it was asked to.
pub fn dispatch(context: &mut Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Status(arguments) => status::run(context, &arguments),
        Command::Changes(arguments) => changes::run(context, &arguments),
        Command::Prices(arguments) => prices::run(context, &arguments),
        Command::Requests(arguments) => requests::list(context, &arguments),
        Command::Request(arguments) => request::run(context, &arguments),
        Command::Session(arguments) => session::run(context, &arguments),
        Command::Usage(arguments) => usage::run(context, &arguments),
        Command::Provider(command) => manage::provider::run(context, &command),
        Command::Key(command) => manage::key::run(context, &command),
        Command::Routing(command) => manage::routing::run(context, &command),
        Command::Sessions(arguments) => manage::sessions::run(context, &arguments),
        Command::Logs(arguments) => manage::logs::run(context, &arguments),
        Command::Config(ConfigCommand::Get(arguments)) => {
            manage::settings::get(context, &arguments)
        }
        Command::Config(ConfigCommand::Set(arguments)) => {
            manage::settings::set(context, &arguments)
        }
        Command::Config(ConfigCommand::Edit) => manage::settings::edit(context),
        Command::Config(ConfigCommand::Reload(arguments)) => {
            manage::settings::reload(context, &arguments)
        }
        Command::Config(ConfigCommand::Cc(command)) => match command {
            CcCommand::Init(arguments) => cc::init(context, &arguments),
            CcCommand::Remove(arguments) => cc::remove(context, &arguments),
            CcCommand::Status(arguments) => cc::status(context, &arguments),
        },
        Command::Config(ConfigCommand::Init(arguments)) => config::init(context, &arguments),
        Command::Config(ConfigCommand::Diff(arguments)) => config::diff(context, &arguments),
        Command::Config(ConfigCommand::Validate(arguments)) => {
            config::validate(context, &arguments)
        }
        Command::Config(ConfigCommand::Schema) => config::schema(context),
        Command::Config(ConfigCommand::Show) => config::show(context),
        Command::Serve(arguments) => serve::run(context, &arguments),
        Command::Demo(arguments) => demo::run(context, &arguments),
        Command::Tui(arguments) => tui::run(context, &arguments),
        Command::Doctor(arguments) => doctor::run(context, &arguments),
        Command::Completions(arguments) => completions::run(context, &arguments),
        Command::Man(arguments) => man::run(context, &arguments),
        Command::Version => version::run(context),
    }
}

/// Runs a future to its end on this thread.
///
/// # Errors
/// When the operating system gives no event queue.
pub fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        Failure::new(
            Exit::Failed,
            "runtime",
            format!("cannot start the event loop: {error}"),
        )
    })?;
    Ok(runtime.block_on(future))
}
