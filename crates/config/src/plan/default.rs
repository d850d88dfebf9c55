//! Every default, in one place.
//!
//! In: nothing. Out: the parts of a plan as they are when a file is silent. The descriptions in
//! `raw.rs`, the example and the reference repeat these numbers; a test holds the example to them.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{
    ANTHROPIC_BASE_URL, AuthPlan, DebugPlan, FilePlan, HttpVersion, LogFormat, LogLevel,
    LoggingPlan, Plan, ProviderKind, ProviderPlan, ProxyPlan, RoutingPlan, ServerPlan,
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
            warnings: Vec::new(),
            source: None,
            digest: crate::load::digest(""),
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
            base_url: ANTHROPIC_BASE_URL.to_owned(),
            keys: Vec::new(),
            model_mapping: Vec::new(),
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
