//! Bare hyper proxy: the floor that a proxy on this stack can reach.
//!
//! Requests come in; the same requests go out to one upstream over kept connections, with the key
//! replaced. No inspection, no log, no limits: it must never grow a feature, or it stops being the
//! floor.
use std::{
    convert::Infallible,
    io::Write as _,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::http1::{SendRequest, handshake},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use crate::wire::UPSTREAM_KEY;

/// The upstream and its idle connections.
struct Upstream {
    address: SocketAddr,
    idle: Mutex<Vec<SendRequest<Incoming>>>,
    tasks: TaskTracker,
}

impl Upstream {
    async fn connection(&self) -> Result<SendRequest<Incoming>> {
        loop {
            let Some(mut sender) = self.idle.lock().pop() else {
                break;
            };
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        self.tasks
            .spawn(async move { connection.await.unwrap_or_default() });
        Ok(sender)
    }
}

/// A response body that gives its connection back when it has been read to the end.
struct Lent {
    body: Option<Incoming>,
    sender: Option<SendRequest<Incoming>>,
    upstream: Arc<Upstream>,
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.is_end_stream() {
            self.upstream.idle.lock().extend(self.sender.take());
        }
    }
}

/// Serves until the process is stopped; prints the address first.
pub(crate) async fn serve(listen: SocketAddr, upstream: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(listen)
        .await
        .context("binding the bare hyper proxy")?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let tasks = TaskTracker::new();
    let upstream = Arc::new(Upstream {
        address: upstream,
        idle: Mutex::new(Vec::new()),
        tasks: tasks.clone(),
    });
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let upstream = Arc::clone(&upstream);
        tasks.spawn(async move {
            let service = service_fn(|request| forward(request, Arc::clone(&upstream)));
            let served = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
            served.await.unwrap_or_default();
        });
    }
}

async fn forward(
    request: Request<Incoming>,
    upstream: Arc<Upstream>,
) -> Result<Response<Lent>, Infallible> {
    if request.uri().path() == "/livez" {
        return Ok(Response::new(Lent {
            body: None,
            sender: None,
            upstream,
        }));
    }
    let answer = exchange(request, &upstream).await;
    Ok(answer.unwrap_or_else(|_| {
        let mut refused = Response::new(Lent {
            body: None,
            sender: None,
            upstream,
        });
        *refused.status_mut() = StatusCode::BAD_GATEWAY;
        refused
    }))
}

async fn exchange(
    mut request: Request<Incoming>,
    upstream: &Arc<Upstream>,
) -> Result<Response<Lent>> {
    let headers = request.headers_mut();
    headers.remove(header::CONNECTION);
    headers.insert("x-api-key", HeaderValue::from_static(UPSTREAM_KEY));
    let mut sender = upstream.connection().await?;
    let response = sender.send_request(request).await?;
    Ok(response.map(|body| Lent {
        body: Some(body),
        sender: Some(sender),
        upstream: Arc::clone(upstream),
    }))
}
