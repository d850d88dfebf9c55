//! The table of vendors. In: nothing; out: rows. Must never say more than a source does; where
//! sources differ, the stricter reading stands.

use super::{Counting, Credential, Envelope, Models, Row, Rule, Vendor};

const INVALID: (u16, &str, &str) = (401, "authentication_error", "invalid x-api-key");

const FIRST_PARTY: Row = Row {
    vendor: Vendor::Anthropic,
    name: "anthropic",
    base: "",
    credential: Credential::Either,
    unauthorized: [
        (401, "authentication_error", "x-api-key header is required"),
        INVALID,
    ],
    versions: &["2023-06-01", "2026-10-21"],
    counting: Counting::Works,
    models: Models::Anthropic,
    usage_at_start: true,
    error_events: true,
    unknown_is_200: false,
    envelope: Envelope::Anthropic,
    rules: &[],
    others: &[
        ("/", r#"{"status":"ok"}"#),
        ("/api/hello", r#"{"status":"ok"}"#),
    ],
};

/// A server of Anthropic's shape that looks at no version and counts nothing.
const PLAIN: Row = Row {
    vendor: Vendor::Anthropic,
    name: "",
    base: "",
    credential: Credential::Either,
    unauthorized: [INVALID, INVALID],
    versions: &[],
    counting: Counting::Missing,
    models: Models::OpenAi,
    usage_at_start: true,
    error_events: true,
    unknown_is_200: false,
    envelope: Envelope::Bare,
    rules: &[],
    others: &[],
};

const ZAI: Row = Row {
    vendor: Vendor::Zai,
    name: "zai",
    base: "/api/anthropic",
    unauthorized: [
        (
            401,
            "1001",
            "Header中未收到Authorization参数，无法进行身份验证。",
        ),
        (401, "1000", "Authentication Failed"),
    ],
    models: Models::Anthropic,
    usage_at_start: false,
    envelope: Envelope::Zai,
    ..PLAIN
};

const MINIMAX: Row = Row {
    vendor: Vendor::Minimax,
    name: "minimax",
    base: "/anthropic",
    credential: Credential::XApiKey,
    unauthorized: [
        (
            401,
            "authentication_error",
            "login fail: Please carry the API secret key in the 'X-Api-Key' field of the request header (1004)",
        ),
        (401, "authentication_error", "invalid api key (2049)"),
    ],
    versions: &["2023-06-01"],
    counting: Counting::Works,
    models: Models::Anthropic,
    envelope: Envelope::Minimax,
    rules: &[
        Rule::SystemRole("invalid params, invalid message role: system (2013)"),
        Rule::OrphanedResult("invalid params, tool call result does not follow tool call (2013)"),
        Rule::Temperature("invalid params, temperature must be in (0, 1] (2013)"),
    ],
    ..PLAIN
};

const OLLAMA: Row = Row {
    vendor: Vendor::Ollama,
    name: "ollama",
    credential: Credential::Ignored,
    error_events: false,
    envelope: Envelope::Anthropic,
    rules: &[Rule::UrlSource(
        "invalid image source type: url. Only base64 images are supported.",
    )],
    others: &[
        ("/api/tags", r#"{"models":[]}"#),
        ("/api/version", r#"{"version":"0.40.12"}"#),
    ],
    ..PLAIN
};

const OLLAMA_CLOUD: Row = Row {
    vendor: Vendor::OllamaCloud,
    name: "ollama-cloud",
    credential: Credential::Bearer,
    unauthorized: [(401, "authentication_error", "unauthorized"); 2],
    versions: &["2023-06-01", "2026-10-21"],
    ..OLLAMA
};

const KIMI: Row = Row {
    vendor: Vendor::Kimi,
    name: "kimi",
    base: "/anthropic",
    unauthorized: [(401, "authentication_error", "Invalid Authentication"); 2],
    models: Models::OpenAiAt("/v1/models"),
    rules: &[
        Rule::ThinkingEnabledOnly(
            "k2.7-code",
            "invalid thinking: only type=enabled is allowed for this model",
        ),
        Rule::Block(
            "document",
            "invalid content: unsupported content type: document",
        ),
    ],
    ..PLAIN
};

const DEEPSEEK: Row = Row {
    vendor: Vendor::Deepseek,
    name: "deepseek",
    base: "/anthropic",
    unauthorized: [(
        401,
        "authentication_error",
        "Authentication Fails, Your api key is invalid",
    ); 2],
    counting: Counting::Works,
    models: Models::OpenAiAt("/models"),
    envelope: Envelope::OpenAi,
    rules: &[
        Rule::ModelPrefix(
            &["deepseek-", "claude-"],
            "The supported API model names are deepseek-v4-pro or deepseek-v4-flash, but you passed {}.",
        ),
        Rule::Block("image", "unknown variant `image`, expected `text`"),
        Rule::Block("document", "unknown variant `document`, expected `text`"),
        Rule::Block(
            "search_result",
            "unknown variant `search_result`, expected `text`",
        ),
        Rule::ThinkingMissing(
            "The `content[].thinking` in the thinking mode must be passed back to the API.",
        ),
    ],
    ..PLAIN
};

const OPENROUTER: Row = Row {
    vendor: Vendor::Openrouter,
    name: "openrouter",
    base: "/api",
    credential: Credential::Bearer,
    unauthorized: [
        (401, "authentication_error", "No auth credentials found"),
        (401, "authentication_error", "User not found."),
    ],
    models: Models::OpenRouter,
    envelope: Envelope::OpenRouter,
    rules: &[Rule::ModelSlug("{} is not a valid model ID")],
    others: &[(
        "/api/v1/key",
        r#"{"data":{"label":"sk-or-sim","limit":10,"usage":2.5,"limit_remaining":7.5}}"#,
    )],
    ..PLAIN
};

const VLLM: Row = Row {
    vendor: Vendor::Vllm,
    name: "vllm",
    credential: Credential::Bearer,
    unauthorized: [(401, "authentication_error", "Unauthorized"); 2],
    counting: Counting::Works,
    envelope: Envelope::Vllm,
    rules: &[Rule::ModelListed("The model `{}` does not exist.")],
    others: &[("/health", ""), ("/load", r#"{"server_load":0}"#)],
    ..PLAIN
};

const LLAMACPP: Row = Row {
    vendor: Vendor::Llamacpp,
    name: "llamacpp",
    unauthorized: [(401, "authentication_error", "Invalid API Key"); 2],
    counting: Counting::Works,
    others: &[("/health", r#"{"status":"ok"}"#)],
    ..PLAIN
};

const LMSTUDIO: Row = Row {
    vendor: Vendor::Lmstudio,
    name: "lmstudio",
    unauthorized: [(
        401,
        "authentication_error",
        "An LM Studio API token is required to make requests to this server",
    ); 2],
    unknown_is_200: true,
    ..PLAIN
};

pub(crate) static ROWS: [Row; 11] = [
    FIRST_PARTY,
    ZAI,
    MINIMAX,
    OLLAMA,
    OLLAMA_CLOUD,
    KIMI,
    DEEPSEEK,
    OPENROUTER,
    VLLM,
    LLAMACPP,
    LMSTUDIO,
];

/// What a vendor without a row would be taken for.
pub(crate) static ANTHROPIC: Row = FIRST_PARTY;
