//! A running relay: its threads, what they share, and what can be changed about it.
//!
//! In: a listening socket and settings, and others later. Out: a [`Server`] that serves until it is
//! stopped.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use relay_core::board::Board;
use relay_core::moment::Moment;
use relay_core::snapshot::TargetId;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::accept::{Listen, Seat};
use crate::background::Works;
use crate::buffer::Buffers;
use crate::clock::{self, Clock, RequestIds};
use crate::finish::{Counters, RecordSink, Shared};
use crate::options::ServerOptions;
use crate::run::{Outlet, Run};
use crate::settings::{Reloads, Settings, View};
use crate::underway::{Glance, Underway};
use crate::worker::Worker;

/// A running relay.
#[expect(missing_debug_implementations, reason = "a snapshot holds secrets")]
pub struct Server {
    address: Mutex<SocketAddr>,
    settings: Arc<ArcSwap<Settings>>,
    changed: watch::Sender<()>,
    moves: mpsc::UnboundedSender<std::net::TcpListener>,
    shared: Arc<Shared>,
    draining: Arc<AtomicBool>,
    stop: CancellationToken,
    hurry: CancellationToken,
    abort: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

/// What the workers have in common.
struct Crew {
    settings: Arc<ArcSwap<Settings>>,
    changed: watch::Receiver<()>,
    shared: Arc<Shared>,
    ids: Arc<RequestIds>,
    draining: Arc<AtomicBool>,
    started: Instant,
    version: &'static str,
    stop: CancellationToken,
    abort: CancellationToken,
}

impl Crew {
    /// Makes one worker: what it runs, its seat for the listener, and where its clients arrive.
    fn hire(&self, probes: bool) -> (Run, Seat, Outlet) {
        let tasks = TaskTracker::new();
        let view = View::new(self.settings.load_full(), &tasks);
        let worker = Worker {
            shared: Arc::clone(&self.shared),
            settings: Arc::clone(&self.settings),
            view: Mutex::new(Arc::new(view)),
            tasks,
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
            probes,
            changed: self.changed.clone(),
            stop: self.stop.clone(),
            abort: self.abort.clone(),
        };
        (run, Seat { inlet, connections }, outlet)
    }
}

impl Server {
    /// Starts the worker threads and begins to accept.
    ///
    /// # Errors
    /// If a thread or runtime cannot be made, or the listener cannot be used.
    pub fn start(
        options: ServerOptions,
        settings: Settings,
        works: Works,
        sink: Arc<dyn RecordSink>,
    ) -> std::io::Result<Self> {
        let address = options.listener.local_addr()?;
        options.listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            clock: Clock::default(),
            board: options.board,
            counters: Counters::default(),
            reloads: Reloads::default(),
            underway: Underway::default(),
            sink,
            sampling: options.sampling,
        });
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let (changed, watching) = watch::channel(());
        let (moves, sockets) = mpsc::unbounded_channel();
        let crew = Crew {
            settings: Arc::new(ArcSwap::from_pointee(settings)),
            changed: watching,
            shared: Arc::clone(&shared),
            ids: Arc::new(RequestIds::new()),
            draining: Arc::new(AtomicBool::new(false)),
            started: clock::now(),
            version: options.version,
            stop: stop.clone(),
            abort: abort.clone(),
        };
        let mut threads = Vec::new();
        let mut seats = Vec::new();
        for index in 0..options.workers.max(1) {
            let (run, seat, outlet) = crew.hire(index == 0);
            seats.push(seat);
            threads.push(thread(&format!("worker-{index}"), move || {
                run.work(outlet)
            })?);
        }
        let listen = Listen {
            seats,
            shared: Arc::clone(&shared),
            settings: Arc::clone(&crew.settings),
            moves: sockets,
            stop: stop.clone(),
        };
        threads.push(thread("background", {
            let abort = abort.clone();
            move || works.run(abort)
        })?);
        threads.push(thread("accept", move || listen.accept(options.listener))?);
        Ok(Self {
            address: Mutex::new(address),
            settings: crew.settings,
            changed,
            moves,
            shared,
            draining: crew.draining,
            stop,
            hurry: CancellationToken::new(),
            abort,
            threads,
        })
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        *self.address.lock()
    }

    /// Returns the settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Puts other settings in force. Requests under way end with those that they began with.
    pub fn set(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
        self.changed.send_replace(());
    }

    /// Listens on another socket from now on. Connections that are open stay so.
    ///
    /// # Errors
    /// If the socket cannot be used.
    pub fn listen(&self, listener: std::net::TcpListener) -> std::io::Result<()> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        *self.address.lock() = address;
        // The listener's thread ends only when the relay stops.
        drop(self.moves.send(listener));
        Ok(())
    }

    /// Returns what sees the state of the relay from elsewhere, also after it has stopped.
    pub fn witness(&self) -> Witness {
        Witness {
            settings: Arc::clone(&self.settings),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Returns what became of the changes to the settings.
    pub fn reloads(&self) -> &Reloads {
        &self.shared.reloads
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

/// Sees the state of a relay. Cheap to clone.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "a snapshot holds secrets")]
pub struct Witness {
    settings: Arc<ArcSwap<Settings>>,
    shared: Arc<Shared>,
}

impl Witness {
    /// Returns the settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Returns the present, as stations count it.
    pub fn now(&self) -> Moment {
        self.shared.clock.now()
    }

    /// Returns what the relay remembers.
    pub fn board(&self) -> &Arc<Board> {
        &self.shared.board
    }

    /// Returns what has happened since the start.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Returns what became of the changes to the settings.
    pub fn reloads(&self) -> &Reloads {
        &self.shared.reloads
    }

    /// Looks at the requests under way, the oldest first.
    pub fn underway(&self) -> Vec<Glance> {
        self.shared.underway.glances()
    }

    /// Counts the requests under way by the target where each is.
    pub fn in_flight(&self) -> HashMap<TargetId, usize> {
        self.shared.underway.by_target()
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
