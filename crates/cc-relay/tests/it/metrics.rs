//! What Prometheus reads after requests of every kind, and what it must never read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use cc_relay::metrics::{Counted, Page, listen, serve};
use cc_relay::serve::{Live, board};
use cc_relay::sink::Sinks;
use relay_metrics::Metrics;
use relay_proxy::RecordSink;
use relay_sim::{Fault, Script, Sim, Usage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::*;

/// A relay whose numbers are read over a socket.
struct Measured {
    sims: Vec<Sim>,
    live: Live,
    address: String,
    page: String,
    records: Arc<Records>,
}

impl Measured {
    async fn start(count: usize, more: &str) -> Self {
        let mut yaml = format!(
            "server: {{listen: '127.0.0.1:0', workers: 2, timeout_ms: 700, stream_first_byte_timeout_ms: 700, stream_gap_timeout_ms: 700}}\n{more}\nproviders:\n"
        );
        let mut sims = Vec::new();
        for place in 0..count {
            let sim = sim().await;
            let line = format!(
                "  - {{name: u{place}, type: anthropic, base_url: '{}', proxy: none, accepts_client_credential: false, keys: [{{key: sk-ant-secret-{place}, name: team, rpm_limit: 1000}}]}}\n",
                sim.base_url()
            );
            yaml.push_str(&line);
            sims.push(sim);
        }
        let plan = plan(&yaml);
        let board = board(&plan).unwrap();
        let metrics = Arc::new(Metrics::new(Arc::clone(&board)));
        let records = Arc::new(Records::default());
        let kept: Arc<dyn RecordSink> = Arc::clone(&records) as _;
        let counted = Arc::new(Counted(Arc::clone(&metrics)));
        let sinks = Sinks::default().with(counted).with(kept);
        let settings = plan.metrics.clone();
        let live = Live::with(plan, board, Arc::new(sinks)).unwrap();
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let page = listener.local_addr().unwrap().to_string();
        let shown = Page {
            metrics,
            witness: live.server().witness(),
            log_dropped: Arc::new(AtomicU64::new(0)),
            traces: Some(Arc::default()),
        };
        live.beside(serve(shown, settings, listener));
        Self {
            address: live.server().address().to_string(),
            sims,
            live,
            page,
            records,
        }
    }

    async fn turn(&self) -> Answer {
        exchange(&self.address, turn(true).as_bytes()).await
    }

    async fn text(&self) -> String {
        let get = "GET /metrics HTTP/1.1\r\nhost: p\r\nconnection: close\r\n\r\n";
        let answer = exchange(&self.page, get.as_bytes()).await;
        assert_eq!(answer.status, 200);
        assert!(
            answer
                .header("content-type")
                .unwrap()
                .starts_with("application/openmetrics-text")
        );
        assert!(answer.text().ends_with("# EOF\n"));
        answer.text()
    }

    /// Every sample by its name and labels, after so many requests have ended.
    async fn samples(&self, ended: usize) -> BTreeMap<String, f64> {
        self.records.wait(ended).await;
        let text = self.text().await;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        };
        lines.map(sample).collect()
    }
}

/// Holds samples against what they must be.
fn holds(samples: &BTreeMap<String, f64>, wanted: &[(&str, f64)]) {
    for (name, value) in wanted {
        let found = of(samples, name);
        assert!((found - value).abs() < 1e-9, "{name}: {found}");
    }
}

/// Returns the value of the sample that has all of these in its name.
fn with(samples: &BTreeMap<String, f64>, parts: &[&str]) -> Option<f64> {
    let mut found = samples.iter();
    let found = found.find(|(name, _)| parts.iter().all(|part| name.contains(part)));
    found.map(|(_, value)| *value)
}

fn of(samples: &BTreeMap<String, f64>, name: &str) -> f64 {
    *samples
        .get(name)
        .unwrap_or_else(|| panic!("{name} is not among {samples:#?}"))
}

/// What is read after one turn, by the price of the model: 1,000 at $4, 100,000 at $0.2, 2,000 at
/// $5, 500 at $20 a million.
const AFTER_ONE: [(&str, f64); 15] = [
    (
        r#"ccrelay_requests_total{provider="u0",model="claude-opus-5-5",status_class="2xx"}"#,
        1.0,
    ),
    (
        r#"ccrelay_request_duration_seconds_count{provider="u0",model="claude-opus-5-5"}"#,
        1.0,
    ),
    (
        r#"ccrelay_time_to_first_event_seconds_count{provider="u0",model="claude-opus-5-5"}"#,
        1.0,
    ),
    (
        r#"ccrelay_tokens_total{provider="u0",model="claude-opus-5-5",type="cache_read"}"#,
        1e5,
    ),
    (
        r#"ccrelay_tokens_total{provider="u0",model="claude-opus-5-5",type="cache_write"}"#,
        2e3,
    ),
    (
        r#"ccrelay_tokens_total{provider="u0",model="claude-opus-5-5",type="output"}"#,
        500.0,
    ),
    (
        r#"ccrelay_cost_usd_total{provider="u0",model="claude-opus-5-5"}"#,
        0.044,
    ),
    (
        r#"ccrelay_cache_saved_usd_total{provider="u0",model="claude-opus-5-5"}"#,
        0.38,
    ),
    (r#"ccrelay_attempts_total{provider="u0",outcome="ok"}"#, 1.0),
    (r#"ccrelay_provider_up{provider="u0"}"#, 1.0),
    (r#"ccrelay_key_rpm_used{provider="u0",key="team"}"#, 1.0),
    (
        r#"ccrelay_key_rpm_limit{provider="u0",key="team"}"#,
        1_000.0,
    ),
    (r#"ccrelay_requests_in_flight{provider="u0"}"#, 0.0),
    ("ccrelay_requests_live", 0.0),
    ("ccrelay_config_last_reload_successful", 1.0),
];

#[tokio::test]
async fn a_served_turn_is_counted_with_its_tokens_and_its_price() {
    let relay = Measured::start(1, "").await;
    relay.sims[0].set_default(Script::text("hello").usage(Usage {
        input_tokens: 1_000,
        cache_read_input_tokens: 100_000,
        cache_creation_5m_input_tokens: 2_000,
        output_tokens: 500,
        ..Usage::default()
    }));
    assert_eq!(relay.turn().await.status, 200);
    holds(&relay.samples(1).await, &AFTER_ONE);
    assert_eq!(relay.turn().await.status, 200);
    // The first connection was opened before anybody asked.
    let samples = relay.samples(2).await;
    let plain = [r#"provider="u0""#, r#"protocol="h1",tls="none""#];
    let mut calls = samples.iter().filter(|(name, _)| {
        let is_it = name.starts_with("ccrelay_upstream_connections_total");
        is_it && plain.iter().all(|part| name.contains(part))
    });
    assert!(calls.any(|(_, count)| *count > 0.0), "{samples:#?}");
}

#[tokio::test]
async fn questions_to_a_provider_in_trouble_are_counted() {
    let checks = "health: {health_check: {interval_ms: 1000, timeout_ms: 500}, circuit_breaker: {failure_threshold: 1, open_duration_ms: 600000, min_requests: 1000}}";
    let relay = Measured::start(1, checks).await;
    relay.sims[0].push(Script::error(500, "api_error", "no"));
    assert_eq!(relay.turn().await.status, 500);
    loop {
        let samples = relay.samples(1).await;
        let ok = of(
            &samples,
            r#"ccrelay_probe_total{provider="u0",outcome="ok"}"#,
        );
        if ok > 0.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(relay.turn().await.status, 200);
}

#[tokio::test]
async fn a_hop_is_two_attempts_and_a_refusal_of_the_request_is_one() {
    let relay = Measured::start(2, "").await;
    relay.sims[0].push(Script::error(529, "overloaded_error", "Overloaded"));
    assert_eq!(relay.turn().await.status, 200);
    holds(
        &relay.samples(1).await,
        &[
            (
                r#"ccrelay_hops_total{from="u0",to="u1",reason="overloaded"}"#,
                1.0,
            ),
            (
                r#"ccrelay_attempts_total{provider="u0",outcome="overloaded"}"#,
                1.0,
            ),
            (r#"ccrelay_attempts_total{provider="u1",outcome="ok"}"#, 1.0),
        ],
    );
    for sim in &relay.sims {
        sim.push(Script::error(400, "invalid_request_error", "no"));
    }
    assert_eq!(relay.turn().await.status, 400);
    let samples = relay.samples(2).await;
    let refused = with(
        &samples,
        &["ccrelay_requests_total", r#"status_class="4xx""#],
    );
    assert_eq!(refused, Some(1.0));
    let refused = with(
        &samples,
        &["ccrelay_attempts_total", r#"outcome="refused""#],
    );
    assert_eq!(refused, Some(1.0));
}

#[tokio::test]
async fn breaks_and_clients_that_leave_are_told_apart() {
    let relay = Measured::start(1, "").await;
    let broken = Script::text("x").repeat_delta(9, "word ");
    relay.sims[0].push(broken.fault(Fault::ResetAfterEvents(5)));
    assert_eq!(relay.turn().await.end, End::Cut);
    relay.sims[0].push(Script::text("x").fault(Fault::StallAfterEvents(3)));
    let mut client = TcpStream::connect(&relay.address).await.unwrap();
    client.write_all(turn(true).as_bytes()).await.unwrap();
    client.read_u8().await.unwrap();
    drop(client);
    let samples = relay.samples(2).await;
    holds(
        &samples,
        &[(
            r#"ccrelay_stream_broken_total{provider="u0",reason="stream_cut"}"#,
            1.0,
        )],
    );
    let gone = with(
        &samples,
        &["ccrelay_client_cancelled_total", r#"provider="u0""#],
    );
    assert_eq!(gone, Some(1.0), "{samples:#?}");
}

#[tokio::test]
async fn a_key_that_is_not_accepted_and_a_relay_without_upstreams_are_seen() {
    let relay = Measured::start(1, "").await;
    relay.sims[0].push(Script::error(
        401,
        "authentication_error",
        "invalid x-api-key",
    ));
    assert_eq!(relay.turn().await.status, 401);
    let samples = relay.samples(1).await;
    holds(
        &samples,
        &[(
            r#"ccrelay_key_rejected_total{provider="u0",key="team"}"#,
            1.0,
        )],
    );
    assert!(
        of(
            &samples,
            r#"ccrelay_key_cooldown_seconds{provider="u0",key="team"}"#
        ) > 0.0
    );
    relay.sims[0].stop().await;
    let other = Measured::start(1, "").await;
    other.sims[0].stop().await;
    assert!(other.turn().await.status >= 500);
    let samples = other.samples(1).await;
    holds(
        &samples,
        &[(r#"ccrelay_exhausted_total{reason="connect"}"#, 1.0)],
    );
}

#[tokio::test]
async fn labels_are_few_and_hold_nothing_of_a_client() {
    let relay = Measured::start(1, "").await;
    for number in 0..200 {
        let body = body(true).replace("claude-opus-5-5", &format!("made-up-{number}"));
        let line = format!("x-claude-code-session-id: secret-session-{number}\r\n");
        let request = post("/v1/messages?secret=query", &line, &body);
        exchange(&relay.address, request.as_bytes()).await;
    }
    let samples = relay.samples(200).await;
    let name = r#"ccrelay_requests_total{provider="u0",model="other",status_class="2xx"}"#;
    holds(&samples, &[(name, 200.0)]);
    assert!(samples.len() < 250, "{}", samples.len());
    let text = relay.text().await;
    for never in ["made-up", "secret", "sk-ant", "/v1/", "req_"] {
        assert!(!text.contains(never), "{never}");
    }
}

#[tokio::test]
async fn a_budget_is_told_of_by_its_name_alone() {
    let budgets = "budgets: [{name: each, per: session, tokens: 4000, warn_percent: 10}]";
    let relay = Measured::start(1, budgets).await;
    let session = "x-claude-code-session-id: secret-session\r\n";
    let request = post("/v1/messages", session, &body(true));
    for (input_tokens, status) in [(500, 200), (4_000, 200), (1, 429)] {
        let usage = Usage {
            input_tokens,
            output_tokens: 500,
            ..Usage::default()
        };
        relay.sims[0].push(Script::text("hi").usage(usage));
        let answer = exchange(&relay.address, request.as_bytes()).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let samples = relay.samples(3).await;
    let wanted = [
        (r#"ccrelay_budget_used_ratios{budget="each"}"#, 1.375),
        (r#"ccrelay_budget_spent_subjects{budget="each"}"#, 1.0),
        (r#"ccrelay_budget_warnings_total{budget="each"}"#, 1.0),
        (r#"ccrelay_budget_refusals_total{budget="each"}"#, 1.0),
        (r#"ccrelay_exhausted_total{reason="over_budget"}"#, 1.0),
    ];
    holds(&samples, &wanted);
    assert!(!relay.text().await.contains("secret"));
}

#[tokio::test]
async fn a_changed_configuration_is_what_is_read() {
    let mut relay = Measured::start(2, "").await;
    let mut other = relay.live.plan().clone();
    other.providers.remove(0);
    relay.live.apply(other).unwrap();
    relay.live.server().reloads().accept(Duration::from_secs(5));
    relay.live.server().reloads().refuse("a fault");
    let samples = relay.samples(0).await;
    holds(
        &samples,
        &[(r#"ccrelay_config_reload_total{outcome="accepted"}"#, 1.0)],
    );
    holds(
        &samples,
        &[(r#"ccrelay_config_reload_total{outcome="refused"}"#, 1.0)],
    );
    holds(&samples, &[("ccrelay_config_last_reload_successful", 0.0)]);
    assert!(!samples.contains_key(r#"ccrelay_provider_up{provider="u0"}"#));
}

#[tokio::test]
async fn only_its_path_is_answered() {
    let relay = Measured::start(1, "").await;
    for (line, status) in [
        ("GET /other", 404),
        ("POST /metrics", 405),
        ("GET /metrics?x=1", 200),
    ] {
        let request = format!("{line} HTTP/1.1\r\nhost: p\r\nconnection: close\r\n\r\n");
        assert_eq!(
            exchange(&relay.page, request.as_bytes()).await.status,
            status,
            "{line}"
        );
    }
}

#[tokio::test]
async fn the_page_of_the_docs_names_every_metric() {
    let relay = Measured::start(1, "").await;
    relay.turn().await;
    relay.records.wait(1).await;
    let told: BTreeSet<String> = relay
        .text()
        .await
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            let end = if kind == "counter" { "_total" } else { "" };
            format!("{name}{end}")
        })
        .collect();
    let docs = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/observability.md"
    ));
    let docs = docs.unwrap();
    let named: BTreeSet<String> = docs
        .lines()
        .filter_map(|line| line.strip_prefix("| `ccrelay_"))
        .map(|line| format!("ccrelay_{}", line.split('`').next().unwrap()))
        .collect();
    assert_eq!(told, named);
}
