//! Sends a request to the chosen target and waits for the head of its answer.

use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Request, Uri};
use relay_core::error::RelayError;
use relay_core::provider::Encoded;
use tokio::time::timeout;

use crate::body::RequestBody;
use crate::pool::{Pool, SendError, Sent};

/// Sends, and waits no longer than `first_byte`.
pub(crate) async fn dispatch(
    pool: &Arc<Pool>,
    encoded: Encoded,
    body: RequestBody,
    first_byte: Duration,
) -> Result<Sent, RelayError> {
    let path = PathAndQuery::try_from(encoded.path_and_query.as_ref())
        .map_err(|_| RelayError::Internal("the path cannot be sent on"))?;
    let mut request = Request::new(body);
    *request.method_mut() = encoded.method;
    *request.uri_mut() = Uri::from(path);
    *request.headers_mut() = encoded.headers;
    match timeout(first_byte, pool.send(request)).await {
        Ok(Ok(sent)) => Ok(sent),
        Ok(Err(SendError::Connect(error))) => {
            Err(RelayError::Unreachable(error.to_string().into()))
        }
        Ok(Err(error @ SendError::Broken(_))) => {
            Err(RelayError::Unreachable(error.to_string().into()))
        }
        Err(_) => Err(RelayError::UpstreamTimeout { waited: first_byte }),
    }
}
