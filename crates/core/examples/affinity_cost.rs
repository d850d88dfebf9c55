//! Prints what naming a session, estimating it and finding its home cost.
//!
//! `cargo run --release -p relay-core --example affinity_cost`
#![expect(clippy::print_stdout, reason = "an example prints")]
#![expect(clippy::disallowed_methods, reason = "an example measures time")]

use std::hint::black_box;
use std::time::Instant;

use relay_core::affinity::key::{PrefixKey, SessionKey, prefix_key, session_key};
use relay_core::affinity::{Affinity, Home, Served};
use relay_core::cold::ColdGuard;
use relay_core::estimate::{Estimator, countable_bytes};
use relay_core::moment::Moment;
use relay_core::request::Facts;
use relay_core::snapshot::TargetId;
use relay_core::usage::Usage;
use relay_core::waiting::WaitingRoom;

const MODEL: &str = "claude-opus-5-5";

/// A body like Claude Code's: about 100 kB of tools and system before the messages.
fn body(bytes: usize) -> Vec<u8> {
    let tool = serde_json::json!({"name": "Bash", "description": "Runs a \"command\".\n".repeat(120),
        "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}}});
    let tools = vec![tool.to_string(); 30].join(",");
    let system = "You are a careful engineer. ".repeat(900);
    let turn = serde_json::json!({"role": "user", "content": "Plain prose, as people write it. ".repeat(60)});
    let turns = vec![turn.to_string(); bytes / 2000].join(",");
    format!(
        r#"{{"model":"{MODEL}","tools":[{tools}],"system":[{{"type":"text","text":"x-anthropic-billing-header: cch=1;"}},{{"type":"text","text":"{system}","cache_control":{{"type":"ephemeral"}}}}],"messages":[{turns}]}}"#
    )
    .into_bytes()
}

fn measure(name: &str, mut work: impl FnMut(u64)) {
    let mut best = f64::MAX;
    for round in 0..300 {
        let start = Instant::now();
        for step in 0..50 {
            work(round * 50 + step);
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / 50.0);
    }
    println!("{name:<44} {best:>9.0} ns");
}

fn of_bodies(facts: &Facts, named: &Facts, body: &[u8]) {
    println!("body of {} bytes", body.len());
    measure("session_key, named", |_| {
        black_box(session_key(named, black_box(body)));
    });
    measure("session_key, nameless", |_| {
        black_box(session_key(facts, black_box(body)));
    });
    measure("prefix_key", |_| {
        black_box(prefix_key(facts, black_box(body)));
    });
    measure("countable_bytes", |_| {
        black_box(countable_bytes(black_box(body)));
    });
}

fn of_maps() {
    let affinity = Affinity::new(10_000);
    let estimator = Estimator::new(10_000);
    let guard = ColdGuard::new();
    let room = WaitingRoom::new(1000);
    let home = Home {
        target: TargetId::new("anthropic"),
        key: None,
    };
    let served = Served {
        home: &home,
        usage: &Usage {
            cache_read_input_tokens: Some(9),
            ..Usage::default()
        },
        vendor: &"anthropic".into(),
        organisation: None,
    };
    let key = SessionKey;
    for step in 0..20_000 {
        affinity.served(key(1_000_000 + step), MODEL, served, Moment::START);
    }
    measure("Affinity::served, new, in a full map", |step| {
        black_box(affinity.served(key(step), MODEL, served, Moment::START));
    });
    let key = |step: u64| SessionKey(14_000 + step % 1000);
    measure("Affinity::served, known", |step| {
        black_box(affinity.served(key(step), MODEL, served, Moment::START));
    });
    measure("Affinity::find", |step| {
        black_box(affinity.find(key(step), MODEL, Moment::START).is_some());
    });
    measure("Estimator::learn", |step| {
        estimator.learn(Some(key(step)), MODEL, 1000, 400);
    });
    measure("Estimator::estimate", |step| {
        black_box(estimator.estimate(Some(key(step)), MODEL, 1000));
    });
    measure("ColdGuard::enter, cold, and dropped", |step| {
        drop(black_box(guard.enter(
            PrefixKey(step),
            &home,
            Moment::START,
        )));
    });
    let places: Vec<_> = (0..999)
        .map(|step| room.join(key(step), true, Moment::START))
        .collect();
    measure("WaitingRoom::join and leave, 999 waiting", |step| {
        black_box(room.join(key(step), true, Moment::START).is_ok());
    });
    drop(places);
}

fn main() {
    for bytes in [50_000, 2_000_000] {
        let body = body(bytes);
        let facts = relay_core::scan::scan(&body).unwrap_or_default();
        let mut named = facts.clone();
        named.session = relay_core::request::SessionId::new("5f0c1d1e-0000-4000-8000-000000000000");
        of_bodies(&facts, &named, &body);
    }
    of_maps();
}
