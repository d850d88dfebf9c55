//! Edges of the protocol, met through a real socket: framing, credentials, limits, HTTP/2.
//!
//! Where the simulated upstream is too well-behaved, a raw one stands in: it answers with the bytes
//! that a test gives it, and keeps what it was sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body, Frame};
use parking_lot::Mutex;
use relay_core::record::Outcome;
use relay_sim::{Fault, Script};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use crate::support::*;

const KEY: &str = "ccr-relay-key-000000000000000001";

fn relay_to(address: &str, server: &str, provider: &str) -> Relay {
    Relay::of(&format!(
        "server:\n  listen: 127.0.0.1:0\n  workers: 1\n  {server}\nproviders:\n  - name: up\n    type: anthropic\n    base_url: {address}\n    proxy: none\n    prewarm: 0\n    {provider}\n"
    ))
}

/// An upstream that reads one request at a time and answers each with the same bytes.
#[derive(Clone)]
struct Raw {
    address: String,
    connections: Arc<Mutex<usize>>,
    heads: Arc<Mutex<Vec<String>>>,
}

async fn raw(answer: Vec<u8>) -> Raw {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let raw = Raw {
        address: format!("http://{}", listener.local_addr().unwrap()),
        connections: Arc::default(),
        heads: Arc::default(),
    };
    let (kept, answer) = (raw.clone(), Bytes::from(answer));
    tokio::task::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            *kept.connections.lock() += 1;
            tokio::task::spawn(serve_raw(stream, kept.clone(), answer.clone()));
        }
    });
    raw
}

async fn serve_raw(mut stream: TcpStream, kept: Raw, answer: Bytes) {
    while let Some(head) = read_head(&mut stream).await {
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or(0_usize);
        kept.heads.lock().push(head);
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).await.is_err() || stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

fn response(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\n\r\n{body}").into_bytes()
}

const WHOLE: &str = "event: message_start\ndata: {\"message\":{}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const HALF: &str = "event: message_start\ndata: {\"message\":{}}\n\n";

fn announced(stream: &str) -> Vec<u8> {
    let head = format!(
        "200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}",
        stream.len()
    );
    response(&head, stream)
}

// ---- a clean end on a broken upstream ----

#[tokio::test]
async fn a_stream_of_announced_length_without_its_stop_is_a_cut() {
    let up = raw(announced(HALF)).await;
    let relay = relay_to(&up.address, "", "");
    let answer = relay.send(&turn(true)).await;
    let record = relay.records.wait(1).await;
    assert_eq!(
        (answer.end, record[0].outcome),
        (End::Cut, Outcome::StreamCut)
    );
}

#[tokio::test]
async fn a_stream_of_announced_length_is_whole_and_gives_its_connection_back() {
    let up = raw(announced(WHOLE)).await;
    let relay = relay_to(&up.address, "", "");
    for count in 1..4 {
        let answer = relay.send(&turn(true)).await;
        assert_eq!((answer.text().as_str(), answer.end), (WHOLE, End::Whole));
        let records = relay.records.wait(count).await;
        assert_eq!(records[count - 1].outcome, Outcome::Complete);
    }
    assert_eq!(*up.connections.lock(), 1);
}

#[tokio::test]
async fn an_empty_stream_of_a_turn_is_a_cut() {
    let up = raw(announced("")).await;
    let relay = relay_to(&up.address, "", "");
    let answer = relay.send(&turn(true)).await;
    assert_eq!(answer.end, End::Cut, "{answer:?}");
    let records = relay.records.wait(1).await;
    assert_eq!(records[0].outcome, Outcome::StreamCut);
}

/// An HTTP/2 upstream that sends these bytes of a JSON answer and then resets the stream.
async fn resetting(reason: h2::Reason) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::task::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn(async move {
                let Ok(mut connection) = h2::server::handshake(stream).await else {
                    return;
                };
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let head = http::Response::builder()
                        .header("content-type", "application/json")
                        .body(())
                        .unwrap();
                    let mut send = respond.send_response(head, false).unwrap();
                    tokio::task::spawn(async move {
                        send.send_data(Bytes::from_static(b"{\"content\":["), false)
                            .unwrap();
                        // The reset follows when the data is on its way, not instead of it.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        send.send_reset(reason);
                    });
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn an_http2_reset_is_never_the_end_of_an_answer() {
    for reason in [
        h2::Reason::CANCEL,
        h2::Reason::NO_ERROR,
        h2::Reason::INTERNAL_ERROR,
    ] {
        let address = resetting(reason).await;
        let relay = relay_to(&address, "", "http_version: http2");
        let answer = relay.send(&turn(false)).await;
        assert_eq!(answer.end, End::Cut, "{reason:?} {answer:?}");
        let records = relay.records.wait(1).await;
        assert_eq!(records[0].outcome, Outcome::StreamCut, "{reason:?}");
    }
}

// ---- a credential in the wrong place ----

#[tokio::test]
async fn a_relay_key_stays_here_whatever_header_repeats_it() {
    for extra in [
        format!("api-key: {KEY}\r\n"),
        format!("authorization: {KEY}\r\n"),
        format!("authorization: Token {KEY}\r\n"),
        format!("authorization: Bearer\t{KEY}\r\n"),
    ] {
        for subscription in [false, true] {
            let sim = sim().await;
            let auth = format!("auth: {{api_key: {KEY}, allow_subscription: {subscription}}}");
            let relay = Relay::start(&sim, &auth, "keys: [{key: sk-upstream-key}]");
            let body = body(false);
            let request = format!(
                "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n{extra}content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            relay.send(&request).await;
            for seen in sim.requests() {
                let leaked = seen
                    .headers
                    .iter()
                    .find(|(_, value)| String::from_utf8_lossy(value).contains(KEY));
                assert!(leaked.is_none(), "subscription {subscription}: {leaked:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_path_cannot_climb_out_of_the_upstreams_prefix() {
    for path in [
        "/v1/../../other/v1/messages",
        "/v1/%2e%2e/%2E%2e/other",
        "/v1/.%2e/x",
    ] {
        let sim = sim().await;
        let base = format!("{}/tenant-a", sim.base_url());
        let relay = relay_to(&base, "", "keys: [{key: sk-upstream-key}]");
        let answer = relay.send(&post(path, "", "{}")).await;
        assert_eq!(sim.stats().requests, 0, "{path} {}", answer.status);
    }
}

// ---- HTTP/2 towards clients ----

async fn http2(
    address: &str,
) -> (
    hyper::client::conn::http2::SendRequest<
        http_body_util::combinators::BoxBody<Bytes, Infallible>,
    >,
    tokio::task::JoinHandle<hyper::Result<()>>,
) {
    let stream = TcpStream::connect(address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (sender, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    (sender, tokio::task::spawn(connection))
}

#[tokio::test]
async fn over_http2_head_has_no_body() {
    let sim = sim().await;
    let relay = Relay::start(
        &sim,
        &format!("auth: {{api_key: {KEY}}}"),
        "keys: [{key: k}]",
    );
    let (mut sender, _connection) = http2(&relay.address).await;
    for (path, status) in [
        ("/", 200),
        ("/health", 200),
        ("/v1/models", 401),
        ("/x", 404),
    ] {
        let request = http::Request::head(format!("http://relay{path}"))
            .body(Empty::new().boxed())
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status);
        let body = answer.into_body().collect().await;
        assert!(body.is_ok_and(|body| body.to_bytes().is_empty()), "{path}");
    }
}

#[tokio::test]
async fn a_broken_stream_does_not_reset_the_connection_of_the_others() {
    let sim = sim().await;
    let mut relay = Relay::start(&sim, "", "");
    // Stands between the two, and says how the relay closed its side.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let between = listener.local_addr().unwrap().to_string();
    let upstream = relay.address.clone();
    let ended = tokio::task::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let stream = TcpStream::connect(&upstream).await.unwrap();
        let (mut from_relay, mut to_relay) = stream.into_split();
        let there = tokio::io::copy(&mut from_relay, &mut to_client);
        tokio::task::spawn(async move { tokio::io::copy(&mut from_client, &mut to_relay).await });
        there.await
    });
    let (mut sender, _connection) = http2(&between).await;
    let request = || {
        let whole = http_body_util::Full::new(Bytes::from(body(true)));
        http::Request::post("http://relay/v1/messages")
            .header("x-api-key", "k")
            .body(whole.boxed())
            .unwrap()
    };
    sim.push(Script::text("x").fault(Fault::ResetAfterEvents(3)));
    let broken = sender.send_request(request()).await.unwrap();
    assert!(broken.into_body().collect().await.is_err());
    let good = sender.send_request(request()).await.unwrap();
    assert!(good.into_body().collect().await.is_ok());
    let server = relay.take();
    spawn_blocking(move || server.stop(PATIENCE)).await.unwrap();
    // A reset here would take with it whatever the others had not read yet.
    let ended = timeout(PATIENCE, ended).await.unwrap().unwrap();
    assert!(ended.is_ok(), "{ended:?}");
}

#[tokio::test]
async fn an_upload_that_its_client_resets_never_ends_cleanly_upstream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let relay = relay_to(&address, "", "");
    for _ in 0..20 {
        let (mut sender, _connection) = http2(&relay.address).await;
        let (feed, fed) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
        let request = http::Request::post("http://relay/v1/files")
            .header("x-api-key", "k")
            .body(Fed(fed).boxed())
            .unwrap();
        let sending = tokio::task::spawn(async move { drop(sender.send_request(request).await) });
        feed.send(Bytes::from_static(b"first half")).unwrap();
        let (mut upstream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
        let head = read_head(&mut upstream).await.unwrap();
        assert!(head.contains("chunked"), "{head}");
        let mut piece = [0; 15];
        upstream.read_exact(&mut piece).await.unwrap();
        sending.abort();
        let (rest, _) = timeout(PATIENCE, read_all(&mut upstream)).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "", "a last chunk is an end");
        drop(feed);
    }
}

/// A body of the pieces that a channel hands over.
struct Fed(tokio::sync::mpsc::UnboundedReceiver<Bytes>);

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.0.poll_recv(cx);
        piece.map(|piece| piece.map(|it| Ok(Frame::data(it))))
    }
}

// ---- hangs and waits ----

#[tokio::test]
async fn a_ca_file_that_appears_is_used_without_a_restart() {
    let sim = builder().tls(true).start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, "").unwrap();
    let provider = format!("ca_file: {}", ca.display());
    let relay = relay_to(&sim.base_url(), "", &provider);
    let answer = relay.send(&turn(false)).await;
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("ca_file"), "{}", answer.text());
    std::fs::remove_file(&ca).unwrap();
    let answer = relay.send(&turn(false)).await;
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("ca_file"), "{}", answer.text());
    std::fs::write(&ca, sim.ca_pem().unwrap()).unwrap();
    let answer = relay.send(&turn(false)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn requests_to_an_upstream_that_does_not_answer_its_handshake_wait_side_by_side() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    // Connections are taken by the kernel, and nobody speaks TLS on them. One connect timeout is
    // less than a request waits; ten of them one after the other are more.
    let server = "stream_first_byte_timeout_ms: 6000";
    let relay = relay_to(&address, server, "connect_timeout_ms: 2000");
    let mut set = JoinSet::new();
    for _ in 0..10 {
        let address = relay.address.clone();
        set.spawn(async move { exchange(&address, turn(true).as_bytes()).await });
    }
    let mut statuses = Vec::new();
    while let Some(answer) = set.join_next().await {
        statuses.push(answer.unwrap().status);
    }
    assert_eq!(statuses, [502; 10], "504 is a wait in line");
}

#[tokio::test]
async fn a_body_that_stalls_is_told_so_while_the_client_waits() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "body_read_timeout_ms: 300", "");
    let mut client = TcpStream::connect(&relay.address).await.unwrap();
    client.write_all(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{").await.unwrap();
    // Far less than the time that is spent on reading off a refused body.
    let (raw, reset) = timeout(PATIENCE / 3, read_all(&mut client))
        .await
        .expect("an answer before the body");
    assert_eq!(answer(&raw, reset).status, 408);
}

#[tokio::test]
async fn a_connection_that_still_takes_an_upload_is_given_to_nobody_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::task::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::task::spawn(async move {
                while read_head(&mut stream).await.is_some() {
                    // Answers early, and goes on reading.
                    let answer = response("200 OK\r\ncontent-length: 2", "{}");
                    stream.write_all(&answer).await.unwrap();
                }
            });
        }
    });
    let relay = relay_to(&address, "", "");
    let mut slow = TcpStream::connect(&relay.address).await.unwrap();
    slow.write_all(b"POST /v1/files HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\ncontent-length: 1000000\r\n\r\nxxxx")
        .await
        .unwrap();
    let early = read_head(&mut slow).await.unwrap();
    assert!(early.starts_with("HTTP/1.1 200"), "{early}");
    let models = "GET /v1/models HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nconnection: close\r\n\r\n";
    let answer = timeout(PATIENCE / 3, relay.send(models)).await;
    assert_eq!(answer.expect("another connection").status, 200);
    drop(slow);
}

// ---- bounds ----

#[tokio::test]
async fn a_record_is_small_whatever_the_client_sends() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    let long = "m".repeat(2_000_000);
    let body = format!("{{\"model\":\"{long}\",\"stream\":false}}");
    relay.send(&post("/v1/messages", "", &body)).await;
    let records = relay.records.wait(1).await;
    let kept = records[0].model.as_ref().map_or(0, |it| it.as_str().len());
    assert!(kept <= 1024, "{kept} bytes wait in the log's queue");
}

#[tokio::test]
async fn long_heads_pass_and_endless_ones_are_a_431() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    let line = format!("x-long: {}\r\n", "h".repeat(60_000));
    assert_eq!(
        relay.send(&post("/v1/messages", &line, "{}")).await.status,
        200
    );
    assert_eq!(sim.requests()[0].header("x-long").unwrap().len(), 60_000);
    let many: Vec<String> = (0..150).map(|n| format!("x-{n}: v\r\n")).collect();
    let many = many.concat();
    assert_eq!(
        relay.send(&post("/v1/messages", &many, "{}")).await.status,
        431
    );
    let line = format!("x-long: {}\r\n", "h".repeat(1_000_000));
    assert_eq!(
        relay.send(&post("/v1/messages", &line, "{}")).await.status,
        431
    );
    assert_eq!(sim.stats().requests, 1);
}

// ---- framing ----

#[tokio::test]
async fn an_empty_post_says_that_it_is_empty() {
    let up = raw(response("200 OK\r\ncontent-length: 2", "{}")).await;
    let relay = relay_to(&up.address, "", "");
    let path = "/v1/messages/batches/b_1/cancel";
    assert_eq!(relay.send(&post(path, "", "")).await.status, 200);
    let head = up.heads.lock()[0].clone();
    assert!(head.contains("content-length: 0\r\n"), "{head}");
}

#[tokio::test]
async fn two_lengths_smuggle_nothing() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    let inner = "POST /v1/messages HTTP/1.1\r\nhost: evil\r\ncontent-length: 2\r\n\r\n{}";
    for lengths in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: xchunked\r\ncontent-length: 5\r\n",
    ] {
        let before = sim.stats().requests;
        let request = format!(
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nconnection: close\r\n{lengths}\r\n0\r\n\r\n{inner}"
        );
        let answer = relay.send(&request).await;
        let sent = sim.stats().requests - before;
        assert!(sent <= 1, "{lengths}: {sent} requests, {}", answer.status);
        for seen in sim.requests() {
            let framings = ["content-length", "transfer-encoding"];
            let said = framings.iter().filter(|name| seen.header(name).is_some());
            assert!(said.count() <= 1, "{:?}", seen.headers);
            assert_ne!(seen.header("host"), Some("evil"));
        }
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    let kept = turn(false).replace("connection: close", "connection: keep-alive");
    let health = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    let all = format!("{kept}{health}{kept}{}", turn(true));
    let mut client = TcpStream::connect(&relay.address).await.unwrap();
    client.write_all(all.as_bytes()).await.unwrap();
    let (raw, _) = timeout(PATIENCE, read_all(&mut client)).await.unwrap();
    let text = String::from_utf8_lossy(&raw).into_owned();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 4, "{text}");
    assert!(text.ends_with("0\r\n\r\n"));
    assert_eq!(sim.stats().requests, 3);
}

#[tokio::test]
async fn a_refused_client_that_waits_to_send_is_answered_at_once() {
    let sim = sim().await;
    let relay = Relay::start(
        &sim,
        &format!("auth: {{api_key: {KEY}}}"),
        "keys: [{key: k}]",
    );
    let head = |key: &str| {
        format!(
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: 2\r\n\r\n"
        )
    };
    let mut client = TcpStream::connect(&relay.address).await.unwrap();
    client.write_all(head("wrong").as_bytes()).await.unwrap();
    let (raw, reset) = timeout(PATIENCE / 3, read_all(&mut client)).await.unwrap();
    assert_eq!(answer(&raw, reset).status, 401);
    let mut client = TcpStream::connect(&relay.address).await.unwrap();
    client.write_all(head(KEY).as_bytes()).await.unwrap();
    let go = timeout(PATIENCE, read_head(&mut client))
        .await
        .unwrap()
        .unwrap();
    assert!(go.starts_with("HTTP/1.1 100"), "{go}");
    client.write_all(b"{}").await.unwrap();
    let (raw, reset) = timeout(PATIENCE, read_all(&mut client)).await.unwrap();
    assert_eq!(answer(&raw, reset).status, 200);
    assert_eq!(sim.requests()[0].header("expect"), None);
}

#[tokio::test]
async fn answers_without_a_body_end_and_interim_ones_do_not_confuse() {
    let early = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    let table = [
        ("GET", "204 No Content\r\nx: 1".to_owned(), "", 204),
        (
            "GET",
            "304 Not Modified\r\ncontent-length: 77".to_owned(),
            "",
            304,
        ),
        ("HEAD", "200 OK\r\ncontent-length: 77".to_owned(), "", 200),
        (
            "GET",
            "205 Reset Content\r\ncontent-length: 0".to_owned(),
            "",
            205,
        ),
    ];
    for (method, head, body, status) in table {
        let bytes = [early.as_bytes(), &response(&head, body)].concat();
        let up = raw(bytes).await;
        let relay = relay_to(&up.address, "", "");
        for count in 1..3 {
            let request = format!(
                "{method} /v1/models HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nconnection: close\r\n\r\n"
            );
            let answer = timeout(PATIENCE / 3, relay.send(&request)).await.unwrap();
            assert_eq!((answer.status, answer.body.len()), (status, 0), "{head}");
            let record = &relay.records.wait(count).await[count - 1];
            assert_eq!(record.outcome, Outcome::Complete, "{head}");
        }
        assert_eq!(*up.connections.lock(), 1, "{head}");
    }
}

#[tokio::test]
async fn header_values_that_are_no_text_pass_as_they_are() {
    let up = raw(response(
        "200 OK\r\nx-odd: \u{e9}\r\ncontent-length: 2",
        "{}",
    ))
    .await;
    let relay = relay_to(&up.address, "", "");
    let mut request = post("/v1/messages", "x-odd: ODD\r\n", "{}").into_bytes();
    let at = request.windows(3).position(|it| it == b"ODD").unwrap();
    request[at..at + 3].copy_from_slice(b"\xff\xfe\x80");
    let answer = exchange(&relay.address, &request).await;
    assert_eq!(answer.header("x-odd"), Some("\u{e9}"));
    let head = up.heads.lock()[0].clone();
    // Three bytes that are no UTF-8 are three marks of replacement in the kept text.
    assert!(
        head.contains("x-odd: \u{fffd}\u{fffd}\u{fffd}\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn no_client_names_a_credential_of_the_relay_away() {
    let sim = sim().await;
    let relay = Relay::start(
        &sim,
        "",
        "accepts_client_credential: false\n    keys: [{key: sk-up}]",
    );
    let listed = "connection: x-api-key, anthropic-beta, close\r\nanthropic-beta: b\r\n";
    relay.send(&post("/v1/messages", listed, "{}")).await;
    assert_eq!(sim.requests()[0].header("x-api-key"), Some("sk-up"));
}

#[tokio::test]
async fn counters_return_to_zero_however_clients_leave() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    sim.set_default(Script::text("x").fault(Fault::StallAfterEvents(2)));
    let mut clients = Vec::new();
    for cut in [10, 60, 150, usize::MAX, usize::MAX] {
        let request = turn(true);
        let mut client = TcpStream::connect(&relay.address).await.unwrap();
        let part = request.as_bytes().get(..cut).unwrap_or(request.as_bytes());
        client.write_all(part).await.unwrap();
        clients.push(client);
    }
    sim.wait_for(|stats| stats.streams_open == 2, PATIENCE)
        .await
        .unwrap();
    drop(clients);
    sim.wait_for(|stats| stats.streams_open == 0, PATIENCE)
        .await
        .unwrap();
    let counters = relay.server().counters();
    let zero = async {
        use std::sync::atomic::Ordering::Relaxed;
        while counters.live.load(Relaxed) + counters.connections.load(Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, zero).await.expect("nothing left");
}

// ---- a request sent twice ----

/// What an HTTP/2 upstream does with the first request it gets; it answers the others.
#[derive(Debug, Clone, Copy, PartialEq)]
enum First {
    /// Says that it did not look at it.
    Refuse,
    /// Says that it goes away, having begun with it, and closes.
    GoAway(h2::Reason),
    /// Closes without a word.
    Close,
}

async fn first_fails(first: First) -> (String, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(0));
    let count = Arc::clone(&seen);
    tokio::task::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::task::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let number = {
                        let mut count = count.lock();
                        *count += 1;
                        *count
                    };
                    match first {
                        First::Refuse if number == 1 => {
                            respond.send_reset(h2::Reason::REFUSED_STREAM);
                        }
                        First::GoAway(reason) if number == 1 => {
                            // The stream stays open, so that it is among those begun.
                            let kept = (request, respond);
                            connection.abrupt_shutdown(reason);
                            while connection.accept().await.is_some() {}
                            drop(kept);
                            return;
                        }
                        First::Close if number == 1 => return,
                        First::Refuse | First::GoAway(_) | First::Close => {
                            let head = http::Response::builder().body(()).unwrap();
                            respond.send_response(head, true).unwrap();
                        }
                    }
                }
            });
        }
    });
    (address, seen)
}

#[tokio::test]
async fn only_what_was_refused_unseen_is_sent_again() {
    for (first, status, times) in [
        (First::Refuse, 200, 2),
        (First::GoAway(h2::Reason::NO_ERROR), 502, 1),
        (First::GoAway(h2::Reason::ENHANCE_YOUR_CALM), 502, 1),
        (First::Close, 502, 1),
    ] {
        let (address, seen) = first_fails(first).await;
        let relay = relay_to(&address, "", "http_version: http2");
        let answer = timeout(PATIENCE, relay.send(&turn(false))).await.unwrap();
        assert_eq!((answer.status, *seen.lock()), (status, times), "{first:?}");
        // And the next one finds a way.
        assert_eq!(relay.send(&turn(false)).await.status, 200, "{first:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_refuses_each_stream_is_asked_a_few_times_only() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(0_usize));
    let count = Arc::clone(&seen);
    tokio::task::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                *count.lock() += 1;
                respond.send_reset(h2::Reason::REFUSED_STREAM);
            }
        }
    });
    let relay = relay_to(&address, "", "http_version: http2");
    let answer = timeout(PATIENCE, relay.send(&turn(false))).await.unwrap();
    assert_eq!(answer.status, 502);
    assert!(*seen.lock() <= 4);
}
