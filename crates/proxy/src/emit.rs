//! Passes the upstream's answer on: each byte as it came, each piece when it came.
//!
//! In: the upstream's head and body. Out: the client's. It must never hold a piece back, change
//! one, or end cleanly what did not end: a break on one side is a break on the other.
//!
//! Backpressure is the absence of a task: the client's connection asks for the next piece when it
//! has room, and only then is the upstream read.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, Version, header};
use http_body::{Frame, SizeHint};
use http_body_util::Full;
use relay_core::headers;
use relay_core::record::Outcome;
use relay_core::request::Endpoint;

use crate::body::{Cut, ResponseBody};
use crate::decode::UpstreamBody;
use crate::finish::Exchange;
use crate::gap::Gap;
use crate::hold::{After, Answer};
use crate::observe::{Observer, is_event_stream};
use crate::pool::Lease;

/// Silence after which a client hears that the upstream is still there: Anthropic's own pings come
/// about as often (measured), and Claude Code gives up after 300 s.
const PING_AFTER: Duration = Duration::from_secs(15);

/// Set when the client's connection must be reset instead of closed: HTTP/1.0 has no other way to
/// say that an answer broke off, and Claude Code then repeats the turn without running half of it.
#[derive(Debug, Default)]
pub(crate) struct Reset(AtomicBool);

impl Reset {
    pub(crate) fn order(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_ordered(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Makes the client's answer from the upstream's.
pub(crate) fn emit(
    answer: Answer,
    mut exchange: Exchange,
    endpoint: Endpoint,
    gap: Duration,
    reset: &Arc<Reset>,
) -> Response<ResponseBody> {
    let Answer {
        mut head,
        held,
        after,
        body,
        observer,
        lease,
        connection: _,
    } = answer;
    let is_stream = is_event_stream(&head.headers);
    let is_turn = endpoint == Endpoint::Messages && head.status == StatusCode::OK;
    let is_framed = head.version == Version::HTTP_2
        || head.headers.contains_key(header::CONTENT_LENGTH)
        || head.headers.contains_key(header::TRANSFER_ENCODING);
    headers::strip_hop_by_hop(&mut head.headers);
    if is_stream {
        headers::forbid_buffering(&mut head.headers);
    }
    let is_http2 = head.version == Version::HTTP_2;
    head.version = Version::HTTP_11;
    let must_say_its_end = is_turn && is_stream;
    if must_say_its_end {
        // An announced length would end the answer whatever it says; only the stream itself may.
        head.headers.remove(header::CONTENT_LENGTH);
    } else if held.is_empty() && after != After::Break && body.is_end_stream() {
        lease.finish();
        exchange.finish(Outcome::Complete, None);
        return Response::from_parts(head, ResponseBody::Own(Full::default()));
    }
    exchange.observed(&observer);
    let held_bytes: usize = held
        .iter()
        .filter_map(Frame::data_ref)
        .map(Bytes::len)
        .sum();
    let is_decoded = body.is_decoded() && is_stream;
    let announced = body.size_hint().exact();
    let announced = announced.and_then(|rest| rest.checked_add(u64::try_from(held_bytes).ok()?));
    let emit = Emit {
        left: announced.filter(|_| !must_say_its_end),
        held,
        after,
        upstream: body,
        is_http2,
        is_error: !head.status.is_success(),
        going: Some(Going {
            lease,
            exchange,
            observer,
        }),
        must_say_its_end,
        must_be_readable: is_turn && !is_stream && !is_framed,
        gap: Gap::new(gap),
        pings: is_decoded.then(|| Box::new(Gap::new(PING_AFTER))),
        unflushed: false,
        breaking: None,
        reset: Arc::clone(reset),
    };
    Response::from_parts(head, ResponseBody::Emit(Box::new(emit)))
}

/// A piece of an answer, and whether the observer has seen it.
type Piece = (Frame<Bytes>, bool);

/// The body of an answer on its way to the client.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent fact of the answer"
)]
pub(crate) struct Emit {
    /// Pieces that were read before the commit point.
    held: VecDeque<Frame<Bytes>>,
    /// What comes behind them.
    after: After,
    upstream: UpstreamBody,
    is_http2: bool,
    /// The answer is a refusal.
    is_error: bool,
    /// Present until the end.
    going: Option<Going>,
    /// Bytes that are still to come, where the upstream said how many.
    left: Option<u64>,
    /// The answer is a stream of a turn: only `message_stop` or `error` ends it.
    must_say_its_end: bool,
    /// The answer has no framing that tells a cut from an end: its JSON must.
    must_be_readable: bool,
    gap: Gap,
    /// The time since the client got something, where the dialect has no pings of its own.
    pings: Option<Box<Gap>>,
    /// Pieces were given to the connection since it last had nothing to do.
    unflushed: bool,
    /// What went wrong, once the pieces before it are on their way.
    breaking: Option<Cut>,
    reset: Arc<Reset>,
}

#[derive(Debug)]
struct Going {
    lease: Lease,
    exchange: Exchange,
    observer: Observer,
}

impl Emit {
    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.left {
            // What was read before the commit point is still to come.
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(cut) = self.breaking.take() {
            return Poll::Ready(Some(Err(self.abort(cut))));
        }
        if self.going.is_none() {
            return Poll::Ready(None);
        }
        match self.poll_piece(cx) {
            Poll::Ready(Some(Ok((frame, seen)))) => {
                if let Some(data) = frame.data_ref() {
                    self.pass(data, seen);
                } else if let Err(cut) = self.finish() {
                    // Trailers are the last frame: the connection will not ask for another.
                    return self.break_off(cut, cx);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(cut))) => self.break_off(cut, cx),
            Poll::Ready(None) => {
                self.doubt_a_reset();
                match self.finish() {
                    Ok(()) => Poll::Ready(None),
                    Err(cut) => self.break_off(cut, cx),
                }
            }
            Poll::Pending => {
                self.unflushed = false;
                if self.gap.poll_exceeded(cx) {
                    return self.break_off(Cut::Stalled, cx);
                }
                self.poll_ping(cx)
            }
        }
    }

    /// Says that the upstream is still there, though silent. It is no sign of its life.
    fn poll_ping(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let (Some(pings), Some(going)) = (&mut self.pings, &mut self.going) else {
            return Poll::Pending;
        };
        while pings.poll_exceeded(cx) {
            pings.touch();
            if let Some(ping) = self.upstream.ping() {
                self.unflushed = true;
                going.exchange.passed(&ping);
                return Poll::Ready(Some(Ok(Frame::data(ping))));
            }
        }
        Poll::Pending
    }

    /// Takes the next piece: of those that are held, then from the upstream. Tells of each whether
    /// the observer has seen it.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, Cut>>> {
        if let Some(frame) = self.held.pop_front() {
            return Poll::Ready(Some(Ok((frame, true))));
        }
        match self.after {
            After::Rest => {}
            After::End => return Poll::Ready(None),
            After::Break => return Poll::Ready(Some(Err(Cut::Broken))),
        }
        let next = self.upstream.poll_frame(cx);
        next.map(|next| next.map(|next| next.map(|it| (it, false))))
    }

    /// hyper reports a stream that was reset without an error as ended. RFC 9113 §8.1 lets an
    /// upstream do that behind a whole answer whose request it did not care to read, so a refusal
    /// is believed; any other answer must show that it is whole.
    fn doubt_a_reset(&mut self) {
        let was_reset = self.is_http2 && !self.upstream.is_end_stream();
        if was_reset && !self.is_error && self.left != Some(0) {
            self.must_be_readable = true;
        }
    }

    /// Notes a piece that goes out now.
    fn pass(&mut self, data: &Bytes, seen: bool) {
        self.unflushed = true;
        self.gap.touch();
        if let Some(pings) = &mut self.pings {
            pings.touch();
        }
        let Some(going) = &mut self.going else { return };
        if !seen {
            going.observer.chunk(data);
            going.exchange.observed(&going.observer);
        }
        going.exchange.passed(data);
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        self.left = self.left.map(|left| left.saturating_sub(length));
        if self.left == Some(0) {
            // The connection will not ask again: with its last announced byte the answer is over.
            // An answer of announced length is whole then, so this cannot fail.
            self.breaking = self.finish().err();
        }
    }

    /// Ends an answer that came to its end, unless it did not say so.
    fn finish(&mut self) -> Result<(), Cut> {
        let Some(going) = self.going.take() else {
            return Ok(());
        };
        let facts = going.observer.stream_facts();
        if self.must_say_its_end && facts.is_some_and(|facts| !facts.is_whole()) {
            self.going = Some(going);
            return Err(Cut::Broken);
        }
        let failed = facts.is_some_and(|facts| facts.failed && !facts.stopped);
        let Going {
            lease,
            mut exchange,
            observer,
        } = going;
        self.measure(&mut exchange);
        let seen = observer.end();
        if self.must_be_readable && seen.as_ref().is_none_or(|seen| seen.unreadable) {
            exchange.finish(Outcome::StreamCut, seen);
            return Err(Cut::Broken);
        }
        lease.finish();
        exchange.finish(
            if failed {
                Outcome::ErrorEvent
            } else {
                Outcome::Complete
            },
            seen,
        );
        Ok(())
    }

    /// Breaks off, after the connection had a chance to send what it was given before.
    fn break_off(
        &mut self,
        cut: Cut,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if std::mem::take(&mut self.unflushed) {
            self.breaking = Some(cut);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(self.abort(cut))))
    }

    /// Notes how long the answer was silent at most.
    fn measure(&self, exchange: &mut Exchange) {
        let longest = self.gap.longest();
        exchange.note(|record| record.longest_gap = longest);
    }

    fn abort(&mut self, cut: Cut) -> Cut {
        self.reset.order();
        if let Some(Going {
            lease,
            mut exchange,
            observer,
        }) = self.going.take()
        {
            drop(lease);
            self.measure(&mut exchange);
            let outcome = if cut == Cut::Stalled {
                Outcome::Stalled
            } else {
                Outcome::StreamCut
            };
            exchange.finish(outcome, observer.end());
        }
        cut
    }
}

impl Drop for Emit {
    fn drop(&mut self) {
        if let Some(Going {
            lease,
            mut exchange,
            observer,
        }) = self.going.take()
        {
            self.measure(&mut exchange);
            // The client went away: the lease closes the upstream's stream.
            drop(lease);
            exchange.finish(Outcome::ClientGone, observer.end());
        }
    }
}
