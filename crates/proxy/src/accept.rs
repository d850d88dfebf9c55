//! Listens, and gives each connection to the worker with the fewest.
//!
//! In: a listening socket and the settings. Out: a running [`Server`]. Each worker is one thread
//! with a single-threaded runtime: a connection, the requests on it and the upstream connections
//! that serve them live and die on one thread. `SO_REUSEPORT` would spread connections by hash;
//! counting them spreads them evenly, which is what keeps the tail short on few cores.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use relay_core::snapshot::Snapshot;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::buffer::Buffers;
use crate::clock::{self, Clock, RequestIds};
use crate::connect::Connector;
use crate::finish::{Counters, RecordSink, Shared};
use crate::options::ServerOptions;
use crate::pool::Pool;
use crate::probe::{Probing, probe};
use crate::serve::{ConnectionOptions, serve_connection};
use crate::worker::Worker;

/// A running relay.
#[expect(missing_debug_implementations, reason = "a snapshot holds secrets")]
pub struct Server {
    address: SocketAddr,
    settings: Arc<ArcSwap<Snapshot>>,
    shared: Arc<Shared>,
    draining: Arc<AtomicBool>,
    stop: CancellationToken,
    hurry: CancellationToken,
    abort: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

/// What the workers have in common.
struct Crew {
    settings: Arc<ArcSwap<Snapshot>>,
    shared: Arc<Shared>,
    ids: Arc<RequestIds>,
    draining: Arc<AtomicBool>,
    started: Instant,
    version: &'static str,
    connection: ConnectionOptions,
    abort: CancellationToken,
}

impl Crew {
    /// Makes one worker: what it runs, its seat for the listener, and where its clients arrive.
    fn hire(&self, connectors: &[Arc<Connector>]) -> (Run, Seat, Outlet) {
        let tasks = TaskTracker::new();
        let pool = |connector: &Arc<Connector>| Pool::new(Arc::clone(connector), tasks.clone());
        let worker = Worker {
            shared: Arc::clone(&self.shared),
            settings: Arc::clone(&self.settings),
            pools: connectors.iter().map(pool).collect(),
            buffers: Buffers::default(),
            ids: Arc::clone(&self.ids),
            draining: Arc::clone(&self.draining),
            started: self.started,
            version: self.version,
        };
        let (inlet, outlet) = mpsc::unbounded_channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let run = Run {
            worker: Arc::new(worker),
            connections: Arc::clone(&connections),
            options: self.connection.clone(),
            probing: None,
            abort: self.abort.clone(),
        };
        (run, Seat { inlet, connections }, outlet)
    }
}

type Outlet = mpsc::UnboundedReceiver<std::net::TcpStream>;
type Inlet = mpsc::UnboundedSender<std::net::TcpStream>;

/// One worker as the listener sees it.
struct Seat {
    inlet: Inlet,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Starts the worker threads and begins to accept.
    ///
    /// `connectors` has one entry for each target of the snapshot, in the same order.
    ///
    /// # Errors
    /// If a thread or runtime cannot be made, or the listener cannot be used.
    pub fn start(
        options: ServerOptions,
        snapshot: Snapshot,
        connectors: &[Arc<Connector>],
        sink: Arc<dyn RecordSink>,
    ) -> std::io::Result<Self> {
        let address = options.listener.local_addr()?;
        options.listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            clock: Clock::default(),
            board: options.board,
            counters: Counters::default(),
            sink,
            exhibit: options.exhibit,
        });
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let crew = Crew {
            settings: Arc::new(ArcSwap::from_pointee(snapshot)),
            shared: Arc::clone(&shared),
            ids: Arc::new(RequestIds::new()),
            draining: Arc::new(AtomicBool::new(false)),
            started: clock::now(),
            version: options.version,
            connection: ConnectionOptions {
                tls: options.tls.clone(),
                enable_http2: options.enable_http2,
                stop: stop.clone(),
            },
            abort: abort.clone(),
        };
        let mut threads = Vec::new();
        let mut seats = Vec::new();
        for index in 0..options.workers.max(1) {
            let (mut run, seat, outlet) = crew.hire(connectors);
            // One asks for all.
            run.probing = options.probing.filter(|_| index == 0);
            seats.push(seat);
            threads.push(thread(&format!("worker-{index}"), move || {
                run.work(outlet)
            })?);
        }
        let draining = crew.draining;
        let listen = Listen {
            seats,
            shared: Arc::clone(&shared),
            max_connections: options.max_connections,
            stop: stop.clone(),
        };
        if !options.background.is_empty() {
            threads.push(thread("background", {
                let (background, abort) = (options.background, abort.clone());
                move || background.run(abort)
            })?);
        }
        threads.push(thread("accept", move || listen.accept(options.listener))?);
        Ok(Self {
            address,
            settings: crew.settings,
            shared,
            draining,
            stop,
            hurry: CancellationToken::new(),
            abort,
            threads,
        })
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the settings in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.settings.load_full()
    }

    /// Returns what has happened since the start.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Returns what ends a drain early.
    pub fn hurry(&self) -> Hurry {
        Hurry(self.hurry.clone())
    }

    /// Stops: accepts no more, lets running requests finish for as long as `drain` says, then ends
    /// the rest. Returns the number of requests that were cut off.
    pub fn stop(mut self, drain: Duration) -> usize {
        self.draining.store(true, Ordering::Relaxed);
        self.stop.cancel();
        let deadline = clock::now().checked_add(drain);
        while self.shared.counters.connections.load(Ordering::Relaxed) > 0
            && deadline.is_some_and(|deadline| clock::now() < deadline)
            && !self.hurry.is_cancelled()
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        let cut_off = self.shared.counters.live.load(Ordering::Relaxed);
        self.abort.cancel();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                warn!("a worker thread panicked");
            }
        }
        cut_off
    }
}

/// Ends a drain early.
#[derive(Debug, Clone)]
pub struct Hurry(CancellationToken);

impl Hurry {
    /// Ends what still runs, now.
    pub fn now(&self) {
        self.0.cancel();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        self.abort.cancel();
    }
}

/// Works on a thread of its own, with a runtime of its own.
fn thread<W: Future<Output = ()>>(
    name: &str,
    work: impl FnOnce() -> W + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(move || runtime.block_on(work()))
}

/// The listener's own loop.
struct Listen {
    seats: Vec<Seat>,
    shared: Arc<Shared>,
    max_connections: usize,
    stop: CancellationToken,
}

impl Listen {
    async fn accept(self, listener: std::net::TcpListener) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return warn!(%error, "cannot listen"),
        };
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
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
        if open >= self.max_connections {
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

/// A worker's own loop.
struct Run {
    worker: Arc<Worker>,
    connections: Arc<AtomicUsize>,
    options: ConnectionOptions,
    probing: Option<Probing>,
    abort: CancellationToken,
}

/// How often idle upstream connections are looked through.
const SWEEP: Duration = Duration::from_secs(10);

impl Run {
    async fn work(self, mut outlet: Outlet) {
        let tasks = TaskTracker::new();
        for pool in &self.worker.pools {
            tasks.spawn(Arc::clone(pool).prewarm());
        }
        let mut sweep = interval(SWEEP);
        let mut probe = std::pin::pin!(async {
            match self.probing {
                Some(probing) => probe(Arc::clone(&self.worker), probing).await,
                None => std::future::pending().await,
            }
        });
        loop {
            tokio::select! {
                () = self.abort.cancelled() => return,
                () = probe.as_mut() => {}
                _ = sweep.tick() => {
                    for pool in &self.worker.pools {
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
        let (options, inner) = (self.options.clone(), tasks.clone());
        tasks.spawn(async move {
            serve_connection(Arc::clone(&counted.worker), stream, options, inner).await;
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
