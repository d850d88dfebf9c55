//! A worker's own loop: one thread with a single-threaded runtime.
//!
//! In: the connections that its clients make. A connection, the requests on it and the upstream
//! connections that serve them live and die on one thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::models::refresh;
use crate::probe::probe;
use crate::serve::serve_connection;
use crate::worker::Worker;

/// Where a worker's clients arrive.
pub(crate) type Outlet = mpsc::UnboundedReceiver<std::net::TcpStream>;

/// What a worker runs.
pub(crate) struct Run {
    pub(crate) worker: Arc<Worker>,
    pub(crate) connections: Arc<AtomicUsize>,
    /// Whether it asks upstreams in trouble, and for their models; one asks for all.
    pub(crate) probes: bool,
    /// Tells that the settings are others.
    pub(crate) changed: watch::Receiver<()>,
    pub(crate) stop: CancellationToken,
    pub(crate) abort: CancellationToken,
}

/// How often idle upstream connections are looked through.
const SWEEP: Duration = Duration::from_secs(10);

impl Run {
    pub(crate) async fn work(mut self, mut outlet: Outlet) {
        let tasks = TaskTracker::new();
        for pool in &self.worker.view().pools {
            tasks.spawn(Arc::clone(pool).prewarm());
        }
        let mut sweep = interval(SWEEP);
        let (worker, changed) = (Arc::clone(&self.worker), self.changed.clone());
        let probes = self.probes;
        let mut probe = std::pin::pin!(async move {
            if probes {
                let lists = refresh(Arc::clone(&worker), changed.clone());
                tokio::join!(probe(worker, changed), lists);
            }
            std::future::pending::<()>().await;
        });
        loop {
            tokio::select! {
                () = self.abort.cancelled() => return,
                () = probe.as_mut() => {}
                // Looking is enough: what is new is opened, what is gone is let go.
                Ok(()) = self.changed.changed() => drop(self.worker.view()),
                _ = sweep.tick() => {
                    for pool in &self.worker.view().pools {
                        pool.sweep(clock::now());
                    }
                    self.worker.buffers.release();
                }
                arrived = outlet.recv() => match arrived {
                    Some(stream) => self.serve(stream, &tasks),
                    // The listener is gone: what runs may finish.
                    None => break,
                },
            }
        }
        tasks.close();
        tokio::select! {
            () = self.abort.cancelled() => {}
            () = tasks.wait() => {}
        }
    }

    fn serve(&self, stream: std::net::TcpStream, tasks: &TaskTracker) {
        let counted = Counted {
            worker: Arc::clone(&self.worker),
            connections: Arc::clone(&self.connections),
        };
        let (stop, inner) = (self.stop.clone(), tasks.clone());
        tasks.spawn(async move {
            serve_connection(Arc::clone(&counted.worker), stream, stop, inner).await;
            drop(counted);
        });
    }
}

/// Counts a connection until it is gone, however it goes.
struct Counted {
    worker: Arc<Worker>,
    connections: Arc<AtomicUsize>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
        self.worker
            .shared
            .counters
            .connections
            .fetch_sub(1, Ordering::Relaxed);
    }
}
