//! The raw form of an upstream. See `raw.rs` for what a raw form is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Pooling;

/// An upstream.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Provider {
    /// Its name, unique in the file.
    pub(crate) name: Option<String>,
    /// Its dialect.
    #[serde(rename = "type")]
    pub(crate) kind: Option<Kind>,
    /// Whether it takes traffic. Default true.
    pub(crate) enabled: Option<bool>,
    /// Where it is: `http` or `https`, no query. Default: the vendor's own address.
    pub(crate) base_url: Option<String>,
    /// The relay's own credentials for it. Without: only the client's own is used.
    pub(crate) keys: Vec<Key>,
    /// How its keys are used together.
    pub(crate) pooling: Pooling,
    /// Under `failover`, the higher is tried first; equals in the order of the file. Default 0.
    #[schemars(range(min = -1000, max = 1000))]
    pub(crate) priority: Option<i64>,
    /// Its share of requests under `weighted_round_robin`. Default 1.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) weight: Option<u64>,
    /// Whose models it serves: thinking of another vendor's is foreign to it. Default: its type.
    pub(crate) vendor: Option<String>,
    /// What it takes of the list price, in percent. Default: 100, and more in regions of clouds.
    #[schemars(range(min = 0, max = 1000))]
    pub(crate) price_percent: Option<u64>,
    /// The models it serves, as names or patterns with one `*`. Default: all.
    pub(crate) models: Vec<String>,
    /// The largest body it takes, in bytes. Default: what `server.max_body_bytes` says.
    #[schemars(range(min = 1024, max = 1_073_741_824))]
    pub(crate) max_body_bytes: Option<u64>,
    /// Model names, or patterns with one `*`, and the name to send in their place.
    pub(crate) model_mapping: BTreeMap<String, String>,
    /// What stands before the names of its models. Default `anthropic.` for bedrock, else nothing.
    pub(crate) model_prefix: Option<String>,
    /// Where its keys stand in a request. Default: as its type wants it.
    pub(crate) key_header: Option<KeyHeader>,
    /// The `anthropic-version` to send: a date, or `pass` for the client's own. Default: as its type
    /// wants it.
    pub(crate) anthropic_version: Option<String>,
    /// Who counts tokens: `native` asks it, `estimate` answers at once. Default: as its type can.
    pub(crate) count_tokens: Option<CountTokens>,
    /// AWS: the region, such as `us-east-1`.
    pub(crate) aws_region: Option<String>,
    /// AWS: the profile of the shared configuration. Default: the credential chain's own.
    pub(crate) aws_profile: Option<String>,
    /// AWS: a fixed access key. Default: the credential chain.
    pub(crate) aws_access_key_id: Option<String>,
    /// AWS: its secret.
    pub(crate) aws_secret_access_key: Option<String>,
    /// AWS: the session token of temporary credentials.
    pub(crate) aws_session_token: Option<String>,
    /// Bedrock: `invoke` for its own interface, `mantle` for its Messages API, `auto` for the latter
    /// where it has the model. Default `auto`; `invoke` where `base_url` is given.
    pub(crate) runtime: Option<Runtime>,
    /// Bedrock with `runtime: auto`: where its Messages API is. Default: as the region says.
    pub(crate) mantle_base_url: Option<String>,
    /// Google: the project.
    pub(crate) gcp_project_id: Option<String>,
    /// Google: a region, `us`, `eu` or `global`. Default `global`.
    pub(crate) gcp_region: Option<String>,
    /// Azure: the name of the Foundry resource.
    pub(crate) azure_resource_name: Option<String>,
    /// Azure: no longer sent; kept for older files.
    pub(crate) azure_api_version: Option<String>,
    /// Azure: the tenant of an application. Default: workload identity, managed identity or the CLI.
    pub(crate) azure_tenant_id: Option<String>,
    /// Azure: the application, or the managed identity to be.
    pub(crate) azure_client_id: Option<String>,
    /// Azure: the application's secret.
    pub(crate) azure_client_secret: Option<String>,
    /// Claude Platform on AWS and on Google Cloud: the workspace.
    pub(crate) workspace_id: Option<String>,
    /// Whether the client's own credential may be sent to it. Default true for anthropic.
    pub(crate) accepts_client_credential: Option<bool>,
    /// Certificate authorities to trust besides the system's, a PEM file.
    pub(crate) ca_file: Option<String>,
    /// The HTTP proxy on the way: `env`, `none`, or a URL. Default `env`.
    pub(crate) proxy: Option<String>,
    /// Milliseconds a connection may take to stand, TLS included. Default 10000.
    #[schemars(range(min = 1, max = 600_000))]
    pub(crate) connect_timeout_ms: Option<u64>,
    /// The HTTP version to speak. Default `auto`.
    pub(crate) http_version: Option<HttpVersion>,
    /// Connections opened before the first request. Default 1.
    #[schemars(range(min = 0, max = 64))]
    pub(crate) prewarm: Option<u64>,
    /// Idle connections kept. Default 64.
    #[schemars(range(min = 0, max = 10_000))]
    pub(crate) max_idle_connections: Option<u64>,
    /// Milliseconds an idle connection is kept. Default 55000.
    #[schemars(range(min = 1, max = 3_600_000))]
    pub(crate) idle_timeout_ms: Option<u64>,
}

/// The dialect of an upstream.
#[derive(Clone, Copy, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Anthropic,
    Zai,
    Minimax,
    Kimi,
    Deepseek,
    Openrouter,
    Ollama,
    Vllm,
    Llamacpp,
    Lmstudio,
    Custom,
    Bedrock,
    Vertex,
    Azure,
    ClaudeAws,
    ClaudeGoogle,
}

/// Where a key stands in a request.
#[derive(Clone, Copy, Deserialize, JsonSchema, PartialEq, Eq)]
pub(crate) enum KeyHeader {
    #[serde(rename = "x-api-key")]
    ApiKey,
    #[serde(rename = "bearer")]
    Bearer,
}

/// Who counts the tokens of a request.
#[derive(Clone, Copy, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CountTokens {
    Native,
    Estimate,
}

/// Which of Bedrock's interfaces is spoken to.
#[derive(Clone, Copy, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Runtime {
    Auto,
    Invoke,
    Mantle,
}

/// The HTTP version to speak to an upstream.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HttpVersion {
    Auto,
    Http1,
    Http2,
}

/// One of the relay's own credentials.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "the names are those of the file")]
pub(crate) struct Key {
    /// Its name, unique within the provider. Default `k1`, `k2`, ... by position.
    pub(crate) name: Option<String>,
    /// The credential.
    pub(crate) key: Option<String>,
    /// Requests a minute. Default: what the upstream says.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub(crate) rpm_limit: Option<u64>,
    /// Tokens a minute, input and output together. Default: what the upstream says.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub(crate) tpm_limit: Option<u64>,
    /// Input tokens a minute, cache reads not counted. Default: what the upstream says.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub(crate) itpm_limit: Option<u64>,
    /// Output tokens a minute. Default: what the upstream says.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub(crate) otpm_limit: Option<u64>,
    /// Its share among the keys. Default 1.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) weight: Option<u64>,
    /// The lower is used only when no higher one can serve. Default 0.
    #[schemars(range(min = -1000, max = 1000))]
    pub(crate) priority: Option<i64>,
}
