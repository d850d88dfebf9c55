//! Serves one client connection: TLS if configured, then HTTP/1.1 or HTTP/2.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::body::ResponseBody;
use crate::emit::Reset;
use crate::relay::relay;
use crate::worker::Worker;

/// How long a client may take for the TLS handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// How long a connection may be without a request, and a request may take for its head. Claude Code
/// keeps its connections while its user thinks.
const IDLE_LIMIT: Duration = Duration::from_mins(10);

/// How long sent bytes may go unacknowledged, or a client may refuse to read: the kernel then ends
/// the connection, and with it the upstream's stream.
const UNREAD_LIMIT: Duration = Duration::from_mins(10);

/// Requests under way on one HTTP/2 connection.
const STREAMS: u32 = 250;

/// Serves a connection to its end, with the certificate that is in force at its beginning.
pub(crate) async fn serve_connection(
    worker: Arc<Worker>,
    stream: std::net::TcpStream,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let view = worker.view();
    let (tls, enable_http2) = (view.settings.tls.clone(), view.settings.enable_http2);
    drop(view);
    let reset = Arc::new(Reset::default());
    let stream = match prepare(stream) {
        Ok(stream) => stream,
        Err(error) => return debug!(%error, "client connection lost"),
    };
    let client = Client {
        worker,
        reset: Arc::clone(&reset),
    };
    let Some(config) = tls else {
        let (stream, speaks_http2) = if enable_http2 {
            tokio::select! {
                begun = begins_http2(stream) => begun,
                // A connection that has not said a word has nothing to finish.
                () = stop.cancelled() => return,
            }
        } else {
            (stream, false)
        };
        let stream = ClientStream { stream, reset };
        return serve_http(client, stream, speaks_http2, stop, tasks).await;
    };
    let stream = ClientStream { stream, reset };
    // Boxed: a connection without TLS need not have room for one with it.
    let accept = TlsAcceptor::from(config).accept(stream);
    match Box::pin(timeout(HANDSHAKE_LIMIT, accept)).await {
        Ok(Ok(stream)) => {
            let speaks_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            Box::pin(serve_http(client, stream, speaks_http2, stop, tasks)).await;
        }
        Ok(Err(error)) => debug!(%error, "TLS handshake with a client failed"),
        Err(_) => debug!("TLS handshake with a client took too long"),
    }
}

fn prepare(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    let stream = TcpStream::from_std(stream)?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    socket.set_keepalive(true)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNREAD_LIMIT))?;
    Ok(stream)
}

/// Tells whether a client begins with HTTP/2's preface (RFC 9113 §3.4), without taking a byte of
/// what it sends. `PRI` is no method, so four bytes tell.
async fn begins_http2(stream: TcpStream) -> (TcpStream, bool) {
    let mut patience = Box::pin(sleep(IDLE_LIMIT));
    loop {
        let mut seen = [0; PREFACE.len()];
        let looked = poll_fn(|cx| {
            if patience.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            let mut seen = ReadBuf::new(&mut seen);
            stream.poll_peek(cx, &mut seen).map(Result::ok)
        });
        let length = looked.await.unwrap_or(0);
        let begins = length > 0 && PREFACE.starts_with(seen.get(..length).unwrap_or(&[]));
        if !begins || length == PREFACE.len() {
            return (stream, begins);
        }
        // What follows wakes nobody while these bytes are unread.
        sleep(Duration::from_millis(1)).await;
    }
}

/// How HTTP/2 begins.
const PREFACE: &[u8; 4] = b"PRI ";

/// What the requests of one connection share.
#[derive(Clone)]
struct Client {
    worker: Arc<Worker>,
    reset: Arc<Reset>,
}

impl Service<Request<Incoming>> for Client {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    /// Boxed, so that an idle connection has no room for it.
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let Self { worker, reset } = self.clone();
        Box::pin(async move { Ok(relay(&worker, request, &reset).await) })
    }
}

async fn serve_http<S>(
    client: Client,
    stream: S,
    speaks_http2: bool,
    stop: CancellationToken,
    tasks: TaskTracker,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let io = TokioIo::new(stream);
    let ended = if speaks_http2 {
        // A break resets its own stream there, and leaves the connection alone.
        let client = Client {
            reset: Arc::default(),
            ..client
        };
        let mut builder = http2::Builder::new(Tracked(tasks));
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .keep_alive_interval(Duration::from_mins(1))
            .keep_alive_timeout(Duration::from_secs(20));
        let connection = builder.serve_connection(io, client);
        Box::pin(until_stopped(connection, stop)).await
    } else {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_LIMIT);
        let connection = builder.serve_connection(io, client);
        until_stopped(connection, stop).await
    };
    if let Err(error) = ended {
        debug!(%error, "client connection ended");
    }
}

/// A connection that can be told to end with what it has.
trait Graceful: Future {
    fn shut_down(self: Pin<&mut Self>);
}

impl<I> Graceful for http1::Connection<I, Client>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
{
    fn shut_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I> Graceful for http2::Connection<I, Client, Tracked>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
{
    fn shut_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Runs a connection; when the relay stops, lets it finish what it has.
async fn until_stopped<C: Graceful>(connection: C, stop: CancellationToken) -> C::Output {
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = stop.cancelled() => {}
    }
    connection.as_mut().shut_down();
    connection.await
}

/// Spawns the tasks of HTTP/2 streams where a drain waits for them.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

/// A client's socket. It closes by a reset where an answer broke off.
struct ClientStream {
    stream: TcpStream,
    reset: Arc<Reset>,
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        if self.reset.is_ordered()
            && let Err(error) = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
        {
            debug!(%error, "cannot reset a client connection");
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.is_ordered() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
