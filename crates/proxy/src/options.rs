//! What a server is started with.

use std::sync::Arc;

use relay_core::board::Board;

use crate::background::Background;
use crate::exhibit::ExhibitOptions;
use crate::probe::Probing;

/// How to listen, and what to begin with.
#[derive(Debug)]
pub struct ServerOptions {
    /// The socket, bound and listening.
    pub listener: std::net::TcpListener,
    /// TLS for clients, if any.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Whether HTTP/2 is spoken: by ALPN over TLS, by prior knowledge without.
    pub enable_http2: bool,
    /// Worker threads.
    pub workers: usize,
    /// Most client connections at once; one more is closed at once.
    pub max_connections: usize,
    /// What the relay remembers.
    pub board: Arc<Board>,
    /// How upstreams in trouble are asked, if they are.
    pub probing: Option<Probing>,
    /// What goes on beside the requests.
    pub background: Background,
    /// What the log keeps beyond the record.
    pub exhibit: ExhibitOptions,
    /// The version that `/health` tells.
    pub version: &'static str,
}
