//! Every default, in one place.
//!
//! In: nothing. Out: the parts of a plan as they are when a file is silent. The descriptions in
//! `raw.rs`, the example and the reference repeat these numbers; a test holds the example to them.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{
    AffinityMode, AffinityPlan, AuthPlan, BreakerPlan, CloudPlan, DebugPlan, FilePlan, GrpcPlan,
    HealthCheckPlan, HealthPlan, HistoryPlan, HttpVersion, LogFormat, LogLevel, LoggingPlan,
    MetricsPlan, Plan, PoolingPlan, ProviderKind, ProviderPlan, ProxyPlan, RoutingPlan, ServerPlan,
    StrategyPlan, TracesPlan, TriggerPlan,
};

impl Plan {
    /// Returns the plan that stands for "no file": one provider, Anthropic, no keys, no
    /// authentication, loopback only. The client's own credential is passed on.
    pub fn transparent() -> Self {
        Self {
            server: ServerPlan::default(),
            providers: vec![ProviderPlan::anthropic()],
            logging: LoggingPlan::default(),
            routing: RoutingPlan::default(),
            health: HealthPlan::default(),
            metrics: MetricsPlan::default(),
            history: HistoryPlan::default(),
            traces: TracesPlan::default(),
            grpc: GrpcPlan::default(),
            price_file: None,
            budgets: Vec::new(),
            warnings: Vec::new(),
            source: None,
            digest: crate::load::digest(""),
            secret_files: Vec::new(),
        }
    }
}

impl Default for ServerPlan {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)),
            tls: None,
            enable_http2: true,
            workers: None,
            max_body_bytes: 32 << 20,
            max_passthrough_bytes: 512 << 20,
            max_concurrent: 1024,
            max_connections: 8192,
            timeout: Duration::from_mins(10),
            stream_first_byte_timeout: Duration::from_mins(2),
            stream_gap_timeout: Duration::from_mins(2),
            body_read_timeout: Duration::from_mins(1),
            drain_timeout: Duration::from_secs(30),
            auth: AuthPlan::default(),
        }
    }
}

impl Default for MetricsPlan {
    fn default() -> Self {
        Self {
            enabled: false,
            endpoint: "/metrics".to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9100)),
        }
    }
}

impl Default for HistoryPlan {
    fn default() -> Self {
        Self {
            enabled: false,
            file: None,
            max_bytes: 256 << 20,
            max_age: Duration::from_hours(90 * 24),
            requests: 100_000,
            bodies: false,
            max_body_bytes: 8 << 20,
        }
    }
}

impl Default for AuthPlan {
    fn default() -> Self {
        Self {
            client_keys: Vec::new(),
            allow_subscription: false,
            allow_bearer: true,
            allow_unauthenticated_remote: false,
        }
    }
}

impl ProviderPlan {
    /// Returns Anthropic with every default: named `anthropic`, no keys of the relay's own.
    pub fn anthropic() -> Self {
        Self {
            name: "anthropic".to_owned(),
            kind: ProviderKind::Anthropic,
            enabled: true,
            base_url: "https://api.anthropic.com".to_owned(),
            keys: Vec::new(),
            pooling: PoolingPlan::default(),
            priority: 0,
            weight: 1,
            vendor: ProviderKind::Anthropic.as_str().to_owned(),
            price_percent: None,
            models: Vec::new(),
            max_body_bytes: None,
            model_mapping: Vec::new(),
            model_prefix: None,
            key_place: None,
            version: None,
            counts_tokens: None,
            cloud: CloudPlan::None,
            accepts_client_credential: true,
            ca_file: None,
            proxy: ProxyPlan::FromEnvironment,
            connect_timeout: Duration::from_secs(10),
            http_version: HttpVersion::Auto,
            prewarm: 1,
            max_idle_connections: 64,
            idle_timeout: Duration::from_secs(55),
        }
    }
}

impl Default for PoolingPlan {
    fn default() -> Self {
        Self {
            enabled: true,
            strategy: None,
        }
    }
}

impl Default for RoutingPlan {
    fn default() -> Self {
        Self {
            strategy: StrategyPlan::Failover,
            failover_timeout: Some(Duration::from_mins(3)),
            max_attempts: 3,
            race: 1,
            retry_budget_percent: 20,
            commit_hold: Duration::from_secs(1),
            triggers: TriggerPlan::default(),
            max_wait: Duration::ZERO,
            max_waiting: 64,
            spill: false,
            strip_foreign_thinking: true,
            keep_model_alias: false,
            model_lists: true,
            debug: false,
            default_provider: None,
            model_mapping: Vec::new(),
            models: Vec::new(),
            affinity: AffinityPlan::default(),
        }
    }
}

impl Default for TriggerPlan {
    fn default() -> Self {
        Self {
            rate_limited: true,
            overloaded: true,
            server_error: true,
            timeout: true,
            connection: true,
            auth: true,
            model_not_found: true,
        }
    }
}

impl Default for AffinityPlan {
    fn default() -> Self {
        Self {
            mode: AffinityMode::Auto,
            max_sessions: 100_000,
        }
    }
}

impl Default for HealthPlan {
    fn default() -> Self {
        Self {
            check: HealthCheckPlan {
                enabled: true,
                interval: Duration::from_secs(30),
                timeout: Duration::from_secs(5),
            },
            breaker: BreakerPlan {
                failure_threshold: 5,
                failure_rate_percent: 50,
                window: Duration::from_secs(30),
                min_requests: 20,
                open_duration: Duration::from_secs(30),
                half_open_probes: 1,
            },
        }
    }
}

impl Default for LoggingPlan {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            format: LogFormat::Auto,
            file: None,
            debug_options: DebugPlan::default(),
        }
    }
}

impl Default for DebugPlan {
    fn default() -> Self {
        Self {
            log_headers: false,
            log_bodies: false,
            max_body_log_bytes: 1000,
            log_connection: false,
        }
    }
}

impl FilePlan {
    /// Returns a log file at a path, with every other setting at its default.
    pub fn at(path: std::path::PathBuf) -> Self {
        Self {
            path,
            max_bytes: 10 << 20,
            keep: 5,
        }
    }
}
