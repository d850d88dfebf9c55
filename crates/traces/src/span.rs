//! A request as spans: one of the request, as the client saw it, and one of each attempt below it.
//!
//! In: a record. Out: spans as OTLP wants them. It must never tell a prompt, an answer or a
//! credential: the record has none but where debugging keeps them, and that is not read here.
//!
//! What was used and what it cost stands at the attempt that was answered and nowhere else, so that
//! whoever adds up spans counts it once.

use std::time::Duration;

use relay_core::project::ProjectName;
use relay_core::record::{Attempt, Departure, KeyName, Outcome, RequestRecord};
use relay_core::request::{ModelName, SessionId};
use relay_core::semconv as name;
use relay_core::snapshot::{Origin, TargetId};
use relay_core::trace::{SpanId, Trace};

use crate::wire::{
    AnyValue, CLIENT, HAS_IS_REMOTE, IS_REMOTE, KeyValue, List, SERVER, Span, Status, Value,
};

/// Longest text of an attribute. Model names and error types are the word of clients and upstreams.
const TEXT_BYTES: usize = 256;

/// Appends the spans of a request, if it is traced.
pub(crate) fn spans(record: &RequestRecord, out: &mut Vec<Span>) {
    let Some((trace, own)) = record.trace.and_then(|trace| Some((trace, trace.span?))) else {
        return;
    };
    out.push(request(record, &trace, own));
    for (place, attempt) in (1..).zip(&record.attempts) {
        out.extend(failed(record, &trace, place, attempt));
    }
    if let Some(last) = &record.last {
        out.extend(answered(record, &trace, last));
    }
}

/// Tells whether the answer broke or told of a failure after its head.
fn is_broken(outcome: Outcome) -> bool {
    match outcome {
        Outcome::ErrorEvent | Outcome::StreamCut | Outcome::Stalled => true,
        Outcome::Complete | Outcome::ClientGone | Outcome::Refused => false,
    }
}

/// The request, as its client saw it.
fn request(record: &RequestRecord, trace: &Trace, own: SpanId) -> Span {
    let method = record.method.as_str();
    let route = route(record.endpoint);
    let mut set = Attributes::default();
    set.text(name::METHOD, method);
    set.text(name::PATH, &record.path);
    set.maybe(name::ROUTE, route);
    set.whole(name::STATUS, record.status.map(u64::from));
    set.maybe(name::ERROR_TYPE, record.error_type.as_deref());
    set.text(name::REQUEST_ID, &record.request_id);
    set.text(name::OUTCOME, record.outcome.name());
    let endpoint = Some(record.endpoint).filter(|name| !name.is_empty());
    set.maybe(name::ENDPOINT, endpoint);
    set.maybe(name::CLIENT, record.client.as_deref());
    let target = record.target.as_ref().map(TargetId::as_str);
    set.maybe(name::PROVIDER, target);
    set.maybe(name::AFFINITY, record.affinity);
    let session = record.session.as_ref().map(SessionId::as_str);
    set.maybe(name::CONVERSATION, session);
    set.maybe(name::AGENT, record.agent.as_deref());
    let project = record.project.as_ref().map(ProjectName::as_str);
    set.maybe(name::PROJECT, project);
    set.flag(name::STREAM, record.stream);
    let attempts = record.attempts.len() + usize::from(record.last.is_some());
    set.whole(name::ATTEMPTS, u64::try_from(attempts).ok());
    set.seconds(name::FIRST_EVENT, record.time_to_first_event);
    let failed = record.status.is_some_and(|status| status >= 500) || is_broken(record.outcome);
    let remote = trace.parent.map_or(0, |_| IS_REMOTE);
    Span {
        trace: trace.id.bytes().into(),
        own: own.bytes().into(),
        parent: trace.parent.map(|it| it.bytes().into()).unwrap_or_default(),
        name: match route {
            Some(route) => format!("{method} {route}"),
            None => method.to_owned(),
        },
        kind: SERVER,
        start_unix_nanos: nanos(record.started),
        end_unix_nanos: nanos(record.started.saturating_add(record.duration)),
        attributes: set.0,
        status: failed.then_some(Status::ERROR),
        flags: u32::from(trace.flags()) | HAS_IS_REMOTE | remote,
    }
}

/// An attempt that the client saw nothing of.
fn failed(record: &RequestRecord, trace: &Trace, place: u64, attempt: &Attempt) -> Option<Span> {
    let key = attempt.key.as_ref();
    let mut set = asked(record, place, &attempt.origin, Some(&attempt.target), key);
    set.whole(name::STATUS, attempt.status.map(u64::from));
    set.text(name::ERROR_TYPE, attempt.reason);
    let ended = attempt.began.saturating_add(attempt.took);
    let span = child(record, trace, attempt.span?, (attempt.began, ended));
    Some(Span {
        attributes: set.0,
        status: Some(Status::ERROR),
        ..span
    })
}

/// The attempt whose answer the client got, or whose answer it did not wait for.
fn answered(record: &RequestRecord, trace: &Trace, last: &Departure) -> Option<Span> {
    let place = u64::try_from(record.attempts.len()).ok()?.saturating_add(1);
    let (target, key) = (record.target.as_ref(), record.key.as_ref());
    let mut set = asked(record, place, &last.origin, target, key);
    // Otherwise it is the relay's own.
    let status = record.status.filter(|_| record.answered);
    set.whole(name::STATUS, status.map(u64::from));
    set.maybe(name::ERROR_TYPE, record.error_type.as_deref());
    let upstreams = record.upstream_request_id.as_deref();
    set.maybe(name::UPSTREAM_REQUEST_ID, upstreams);
    set.maybe(name::RESPONSE_MODEL, record.response_model.as_deref());
    set.list(name::FINISH_REASONS, record.stop_reason.as_deref());
    let usage = &record.usage;
    set.whole(name::INPUT_TOKENS, usage.total_input_tokens());
    set.whole(name::CACHE_READ_TOKENS, usage.cache_read_input_tokens);
    set.whole(name::CACHE_WRITE_TOKENS, usage.cache_creation_input_tokens);
    set.whole(name::OUTPUT_TOKENS, usage.output_tokens);
    if let Some(cost) = record.cost {
        set.put(name::COST, Value::Number(cost.as_dollars()));
    }
    let refused = status.is_some_and(|status| status >= 400);
    let failed = refused || is_broken(record.outcome) || record.outcome == Outcome::Refused;
    let span = child(record, trace, last.span?, (last.began, record.duration));
    Some(Span {
        attributes: set.0,
        status: failed.then_some(Status::ERROR),
        ..span
    })
}

/// What is known of an attempt before there is an answer.
fn asked(
    record: &RequestRecord,
    place: u64,
    origin: &Origin,
    target: Option<&TargetId>,
    key: Option<&KeyName>,
) -> Attributes {
    let mut set = Attributes::default();
    if is_chat(record) {
        set.text(name::OPERATION, "chat");
    }
    set.text(name::VENDOR, origin.vendor);
    set.maybe(name::MODEL, record.model.as_ref().map(ModelName::as_str));
    let session = record.session.as_ref().map(SessionId::as_str);
    set.maybe(name::CONVERSATION, session);
    set.text(name::METHOD, record.method.as_str());
    set.text(name::SERVER, &origin.host);
    set.whole(name::PORT, Some(u64::from(origin.port)));
    set.maybe(name::PROVIDER, target.map(TargetId::as_str));
    set.maybe(name::KEY, key.map(|key| &*key.name));
    set.maybe(name::KEY_ID, key.map(|key| key.id.as_str()));
    set.whole(name::ATTEMPT, Some(place));
    set
}

fn child(
    record: &RequestRecord,
    trace: &Trace,
    own: SpanId,
    (began, ended): (Duration, Duration),
) -> Span {
    let at = |since: Duration| nanos(record.started.saturating_add(since));
    let model = record.model.as_ref().filter(|_| is_chat(record));
    Span {
        trace: trace.id.bytes().into(),
        own: own.bytes().into(),
        parent: trace.span.map(|it| it.bytes().into()).unwrap_or_default(),
        name: match model {
            Some(model) => format!("chat {}", cut(model.as_str())),
            None => record.method.as_str().to_owned(),
        },
        kind: CLIENT,
        start_unix_nanos: at(began),
        end_unix_nanos: at(ended),
        attributes: Vec::new(),
        status: None,
        flags: u32::from(trace.flags()) | HAS_IS_REMOTE,
    }
}

fn is_chat(record: &RequestRecord) -> bool {
    record.endpoint == "messages"
}

/// Names a path that has no names of things in it.
fn route(endpoint: &str) -> Option<&'static str> {
    match endpoint {
        "messages" => Some("/v1/messages"),
        "count_tokens" => Some("/v1/messages/count_tokens"),
        _ => None,
    }
}

fn nanos(unix: Duration) -> u64 {
    u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX)
}

/// Returns the start of a text.
fn cut(text: &str) -> &str {
    let end = text.floor_char_boundary(TEXT_BYTES);
    text.get(..end).unwrap_or_default()
}

/// Attributes of a span. What is unknown is absent, never zero.
#[derive(Default)]
pub(crate) struct Attributes(pub(crate) Vec<KeyValue>);

impl Attributes {
    fn put(&mut self, key: &'static str, value: Value) {
        self.0.push(KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
        });
    }

    pub(crate) fn text(&mut self, key: &'static str, text: &str) {
        self.put(key, Value::Text(cut(text).to_owned()));
    }

    fn maybe(&mut self, key: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    fn list(&mut self, key: &'static str, only: Option<&str>) {
        if let Some(text) = only {
            let value = Some(Value::Text(cut(text).to_owned()));
            let values = vec![AnyValue { value }];
            self.put(key, Value::List(List { values }));
        }
    }

    fn flag(&mut self, key: &'static str, flag: bool) {
        self.put(key, Value::Flag(flag));
    }

    fn whole(&mut self, key: &'static str, number: Option<u64>) {
        if let Some(number) = number {
            self.put(key, Value::Whole(i64::try_from(number).unwrap_or(i64::MAX)));
        }
    }

    fn seconds(&mut self, key: &'static str, time: Option<Duration>) {
        if let Some(time) = time {
            self.put(key, Value::Number(time.as_secs_f64()));
        }
    }
}
