//! Where a request stands in a trace, by W3C Trace Context.
//!
//! In: the client's `traceparent`, and chance. Out: what this relay says in its own, and whether the
//! request is recorded. What is not written exactly as the specification says is taken for absent:
//! a trace must never be joined by guess.
//!
//! Format: <https://www.w3.org/TR/trace-context-2/#traceparent-header>, read 2026-11-22.

use std::fmt;

use http::HeaderMap;
use http::header::HeaderValue;

/// The header that says whose child a request is.
pub const TRACEPARENT: &str = "traceparent";
/// What tracing systems add to it. Without a `traceparent` it means nothing.
pub const TRACESTATE: &str = "tracestate";

/// The trace is recorded by whoever sent this.
const SAMPLED: u8 = 0b01;
/// The trace's id was drawn evenly.
const RANDOM: u8 = 0b10;

/// The name of a trace: 16 bytes, not all of them zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

impl TraceId {
    /// Makes one from two numbers that nobody else draws.
    pub fn drawn(high: u64, low: u64) -> Self {
        let bits = u128::from(high) << 64 | u128::from(low);
        Self(bits.max(1))
    }

    /// Returns its bytes, as they are written.
    pub const fn bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Tells whether a trace of this name is among so many in a hundred. Every relay answers alike:
    /// the last 56 bits decide, which specification and SDKs keep even.
    pub fn is_among(self, percent: u8) -> bool {
        const RANGE: u128 = 1 << 56;
        let place = self.0 % RANGE;
        let left_out = u128::from(100_u8.saturating_sub(percent));
        // Below 2^63: neither side can overflow.
        place.saturating_mul(100) >= left_out.saturating_mul(RANGE)
    }
}

/// The name of a span: 8 bytes, not all of them zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

impl SpanId {
    /// Makes one from a number that nobody else draws.
    pub fn drawn(bits: u64) -> Self {
        Self(bits.max(1))
    }

    /// Returns its bytes, as they are written.
    pub const fn bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What a `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The span that sends it.
    pub span: SpanId,
    /// What is known of both. Bits without a meaning are not kept.
    flags: u8,
}

impl TraceParent {
    /// Reads a header's value. `None` if it is not exactly in form.
    pub fn parse(text: &str) -> Option<Self> {
        let version = hex(text.get(..2)?)?;
        let rest = text.get(2..)?.strip_prefix('-')?;
        let (trace, rest) = rest.split_at_checked(32)?;
        let (span, rest) = rest.strip_prefix('-')?.split_at_checked(16)?;
        let (flags, rest) = rest.strip_prefix('-')?.split_at_checked(2)?;
        let ends = match version {
            0 => rest.is_empty(),
            // A later version may add to it, behind another dash.
            1..=0xfe => rest.is_empty() || rest.starts_with('-'),
            // Forbidden, so that no version is all ones.
            0xff.. => false,
        };
        let trace = hex(trace)?;
        let span = u64::try_from(hex(span)?).ok()?;
        let flags = u8::try_from(hex(flags)?).ok()?;
        (ends && trace != 0 && span != 0).then_some(Self {
            trace: TraceId(trace),
            span: SpanId(span),
            flags: flags & (SAMPLED | RANDOM),
        })
    }

    /// Reads it of a request. Said more than once, it says nothing.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut said = headers.get_all(TRACEPARENT).iter();
        let only = said.next().filter(|_| said.next().is_none())?;
        Self::parse(only.to_str().ok()?)
    }

    /// Tells whether whoever sent it records the trace.
    pub const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, self.flags)
    }
}

/// Reads digits, lower case alone.
fn hex(text: &str) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if !text.bytes().all(is_digit) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

/// How requests are traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// How many in a hundred traces that begin here are recorded.
    pub percent: u8,
}

/// A request's place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The trace.
    pub id: TraceId,
    /// The span of the client that sent the request.
    pub parent: Option<SpanId>,
    /// The span of the request here; `None` where this relay does not trace.
    pub span: Option<SpanId>,
    flags: u8,
}

impl Trace {
    /// Finds a request's place. Without sampling only the client's word counts, and nothing is
    /// added to it; `draw` gives numbers that it gave nobody before.
    pub fn begin(
        headers: &HeaderMap,
        sampling: Option<Sampling>,
        mut draw: impl FnMut() -> u64,
    ) -> Option<Self> {
        let parent = TraceParent::of(headers);
        let Some(sampling) = sampling else {
            return parent.map(|parent| Self {
                id: parent.trace,
                parent: Some(parent.span),
                span: None,
                flags: parent.flags,
            });
        };
        let (id, flags) = if let Some(parent) = parent {
            (parent.trace, parent.flags)
        } else {
            let id = TraceId::drawn(draw(), draw());
            let sampled = if id.is_among(sampling.percent) {
                SAMPLED
            } else {
                0
            };
            (id, RANDOM | sampled)
        };
        Some(Self {
            id,
            parent: parent.map(|parent| parent.span),
            span: Some(SpanId::drawn(draw())),
            flags,
        })
    }

    /// Tells whether the request's spans are sent to the collector.
    pub const fn is_recorded(&self) -> bool {
        self.span.is_some() && self.flags & SAMPLED != 0
    }

    /// Returns the flags, as they are written.
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// Makes a request to an upstream the child of an attempt. A `tracestate` goes on as it came,
    /// unless it came with no trace.
    pub fn put(&self, attempt: SpanId, headers: &mut HeaderMap) {
        let said = TraceParent {
            trace: self.id,
            span: attempt,
            flags: self.flags,
        };
        // Digits and dashes: this cannot fail.
        if let Ok(value) = HeaderValue::from_str(&said.to_string()) {
            headers.insert(TRACEPARENT, value);
        }
        if self.parent.is_none() {
            headers.remove(TRACESTATE);
        }
    }
}

#[cfg(test)]
mod tests;
