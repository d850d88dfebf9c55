//! Questions to the person at the terminal.
//!
//! In: a question. Out: the answer. Where nobody can answer (no terminal, `--no-input`, CI) the
//! command ends with exit 2 and names the flag that answers instead; it never guesses.

use std::io::{BufRead as _, IsTerminal as _};

use crate::command::Context;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;

/// A source of answers.
pub trait Ask {
    /// Tells whether somebody can answer.
    fn interactive(&self) -> bool;
    /// Reads one line without its line end; `None` at the end of input.
    ///
    /// # Errors
    /// When the terminal cannot be read.
    fn line(&mut self) -> std::io::Result<Option<String>>;
}

/// The terminal of this process.
#[derive(Debug)]
pub struct Terminal {
    interactive: bool,
}

impl Terminal {
    /// Looks whether stdin and stderr are terminals and questions are welcome.
    pub fn of_process(no_input: bool, environment: &Environment) -> Self {
        let both = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        Self {
            interactive: both && !no_input && environment.get("CI").is_none(),
        }
    }
}

impl Ask for Terminal {
    fn interactive(&self) -> bool {
        self.interactive
    }

    fn line(&mut self) -> std::io::Result<Option<String>> {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line)?;
        Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

/// Asks a yes/no question. Enter takes `default`; the end of input means no.
///
/// # Errors
/// Exit 2 naming `flag` when nobody can answer.
pub fn confirm(
    context: &mut Context,
    question: &str,
    default: bool,
    flag: &str,
) -> Result<bool, Failure> {
    let choices = if default { "[Y/n]" } else { "[y/N]" };
    loop {
        let Some(answer) = text(context, &format!("{question} {choices} "), flag)? else {
            return Ok(false);
        };
        match answer.trim().to_ascii_lowercase().as_str() {
            "" => return Ok(default),
            "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => context.out.note_always("Please answer y or n."),
        }
    }
}

/// Asks for a line of text; `None` at the end of input.
///
/// # Errors
/// Exit 2 naming `flag` when nobody can answer.
pub fn text(context: &mut Context, question: &str, flag: &str) -> Result<Option<String>, Failure> {
    if !context.ask.interactive() {
        let message = format!(
            "this needs an answer and there is no terminal to ask on: {}",
            question.trim_end()
        );
        return Err(Failure::new(Exit::Usage, "no_terminal", message).help(format!("pass {flag}")));
    }
    context.out.prompt(question);
    let answer = context.ask.line();
    answer.map_err(|error| {
        Failure::new(
            Exit::Failed,
            "terminal",
            format!("cannot read the answer: {error}"),
        )
    })
}
