//! A break stays a break: whatever the upstream does, a client never takes half an answer for a
//! whole one.

use std::time::Duration;

use relay_core::record::Outcome;
use relay_sim::{Fault, Script};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::*;

fn script() -> Script {
    Script::tool_use("Bash", serde_json::json!({"command": "echo hi"}))
}

/// The length of the streamed answer's body.
async fn body_bytes(relay: &Relay) -> usize {
    relay.send(&turn(true)).await.body.len()
}

#[tokio::test]
async fn no_cut_at_any_byte_is_a_clean_end() {
    let sim = sim().await;
    sim.set_default(script());
    let relay = Relay::start(&sim, "", "");
    let whole = body_bytes(&relay).await;
    assert!(whole > 500);
    for at in 0..whole {
        let fault = match at % 3 {
            0 => Fault::ResetAfterBytes(at),
            1 => Fault::CloseAfterBytes(at),
            _ => Fault::CleanEndAfterBytes(at),
        };
        sim.push(script().fault(fault.clone()));
        let answer = relay.send(&turn(true)).await;
        assert_eq!(answer.end, End::Cut, "{fault:?}");
        assert!(answer.body.len() <= at, "{fault:?}");
        if at % 3 != 0 {
            // A reset may overtake what was sent before it; an end may not.
            assert_eq!(answer.body.len(), at, "{fault:?}: what came was passed on");
        }
    }
    let records = relay.records.wait(whole + 1).await;
    assert!(
        records[1..]
            .iter()
            .all(|record| record.outcome == Outcome::StreamCut)
    );
    assert!(
        records[1..]
            .iter()
            .all(|record| record.error_type.as_deref() == Some("stream_cut"))
    );
}

#[tokio::test]
async fn a_cut_resets_the_clients_connection() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    sim.push(script().fault(Fault::CleanEndAfterEvents(3)));
    let answer = relay.send(&turn(true)).await;
    assert!(answer.reset && answer.end == End::Cut);
    // HTTP/1.0 has no chunks: only a reset tells a cut from an end.
    sim.push(script().fault(Fault::CloseAfterEvents(3)));
    let old = turn(true).replace("HTTP/1.1", "HTTP/1.0");
    let answer = relay.send(&old).await;
    assert!(answer.reset, "{answer:?}");
}

#[tokio::test]
async fn an_answer_shorter_than_announced_is_cut() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    sim.push(Script::text("a longer answer").fault(Fault::ContentLengthShort));
    let answer = relay.send(&turn(false)).await;
    assert_eq!(answer.end, End::Cut);
    assert_eq!(relay.records.wait(1).await[0].outcome, Outcome::StreamCut);
}

#[tokio::test]
async fn an_error_event_passes_as_it_is_and_ends_the_stream() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    for after in [0, 2, 4] {
        sim.push(script().fault(Fault::ErrorEventAfter(
            after,
            "overloaded_error".into(),
            "busy".into(),
        )));
        let answer = relay.send(&turn(true)).await;
        assert_eq!((answer.status, answer.end), (200, End::Whole));
        assert!(answer.text().contains("event: error\n"));
        assert!(!answer.text().contains("message_stop"));
    }
    for record in relay.records.wait(3).await {
        assert_eq!(record.outcome, Outcome::ErrorEvent);
        assert_eq!(record.error_type.as_deref(), Some("overloaded_error"));
    }
}

#[tokio::test]
async fn an_upstream_that_closes_before_its_head_is_a_502() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    for fault in [Fault::ResetBeforeHead, Fault::CloseBeforeHead] {
        sim.push(script().fault(fault));
        let answer = relay.send(&turn(true)).await;
        assert_eq!(answer.status, 502);
        assert_eq!(answer.json()["error"]["type"], "api_error");
        assert_eq!(
            answer.json()["request_id"].as_str(),
            answer.header("request-id")
        );
    }
    // The request may have been billed: it was sent once each time.
    assert_eq!(sim.stats().requests, 2);
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_502_at_once() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let relay = Relay::of(&format!(
        "server: {{listen: '127.0.0.1:0'}}\nproviders:\n  - {{name: up, type: anthropic, base_url: 'http://{port}', proxy: none}}\n"
    ));
    let answer = relay.send(&turn(true)).await;
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("refused"), "{}", answer.text());
    assert_eq!(
        relay.records.wait(1).await[0].error_type.as_deref(),
        Some("connect")
    );
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_a_504() {
    let sim = sim().await;
    let relay = Relay::start(
        &sim,
        "stream_first_byte_timeout_ms: 300\ntimeout_ms: 400",
        "",
    );
    for stream in [true, false] {
        sim.push(script().fault(Fault::StallBeforeHead));
        let answer = relay.send(&turn(stream)).await;
        assert_eq!(answer.status, 504);
        assert_eq!(answer.json()["error"]["type"], "timeout_error");
    }
    sim.wait_for(|stats| stats.streams_open == 0, PATIENCE)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_upstream_that_falls_silent_is_cut() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "stream_gap_timeout_ms: 300", "");
    sim.push(script().fault(Fault::StallAfterEvents(4)));
    let answer = relay.send(&turn(true)).await;
    assert_eq!(answer.end, End::Cut);
    assert!(answer.text().contains("content_block_start"));
    assert_eq!(relay.records.wait(1).await[0].outcome, Outcome::Stalled);
    sim.wait_for(|stats| stats.streams_open == 0, PATIENCE)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_upstreams_stream() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    sim.set_default(Script::text("x").fault(Fault::StallAfterEvents(3)));
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = TcpStream::connect(&relay.address).await.unwrap();
        client.write_all(turn(true).as_bytes()).await.unwrap();
        clients.push(client);
    }
    sim.wait_for(|stats| stats.streams_open == 50, PATIENCE)
        .await
        .unwrap();
    drop(clients);
    sim.wait_for(|stats| stats.streams_open == 0, PATIENCE)
        .await
        .unwrap();
    for record in relay.records.wait(50).await {
        assert_eq!(record.outcome, Outcome::ClientGone);
    }
    assert_eq!(sim.stats().client_gone, 50);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_head_ends_the_upstreams_request() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    sim.set_default(Script::text("x").fault(Fault::StallBeforeHead));
    let mut client = TcpStream::connect(&relay.address).await.unwrap();
    client.write_all(turn(true).as_bytes()).await.unwrap();
    sim.wait_for(|stats| stats.streams_open == 1, PATIENCE)
        .await
        .unwrap();
    drop(client);
    sim.wait_for(|stats| stats.streams_open == 0, PATIENCE)
        .await
        .unwrap();
    let record = &relay.records.wait(1).await[0];
    assert_eq!((record.outcome, record.status), (Outcome::ClientGone, None));
}

#[tokio::test]
async fn an_event_goes_out_when_its_last_byte_is_in() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    // The upstream says four events and then nothing more: all four must arrive all the same.
    sim.push(script().fault(Fault::StallAfterEvents(4)));
    let mut client = TcpStream::connect(&relay.address).await.unwrap();
    client.write_all(turn(true).as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let four = async {
        while seen
            .windows(7)
            .filter(|window| window == b"event: ")
            .count()
            < 4
            || !seen.ends_with(b"\n\n\r\n")
        {
            let mut piece = [0; 4096];
            let length = client.read(&mut piece).await.unwrap();
            assert!(length > 0, "ended early");
            seen.extend_from_slice(&piece[..length]);
        }
    };
    timeout(PATIENCE, four).await.expect("four events");
}

#[tokio::test]
async fn a_slow_reader_holds_the_upstream_back() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    // 64 MB of events that nobody reads: far beyond what sockets and buffers may hold.
    let events = 16_000;
    sim.push(Script::text("").repeat_delta(events, "x".repeat(4096)));
    let mut client = TcpStream::connect(&relay.address).await.unwrap();
    client.write_all(turn(true).as_bytes()).await.unwrap();
    let mut last = 0;
    // The upstream is stuck when its count stands still.
    while let Ok(stats) = sim
        .wait_for(|stats| stats.events_sent > last, Duration::from_secs(2))
        .await
    {
        last = stats.events_sent;
    }
    assert!(
        last < events,
        "{last} events were taken in for a client that reads none"
    );
    let (raw, reset) = timeout(PATIENCE, read_all(&mut client)).await.unwrap();
    let answer = answer(&raw, reset);
    assert_eq!(answer.end, End::Whole);
    assert!(answer.body.len() > 64_000_000);
}

/// An upstream that answers every request with these bytes and closes.
async fn raw_upstream(answer: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::task::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::task::spawn(async move {
                let mut seen = Vec::new();
                while !seen.ends_with(b"}") {
                    if stream.read_buf(&mut seen).await.unwrap() == 0 {
                        return;
                    }
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            });
        }
    });
    format!(
        "server: {{listen: '127.0.0.1:0', workers: 1}}\nproviders:\n  - {{name: up, type: anthropic, base_url: 'http://{address}', proxy: none, prewarm: 0}}\n"
    )
}

#[tokio::test]
async fn an_announced_length_ends_no_stream() {
    let table = [
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 35\r\n\r\nevent: message_start\ndata: {\"a\":1}\n\n",
            End::Cut,
            Outcome::StreamCut,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 0\r\n\r\n",
            End::Cut,
            Outcome::StreamCut,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 31\r\n\r\nevent: message_stop\ndata: {}\n\n\n\n",
            End::Whole,
            Outcome::Complete,
        ),
    ];
    for (upstream, end, outcome) in table {
        let relay = Relay::of(&raw_upstream(upstream).await);
        let answer = relay.send(&turn(true)).await;
        assert_eq!(answer.end, end, "{upstream}");
        assert_eq!(
            relay.records.wait(1).await[0].outcome,
            outcome,
            "{upstream}"
        );
    }
}

#[tokio::test]
async fn trailers_end_an_answer_like_any_other_end() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\n{}\r\n0\r\nx-sum: 1\r\n\r\n";
    let relay = Relay::of(&raw_upstream(head).await);
    let answer = relay.send(&turn(false)).await;
    assert_eq!((answer.end, answer.text().as_str()), (End::Whole, "{}"));
    assert_eq!(relay.records.wait(1).await[0].outcome, Outcome::Complete);
}

#[tokio::test]
async fn an_answer_without_framing_is_whole_only_if_its_json_is() {
    for (body, end) in [("{\"a\":[1]}", End::Whole), ("{\"a\":[1", End::Cut)] {
        let text = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{body}");
        let relay = Relay::of(&raw_upstream(text.leak()).await);
        assert_eq!(relay.send(&turn(false)).await.end, end, "{body}");
    }
}

#[tokio::test]
async fn a_protocol_nobody_asked_for_is_a_502() {
    let text = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    let relay = Relay::of(&raw_upstream(text).await);
    assert_eq!(relay.send(&turn(false)).await.status, 502);
}
