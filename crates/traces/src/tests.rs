//! What becomes of records, whatever the collector does.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use prost::Message as _;
use relay_core::record::{Attempt, Departure, Outcome};
use relay_core::request::ModelName;
use relay_core::snapshot::{Origin, TargetId};
use relay_core::trace::{Sampling, SpanId};

use super::*;
use crate::span::spans;
use crate::wire::{AnyValue, ExportRequest, ExportResponse, PartialSuccess, Span, Value};

fn record(percent: u8) -> RequestRecord {
    let mut last = 0;
    let draw = || {
        last += 1;
        relay_core::chance::mix(last)
    };
    let trace = Trace::begin(&HeaderMap::new(), Some(Sampling { percent }), draw);
    RequestRecord {
        trace,
        endpoint: "messages",
        target: Some(TargetId::new("up")),
        model: Some(ModelName::new("claude-opus-5-5")),
        stream: true,
        duration: Duration::from_millis(900),
        error_type: Some("client_gone".into()),
        ..RequestRecord::begun(
            "req_1".into(),
            http::Method::POST,
            "/v1/messages",
            Duration::from_secs(1_763_820_142),
        )
    }
}

fn origin() -> Arc<Origin> {
    Arc::new(Origin {
        vendor: "anthropic",
        host: "api.anthropic.com".into(),
        port: 443,
    })
}

fn departure() -> Departure {
    Departure {
        began: Duration::from_millis(100),
        span: Some(SpanId::drawn(7)),
        origin: origin(),
    }
}

fn of(record: &RequestRecord) -> Vec<Span> {
    let mut all = Vec::new();
    spans(record, &mut all);
    all
}

fn text<'a>(span: &'a Span, name: &str) -> Option<&'a str> {
    let found = span.attributes.iter().find(|it| it.key == name)?;
    match found.value.as_ref()? {
        AnyValue {
            value: Some(Value::Text(text)),
        } => Some(text),
        AnyValue { .. } => None,
    }
}

#[test]
fn a_client_that_left_is_no_error_of_anybodys() {
    let mut record = record(100);
    record.last = Some(departure());
    let spans = of(&record);
    assert_eq!(spans.len(), 2);
    for span in &spans {
        assert_eq!(span.status, None);
        assert_eq!(text(span, "error.type"), Some("client_gone"));
        assert!(
            !span
                .attributes
                .iter()
                .any(|it| it.key == "http.response.status_code")
        );
    }
    assert_eq!(
        spans[1].start_unix_nanos - spans[0].start_unix_nanos,
        100_000_000
    );
    assert_eq!(spans[1].end_unix_nanos, spans[0].end_unix_nanos);
}

#[test]
fn an_answer_of_the_relays_own_is_no_upstreams_status() {
    let mut record = record(100);
    record.last = Some(departure());
    (record.status, record.outcome) = (Some(502), Outcome::Refused);
    let spans = of(&record);
    let has_status = |span: &Span| {
        span.attributes
            .iter()
            .any(|it| it.key == "http.response.status_code")
    };
    assert_eq!(
        [has_status(&spans[0]), has_status(&spans[1])],
        [true, false]
    );
    assert!(spans.iter().all(|span| span.status.is_some()));
}

#[test]
fn nobody_was_asked_and_all_refused() {
    let mut record = record(100);
    assert_eq!(of(&record).len(), 1);
    record.attempts = vec![Attempt {
        target: TargetId::new("up"),
        key: None,
        status: Some(529),
        reason: "overloaded",
        began: Duration::ZERO,
        took: Duration::from_millis(3),
        span: Some(SpanId::drawn(9)),
        origin: origin(),
    }];
    let spans = of(&record);
    assert_eq!(
        (spans.len(), text(&spans[1], "error.type")),
        (2, Some("overloaded"))
    );
    record.trace = None;
    assert!(of(&record).is_empty());
}

#[test]
fn what_others_say_is_cut_and_what_is_no_turn_has_no_model_in_its_name() {
    let mut record = record(100);
    record.last = Some(departure());
    record.model = Some(ModelName::new("é".repeat(1000)));
    let spans = of(&record);
    assert_eq!(spans[1].name.len(), "chat ".len() + 256);
    assert_eq!(
        text(&spans[1], "gen_ai.request.model").map(str::len),
        Some(256)
    );
    record.endpoint = "passthrough";
    record.path = "/v1/files/file_1".into();
    let spans = of(&record);
    assert_eq!([&*spans[0].name, &*spans[1].name], ["POST", "POST"]);
    assert_eq!(text(&spans[1], "gen_ai.operation.name"), None);
}

#[test]
fn a_full_queue_drops_and_counts_and_what_is_not_sampled_is_not_queued() {
    let state = Arc::new(TracesState::default());
    let (queue, mut records) = mpsc::channel(2);
    let inlet = Inlet { queue, state };
    let (sampled, unsampled) = (Arc::new(record(100)), Arc::new(record(0)));
    for _ in 0..3 {
        inlet.take(&unsampled);
        inlet.take(&sampled);
    }
    assert_eq!(inlet.state.dropped.load(Ordering::Relaxed), 1);
    assert!((0..2).all(|_| records.try_recv().is_ok()));
    assert!(records.try_recv().is_err());
}

/// Answers one export over HTTP after the other; returns what came.
fn answer(listener: &TcpListener, answers: &[(u16, Vec<u8>)]) -> Vec<ExportRequest> {
    let mut came = Vec::new();
    for (status, body) in answers {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut raw, mut piece) = (Vec::new(), [0; 4096]);
        let message = loop {
            let count = stream.read(&mut piece).unwrap();
            raw.extend_from_slice(&piece[..count]);
            let head = raw.windows(4).position(|it| it == b"\r\n\r\n");
            let Some(head) = head else { continue };
            let said = String::from_utf8_lossy(&raw[..head]).into_owned();
            let length = said
                .lines()
                .find_map(|it| it.strip_prefix("content-length: "));
            let length: usize = length.unwrap().parse().unwrap();
            if raw.len() == head + 4 + length {
                break ExportRequest::decode(&raw[head + 4..]).unwrap();
            }
        };
        came.push(message);
        let head = format!(
            "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
    }
    came
}

/// Trusts nobody: the collectors here speak in the clear.
fn untrusting() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    builder
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// Sends one record to a collector that answers so.
fn exchange(answers: Vec<(u16, Vec<u8>)>) -> (Vec<ExportRequest>, (u64, u64)) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = TracesOptions {
        endpoint: format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap(),
        protocol: Protocol::Http,
        tls: untrusting(),
        headers: HeaderMap::new(),
        service_name: "cc-relay".to_owned(),
        version: "1",
    };
    let traces = Traces::start(&options).unwrap();
    let state = traces.state();
    let collector = std::thread::spawn(move || answer(&listener, &answers));
    traces.inlet().take(&Arc::new(record(100)));
    let came = collector.join().unwrap();
    drop(traces);
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    (came, (count(&state.sent), count(&state.dropped)))
}

#[test]
fn a_batch_is_tried_again_where_that_may_help() {
    let (came, counts) = exchange(vec![(503, Vec::new()), (200, Vec::new())]);
    assert_eq!((came.len(), counts), (2, (1, 0)));
    assert_eq!(came[0], came[1]);
}

#[test]
fn a_batch_that_is_refused_for_good_is_dropped() {
    let (came, counts) = exchange(vec![(401, b"no".to_vec())]);
    assert_eq!((came.len(), counts), (1, (0, 1)));
}

#[test]
fn spans_that_were_rejected_are_not_sent_again() {
    let partial_success = Some(PartialSuccess {
        rejected_spans: 1,
        error_message: "too old".to_owned(),
    });
    let body = ExportResponse { partial_success }.encode_to_vec();
    let (came, counts) = exchange(vec![(200, body)]);
    assert_eq!((came.len(), counts), (1, (1, 0)));
}
