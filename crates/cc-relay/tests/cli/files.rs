//! Files that the real program is given: in both formats, as older programs wrote them, with a
//! certificate in them, and changed while requests run.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use relay_sim::Sim;
use rustls::pki_types::{CertificateDer, ServerName};

use crate::reload::{Served, last_key};
use crate::support::{Home, body_of};
use crate::switches::{EVENTS, Load, fixed};

const YAML: &str = include_str!("../../../../example.yaml");
const TOML: &str = include_str!("../../../../example.toml");

/// What the example takes from the environment.
const VARIABLES: [(&str, &str); 9] = [
    ("CC_RELAY_API_KEY", "client-0123456789"),
    ("CC_RELAY_BEARER", "bearer-0123456789"),
    ("CC_RELAY_KEY_ANA", "ana-0123456789"),
    ("ANTHROPIC_API_KEY", "sk-ant-example-01"),
    ("CC_RELAY_AWS_SECRET", "aws-secret-0123456789"),
    ("CC_RELAY_AWS_TOKEN", "aws-token-0123456789"),
    ("CC_RELAY_AZURE_SECRET", "azure-secret-0123456789"),
    ("CC_RELAY_GATEWAY_KEY", "gateway-0123456789"),
    ("NO_PROXY", "127.0.0.1"),
];

async fn sim() -> Sim {
    Sim::builder().start().await.unwrap()
}

/// A turn with a credential of its own.
fn turn_with(served: &Served, key: &str, model: &str) -> String {
    let body = format!(r#"{{"model":"{model}","max_tokens":9,"messages":[]}}"#);
    served.say(&format!(
        "POST /v1/messages HTTP/1.1\r\nhost: r\r\nx-api-key: {key}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_example_serves_and_means_the_same_in_both_formats() {
    let mut shown = Vec::new();
    for (name, text) in [("relay.yaml", YAML), ("relay.toml", TOML)] {
        let (sim, home) = (sim().await, Home::new());
        let base = sim.base_url();
        let text = text
            .replace("https://api.anthropic.com", "http://up.stream")
            .replace("127.0.0.1:8787", "127.0.0.1:0");
        let file = home.write(name, &text);
        let words = ["config", "show", "-c", file.to_str().unwrap()];
        let said = home.run_with(&words, &VARIABLES).expect(0).stdout;
        let lines = said.lines().filter(|line| !line.starts_with('#'));
        shown.push(lines.collect::<Vec<_>>().join("\n"));
        home.write(name, &text.replace("http://up.stream", &base));
        let served = Served::start_with(&home, name, &VARIABLES);
        let refused = turn_with(&served, "nobodys-0123456789", "claude-opus-5-5");
        assert!(refused.starts_with("HTTP/1.1 401"), "{name}: {refused}");
        let answer = turn_with(&served, "ana-0123456789", "claude-3-5-haiku-latest");
        assert!(answer.starts_with("HTTP/1.1 200"), "{name}: {answer}");
        let asked = sim.requests().into_iter().rfind(|it| it.method == "POST");
        let asked = String::from_utf8_lossy(&asked.unwrap().body).into_owned();
        assert!(
            asked.contains(r#""model":"claude-haiku-4-5""#),
            "{name}: {asked}"
        );
        assert_eq!(last_key(&sim), "sk-ant-example-01", "{name}");
    }
    assert!(shown[0].contains("routing:"), "{}", shown[0]);
    assert_eq!(shown[0], shown[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn toml_is_followed_too() {
    let (sim, home) = (sim().await, Home::new());
    let text = |key: &str| {
        format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[[providers]]\nname = \"up\"\ntype = \"anthropic\"\nbase_url = \"{}\"\nproxy = \"none\"\naccepts_client_credential = false\n[[providers.keys]]\nkey = \"{key}\"\n",
            sim.base_url()
        )
    };
    home.write("relay.toml", &text("sk-ant-one"));
    let served = Served::start(&home, "relay.toml");
    assert!(served.turn().starts_with("HTTP/1.1 200"));
    assert_eq!(last_key(&sim), "sk-ant-one");
    home.write("relay.toml", &text("sk-ant-two"));
    served.wait("config.reload");
    assert!(served.turn().starts_with("HTTP/1.1 200"));
    assert_eq!(last_key(&sim), "sk-ant-two");
}

/// As its example had it, with its own names, units and `${VAR}`.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[expect(
    clippy::too_many_lines,
    reason = "one story, told from its start to its end"
)]
async fn a_file_of_the_go_program_does_what_it_says() {
    let (first, second, home) = (sim().await, sim().await, Home::new());
    let text = format!(
        "server:
  listen: 127.0.0.1:0
  api_key: ${{RELAY_KEY}}
  timeout_ms: 600000
  max_concurrent: 100
routing: {{strategy: weighted_failover, failover_timeout: 5000, debug: true}}
providers:
  - name: primary
    type: anthropic
    enabled: true
    base_url: '{}'
    pooling: {{enabled: true, strategy: round_robin}}
    keys:
      - {{key: '${{K1}}', rpm_limit: 2, itpm_limit: 30000, otpm_limit: 30000, priority: 2, weight: 3}}
      - {{key: '${{K2}}', rpm_limit: 1, tpm_limit: 30000, priority: 2, weight: 1}}
  - name: backup
    type: zai
    enabled: true
    base_url: '{}'
    model_mapping: {{claude-opus-5-5: glm-5}}
    keys: [{{key: sk-zai-0123456789, rpm_limit: 1}}]
logging: {{level: info, format: json}}
health:
  health_check: {{enabled: true, interval_ms: 10000}}
  circuit_breaker: {{failure_threshold: 5, open_duration_ms: 30000, half_open_probes: 3}}
",
        first.base_url(),
        second.base_url()
    );
    home.write("relay.yaml", &text);
    let variables = [
        ("RELAY_KEY", "relay-key-0123456789"),
        ("K1", "sk-ant-one-0123456789"),
        ("K2", "sk-ant-two-0123456789"),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let served = Served::start_with(&home, "relay.yaml", &variables);
    let turn = || turn_with(&served, "relay-key-0123456789", "claude-opus-5-5");
    let refused = turn_with(&served, "another-0123456789", "claude-opus-5-5");
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    let names = |answer: &str, header: &str, value: &str| {
        let line = format!("{header}: {value}\r\n");
        assert!(
            answer.to_ascii_lowercase().contains(&line),
            "{line}: {answer}"
        );
    };
    // Three requests a minute between two keys, and one more at the second provider.
    for _ in 0..3 {
        let answer = turn();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        names(&answer, "x-cc-relay-provider", "primary");
        names(&answer, "x-cc-relay-strategy", "failover");
    }
    let mut keys: Vec<_> = first
        .requests()
        .iter()
        .filter(|it| it.method == "POST")
        .map(|it| it.header("x-api-key").unwrap().to_owned())
        .collect();
    keys.sort_unstable();
    let one = "sk-ant-one-0123456789";
    assert_eq!(keys, [one, one, "sk-ant-two-0123456789"]);
    let answer = turn();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    names(&answer, "x-cc-relay-provider", "backup");
    let asked = second
        .requests()
        .into_iter()
        .rfind(|it| it.method == "POST");
    let asked = String::from_utf8_lossy(&asked.unwrap().body).into_owned();
    assert!(asked.contains(r#""model":"glm-5""#), "{asked}");
    let spent = turn();
    assert!(spent.starts_with("HTTP/1.1 429"), "{spent}");
    assert!(
        spent.to_ascii_lowercase().contains("\r\nretry-after: "),
        "{spent}"
    );
    let line = served.wait(r#""event.name":"request""#);
    assert!(
        serde_json::from_str::<serde_json::Value>(&line).is_ok(),
        "{line}"
    );
}

#[test]
fn a_faulty_file_is_not_served_and_every_fault_is_named_with_its_place() {
    let home = Home::new();
    let file = home.write(
        "relay.yaml",
        "server:\n  listen: 127.0.0.1:0\n  max_concurrent: none\nrouting:\n  strategy: fastest\nproviders:\n  - {name: up, type: anthropic, keys: [{key: '${NOT_SET}'}]}\n",
    );
    let words = ["serve", "-c", file.to_str().unwrap()];
    let said = home.run(&words).expect(78).stderr;
    for words in [
        "relay.yaml:3:19",
        "relay.yaml:5:13",
        "relay.yaml:7:47",
        "NOT_SET",
        "3 errors",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let told = home
        .run(&[&words[..], &["--json"]].concat())
        .expect(78)
        .json();
    let faults = told["error"]["faults"].as_array().unwrap();
    let paths: Vec<_> = faults.iter().map(|fault| &fault["path"]).collect();
    let expected = [
        "server.max_concurrent",
        "routing.strategy",
        "providers[0].keys[0].key",
    ];
    assert_eq!(paths, expected, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_changes_no_request_is_dropped() {
    let (one, other, home) = (fixed().await, fixed().await, Home::new());
    let text = |up: &Sim, more: &str| {
        format!(
            "server: {{listen: '127.0.0.1:0'}}\nrouting: {{model_lists: false}}\n{more}providers:\n  - {{name: up, type: anthropic, base_url: '{}', proxy: none, accepts_client_credential: false, keys: [{{key: sk-ant-k1}}]}}\n",
            up.base_url()
        )
    };
    home.write("relay.yaml", &text(&one, ""));
    let served = Served::start(&home, "relay.yaml");
    let load = Load::start(&served.address);
    load.each(1).await;
    for round in 0..3 {
        // The upstream is another one: what is under way ends where it began.
        home.write("relay.yaml", &text(&other, ""));
        served.wait("config.reload");
        load.each(1).await;
        let before = one.stats().requests;
        load.each(2).await;
        assert_eq!(one.stats().requests, before, "round {round}");
        // What has a fault changes nothing.
        home.write("relay.yaml", &text(&one, "routng: {}\n"));
        served.wait("config.refused");
        load.each(2).await;
        assert_eq!(one.stats().requests, before, "round {round}");
        home.write("relay.yaml", &text(&one, ""));
        served.hang_up();
        served.wait("config.reload");
        load.each(1).await;
        let before = other.stats().requests;
        load.each(2).await;
        assert_eq!(other.stats().requests, before, "round {round}");
    }
    load.end();
}

type Secure = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

/// A client that trusts these certificates, and the one that it was shown.
fn connect(
    address: &str,
    trusted: &[CertificateDer<'static>],
) -> (Secure, CertificateDer<'static>) {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate.clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut tcp = TcpStream::connect(address).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut tcp).unwrap();
    }
    let shown = connection.peer_certificates().unwrap()[0].clone();
    (
        rustls::StreamOwned::new(connection, tcp),
        shown.into_owned(),
    )
}

/// One turn on a connection that stays open, or closes after it.
fn ask(stream: &mut Secure, last: bool) -> String {
    let body = r#"{"model":"claude-opus-5-5","max_tokens":9,"messages":[],"stream":true}"#;
    let close = if last { "connection: close\r\n" } else { "" };
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: r\r\n{close}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n0\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_certificate_is_replaced_while_connections_live() {
    let (sim, home) = (fixed().await, Home::new());
    let make = || rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (old, new) = (make(), make());
    let place = |made: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        home.write("tls/key.pem", &made.signing_key.serialize_pem());
        home.write("tls/cert.pem", &made.cert.pem());
    };
    place(&old);
    let text = format!(
        "server: {{listen: '127.0.0.1:0', tls: {{cert_file: '{}', key_file: '{}'}}}}\nproviders:\n  - {{name: up, type: anthropic, base_url: '{}', proxy: none, accepts_client_credential: false, keys: [{{key: sk-ant-k1}}]}}\n",
        home.path("tls/cert.pem").display(),
        home.path("tls/key.pem").display(),
        sim.base_url()
    );
    home.write("relay.yaml", &text);
    let served = Served::start(&home, "relay.yaml");
    let both = [old.cert.der().clone(), new.cert.der().clone()];
    let (mut before, shown) = connect(&served.address, &both);
    assert_eq!(shown, both[0]);
    assert_eq!(body_of(&ask(&mut before, false)), EVENTS.concat());
    place(&new);
    served.wait("config.reload");
    let (mut after, shown) = connect(&served.address, &both);
    assert_eq!(shown, both[1], "who comes now is shown the other one");
    assert_eq!(body_of(&ask(&mut after, true)), EVENTS.concat());
    let same = ask(&mut before, true);
    assert_eq!(body_of(&same), EVENTS.concat(), "who was there stays");
    // One that cannot be used leaves the one before.
    home.write("tls/cert.pem", "no certificate\n");
    served.wait("config.refused");
    let (mut kept, shown) = connect(&served.address, &both);
    assert_eq!(shown, both[1]);
    assert_eq!(body_of(&ask(&mut kept, true)), EVENTS.concat());
}
