//! What happens to body bytes on their way to the wire: compression and cutting into writes.
//! In: event bytes; out: pieces to write. Must never lose or reorder a byte.

use std::collections::VecDeque;
use std::io::Write as _;
use std::str::FromStr;

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde::Deserialize;
use thiserror::Error;

/// How a body's bytes are cut into writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Split {
    /// One write an event.
    #[default]
    PerEvent,
    /// One write a byte.
    EachByte,
    /// Two writes, cut at this offset of the body.
    At(usize),
    /// Writes of this many bytes, whatever the event borders.
    Chunk(usize),
    /// One write for the whole body.
    Whole,
}

/// A text that names no split.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{0}` is no split; write one of per-event, each-byte, at:N, chunk:N, whole")]
pub struct UnknownSplit(String);

impl TryFrom<String> for Split {
    type Error = UnknownSplit;
    fn try_from(text: String) -> Result<Self, UnknownSplit> {
        text.parse()
    }
}

impl FromStr for Split {
    type Err = UnknownSplit;

    /// Reads the form `chunk:7`.
    ///
    /// # Errors
    /// [`UnknownSplit`], which lists the forms.
    fn from_str(text: &str) -> Result<Self, UnknownSplit> {
        let unknown = || UnknownSplit(text.to_owned());
        match text.split_once(':') {
            None if text == "per-event" => Ok(Self::PerEvent),
            None if text == "each-byte" => Ok(Self::EachByte),
            None if text == "whole" => Ok(Self::Whole),
            Some(("at", n)) => n.parse().map(Self::At).map_err(|_| unknown()),
            Some(("chunk", n)) => n.parse().map(Self::Chunk).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}

/// A content coding of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// `content-encoding: gzip`.
    Gzip,
    /// `content-encoding: deflate` (zlib, as RFC 9110 has it).
    Deflate,
}

impl Encoding {
    /// Returns the header's value.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }
}

/// A compressor that is flushed after every event.
#[derive(Debug)]
pub(crate) enum Encoder {
    Plain,
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
}

impl Encoder {
    pub(crate) fn new(encoding: Option<Encoding>) -> Self {
        match encoding {
            None => Self::Plain,
            Some(Encoding::Gzip) => Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Some(Encoding::Deflate) => {
                Self::Deflate(ZlibEncoder::new(Vec::new(), Compression::fast()))
            }
        }
    }

    /// Returns the wire bytes of one event, complete for a reader that has only got so far.
    pub(crate) fn event(&mut self, bytes: Bytes) -> Bytes {
        // Writes into a Vec cannot fail, so an error here would mean no bytes at all, which a
        // reader's checksum would show.
        match self {
            Self::Plain => bytes,
            Self::Gzip(encoder) => {
                let written = encoder.write_all(&bytes).and_then(|()| encoder.flush());
                written
                    .map(|()| taken(encoder.get_mut()))
                    .unwrap_or_default()
            }
            Self::Deflate(encoder) => {
                let written = encoder.write_all(&bytes).and_then(|()| encoder.flush());
                written
                    .map(|()| taken(encoder.get_mut()))
                    .unwrap_or_default()
            }
        }
    }

    /// Returns the closing bytes.
    pub(crate) fn finish(&mut self) -> Bytes {
        match std::mem::replace(self, Self::Plain) {
            Self::Plain => Bytes::new(),
            Self::Gzip(encoder) => encoder.finish().map(Bytes::from).unwrap_or_default(),
            Self::Deflate(encoder) => encoder.finish().map(Bytes::from).unwrap_or_default(),
        }
    }
}

fn taken(out: &mut Vec<u8>) -> Bytes {
    Bytes::from(std::mem::take(out))
}

/// One write, and how many events end in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) bytes: Bytes,
    pub(crate) events: u64,
}

/// Cuts a body into pieces.
#[derive(Debug)]
pub(crate) struct Cutter {
    split: Split,
    held: BytesMut,
    /// Body bytes given out so far.
    given: usize,
    /// Offsets at which events end, of those not yet given out.
    ends: VecDeque<usize>,
    ready: VecDeque<Piece>,
}

impl Cutter {
    pub(crate) fn new(split: Split) -> Self {
        Self {
            split,
            held: BytesMut::new(),
            given: 0,
            ends: VecDeque::new(),
            ready: VecDeque::new(),
        }
    }

    /// Takes body bytes; `ends_event` says that an event ends with them.
    pub(crate) fn push(&mut self, bytes: Bytes, ends_event: bool) {
        if self.split == Split::PerEvent {
            if !bytes.is_empty() || ends_event {
                self.ready.push_back(Piece {
                    bytes,
                    events: u64::from(ends_event),
                });
            }
            return;
        }
        self.held.extend_from_slice(&bytes);
        if ends_event {
            self.ends
                .push_back(self.given.saturating_add(self.held.len()));
        }
        loop {
            let length = match self.split {
                Split::EachByte => 1,
                Split::Chunk(n) => n.max(1),
                Split::At(n) if self.given < n => n.saturating_sub(self.given),
                Split::At(_) | Split::Whole | Split::PerEvent => return,
            };
            if self.held.len() < length {
                return;
            }
            self.give(length);
        }
    }

    /// Lets go of what is held.
    pub(crate) fn flush(&mut self) {
        if !self.held.is_empty() {
            self.give(self.held.len());
        }
    }

    /// Returns the next write.
    pub(crate) fn pop(&mut self) -> Option<Piece> {
        self.ready.pop_front()
    }

    fn give(&mut self, length: usize) {
        let bytes = self.held.split_to(length).freeze();
        self.given = self.given.saturating_add(length);
        let mut events = 0_u64;
        while self.ends.front().is_some_and(|end| *end <= self.given) {
            self.ends.pop_front();
            events = events.saturating_add(1);
        }
        self.ready.push_back(Piece { bytes, events });
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{Cutter, Split};

    fn any_split() -> impl Strategy<Value = Split> {
        prop_oneof![
            Just(Split::PerEvent),
            Just(Split::EachByte),
            Just(Split::Whole),
            (0_usize..40).prop_map(Split::At),
            (0_usize..12).prop_map(Split::Chunk),
        ]
    }

    proptest! {
        #[test]
        fn cutting_keeps_every_byte_and_event(
            events in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..9), 0..6),
            split in any_split(),
        ) {
            let mut cutter = Cutter::new(split);
            for event in &events {
                cutter.push(Bytes::from(event.clone()), true);
            }
            cutter.flush();
            let (mut bytes, mut ended) = (Vec::new(), 0);
            while let Some(piece) = cutter.pop() {
                prop_assert!(!piece.bytes.is_empty());
                bytes.extend_from_slice(&piece.bytes);
                ended += piece.events;
            }
            prop_assert_eq!(bytes, events.concat());
            prop_assert_eq!(ended, events.len() as u64);
        }
    }
}
