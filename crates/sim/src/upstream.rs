//! Accepts connections and keeps the sim's shared state. In: a listener; out: one task a
//! connection, each served by its protocol. Must never leave a task behind after `stop` or `kill`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::{Mutex, RwLock};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::account::Accounts;
use crate::answer::Connection;
use crate::dialect::Dialect;
use crate::keys::Keys;
use crate::record::{Book, Recorded};
use crate::script::{Prepared, Script};
use crate::wire::{Control, Wire};
use crate::{http1, http2};

/// A closure that may answer a request before anything else does.
pub(crate) type Router = Box<dyn Fn(&Recorded) -> Option<Script> + Send + Sync>;

/// What all connections share.
pub(crate) struct State {
    pub(crate) book: Arc<Book>,
    pub(crate) queue: Mutex<VecDeque<Arc<Prepared>>>,
    pub(crate) default: Mutex<Arc<Prepared>>,
    pub(crate) routers: RwLock<Vec<Router>>,
    pub(crate) require_credential: bool,
    pub(crate) keys: Keys,
    pub(crate) dialect: Option<Arc<Dialect>>,
    pub(crate) accounts: Accounts,
    pub(crate) organization: Arc<str>,
    pub(crate) workspace: Arc<str>,
    pub(crate) models: Vec<String>,
    pub(crate) http2: bool,
    pub(crate) max_concurrent_streams: Option<u32>,
    /// No new request; what runs may end.
    pub(crate) drain: CancellationToken,
    /// Everything stops now.
    pub(crate) kill: CancellationToken,
    pub(crate) tasks: TaskTracker,
    pub(crate) connections: AtomicU64,
}

impl State {
    pub(crate) fn routed(&self, request: &Recorded) -> Option<Script> {
        self.routers
            .read()
            .iter()
            .find_map(|router| router(request))
    }

    /// Takes the next script if it wants to answer before the body has been read.
    pub(crate) fn early_script(&self) -> Option<Arc<Prepared>> {
        let mut queue = self.queue.lock();
        match queue.front() {
            Some(next) if next.script.before_body => queue.pop_front(),
            Some(_) => None,
            None => Some(Arc::clone(&self.default.lock())).filter(|next| next.script.before_body),
        }
    }

    pub(crate) fn queued_script(&self) -> Option<Arc<Prepared>> {
        self.queue.lock().pop_front()
    }

    pub(crate) fn default_script(&self) -> Arc<Prepared> {
        Arc::clone(&self.default.lock())
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Accepts until drained or killed.
pub(crate) async fn accept(state: Arc<State>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = state.drain.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        // A failed accept (a client that left in the queue, no descriptors left) is not the end;
        // the pause keeps a lasting cause from spinning.
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (held, tls) = (Arc::clone(&state), tls.clone());
        state
            .tasks
            .spawn(async move { connect(held, stream, tls).await });
    }
}

/// Keeps the count of open connections true however the task ends.
struct Open(Arc<State>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.book.change(|stats| {
            stats.connections_open = stats.connections_open.saturating_sub(1);
        });
    }
}

async fn connect(state: Arc<State>, stream: TcpStream, tls: Option<TlsAcceptor>) {
    state.book.change(|stats| {
        stats.connections_opened = stats.connections_opened.saturating_add(1);
        stats.connections_open = stats.connections_open.saturating_add(1);
    });
    let _open = Open(Arc::clone(&state));
    // Without it a small event waits for the acknowledgement of the one before.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let control = Arc::new(Control::default());
    let id = state
        .connections
        .fetch_add(1, Ordering::Relaxed)
        .saturating_add(1);
    let kill = state.kill.clone();
    let mut connection = Connection {
        sim: Arc::clone(&state),
        control: Arc::clone(&control),
        id,
        tls: tls.is_some(),
        alpn: None,
    };
    let work = async {
        if let Some(wire) = secure(stream, tls, &mut connection).await {
            serve(wire, connection).await;
        }
    };
    tokio::pin!(work);
    tokio::select! {
        biased;
        // The socket lives in `work` and is dropped with it, after this.
        () = kill.cancelled() => control.reset_on_drop(),
        () = &mut work => {}
    }
}

/// What an HTTP/2 client says first (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

async fn serve(mut wire: Wire, connection: Connection) {
    let is_http2 = match &connection.alpn {
        Some(name) => name == "h2",
        None => match reads_preface(&mut wire, &connection).await {
            Some(preface) => preface,
            None => return,
        },
    };
    if !is_http2 {
        http1::serve(&mut wire, &connection).await;
    } else if connection.sim.http2 {
        http2::serve(wire, connection).await;
    }
}

/// Returns whether the client opens with HTTP/2's preface, or `None` if it is gone.
async fn reads_preface(wire: &mut Wire, connection: &Connection) -> Option<bool> {
    let mut seen = BytesMut::new();
    while seen.len() < HTTP2_PREFACE.len() && HTTP2_PREFACE.starts_with(&seen) {
        let read = tokio::select! {
            biased;
            read = wire.read_buf(&mut seen) => read,
            () = connection.sim.drain.cancelled() => return None,
        };
        if !matches!(read, Ok(1..)) {
            return None;
        }
    }
    let preface = seen.starts_with(HTTP2_PREFACE);
    wire.unread(seen);
    Some(preface)
}

async fn secure(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    connection: &mut Connection,
) -> Option<Wire> {
    let control = Arc::clone(&connection.control);
    let Some(acceptor) = tls else {
        return Some(Wire::plain(stream, control));
    };
    let stream = acceptor.accept(stream).await.ok()?;
    let alpn = stream.get_ref().1.alpn_protocol();
    connection.alpn = alpn.map(|name| String::from_utf8_lossy(name).into_owned());
    Some(Wire::tls(stream, control))
}
