//! An attempt sets out: when, where to, and as which span.
//!
//! In: an exchange and the target. Out: what its record will say, and the `traceparent` that the
//! upstream reads. Where requests are not traced, it must leave the client's own untouched.

use std::sync::Arc;

use http::HeaderMap;
use relay_core::record::Departure;
use relay_core::snapshot::Target;
use relay_core::trace::SpanId;

use super::Exchange;

impl Exchange {
    /// Begins an attempt.
    pub(crate) fn depart(&self, target: &Target) -> Departure {
        let trace = self.look(|record| record.trace).flatten();
        let traced = trace.is_some_and(|trace| trace.span.is_some());
        Departure {
            began: self.open.began().elapsed(),
            span: traced.then(|| SpanId::drawn(self.shared.clock.seed())),
            origin: Arc::clone(&target.origin),
        }
    }

    /// Makes the upstream's request the child of the attempt's span.
    pub(crate) fn tell(&self, attempt: &Departure, headers: &mut HeaderMap) {
        let trace = self.look(|record| record.trace).flatten();
        if let (Some(trace), Some(span)) = (trace, attempt.span) {
            trace.put(span, headers);
        }
    }
}
