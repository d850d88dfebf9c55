//! Traces of requests, and who gets them.

use std::fmt;

use relay_core::secret::Secret;

/// Traces of requests, and who gets them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracesPlan {
    /// Whether requests are traced. Default false.
    pub enabled: bool,
    /// The collector: `http` or `https`, a host, maybe a path; no slash at the end. Default
    /// `http://127.0.0.1:4317`.
    pub endpoint: String,
    /// How it is spoken to. Default gRPC.
    pub protocol: TraceProtocol,
    /// How many in a hundred traces that begin here are sent, 0 to 100. Default 100.
    pub sample_percent: u8,
    /// Headers for the collector.
    pub headers: Vec<TraceHeader>,
    /// The name under which the relay is shown. Default `cc-relay`.
    pub service_name: String,
}

impl Default for TracesPlan {
    fn default() -> Self {
        Self {
            enabled: false,
            endpoint: TraceProtocol::Grpc.endpoint().to_owned(),
            protocol: TraceProtocol::Grpc,
            sample_percent: 100,
            headers: Vec::new(),
            service_name: "cc-relay".to_owned(),
        }
    }
}

/// How a collector is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceProtocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP, as protobuf.
    Http,
}

impl TraceProtocol {
    /// Returns the name used in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }

    /// Returns where a collector listens unless told otherwise
    /// (<https://opentelemetry.io/docs/specs/otlp/>, read 2026-11-22).
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::Grpc => "http://127.0.0.1:4317",
            Self::Http => "http://127.0.0.1:4318",
        }
    }
}

/// A header for the collector.
#[derive(Clone)]
pub struct TraceHeader {
    /// Its name, in lower case.
    pub name: String,
    /// Its value.
    pub value: Secret,
}

impl PartialEq for TraceHeader {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.value.digest().matches(&other.value.digest())
    }
}

impl Eq for TraceHeader {}

impl fmt::Debug for TraceHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceHeader")
            .field("name", &self.name)
            .field("value", &self.value.id())
            .finish()
    }
}
