//! The parts of the `cc-relay` program: command line, commands, and the assembled relay.
//!
//! In: arguments, environment, a configuration file. Out: answers on stdout, everything else on
//! stderr, and an exit code of [`exit::Exit`]. Nothing here may print a secret.

pub mod ask;
pub mod assemble;
pub mod banner;
pub mod cli;
pub mod clock;
pub mod command;
pub mod environment;
pub mod exit;
pub mod failure;
pub mod http;
pub(crate) mod keychain;
pub mod log;
pub mod manage;
pub mod metrics;
pub mod output;
pub mod past;
pub mod reload;
pub mod serve;
pub mod settings;
pub mod sink;
#[cfg(test)]
mod testing;
pub mod traces;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Color};
use crate::command::Context;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Runs the program with the arguments and environment of this process.
pub fn run() -> ExitCode {
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if let Some(code) = command::completions::answer(&arguments) {
        return code;
    }
    let environment = Environment::of_process();
    early_color(&arguments, &environment);
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => {
            cli.global.color.apply();
            let mut context = Context::of_process(&cli.global, environment);
            let result = command::dispatch(&mut context, cli.command);
            finish(&mut context.out, result).code()
        }
        Err(error) => refuse(&error, &arguments).code(),
    }
}

/// Sets the colour before parsing, because help and usage errors are printed by the parser.
fn early_color(arguments: &[std::ffi::OsString], environment: &Environment) {
    let mut words = arguments.iter().filter_map(|word| word.to_str());
    let mut found = environment.get("CC_RELAY_COLOR").map(str::to_owned);
    while let Some(word) = words.next() {
        if word == "--color" {
            found = words.next().map(str::to_owned);
        } else if let Some(value) = word.strip_prefix("--color=") {
            found = Some(value.to_owned());
        }
    }
    if let Some(color) =
        found.and_then(|text| <Color as clap::ValueEnum>::from_str(&text, true).ok())
    {
        color.apply();
    }
}

/// Reports the result of a command and returns its exit code.
fn finish(out: &mut Output, result: Result<Exit, Failure>) -> Exit {
    let result = result.and_then(|exit| out.flush().map(|()| exit));
    match result {
        Ok(exit) => exit,
        Err(failure) => {
            out.failure(&failure);
            failure.exit()
        }
    }
}

/// Prints what the parser has to say: help and version (exit 0) or a usage error (exit 2).
fn refuse(error: &clap::Error, arguments: &[std::ffi::OsString]) -> Exit {
    let json = arguments.iter().any(|word| word == "--json");
    let mut out = Output::of_process(json, false, 0);
    let text = match anstream::ColorChoice::global() {
        anstream::ColorChoice::Never => error.render().to_string(),
        anstream::ColorChoice::Auto
        | anstream::ColorChoice::AlwaysAnsi
        | anstream::ColorChoice::Always => error.render().ansi().to_string(),
    };
    if !error.use_stderr() {
        let printed = out.text(&text);
        return finish(&mut out, printed.map(|()| Exit::Done));
    }
    out.note_always(text.trim_end());
    if json {
        let plain = error.render().to_string();
        let message = plain.lines().next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(message);
        out.failure_json(&Failure::new(Exit::Usage, "usage", message).help("cc-relay --help"));
    }
    Exit::Usage
}
