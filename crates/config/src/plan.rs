//! The plan: what the relay is to be assembled from, typed and already checked.
//!
//! In: nothing; `check.rs` builds a [`Plan`] from the raw form, or [`Plan::transparent`] makes the
//! one that stands for "no file". Out: plain values for whoever assembles the relay. It must never
//! hold a value that was not checked, nor show a credential: a [`Secret`] prints as its id.

mod default;
mod grpc;
mod provider;
mod routing;
mod runtime;
mod traces;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use relay_core::secret::Secret;
use relay_core::spend::Budget;

pub use grpc::{GrpcListen, GrpcPlan, GrpcRole, GrpcTls, GrpcToken};
pub use provider::{
    AccessKey, Application, AwsPlan, AzurePlan, CloudPlan, GooglePlan, KeyPlace, ProviderKind,
    ProviderPlan, RuntimePlan, VersionPlan,
};
pub use routing::{
    AffinityMode, AffinityPlan, BreakerPlan, HealthCheckPlan, HealthPlan, ModelRule, PoolingPlan,
    RoutingPlan, SelectionPlan, StrategyPlan, TriggerPlan,
};
pub use runtime::Variant;
pub use traces::{TraceHeader, TraceProtocol, TracesPlan};

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How the relay listens, whom it admits and what it bounds.
    pub server: ServerPlan,
    /// The upstreams, in the order of the file. At least one is enabled.
    pub providers: Vec<ProviderPlan>,
    /// What is logged, and where.
    pub logging: LoggingPlan,
    /// How a request finds its upstream.
    pub routing: RoutingPlan,
    /// How upstreams are watched.
    pub health: HealthPlan,
    /// What is counted for Prometheus.
    pub metrics: MetricsPlan,
    /// What is kept of requests and their cost.
    pub history: HistoryPlan,
    /// Traces of requests, and who gets them.
    pub traces: TracesPlan,
    /// The management API, and who may use it.
    pub grpc: GrpcPlan,
    /// A list of prices that come before those of the program.
    pub price_file: Option<PathBuf>,
    /// What may be spent in a period, by whom.
    pub budgets: Vec<Budget>,
    /// What is allowed but unwise, each with its fix.
    pub warnings: Vec<Warning>,
    /// The file this came from, or `None` without one.
    pub source: Option<PathBuf>,
    /// The first six hex digits of the SHA-256 of the text: the name of this configuration.
    pub digest: String,
    /// The files that `${file:...}` named.
    pub secret_files: Vec<PathBuf>,
}

impl Plan {
    /// Returns every file that this plan was made of, or that its relay reads when it starts.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        let mut files: BTreeSet<PathBuf> = self.secret_files.iter().cloned().collect();
        files.extend(self.source.clone());
        files.extend(self.price_file.clone());
        if let Some(tls) = &self.server.tls {
            files.extend([tls.cert_file.clone(), tls.key_file.clone()]);
        }
        files.extend(self.providers.iter().filter_map(|it| it.ca_file.clone()));
        files
    }
}

/// The listener and its bounds.
#[derive(Clone, Debug)]
pub struct ServerPlan {
    /// The address to listen on. Default `127.0.0.1:8787`.
    pub listen: SocketAddr,
    /// The certificate to serve, or `None` for plain text.
    pub tls: Option<TlsPlan>,
    /// Whether clients may speak HTTP/2. Default true.
    pub enable_http2: bool,
    /// Worker threads, or `None` for one a core.
    pub workers: Option<NonZeroUsize>,
    /// The largest body of a routed request. Default 32 MiB.
    pub max_body_bytes: usize,
    /// The largest body of a request passed through unread. Default 512 MiB.
    pub max_passthrough_bytes: u64,
    /// Requests in flight at a time. Default 1024.
    pub max_concurrent: usize,
    /// Client connections at a time. Default 8192.
    pub max_connections: usize,
    /// How long a request without streaming may wait for its first byte. Default 600 s.
    pub timeout: Duration,
    /// How long a stream may wait for its first byte. Default 120 s.
    pub stream_first_byte_timeout: Duration,
    /// How long a stream may stay silent between bytes. Default 120 s.
    pub stream_gap_timeout: Duration,
    /// How long a client may be silent within its body. Default 60 s.
    pub body_read_timeout: Duration,
    /// How long running requests may take to finish on shutdown. Default 30 s.
    pub drain_timeout: Duration,
    /// Who may use the relay.
    pub auth: AuthPlan,
}

/// A certificate and its key, both PEM files that were there when the file was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPlan {
    /// The certificate chain.
    pub cert_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}

/// Who may use the relay.
#[derive(Clone, Debug)]
pub struct AuthPlan {
    /// The credentials that clients may present. Empty: no authentication.
    pub client_keys: Vec<ClientKey>,
    /// Whether a client may come with its own Claude subscription token instead. Default false.
    pub allow_subscription: bool,
    /// Whether `Authorization: Bearer` is read at all. Default true.
    pub allow_bearer: bool,
    /// Whether listening beyond this machine without authentication was asked for. Default false.
    pub allow_unauthenticated_remote: bool,
}

/// A credential that a client may present.
#[derive(Clone)]
pub struct ClientKey {
    /// The name under which it is counted and logged.
    pub name: String,
    /// The credential.
    pub secret: Secret,
    /// Where it may stand in the request.
    pub header: CredentialHeader,
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey")
            .field("name", &self.name)
            .field("secret", &self.secret.id())
            .field("header", &self.header)
            .finish()
    }
}

/// The header in which a client's credential is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialHeader {
    /// Either of the two.
    Any,
    /// `x-api-key` alone.
    ApiKey,
    /// `Authorization: Bearer` alone.
    Bearer,
}

/// One of the relay's own credentials for an upstream.
#[derive(Clone)]
pub struct KeyPlan {
    /// Its name, unique within the provider: as written, or `k1`, `k2`, ... by position.
    pub name: String,
    /// The credential.
    pub secret: Secret,
    /// What it may use; all that are set hold at once.
    pub limits: LimitsPlan,
    /// Its share among the keys, 1 to 1000. Default 1.
    pub weight: u32,
    /// A lower one is used only when no higher one can serve. -1000 to 1000. Default 0.
    pub priority: i32,
}

/// What a key may use within any minute. `None`: only what the upstream itself says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitsPlan {
    /// Requests.
    pub rpm: Option<u64>,
    /// Tokens, input and output together.
    pub tpm: Option<u64>,
    /// Input tokens; cache reads do not count.
    pub itpm: Option<u64>,
    /// Output tokens.
    pub otpm: Option<u64>,
}

impl fmt::Debug for KeyPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPlan")
            .field("name", &self.name)
            .field("secret", &self.secret.id())
            .field("limits", &self.limits)
            .field("weight", &self.weight)
            .field("priority", &self.priority)
            .finish()
    }
}

/// The HTTP proxy on the way to an upstream.
#[derive(Clone, PartialEq, Eq)]
pub enum ProxyPlan {
    /// `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` decide.
    FromEnvironment,
    /// None, whatever the environment says.
    None,
    /// This one. The URL may hold a password, so it is printed by its host alone.
    Url(String),
}

impl ProxyPlan {
    /// Returns the setting as the file would write it, with user and password masked.
    pub fn shown(&self) -> String {
        match self {
            Self::FromEnvironment => "env".to_owned(),
            Self::None => "none".to_owned(),
            Self::Url(url) => match (url.split_once("://"), url.rsplit_once('@')) {
                (Some((scheme, _)), Some((_, host))) => format!("{scheme}://****@{host}"),
                _ => url.clone(),
            },
        }
    }
}

impl fmt::Debug for ProxyPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

/// The HTTP version to speak to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// What TLS negotiates; HTTP/1.1 without TLS.
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only; with prior knowledge where there is no TLS.
    Http2,
}

/// What is counted for Prometheus, and where it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsPlan {
    /// Whether it is. Default false.
    pub enabled: bool,
    /// The path of the page. Default `/metrics`.
    pub endpoint: String,
    /// The address to listen on. Default `127.0.0.1:9100`.
    pub listen: SocketAddr,
}

/// What is kept of requests and their cost, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPlan {
    /// Whether anything is. Default false, and true where there are budgets or bodies are kept.
    pub enabled: bool,
    /// The file; `None` for the usual place.
    pub file: Option<PathBuf>,
    /// Bytes that it may take. Default 256 MiB.
    pub max_bytes: u64,
    /// How long anything is kept. Default 90 days.
    pub max_age: Duration,
    /// Single requests that are kept. Default 100,000.
    pub requests: u64,
    /// Whether what was asked and answered is kept too. Default false.
    pub bodies: bool,
    /// Bytes that are kept of each body at most. Default 8 MiB.
    pub max_body_bytes: usize,
}

/// What is logged, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggingPlan {
    /// The least important level still written. Default info.
    pub level: LogLevel,
    /// The shape of a line.
    pub format: LogFormat,
    /// A file written besides standard error.
    pub file: Option<FilePlan>,
    /// What is added to each request's line.
    pub debug_options: DebugPlan,
}

/// How important a line must be to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Someone must act.
    Error,
    /// Unexpected, handled.
    Warn,
    /// One line a request.
    Info,
    /// Decisions.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// From the most important to the least.
    pub const ALL: [Self; 5] = [
        Self::Error,
        Self::Warn,
        Self::Info,
        Self::Debug,
        Self::Trace,
    ];

    /// Returns the name used in the file and by `tracing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
}

impl LogFormat {
    /// Returns the name used in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pretty => "pretty",
            Self::Json => "json",
            Self::Auto => "auto",
        }
    }
}

/// A log file that is turned over by size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePlan {
    /// Where it is.
    pub path: PathBuf,
    /// The size at which it is turned over. Default 10 MiB.
    pub max_bytes: u64,
    /// How many old files are kept. Default 5.
    pub keep: usize,
}

/// What is added to each request's line. All off by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugPlan {
    /// Header names and values, credentials masked.
    pub log_headers: bool,
    /// The start of each body.
    pub log_bodies: bool,
    /// How much of a body. Default 1000.
    pub max_body_log_bytes: usize,
    /// TLS version, cipher, handshake time, reuse.
    pub log_connection: bool,
}

/// Something allowed but unwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}
