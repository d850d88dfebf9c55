//! The connections to the upstream: reuse, staleness, HTTP/2, TLS, a proxy.

use std::time::Duration;

use http_body_util::BodyExt as _;
use relay_sim::{Fault, Script};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::*;

#[tokio::test]
async fn a_connection_is_used_again() {
    let sim = sim().await;
    let relay = Relay::start(
        &sim,
        "workers: 1".replace("workers: 1", "").as_str(),
        "prewarm: 0",
    );
    for _ in 0..20 {
        assert_eq!(relay.send(&turn(true)).await.end, End::Whole);
    }
    // One for each worker at most.
    assert!(sim.stats().connections_opened <= 2, "{:?}", sim.stats());
}

#[tokio::test]
async fn connections_are_open_before_the_first_request() {
    let sim = sim().await;
    let _relay = Relay::start(&sim, "", "prewarm: 3");
    sim.wait_for(|stats| stats.connections_open >= 2, PATIENCE)
        .await
        .unwrap();
    assert_eq!(sim.stats().requests, 0);
}

#[tokio::test]
async fn a_restarted_upstream_is_met_without_an_error() {
    let first = sim().await;
    let address = first.addr();
    let relay = Relay::start(&first, "", "prewarm: 2");
    for _ in 0..4 {
        assert_eq!(relay.send(&turn(false)).await.status, 200);
    }
    first.stop().await;
    drop(first);
    let second = builder().listen(address).start().await.unwrap();
    for _ in 0..4 {
        assert_eq!(relay.send(&turn(false)).await.status, 200);
    }
    assert_eq!(second.stats().requests, 4, "each was sent once");
}

#[tokio::test]
async fn over_tls_it_speaks_http2_on_one_connection() {
    let sim = builder().tls(true).start().await.unwrap();
    let relay = Relay::start(&sim, "", "prewarm: 1");
    let mut set = tokio::task::JoinSet::new();
    sim.set_default(Script::text("").repeat_delta(30, "word "));
    for _ in 0..60 {
        let address = relay.address.clone();
        set.spawn(async move { exchange(&address, turn(true).as_bytes()).await });
    }
    while let Some(answer) = set.join_next().await {
        let answer = answer.unwrap();
        assert_eq!(
            (answer.status, answer.end),
            (200, End::Whole),
            "{}",
            answer.text()
        );
    }
    let seen = sim.requests();
    assert!(
        seen.iter()
            .all(|request| request.alpn.as_deref() == Some("h2"))
    );
    assert!(
        sim.stats().connections_opened <= 2,
        "one a worker: {:?}",
        sim.stats()
    );
}

#[tokio::test]
async fn when_streams_run_out_a_further_connection_is_opened() {
    let sim = builder()
        .tls(true)
        .max_concurrent_streams(4)
        .start()
        .await
        .unwrap();
    let relay = Relay::start(&sim, "", "prewarm: 1");
    assert_eq!(relay.send(&turn(false)).await.status, 200);
    sim.set_default(Script::text("x").fault(Fault::StallAfterEvents(2)));
    let mut clients = Vec::new();
    for _ in 0..24 {
        let mut client = TcpStream::connect(&relay.address).await.unwrap();
        client.write_all(turn(true).as_bytes()).await.unwrap();
        clients.push(client);
    }
    // No stream waits for another to end.
    sim.wait_for(|stats| stats.streams_open == 24, PATIENCE)
        .await
        .unwrap();
    assert!(sim.stats().connections_open >= 6);
}

#[tokio::test]
async fn a_finished_stream_makes_room_for_the_next() {
    let sim = builder()
        .tls(true)
        .max_concurrent_streams(4)
        .start()
        .await
        .unwrap();
    let relay = Relay::start(&sim, "", "");
    for stream in [true, false].repeat(20) {
        assert_eq!(relay.send(&turn(stream)).await.end, End::Whole);
    }
    assert!(
        sim.stats().connections_opened <= 2,
        "one a worker: {:?}",
        sim.stats()
    );
}

#[tokio::test]
async fn http2_breaks_are_breaks_too() {
    let sim = builder().tls(true).start().await.unwrap();
    let relay = Relay::start(&sim, "", "");
    for fault in [
        Fault::ResetAfterEvents(3),
        Fault::CloseAfterEvents(3),
        Fault::CleanEndAfterEvents(3),
        Fault::ResetAfterBytes(333),
    ] {
        sim.push(Script::text("words and words").fault(fault.clone()));
        let answer = relay.send(&turn(true)).await;
        assert_eq!((answer.status, answer.end), (200, End::Cut), "{fault:?}");
    }
    sim.push(Script::text("x").fault(Fault::ResetBeforeHead));
    assert_eq!(relay.send(&turn(true)).await.status, 502);
    assert_eq!(relay.send(&turn(true)).await.end, End::Whole);
}

#[tokio::test]
async fn http2_without_tls_and_http1_over_tls_are_spoken_where_asked_for() {
    let plain = sim().await;
    let relay = Relay::start(&plain, "", "http_version: http2");
    assert_eq!(relay.send(&turn(true)).await.end, End::Whole);
    assert_eq!(format!("{:?}", plain.requests()[0].version), "HTTP/2.0");
    let tls = builder().tls(true).start().await.unwrap();
    let relay = Relay::start(&tls, "", "http_version: http1");
    assert_eq!(relay.send(&turn(true)).await.end, End::Whole);
    assert_eq!(tls.requests()[0].alpn.as_deref(), Some("http/1.1"));
}

#[tokio::test]
async fn an_untrusted_certificate_is_refused_and_said_so() {
    let sim = builder().tls(true).start().await.unwrap();
    let relay = Relay::of(&format!(
        "server: {{listen: '127.0.0.1:0'}}\nproviders:\n  - {{name: up, type: anthropic, base_url: '{}', proxy: none}}\n",
        sim.base_url()
    ));
    let answer = relay.send(&turn(true)).await;
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("TLS"), "{}", answer.text());
    assert_eq!(sim.stats().requests, 0);
}

#[tokio::test]
async fn a_client_that_leaves_resets_its_http2_stream_only() {
    let sim = builder().tls(true).start().await.unwrap();
    let relay = Relay::start(&sim, "", "");
    sim.set_default(Script::text("x").fault(Fault::StallAfterEvents(3)));
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = TcpStream::connect(&relay.address).await.unwrap();
        client.write_all(turn(true).as_bytes()).await.unwrap();
        clients.push(client);
    }
    sim.wait_for(|stats| stats.streams_open == 10, PATIENCE)
        .await
        .unwrap();
    let connections = sim.stats().connections_open;
    clients.truncate(3);
    sim.wait_for(|stats| stats.streams_open == 3, PATIENCE)
        .await
        .unwrap();
    assert_eq!(sim.stats().connections_open, connections);
}

/// A proxy that does as it is told by CONNECT, and counts.
async fn proxy() -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, heard) = tokio::sync::mpsc::unbounded_channel();
    tokio::task::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let told = told.clone();
            tokio::task::spawn(async move {
                let mut client = BufReader::new(client);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    client.read_line(&mut head).await.unwrap();
                }
                let target = head.split(' ').nth(1).unwrap().to_owned();
                told.send(head).unwrap();
                let mut upstream = TcpStream::connect(target).await.unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                // Either side may end the tunnel in its own way.
                drop(tokio::io::copy_bidirectional(&mut client, &mut upstream).await);
            });
        }
    });
    (address.to_string(), heard)
}

#[tokio::test]
async fn a_proxy_is_asked_to_connect() {
    let sim = builder().tls(true).start().await.unwrap();
    let (address, mut heard) = proxy().await;
    let yaml = |base: &str, ca: &str| {
        format!(
            "server: {{listen: '127.0.0.1:0', workers: 1}}\nproviders:\n  - {{name: up, type: anthropic, base_url: '{base}', ca_file: '{ca}', prewarm: 0, proxy: 'http://user:pass@{address}'}}\n"
        )
    };
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), sim.ca_pem().unwrap()).unwrap();
    let relay = Relay::of(&yaml(&sim.base_url(), &ca.path().display().to_string()));
    assert_eq!(relay.send(&turn(true)).await.end, End::Whole);
    let head = heard.recv().await.unwrap();
    assert!(
        head.starts_with(&format!("CONNECT {} ", sim.addr())),
        "{head}"
    );
    assert!(
        head.to_ascii_lowercase()
            .contains("proxy-authorization: basic dxnlcjpwyxnz"),
        "{head}"
    );
}

#[tokio::test]
async fn clients_speak_http2_without_tls_on_the_same_port() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    let stream = TcpStream::connect(&relay.address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    tokio::task::spawn(connection);
    let request = |path: &str| {
        http::Request::post(format!("http://relay{path}"))
            .header("x-api-key", "k")
            .body(http_body_util::Full::new(hyper::body::Bytes::from(body(
                true,
            ))))
            .unwrap()
    };
    let answer = sender.send_request(request("/v1/messages")).await.unwrap();
    assert_eq!(answer.status(), 200);
    let whole = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(whole.ends_with(b"{\"type\":\"message_stop\"}\n\n"));
    // A break is a reset of the stream, and the connection goes on.
    for fault in [Fault::ResetAfterEvents(3), Fault::CleanEndAfterEvents(3)] {
        sim.push(Script::text("x").fault(fault));
        let answer = sender.send_request(request("/v1/messages")).await.unwrap();
        assert!(answer.into_body().collect().await.is_err());
    }
    let answer = sender.send_request(request("/v1/messages")).await.unwrap();
    assert!(answer.into_body().collect().await.is_ok());
}

#[tokio::test]
async fn clients_are_served_over_tls() {
    let sim = sim().await;
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = format!(
        "tls: {{cert_file: '{}', key_file: '{}'}}",
        cert.display(),
        key.display()
    );
    let relay = Relay::start(&sim, &tls, "");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    for cut in [false, true] {
        let script = Script::text("over tls");
        sim.push(if cut {
            script.fault(Fault::CleanEndAfterEvents(3))
        } else {
            script
        });
        let tcp = TcpStream::connect(&relay.address).await.unwrap();
        let mut stream = connector
            .connect("localhost".try_into().unwrap(), tcp)
            .await
            .unwrap();
        stream.write_all(turn(true).as_bytes()).await.unwrap();
        let mut raw = Vec::new();
        let reset = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut raw)
            .await
            .is_err();
        let answer = answer(&raw, reset);
        assert_eq!(answer.end, if cut { End::Cut } else { End::Whole });
    }
}

#[tokio::test]
async fn the_record_tells_how_the_connection_came_about() {
    let sim = builder().tls(true).start().await.unwrap();
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), sim.ca_pem().unwrap()).unwrap();
    let base = sim.base_url().replace("127.0.0.1", "localhost");
    let relay = Relay::of(&format!(
        "server: {{listen: '127.0.0.1:0', workers: 1}}\nlogging: {{debug_options: {{log_connection: true, log_headers: true, log_bodies: true, max_body_log_bytes: 20}}}}\nproviders:\n  - {{name: up, type: anthropic, base_url: '{base}', ca_file: '{}', prewarm: 0, proxy: none}}\n",
        ca.path().display()
    ));
    relay.send(&turn(true)).await;
    relay.send(&turn(true)).await;
    let records = relay.records.wait(2).await;
    let first = records[0].connection.as_ref().unwrap();
    assert!(!first.reused && first.protocol == "h2");
    assert!(first.dns.is_some() && first.handshake.is_some_and(|it| it > Duration::ZERO));
    assert_eq!(first.tls_version.as_deref(), Some("TLSv1_3"));
    assert!(first.tls_cipher.as_deref().unwrap().starts_with("TLS13_"));
    assert!(records[1].connection.as_ref().unwrap().reused);
    let exhibit = records[0].exhibit.as_ref().unwrap();
    assert!(
        exhibit
            .request_headers
            .contains(&("x-api-key".into(), "(masked)".into()))
    );
    assert_eq!(exhibit.request_body.as_deref().unwrap().len(), 20);
    assert!(
        exhibit
            .response_body
            .as_deref()
            .unwrap()
            .starts_with("event: message_start")
    );
    assert!(
        exhibit
            .response_headers
            .iter()
            .any(|(name, _)| &**name == "request-id")
    );
}
