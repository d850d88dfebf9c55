//! HTTP/2 through hyper. In: a connection; out: the same scripts as on HTTP/1.1, with
//! `RST_STREAM` for a reset and a dropped connection for a close. Must never end a stream properly
//! unless the script does.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answer::{Connection, Received};
use crate::body::BodySink;
use crate::head::RequestHead;
use crate::player::{Head, Player, Step};
use crate::record::{Exchange, Outcome};
use crate::wire::{Control, Wire};

/// Makes hyper reset the stream.
#[derive(Debug, Error)]
#[error("the script resets this stream")]
struct ResetStream;

/// Runs hyper's stream tasks where `stop` waits for them.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

/// Serves one connection until it ends.
pub(crate) async fn serve(mut wire: Wire, connection: Connection) {
    wire.count_frames();
    let state = Arc::clone(&connection.sim);
    let control = Arc::clone(&connection.control);
    let service = service_fn(move |request| respond(request, connection.clone()));
    let mut builder = http2::Builder::new(Tracked(state.tasks.clone()));
    builder.max_concurrent_streams(state.max_concurrent_streams);
    let serving = builder.serve_connection(TokioIo::new(wire), service);
    tokio::pin!(serving);
    let mut draining = false;
    loop {
        tokio::select! {
            biased;
            // How it ended shows in each exchange.
            _ = &mut serving => return,
            () = control.close.cancelled() => return,
            () = retired(&state.drain, &control.retire), if !draining => {
                draining = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Returns when the sim or a script wants this connection to end in order.
async fn retired(drain: &CancellationToken, retire: &CancellationToken) {
    tokio::select! {
        () = drain.cancelled() => {}
        () = retire.cancelled() => {}
    }
}

async fn respond(
    request: Request<Incoming>,
    connection: Connection,
) -> Result<Response<PlayedBody>, ResetStream> {
    let (parts, mut incoming) = request.into_parts();
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let method = parts.method.as_str().to_owned();
    let mut exchange = connection.open(&method, &target);
    let mut headers: Vec<(String, Vec<u8>)> = Vec::with_capacity(parts.headers.len() + 1);
    if let Some(authority) = parts.uri.authority() {
        headers.push(("host".to_owned(), authority.as_str().as_bytes().to_vec()));
    }
    for (name, value) in &parts.headers {
        headers.push((name.as_str().to_owned(), value.as_bytes().to_vec()));
    }
    let mut sink = BodySink::for_path(&method, &target);
    let early = connection.early(&method, &target);
    while early.is_none()
        && let Some(frame) = incoming.frame().await
    {
        let data = frame.map_err(|_| ResetStream)?.into_data();
        if let Ok(data) = data {
            sink.push(BytesMut::from(data)).ok_or(ResetStream)?;
        }
    }
    let head = RequestHead {
        method,
        target,
        version: parts.version,
        headers,
    };
    let received = Received {
        head,
        body: sink.finish(),
    };
    let player = connection.answer(received, early, &mut exchange);
    head_of(player, exchange, connection).await
}

async fn head_of(
    mut player: Player,
    exchange: Exchange,
    connection: Connection,
) -> Result<Response<PlayedBody>, ResetStream> {
    while let Some(step) = player.next() {
        match step {
            Step::Head(head) => {
                let control = Arc::clone(&connection.control);
                control.hand(1);
                let exchange = Some(exchange);
                let body = PlayedBody {
                    player,
                    exchange,
                    control,
                    state: Doing::Stepping,
                };
                return response(&head, body).ok_or(ResetStream);
            }
            Step::Wait(time) => tokio::time::sleep(time).await,
            Step::Stall => std::future::pending().await,
            Step::Close => {
                exchange.finish(Outcome::Aborted);
                connection.control.close.cancel();
                return Err(ResetStream);
            }
            Step::Data(_) | Step::End | Step::Reset => break,
        }
    }
    exchange.finish(Outcome::Aborted);
    Err(ResetStream)
}

fn response(head: &Head, body: PlayedBody) -> Option<Response<PlayedBody>> {
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(head.status).ok()?;
    for (name, value) in &head.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        response
            .headers_mut()
            .append(name, HeaderValue::from_bytes(value).ok()?);
    }
    if let Some(length) = head.length {
        response
            .headers_mut()
            .insert(http::header::CONTENT_LENGTH, length.into());
    }
    Some(response)
}

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

enum Doing {
    Stepping,
    Waiting(Waiting),
    /// Written bytes are on their way out; then the stream is reset or the connection dropped.
    Breaking(Waiting, bool),
    Stalled,
    Ended,
}

/// A script's body as hyper polls it. Dropped early it means that the client left.
struct PlayedBody {
    player: Player,
    exchange: Option<Exchange>,
    control: Arc<Control>,
    state: Doing,
}

/// A client that takes nothing could hold back a break for ever.
const FLUSH_BOUND: Duration = Duration::from_secs(2);

impl PlayedBody {
    fn finish(&mut self, outcome: Outcome) {
        if let Some(exchange) = self.exchange.take() {
            exchange.finish(outcome);
        }
    }

    fn breaking(&self, reset: bool) -> Doing {
        let control = Arc::clone(&self.control);
        let flushed = async move {
            // Either way the break comes; an elapsed bound only loses bytes nobody read.
            drop(tokio::time::timeout(FLUSH_BOUND, control.flushed()).await);
        };
        Doing::Breaking(Box::pin(flushed), reset)
    }
}

impl Body for PlayedBody {
    type Data = Bytes;
    type Error = ResetStream;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResetStream>>> {
        loop {
            match &mut self.state {
                Doing::Stepping => {}
                Doing::Waiting(wait) => {
                    ready!(wait.as_mut().poll(cx));
                    self.state = Doing::Stepping;
                }
                Doing::Breaking(flushed, reset) => {
                    ready!(flushed.as_mut().poll(cx));
                    let reset = *reset;
                    self.finish(Outcome::Aborted);
                    if reset {
                        self.state = Doing::Ended;
                        return Poll::Ready(Some(Err(ResetStream)));
                    }
                    self.state = Doing::Stalled;
                    self.control.close.cancel();
                    continue;
                }
                Doing::Stalled => return Poll::Pending,
                Doing::Ended => return Poll::Ready(None),
            }
            match self.player.next() {
                Some(Step::Data(piece)) => {
                    if let Some(exchange) = &mut self.exchange {
                        exchange.sent(piece.events);
                    }
                    if piece.bytes.is_empty() {
                        continue;
                    }
                    let length = piece.bytes.len() as u64;
                    self.control.hand(length);
                    return Poll::Ready(Some(Ok(Frame::data(piece.bytes))));
                }
                Some(Step::Wait(time)) => {
                    self.state = Doing::Waiting(Box::pin(tokio::time::sleep(time)));
                }
                Some(Step::Stall) => self.state = Doing::Stalled,
                Some(Step::Reset) => self.state = self.breaking(true),
                Some(Step::Close) => self.state = self.breaking(false),
                Some(Step::End | Step::Head(_)) | None => {
                    if self.player.then_close() {
                        self.control.retire.cancel();
                    }
                    self.finish(Outcome::Complete);
                    self.state = Doing::Ended;
                }
            }
        }
    }
}
