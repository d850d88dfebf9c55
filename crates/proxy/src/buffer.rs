//! Reads a request body once, up to a limit.
//!
//! In: a body on a socket. Out: one buffer. It must never read without a bound in bytes and time.
//! A body that is refused is still read off (within bounds) before the answer goes out: a client
//! that is busy sending would otherwise meet a reset where the answer should be.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use relay_core::error::RelayError;
use tokio::time::timeout;

/// Most bytes allocated on a client's word alone.
const FIRST_ALLOCATION_BYTES: usize = 1024 * 1024;

/// Most bytes read off a refused body.
const DISCARD_BYTES: u64 = 256 * 1024 * 1024;

/// Longest time spent on that.
const DISCARD_TIME: Duration = Duration::from_secs(30);

/// Reads the whole body.
pub(crate) async fn buffer(
    body: &mut Incoming,
    max_bytes: usize,
    read_timeout: Duration,
) -> Result<Bytes, RelayError> {
    let limit_bytes = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    let announced = body.size_hint().lower();
    if announced > limit_bytes {
        return Err(RelayError::BodyTooLarge { limit_bytes });
    }
    let Some(first) = next(body, read_timeout).await? else {
        return Ok(Bytes::new());
    };
    let announced = usize::try_from(announced).unwrap_or(max_bytes);
    if first.len() >= announced && body.is_end_stream() {
        // Small bodies come in one piece: no copy.
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(announced.min(FIRST_ALLOCATION_BYTES).max(first.len()));
    let mut piece = first;
    loop {
        if whole.len().saturating_add(piece.len()) > max_bytes {
            return Err(RelayError::BodyTooLarge { limit_bytes });
        }
        if whole.capacity().saturating_sub(whole.len()) < piece.len() {
            // The first megabyte has come: the client's word is now believed.
            whole.reserve(announced.saturating_sub(whole.len()).max(piece.len()));
        }
        whole.extend_from_slice(&piece);
        match next(body, read_timeout).await? {
            Some(next) => piece = next,
            None => return Ok(whole.freeze()),
        }
    }
}

async fn next(body: &mut Incoming, read_timeout: Duration) -> Result<Option<Bytes>, RelayError> {
    loop {
        let frame = timeout(read_timeout, body.frame()).await;
        match frame.map_err(|_| RelayError::BodyStalled)? {
            None => return Ok(None),
            // The client is gone or talks nonsense: nobody is left to read the answer.
            Some(Err(_)) => return Err(RelayError::BodyStalled),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// Reads off what is left of a refused body, so that the client comes to read the answer.
pub(crate) async fn discard(mut body: Incoming) {
    let read_off = async {
        let mut left = DISCARD_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(u64::try_from(length).unwrap_or(u64::MAX)) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Whether it came to an end in time makes no difference: the answer goes out now.
    drop(timeout(DISCARD_TIME, read_off).await);
}
