//! The raw form of `routing`, `health` and `pooling`.
//!
//! In: nothing. Out: the schema and the values as written, as in `raw.rs`, which see. Names of
//! older files stand beside the present ones as choices of the same list.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// How a request finds its upstream.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Routing {
    /// How the upstreams are ordered for a request. Default `failover`.
    pub(crate) strategy: Option<Strategy>,
    /// Milliseconds since its arrival within which a request may begin with a further upstream.
    /// 0: no bound. Default 180000.
    #[schemars(range(min = 0, max = 86_400_000))]
    pub(crate) failover_timeout_ms: Option<u64>,
    /// The same, in milliseconds or with a unit, such as `5s`; kept for older files.
    #[schemars(extend("type" = ["integer", "string"], "minimum" = 0, "maximum" = 86_400_000))]
    pub(crate) failover_timeout: Option<u64>,
    /// Upstreams asked for one request at most. Default 3.
    #[schemars(range(min = 1, max = 10))]
    pub(crate) max_attempts: Option<u64>,
    /// Upstreams asked at once; the first to answer is taken, and every one is paid for.
    /// Default 1.
    #[schemars(range(min = 1, max = 4))]
    pub(crate) race: Option<u64>,
    /// Further attempts that fail as well, in percent of all requests. Default 20.
    #[schemars(range(min = 0, max = 100))]
    pub(crate) retry_budget_percent: Option<u64>,
    /// Milliseconds after `message_start` that a stream is held back while another upstream
    /// remains. 0: until the first content. Default 1000.
    #[schemars(range(min = 0, max = 60_000))]
    pub(crate) commit_hold_ms: Option<u64>,
    /// What makes a request go on to another upstream.
    pub(crate) fail_over_on: FailOverOn,
    /// Milliseconds a request may wait for capacity instead of a 429. Default 0: it does not.
    #[schemars(range(min = 0, max = 600_000))]
    pub(crate) max_wait_ms: Option<u64>,
    /// Requests that may wait for capacity at a time. Default 64.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_waiting: Option<u64>,
    /// Whether a request refused with the client's own credential may use the relay's keys.
    /// Default false.
    pub(crate) spill: Option<bool>,
    /// Whether thinking of another vendor's model is taken out on the way to a new vendor.
    /// Default true.
    pub(crate) strip_foreign_thinking: Option<bool>,
    /// Whether answers name the model as the client asked for it. Default false.
    pub(crate) keep_model_alias: Option<bool>,
    /// Whether upstreams are asked for their lists of models, in the background. Default true.
    pub(crate) model_lists: Option<bool>,
    /// Whether responses carry `X-CC-Relay-*` headers about the choice. Default false.
    pub(crate) debug: Option<bool>,
    /// The provider of models that no rule names, and of paths that are not routed.
    pub(crate) default_provider: Option<String>,
    /// Model names, or patterns with one `*`, and the name that takes their place; applied before
    /// a provider's own.
    pub(crate) model_mapping: BTreeMap<String, String>,
    /// Which models go to which providers, for the strategy `model`.
    pub(crate) models: Vec<ModelRule>,
    /// Whether sessions stay where their prompt cache is.
    pub(crate) affinity: Affinity,
}

/// How the upstreams are ordered for a request.
#[derive(Clone, Copy, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Strategy {
    Failover,
    RoundRobin,
    WeightedRoundRobin,
    Shuffle,
    LeastLoaded,
    Model,
    Cost,
    Latency,
    WeightedFailover,
    Weighted,
    SimpleShuffle,
    LeastBusy,
    ModelBased,
    CostBased,
    LatencyBased,
}

/// What makes a request go on to another upstream.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FailOverOn {
    /// A 429. Default true.
    pub(crate) rate_limited: Option<bool>,
    /// A 529. Default true.
    pub(crate) overloaded: Option<bool>,
    /// Any other 5xx, or an error as the first event of a stream. Default true.
    pub(crate) server_error: Option<bool>,
    /// No first byte in time. Default true.
    pub(crate) timeout: Option<bool>,
    /// No connection, or one that broke before the first content. Default true.
    pub(crate) connection: Option<bool>,
    /// A 401, 402 or 403 for a key of the relay's own. Default true.
    pub(crate) auth: Option<bool>,
    /// A 404 for the model. Default true.
    pub(crate) model_not_found: Option<bool>,
}

/// Which models go to which providers.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ModelRule {
    /// A model name, or a pattern with one `*`.
    #[serde(rename = "match")]
    pub(crate) pattern: Option<String>,
    /// Names of providers, the first first.
    pub(crate) providers: Vec<String>,
}

/// Whether sessions stay where their prompt cache is.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Affinity {
    /// Whether they do; `auto`: where there is more than one place. Default `auto`.
    pub(crate) enabled: Option<Wish>,
    /// Sessions remembered; beyond it the longest unused is forgotten. Default 100000.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(crate) max_sessions: Option<u64>,
}

/// True, false, or what fits.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("type" = ["string", "boolean"], "enum" = ["auto", true, false]))]
pub(crate) enum Wish {
    Auto,
    True,
    False,
}

/// How upstreams are watched.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Health {
    /// Free checks of whether an upstream answers.
    pub(crate) health_check: HealthCheck,
    /// When an upstream that fails is left alone, and for how long.
    pub(crate) circuit_breaker: CircuitBreaker,
}

/// Free checks of whether an upstream answers.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HealthCheck {
    /// Whether there are any. Default true.
    pub(crate) enabled: Option<bool>,
    /// Milliseconds between two checks of an upstream. Default 30000.
    #[schemars(range(min = 1000, max = 86_400_000))]
    pub(crate) interval_ms: Option<u64>,
    /// Milliseconds a check may take, at most `interval_ms`. Default 5000.
    #[schemars(range(min = 1, max = 600_000))]
    pub(crate) timeout_ms: Option<u64>,
}

/// When an upstream that fails is left alone, and for how long.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CircuitBreaker {
    /// Failures in a row that open it. Default 5.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) failure_threshold: Option<u64>,
    /// Failures in percent of the requests within the window that open it. Default 50.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) failure_rate_percent: Option<u64>,
    /// Milliseconds over which the percentage is taken. Default 30000.
    #[schemars(range(min = 1000, max = 3_600_000))]
    pub(crate) window_ms: Option<u64>,
    /// Requests within the window below which the percentage says nothing. Default 20.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) min_requests: Option<u64>,
    /// Milliseconds it stays open before a request may try again. Default 30000.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub(crate) open_duration_ms: Option<u64>,
    /// Good requests in a row that close it again, one at a time. Default 1.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) half_open_probes: Option<u64>,
}

/// How a provider's keys are used together.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Pooling {
    /// Whether all keys are used; false: the first alone. Default true.
    pub(crate) enabled: Option<bool>,
    /// How a key is chosen. Default: affinity places each session, by weight.
    pub(crate) strategy: Option<Selection>,
}

/// How a key is chosen.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Selection {
    LeastLoaded,
    Weighted,
    RoundRobin,
    Random,
}
