//! Which betas each cloud takes, and under which name.
//!
//! The facts are those of `LiteLLM`'s `anthropic_beta_headers_config.json` (MIT licence, read
//! 2026-11-22), which is kept by its users' reports; what the vendors say themselves is older. What
//! is missing here heals by itself: an upstream that names what it cannot take is asked without it.

use crate::trim::{Betas, Takes};

/// Bedrock's `InvokeModel`. It refuses a request with any beta that it does not know, without saying
/// which, so these are only those that it surely knows: what Claude Code sends there itself, and what
/// AWS's pages name.
pub const BEDROCK: Takes = Takes {
    betas: Betas::Only(&[
        (
            "advanced-tool-use-2025-11-20",
            "tool-search-tool-2025-10-19",
        ),
        ("compact-2026-01-12", "compact-2026-01-12"),
        ("computer-use-2025-01-24", "computer-use-2025-01-24"),
        ("computer-use-2025-11-24", "computer-use-2025-11-24"),
        ("context-1m-2025-08-07", "context-1m-2025-08-07"),
        (
            "context-management-2025-06-27",
            "context-management-2025-06-27",
        ),
        ("effort-2025-11-24", "effort-2025-11-24"),
        (
            "thinking-display-updates-2026-08-18",
            "thinking-display-updates-2026-08-18",
        ),
        // What Claude Code sends to Bedrock by itself (2.1.330, measured).
        (
            "interleaved-thinking-2025-05-14",
            "interleaved-thinking-2025-05-14",
        ),
        (
            "thinking-token-count-2026-05-13",
            "thinking-token-count-2026-05-13",
        ),
        ("tool-search-tool-2025-10-19", "tool-search-tool-2025-10-19"),
    ]),
    refuses: &[
        "service_tier",
        "inference_geo",
        "container",
        "mcp_servers",
        "speed",
        "fallbacks",
        "diagnostics",
        "cache_control",
        // Stands for wherever a cache's scope can be said.
        "cache_control.scope",
    ],
};

/// Bedrock's Messages API (`bedrock-mantle`).
pub const MANTLE: Takes = Takes {
    betas: Betas::Except(&[
        "advisor-tool-2026-03-01",
        "code-execution-2025-08-25",
        "fast-mode-2026-02-01",
        "files-api-2025-04-14",
        "mcp-client-2025-04-04",
        "mcp-client-2025-11-20",
        "mcp-servers-2025-12-04",
        "prompt-caching-scope-2026-01-05",
        "skills-2025-10-02",
        "web-fetch-2025-09-10",
    ]),
    refuses: &["container", "mcp_servers", "speed"],
};

/// Vertex AI's `rawPredict`. It refuses any other by name.
pub const VERTEX: Takes = Takes {
    betas: Betas::Only(&[
        (
            "advanced-tool-use-2025-11-20",
            "tool-search-tool-2025-10-19",
        ),
        ("claude-code-20250219", "claude-code-20250219"),
        ("compact-2026-01-12", "compact-2026-01-12"),
        ("compact-2026-09-04", "compact-2026-09-04"),
        ("computer-use-2025-01-24", "computer-use-2025-01-24"),
        ("computer-use-2025-11-24", "computer-use-2025-11-24"),
        ("context-1m-2025-08-07", "context-1m-2025-08-07"),
        (
            "context-management-2025-06-27",
            "context-management-2025-06-27",
        ),
        (
            "dangerous-tool-use-2026-09-03",
            "dangerous-tool-use-2026-09-03",
        ),
        // Claude Code itself sends it there (2.1.330, measured).
        ("effort-2025-11-24", "effort-2025-11-24"),
        (
            "interleaved-thinking-2025-05-14",
            "interleaved-thinking-2025-05-14",
        ),
        ("per-turn-control-2026-07-01", "per-turn-control-2026-07-01"),
        (
            "thinking-binding-controls-2026-08-01",
            "thinking-binding-controls-2026-08-01",
        ),
        (
            "thinking-display-updates-2026-08-18",
            "thinking-display-updates-2026-08-18",
        ),
        ("tool-search-tool-2025-10-19", "tool-search-tool-2025-10-19"),
        ("web-search-2025-03-05", "web-search-2025-03-05"),
    ]),
    refuses: &["service_tier", "container", "mcp_servers", "speed"],
};

/// Azure AI Foundry.
pub const AZURE: Takes = Takes {
    betas: Betas::Except(&[
        "advisor-tool-2026-03-01",
        "compact-2026-01-12",
        "fast-mode-2026-02-01",
        "fine-grained-tool-streaming-2025-05-14",
        "mcp-servers-2025-12-04",
        "output-128k-2025-02-19",
        "thinking-binding-controls-2026-08-01",
        "token-efficient-tools-2025-02-19",
    ]),
    refuses: &["speed"],
};
