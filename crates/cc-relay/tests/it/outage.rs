//! One of two upstreams is down, in every way in which it can be: no client sees a failure. A few
//! thousand requests, or as many as `CC_RELAY_OUTAGE_REQUESTS` says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use relay_sim::{Fault, Script};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::{End, RELAY_KEY, Relay, answer, body, builder, post, read_all};

const CLIENTS: u64 = 16;

/// How the upstream is down this time.
fn down(number: u64) -> Script {
    let well = || Script::text("never seen");
    match number % 7 {
        0 => Script::error(503, "api_error", "down"),
        1 => Script::error(529, "overloaded_error", "Overloaded").no_header("retry-after"),
        2 => well().fault(Fault::ResetBeforeHead),
        3 => well().fault(Fault::CleanEndAfterEvents(0)),
        4 => well().fault(Fault::CloseAfterEvents(1)),
        5 => well().fault(Fault::ErrorEventAfter(1, "api_error".into(), "late".into())),
        _ => Script::error(429, "rate_limit_error", "slow").no_header("retry-after"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_client_sees_a_failure_while_one_of_two_upstreams_is_down() {
    let count =
        std::env::var("CC_RELAY_OUTAGE_REQUESTS").map_or(2_000, |text| text.parse().unwrap());
    let (bad, good) = (
        builder().keep_requests(16).start().await.unwrap(),
        builder().keep_requests(16).start().await.unwrap(),
    );
    let asked = Arc::new(AtomicU64::new(0));
    let drawn = Arc::clone(&asked);
    bad.route(move |_| Some(down(drawn.fetch_add(1, Ordering::Relaxed))));
    // The breaker closes again and again, so that many requests meet the failure.
    let relay = Relay::of(&format!(
        "server: {{listen: '127.0.0.1:0', workers: 2, auth: {{api_key: {RELAY_KEY}}}}}\nrouting: {{strategy: round_robin, affinity: {{enabled: false}}}}\nhealth: {{health_check: {{enabled: false}}, circuit_breaker: {{open_duration_ms: 20, failure_threshold: 20, min_requests: 1000}}}}\nproviders:\n  - {{name: bad, type: anthropic, base_url: '{}', proxy: none, keys: [{{key: sk-ant-bad}}], accepts_client_credential: false}}\n  - {{name: good, type: anthropic, base_url: '{}', proxy: none, keys: [{{key: sk-ant-good}}], accepts_client_credential: false}}\n",
        bad.base_url(),
        good.base_url()
    ));
    let left = Arc::new(AtomicU64::new(count));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (address, left) = (relay.address.clone(), Arc::clone(&left));
            tokio::task::spawn(async move {
                while let Ok(number) =
                    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| it.checked_sub(1))
                {
                    let stream = number % 4 > 0;
                    let request = post("/v1/messages", "", &body(stream))
                        .replace("sk-ant-own-0123456789", RELAY_KEY);
                    let mut socket = TcpStream::connect(&address).await.unwrap();
                    socket.write_all(request.as_bytes()).await.unwrap();
                    let (raw, reset) = read_all(&mut socket).await;
                    let answer = answer(&raw, reset);
                    assert_eq!(
                        (answer.status, answer.end),
                        (200, End::Whole),
                        "{}",
                        answer.text()
                    );
                    assert!(!answer.text().contains("event: error"));
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(relay.server().counters().failed.load(Ordering::Relaxed), 0);
    assert!(
        asked.load(Ordering::Relaxed) > count / 500,
        "hardly anybody met the failure"
    );
}
