//! Traces of the real binary, as an independent collector and the upstreams get them.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{self as proto, Span};
use prost::Message as _;
use relay_sim::{Script, Sim};

use crate::collector::{Collector, spans_of};
use crate::reload::Served;
use crate::support::{Home, nobody};

/// Longest wait for anything. It is a bound, never a measure.
const PATIENCE: Duration = Duration::from_secs(30);

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn hex(bytes: &[u8]) -> String {
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|it| format!("{it:x}")).concat();
    bytes.iter().map(digits).collect()
}

/// Attributes as text, by their names.
fn attributes(all: &[KeyValue]) -> BTreeMap<&str, String> {
    let shown = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::BoolValue(flag) => flag.to_string(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => format!("{number}"),
        Value::ArrayValue(_)
        | Value::KvlistValue(_)
        | Value::BytesValue(_)
        | Value::StringValueStrindex(_) => format!("{value:?}"),
    };
    let value = |it: &KeyValue| shown(it.value.as_ref().unwrap().value.as_ref().unwrap());
    all.iter().map(|it| (it.key.as_str(), value(it))).collect()
}

fn code(span: &Span) -> StatusCode {
    span.status
        .as_ref()
        .map_or(StatusCode::Unset, proto::Status::code)
}

/// A relay in front of so many upstreams, which sends its traces as `traces` says.
async fn serve(count: usize, traces: &str) -> (Vec<Sim>, Home, Served) {
    serve_with(count, traces, &[]).await
}

/// The same with variables of the environment.
async fn serve_with(
    count: usize,
    traces: &str,
    variables: &[(&str, &str)],
) -> (Vec<Sim>, Home, Served) {
    let (mut sims, home) = (Vec::new(), Home::new());
    let mut text = format!(
        "server: {{listen: '127.0.0.1:0'}}\nrouting: {{model_lists: false}}\ntraces: {traces}\nproviders:\n"
    );
    for place in 0..count {
        let sim = Sim::builder().start().await.unwrap();
        let line = format!(
            "  - {{name: u{place}, type: anthropic, base_url: '{}', proxy: none, accepts_client_credential: false, keys: [{{key: sk-ant-secret-{place}, name: team}}]}}\n",
            sim.base_url()
        );
        text.push_str(&line);
        sims.push(sim);
    }
    home.write("relay.yaml", &text);
    let served = Served::start_with(&home, "relay.yaml", variables);
    (sims, home, served)
}

/// A turn with further lines in its head.
fn turn(served: &Served, lines: &str) -> String {
    let body = r#"{"model":"claude-opus-5-5","max_tokens":9,"messages":[{"role":"user","content":"a private prompt"}]}"#;
    served.say(&format!(
        "POST /v1/messages?beta=true HTTP/1.1\r\nhost: r\r\n{lines}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    ))
}

/// What the last request to an upstream said of traces.
fn told(sim: &Sim) -> (Vec<String>, Vec<String>) {
    let last = sim
        .requests()
        .into_iter()
        .rfind(|it| it.method == "POST")
        .unwrap();
    let all = |name: &str| {
        last.header_all(name)
            .into_iter()
            .map(str::to_owned)
            .collect()
    };
    (all("traceparent"), all("tracestate"))
}

fn field(line: &str, name: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    line[name].as_str().map(str::to_owned)
}

/// Holds the span of a request to what its client saw.
fn is_request(request: &Span) {
    assert_eq!(request.kind(), SpanKind::Server);
    assert_eq!(request.name, "POST /v1/messages");
    assert_eq!(hex(&request.parent_span_id), PARENT);
    assert_eq!(request.flags & 0x3ff, 0x301);
    assert_eq!(code(request), StatusCode::Unset);
    let set = attributes(&request.attributes);
    assert_eq!(set["http.response.status_code"], "200");
    assert_eq!(set["url.path"], "/v1/messages");
    assert_eq!(set["ccrelay.attempts"], "2");
    assert_eq!(set["ccrelay.outcome"], "complete");
    assert!(!set.contains_key("gen_ai.usage.input_tokens"), "{set:?}");
}

/// Holds an attempt to what both sides saw of it.
fn is_attempt(request: &Span, (place, span): (usize, &Span), sim: &Sim) {
    assert_eq!(span.kind(), SpanKind::Client);
    assert_eq!(span.name, "chat claude-opus-5-5");
    assert_eq!(span.parent_span_id, request.span_id);
    assert!(span.start_time_unix_nano >= request.start_time_unix_nano);
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    assert!(span.end_time_unix_nano <= request.end_time_unix_nano);
    let set = attributes(&span.attributes);
    assert_eq!(set["gen_ai.operation.name"], "chat");
    assert_eq!(set["gen_ai.provider.name"], "anthropic");
    assert_eq!(set["gen_ai.request.model"], "claude-opus-5-5");
    assert_eq!(set["gen_ai.conversation.id"], "s-1");
    assert_eq!(set["ccrelay.provider"], format!("u{}", place - 1));
    assert_eq!(set["ccrelay.key.name"], "team");
    assert_eq!(set["ccrelay.attempt"], place.to_string());
    let url = sim.base_url();
    assert_eq!(
        url,
        format!("http://{}:{}", set["server.address"], set["server.port"])
    );
    // The upstream was told whose child it is, and got the state as it came.
    let parent = format!("00-{TRACE}-{}-01", hex(&span.span_id));
    assert_eq!(told(sim), (vec![parent], vec!["a=1,b=2".to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_attempt_is_a_span_below_that_of_the_request() {
    let mut collector = Collector::start().await;
    let traces = format!(
        "{{enabled: true, endpoint: '{}', service_name: relay-7, headers: [{{name: authorization, value: Bearer of-the-collector}}]}}",
        collector.url
    );
    let (sims, _home, served) = serve(2, &traces).await;
    sims[0].push(Script::error(529, "overloaded_error", "later"));
    let lines = format!(
        "traceparent: 00-{TRACE}-{PARENT}-01\r\ntracestate: a=1,b=2\r\nx-claude-code-session-id: s-1\r\n"
    );
    assert!(turn(&served, &lines).contains("200 OK"));
    let log = served.wait(r#""event.name":"request""#);
    let (metadata, message) = collector.next().await;
    assert_eq!(
        metadata.get("authorization").unwrap(),
        "Bearer of-the-collector"
    );
    let resource = message.resource_spans[0].resource.clone().unwrap();
    assert_eq!(attributes(&resource.attributes)["service.name"], "relay-7");
    let said = format!("{message:?}");
    for secret in ["sk-ant", "private", "of-the-collector"] {
        assert!(!said.contains(secret), "{said}");
    }
    let mut spans = spans_of(message);
    spans.sort_by_key(|span| span.start_time_unix_nano);
    let [request, first, second] = spans.as_slice() else {
        panic!("{spans:#?}");
    };
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
    is_request(request);
    is_attempt(request, (1, first), &sims[0]);
    is_attempt(request, (2, second), &sims[1]);
    let (failed, answered) = (
        attributes(&first.attributes),
        attributes(&second.attributes),
    );
    assert_eq!(
        (code(first), failed["error.type"].as_str()),
        (StatusCode::Error, "overloaded")
    );
    assert_eq!(failed["http.response.status_code"], "529");
    assert!(
        !failed.contains_key("gen_ai.usage.input_tokens"),
        "{failed:?}"
    );
    assert_eq!(code(second), StatusCode::Unset);
    assert_eq!(answered["http.response.status_code"], "200");
    assert_eq!(answered["gen_ai.response.model"], "claude-opus-5-5");
    for name in ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"] {
        assert!(answered[name].parse::<u64>().unwrap() > 0, "{answered:?}");
    }
    assert_eq!(field(&log, "trace_id").as_deref(), Some(TRACE));
    assert_eq!(field(&log, "span_id"), Some(hex(&request.span_id)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_is_sent_of_what_is_not_sampled_and_the_last_is_sent_at_the_end() {
    let mut collector = Collector::start().await;
    let traces = format!(
        "{{enabled: true, endpoint: '{}', sample_percent: 0}}",
        collector.url
    );
    let (sims, _home, served) = serve(1, &traces).await;
    // A trace that begins here is not recorded, and the upstream is told so.
    assert!(turn(&served, "tracestate: a=1\r\n").contains("200 OK"));
    let log = served.wait(r#""event.name":"request""#);
    let (parents, states) = told(&sims[0]);
    let id = field(&log, "trace_id").unwrap();
    assert!(
        parents[0].starts_with(&format!("00-{id}-")),
        "{parents:?} {id}"
    );
    assert_eq!(
        (parents.len(), parents[0].ends_with("-02")),
        (1, true),
        "{parents:?}"
    );
    // Without a parent it says nothing.
    assert_eq!(states, Vec::<String>::new());
    // The client's choice comes before the relay's.
    let sampled = format!("traceparent: 00-{TRACE}-{PARENT}-01\r\n");
    assert!(turn(&served, &sampled).contains("200 OK"));
    served.wait(TRACE);
    served.stop();
    let spans = collector.spans(2).await;
    assert!(
        spans.iter().all(|span| hex(&span.trace_id) == TRACE),
        "{spans:#?}"
    );
    assert!(collector.exports.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_collector_that_is_away_harms_no_request_and_is_said_once() {
    let traces = format!("{{enabled: true, endpoint: 'http://{}'}}", nobody());
    let (_sims, _home, served) = serve(1, &traces).await;
    assert!(turn(&served, "").contains("200 OK"));
    let line = served.wait("traces: the collector does not take them");
    assert!(line.contains("WARN"), "{line}");
    for _ in 0..3 {
        assert!(turn(&served, "").contains("200 OK"));
    }
    let rest = served.stop();
    let complaints = rest
        .iter()
        .filter(|line| line.contains("\"traces: the collector does"));
    assert_eq!(complaints.count(), 0, "{rest:#?}");
    let last = rest
        .iter()
        .find(|line| line.contains("traces: dropped at the end"));
    assert!(last.unwrap().contains(r#""requests":4"#), "{rest:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn switched_off_the_clients_trace_passes_as_it_came_and_is_logged() {
    let (sims, _home, served) = serve(1, "{enabled: false}").await;
    let came = format!("00-{TRACE}-{PARENT}-00");
    let lines = format!("traceparent: {came}\r\ntracestate: a=1\r\n");
    assert!(turn(&served, &lines).contains("200 OK"));
    assert_eq!(told(&sims[0]), (vec![came], vec!["a=1".to_owned()]));
    let log = served.wait(r#""event.name":"request""#);
    assert_eq!(field(&log, "trace_id").as_deref(), Some(TRACE));
    assert_eq!(field(&log, "span_id"), None);
    assert!(turn(&served, "").contains("200 OK"));
    let log = served.wait(r#""event.name":"request""#);
    assert_eq!(field(&log, "trace_id"), None);
    assert_eq!(told(&sims[0]), (Vec::new(), Vec::new()));
}

/// Takes one export over HTTP.
fn take(listener: &TcpListener) -> (String, Vec<u8>) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut raw, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut piece).unwrap();
        raw.extend_from_slice(&piece[..count]);
        let Some(split) = raw.windows(4).position(|it| it == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&raw[..split]).into_owned();
        let length = head
            .lines()
            .find_map(|it| it.strip_prefix("content-length: "));
        if raw.len() == split + 4 + length.unwrap().parse::<usize>().unwrap() {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).unwrap();
            return (head, raw.split_off(split + 4));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_may_be_spoken_to_over_http() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/in/", listener.local_addr().unwrap());
    let traces = format!("{{enabled: true, protocol: http, endpoint: '{url}'}}");
    let (_sims, _home, served) = serve(1, &traces).await;
    assert!(turn(&served, "").contains("200 OK"));
    let (sender, taken) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(take(&listener)));
    let (head, body) = taken.recv_timeout(PATIENCE).expect("an export");
    assert!(
        head.starts_with("POST /in/v1/traces HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains("content-type: application/x-protobuf"),
        "{head}"
    );
    let message = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    let spans = spans_of(message);
    assert_eq!(spans.len(), 2, "{spans:#?}");
    assert!(spans[0].parent_span_id.is_empty());
    assert_eq!(spans[1].parent_span_id, spans[0].span_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_collector_may_be_spoken_to_over_tls_if_it_is_trusted() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let mut collector = Collector::secure(&made).await;
    let traces = format!("{{enabled: true, endpoint: '{}'}}", collector.url);
    let (_sims, _home, stranger) = serve(1, &traces).await;
    assert!(turn(&stranger, "").contains("200 OK"));
    stranger.wait("traces: the collector does not take them");
    let folder = Home::new();
    let file = folder.write("ca.pem", &made.cert.pem());
    let trusted = [("SSL_CERT_FILE", file.to_str().unwrap())];
    let (_sims, _home, served) = serve_with(1, &traces, &trusted).await;
    assert!(turn(&served, "").contains("200 OK"));
    assert_eq!(collector.spans(2).await.len(), 2);
    assert!(collector.exports.try_recv().is_err());
}
