//! The upstream's body as the client gets it: as it came, or read by the dialect's decoder.
//!
//! In: the body, and the decoder if the dialect has one. Out: pieces. It must never hold back what
//! the decoder has given out, nor end cleanly where the decoder says that something is missing.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use relay_core::provider::Decoder;

use crate::body::Cut;

/// Room that a decoder's output is given at first, in bytes: an event fits.
const ROOM_BYTES: usize = 4 * 1024;

/// A body on its way from the upstream.
#[derive(Debug)]
pub(crate) struct UpstreamBody {
    incoming: Incoming,
    decoding: Option<Box<Decoding>>,
}

#[derive(Debug)]
struct Decoding {
    decoder: Box<dyn Decoder>,
    out: BytesMut,
    /// The dialect was broken: nothing is read any more.
    broken: bool,
    /// The decoder has seen the end.
    ended: bool,
}

impl UpstreamBody {
    pub(crate) fn new(incoming: Incoming, decoder: Option<Box<dyn Decoder>>) -> Self {
        let decoding = decoder.map(|decoder| {
            Box::new(Decoding {
                decoder,
                out: BytesMut::new(),
                broken: false,
                ended: false,
            })
        });
        Self { incoming, decoding }
    }

    /// Takes the next piece.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let incoming = Pin::new(&mut self.incoming);
        match &mut self.decoding {
            None => {
                let next = incoming.poll_frame(cx);
                next.map(|next| next.map(|piece| piece.map_err(|_| Cut::Broken)))
            }
            Some(decoding) => decoding.poll_frame(incoming, cx),
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.decoding.as_ref().is_none_or(|it| it.out.is_empty()) && self.incoming.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.decoding {
            Some(_) => SizeHint::default(),
            None => self.incoming.size_hint(),
        }
    }

    /// Tells whether the dialect has no pings of its own.
    pub(crate) const fn is_decoded(&self) -> bool {
        self.decoding.is_some()
    }

    /// Returns what the client gets while the upstream is silent, where it may stand here.
    pub(crate) fn ping(&self) -> Option<Bytes> {
        self.decoding.as_ref()?.decoder.ping()
    }
}

impl Decoding {
    fn poll_frame(
        &mut self,
        mut incoming: Pin<&mut Incoming>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        loop {
            if !self.out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(self.out.split().freeze()))));
            }
            if self.broken {
                return Poll::Ready(Some(Err(Cut::Broken)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match std::task::ready!(incoming.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => {
                    // Trailers say nothing that a client of the other dialect could read.
                    if let Some(data) = frame.data_ref() {
                        self.out.reserve(ROOM_BYTES);
                        self.broken = self.decoder.push(data, &mut self.out).is_err();
                    }
                }
                Some(Err(_)) => self.broken = true,
                None => {
                    self.ended = true;
                    self.broken = self.decoder.end(&mut self.out).is_err();
                }
            }
        }
    }
}
