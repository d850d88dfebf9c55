//! The same scripts to an HTTP/2 client. In: streams by prior knowledge and over TLS; out: what the
//! client saw of resets, closes and ends. Must never mix streams of two tests on one connection.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use relay_sim::{Fault, Outcome, Script, Sim, Split};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::task::TaskTracker;

use crate::raw::{PATIENCE, PLAIN, STREAM, connect, events};

pub(crate) async fn tls_connect(sim: &Sim, alpn: &[u8]) -> TlsStream<TcpStream> {
    let pem = sim.ca_pem().unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, connect(sim).await).await.unwrap()
}

struct Client {
    sender: SendRequest<Full<Bytes>>,
    /// Holds the connection's task.
    _tasks: TaskTracker,
}

impl Client {
    async fn over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(io))
            .await
            .unwrap();
        let tasks = TaskTracker::new();
        tasks.spawn(connection);
        Self {
            sender,
            _tasks: tasks,
        }
    }

    async fn to(sim: &Sim) -> Self {
        Self::over(connect(sim).await).await
    }

    async fn post(&mut self, body: &'static str) -> hyper::Result<Response<Incoming>> {
        let request = Request::post("http://sim/v1/messages?beta=true")
            .header("x-api-key", "sk-ant-fake")
            .header("x-two", "1")
            .header("x-two", "2")
            .body(Full::from(body))
            .unwrap();
        self.sender.ready().await?;
        tokio::time::timeout(PATIENCE, self.sender.send_request(request))
            .await
            .expect("a head")
    }
}

/// Reads a body to its end: the bytes, and how it broke.
async fn drain(response: Response<Incoming>) -> (Vec<u8>, Option<hyper::Error>) {
    let mut body = response.into_body();
    let mut seen = Vec::new();
    loop {
        match tokio::time::timeout(PATIENCE, body.frame())
            .await
            .expect("a frame")
        {
            None => return (seen, None),
            Some(Ok(frame)) => seen.extend_from_slice(frame.data_ref().unwrap()),
            Some(Err(error)) => return (seen, Some(error)),
        }
    }
}

#[tokio::test]
async fn answers_are_the_same_by_prior_knowledge_and_by_alpn() {
    for tls in [false, true] {
        let sim = Sim::builder().tls(tls).start().await.unwrap();
        let mut client = if tls {
            Client::over(tls_connect(&sim, b"h2").await).await
        } else {
            Client::to(&sim).await
        };
        sim.push(Script::text("hello world").split(Split::Chunk(7)));
        let response = client.post(STREAM).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        assert!(response.headers().contains_key("request-id"));
        let (body, error) = drain(response).await;
        assert!(error.is_none());
        assert_eq!(events(&String::from_utf8(body).unwrap()).len(), 8);
        let response = client.post(PLAIN).await.unwrap();
        let (body, _) = drain(response).await;
        let message: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(message["model"], "claude-haiku-5-5");

        let request = &sim.requests()[0];
        assert_eq!((request.version, request.tls), (Version::HTTP_2, tls));
        assert_eq!(request.header("host"), Some("sim"));
        assert_eq!(request.header_all("x-two"), ["1", "2"]);
        assert_eq!(request.body, STREAM);
        assert_eq!(request.alpn.as_deref(), tls.then_some("h2"));
        sim.stop().await;
        assert_eq!(sim.stats().connections_open, 0);
    }
}

#[tokio::test]
async fn a_reset_is_rst_stream_at_every_offset_and_spares_the_connection() {
    let sim = Sim::builder().start().await.unwrap();
    let mut client = Client::to(&sim).await;
    let whole = drain(client.post(STREAM).await.unwrap()).await.0.len();
    for at in (0..=whole).step_by(13) {
        sim.push(Script::text("Hello from cc-relay-sim.").fault(Fault::ResetAfterBytes(at)));
        let (body, error) = drain(client.post(STREAM).await.unwrap()).await;
        assert_eq!(body.len(), at);
        assert!(error.is_some(), "a reset at {at} of {whole}");
    }
    sim.push(Script::text("x").fault(Fault::ResetBeforeHead));
    assert!(client.post(STREAM).await.is_err());
    assert_eq!(client.post(PLAIN).await.unwrap().status(), StatusCode::OK);
    assert_eq!(sim.stats().connections_opened, 1);
    assert_eq!(sim.requests()[1].outcome(), Outcome::Aborted);
}

#[tokio::test]
async fn a_close_drops_the_connection_and_a_clean_end_does_not() {
    let sim = Sim::builder().start().await.unwrap();
    for before in [false, true] {
        let fault = if before {
            Fault::CloseBeforeHead
        } else {
            Fault::CloseAfterEvents(3)
        };
        sim.push(Script::text("hello").fault(fault));
        let mut client = Client::to(&sim).await;
        if before {
            assert!(client.post(STREAM).await.is_err());
        } else {
            let (body, error) = drain(client.post(STREAM).await.unwrap()).await;
            assert_eq!(events(&String::from_utf8(body).unwrap()).len(), 3);
            assert!(error.is_some());
        }
        sim.wait_for(|stats| stats.connections_open == 0, PATIENCE)
            .await
            .unwrap();
    }
    let mut client = Client::to(&sim).await;
    sim.push(Script::text("hello").fault(Fault::CleanEndAfterEvents(2)));
    let (body, error) = drain(client.post(STREAM).await.unwrap()).await;
    assert_eq!(events(&String::from_utf8(body).unwrap()).len(), 2);
    assert!(error.is_none());
}

#[tokio::test]
async fn a_cancelled_stream_is_seen_at_once() {
    let sim = Sim::builder().start().await.unwrap();
    let mut client = Client::to(&sim).await;
    for fault in [Fault::StallAfterEvents(2), Fault::StallBeforeHead] {
        sim.push(Script::text("hello").fault(fault.clone()));
        let gone = sim.stats().client_gone;
        if fault == Fault::StallBeforeHead {
            tokio::select! {
                _ = client.post(STREAM) => panic!("a stall has no head"),
                stats = sim.wait_for(|stats| stats.requests == 2, PATIENCE) => drop(stats.unwrap()),
            }
        } else {
            let response = client.post(STREAM).await.unwrap();
            sim.wait_for(|stats| stats.events_sent == 2, PATIENCE)
                .await
                .unwrap();
            drop(response);
        }
        sim.wait_for(|stats| stats.client_gone == gone + 1, PATIENCE)
            .await
            .unwrap();
    }
    assert_eq!(
        sim.requests()[0].outcome(),
        Outcome::ClientGone { events_sent: 2 }
    );
    assert_eq!(sim.stats().connections_open, 1);
}

#[tokio::test]
async fn gaps_delays_errors_and_stream_limits_hold() {
    let sim = Sim::builder()
        .max_concurrent_streams(1)
        .start()
        .await
        .unwrap();
    let mut client = Client::to(&sim).await;
    let pause = std::time::Duration::from_millis(10);
    sim.push(Script::text("hello").delay_head(pause).event_gap(pause));
    sim.push(Script::preset("overloaded").unwrap());
    let first = client.post(STREAM).await.unwrap();
    let mut other = client.sender.clone();
    let request = Request::post("http://sim/v1/messages").header("x-api-key", "k");
    let second = other.send_request(request.body(Full::from(PLAIN)).unwrap());
    let ((body, error), second) = tokio::join!(drain(first), second);
    assert!(error.is_none() && !body.is_empty());
    assert_eq!(second.unwrap().status().as_u16(), 529);
    let requests = sim.requests();
    assert!(
        requests[1].at >= requests[0].ended_at().unwrap(),
        "one stream at a time"
    );
}

#[tokio::test]
async fn without_http2_the_preface_is_refused() {
    let sim = Sim::builder().http2(false).start().await.unwrap();
    let mut client = Client::to(&sim).await;
    assert!(client.post(STREAM).await.is_err());
}

#[tokio::test]
async fn then_close_says_goaway() {
    let sim = Sim::builder().start().await.unwrap();
    let mut client = Client::to(&sim).await;
    sim.push(Script::text("last").then_close());
    let (_, error) = drain(client.post(STREAM).await.unwrap()).await;
    assert!(error.is_none());
    sim.wait_for(|stats| stats.connections_open == 0, PATIENCE)
        .await
        .unwrap();
    assert!(client.post(STREAM).await.is_err());
}

#[tokio::test]
async fn an_answer_before_the_body_does_not_wait_for_it() {
    let sim = Sim::builder().start().await.unwrap();
    let mut client = Client::to(&sim).await;
    sim.push(Script::preset("too_large_413").unwrap().before_body());
    assert_eq!(
        client.post(PLAIN).await.unwrap().status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(sim.requests()[0].body_bytes, 0);
    assert_eq!(client.post(PLAIN).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn uploads_elsewhere_are_hashed_on_http2_too() {
    let sim = Sim::builder().start().await.unwrap();
    let mut client = Client::to(&sim).await;
    let request = Request::post("http://sim/v1/files").header("authorization", "Bearer t");
    let request = request.body(Full::from(vec![b'a'; 3 << 20])).unwrap();
    let (body, _) = drain(client.sender.send_request(request).await.unwrap()).await;
    let echo: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&echo["bytes"], echo["sha256"].as_str().unwrap().len()),
        (&(3 << 20).into(), 64)
    );
    assert!(sim.requests()[0].body.is_empty());
}

#[tokio::test]
async fn kill_reaches_http2() {
    let sim = Sim::builder().start().await.unwrap();
    let mut client = Client::to(&sim).await;
    sim.push(Script::text("hello").fault(Fault::StallAfterEvents(1)));
    let response = client.post(STREAM).await.unwrap();
    sim.kill();
    assert!(drain(response).await.1.is_some());
    sim.closed().await;
    assert_eq!(sim.requests()[0].outcome(), Outcome::Aborted);
}
