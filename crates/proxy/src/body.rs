//! The bodies that travel: to the upstream, and back to the client.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::emit::Emit;
use crate::gap::Gap;

/// What goes wrong with a body on its way: the connection that carries it is then aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cut {
    /// The upstream's answer broke off, or ended without saying so.
    #[error("the upstream's answer broke off")]
    Broken,
    /// The sender fell silent.
    #[error("silent for too long")]
    Stalled,
    /// The client's body broke off.
    #[error("the client's body broke off")]
    Client,
    /// The client's body is longer than allowed.
    #[error("the client's body is too long")]
    TooLong,
}

/// A request body on its way to the upstream.
#[derive(Debug)]
pub(crate) enum RequestBody {
    /// Read whole beforehand: one buffer, shared and never copied.
    Whole(Full<Bytes>),
    /// Streams through. Boxed, since a connection keeps room for many requests at once.
    Through(Box<Through>),
}

/// A body that streams through, counted against a limit.
#[derive(Debug)]
pub(crate) struct Through {
    body: Incoming,
    left: u64,
    /// Bytes that have passed, for whoever waits for the answer.
    passed: Arc<AtomicU64>,
    gap: Gap,
}

impl RequestBody {
    /// Lets a body stream through, up to a limit in bytes, with at most `patience` between two
    /// reads. Returns it, and the count of the bytes that have passed.
    pub(crate) fn through(
        body: Incoming,
        limit: u64,
        patience: Duration,
    ) -> (Self, Arc<AtomicU64>) {
        let passed = Arc::new(AtomicU64::new(0));
        let gap = Gap::new(patience);
        let through = Through {
            body,
            left: limit,
            passed: Arc::clone(&passed),
            gap,
        };
        (Self::Through(Box::new(through)), passed)
    }
}

impl Through {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let Poll::Ready(next) = Pin::new(&mut self.body).poll_frame(cx) else {
            let stalled = self.gap.poll_exceeded(cx);
            return if stalled {
                Poll::Ready(Some(Err(Cut::Stalled)))
            } else {
                Poll::Pending
            };
        };
        self.gap.touch();
        let frame = match next {
            None => return Poll::Ready(None),
            Some(Err(_)) => return Poll::Ready(Some(Err(Cut::Client))),
            Some(Ok(frame)) => frame,
        };
        let length = u64::try_from(frame.data_ref().map_or(0, Bytes::len)).unwrap_or(u64::MAX);
        let Some(left) = self.left.checked_sub(length) else {
            return Poll::Ready(Some(Err(Cut::TooLong)));
        };
        self.left = left;
        self.passed.fetch_add(length, Ordering::Relaxed);
        Poll::Ready(Some(Ok(frame)))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Self::Whole(whole) => Pin::new(whole)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Self::Through(through) => through.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Through(through) => through.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Through(through) => through.body.size_hint(),
        }
    }
}

/// A response body on its way to the client.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// The relay's own answer, or none.
    Own(Full<Bytes>),
    /// The upstream's answer.
    Emit(Box<Emit>),
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Self::Own(whole) => Pin::new(whole)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Self::Emit(emit) => emit.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(whole) => whole.is_end_stream(),
            // Only the end itself tells whether the stream was whole.
            Self::Emit(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(whole) => whole.size_hint(),
            Self::Emit(emit) => emit.size_hint(),
        }
    }
}
