//! The connections of the issuer. In: HTTP/1.1, also as a proxy would get it, so that addresses
//! which cannot be changed end here; out: one answer each. Must never answer for an address that
//! it does not know.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use super::book::Book;
use super::{aws, entra, google};

/// The longest question.
const QUESTION_LIMIT_BYTES: usize = 64 * 1024;

const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// A question as it came.
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) body: String,
    headers: HeaderMap,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// An answer.
pub(super) struct Reply {
    status: u16,
    kind: &'static str,
    extra: Option<(&'static str, String)>,
    body: String,
}

impl Reply {
    fn new(status: u16, kind: &'static str, body: String) -> Self {
        Self {
            status,
            kind,
            extra: None,
            body,
        }
    }

    pub(super) fn text(status: u16, body: &str) -> Self {
        Self::new(status, "text/plain", body.to_owned())
    }

    pub(super) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub(super) fn xml(status: u16, body: String) -> Self {
        Self::new(status, "text/xml", body)
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.extra = Some((name, value.to_owned()));
        self
    }
}

/// Accepts until dropped; its connections end with it.
pub(super) async fn accept(
    book: Arc<Book>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    tasks: TaskTracker,
) {
    let gone = tokio_util::sync::CancellationToken::new();
    let _guard = gone.clone().drop_guard();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let work = connect(Arc::clone(&book), stream, tls.clone());
        tasks.spawn(gone.clone().run_until_cancelled_owned(work));
    }
}

async fn connect(book: Arc<Book>, stream: TcpStream, tls: Option<TlsAcceptor>) {
    match tls {
        None => speak(book, stream).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                speak(book, stream).await;
            }
        }
    }
}

async fn speak(book: Arc<Book>, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let service = service_fn(|request| answer(Arc::clone(&book), request));
    let served = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // A client that leaves is no fault of the sim's.
    drop(served);
}

async fn answer(
    book: Arc<Book>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, QUESTION_LIMIT_BYTES).collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(_) => String::new(),
    };
    let asked = Asked {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        body,
        headers: head.headers,
    };
    let reply = route(&book, &asked);
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(reply.kind),
    );
    if let Some((name, value)) = reply.extra
        && let Ok(value) = header::HeaderValue::from_str(&value)
    {
        headers.insert(name, value);
    }
    Ok(response)
}

fn route(book: &Book, asked: &Asked) -> Reply {
    match (asked.method.as_str(), asked.path.as_str()) {
        (_, path) if path.starts_with("/latest/") => aws::metadata(book, asked),
        ("GET", path) if path.starts_with("/v2/credentials/") => aws::container(book, asked),
        ("POST", "/") => aws::token_service(book, asked),
        ("GET", "/federation/credentials") => aws::portal(book, asked),
        ("GET", path) if path.starts_with("/computeMetadata/") => google::metadata(book, asked),
        ("POST", "/token") => google::oauth(book, asked),
        ("POST", "/v1/token") => google::exchange(book, asked),
        ("POST", path) if path.ends_with("/oauth2/v2.0/token") => entra::token(book, asked),
        ("GET", "/metadata/identity/oauth2/token" | "/msi/token") => entra::managed(book, asked),
        _ => Reply::text(404, "nothing is issued here"),
    }
}
