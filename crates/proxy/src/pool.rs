//! One worker's connections to one upstream.
//!
//! In: a request. Out: the head of the answer, and a [`Lease`] on the connection that carries its
//! body. A worker is one thread, so a connection never crosses threads and its lock is never
//! fought over. It must never send a request twice unless the first time provably reached nobody.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use relay_core::record::ConnectionFacts;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{interval, timeout};
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::body::{Cut, RequestBody};
use crate::clock;
use crate::connect::{ConnectError, Connector, HttpVersion, Opened, chain};

/// Tries on connections that turn out to be closed before the request was sent.
const STALE_TRIES: usize = 4;

/// Streams on one HTTP/2 connection, where the upstream allows more: one broken connection breaks
/// all of its streams.
const STREAMS_PER_CONNECTION: usize = 100;

/// Unread bytes of one HTTP/2 stream: what a client that reads slowly may hold here.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;

/// Unread bytes of one HTTP/2 connection: all its streams at once, so that none starves another.
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// Why no answer came.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum SendError {
    /// No connection could be opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection broke after the request may have been sent.
    #[error("the connection broke before an answer came: {0}")]
    Broken(Arc<str>),
    /// The client's body, on its way through, broke off or grew too long.
    #[error("the client's body: {0}")]
    Body(Cut),
}

impl SendError {
    fn of(error: &hyper::Error) -> Self {
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            if let Some(cut) = cause.downcast_ref::<Cut>() {
                return Self::Body(*cut);
            }
            source = cause.source();
        }
        Self::Broken(chain(error).into())
    }
}

/// An answer whose body is still to come.
pub(crate) struct Sent {
    pub(crate) response: Response<Incoming>,
    pub(crate) lease: Lease,
    pub(crate) connection: ConnectionFacts,
}

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
}

#[derive(Debug)]
struct Http1 {
    sender: http1::SendRequest<RequestBody>,
    task: AbortHandle,
    idle_since: Instant,
    facts: ConnectionFacts,
}

#[derive(Debug)]
struct Http2 {
    sender: http2::SendRequest<RequestBody>,
    streams: AtomicUsize,
    /// Streams that the upstream allows at once, as its settings last said.
    allowed: Arc<AtomicUsize>,
    used: AtomicBool,
    facts: ConnectionFacts,
}

impl Http2 {
    fn room(&self) -> usize {
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
    /// Gives the connection back: the answer was read to its end.
    pub(crate) fn finish(mut self) {
        if let Some(Leased::Http1(mut connection, pool)) = self.0.take() {
            connection.idle_since = clock::now();
            pool.give_back(connection);
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

impl Lease {
    /// Takes a stream of a shared connection, before anybody else can count on it.
    fn of_stream(shared: &Arc<Http2>) -> Self {
        shared.streams.fetch_add(1, Ordering::Relaxed);
        Self(Some(Leased::Http2(Arc::clone(shared))))
    }
}

enum Checkout {
    Http1(Http1),
    Http2(Arc<Http2>, Lease),
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
        open.shared.retain(|shared| !shared.sender.is_closed());
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

    async fn send_http1(
        self: &Arc<Self>,
        mut connection: Http1,
        mut request: Request<RequestBody>,
    ) -> Attempt {
        if connection.sender.ready().await.is_err() {
            return Attempt::NeverSent(Box::new(request));
        }
        let authority = self.connector.options().authority.as_str();
        if let Ok(host) = http::HeaderValue::from_str(authority) {
            request.headers_mut().insert(header::HOST, host);
        }
        let facts = connection.facts.clone();
        let answer = connection.sender.try_send_request(request);
        connection.facts.reused = true;
        // From here on, leaving means closing.
        let lease = Lease(Some(Leased::Http1(connection, Arc::clone(self))));
        Attempt::of(answer.await, lease, facts)
    }

    async fn send_http2(
        &self,
        shared: &Arc<Http2>,
        lease: Lease,
        mut request: Request<RequestBody>,
    ) -> Attempt {
        let mut sender = shared.sender.clone();
        if sender.ready().await.is_err() {
            self.open
                .lock()
                .shared
                .retain(|other| !Arc::ptr_eq(other, shared));
            return Attempt::NeverSent(Box::new(request));
        }
        let scheme = if self.connector.options().tls {
            "https"
        } else {
            "http"
        };
        let authority = self.connector.options().authority.as_str();
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(authority)
            .path_and_query(path)
            .build();
        match uri {
            Ok(uri) => *request.uri_mut() = uri,
            Err(_) => return Attempt::NeverSent(Box::new(request)),
        }
        let mut facts = shared.facts.clone();
        facts.reused = shared.used.swap(true, Ordering::Relaxed);
        let again = replay(&request);
        let answer = sender.try_send_request(request).await;
        match (Attempt::of(answer, lease, facts), again) {
            (Attempt::Broken(error), Some(again)) if was_never_processed(&error) => {
                Attempt::NeverSent(Box::new(again))
            }
            (attempt, _) => attempt,
        }
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
        let _turn = self.opening.lock().await;
        match self.take_open() {
            Some(found) => Ok(found),
            None => self.open_new().await,
        }
    }

    /// Takes a connection that is open and has room.
    fn take_open(self: &Arc<Self>) -> Option<Checkout> {
        let now = clock::now();
        let limit = self.connector.options().idle_timeout;
        let mut open = self.open.lock();
        while let Some(connection) = open.idle.pop() {
            if is_fresh(&connection, now, limit) {
                return Some(Checkout::Http1(connection));
            }
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
        let opened = self.connector.open().await?;
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

    async fn start_http1(&self, opened: Opened) -> hyper::Result<Http1> {
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

    async fn start_http2(&self, opened: Opened) -> hyper::Result<Arc<Http2>> {
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

    fn give_back(&self, connection: Http1) {
        let mut open = self.open.lock();
        if open.idle.len() < self.connector.options().max_idle && !connection.sender.is_closed() {
            open.idle.push(connection);
        }
    }
}

/// How often a new HTTP/2 connection is looked at until the upstream's settings have come.
const SETTLE_LOOK: Duration = Duration::from_millis(1);

/// Room at which one more HTTP/2 connection is opened.
const SPARE_STREAMS: usize = 10;

fn is_fresh(connection: &Http1, now: Instant, limit: Duration) -> bool {
    !connection.sender.is_closed() && now.saturating_duration_since(connection.idle_since) < limit
}

enum Attempt {
    Answered(Box<Sent>),
    /// The request may have reached the upstream.
    Broken(hyper::Error),
    /// Not a byte of it was taken.
    NeverSent(Box<Request<RequestBody>>),
}

type Answer = Result<Response<Incoming>, hyper::client::conn::TrySendError<Request<RequestBody>>>;

impl Attempt {
    fn of(answer: Answer, lease: Lease, connection: ConnectionFacts) -> Self {
        match answer {
            Ok(response) => Self::Answered(Box::new(Sent {
                response,
                lease,
                connection,
            })),
            Err(mut failed) => match failed.take_message() {
                Some(request) => Self::NeverSent(Box::new(request)),
                None => Self::Broken(failed.into_error()),
            },
        }
    }
}

/// Copies a request whose body is one shared buffer. A body that streams through cannot be copied.
fn replay(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let RequestBody::Whole(bytes) = request.body() else {
        return None;
    };
    let mut again = Request::new(RequestBody::Whole(bytes.clone()));
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    Some(again)
}

/// Tells whether the upstream said that it did not look at the stream: RFC 9113 §8.7,
/// `REFUSED_STREAM`, or a `GOAWAY` without an error, which only streams beyond its last one see.
fn was_never_processed(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(cause) = cause.downcast_ref::<h2::Error>() {
            let reason = cause.reason();
            let refused = cause.is_reset() && reason == Some(h2::Reason::REFUSED_STREAM);
            let going = cause.is_go_away() && reason == Some(h2::Reason::NO_ERROR);
            return cause.is_remote() && (refused || going);
        }
        source = cause.source();
    }
    false
}
