//! `completions`: a script that has a shell complete the words of a command line.
//!
//! In: the shell. Out: the script on stdout. The script asks this program at each word, by the
//! variable `CC_RELAY_COMPLETE`, so that names of the running relay are completed too.

pub mod names;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::env::{CompleteEnv, Shells};

use crate::cli::Cli;
use crate::command::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// The variable by which a shell's script asks. Its value names the shell.
const ASKED: &str = "CC_RELAY_COMPLETE";

/// Flags of `completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Answers a shell's script, if it is one that asks.
pub fn answer(arguments: &[OsString]) -> Option<ExitCode> {
    let folder = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(Cli::command).var(ASKED);
    match asked.try_complete(arguments.iter().cloned(), folder.as_deref()) {
        Ok(false) => None,
        Ok(true) => Some(Exit::Done.code()),
        // The shell shows nothing of it.
        Err(_) => Some(Exit::Failed.code()),
    }
}

/// Prints the script.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(context: &mut Context, arguments: &CompletionsArgs) -> Result<Exit, Failure> {
    let name = arguments.shell.to_string();
    let shells = Shells::builtins();
    let shell = shells.completer(&name).ok_or_else(|| {
        let message = format!("there is no completion for {name}");
        Failure::new(Exit::Usage, "shell", message)
    })?;
    let failed = |error: std::io::Error| {
        Failure::new(
            Exit::Failed,
            "completions",
            format!("cannot write it: {error}"),
        )
    };
    let mut script = Vec::new();
    shell
        .write_registration(ASKED, "cc-relay", "cc-relay", "cc-relay", &mut script)
        .map_err(failed)?;
    context.out.text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
