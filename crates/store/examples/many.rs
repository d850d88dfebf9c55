//! Prints how long the history takes to write ten million requests and to sum them, and how large
//! its file becomes.
//!
//! `cargo run --release -p relay-store --example many [REQUESTS]`
#![expect(clippy::print_stdout, reason = "an example prints")]
#![expect(clippy::disallowed_methods, reason = "an example measures time")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use relay_core::price::Money;
use relay_core::record::{Observation, Outcome, RequestRecord};
use relay_core::request::{ModelName, SessionId};
use relay_core::snapshot::TargetId;
use relay_core::usage::Usage;
use relay_store::{By, Store, StoreOptions, requests, usage};

const MODELS: [&str; 4] = [
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "glm-5.3",
];
const PROVIDERS: [&str; 3] = ["anthropic", "bedrock", "zai"];
const CLIENTS: [&str; 5] = ["ann", "bob", "cy", "dee", "ed"];
const DAYS: u64 = 90;

/// Requests of a session.
const TURNS: u64 = 100;

fn pick<'a>(of: &[&'a str], number: u64) -> &'a str {
    let count = u64::try_from(of.len()).unwrap_or(1);
    let at = usize::try_from(number % count).unwrap_or(0);
    of.get(at).copied().unwrap_or_default()
}

/// The request of a number: ninety days of sessions, each of a hundred turns within an hour.
fn record(number: u64, of: u64) -> RequestRecord {
    let session = number / TURNS;
    let second = number * DAYS * 86_400 / of;
    RequestRecord {
        endpoint: "messages",
        client: Some(pick(&CLIENTS, session).into()),
        target: Some(TargetId::new(pick(&PROVIDERS, session))),
        model: Some(ModelName::new(pick(&MODELS, number / 7))),
        answered: true,
        affinity: Some("kept"),
        session: SessionId::new(&format!("00000000-0000-4000-8000-{session:012}")),
        agent: number.is_multiple_of(5).then(|| "agent-1".into()),
        stream: true,
        status: Some(200),
        time_to_head: Some(Duration::from_millis(400)),
        time_to_first_event: Some(Duration::from_millis(450)),
        duration: Duration::from_secs(5),
        overhead: Duration::from_micros(100),
        request_bytes: 200_000,
        response_bytes: 9_000,
        events: 90,
        usage: Usage {
            input_tokens: Some(3),
            cache_read_input_tokens: Some(90_000),
            cache_creation_input_tokens: Some(1_000),
            output_tokens: Some(500),
            ..Usage::default()
        },
        cost: Some(Money::nano_dollars(33_012_000)),
        saved: Some(Money::nano_dollars(342_000_000)),
        stop_reason: Some("end_turn".into()),
        outcome: Outcome::Complete,
        observation: Observation::Read,
        ..RequestRecord::begun(
            format!("req_{number:026}").into(),
            http::Method::POST,
            "/v1/messages",
            Duration::from_secs(1_790_000_000 + second),
        )
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = std::env::args().nth(1);
    let count: u64 = count.map_or(Ok(10_000_000), |count| count.parse())?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("relay.db");
    // As the configuration has it by default.
    let options = StoreOptions {
        path: path.clone(),
        max_bytes: 256 << 20,
        max_age: Duration::from_hours(DAYS * 24),
        requests: 100_000,
    };
    let start = Instant::now();
    let store = Store::open(options)?;
    let inlet = store.inlet();
    for number in 0..count {
        inlet.put(Arc::new(record(number, count)));
    }
    let lost = store
        .state()
        .lost
        .load(std::sync::atomic::Ordering::Relaxed);
    drop((inlet, store));
    let seconds = start.elapsed().as_secs_f64();
    println!("{count} requests written in {seconds:.1} s, {lost} lost");
    println!("{} bytes", std::fs::metadata(&path)?.len());
    let all = [
        By::Model,
        By::Provider,
        By::Client,
        By::Session,
        By::Agent,
        By::Project,
        By::Day,
        By::Hour,
    ];
    for by in all {
        let start = Instant::now();
        let groups = usage(&path, by, 0)?;
        let sum: u64 = groups.iter().map(|group| group.requests).sum();
        let took = start.elapsed().as_secs_f64() * 1e3;
        println!(
            "usage by {by:?}: {took:.0} ms, {} groups, {sum} requests",
            groups.len()
        );
    }
    let start = Instant::now();
    let wanted = relay_store::Wanted {
        limit: 100,
        ..relay_store::Wanted::default()
    };
    let found = requests(&path, &wanted)?.len();
    let took = start.elapsed().as_secs_f64() * 1e3;
    println!("the last {found} requests: {took:.1} ms");
    Ok(())
}
