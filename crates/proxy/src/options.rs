//! What a server is started with, and keeps to its end.

use std::sync::Arc;

use relay_core::board::Board;
use relay_core::trace::Sampling;

/// How to listen, and what to begin with.
#[derive(Debug)]
pub struct ServerOptions {
    /// The socket, bound and listening.
    pub listener: std::net::TcpListener,
    /// Worker threads.
    pub workers: usize,
    /// What the relay remembers.
    pub board: Arc<Board>,
    /// How requests are traced; `None` for not at all.
    pub sampling: Option<Sampling>,
    /// The version that `/health` tells.
    pub version: &'static str,
}
