//! What a line says, and that none is lost unseen.

use std::fs;
use std::time::Duration;

use relay_config::FilePlan;
use relay_core::price::Money;
use relay_core::record::{Attempt, Exhibit, KeyName, Observation, Outcome};
use relay_core::request::{ModelName, SessionId};
use relay_core::snapshot::{Origin, TargetId};
use relay_core::usage::Usage;
use serde_json::Value;

use super::*;

fn record() -> RequestRecord {
    RequestRecord {
        upstream_request_id: Some("req_up".into()),
        endpoint: "messages",
        client: Some("laptop".into()),
        target: Some(TargetId::new("anthropic")),
        model: Some(ModelName::new("claude-sonnet-5-5")),
        answered: true,
        response_model: Some("claude-sonnet-5-5".into()),
        session: SessionId::new("4f1c"),
        agent: Some("a1".into()),
        stream: true,
        status: Some(200),
        time_to_head: Some(Duration::from_millis(710)),
        time_to_first_event: Some(Duration::from_millis(920)),
        longest_gap: Some(Duration::from_millis(1_840)),
        duration: Duration::from_millis(14_400),
        overhead: Duration::from_micros(140),
        request_bytes: 412_000,
        response_bytes: 61_000,
        events: 412,
        usage: Usage {
            input_tokens: Some(1204),
            cache_read_input_tokens: Some(88_904),
            cache_creation_input_tokens: Some(2310),
            output_tokens: Some(1106),
            ..Usage::default()
        },
        cost: Some(Money::nano_dollars(28_133_400)),
        stop_reason: Some("end_turn".into()),
        outcome: Outcome::Complete,
        observation: Observation::Read,
        ..RequestRecord::begun(
            "req_1".into(),
            http::Method::POST,
            "/v1/messages",
            Duration::from_millis(1_763_820_142_511),
        )
    }
}

fn written(record: &RequestRecord, json: bool) -> String {
    let mut out = Vec::new();
    if json {
        line::json(record, &mut out);
    } else {
        line::pretty(record, &mut out);
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn the_json_line_has_the_conventions_names() {
    let line: Value = serde_json::from_str(&written(&record(), true)).unwrap();
    assert_eq!(line["timestamp"], "2025-11-22T14:02:36.911Z");
    assert_eq!(line["event.name"], "request");
    assert_eq!(line["gen_ai.usage.input_tokens"], 92_418);
    assert_eq!(line["gen_ai.usage.cache_read.input_tokens"], 88_904);
    assert_eq!(line["gen_ai.response.finish_reasons"][0], "end_turn");
    assert_eq!(line["ccrelay.ttfe_s"], 0.92);
    assert_eq!(line["ccrelay.provider"], "anthropic");
    assert_eq!(line["ccrelay.cost_usd"], "0.028133");
    assert!(line.get("error.type").is_none());
}

#[test]
fn each_hop_says_where_with_which_key_and_why() {
    let secret = relay_core::secret::Secret::new("sk-ant-fake-hop");
    let key = Some(KeyName {
        id: secret.id(),
        name: "main".into(),
    });
    let mut record = record();
    record.attempts = vec![Attempt {
        target: TargetId::new("first"),
        key: key.clone(),
        status: Some(429),
        reason: "rate_limited",
        began: Duration::from_millis(3),
        span: None,
        origin: Arc::new(Origin {
            vendor: "anthropic",
            host: "127.0.0.1".into(),
            port: 443,
        }),
        took: Duration::from_millis(12),
    }];
    record.key = key;
    record.affinity = Some("borrowed");
    let line: Value = serde_json::from_str(&written(&record, true)).unwrap();
    let hop = serde_json::json!({"provider": "first", "key": "main", "status": 429, "reason": "rate_limited", "took_s": 0.012});
    assert_eq!(line["ccrelay.hops"][0], hop);
    assert_eq!(line["ccrelay.key.id"], secret.id().as_str());
    assert_eq!(line["ccrelay.affinity"], "borrowed");
    let pretty = written(&record, false);
    assert!(
        pretty.contains(" anthropic/main ") && pretty.contains(" hop=first/main:rate_limited "),
        "{pretty}"
    );
    assert!(!pretty.contains("sk-ant"));
}

#[test]
fn what_is_unknown_is_absent() {
    let mut record = record();
    record.usage = Usage::default();
    record.cost = None;
    record.status = None;
    record.outcome = Outcome::ClientGone;
    record.exhibit = Some(Box::new(Exhibit::default()));
    let line: Value = serde_json::from_str(&written(&record, true)).unwrap();
    assert!(line.get("gen_ai.usage.input_tokens").is_none());
    assert!(line.get("ccrelay.cost_usd").is_none());
    assert!(line.get("http.response.status_code").is_none());
    assert!(line.get("ccrelay.request.headers").is_none());
}

#[test]
fn the_line_for_people_reads_in_one_glance() {
    let line = written(&record(), false);
    assert_eq!(
        line,
        "14:02:36.911 INFO  request  200 claude-sonnet-5-5 anthropic 14.40s ttfe=0.92s in=92418 cache_read=88904 out=1106 $0.0281 session=4f1c req_1\n"
    );
}

#[test]
fn nobody_writes_lines_or_colours_into_the_log() {
    let mut record = record();
    record.model = Some(ModelName::new(
        "a\n14:02:36.911 INFO  \u{1b}[31mforged\u{9b}2J\u{202e}é",
    ));
    record.error_type = Some("x\r\u{7}".into());
    let line = written(&record, false);
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    let escaped = r"a\n14:02:36.911 INFO  \u{1b}[31mforged\u{9b}2J\u{202e}é anthropic";
    assert!(line.contains(escaped), "{line}");
    assert!(line.contains(r"error=x\r\u{7}"), "{line}");
    record.model = Some(ModelName::new("m".repeat(5000)));
    assert!(written(&record, false).len() < 500);
    assert_eq!(written(&record, true).matches('\n').count(), 1);
}

#[test]
fn an_event_has_its_fields_as_they_were_given() {
    let (queue, entries) = sync_channel(2);
    let inlet = Inlet {
        queue,
        dropped: Arc::default(),
        level: Threshold::new(LogLevel::Info),
    };
    tracing::subscriber::with_default(event::subscriber(inlet, Arc::default()), || {
        tracing::info!(zone = "z", a = 1, text = "\u{1b}[2J\n", "relay.\nstart");
    });
    let Ok(Entry::Event(event)) = entries.try_recv() else {
        panic!("no event came");
    };
    let shown = |json| {
        let mut out = Vec::new();
        event.write(json, &mut out);
        String::from_utf8(out).unwrap()
    };
    let json = shown(true);
    let (head, rest) = json.split_at(json.find(",\"severity_text").unwrap());
    assert!(head.starts_with("{\"timestamp\":"), "{head}");
    assert_eq!(
        rest,
        ",\"severity_text\":\"INFO\",\"body\":\"relay.\\nstart\",\"zone\":\"z\",\"a\":1,\"text\":\"\\u001b[2J\\n\"}\n"
    );
    let line = shown(false);
    let (_, line) = line.split_at(13);
    assert_eq!(
        line,
        "INFO  relay.\\nstart zone=\"z\" a=1 text=\"\\u001b[2J\\n\"\n"
    );
}

#[test]
fn a_broken_stream_is_an_error() {
    let mut record = record();
    assert_eq!(line::level(&record), LogLevel::Info);
    record.outcome = Outcome::StreamCut;
    assert_eq!(line::level(&record), LogLevel::Error);
}

#[test]
fn what_was_recorded_before_the_end_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.log");
    let file = Some(FilePlan {
        path: path.clone(),
        max_bytes: 1 << 20,
        keep: 1,
    });
    let plan = LoggingPlan {
        format: LogFormat::Json,
        file,
        ..LoggingPlan::default()
    };
    let log = Log::open(&plan).unwrap();
    let sink = log.sink();
    for _ in 0..100 {
        sink.record(&Arc::new(record()), None);
    }
    log.close();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 100);
    sink.record(&Arc::new(record()), None);
}

#[test]
fn a_full_queue_drops_and_counts() {
    let (queue, entries) = sync_channel(2);
    let dropped = Arc::new(AtomicU64::new(0));
    let inlet = Inlet {
        queue,
        dropped: Arc::clone(&dropped),
        level: Threshold::new(LogLevel::Info),
    };
    for _ in 0..5 {
        inlet.record(&Arc::new(record()), None);
    }
    assert_eq!(dropped.load(Ordering::Relaxed), 3);
    let mut writer = Writer {
        form: Form {
            json: true,
            file: None,
        },
        dropped,
        told: 0,
        buffer: Vec::new(),
        aside: None,
    };
    assert_eq!(entries.try_iter().count(), 2);
    writer.tell_dropped();
    let line: Value = serde_json::from_slice(&writer.buffer).unwrap();
    assert_eq!(line["lines"], 3);
}

#[test]
fn what_the_screen_was_kept_from_is_bounded_and_begins_with_a_whole_line() {
    let mut kept = Vec::new();
    let line = |count: usize| format!("{count:0>99}\n").into_bytes();
    for count in 0..3_000 {
        keep(&mut kept, &line(count));
        assert!(kept.len() <= ASIDE);
    }
    assert_eq!(kept.len() % 100, 0);
    assert!(kept.len() > ASIDE - 100);
    assert!(kept.ends_with(&line(2_999)));
}
