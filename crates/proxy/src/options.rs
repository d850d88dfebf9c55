//! What a server is started with, and keeps to its end.

use std::sync::Arc;

use relay_core::board::Board;

/// How to listen, and what to begin with.
#[derive(Debug)]
pub struct ServerOptions {
    /// The socket, bound and listening.
    pub listener: std::net::TcpListener,
    /// Worker threads.
    pub workers: usize,
    /// What the relay remembers.
    pub board: Arc<Board>,
    /// The version that `/health` tells.
    pub version: &'static str,
}
