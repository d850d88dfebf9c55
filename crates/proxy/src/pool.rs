//! One worker's connections to one upstream.
//!
//! In: a request. Out: the head of the answer, and a [`Lease`] on the connection that carries its
//! body. A worker is one thread, so a connection never crosses threads and its lock is never
//! fought over. It must never send a request twice unless the first time provably reached nobody.

mod attempt;
mod connection;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::Request;
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;
use tracing::debug;

use attempt::Attempt;
pub(crate) use attempt::{SendError, Sent};
pub(crate) use connection::Lease;
use connection::{Checkout, Http1, Http2};

use crate::body::RequestBody;
use crate::clock;
use crate::connect::{ConnectError, Connector, HttpVersion, chain};

/// Tries on connections that turn out to be closed before the request was sent.
const STALE_TRIES: usize = 4;

/// One worker's connections to one upstream.
#[derive(Debug)]
pub(crate) struct Pool {
    connector: Arc<Connector>,
    open: Mutex<Open>,
    /// Held while a connection is opened whose protocol is not known yet, or is HTTP/2: whoever
    /// waits for it shares the result instead of opening one more.
    opening: tokio::sync::Mutex<()>,
    tasks: TaskTracker,
}

#[derive(Debug, Default)]
struct Open {
    idle: Vec<Http1>,
    shared: Vec<Arc<Http2>>,
    /// Learned from the first connection.
    is_http2: Option<bool>,
    /// The last connect that failed, and when: whoever waited for it shares that too.
    failed: Option<(Instant, ConnectError)>,
}

impl Pool {
    /// Starts with no connection.
    pub(crate) fn new(connector: Arc<Connector>, tasks: TaskTracker) -> Arc<Self> {
        let known = match connector.options().http_version {
            HttpVersion::Http1 => Some(false),
            HttpVersion::Http2 => Some(true),
            HttpVersion::Auto => (!connector.options().tls).then_some(false),
        };
        let open = Open {
            is_http2: known,
            ..Open::default()
        };
        let opening = tokio::sync::Mutex::new(());
        Arc::new(Self {
            connector,
            open: Mutex::new(open),
            opening,
            tasks,
        })
    }

    /// Tells whether this connector opens its connections.
    pub(crate) fn is_of(&self, connector: &Arc<Connector>) -> bool {
        Arc::ptr_eq(&self.connector, connector)
    }

    /// Returns what opens the connections.
    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Opens connections before they are asked for. A failure shows when a request meets it.
    pub(crate) async fn prewarm(self: Arc<Self>) {
        let _turn = self.opening.lock().await;
        for _ in 0..self.connector.options().prewarm {
            match self.open_new().await {
                Ok(Checkout::Http1(connection)) => self.give_back(connection),
                // All streams share one.
                Ok(Checkout::Http2(..)) => return,
                Err(error) => {
                    debug!(upstream = %self.connector.options().authority, %error, "no connection yet");
                    return;
                }
            }
        }
    }

    /// Closes connections that have been idle for too long.
    pub(crate) fn sweep(&self, now: Instant) {
        let limit = self.connector.options().idle_timeout;
        let mut open = self.open.lock();
        open.idle
            .retain(|connection| is_fresh(connection, now, limit));
        // One connection stays; a further one goes when the rush that it was opened for is over.
        let mut spare = false;
        open.shared.retain(|shared| {
            let idle = shared.streams.load(Ordering::Relaxed) == 0;
            let goes = shared.sender.is_closed() || (idle && spare);
            spare |= idle;
            !goes
        });
    }

    /// Sends a request whose URI is only path and query, and waits for the head of the answer.
    pub(crate) async fn send(
        self: &Arc<Self>,
        mut request: Request<RequestBody>,
    ) -> Result<Sent, SendError> {
        for _ in 0..STALE_TRIES {
            let attempt = match self.checkout().await? {
                Checkout::Http1(connection) => self.send_http1(connection, request).await,
                Checkout::Http2(shared, lease) => {
                    Box::pin(self.send_http2(&shared, lease, request)).await
                }
            };
            match attempt {
                Attempt::Answered(sent) => return Ok(*sent),
                Attempt::Broken(error) => return Err(SendError::of(&error)),
                Attempt::NeverSent(returned) => request = *returned,
            }
        }
        Err(SendError::Broken(
            "the upstream closes each connection before it is used".into(),
        ))
    }

    async fn checkout(self: &Arc<Self>) -> Result<Checkout, ConnectError> {
        match self.take_open() {
            Some(found) => Ok(found),
            // Rare, and its state is large: boxed, so that requests do not carry it around.
            None => Box::pin(self.check_new_out()).await,
        }
    }

    async fn check_new_out(self: &Arc<Self>) -> Result<Checkout, ConnectError> {
        if self.open.lock().is_http2 == Some(false) {
            return self.open_new().await;
        }
        let arrived = clock::now();
        let _turn = self.opening.lock().await;
        if let Some(found) = self.take_open() {
            return Ok(found);
        }
        let failed = self.open.lock().failed.clone();
        match failed.filter(|(at, _)| *at >= arrived) {
            Some((_, error)) => Err(error),
            None => self.open_new().await,
        }
    }

    /// Takes a connection that is open and has room.
    fn take_open(self: &Arc<Self>) -> Option<Checkout> {
        let now = clock::now();
        let limit = self.connector.options().idle_timeout;
        let mut open = self.open.lock();
        open.idle
            .retain(|connection| is_fresh(connection, now, limit));
        // One whose upstream answered early still takes the upload: nobody else waits for that.
        let ready = |connection: &Http1| connection.sender.is_ready();
        if let Some(place) = open.idle.iter().rposition(ready) {
            return Some(Checkout::Http1(open.idle.remove(place)));
        }
        open.shared.retain(|shared| !shared.sender.is_closed());
        let best = open.shared.iter().max_by_key(|shared| shared.room())?;
        let room = best.room();
        if room == 0 {
            return None;
        }
        let best = Arc::clone(best);
        let lease = Lease::of_stream(&best);
        drop(open);
        if room == SPARE_STREAMS {
            // The next connection is opened before the last stream is given away.
            let pool = Arc::clone(self);
            self.tasks.spawn(async move { pool.open_spare().await });
        }
        Some(Checkout::Http2(best, lease))
    }

    async fn open_spare(self: Arc<Self>) {
        let _turn = self.opening.lock().await;
        let room = self
            .open
            .lock()
            .shared
            .iter()
            .map(|shared| shared.room())
            .sum::<usize>();
        if room <= SPARE_STREAMS
            && let Err(error) = self.open_new().await
        {
            debug!(upstream = %self.connector.options().authority, %error, "no spare connection");
        }
    }

    async fn open_new(self: &Arc<Self>) -> Result<Checkout, ConnectError> {
        let opened = self.connector.open().await;
        let failed = opened
            .as_ref()
            .err()
            .map(|error| (clock::now(), error.clone()));
        self.open.lock().failed = failed;
        let opened = opened?;
        let checkout = if opened.http2 {
            self.start_http2(opened).await.map(|shared| {
                let lease = Lease::of_stream(&shared);
                Checkout::Http2(shared, lease)
            })
        } else {
            self.start_http1(opened).await.map(Checkout::Http1)
        };
        let checkout = checkout.map_err(|error| ConnectError::Network(chain(&error).into()))?;
        let mut open = self.open.lock();
        open.is_http2 = Some(matches!(checkout, Checkout::Http2(..)));
        if let Checkout::Http2(shared, _) = &checkout {
            open.shared.push(Arc::clone(shared));
        }
        Ok(checkout)
    }

    fn give_back(&self, connection: Http1) {
        let mut open = self.open.lock();
        if open.idle.len() < self.connector.options().max_idle && !connection.sender.is_closed() {
            open.idle.push(connection);
        }
    }
}

/// Room at which one more HTTP/2 connection is opened.
const SPARE_STREAMS: usize = 10;

fn is_fresh(connection: &Http1, now: Instant, limit: Duration) -> bool {
    !connection.sender.is_closed() && now.saturating_duration_since(connection.idle_since) < limit
}
