//! One try to send a request on one connection.
//!
//! In: a connection, a request. Out: an answer, or what became of the request. It must tell apart
//! what may have reached the upstream from what provably did not: only the latter is sent again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{Method, Request, Response, Uri, header};
use http_body::Body as _;
use hyper::body::Incoming;
use relay_core::record::ConnectionFacts;

use super::Pool;
use super::connection::{Http1, Http2, Lease};
use crate::body::{Cut, RequestBody};
use crate::connect::{ConnectError, chain};

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
    pub(super) fn of(error: &hyper::Error) -> Self {
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

/// What became of a request on one connection.
pub(super) enum Attempt {
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

/// Tells whether a server may insist on `content-length: 0` where there is no body: RFC 9110 §8.6.
fn expects_a_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// Copies a request whose body is one shared buffer. A body that streams through cannot be copied.
fn replay(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let RequestBody::Whole(whole) = request.body() else {
        return None;
    };
    let mut again = Request::new(RequestBody::Whole(whole.clone()));
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

impl Pool {
    pub(super) async fn send_http1(
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
        if request.body().is_end_stream() && expects_a_body(request.method()) {
            let none = http::HeaderValue::from_static("0");
            request.headers_mut().insert(header::CONTENT_LENGTH, none);
        }
        let facts = connection.facts.clone();
        let answer = connection.sender.try_send_request(request);
        connection.facts.reused = true;
        // From here on, leaving means closing.
        let lease = Lease::of_connection(connection, self);
        Attempt::of(answer.await, lease, facts)
    }

    pub(super) async fn send_http2(
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
}
