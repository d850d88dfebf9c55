//! Exit codes, in one place.
//!
//! In: how a command ended. Out: the number that scripts test for. A number never changes its
//! meaning.

use std::process::ExitCode;

/// How a command ended. The discriminant is the process's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; also when the reader of stdout closed the pipe.
    Done = 0,
    /// Failed; `doctor` found an error; a question was answered with no.
    Failed = 1,
    /// Wrong usage; or an answer was needed and there is no terminal to ask on.
    Usage = 2,
    /// `status`: degraded or draining, still serving.
    Degraded = 3,
    /// `status`: no usable provider.
    NoProvider = 4,
    /// The relay cannot be reached.
    Unreachable = 69,
    /// A file cannot be written.
    CannotWrite = 73,
    /// Try later: the port is taken, or a file changed meanwhile.
    TryLater = 75,
    /// The configuration is not valid.
    ConfigInvalid = 78,
}

impl Exit {
    /// Returns the code for the operating system.
    pub fn code(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}
