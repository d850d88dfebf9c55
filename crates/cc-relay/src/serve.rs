//! Starts a relay from a plan, in this process, and gives it other plans while it runs.
//!
//! In: a checked plan and a sink for records. Out: a running [`Server`]. `serve` and `demo` both
//! start theirs here. A plan that cannot be put in force must leave the one before untouched.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use relay_config::{HistoryPlan, Overrides, Plan};
use relay_core::board::Board;
use relay_core::trace::Sampling;
use relay_proxy::{Background, RecordSink, Server, ServerOptions, server_config};

use crate::assemble::{Assembled, Memory, assemble};
use crate::exit::Exit;
use crate::failure::Failure;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Pending connections that the kernel keeps while all are busy.
const BACKLOG: i32 = 1024;

/// A relay whose plan can be replaced by another while it runs.
#[expect(missing_debug_implementations, reason = "its memory holds secrets")]
pub struct Live {
    server: Server,
    memory: Memory,
    /// What the file says.
    file_plan: Plan,
    /// What was changed over it while the relay runs.
    overrides: Overrides,
    /// Both together: what is in force.
    plan: Plan,
}

impl Live {
    /// Starts a relay.
    ///
    /// # Errors
    /// A [`Failure`] that says what to do: the port is taken, a certificate cannot be read, or the
    /// address is open to others while nobody has to authenticate.
    pub fn start(plan: Plan, sink: Arc<dyn RecordSink>) -> Result<Self, Failure> {
        let board = board(&plan)?;
        Self::with(plan, board, sink)
    }

    /// Starts a relay that remembers in `board`.
    ///
    /// # Errors
    /// As [`Live::start`].
    pub fn with(plan: Plan, board: Arc<Board>, sink: Arc<dyn RecordSink>) -> Result<Self, Failure> {
        refuse_open_door(&plan)?;
        let listener = listen(plan.server.listen)?;
        let (background, works) = Background::new();
        let mut memory = Memory::new(Arc::clone(&board), background);
        let settings = prepare(&plan, &memory)?.commit(&mut memory);
        let options = ServerOptions {
            listener,
            workers: plan.server.workers.map_or_else(cores, NonZeroUsize::get),
            board,
            sampling: plan.traces.enabled.then_some(Sampling {
                percent: plan.traces.sample_percent,
            }),
            version: VERSION,
        };
        let server = Server::start(options, settings, works, sink).map_err(|error| {
            Failure::new(Exit::Failed, "start", format!("cannot start: {error}"))
        })?;
        Ok(Self {
            server,
            memory,
            file_plan: plan.clone(),
            overrides: Overrides::default(),
            plan,
        })
    }

    /// Puts another plan of the file in force, with what was changed over the one before, whole or not
    /// at all. Requests under way end as they began; windows, breakers, bindings and open connections
    /// go on. Returns what of it takes a restart.
    ///
    /// # Errors
    /// As [`Live::start`]; the plan before then stays in force.
    pub fn apply(&mut self, file_plan: Plan) -> Result<Vec<&'static str>, Failure> {
        let pending = self.put(self.overrides.lay_over(file_plan.clone()))?;
        self.file_plan = file_plan;
        Ok(pending)
    }

    /// Puts other changes over the file's plan in force, as [`Self::apply`] does another plan.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn change(&mut self, overrides: Overrides) -> Result<(), Failure> {
        self.put(overrides.lay_over(self.file_plan.clone()))?;
        self.overrides = overrides;
        Ok(())
    }

    fn put(&mut self, plan: Plan) -> Result<Vec<&'static str>, Failure> {
        refuse_open_door(&plan)?;
        let assembled = prepare(&plan, &self.memory)?;
        if plan.server.listen != self.plan.server.listen {
            let listener = listen(plan.server.listen)?;
            self.server.listen(listener).map_err(|error| {
                let message = format!("cannot listen on {}: {error}", plan.server.listen);
                Failure::new(Exit::Failed, "listen", message)
            })?;
        }
        self.server.set(assembled.commit(&mut self.memory));
        let mut pending = Vec::new();
        if plan.metrics != self.plan.metrics {
            pending.push("metrics");
        }
        if !same_file(&plan.history, &self.plan.history) {
            pending.push("history");
        }
        if plan.traces != self.plan.traces {
            pending.push("traces");
        }
        if plan.grpc != self.plan.grpc {
            pending.push("grpc");
        }
        if plan.server.workers != self.plan.server.workers {
            pending.push("server.workers");
        }
        self.plan = plan;
        Ok(pending)
    }

    /// Goes on with some work beside the requests, until the relay stops.
    pub fn beside(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.memory.background().add(work);
    }

    /// Returns what runs.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Returns the plan in force.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns the file's plan, and what was changed over it.
    pub fn origin(&self) -> (&Plan, &Overrides) {
        (&self.file_plan, &self.overrides)
    }

    /// As [`Server::stop`].
    pub fn stop(self, drain: Duration) -> usize {
        self.server.stop(drain)
    }
}

/// Assembles what a plan asks for, and changes nothing.
fn prepare(plan: &Plan, memory: &Memory) -> Result<Assembled, Failure> {
    let tls = match &plan.server.tls {
        None => None,
        Some(tls) => {
            let config = server_config(&tls.cert_file, &tls.key_file, plan.server.enable_http2);
            Some(config.map_err(|error| {
                Failure::new(Exit::ConfigInvalid, "tls", error.to_string())
                    .help("server.tls needs a PEM certificate chain and its private key")
            })?)
        }
    };
    assemble(plan, tls, memory).map_err(|error| unusable(&error))
}

/// Returns what a relay remembers with, empty.
///
/// # Errors
/// If the built-in prices cannot be read, which a test rules out.
pub fn board(plan: &Plan) -> Result<Arc<Board>, Failure> {
    let affinity = &plan.routing.affinity;
    let board = Board::new(affinity.max_sessions, plan.routing.max_waiting);
    board.map(Arc::new).map_err(|error| unusable(&error.into()))
}

fn unusable(error: &anyhow::Error) -> Failure {
    Failure::new(Exit::ConfigInvalid, "assemble", format!("{error:#}"))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// `--listen` can open what the file's check found closed.
fn refuse_open_door(plan: &Plan) -> Result<(), Failure> {
    let server = &plan.server;
    let open = !server.listen.ip().is_loopback()
        && server.auth.client_keys.is_empty()
        && !server.auth.allow_unauthenticated_remote;
    if !open {
        return Ok(());
    }
    let message = format!(
        "{} is open to other machines, and no client has to authenticate",
        server.listen
    );
    Err(
        Failure::new(Exit::ConfigInvalid, "open_door", message).help(
            "set server.auth.api_key, or listen on 127.0.0.1; \
         server.auth.allow_unauthenticated_remote: true overrules this",
        ),
    )
}

/// Tells whether one history goes on as the other: what is kept of bodies changes while it runs.
fn same_file(one: &HistoryPlan, two: &HistoryPlan) -> bool {
    let without = |plan: &HistoryPlan| HistoryPlan {
        bodies: false,
        max_body_bytes: 0,
        ..plan.clone()
    };
    without(one) == without(two)
}

fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let bind = || {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(TcpListener::from(socket))
    };
    bind().map_err(|error: std::io::Error| {
        let taken = error.kind() == std::io::ErrorKind::AddrInUse;
        let message = if taken {
            format!("{address} is in use")
        } else {
            format!("cannot listen on {address}: {error}")
        };
        let exit = if taken { Exit::TryLater } else { Exit::Failed };
        Failure::new(exit, "listen", message)
            .help("cc-relay status tells whether a relay is there; or serve --listen 127.0.0.1:0")
    })
}
