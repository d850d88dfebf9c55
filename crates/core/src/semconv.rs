//! Names of what is told of a request, in log lines and spans.
//!
//! They are those of OpenTelemetry's semantic conventions for HTTP and for generative AI (the latter
//! in development, read 2026-11-22), and `ccrelay.*` for what they have no name for.
//! `gen_ai.usage.input_tokens` includes cached tokens there; Anthropic's own count does not.

/// HTTP: the method.
pub const METHOD: &str = "http.request.method";
/// HTTP: the path without the query.
pub const PATH: &str = "url.path";
/// HTTP: the path as a pattern.
pub const ROUTE: &str = "http.route";
/// HTTP: the status.
pub const STATUS: &str = "http.response.status_code";
/// The name of what went wrong, one of few.
pub const ERROR_TYPE: &str = "error.type";
/// The host that was asked.
pub const SERVER: &str = "server.address";
/// Its port.
pub const PORT: &str = "server.port";
/// What was asked of the model.
pub const OPERATION: &str = "gen_ai.operation.name";
/// Whose interface was asked.
pub const VENDOR: &str = "gen_ai.provider.name";
/// The model that was asked for.
pub const MODEL: &str = "gen_ai.request.model";
/// The model that answered.
pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
/// Why it stopped.
pub const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// The session.
pub const CONVERSATION: &str = "gen_ai.conversation.id";
/// Tokens in, cached ones among them.
pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// Of these, read from the prompt cache.
pub const CACHE_READ_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
/// Of these, written to it.
pub const CACHE_WRITE_TOKENS: &str = "gen_ai.usage.cache_creation.input_tokens";
/// Tokens out.
pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// The request's name.
pub const REQUEST_ID: &str = "ccrelay.request.id";
/// The upstream's name for it.
pub const UPSTREAM_REQUEST_ID: &str = "ccrelay.upstream.request_id";
/// How it ended.
pub const OUTCOME: &str = "ccrelay.outcome";
/// Name of the endpoint.
pub const ENDPOINT: &str = "ccrelay.endpoint";
/// Name of the client key.
pub const CLIENT: &str = "ccrelay.client";
/// Name of the provider.
pub const PROVIDER: &str = "ccrelay.provider";
/// Name of the key.
pub const KEY: &str = "ccrelay.key.name";
/// Its digest.
pub const KEY_ID: &str = "ccrelay.key.id";
/// What became of the session's binding.
pub const AFFINITY: &str = "ccrelay.affinity";
/// The agent within a session.
pub const AGENT: &str = "ccrelay.agent.id";
/// The project, as far as the client tells it.
pub const PROJECT: &str = "ccrelay.project";
/// Whether a stream was asked for.
pub const STREAM: &str = "ccrelay.stream";
/// What it cost, in dollars.
pub const COST: &str = "ccrelay.cost_usd";
/// The place of an attempt among those of its request, from 1.
pub const ATTEMPT: &str = "ccrelay.attempt";
/// How many there were.
pub const ATTEMPTS: &str = "ccrelay.attempts";
/// Seconds until the first event.
pub const FIRST_EVENT: &str = "ccrelay.ttfe_s";
