//! Prints what one scan costs, beside other ways to look at the same body.
//!
//! `cargo run --release -p relay-core --example scan_cost`
#![expect(clippy::print_stdout, reason = "an example prints")]
#![expect(clippy::disallowed_methods, reason = "an example measures time")]

use std::hint::black_box;
use std::time::Instant;

fn body(bytes: usize) -> Vec<u8> {
    let code =
        "fn main() {\n    let text = \"a \\\"quoted\\\" word\";\n    println!(\"{text}\");\n}\n";
    let turn = serde_json::json!({"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "toolu_01", "content": code.repeat(8)},
        {"type": "text", "text": "Plain prose, as people and models write it. ".repeat(24)},
    ]});
    let turn = turn.to_string();
    let turns = vec![turn.as_str(); bytes / turn.len()].join(",");
    let metadata = r#"{"user_id":"{\"session_id\":\"5f0c1d1e-0000-4000-8000-000000000000\"}"}"#;
    format!(
        r#"{{"model":"claude-opus-5-5","messages":[{turns}],"metadata":{metadata},"stream":true}}"#
    )
    .into_bytes()
}

fn microseconds(rounds: u32, mut work: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..rounds {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64() * 1e6);
    }
    best
}

fn main() {
    for kilobytes in [2, 50, 200, 2_000] {
        let body = body(kilobytes * 1000);
        let scan = microseconds(400, || {
            black_box(relay_core::scan::scan(black_box(&body)).is_ok());
        });
        let copy = microseconds(400, || {
            black_box(black_box(&body).clone());
        });
        let parse = microseconds(60, || {
            black_box(serde_json::from_slice::<serde_json::Value>(black_box(&body)).is_ok());
        });
        println!(
            "{kilobytes:>5} kB  scan {scan:>8.1} us  copy {copy:>7.1} us  serde_json::Value {parse:>9.1} us"
        );
    }
}
