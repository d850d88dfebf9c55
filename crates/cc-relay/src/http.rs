//! One HTTP request at a time, for the commands that ask the relay or an upstream.
//!
//! In: an address, a path, header fields. Out: status and body, both bounded in size and time. It
//! follows no redirect and keeps no connection.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// The largest body that is read, in bytes.
const MAX_BODY_BYTES: usize = 4 << 20;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum GetError {
    /// The address or path cannot be put into a request.
    #[error("not a usable address")]
    Address,
    /// No connection.
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    /// A connection, but no HTTP answer.
    #[error("no HTTP answer")]
    Exchange(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing in time.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
}

/// Asks `GET http://{authority}{path}`.
///
/// # Errors
/// When no complete answer came within `limit`.
pub async fn get(
    authority: &str,
    path: &str,
    headers: HeaderMap,
    limit: Duration,
) -> Result<Answer, GetError> {
    let exchange = async {
        let stream = TcpStream::connect(authority)
            .await
            .map_err(GetError::Connect)?;
        get_over(stream, authority, path, headers).await
    };
    tokio::time::timeout(limit, exchange)
        .await
        .map_err(|_| GetError::Timeout(limit))?
}

/// Asks `GET {path}` over an open connection, which is closed afterwards.
///
/// # Errors
/// When no complete answer came. The caller bounds the time.
pub async fn get_over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    authority: &str,
    path: &str,
    headers: HeaderMap,
) -> Result<Answer, GetError> {
    let mut request = Request::get(path)
        .body(Empty::<Bytes>::new())
        .map_err(|_| GetError::Address)?;
    *request.headers_mut() = headers;
    let host = HeaderValue::from_str(authority).map_err(|_| GetError::Address)?;
    request.headers_mut().insert(header::HOST, host);
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| GetError::Exchange(error.into()))?;
    let exchange = async move {
        let response = sender.send_request(request).await;
        let (head, body) = response
            .map_err(|error| GetError::Exchange(error.into()))?
            .into_parts();
        let body = Limited::new(body, MAX_BODY_BYTES)
            .collect()
            .await
            .map_err(GetError::Exchange)?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
        })
    };
    tokio::pin!(exchange);
    // The connection may end first, with the answer already read; what it has to say about a
    // fault is in the exchange's result too.
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        _ended = connection => exchange.await,
    }
}
