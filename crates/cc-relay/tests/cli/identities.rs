//! Who the relay is to a cloud: credentials come from the machine that it runs on, are renewed when
//! they are refused, and no client sees it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use relay_sim::{Aws, AwsKey, Dialect, IdentitySim, Issuer, Script, Sim, Vertex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::Home;

/// A relay in a process of its own, stopped when it is dropped.
struct Served {
    child: Child,
    address: String,
    /// Where its metrics are.
    metrics: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn serve(home: &Home, provider: &str, variables: &[(&str, &str)]) -> Served {
    let config = format!(
        "server: {{listen: '127.0.0.1:0'}}\nmetrics: {{enabled: true, prometheus_listen: '127.0.0.1:0'}}\nproviders:\n  - {provider}\n"
    );
    home.write("relay.yaml", &config);
    let path = home.path("relay.yaml");
    let mut child = home
        .command(&["serve", "--config", path.to_str().unwrap()])
        .envs(variables.iter().copied())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut addresses = lines.by_ref().filter_map(|line| {
        let line = line.unwrap();
        let (_, rest) = line.split_once("http://")?;
        let is_part = |it: &char| it.is_ascii_digit() || ".:".contains(*it);
        Some(rest.chars().take_while(is_part).collect::<String>())
    });
    let address = addresses.next().expect("an address");
    let metrics = addresses.next().expect("the address of the metrics");
    drop(addresses);
    // What it says from now on must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    Served {
        child,
        address,
        metrics,
    }
}

async fn turn(served: &Served) -> String {
    let body = r#"{"model":"claude-opus-5-5","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"stream":true}"#;
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: r\r\nanthropic-version: 2023-06-01\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    say(&served.address, &request).await
}

async fn say(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_mins(1), read)
        .await
        .unwrap()
        .unwrap();
    answer
}

#[tokio::test]
async fn google_a_revoked_token_is_renewed_before_the_client_sees_it() {
    let identity = Arc::new(IdentitySim::start().await.unwrap());
    let judge = Arc::clone(&identity);
    let vertex = Vertex::default();
    let sim = Sim::builder()
        .dialect(Dialect::Vertex(vertex.clone()))
        .judge_keys(move |token| judge.holds(token))
        .start()
        .await
        .unwrap();
    sim.set_default(Script::text("hello"));
    let provider = format!(
        "{{name: v, type: vertex, gcp_project_id: {}, gcp_region: us-east5, base_url: '{}/v1', proxy: none}}",
        vertex.project,
        sim.base_url()
    );
    let home = Home::new();
    let host = identity.address().to_string();
    let served = serve(
        &home,
        &provider,
        &[("GCE_METADATA_HOST", &host), ("NO_PROXY", "*")],
    );
    for _ in 0..3 {
        let answer = turn(&served).await;
        assert!(answer.contains("message_stop"), "{answer}");
    }
    assert_eq!(
        identity.questions(Issuer::GoogleMetadata),
        1,
        "one token serves all"
    );
    identity.revoke_all();
    let answer = turn(&served).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("message_stop"),
        "{answer}"
    );
    assert!(identity.questions(Issuer::GoogleMetadata) >= 2);
    assert_eq!(
        sim.requests().len(),
        5,
        "the refused one was said once more"
    );
}

#[tokio::test]
async fn aws_credentials_of_a_container_sign() {
    let identity = IdentitySim::start().await.unwrap();
    let keys = (0..4).map(|number| {
        AwsKey::new(
            format!("ASIASIM{number:013}"),
            format!("sim-secret-{number}"),
        )
        .session_token(format!("sim-session-{number}"))
    });
    let aws = Aws {
        keys: keys.collect(),
        ..Aws::default()
    };
    let sim = Sim::builder()
        .dialect(Dialect::Bedrock(aws))
        .start()
        .await
        .unwrap();
    sim.set_default(Script::text("hello"));
    let provider = format!(
        "{{name: b, type: bedrock, aws_region: us-east-1, base_url: '{}', proxy: none}}",
        sim.base_url()
    );
    let home = Home::new();
    let url = format!("{}/v2/credentials/sim", identity.base_url());
    let served = serve(
        &home,
        &provider,
        &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "sim-container-token"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ],
    );
    let answer = turn(&served).await;
    assert!(answer.contains("message_stop"), "{answer}");
    assert_eq!(identity.questions(Issuer::Container), 1);
    let page = say(
        &served.metrics,
        "GET /metrics HTTP/1.1\r\nhost: r\r\nconnection: close\r\n\r\n",
    )
    .await;
    let start = "ccrelay_credential_expiry_timestamp_seconds{provider=\"b\",";
    let row = page.lines().find(|line| line.starts_with(start));
    let row = row.unwrap_or_else(|| panic!("{page}"));
    let ends: f64 = row.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(ends > relay_proxy::clock::unix().as_secs_f64(), "{row:?}");
    let sent = sim.requests().remove(0);
    assert!(sent.header("authorization").unwrap().contains("ASIASIM"));
    assert!(
        sent.header("x-amz-security-token")
            .unwrap()
            .starts_with("sim-session-")
    );
}

#[tokio::test]
async fn without_credentials_the_client_is_told_why() {
    let sim = Sim::builder()
        .dialect(Dialect::Bedrock(Aws::default()))
        .start()
        .await
        .unwrap();
    let provider = format!(
        "{{name: b, type: bedrock, aws_region: us-east-1, base_url: '{}', proxy: none}}",
        sim.base_url()
    );
    let home = Home::new();
    let served = serve(&home, &provider, &[("AWS_EC2_METADATA_DISABLED", "true")]);
    let answer = turn(&served).await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert!(answer.contains("no credential for it"), "{answer}");
    assert!(sim.requests().is_empty());
}
