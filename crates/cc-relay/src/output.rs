//! Where a command's words go: the answer to stdout, everything else to stderr.
//!
//! In: text that may be styled. Out: the same text, styles removed where the stream does not want
//! them. With `--json` stdout carries JSON only. A closed pipe is not an error.

use std::io::{IsTerminal as _, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;

/// Green: works.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Yellow: works, and wants a look.
pub const WARN: Style = AnsiColor::Yellow.on_default();
/// Red: does not work.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Bold: what the eye should find first.
pub const STRONG: Style = Style::new().bold();
/// Cyan: something to copy.
pub const COPY: Style = AnsiColor::Cyan.on_default();

/// Returns `text` in `style`.
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Both output streams and how much to say on them.
pub struct Output {
    stdout: Box<dyn Write>,
    stderr: Box<dyn Write>,
    json: bool,
    quiet: bool,
    verbose: u8,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("json", &self.json)
            .finish_non_exhaustive()
    }
}

impl Output {
    /// Writes to the streams of this process, each with the colour that it wants.
    pub fn of_process(json: bool, quiet: bool, verbose: u8) -> Self {
        let stdout = anstream::AutoStream::auto(std::io::stdout());
        let stderr = anstream::AutoStream::auto(std::io::stderr());
        Self::new(Box::new(stdout), Box::new(stderr), json, quiet, verbose)
    }

    /// Writes to the given streams.
    pub fn new(
        stdout: Box<dyn Write>,
        stderr: Box<dyn Write>,
        json: bool,
        quiet: bool,
        verbose: u8,
    ) -> Self {
        Self {
            stdout,
            stderr,
            json,
            quiet,
            verbose,
        }
    }

    /// Tells whether the answer is wanted as JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Returns how often `-v` was given.
    pub fn verbose(&self) -> u8 {
        self.verbose
    }

    /// Writes text to stdout as it is.
    ///
    /// # Errors
    /// A closed pipe ends the command silently with exit 0; other faults are exit 1.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.stdout
            .write_all(text.as_bytes())
            .map_err(|error| stdout_fault(&error))
    }

    /// Writes bytes to stdout as they are; to a terminal without what would steer it.
    ///
    /// # Errors
    /// As [`Output::text`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.flush()?;
        let mut stdout = std::io::stdout();
        if !stdout.is_terminal() {
            // Around the stream that takes colours out: here every byte counts.
            return stdout
                .write_all(bytes)
                .map_err(|error| stdout_fault(&error));
        }
        let mut shown = String::new();
        for letter in String::from_utf8_lossy(bytes).chars() {
            if letter.is_control() && !matches!(letter, '\n' | '\t') {
                shown.extend(letter.escape_default());
            } else {
                shown.push(letter);
            }
        }
        self.line(&shown)
    }

    /// Writes one line to stdout.
    ///
    /// # Errors
    /// As [`Output::text`].
    pub fn line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.stdout, "{line}").map_err(|error| stdout_fault(&error))
    }

    /// Writes the JSON answer: `{"schema":1,"data":…,"warnings":[…]}`.
    ///
    /// # Errors
    /// As [`Output::text`].
    pub fn data(&mut self, data: impl Serialize, warnings: &[String]) -> Result<(), Failure> {
        let data = serde_json::to_value(data).unwrap_or(Value::Null);
        self.line(&json!({"schema": 1, "data": data, "warnings": warnings}).to_string())
    }

    /// Writes one line to stderr, unless `-q` was given. A stderr that is gone is nobody's loss.
    pub fn note(&mut self, line: &str) {
        if !self.quiet {
            self.note_always(line);
        }
    }

    /// Writes one line to stderr even with `-q`.
    pub fn note_always(&mut self, line: &str) {
        // Nothing is left to tell it to.
        drop(writeln!(self.stderr, "{line}"));
    }

    /// Writes text to stderr without a line end and flushes it: a question.
    pub fn prompt(&mut self, text: &str) {
        drop(write!(self.stderr, "{text}").and_then(|()| self.stderr.flush()));
    }

    /// Flushes stdout.
    ///
    /// # Errors
    /// As [`Output::text`].
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.stdout.flush().map_err(|error| stdout_fault(&error))
    }

    /// Reports a failure: text on stderr, and with `--json` the object on stdout too.
    pub fn failure(&mut self, failure: &Failure) {
        if failure.is_silent() {
            return;
        }
        if let Some(details) = failure.details_text() {
            self.note_always(&format!("{details}\n"));
            self.note_always(&format!("{} {}", paint(BAD, "error:"), failure.message()));
            if self.json {
                self.failure_json(failure);
            }
            return;
        }
        let place = failure
            .place()
            .map(|place| format!(" ({place})"))
            .unwrap_or_default();
        self.note_always(&format!(
            "{} {}{place}",
            paint(BAD, "error:"),
            failure.message()
        ));
        if let Some(help) = failure.help_text() {
            self.note_always(&format!("{} {help}", paint(COPY, "help:")));
        }
        if self.verbose > 0 {
            let (code, exit) = (failure.code(), failure.exit() as u8);
            self.note_always(&format!("reason: {code}, exit {exit}"));
        }
        if self.json {
            self.failure_json(failure);
        }
    }

    /// Writes the JSON form of a failure to stdout.
    pub fn failure_json(&mut self, failure: &Failure) {
        // The exit code already tells; a second fault while reporting the first has no reader.
        drop(self.line(&failure.to_json().to_string()));
    }
}

fn stdout_fault(error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        return Failure::closed_pipe();
    }
    Failure::new(
        Exit::Failed,
        "stdout",
        format!("cannot write to stdout: {error}"),
    )
}
