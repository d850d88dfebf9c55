//! An open connection, and the right to use it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use relay_core::record::ConnectionFacts;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{interval, timeout};
use tracing::debug;

use super::Pool;
use crate::body::RequestBody;
use crate::clock;
use crate::connect::Opened;

/// Streams on one HTTP/2 connection, where the upstream allows more: one broken connection breaks
/// all of its streams.
const STREAMS_PER_CONNECTION: usize = 100;

/// Unread bytes of one HTTP/2 stream: what a client that reads slowly may hold here.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;

/// Unread bytes of one HTTP/2 connection: all its streams at once, so that none starves another.
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// How often a new HTTP/2 connection is looked at until the upstream's settings have come.
const SETTLE_LOOK: Duration = Duration::from_millis(1);

/// A connection that carries one exchange at a time.
#[derive(Debug)]
pub(super) struct Http1 {
    pub(super) sender: http1::SendRequest<RequestBody>,
    pub(super) task: AbortHandle,
    pub(super) idle_since: Instant,
    pub(super) facts: ConnectionFacts,
}

/// A connection that carries many.
#[derive(Debug)]
pub(super) struct Http2 {
    pub(super) sender: http2::SendRequest<RequestBody>,
    pub(super) streams: AtomicUsize,
    /// Streams that the upstream allows at once, as its settings last said.
    pub(super) allowed: Arc<AtomicUsize>,
    pub(super) used: AtomicBool,
    pub(super) facts: ConnectionFacts,
}

impl Http2 {
    /// Returns how many more streams it may carry now.
    pub(super) fn room(&self) -> usize {
        let allowed = self
            .allowed
            .load(Ordering::Relaxed)
            .min(STREAMS_PER_CONNECTION);
        allowed.saturating_sub(self.streams.load(Ordering::Relaxed))
    }
}

/// The right to use a connection for one exchange. Dropped before [`Lease::finish`], it closes the
/// upstream's stream at once: nobody pays for what nobody reads.
#[derive(Debug)]
pub(crate) struct Lease(Option<Leased>);

#[derive(Debug)]
enum Leased {
    Http1(Http1, Arc<Pool>),
    /// The stream itself is reset when its body is dropped.
    Http2(Arc<Http2>),
}

impl Lease {
    /// Takes a connection for one exchange.
    pub(super) fn of_connection(connection: Http1, pool: &Arc<Pool>) -> Self {
        Self(Some(Leased::Http1(connection, Arc::clone(pool))))
    }

    /// Takes a stream of a shared connection, before anybody else can count on it.
    pub(super) fn of_stream(shared: &Arc<Http2>) -> Self {
        shared.streams.fetch_add(1, Ordering::Relaxed);
        Self(Some(Leased::Http2(Arc::clone(shared))))
    }

    /// Gives the connection back: the answer was read to its end.
    pub(crate) fn finish(mut self) {
        match self.0.take() {
            Some(Leased::Http1(mut connection, pool)) => {
                connection.idle_since = clock::now();
                pool.give_back(connection);
            }
            // Its place is given back as it is where an answer broke off.
            stream => self.0 = stream,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        match self.0.take() {
            Some(Leased::Http1(connection, _)) => connection.task.abort(),
            Some(Leased::Http2(shared)) => {
                shared.streams.fetch_sub(1, Ordering::Relaxed);
            }
            None => {}
        }
    }
}

/// A connection that was taken out of the pool.
pub(super) enum Checkout {
    Http1(Http1),
    Http2(Arc<Http2>, Lease),
}

impl Pool {
    pub(super) async fn start_http1(&self, opened: Opened) -> hyper::Result<Http1> {
        let (sender, connection) = http1::Builder::new().handshake(opened.io).await?;
        let task = self.tasks.spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "upstream connection ended");
            }
        });
        let task = task.abort_handle();
        Ok(Http1 {
            sender,
            task,
            idle_since: clock::now(),
            facts: opened.facts,
        })
    }

    pub(super) async fn start_http2(&self, opened: Opened) -> hyper::Result<Arc<Http2>> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_max_send_streams(0)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20));
        let (sender, mut connection) = builder.handshake(opened.io).await?;
        let allowed = Arc::new(AtomicUsize::new(0));
        let told = Arc::clone(&allowed);
        let (tell_settled, settled) = oneshot::channel::<()>();
        let mut tell_settled = Some(tell_settled);
        let mut look = interval(SETTLE_LOOK);
        self.tasks.spawn(async move {
            let ended = poll_fn(|cx| {
                let ended = Pin::new(&mut connection).poll(cx);
                // The upstream's settings wake nobody here, so they are looked for until they come.
                // Later changes are seen with the next request.
                while tell_settled.is_some() && look.poll_tick(cx).is_ready() {
                    if connection.current_max_send_streams() > 0 {
                        tell_settled = None;
                    }
                }
                told.store(connection.current_max_send_streams(), Ordering::Relaxed);
                ended
            });
            if let Err(error) = ended.await {
                debug!(%error, "upstream connection ended");
            }
        });
        // How many streams are allowed is known with the upstream's first frame. Requests given to
        // the connection before would queue up on it, whatever it allows.
        drop(timeout(self.connector.options().connect_timeout, settled).await);
        let (streams, used) = (AtomicUsize::new(0), AtomicBool::new(false));
        Ok(Arc::new(Http2 {
            sender,
            streams,
            allowed,
            used,
            facts: opened.facts,
        }))
    }
}
