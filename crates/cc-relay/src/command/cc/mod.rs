//! `config cc`: points Claude Code at the relay by its settings file, undoes it, or looks.
//!
//! In: a scope and the wanted values. Out: a diff, a question, a changed file with a backup. What a
//! person set is never replaced without asking about that line, and `remove` takes back only what
//! is still ours.

mod change;
pub mod init;
mod remove;
mod status;
mod values;

pub use init::run as init;
pub use remove::run as remove;
pub use status::run as status;
