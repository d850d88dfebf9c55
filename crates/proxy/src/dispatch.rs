//! Sends a request to the chosen target and waits for the head of its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Request, StatusCode, Uri};
use relay_core::error::RelayError;
use relay_core::provider::Encoded;
use tokio::time::timeout;

use crate::body::{Cut, RequestBody};
use crate::pool::{Pool, SendError, Sent};

/// What one exchange with an upstream is held to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// From the request's last byte to the head of the answer.
    pub(crate) first_byte: Duration,
    /// Length of a body that streams through.
    pub(crate) passthrough_bytes: u64,
}

/// Sends, and waits for the head of the answer. `uploaded` counts a body that streams through.
pub(crate) async fn dispatch(
    pool: &Arc<Pool>,
    encoded: Encoded,
    body: RequestBody,
    uploaded: Option<Arc<AtomicU64>>,
    bounds: Bounds,
) -> Result<Sent, RelayError> {
    let path = PathAndQuery::try_from(encoded.path_and_query.as_ref())
        .map_err(|_| RelayError::Internal("the path cannot be sent on"))?;
    let mut request = Request::new(body);
    *request.method_mut() = encoded.method;
    *request.uri_mut() = Uri::from(path);
    *request.headers_mut() = encoded.headers;
    let mut answer = std::pin::pin!(pool.send(request));
    let mut seen = 0;
    let failed = loop {
        match timeout(bounds.first_byte, answer.as_mut()).await {
            Ok(Ok(sent)) => return refuse_upgrade(sent),
            Ok(Err(failed)) => break failed,
            Err(_) => {}
        }
        // An upload may take longer than an answer; what counts is that it goes on.
        let uploaded = uploaded
            .as_ref()
            .map_or(0, |bytes| bytes.load(Ordering::Relaxed));
        if uploaded == seen {
            return Err(RelayError::UpstreamTimeout {
                waited: bounds.first_byte,
            });
        }
        seen = uploaded;
    };
    Err(match failed {
        SendError::Body(Cut::TooLong) => RelayError::BodyTooLarge {
            limit_bytes: bounds.passthrough_bytes,
        },
        SendError::Body(Cut::Stalled) => RelayError::BodyStalled,
        SendError::Body(Cut::Client | Cut::Broken) => RelayError::ClientLeft,
        SendError::Connect(_) | SendError::Broken(_) => {
            RelayError::Unreachable(failed.to_string().into())
        }
    })
}

/// Nobody asked for another protocol: the upgrade header stays behind.
fn refuse_upgrade(sent: Sent) -> Result<Sent, RelayError> {
    if sent.response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(RelayError::Unreachable(
            "it switched protocols unasked".into(),
        ));
    }
    Ok(sent)
}
