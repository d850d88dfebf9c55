//! The end of a request, however it comes: one record, and the counters.
//!
//! An [`Exchange`] begins with the request and is dropped at its end. Where nobody said how it
//! ended, the client went away: so a future that is dropped half-way still leaves its record.

mod depart;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use http::{HeaderMap, StatusCode, request};
use relay_core::affinity::Change;
use relay_core::board::Board;
use relay_core::error::RelayError;
use relay_core::moment::Moment;
use relay_core::project::ProjectName;
use relay_core::receipt::{Ending, Receipt};
use relay_core::record::{Bodies, Exhibit, KeptBody, Outcome, RequestRecord};
use relay_core::refusal::rule_event;
use relay_core::request::Inbound;
use relay_core::trace::{Sampling, Trace};

use crate::afford::charge;
use crate::bill::price;
use crate::clock::{self, Clock};
use crate::exhibit::{ExhibitOptions, shown_body, shown_headers};
use crate::hold::Answer;
use crate::observe::{Observer, Seen};
use crate::settings::Reloads;
use crate::underway::{Open, Underway};

/// Takes the records of ended requests. It is called on the request's path: it must not wait.
pub trait RecordSink: Send + Sync {
    /// Takes one record, to keep or to look at; with what was said, where that is kept.
    fn record(&self, record: &Arc<RequestRecord>, bodies: Option<&Bodies>);
}

/// What has happened since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests that have ended.
    pub requests: AtomicU64,
    /// Of these, those in which the client saw a failure.
    pub failed: AtomicU64,
    /// Times that an upstream could not take something, and was asked without it.
    pub left_out: AtomicU64,
    /// Requests under way.
    pub live: AtomicUsize,
    /// Client connections open.
    pub connections: AtomicUsize,
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) board: Arc<Board>,
    pub(crate) counters: Counters,
    pub(crate) sink: Arc<dyn RecordSink>,
    pub(crate) reloads: Reloads,
    pub(crate) underway: Underway,
    /// How requests are traced, if they are.
    pub(crate) sampling: Option<Sampling>,
}

/// One request under way.
pub(crate) struct Exchange {
    shared: Arc<Shared>,
    exhibit: ExhibitOptions,
    request_id: Box<str>,
    open: Arc<Open>,
    sent_at: Instant,
    /// What was asked, where it is kept.
    asked: Option<KeptBody>,
    /// When the attempt began whose receipt this is.
    receipt: Option<(Receipt, Moment)>,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange")
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

impl Exchange {
    /// Begins with the head of a request.
    pub(crate) fn begin(
        shared: &Arc<Shared>,
        options: ExhibitOptions,
        head: &request::Parts,
        request_id: Box<str>,
    ) -> Self {
        shared.counters.live.fetch_add(1, Ordering::Relaxed);
        let exhibit = options.headers.then(|| Box::new(exhibit(&head.headers)));
        let record = Box::new(RequestRecord {
            trace: Trace::begin(&head.headers, shared.sampling, || shared.clock.seed()),
            agent: header_text(&head.headers, "x-claude-code-agent-id"),
            project: ProjectName::of_headers(&head.headers),
            parent_agent: header_text(&head.headers, "x-claude-code-parent-agent-id"),
            logs_connection: options.connection,
            exhibit,
            ..RequestRecord::begun(
                request_id.clone(),
                head.method.clone(),
                head.uri.path(),
                clock::unix(),
            )
        });
        let open = shared.underway.open(record);
        Self {
            shared: Arc::clone(shared),
            exhibit: options,
            request_id,
            sent_at: open.began(),
            open,
            asked: None,
            receipt: None,
        }
    }

    /// Returns the name of the request.
    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Reads what is known so far; `None` once it has ended.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&RequestRecord) -> T) -> Option<T> {
        self.open.with(|record| look(record))
    }

    /// Returns the present moment.
    pub(crate) fn now(&self) -> Moment {
        self.shared.clock.now()
    }

    /// Notes what is known once the body was read, and keeps so many bytes of it.
    pub(crate) fn read(&mut self, inbound: &Inbound, read_at: Instant, kept_bytes: usize) {
        let body_bytes = self.exhibit.body_bytes;
        self.sent_at = read_at;
        self.asked = (kept_bytes > 0).then(|| KeptBody::of(&inbound.body, kept_bytes));
        self.note(|record| {
            record.endpoint = inbound.endpoint.name();
            record.model = inbound.facts.model.as_ref().map(|field| field.name.clone());
            record.session.clone_from(&inbound.facts.session);
            if record.project.is_none() {
                record.project = ProjectName::of_body(&inbound.body);
            }
            record.stream = inbound.facts.stream;
            record.request_bytes = u64::try_from(inbound.body.len()).unwrap_or(u64::MAX);
            if body_bytes > 0 {
                let exhibit = record.exhibit.get_or_insert_default();
                exhibit.request_body = Some(shown_body(&inbound.body, body_bytes));
            }
        });
    }

    /// Notes that the request goes out now, for the first time.
    pub(crate) fn sending(&mut self) {
        let read_at = self.sent_at;
        self.sent_at = clock::now();
        let overhead = self.sent_at.saturating_duration_since(read_at);
        self.note(|record| record.overhead = overhead);
    }

    /// Notes the answer that the client gets, and takes what its attempt owes. `since` is when that
    /// attempt began.
    pub(crate) fn answered(&mut self, answer: &Answer, receipt: Option<(Receipt, Moment)>) {
        let time_to_head = self.sent_at.elapsed();
        let shows_headers = self.exhibit.headers;
        let headers = &answer.head.headers;
        let status = answer.head.status.as_u16();
        self.note(|record| {
            record.answered = receipt.is_some() || record.attempts.is_empty();
            record.time_to_head = Some(time_to_head);
            record.status = Some(status);
            record.upstream_request_id = header_text(headers, "request-id");
            record.connection = Some(answer.connection.clone());
            if shows_headers {
                let exhibit = record.exhibit.get_or_insert_default();
                exhibit.response_headers = shown_headers(headers);
            }
        });
        self.receipt = receipt;
        self.observed(&answer.observer);
    }

    /// Notes what the answer has shown so far: `message_start` says what the input really was.
    pub(crate) fn observed(&mut self, observer: &Observer) {
        let Some((receipt, _)) = &mut self.receipt else {
            return;
        };
        if let Some(facts) = observer.stream_facts().filter(|facts| facts.started) {
            receipt.start(&facts.usage, self.shared.clock.now());
            self.open.with(|record| {
                record.usage = facts.usage;
                record.events = facts.events;
            });
        }
    }

    /// Notes bytes that go to the client.
    pub(crate) fn passed(&mut self, bytes: &[u8]) {
        let now = clock::now();
        let (sent_at, body_bytes) = (self.sent_at, self.exhibit.body_bytes);
        let mut first = false;
        self.open.pass(now, |record| {
            first = record.response_bytes == 0;
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            record.response_bytes = record.response_bytes.saturating_add(length);
            if first {
                record.time_to_first_event = Some(now.saturating_duration_since(sent_at));
            }
            if first && body_bytes > 0 {
                let exhibit = record.exhibit.get_or_insert_default();
                exhibit.response_body = Some(shown_body(bytes, body_bytes));
            }
        });
        if first && let Some((receipt, since)) = &mut self.receipt {
            let now = self.shared.clock.now();
            receipt.first_event(now.since(*since), now);
        }
    }

    /// Notes something about the request.
    pub(crate) fn note(&mut self, note: impl FnOnce(&mut RequestRecord)) {
        self.open.with(note);
    }

    /// Ends with an answer of the relay's own that is no refusal.
    pub(crate) fn answered_here(mut self, status: StatusCode) {
        self.note(|record| record.status = Some(status.as_u16()));
        self.end(Outcome::Complete, None);
    }

    /// Ends with a refusal of the relay's own.
    pub(crate) fn refuse(mut self, error: &RelayError) {
        if *error == RelayError::ClientLeft {
            return self.end(Outcome::ClientGone, None);
        }
        self.note(|record| {
            record.status = Some(error.wire().status.as_u16());
            record.error_type = Some(error.error_type().into());
        });
        if let RelayError::OverBudget(exhausted) = error {
            let budget = &exhausted.budget;
            self.note(|record| record.budget = Some(Arc::clone(&budget.name)));
            self.shared.board.spend.refused(budget);
        }
        self.end(Outcome::Refused, None);
    }

    /// Ends with what the upstream's answer told.
    pub(crate) fn finish(mut self, outcome: Outcome, seen: Option<Seen>) {
        self.end(outcome, seen);
    }

    fn end(&mut self, outcome: Outcome, seen: Option<Seen>) {
        let Some(mut record) = self.shared.underway.close(&self.open) else {
            return;
        };
        record.outcome = outcome;
        record.duration = self.open.began().elapsed();
        let mut bodies = self.asked.take().map(|request| Bodies {
            request,
            ..Bodies::default()
        });
        if let Some(mut seen) = seen {
            if let Some(bodies) = &mut bodies {
                bodies.response = std::mem::take(&mut seen.body);
            }
            record.observation = seen.observation();
            take_over(&mut record, seen);
        }
        let mut rewritten = 0;
        let mut sale = None;
        if let Some((receipt, _)) = self.receipt.take() {
            sale = Some(receipt.sale());
            let clock = &self.shared.clock;
            let ending = ending(&record);
            let change = receipt.finish(ending, &record.usage, clock.now(), clock.seed());
            record.affinity = change.map(Change::name).or(record.affinity);
            if let Some(
                Change::Moved { rewritten_tokens } | Change::Borrowed { rewritten_tokens },
            ) = change
            {
                rewritten = rewritten_tokens;
            }
        }
        if let Some((seller, sent_model)) = &sale {
            let prices = self.shared.board.prices();
            price(&mut record, rewritten, (seller, sent_model), &prices);
        }
        charge(&record, &self.shared.board.spend);
        if record.error_type.is_none() {
            record.error_type = error_type(&record).map(Into::into);
        }
        let failed = record.status.is_none_or(|status| status >= 400)
            || matches!(
                outcome,
                Outcome::ErrorEvent | Outcome::StreamCut | Outcome::Stalled
            );
        let counters = &self.shared.counters;
        counters.live.fetch_sub(1, Ordering::Relaxed);
        counters.requests.fetch_add(1, Ordering::Relaxed);
        if failed && outcome != Outcome::ClientGone {
            counters.failed.fetch_add(1, Ordering::Relaxed);
        }
        let record = Arc::new(*record);
        self.shared.sink.record(&record, bodies.as_ref());
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.end(Outcome::ClientGone, None);
    }
}

/// Says how a delivered answer ended, as far as its target is to blame.
fn ending(record: &RequestRecord) -> Ending {
    let kind = record.error_type.as_deref().unwrap_or_default();
    match record.outcome {
        Outcome::Complete => Ending::Served,
        Outcome::ErrorEvent if rule_event(kind).strikes => Ending::Failed,
        Outcome::StreamCut | Outcome::Stalled => Ending::Failed,
        Outcome::ErrorEvent | Outcome::ClientGone | Outcome::Refused => Ending::Left,
    }
}

fn take_over(record: &mut RequestRecord, seen: Seen) {
    let (usage, model, stop_reason, error_type) = if let Some(facts) = seen.stream {
        record.events = facts.events;
        (
            facts.usage,
            facts.model,
            facts.stop_reason,
            facts.error_type,
        )
    } else {
        let message = seen.message;
        (
            message.usage,
            message.model,
            message.stop_reason,
            message.error_type,
        )
    };
    record.usage = usage;
    record.response_model = model;
    record.stop_reason = stop_reason;
    record.error_type = error_type.or(record.error_type.take());
}

/// Names what went wrong where nothing said so.
fn error_type(record: &RequestRecord) -> Option<&'static str> {
    match (record.outcome, record.status) {
        (Outcome::StreamCut, _) => Some("stream_cut"),
        (Outcome::Stalled, _) => Some("timeout"),
        (Outcome::ClientGone, _) => Some("client_gone"),
        (_, Some(429)) => Some("rate_limited"),
        (_, Some(529)) => Some("overloaded"),
        (_, Some(status)) if status >= 500 => Some("upstream_5xx"),
        (_, Some(status)) if status >= 400 => Some("upstream_4xx"),
        _ => None,
    }
}

fn exhibit(headers: &HeaderMap) -> Exhibit {
    Exhibit {
        request_headers: shown_headers(headers),
        ..Exhibit::default()
    }
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<Box<str>> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(Into::into)
}
