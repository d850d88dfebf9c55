//! The plan of routing, pooling and health.
//!
//! In: nothing; `check/routing.rs` fills it. Out: plain values. Names of providers in it are names
//! of providers of the same plan; patterns hold at most one `*`, which stands for any characters.

use std::time::Duration;

/// How a request finds its upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct RoutingPlan {
    /// How the upstreams are ordered for a request. Default failover.
    pub strategy: StrategyPlan,
    /// How long after its arrival a request may still begin with a further upstream; an attempt
    /// under way is not cut by it. `None`: without bound. Default 180 s.
    pub failover_timeout: Option<Duration>,
    /// Upstreams asked for one request at most, 1 to 10. Default 3.
    pub max_attempts: u32,
    /// Upstreams asked at once, 1 to 4, at most `max_attempts`. Default 1.
    pub race: u32,
    /// Further attempts that fail as well, in percent of all requests. Default 20.
    pub retry_budget_percent: u32,
    /// How long after `message_start` a stream is held back while another upstream remains. Zero:
    /// until the first content. Default 1 s.
    pub commit_hold: Duration,
    /// What makes a request go on to another upstream.
    pub triggers: TriggerPlan,
    /// How long a request may wait for capacity. Zero: it does not. Default zero.
    pub max_wait: Duration,
    /// Requests that may wait at a time. Default 64.
    pub max_waiting: usize,
    /// Whether a client's own credential, refused, may fall back on the relay's keys. Default
    /// false.
    pub spill: bool,
    /// Whether thinking of another vendor's model is taken out. Default true.
    pub strip_foreign_thinking: bool,
    /// Whether answers name the model as the client asked for it. Default false.
    pub keep_model_alias: bool,
    /// Whether upstreams are asked for their lists of models, in the background. Default true.
    pub model_lists: bool,
    /// Whether responses carry `X-CC-Relay-*` headers. Default false.
    pub debug: bool,
    /// The provider of models that no rule names, and of paths that are not routed.
    pub default_provider: Option<String>,
    /// Model names and patterns with the name that takes their place, applied before a provider's
    /// own. The first that matches counts: names come before patterns, long patterns before short.
    pub model_mapping: Vec<(String, String)>,
    /// Which models go to which providers, in the same order. Not empty under the strategy
    /// `model`; unread under any other.
    pub models: Vec<ModelRule>,
    /// Whether sessions stay where their prompt cache is.
    pub affinity: AffinityPlan,
}

/// How the upstreams are ordered for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrategyPlan {
    /// By priority, then in the order of the file.
    Failover,
    /// In turn.
    RoundRobin,
    /// In turn, by weight.
    WeightedRoundRobin,
    /// As a dealt deck: each once before any again.
    Shuffle,
    /// The one with the least in flight first.
    LeastLoaded,
    /// By rules of models.
    Model,
    /// The cheapest first.
    Cost,
    /// The fastest first.
    Latency,
}

impl StrategyPlan {
    /// Returns the name used in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::RoundRobin => "round_robin",
            Self::WeightedRoundRobin => "weighted_round_robin",
            Self::Shuffle => "shuffle",
            Self::LeastLoaded => "least_loaded",
            Self::Model => "model",
            Self::Cost => "cost",
            Self::Latency => "latency",
        }
    }
}

/// What makes a request go on to another upstream. All on by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the file, and any set of them is sound"
)]
pub struct TriggerPlan {
    /// A 429.
    pub rate_limited: bool,
    /// A 529.
    pub overloaded: bool,
    /// Any other 5xx, or an error as the first event of a stream.
    pub server_error: bool,
    /// No first byte in time.
    pub timeout: bool,
    /// No connection, or one that broke before the first content.
    pub connection: bool,
    /// A 401, 402 or 403 for a key of the relay's own.
    pub auth: bool,
    /// A 404 for the model.
    pub model_not_found: bool,
}

/// Which models go to which providers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRule {
    /// A model name, or a pattern with one `*`.
    pub pattern: String,
    /// Names of providers, the first first. Not empty.
    pub providers: Vec<String>,
}

/// Whether sessions stay where their prompt cache is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AffinityPlan {
    /// Whether they do. Default auto.
    pub mode: AffinityMode,
    /// Sessions remembered. Default 100000.
    pub max_sessions: usize,
}

/// Whether sessions stay where their prompt cache is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AffinityMode {
    /// Where there is more than one place to be.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl AffinityMode {
    /// Returns the word used in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::On => "true",
            Self::Off => "false",
        }
    }
}

/// How a provider's keys are used together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolingPlan {
    /// Whether all keys are used; otherwise the first alone. Default true.
    pub enabled: bool,
    /// How a key is chosen. `None`: affinity places each session, by weight. Default `None`.
    pub strategy: Option<SelectionPlan>,
}

/// How a key is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectionPlan {
    /// The one with the most capacity left.
    LeastLoaded,
    /// In turn, by weight.
    Weighted,
    /// In turn.
    RoundRobin,
    /// By chance, by weight.
    Random,
}

impl SelectionPlan {
    /// Returns the name used in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LeastLoaded => "least_loaded",
            Self::Weighted => "weighted",
            Self::RoundRobin => "round_robin",
            Self::Random => "random",
        }
    }
}

/// How upstreams are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthPlan {
    /// Free checks of whether an upstream answers.
    pub check: HealthCheckPlan,
    /// When an upstream that fails is left alone.
    pub breaker: BreakerPlan,
}

/// Free checks of whether an upstream answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthCheckPlan {
    /// Whether there are any. Default true.
    pub enabled: bool,
    /// The time between two checks of an upstream. At least 1 s. Default 30 s.
    pub interval: Duration,
    /// The time a check may take, at most `interval`. Default 5 s.
    pub timeout: Duration,
}

/// When an upstream that fails is left alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPlan {
    /// Failures in a row that open it, at least 1. Default 5.
    pub failure_threshold: u32,
    /// Failures in percent of the requests within `window` that open it, 1 to 100. Default 50.
    pub failure_rate_percent: u32,
    /// The time over which the percentage is taken, at least 1 s. Default 30 s.
    pub window: Duration,
    /// Requests within `window` below which the percentage says nothing, at least 1. Default 20.
    pub min_requests: u32,
    /// How long it stays open before a request may try again. Default 30 s.
    pub open_duration: Duration,
    /// Good requests in a row that close it again, one at a time, at least 1. Default 1.
    pub half_open_probes: u32,
}
