//! The upstreams that speak Anthropic's Messages API, a row each.
//!
//! A row says what differs from Anthropic's own. An upstream that is not here is `custom`, and every
//! column can be said otherwise in the config file. Sources: the vendors' own pages on their
//! Anthropic-compatible endpoints, and reports from the field where these are silent (read
//! 2026-11-22).

use crate::betas;
use crate::errors::Vendor;
use crate::lacks::SYSTEM_MESSAGES;
use crate::trim::{Betas, Takes};

/// How an upstream wants the relay's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyHeader {
    /// `x-api-key: KEY`.
    ApiKey,
    /// `authorization: Bearer KEY`.
    Bearer,
}

/// What becomes of the client's `anthropic-version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// It passes.
    Passes,
    /// It is this one, whatever the client said.
    Is(&'static str),
}

/// The shape of a list of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelsShape {
    /// Anthropic's.
    Anthropic,
    /// `OpenAI`'s.
    OpenAi,
}

/// Where an upstream lists its models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelsRoute {
    /// The path.
    pub path: &'static str,
    /// Whether it stands at the host's root, instead of behind the path of the base URL.
    pub at_root: bool,
    /// Its shape.
    pub shape: ModelsShape,
}

/// What one kind of upstream differs in.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name in the config file.
    pub name: &'static str,
    /// Where the key goes.
    pub key_header: KeyHeader,
    /// Whether it answers without a key.
    pub needs_key: bool,
    /// Which version of the API it is asked in.
    pub version: Version,
    /// What stands before the name of each of its models.
    pub model_prefix: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// Whether it has `count_tokens`. Where not, the relay estimates.
    pub counts_tokens: bool,
    /// Where it lists its models, if it does: also a free question.
    pub models: Option<ModelsRoute>,
    /// How its refusals are read.
    pub vendor: Vendor,
}

/// The version that every upstream but Anthropic's knows.
const FIRST: Version = Version::Is("2023-06-01");

const ANTHROPIC_LIST: ModelsRoute = ModelsRoute {
    path: "/v1/models",
    at_root: false,
    shape: ModelsShape::Anthropic,
};

const OPENAI_LIST: ModelsRoute = ModelsRoute {
    shape: ModelsShape::OpenAi,
    ..ANTHROPIC_LIST
};

/// Anthropic itself, under another name: what each row differs from.
const ANTHROPIC: Row = Row {
    name: "anthropic",
    key_header: KeyHeader::ApiKey,
    needs_key: true,
    version: Version::Passes,
    model_prefix: "",
    takes: Takes::ALL,
    counts_tokens: true,
    models: Some(ANTHROPIC_LIST),
    vendor: Vendor::Anthropic,
};

/// A server of one's own.
const LOCAL: Row = Row {
    needs_key: false,
    key_header: KeyHeader::Bearer,
    version: FIRST,
    takes: Takes {
        betas: Betas::All,
        refuses: &[],
    },
    models: Some(OPENAI_LIST),
    vendor: Vendor::Plain,
    ..ANTHROPIC
};

/// A vendor's service.
const SERVICE: Row = Row {
    version: FIRST,
    counts_tokens: false,
    vendor: Vendor::Plain,
    ..ANTHROPIC
};

/// The table.
pub static ROWS: [Row; 15] = [
    ANTHROPIC,
    Row {
        name: "zai",
        vendor: Vendor::Zai,
        ..SERVICE
    },
    Row {
        name: "minimax",
        counts_tokens: true,
        takes: Takes {
            betas: Betas::All,
            refuses: &[SYSTEM_MESSAGES],
        },
        vendor: Vendor::Minimax,
        ..SERVICE
    },
    Row {
        name: "kimi",
        key_header: KeyHeader::Bearer,
        models: Some(ModelsRoute {
            at_root: true,
            ..OPENAI_LIST
        }),
        ..SERVICE
    },
    Row {
        name: "deepseek",
        counts_tokens: true,
        models: Some(ModelsRoute {
            path: "/models",
            at_root: true,
            ..OPENAI_LIST
        }),
        ..SERVICE
    },
    Row {
        name: "openrouter",
        key_header: KeyHeader::Bearer,
        models: Some(OPENAI_LIST),
        ..SERVICE
    },
    Row {
        name: "ollama",
        counts_tokens: false,
        ..LOCAL
    },
    Row {
        name: "vllm",
        ..LOCAL
    },
    Row {
        name: "llamacpp",
        ..LOCAL
    },
    Row {
        name: "lmstudio",
        counts_tokens: false,
        ..LOCAL
    },
    Row {
        name: "custom",
        key_header: KeyHeader::ApiKey,
        models: Some(ANTHROPIC_LIST),
        ..LOCAL
    },
    Row {
        name: "azure",
        takes: betas::AZURE,
        vendor: Vendor::Azure,
        ..CLOUD
    },
    Row {
        name: "bedrock_mantle",
        model_prefix: "anthropic.",
        takes: betas::MANTLE,
        vendor: Vendor::Aws,
        ..CLOUD
    },
    Row {
        name: "claude_aws",
        key_header: KeyHeader::Bearer,
        models: Some(ANTHROPIC_LIST),
        vendor: Vendor::Aws,
        ..CLOUD
    },
    Row {
        name: "claude_google",
        key_header: KeyHeader::Bearer,
        models: Some(ANTHROPIC_LIST),
        vendor: Vendor::Google,
        ..CLOUD
    },
];

/// A cloud that speaks the Messages API: its address and credential are made from other settings.
const CLOUD: Row = Row {
    models: None,
    ..ANTHROPIC
};

/// Finds a row by its name in the config file.
pub fn row(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}
