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
/// What Claude Code turns off behind a custom URL, and what turns it on again: the relay carries all
/// of it. The names stand in Claude Code's documentation of its environment variables; what each does
/// to a request was looked at on the wire.
pub const SWITCHES: [Switch; 3] = [
    Switch {
        name: "ENABLE_TOOL_SEARCH",
        value: "true",
        what: "tool search",
        why: "finds MCP tools when they are needed instead of sending them all",
    },
    Switch {
        name: "CLAUDE_CODE_ENABLE_FINE_GRAINED_TOOL_STREAMING",
        value: "1",
        what: "fine-grained tool streaming",
        why: "a tool's input comes as it is written, not at its end",
    },
    Switch {
        name: "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY",
        value: "1",
        what: "model discovery",
        why: "/model lists the relay's models too",
    },
];
/// The variable that holds the client's bearer token.
pub const AUTH_TOKEN: &str = "ANTHROPIC_AUTH_TOKEN";
/// The variable that holds the client's API key.
pub const API_KEY: &str = "ANTHROPIC_API_KEY";
/// Variables that send Claude Code to a cloud, whatever the base URL says.
pub const CLOUDS: [&str; 3] = [
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
];
/// A variable that gives Claude Code back what it turns off behind a custom URL.
#[derive(Debug, Clone, Copy)]
pub struct Switch {
    /// The variable.
    pub name: &'static str,
    /// What it is set to.
    pub value: &'static str,
    /// What it switches on, as Claude Code calls it.
    pub what: &'static str,
    /// What that is good for.
    pub why: &'static str,
}

/// The token that means "no credential of my own".
pub const PLACEHOLDER: &str = "managed-by-cc-relay";
