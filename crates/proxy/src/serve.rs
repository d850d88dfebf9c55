//! Serves one client connection: TLS if configured, then HTTP/1.1 or HTTP/2.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

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

/// How connections are served.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionOptions {
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) enable_http2: bool,
    pub(crate) stop: CancellationToken,
}

/// Serves a connection to its end.
pub(crate) async fn serve_connection(
    worker: &Arc<Worker>,
    stream: std::net::TcpStream,
    options: &ConnectionOptions,
    tasks: TaskTracker,
) {
    let reset = Arc::new(Reset::default());
    let stream = match prepare(stream) {
        Ok(stream) => ClientStream {
            stream,
            reset: Arc::clone(&reset),
        },
        Err(error) => return debug!(%error, "client connection lost"),
    };
    match &options.tls {
        None => serve_http(worker, stream, reset, options, tasks).await,
        Some(config) => {
            let accept = TlsAcceptor::from(Arc::clone(config)).accept(stream);
            match timeout(HANDSHAKE_LIMIT, accept).await {
                Ok(Ok(stream)) => serve_http(worker, stream, reset, options, tasks).await,
                Ok(Err(error)) => debug!(%error, "TLS handshake with a client failed"),
                Err(_) => debug!("TLS handshake with a client took too long"),
            }
        }
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

async fn serve_http<S>(
    worker: &Arc<Worker>,
    stream: S,
    reset: Arc<Reset>,
    options: &ConnectionOptions,
    tasks: TaskTracker,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = auto::Builder::new(Tracked(tasks));
    if !options.enable_http2 {
        builder = builder.http1_only();
    }
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_LIMIT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(Duration::from_mins(1))
        .keep_alive_timeout(Duration::from_secs(20));
    let service = service_fn(|request| {
        let (worker, reset) = (Arc::clone(worker), Arc::clone(&reset));
        async move { Ok::<_, Infallible>(relay(&worker, request, &reset).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = options.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "client connection ended");
    }
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
