//! `version`: which program this is.
//!
//! In: nothing. Out: one line, or name, version, system and processor as JSON.

use serde_json::json;

use crate::command::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Prints the version.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(context: &mut Context) -> Result<Exit, Failure> {
    if context.out.is_json() {
        let data = json!({
            "name": "cc-relay",
            "version": VERSION,
            "os": std::env::consts::OS,
            "arch": std::env::consts::ARCH,
        });
        context.out.data(data, &[])?;
    } else {
        context.out.line(&format!("cc-relay {VERSION}"))?;
    }
    Ok(Exit::Done)
}
