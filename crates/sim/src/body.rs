//! Takes a request's body in. In: pieces as they come; out: the whole body, or only its length and
//! SHA-256 for paths whose uploads may be huge. Must never hold more than [`MAX_KEPT_BYTES`].

use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

use crate::answer::Route;

/// A kept body at most, in bytes. Twice the API's limit of 32 MB, so that the client's own cap is
/// what a test meets.
pub(crate) const MAX_KEPT_BYTES: usize = 64 << 20;

/// A body as received.
#[derive(Debug, Default)]
pub(crate) struct ReceivedBody {
    pub(crate) bytes: Bytes,
    pub(crate) length: u64,
    /// Given when the bytes were not kept.
    pub(crate) digest: Option<[u8; 32]>,
}

/// Where pieces go.
#[derive(Debug)]
pub(crate) enum BodySink {
    Keep(BytesMut),
    Hash(Box<Sha256>, u64),
}

impl BodySink {
    /// Returns the sink for a request line.
    pub(crate) fn for_path(method: &str, target: &str) -> Self {
        if Route::of(method, target) == Route::Echo {
            Self::Hash(Box::default(), 0)
        } else {
            Self::Keep(BytesMut::new())
        }
    }

    /// Returns whether the bytes are kept.
    pub(crate) fn keeps(&self) -> bool {
        matches!(self, Self::Keep(_))
    }

    /// Takes a piece; `None` means that the body is too long to keep.
    pub(crate) fn push(&mut self, piece: BytesMut) -> Option<()> {
        match self {
            Self::Keep(kept) => {
                if kept.len().saturating_add(piece.len()) > MAX_KEPT_BYTES {
                    return None;
                }
                // Joins without a copy where the pieces lie side by side.
                kept.unsplit(piece);
            }
            Self::Hash(hash, length) => {
                hash.update(&piece);
                *length = length.saturating_add(piece.len() as u64);
            }
        }
        Some(())
    }

    pub(crate) fn finish(self) -> ReceivedBody {
        match self {
            Self::Keep(kept) => {
                let length = kept.len() as u64;
                ReceivedBody {
                    bytes: kept.freeze(),
                    length,
                    digest: None,
                }
            }
            Self::Hash(hash, length) => {
                let digest = Some(hash.finalize().into());
                ReceivedBody {
                    bytes: Bytes::new(),
                    length,
                    digest,
                }
            }
        }
    }
}
