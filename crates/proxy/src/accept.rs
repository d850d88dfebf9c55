//! Listens, and gives each connection to the worker with the fewest.
//!
//! In: a listening socket, and another one at any time. Out: connections, each on its worker's
//! seat. `SO_REUSEPORT` would spread connections by hash; counting them spreads them evenly, which
//! is what keeps the tail short on few cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::finish::Shared;
use crate::settings::Settings;

/// Where the listener puts connections.
pub(crate) type Inlet = mpsc::UnboundedSender<std::net::TcpStream>;

/// One worker as the listener sees it.
pub(crate) struct Seat {
    pub(crate) inlet: Inlet,
    pub(crate) connections: Arc<AtomicUsize>,
}

/// The listener's own loop.
pub(crate) struct Listen {
    pub(crate) seats: Vec<Seat>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) settings: Arc<ArcSwap<Settings>>,
    /// Sockets to listen on from then on.
    pub(crate) moves: mpsc::UnboundedReceiver<std::net::TcpListener>,
    pub(crate) stop: CancellationToken,
}

impl Listen {
    pub(crate) async fn accept(mut self, listener: std::net::TcpListener) {
        let mut listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return warn!(%error, "cannot listen"),
        };
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                Some(other) = self.moves.recv() => {
                    match TcpListener::from_std(other) {
                        Ok(other) => listener = other,
                        Err(error) => warn!(%error, "cannot listen there"),
                    }
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => self.seat(stream),
                Err(error) => {
                    // Out of file descriptors, say: it passes, and spinning would not help.
                    warn!(%error, "cannot accept a connection");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn seat(&self, stream: tokio::net::TcpStream) {
        let open = self.shared.counters.connections.load(Ordering::Relaxed);
        if open >= self.settings.load().max_connections {
            warn!(
                open,
                "connection refused: `server.max_connections` are open"
            );
            return;
        }
        let Some(seat) = self
            .seats
            .iter()
            .min_by_key(|seat| seat.connections.load(Ordering::Relaxed))
        else {
            return;
        };
        let Ok(stream) = stream.into_std() else {
            return;
        };
        seat.connections.fetch_add(1, Ordering::Relaxed);
        self.shared
            .counters
            .connections
            .fetch_add(1, Ordering::Relaxed);
        if seat.inlet.send(stream).is_err() {
            warn!("a worker is gone");
        }
    }
}
