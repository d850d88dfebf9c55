//! One relay with a secret in every place where a file may hold one, used well and badly, and then
//! everything that it shows: no output may hold any of them.

use std::path::Path;

use relay_api::v1::{GetConfigRequest, UpdateConfigRequest};
use relay_api::{Address, Credentials, connect};
use relay_sim::{Script, Sim};

use crate::reload::Served;
use crate::support::Home;

/// What stands in the middle of every secret here; the ends may be shown.
const MARK: &str = "HiddenFromAll";

fn secret(place: &str) -> String {
    format!("sk-ant-{place}-{MARK}-{place}-0123")
}

/// Secrets that come from the environment: of the client, of the provider, for the keychain's place.
fn variables() -> Vec<(&'static str, String)> {
    vec![
        ("RELAY_KEY", secret("client")),
        ("ANA_KEY", secret("ana")),
        ("UP_KEY", secret("up")),
        ("AWS_SECRET", secret("aws")),
        ("PROXY_PASSWORD", secret("proxy")),
    ]
}

fn config(home: &Home, sim: &Sim, more: &str) -> String {
    format!(
        "server:
  listen: 127.0.0.1:0
  auth: {{api_key: '${{RELAY_KEY}}', bearer_secret: {bearer}, keys: [{{name: ana, key: '${{ANA_KEY}}'}}]}}
routing: {{model_lists: true, debug: true}}
providers:
  - name: up
    type: anthropic
    base_url: '{base}'
    proxy: none
    keys: [{{key: '${{UP_KEY}}', name: k1}}, {{key: '${{file:{file}}}', name: k2}}, {{key: {plain}, name: k3}}]
  - name: cloud
    type: bedrock
    enabled: false
    aws_region: us-east-1
    aws_access_key_id: AKIDEXAMPLE
    aws_secret_access_key: '${{AWS_SECRET}}'
    aws_session_token: {session}
    proxy: 'http://user:${{PROXY_PASSWORD}}@127.0.0.1:9'
  - name: foundry
    type: azure
    enabled: false
    azure_resource_name: r
    azure_tenant_id: 00000000-0000-0000-0000-000000000000
    azure_client_id: 00000000-0000-0000-0000-000000000001
    azure_client_secret: {azure}
logging: {{level: trace, format: json, file: {{path: '{log}'}}, debug_options: {{log_headers: true, log_bodies: true, log_connection: true}}}}
metrics: {{enabled: true, prometheus_listen: '127.0.0.1:0'}}
history: {{enabled: true, file: '{history}'}}
traces: {{enabled: true, endpoint: 'http://127.0.0.1:9', headers: [{{name: authorization, value: {traces}}}]}}
grpc: {{tokens: [{{name: ops, token: {token}, role: admin}}]}}
{more}",
        base = sim.base_url(),
        bearer = secret("bearer"),
        file = home.path("up.key").display(),
        plain = secret("plain"),
        session = secret("session"),
        azure = secret("azure"),
        log = home.path("relay.log").display(),
        history = home.path("relay.db").display(),
        traces = secret("traces"),
        token = secret("token"),
    )
}

/// What was shown, and where.
struct Seen(Vec<(String, String)>);

impl Seen {
    fn add(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.0.push((place.into(), text.into()));
    }

    /// Looks at every file below a folder, but for those where secrets are kept.
    fn files(&mut self, folder: &Path, kept: &[&str]) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy().into_owned();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                self.files(&path, kept);
            } else if kind.is_file() && !kept.contains(&name.as_str()) {
                let bytes = std::fs::read(&path).unwrap();
                self.add(name, String::from_utf8_lossy(&bytes));
            }
        }
    }

    #[track_caller]
    fn holds_nothing(&self) {
        for (place, text) in &self.0 {
            assert!(!text.is_empty(), "{place} shows nothing at all");
            let before = text.split_once(MARK).map(|(before, _)| {
                let tail = before.chars().rev().take(60).collect::<Vec<_>>();
                tail.into_iter().rev().collect::<String>()
            });
            assert_eq!(before, None, "{place} shows what stands behind this");
        }
    }
}

/// A request with this credential.
fn ask(served: &Served, what: &str, key: &str, body: &str) -> String {
    let length = body.len();
    served.say(&format!(
        "{what} HTTP/1.1\r\nhost: r\r\nx-api-key: {key}\r\nanthropic-version: 2023-06-01\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ))
}

/// Uses the relay in every way in which a secret is at hand: served, refused, failed over, unknown.
fn use_it(served: &Served, sim: &Sim, seen: &mut Seen) {
    let body = r#"{"model":"claude-opus-5-5","max_tokens":9,"messages":[],"stream":true}"#;
    sim.push(Script::error(
        401,
        "authentication_error",
        "invalid x-api-key",
    ));
    sim.push(Script::error(500, "api_error", "broken"));
    for key in ["client", "ana", "bearer", "nobody", "client", "client"] {
        seen.add(
            format!("an answer for {key}"),
            ask(served, "POST /v1/messages", &secret(key), body),
        );
    }
    for path in ["/v1/models", "/v1/providers", "/config", "/nowhere"] {
        seen.add(
            path,
            ask(served, &format!("GET {path}"), &secret("client"), ""),
        );
    }
    for path in ["/health", "/healthz", "/livez", "/readyz", "/config"] {
        seen.add(path, ask(served, &format!("GET {path}"), "none", ""));
    }
}

/// What the commands and the management API show.
#[expect(
    clippy::too_many_lines,
    reason = "half of it is the list of what can be asked"
)]
async fn look_at(home: &Home, served: &Served, file: &str, seen: &mut Seen) {
    let owned = variables();
    let given: Vec<(&str, &str)> = owned
        .iter()
        .map(|(name, it)| (*name, it.as_str()))
        .collect();
    for words in [
        "config show",
        "config validate",
        "config get",
        "config diff",
        "doctor",
        "status",
        "provider list",
        "provider health up",
        "provider enable cloud --dry-run",
        "key list",
        "key disable up k1 --dry-run",
        "routing get",
        "sessions",
        "logs --level debug",
        "requests",
        "usage",
        "changes",
    ] {
        for json in [false, true] {
            let mut all: Vec<&str> = words.split(' ').collect();
            let relay = [
                "config show",
                "config validate",
                "requests",
                "usage",
                "changes",
            ];
            if !relay.contains(&words) {
                all.extend(["--addr", &served.address]);
            }
            all.extend(["-c", file, "-v"]);
            all.extend(json.then_some("--json"));
            let ran = home.run_with(&all, &given);
            // `doctor` finds an upstream that does not let it in; all others have something to show.
            assert!(
                ran.code == 0 || words == "doctor" || words == "status",
                "{ran:?}"
            );
            seen.add(format!("{words} {json}"), format!("{} {ran:?}", ran.code));
        }
    }
    let (_, port) = served.address.rsplit_once(':').unwrap();
    let folder = home.path(".local/state/cc-relay/run");
    let address = Address::beside(&folder, port.parse().unwrap()).unwrap();
    let credentials = Credentials {
        token: Some(secret("token")),
        ..Credentials::default()
    };
    let mut api = connect(&address, &credentials).await.unwrap();
    let told = api
        .get_config(GetConfigRequest {})
        .await
        .unwrap()
        .into_inner();
    seen.add("GetConfig", format!("{told:?}"));
    let update = UpdateConfigRequest {
        text: told.text.replace("debug: true", "debug: perhaps"),
        revision: told.revision,
        dry_run: true,
    };
    let faults = api.update_config(update).await.unwrap().into_inner();
    assert_eq!(faults.faults[0].path, "routing.debug");
    seen.add("UpdateConfig", format!("{faults:?}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_output_holds_a_secret() {
    let (sim, home) = (Sim::builder().start().await.unwrap(), Home::new());
    home.write("up.key", &secret("file"));
    let file = home.write("relay.yaml", &config(&home, &sim, ""));
    let mut seen = Seen(Vec::new());
    let owned = variables();
    let given: Vec<(&str, &str)> = owned
        .iter()
        .map(|(name, it)| (*name, it.as_str()))
        .collect();
    let served = Served::start_with(&home, "relay.yaml", &given);
    let line = served.wait("metrics.start");
    let (_, page) = line.split_once("http://").unwrap();
    let page = page.split('/').next().unwrap();
    use_it(&served, &sim, &mut seen);
    // The upstream was asked with what nothing may show.
    let marked =
        |it: &relay_sim::Recorded| it.header("x-api-key").is_some_and(|key| key.contains(MARK));
    assert!(sim.requests().iter().any(marked));
    look_at(&home, &served, file.to_str().unwrap(), &mut seen).await;
    let scrape = "GET /metrics HTTP/1.1\r\nhost: p\r\nconnection: close\r\n\r\n";
    seen.add("metrics", crate::reload::say(page, scrape));

    // Another secret in force, and then a file that has faults in and around its secrets.
    home.write("up.key", &secret("other"));
    seen.add("a reload", served.wait("config.reload"));
    let broken = config(&home, &sim, "oops: 1\n");
    let broken = broken
        .replace("token: sk", "tokn: sk")
        .replace("azure_client_secret:", "azure_client_secert:");
    home.write("relay.yaml", &broken);
    seen.add("a refused reload", served.wait("config.refused"));
    seen.add("readyz after it", ask(&served, "GET /readyz", "none", ""));
    let words = ["config", "validate", file.to_str().unwrap()];
    let ran = home.run_with(&words, &given).expect(78);
    assert!(ran.stderr.contains("azure_client_secert"), "{ran:?}");
    seen.add("faults", format!("{ran:?}"));
    seen.add("the end of the log", served.stop().join("\n"));
    seen.files(&home.path(""), &["relay.yaml", "up.key"]);
    let places: Vec<&str> = seen.0.iter().map(|(place, _)| place.as_str()).collect();
    for place in ["relay.log", "relay.db"] {
        assert!(places.contains(&place), "{places:?}");
    }
    seen.holds_nothing();
}
