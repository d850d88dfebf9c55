//! Bounds: bodies, requests at once, streams at once.

use relay_sim::{Fault, Script};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::*;

#[tokio::test]
async fn a_body_over_the_limit_is_a_413_that_the_client_can_read() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "max_body_bytes: 1024", "");
    let long = format!("{{\"model\":\"m\",\"x\":\"{}\"}}", "y".repeat(3_000_000));
    let answer = relay.send(&post("/v1/messages", "", &long)).await;
    assert_eq!(
        (answer.status, answer.end, answer.reset),
        (413, End::Whole, false)
    );
    assert_eq!(answer.json()["error"]["type"], "request_too_large");
    // Without an announced length it shows on the way.
    let chunked = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
        long.len()
    );
    let answer = relay.send(&chunked).await;
    assert_eq!((answer.status, answer.reset), (413, false));
    assert_eq!(sim.stats().requests, 0);
}

#[tokio::test]
async fn a_body_of_thirty_megabytes_passes_whole() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    let long = format!("{{\"model\":\"m\",\"x\":\"{}\"}}", "y".repeat(30_000_000));
    let answer = relay.send(&post("/v1/messages", "", &long)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(sim.requests()[0].body, long.as_bytes());
}

#[tokio::test]
async fn an_upload_streams_through_up_to_its_own_limit() {
    let sim = sim().await;
    let relay = Relay::start(
        &sim,
        "max_body_bytes: 1024\nmax_passthrough_bytes: 5000000",
        "",
    );
    let file = "f".repeat(4_000_000);
    let answer = relay.send(&post("/v1/files", "", &file)).await;
    assert_eq!(answer.json()["bytes"], 4_000_000);
    let answer = relay
        .send(&post("/v1/files", "", &"f".repeat(6_000_000)))
        .await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn one_request_too_many_is_a_529_at_once() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "max_concurrent: 2", "");
    sim.set_default(Script::text("x").fault(Fault::StallAfterEvents(2)));
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = TcpStream::connect(&relay.address).await.unwrap();
        client.write_all(turn(true).as_bytes()).await.unwrap();
        clients.push(client);
    }
    sim.wait_for(|stats| stats.streams_open == 2, PATIENCE)
        .await
        .unwrap();
    let answer = relay.send(&turn(true)).await;
    assert_eq!(answer.status, 529);
    assert_eq!(answer.json()["error"]["type"], "overloaded_error");
    assert_eq!(answer.header("retry-after"), Some("1"));
    drop(clients);
    relay.records.wait(3).await;
    sim.set_default(Script::text("x"));
    assert_eq!(relay.send(&turn(true)).await.status, 200);
}

#[tokio::test]
async fn five_hundred_streams_at_once_are_whole() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "max_idle_connections: 600");
    sim.set_default(Script::text("").repeat_delta(20, "word "));
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..500 {
        let address = relay.address.clone();
        set.spawn(async move { exchange(&address, turn(true).as_bytes()).await });
    }
    while let Some(answer) = set.join_next().await {
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.end), (200, End::Whole));
        assert!(
            answer
                .text()
                .ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
        );
    }
    assert_eq!(relay.records.wait(500).await.len(), 500);
}

#[tokio::test]
async fn a_body_that_stalls_is_a_408() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "body_read_timeout_ms: 1000", "");
    let head = "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{";
    let answer = relay.send(head).await;
    assert_eq!(answer.status, 408);
    let upload = head.replace("/v1/messages", "/v1/files");
    assert_eq!(relay.send(&upload).await.status, 408);
    // One that leaves within its body is not told anything.
    let mut client = TcpStream::connect(&relay.address).await.unwrap();
    client.write_all(head.as_bytes()).await.unwrap();
    drop(client);
    let records = relay.records.wait(3).await;
    assert_eq!(records[2].outcome.name(), "client_gone");
    sim.wait_for(|stats| stats.streams_open == 0, PATIENCE)
        .await
        .unwrap();
}
