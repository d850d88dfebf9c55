//! `completions`: a completion script for a shell.
//!
//! In: the shell. Out: the script on stdout.

use clap::CommandFactory as _;

use crate::cli::{Cli, CompletionsArgs};
use crate::command::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Prints the completion script.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(context: &mut Context, arguments: &CompletionsArgs) -> Result<Exit, Failure> {
    // The generator panics on a closed pipe, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Cli::command(),
        "cc-relay",
        &mut script,
    );
    context.out.text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
