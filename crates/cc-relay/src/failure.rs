//! The one error type of the commands.
//!
//! In: what went wrong, where, and what to do. Out: `error:`/`help:` lines or the JSON form, and
//! the exit code. The texts given here are printed as they are, so they must hold no secret.

use serde_json::{Value, json};

use crate::exit::Exit;

/// Why a command ended without doing what it was asked to.
#[derive(Debug)]
pub struct Failure(Box<Parts>);

#[derive(Debug)]
struct Parts {
    exit: Exit,
    code: &'static str,
    message: String,
    help: Option<String>,
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    silent: bool,
    details: Option<String>,
    faults: Option<Value>,
}

impl Failure {
    /// Makes a failure with its exit code, a stable `code`, and the message.
    pub fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            exit,
            code,
            message: message.into(),
            help: None,
            file: None,
            line: None,
            column: None,
            silent: false,
            details: None,
            faults: None,
        }))
    }

    /// Makes the failure of a closed pipe: nothing is printed and the exit code is 0, because the
    /// reader has what it wanted.
    pub fn closed_pipe() -> Self {
        let mut failure = Self::new(Exit::Done, "closed_pipe", "the reader closed the pipe");
        failure.0.silent = true;
        failure
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Adds the file it is about.
    #[must_use]
    pub fn file(mut self, file: impl Into<String>) -> Self {
        self.0.file = Some(file.into());
        self
    }

    /// Adds the place in the file, both counted from 1.
    #[must_use]
    pub fn at(mut self, line: usize, column: usize) -> Self {
        self.0.line = Some(line);
        self.0.column = Some(column);
        self
    }

    /// Adds a text that is shown before the message: the faults of a file.
    #[must_use]
    pub fn details(mut self, details: impl Into<String>) -> Self {
        self.0.details = Some(details.into());
        self
    }

    /// Adds the faults of a file for the JSON form.
    #[must_use]
    pub fn faults(mut self, faults: Value) -> Self {
        self.0.faults = Some(faults);
        self
    }

    /// Returns the text that is shown before the message.
    pub fn details_text(&self) -> Option<&str> {
        self.0.details.as_deref()
    }

    /// Returns the exit code.
    pub fn exit(&self) -> Exit {
        self.0.exit
    }

    /// Tells whether nothing is to be printed.
    pub fn is_silent(&self) -> bool {
        self.0.silent
    }

    /// Returns the stable name of what went wrong.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// Returns the message.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns what to do about it.
    pub fn help_text(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// Returns the file, line and column as `file:line:column`, as far as they are known.
    pub fn place(&self) -> Option<String> {
        let file = self.0.file.as_deref()?;
        Some(match (self.0.line, self.0.column) {
            (Some(line), Some(column)) => format!("{file}:{line}:{column}"),
            (Some(line), None) => format!("{file}:{line}"),
            (None, _) => file.to_owned(),
        })
    }

    /// Returns the JSON form: `{"schema":1,"error":{…}}`, unknown as null. Only a faulty file has
    /// `faults`.
    pub fn to_json(&self) -> Value {
        let parts = &self.0;
        let mut form = json!({"schema": 1, "error": {
            "code": parts.code,
            "message": parts.message,
            "help": parts.help,
            "file": parts.file,
            "line": parts.line,
            "column": parts.column,
        }});
        if let (Some(faults), Some(error)) = (
            &parts.faults,
            form.get_mut("error").and_then(Value::as_object_mut),
        ) {
            error.insert("faults".to_owned(), faults.clone());
        }
        form
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Failed, "failed", format!("{error:#}"))
    }
}
