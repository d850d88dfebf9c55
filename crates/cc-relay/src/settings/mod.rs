//! Claude Code's settings files: where they are, reading and changing them byte by byte.
//!
//! In: a scope and the values wanted. Out: a changed text that differs only where it must, and what
//! is needed to undo it. Nothing that cc-relay wants to remember goes into these files.

pub mod edit;
pub mod mask;
pub mod places;
pub mod scope;
pub mod state;
pub mod write;

/// The variable that tells Claude Code where to send its requests.
pub const BASE_URL: &str = "ANTHROPIC_BASE_URL";
/// The variable that switches tool search on again, which Claude Code turns off behind a custom URL.
pub const TOOL_SEARCH: &str = "ENABLE_TOOL_SEARCH";
/// The variable that holds the client's bearer token.
pub const AUTH_TOKEN: &str = "ANTHROPIC_AUTH_TOKEN";
/// The token that means "no credential of my own".
pub const PLACEHOLDER: &str = "managed-by-cc-relay";
