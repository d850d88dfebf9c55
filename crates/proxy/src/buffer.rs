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
use parking_lot::Mutex;
use relay_core::error::RelayError;
use tokio::time::timeout;

/// Most bytes allocated on a client's word alone.
const FIRST_ALLOCATION_BYTES: usize = 1024 * 1024;

/// Most bytes read off a refused body.
const DISCARD_BYTES: u64 = 256 * 1024 * 1024;

/// Longest time spent on that.
const DISCARD_TIME: Duration = Duration::from_secs(30);

/// Longest wait for more of it: a client that sends nothing is not busy sending.
const DISCARD_PATIENCE: Duration = Duration::from_secs(1);

/// Smallest buffer worth keeping: the allocator makes smaller ones in no time, while a large one
/// costs a page fault for each 4 KB.
const KEEP_FROM_BYTES: usize = 64 * 1024;

/// Largest buffer kept.
const KEEP_UP_TO_BYTES: usize = 1024 * 1024;

/// Buffers kept at once.
const KEEP: usize = 2;

/// One worker's buffers for bodies. Few are kept, and only while the relay is busy.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<BytesMut>>);

impl Buffers {
    /// Reads a whole body.
    pub(crate) async fn read(
        &self,
        body: &mut Incoming,
        max_bytes: usize,
        patience: Duration,
    ) -> Result<Bytes, RelayError> {
        let limit_bytes = u64::try_from(max_bytes).unwrap_or(u64::MAX);
        let announced = body.size_hint().lower();
        if announced > limit_bytes {
            return Err(RelayError::BodyTooLarge { limit_bytes });
        }
        let Some(first) = next(body, patience).await? else {
            return Ok(Bytes::new());
        };
        let announced = usize::try_from(announced).unwrap_or(max_bytes);
        if first.len() >= announced && body.is_end_stream() {
            // Small bodies come in one piece: no copy.
            return Ok(first);
        }
        let mut whole = self.take(announced.min(FIRST_ALLOCATION_BYTES).max(first.len()));
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
            // The connection reads the next piece into the same memory.
            drop(piece);
            match next(body, patience).await? {
                Some(next) => piece = next,
                None => return Ok(whole.freeze()),
            }
        }
    }

    fn take(&self, capacity: usize) -> BytesMut {
        let mut kept = self.0.lock();
        let fits = kept.iter().position(|buffer| buffer.capacity() >= capacity);
        match fits.map(|index| kept.swap_remove(index)) {
            Some(buffer) => buffer,
            None => BytesMut::with_capacity(capacity),
        }
    }

    /// Takes a body back that has been sent, if nobody else holds it.
    pub(crate) fn give_back(&self, body: Bytes) {
        if body.len() < KEEP_FROM_BYTES {
            return;
        }
        let Ok(mut buffer) = body.try_into_mut() else {
            return;
        };
        let mut kept = self.0.lock();
        if buffer.capacity() <= KEEP_UP_TO_BYTES && kept.len() < KEEP {
            buffer.clear();
            kept.push(buffer);
        }
    }

    /// Lets the kept buffers go.
    pub(crate) fn release(&self) {
        self.0.lock().clear();
    }
}

async fn next(body: &mut Incoming, patience: Duration) -> Result<Option<Bytes>, RelayError> {
    loop {
        let frame = timeout(patience, body.frame()).await;
        match frame.map_err(|_| RelayError::BodyStalled)? {
            None => return Ok(None),
            Some(Err(_)) => return Err(RelayError::ClientLeft),
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
        while let Ok(Some(Ok(frame))) = timeout(DISCARD_PATIENCE, body.frame()).await {
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
