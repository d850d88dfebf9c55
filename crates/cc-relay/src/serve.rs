//! Starts a relay from a plan, in this process.
//!
//! In: a checked plan and a sink for records. Out: a running [`Server`]. `serve` and `demo` both
//! start theirs here.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;

use relay_config::Plan;
use relay_proxy::{RecordSink, Server, ServerOptions, server_config};

use crate::assemble::{Assembled, assemble};
use crate::exit::Exit;
use crate::failure::Failure;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Pending connections that the kernel keeps while all are busy.
const BACKLOG: i32 = 1024;

/// Starts a relay.
///
/// # Errors
/// A [`Failure`] that says what to do: the port is taken, a certificate cannot be read, or the
/// address is open to others while nobody has to authenticate.
pub fn start(plan: &Plan, sink: Arc<dyn RecordSink>) -> Result<Server, Failure> {
    refuse_open_door(plan)?;
    let listener = listen(plan.server.listen)?;
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
    let Assembled {
        board,
        probing,
        snapshot,
        connectors,
        background,
        exhibit,
    } = assemble(plan)
        .map_err(|error| Failure::new(Exit::ConfigInvalid, "assemble", format!("{error:#}")))?;
    let options = ServerOptions {
        listener,
        tls,
        enable_http2: plan.server.enable_http2,
        workers: plan.server.workers.map_or_else(cores, NonZeroUsize::get),
        max_connections: plan.server.max_connections,
        board,
        probing,
        background,
        exhibit,
        version: VERSION,
    };
    Server::start(options, snapshot, &connectors, sink)
        .map_err(|error| Failure::new(Exit::Failed, "start", format!("cannot start: {error}")))
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
