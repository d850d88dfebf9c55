//! The raw form: the keys a file may hold, their kinds and bounds, and no meaning yet.
//!
//! In: nothing; `walk.rs` reads these types through their JSON Schema, so a key, a bound or a
//! choice stands here once. Out: the schema and the values as written. Every key is optional
//! here: defaults live in `plan.rs`, and `check.rs` says which keys are needed. Doc comments
//! become the descriptions that an editor shows. Keys of later versions are rows of
//! `not_built.rs`, not fields here.

mod budget;
mod grpc;
mod provider;
mod routing;

use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) use budget::{Budget, Per, Period};
pub(crate) use grpc::{Grpc, GrpcTls, GrpcToken, Role};
pub(crate) use provider::{CountTokens, HttpVersion, Key, KeyHeader, Kind, Provider, Runtime};
pub(crate) use routing::{
    Affinity, CircuitBreaker, FailOverOn, Health, ModelRule, Pooling, Routing, Selection, Strategy,
    Wish,
};

/// A configuration of cc-relay.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Raw {
    /// The listener, its bounds and its clients.
    pub(crate) server: Server,
    /// The upstreams. Without this key: Anthropic, with the client's own credential.
    pub(crate) providers: Option<Vec<Provider>>,
    /// How a request finds its upstream.
    pub(crate) routing: Routing,
    /// How upstreams are watched.
    pub(crate) health: Health,
    /// What is logged, and where.
    pub(crate) logging: Logging,
    /// What is counted for Prometheus, and where it is read.
    pub(crate) metrics: Metrics,
    /// What is kept of requests and their cost, and how much of it.
    pub(crate) history: History,
    /// Traces of requests, and who gets them.
    pub(crate) traces: Traces,
    /// The management API, and who may use it.
    pub(crate) grpc: Grpc,
    /// What tokens cost.
    pub(crate) prices: PriceList,
    /// What may be spent in a period, by whom.
    pub(crate) budgets: Vec<Budget>,
}

/// The listener, its bounds and its clients.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Server {
    /// Address and port to listen on. Port 0 takes a free one. Default `127.0.0.1:8787`.
    pub(crate) listen: Option<String>,
    /// The same as `auth.api_key`; kept for older files.
    pub(crate) api_key: Option<String>,
    /// A certificate, to serve HTTPS.
    pub(crate) tls: Option<Tls>,
    /// Whether clients may speak HTTP/2. Default true.
    pub(crate) enable_http2: Option<bool>,
    /// Worker threads. Default: one a core.
    #[schemars(range(min = 1, max = 1024))]
    pub(crate) workers: Option<u64>,
    /// The largest body of a routed request, in bytes. Default 33554432 (32 MiB).
    #[schemars(range(min = 1024, max = 1_073_741_824))]
    pub(crate) max_body_bytes: Option<u64>,
    /// The largest body that is passed through unread, in bytes. Default 536870912 (512 MiB).
    #[schemars(range(min = 1024, max = 17_179_869_184_u64))]
    pub(crate) max_passthrough_bytes: Option<u64>,
    /// Requests in flight at a time; more are answered 529. Default 1024.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_concurrent: Option<u64>,
    /// Client connections at a time. Default 8192.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_connections: Option<u64>,
    /// Milliseconds a request without streaming may wait for its first byte. Default 600000.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub(crate) timeout_ms: Option<u64>,
    /// Milliseconds a stream may wait for its first byte. Default 120000.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub(crate) stream_first_byte_timeout_ms: Option<u64>,
    /// Milliseconds a stream may stay silent between bytes. Default 120000.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub(crate) stream_gap_timeout_ms: Option<u64>,
    /// Milliseconds of silence allowed within a request's body. Default 60000.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub(crate) body_read_timeout_ms: Option<u64>,
    /// Milliseconds running requests may take to finish on shutdown. Default 30000.
    #[schemars(range(min = 0, max = 86_400_000))]
    pub(crate) drain_timeout_ms: Option<u64>,
    /// Who may use the relay.
    pub(crate) auth: Auth,
}

/// A certificate and its key.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tls {
    /// The certificate chain, a PEM file.
    pub(crate) cert_file: Option<String>,
    /// The private key, a PEM file.
    pub(crate) key_file: Option<String>,
}

/// Who may use the relay.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Auth {
    /// The one credential of all clients, in `x-api-key` or `Authorization: Bearer`.
    pub(crate) api_key: Option<String>,
    /// A credential taken in `Authorization: Bearer` alone.
    pub(crate) bearer_secret: Option<String>,
    /// Whether `Authorization: Bearer` is read. Default true.
    pub(crate) allow_bearer: Option<bool>,
    /// Whether a client may come with its own Claude subscription token. Default false.
    pub(crate) allow_subscription: Option<bool>,
    /// Credentials with names, one a client.
    pub(crate) keys: Vec<NamedKey>,
    /// Whether to listen beyond this machine without any credential. Default false.
    pub(crate) allow_unauthenticated_remote: Option<bool>,
}

/// A client's credential.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NamedKey {
    /// The name it is logged under, unique among them.
    pub(crate) name: Option<String>,
    /// The credential.
    pub(crate) key: Option<String>,
}

/// What is logged, and where.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Logging {
    /// The least important level still written. Default `info`.
    pub(crate) level: Option<Level>,
    /// The shape of a line. Default `auto`: pretty on a terminal, else JSON.
    pub(crate) format: Option<LogFormat>,
    /// True is `format: pretty`, false is `format: json`; kept for older files.
    pub(crate) pretty: Option<bool>,
    /// A file written besides standard error.
    pub(crate) file: Option<LogFile>,
    /// What is added at level `debug`.
    pub(crate) debug_options: DebugOptions,
}

/// What is counted for Prometheus, and where it is read.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Metrics {
    /// Whether it is. Default false.
    pub(crate) enabled: Option<bool>,
    /// The path of the page. Default `/metrics`.
    pub(crate) prometheus_endpoint: Option<String>,
    /// Address and port to listen on. Default `127.0.0.1:9100`.
    pub(crate) prometheus_listen: Option<String>,
}

/// What is kept of requests and their cost, and how much of it.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct History {
    /// Whether anything is. Default false, and true where there are budgets or `bodies`.
    pub(crate) enabled: Option<bool>,
    /// The file. Default: `relay.db` in the folder of the program's state.
    pub(crate) file: Option<String>,
    /// Bytes that it may take. Default 268435456 (256 MiB).
    #[schemars(range(min = 1_048_576, max = 1_099_511_627_776_u64))]
    pub(crate) max_bytes: Option<u64>,
    /// Days that anything is kept. Default 90.
    #[schemars(range(min = 1, max = 3650))]
    pub(crate) max_days: Option<u64>,
    /// Single requests that are kept. Default 100000.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub(crate) requests: Option<u64>,
    /// Whether what was asked and answered is kept too, credentials masked. Default false.
    pub(crate) bodies: Option<bool>,
    /// Bytes that are kept of each body at most. Default 8388608 (8 MiB).
    #[schemars(range(min = 1024, max = 33_554_432))]
    pub(crate) max_body_bytes: Option<u64>,
}

/// Traces of requests, and who gets them.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Traces {
    /// Whether requests are traced. Default false: a client's `traceparent` passes as it came.
    pub(crate) enabled: Option<bool>,
    /// The collector. Default `http://127.0.0.1:4317`, with `protocol: http` port 4318.
    pub(crate) endpoint: Option<String>,
    /// How it is spoken to. Default `grpc`.
    pub(crate) protocol: Option<TraceProtocol>,
    /// How many in a hundred traces that begin here are sent. Default 100.
    #[schemars(range(min = 0, max = 100))]
    pub(crate) sample_percent: Option<u64>,
    /// Headers for the collector, such as its credential.
    pub(crate) headers: Vec<TraceHeader>,
    /// The name under which the relay is shown. Default `cc-relay`.
    pub(crate) service_name: Option<String>,
}

/// How a collector is spoken to.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TraceProtocol {
    Grpc,
    Http,
}

/// A header for the collector.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TraceHeader {
    /// Its name.
    pub(crate) name: Option<String>,
    /// Its value, a secret.
    pub(crate) value: Option<String>,
}

/// What tokens cost.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PriceList {
    /// A file whose prices come before those of the program: JSON, as `cc-relay prices --json` says.
    pub(crate) list: Option<String>,
}

/// How important a line must be.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The shape of a log line.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    Auto,
    Pretty,
    Json,
}

/// A log file that is turned over by size.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogFile {
    /// Where it is.
    pub(crate) path: Option<String>,
    /// The size in bytes at which it is turned over. Default 10485760 (10 MiB).
    #[schemars(range(min = 1024, max = 1_099_511_627_776_u64))]
    pub(crate) max_bytes: Option<u64>,
    /// How many old files are kept. Default 5.
    #[schemars(range(min = 0, max = 1000))]
    pub(crate) keep: Option<u64>,
}

/// What is added at level `debug`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DebugOptions {
    /// Header names and values, credentials masked. Default false.
    pub(crate) log_headers: Option<bool>,
    /// The start of each body. Default false.
    pub(crate) log_bodies: Option<bool>,
    /// How much of a body, in bytes. Default 1000.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub(crate) max_body_log_bytes: Option<u64>,
    /// TLS version, cipher, handshake time and reuse of connections. Default false.
    pub(crate) log_connection: Option<bool>,
}
