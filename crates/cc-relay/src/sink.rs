//! Where the record of an ended request goes: to everybody who keeps or counts it.
//!
//! In: a record, on the request's path. Out: the same record to each taker, in order. None of them
//! may wait: each has a bounded queue, or only counts. What was said goes to the history alone.

use std::sync::Arc;

use relay_core::record::{Bodies, RequestRecord};
use relay_manage::{Audit, AuditSink};
use relay_proxy::RecordSink;
use relay_store::{Inlet, KeptChange};
use relay_traces as traces;

/// Several takers of records as one.
#[derive(Default)]
pub struct Sinks(Vec<Arc<dyn RecordSink>>);

impl std::fmt::Debug for Sinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sinks").field(&self.0.len()).finish()
    }
}

impl Sinks {
    /// Adds a taker.
    #[must_use]
    pub fn with(mut self, sink: Arc<dyn RecordSink>) -> Self {
        self.0.push(sink);
        self
    }
}

impl RecordSink for Sinks {
    fn record(&self, record: &Arc<RequestRecord>, bodies: Option<&Bodies>) {
        for sink in &self.0 {
            sink.record(record, bodies);
        }
    }
}

/// The history as a taker.
#[derive(Debug)]
pub struct History(pub Inlet);

impl RecordSink for History {
    fn record(&self, record: &Arc<RequestRecord>, bodies: Option<&Bodies>) {
        self.0.take(record, bodies);
    }
}

impl AuditSink for History {
    fn keep(&self, audit: &Audit) {
        self.0.note(KeptChange {
            at_ms: u64::try_from(audit.at.as_millis()).unwrap_or(u64::MAX),
            by: audit.by.clone(),
            what: audit.what.clone(),
            changes: audit.changes.join("; "),
            refused: audit.refused.clone(),
        });
    }
}

/// The traces as a taker.
#[derive(Debug)]
pub struct Traced(pub traces::Inlet);

impl RecordSink for Traced {
    fn record(&self, record: &Arc<RequestRecord>, _: Option<&Bodies>) {
        self.0.take(record);
    }
}
