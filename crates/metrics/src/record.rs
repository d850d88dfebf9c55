//! What is counted of ended requests.
//!
//! In: records, on the requests' path. Out: numbers. Each takes a few lookups and additions, and no
//! lock.

use std::sync::Arc;

use relay_core::board::Board;
use relay_core::record::{Attempt, ConnectionFacts, Outcome, RequestRecord};
use relay_core::snapshot::TargetId;

use crate::family::{Counter, Family, Histogram, OVERHEAD, SECONDS};
use crate::model_label;

/// Times of requests.
type Times = Histogram<{ SECONDS.len() }>;

/// Everything that is counted of requests.
#[derive(Debug)]
pub struct Metrics {
    board: Arc<Board>,
    pub(crate) requests: Family<3, Counter>,
    pub(crate) durations: Family<2, Times>,
    pub(crate) first_events: Family<2, Times>,
    pub(crate) gaps: Family<1, Times>,
    pub(crate) overhead: Histogram<{ OVERHEAD.len() }>,
    pub(crate) attempts: Family<2, Counter>,
    pub(crate) attempt_durations: Family<2, Times>,
    /// By provider, whether it was open, the version of HTTP and that of TLS.
    pub(crate) connections: Family<4, Counter>,
    pub(crate) handshakes: Family<1, Times>,
    pub(crate) hops: Family<3, Counter>,
    pub(crate) exhausted: Family<1, Counter>,
    pub(crate) cancelled: Family<2, Counter>,
    pub(crate) broken: Family<2, Counter>,
    pub(crate) tokens: Family<3, Counter>,
    /// In nano-dollars.
    pub(crate) cost: Family<2, Counter>,
    pub(crate) saved: Family<2, Counter>,
    pub(crate) unpriced: Family<2, Counter>,
    pub(crate) key_rejected: Family<2, Counter>,
    pub(crate) affinity: Family<2, Counter>,
    pub(crate) left_out: Family<1, Counter>,
    pub(crate) bytes: Family<2, Counter>,
}

/// The label of what no upstream answered.
fn nobody() -> Arc<str> {
    "none".into()
}

fn label(target: Option<&TargetId>) -> Arc<str> {
    target.map_or_else(nobody, |target| target.as_str().into())
}

const fn class(status: Option<u16>) -> &'static str {
    match status {
        Some(100..=199) => "1xx",
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(400..=499) => "4xx",
        Some(_) => "5xx",
        None => "none",
    }
}

impl Metrics {
    /// Starts with nothing counted. `board` knows the prices.
    pub fn new(board: Arc<Board>) -> Self {
        Self {
            board,
            requests: Family::default(),
            durations: Family::default(),
            first_events: Family::default(),
            gaps: Family::default(),
            overhead: Histogram::default(),
            attempts: Family::default(),
            attempt_durations: Family::default(),
            connections: Family::default(),
            handshakes: Family::default(),
            hops: Family::default(),
            exhausted: Family::default(),
            cancelled: Family::default(),
            broken: Family::default(),
            tokens: Family::default(),
            cost: Family::default(),
            saved: Family::default(),
            unpriced: Family::default(),
            key_rejected: Family::default(),
            affinity: Family::default(),
            left_out: Family::default(),
            bytes: Family::default(),
        }
    }

    /// Counts a request that has ended.
    pub fn record(&self, record: &RequestRecord) {
        let provider = label(record.target.as_ref());
        let model = model_label(&self.board.prices(), record.model.as_ref());
        let both = [Arc::clone(&provider), Arc::clone(&model)];
        let [one, other] = both.clone();
        let requests = self.requests.of(&[one, other, class(record.status).into()]);
        requests.add(1);
        self.durations.of(&both).observe(&SECONDS, record.duration);
        if let Some(took) = record.time_to_first_event {
            self.first_events.of(&both).observe(&SECONDS, took);
        }
        if let Some(gap) = record.longest_gap {
            let gaps = self.gaps.of(&[Arc::clone(&provider)]);
            gaps.observe(&SECONDS, gap);
        }
        self.overhead.observe(&OVERHEAD, record.overhead);
        self.attempts_of(record, &provider);
        self.end_of(record, &provider);
        self.money_of(record, &both);
        if let Some(affinity) = record.affinity {
            let moves = self.affinity.of(&[Arc::clone(&provider), affinity.into()]);
            moves.add(1);
        }
        let left_out = u64::try_from(record.left_out.len()).unwrap_or(u64::MAX);
        if left_out > 0 {
            self.left_out.of(&[Arc::clone(&provider)]).add(left_out);
        }
        for (direction, bytes) in [
            ("request", record.request_bytes),
            ("response", record.response_bytes),
        ] {
            let counter = self.bytes.of(&[Arc::clone(&provider), direction.into()]);
            counter.add(bytes);
        }
    }

    /// Counts calls of upstreams: those that failed unseen, and the one that was answered.
    fn attempts_of(&self, record: &RequestRecord, provider: &Arc<str>) {
        let mut rest = record.attempts.iter().peekable();
        while let Some(attempt) = rest.next() {
            let from: Arc<str> = attempt.target.as_str().into();
            let with = [Arc::clone(&from), attempt.reason.into()];
            self.attempts.of(&with).add(1);
            let durations = self.attempt_durations.of(&with);
            durations.observe(&SECONDS, attempt.took);
            self.rejected(attempt, &from);
            let next = rest.peek().map(|next| Arc::from(next.target.as_str()));
            let to = next.or_else(|| record.answered.then(|| Arc::clone(provider)));
            if let Some(to) = to {
                self.hops.of(&[from, to, attempt.reason.into()]).add(1);
            }
        }
        if record.answered {
            let outcome = if record.status.is_some_and(|status| status < 400) {
                "ok"
            } else {
                "refused"
            };
            let with = [Arc::clone(provider), outcome.into()];
            self.attempts.of(&with).add(1);
            let durations = self.attempt_durations.of(&with);
            let began = record.last.as_ref().map(|last| last.began);
            let began = began.unwrap_or_default();
            durations.observe(&SECONDS, record.duration.saturating_sub(began));
        }
        if let Some(connection) = &record.connection {
            self.connection(connection, provider);
        }
    }

    fn connection(&self, connection: &ConnectionFacts, provider: &Arc<str>) {
        let reused = if connection.reused { "true" } else { "false" };
        let tls = connection.tls_version.clone();
        let with = [
            Arc::clone(provider),
            reused.into(),
            connection.protocol.into(),
            tls.unwrap_or_else(nobody),
        ];
        self.connections.of(&with).add(1);
        if let Some(took) = connection.handshake.filter(|_| !connection.reused) {
            let handshakes = self.handshakes.of(&[Arc::clone(provider)]);
            handshakes.observe(&SECONDS, took);
        }
    }

    /// Counts keys that an upstream does not accept.
    fn rejected(&self, attempt: &Attempt, target: &Arc<str>) {
        if let (Some(401 | 403), Some(key)) = (attempt.status, &attempt.key) {
            let rejected = self
                .key_rejected
                .of(&[Arc::clone(target), Arc::clone(&key.name)]);
            rejected.add(1);
        }
    }

    fn end_of(&self, record: &RequestRecord, provider: &Arc<str>) {
        match record.outcome {
            Outcome::ClientGone => {
                let phase = match (record.status, record.response_bytes) {
                    (None, _) => "before_head",
                    (Some(_), 0) => "before_body",
                    (Some(_), _) => "in_body",
                };
                self.cancelled
                    .of(&[Arc::clone(provider), phase.into()])
                    .add(1);
            }
            Outcome::StreamCut | Outcome::Stalled | Outcome::ErrorEvent => {
                let reason = record.outcome.name();
                self.broken
                    .of(&[Arc::clone(provider), reason.into()])
                    .add(1);
            }
            Outcome::Refused => {
                // A word of the relay's own: nobody else refuses so.
                let reason = record.error_type.as_deref().unwrap_or("other");
                self.exhausted.of(&[reason.into()]).add(1);
            }
            Outcome::Complete => {}
        }
    }

    fn money_of(&self, record: &RequestRecord, both: &[Arc<str>; 2]) {
        let usage = &record.usage;
        for (kind, tokens) in [
            ("input", usage.input_tokens),
            ("cache_read", usage.cache_read_input_tokens),
            ("cache_write", usage.cache_creation_input_tokens),
            ("output", usage.output_tokens),
        ] {
            if let Some(tokens) = tokens {
                let [provider, model] = both.clone();
                self.tokens.of(&[provider, model, kind.into()]).add(tokens);
            }
        }
        match record.cost {
            Some(cost) => self.cost.of(both).add(cost.as_nano_dollars()),
            None if usage.output_tokens.is_some() => self.unpriced.of(both).add(1),
            None => {}
        }
        if let Some(saved) = record.saved {
            self.saved.of(both).add(saved.as_nano_dollars());
        }
    }
}
