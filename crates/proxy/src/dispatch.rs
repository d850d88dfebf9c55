//! Sends a request to the chosen target and waits for the head of its answer.

use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Request, Uri};
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

/// Sends, and waits for the head of the answer.
pub(crate) async fn dispatch(
    pool: &Arc<Pool>,
    encoded: Encoded,
    body: RequestBody,
    bounds: Bounds,
) -> Result<Sent, RelayError> {
    let path = PathAndQuery::try_from(encoded.path_and_query.as_ref())
        .map_err(|_| RelayError::Internal("the path cannot be sent on"))?;
    let mut request = Request::new(body);
    *request.method_mut() = encoded.method;
    *request.uri_mut() = Uri::from(path);
    *request.headers_mut() = encoded.headers;
    let answer = timeout(bounds.first_byte, pool.send(request)).await;
    let failed = match answer {
        Ok(Ok(sent)) => return Ok(sent),
        Ok(Err(failed)) => failed,
        Err(_) => {
            return Err(RelayError::UpstreamTimeout {
                waited: bounds.first_byte,
            });
        }
    };
    Err(match failed {
        SendError::Body(Cut::TooLong) => RelayError::BodyTooLarge {
            limit_bytes: bounds.passthrough_bytes,
        },
        SendError::Body(_) => RelayError::BodyStalled,
        SendError::Connect(_) | SendError::Broken(_) => {
            RelayError::Unreachable(failed.to_string().into())
        }
    })
}
