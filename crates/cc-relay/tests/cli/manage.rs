//! The management API of a real relay: what it shows, what it changes, and for whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use relay_api::v1::{self, ChangeOptions, RequestChange};
use relay_api::{Address, Connection, Credentials, connect};
use relay_sim::{Script, Sim};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::reload::{Served, turn};
use crate::support::Home;

/// Longest wait for anything. It is a bound, never a measure.
const PATIENCE: Duration = Duration::from_secs(30);

async fn sim() -> Sim {
    Sim::builder().start().await.unwrap()
}

/// Two providers, one behind the other, the first with two keys.
fn config(first: &Sim, second: &Sim, more: &str) -> String {
    format!(
        "# mine
server: {{listen: '127.0.0.1:0'}}
routing: {{model_lists: false}}   # no lists
providers:
  - name: first
    type: anthropic
    base_url: '{}'
    accepts_client_credential: false
    keys:
      - {{key: sk-ant-one-000000000001, name: k1}}   # the first
      - {{key: sk-ant-two-000000000002, name: k2}}
  - name: second
    type: zai
    base_url: '{}'
    accepts_client_credential: false
    keys: [{{key: sk-zai-three-0000000003, name: k3}}]
{more}",
        first.base_url(),
        second.base_url()
    )
}

/// Waits until something holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "not within {PATIENCE:?}: {what}");
}

struct Running {
    served: Served,
    home: Home,
    first: Sim,
    second: Sim,
}

impl Running {
    async fn start(more: &str) -> Self {
        let (first, second) = (sim().await, sim().await);
        let home = Home::new();
        home.write("relay.yaml", &config(&first, &second, more));
        let served = Served::start(&home, "relay.yaml");
        Self {
            served,
            home,
            first,
            second,
        }
    }

    async fn api(&self) -> Connection {
        let port = self
            .served
            .address
            .rsplit_once(':')
            .unwrap()
            .1
            .parse()
            .unwrap();
        let folder = self.home.path(".local/state/cc-relay/run");
        let address = Address::beside(&folder, port).unwrap();
        connect(&address, &Credentials::default()).await.unwrap()
    }

    /// Returns how many turns each upstream has had.
    fn turns(&self) -> [usize; 2] {
        [&self.first, &self.second].map(|sim| {
            sim.requests()
                .iter()
                .filter(|it| it.method == "POST")
                .count()
        })
    }

    fn turn(&self) {
        let answer = self.served.turn();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

fn only_asked() -> ChangeOptions {
    ChangeOptions {
        dry_run: true,
        persist: false,
    }
}

fn kept() -> ChangeOptions {
    ChangeOptions {
        dry_run: false,
        persist: true,
    }
}

/// Returns why a call was refused, and what to do.
fn refusal<T: std::fmt::Debug>(answer: Result<T, tonic::Status>) -> (Code, String, String) {
    let status = answer.unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.domain, "cc-relay");
    (status.code(), info.reason, info.metadata["fix"].clone())
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::too_many_lines,
    reason = "one story, told from its start to its end"
)]
async fn a_provider_is_switched_off_and_on_under_load_without_one_failed_request() {
    let running = Running::start("").await;
    let slow = Script::text("slow").event_gap(Duration::from_millis(200));
    let mut api = running.api().await;
    running.first.push(slow);
    let address = running.served.address.clone();
    let stream = std::thread::spawn(move || turn(&address));
    until("a turn arrives", || running.turns()[0] > 0).await;
    let (stop, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            let address = running.served.address.clone();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = turn(&address);
                    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let name = || "first".to_owned();
    let asked = v1::DisableProviderRequest {
        name: name(),
        options: Some(only_asked()),
    };
    let would = api
        .disable_provider(asked)
        .await
        .unwrap()
        .into_inner()
        .change
        .unwrap();
    assert!(
        !would.applied && would.lasts_over_reload && !would.lasts_over_restart,
        "{would:?}"
    );
    let told: Vec<&str> = would.effects.iter().map(|it| it.topic.as_str()).collect();
    assert_eq!(told, ["now", "then", "load", "cache", "undo", "until"]);
    assert_eq!(would.effects[1].text, "new requests go to second");

    let asked = v1::DisableProviderRequest {
        name: name(),
        options: None,
    };
    let did = api
        .disable_provider(asked)
        .await
        .unwrap()
        .into_inner()
        .change
        .unwrap();
    assert!(did.applied, "{did:?}");
    // Requests that were on their way may still arrive there; one that begins now does not.
    let before = done.load(Ordering::Relaxed);
    until("the load goes on", || {
        done.load(Ordering::Relaxed) >= before + 8
    })
    .await;
    let [off, _] = running.turns();
    let before = done.load(Ordering::Relaxed);
    until("the load goes on", || {
        done.load(Ordering::Relaxed) >= before + 50
    })
    .await;
    assert_eq!(
        running.turns()[0],
        off,
        "nothing goes to a provider that is off"
    );
    let answer = stream.join().unwrap();
    assert!(answer.contains("message_stop"), "{answer}");

    let listed = api
        .list_providers(v1::ListProvidersRequest {})
        .await
        .unwrap()
        .into_inner();
    let states: Vec<_> = listed
        .providers
        .iter()
        .map(|it| (it.state(), it.overridden))
        .collect();
    assert_eq!(
        states,
        [
            (v1::ProviderState::Off, true),
            (v1::ProviderState::Up, false)
        ]
    );

    // A reload does not end it.
    let reloaded = api
        .reload_config(v1::ReloadConfigRequest { dry_run: false })
        .await
        .unwrap();
    assert!(reloaded.into_inner().applied);
    let before = done.load(Ordering::Relaxed);
    until("the load goes on", || {
        done.load(Ordering::Relaxed) >= before + 8
    })
    .await;
    assert_eq!(running.turns()[0], off);

    let asked = v1::EnableProviderRequest {
        name: name(),
        options: None,
    };
    assert!(
        api.enable_provider(asked)
            .await
            .unwrap()
            .into_inner()
            .change
            .unwrap()
            .applied
    );
    until("it is given turns again", || running.turns()[0] > off).await;
    stop.store(true, Ordering::Relaxed);
    for thread in load {
        thread.join().unwrap();
    }
    let line = running.served.wait("manage.change");
    assert!(
        line.contains("disable first") && line.contains("\"by\":\""),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::too_many_lines,
    reason = "one story, told from its start to its end"
)]
async fn each_request_is_told_as_it_starts_hops_and_ends() {
    let running = Running::start("").await;
    let mut api = running.api().await;
    running.turn();
    let asked = v1::StreamRequestsRequest {
        backlog: 10,
        ..Default::default()
    };
    let mut stream = api.stream_requests(asked).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap();
    assert_eq!(
        (first.change(), first.mark.as_ref().unwrap().sequence),
        (RequestChange::Kept, 1)
    );
    assert_eq!(first.request.unwrap().outcome, "complete");

    running
        .first
        .push(Script::error(529, "overloaded_error", "busy"));
    running
        .second
        .push(Script::text("words").event_gap(Duration::from_millis(150)));
    let answer = tokio::task::block_in_place(|| running.served.turn());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut steps = Vec::new();
    let mut sequence = 1;
    let ended = loop {
        let message = tokio::time::timeout(PATIENCE, stream.message())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let mark = message.mark.clone().unwrap();
        sequence += 1;
        assert_eq!((mark.sequence, mark.missed), (sequence, 0));
        let Some(request) = message.request.clone() else {
            continue;
        };
        steps.push(message.change());
        if message.change() == RequestChange::Ended {
            break request;
        }
    };
    assert_eq!(steps[0], RequestChange::Started, "{steps:?}");
    assert!(steps.contains(&RequestChange::Hopped), "{steps:?}");
    assert!(steps.contains(&RequestChange::Progressed), "{steps:?}");
    assert_eq!(
        (ended.provider.as_str(), ended.key.as_str(), ended.status),
        ("second", "k3", Some(200))
    );
    let attempt = &ended.attempts[0];
    assert_eq!(
        (
            attempt.provider.as_str(),
            attempt.reason.as_str(),
            attempt.status
        ),
        ("first", "overloaded", Some(529))
    );
    let told = api
        .get_request(v1::GetRequestRequest {
            id: ended.id.clone(),
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(told.request.unwrap(), ended);
    let (code, reason, fix) = refusal(
        api.get_request(v1::GetRequestRequest { id: "x".into() })
            .await,
    );
    assert_eq!((code, reason.as_str()), (Code::NotFound, "NOT_FOUND"));
    assert!(fix.contains("cc-relay request"), "{fix}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_is_told_again_and_again() {
    let running = Running::start("").await;
    let mut api = running.api().await;
    for _ in 0..3 {
        running.turn();
    }
    let asked = v1::StreamStatsRequest {
        interval_ms: 100,
        window_s: 60,
    };
    let mut stream = api.stream_stats(asked).await.unwrap().into_inner();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let message = tokio::time::timeout(PATIENCE, stream.message())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        seen.push(message);
    }
    let sequences: Vec<u64> = seen
        .iter()
        .map(|it| it.mark.as_ref().unwrap().sequence)
        .collect();
    assert_eq!(sequences, [1, 2, 3]);
    let stats = seen[2].stats.clone().unwrap();
    let text = format!("{stats:?}");
    assert!(!text.contains("sk-ant"), "{text}");
    assert_eq!(stats.health(), v1::Health::Healthy);
    assert_eq!(stats.url, format!("http://{}", running.served.address));
    let traffic = stats.traffic.unwrap();
    assert_eq!((traffic.requests, traffic.errors), (3, 0));
    assert!(traffic.duration.unwrap().p95_us.is_some());
    let first = stats.providers[0].traffic.clone().unwrap();
    assert_eq!(first.requests, 3);
    assert_eq!(stats.keys.len(), 3);
    assert!(
        stats
            .keys
            .iter()
            .all(|key| key.state() == v1::KeyState::Ok && key.last_four.len() == 4)
    );
    let (code, ..) = refusal(
        api.stream_stats(v1::StreamStatsRequest {
            interval_ms: 5,
            window_s: 0,
        })
        .await
        .map(|_| ()),
    );
    assert_eq!(code, Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::too_many_lines,
    reason = "one story, told from its start to its end"
)]
async fn keys_come_and_go() {
    let running = Running::start("").await;
    let mut api = running.api().await;
    let key = |name: &str| (String::from("first"), String::from(name));
    for name in ["k1", "k2"] {
        let (provider, name) = key(name);
        let asked = v1::DisableKeyRequest {
            provider,
            name,
            options: None,
        };
        let answer = api.disable_key(asked).await;
        if answer.is_err() {
            let (code, reason, _) = refusal(answer);
            assert_eq!(
                (code, reason.as_str()),
                (Code::FailedPrecondition, "CHANGE_REFUSED")
            );
        }
    }
    let names = |keys: &[v1::Key]| -> Vec<(String, v1::KeyState)> {
        keys.iter()
            .map(|it| (it.name.clone(), it.state()))
            .collect()
    };
    let asked = v1::ListKeysRequest {
        provider: "first".into(),
    };
    let listed = api.list_keys(asked.clone()).await.unwrap().into_inner();
    assert_eq!(
        names(&listed.keys),
        [
            ("k2".into(), v1::KeyState::Ok),
            ("k1".into(), v1::KeyState::Off)
        ]
    );
    running.turn();
    let new = v1::AddKeyRequest {
        provider: "first".into(),
        name: "k9".into(),
        secret: "sk-ant-new-000000000009".into(),
        ..Default::default()
    };
    api.add_key(new).await.unwrap();
    let asked_off = v1::DisableKeyRequest {
        provider: "first".into(),
        name: "k2".into(),
        options: None,
    };
    api.disable_key(asked_off).await.unwrap();
    running.turn();
    let sent: Vec<String> = running
        .first
        .requests()
        .iter()
        .filter(|it| it.method == "POST")
        .map(|it| it.header("x-api-key").unwrap().to_owned())
        .collect();
    assert_eq!(sent, ["sk-ant-two-000000000002", "sk-ant-new-000000000009"]);
    let usage = v1::GetKeyUsageRequest {
        provider: "first".into(),
        name: "k9".into(),
        window_s: 0,
    };
    let usage = api.get_key_usage(usage).await.unwrap().into_inner();
    assert_eq!(usage.traffic.unwrap().requests, 1);
    assert!(usage.key.unwrap().added);
    let removed = v1::RemoveKeyRequest {
        provider: "first".into(),
        name: "k9".into(),
        options: None,
    };
    let (_, reason, _) = refusal(api.remove_key(removed).await);
    assert_eq!(reason, "CHANGE_REFUSED", "it is the last one");
    let (code, ..) = refusal(
        api.list_keys(v1::ListKeysRequest {
            provider: "frist".into(),
        })
        .await,
    );
    assert_eq!(code, Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_written_whole_and_by_one_editor_at_a_time() {
    let running = Running::start("").await;
    let mut api = running.api().await;
    let shown = api
        .get_config(v1::GetConfigRequest {})
        .await
        .unwrap()
        .into_inner();
    assert!(!shown.text.contains("sk-ant-one"), "{}", shown.text);
    assert!(
        shown.text.contains("# the first") && shown.settings_json.contains("digest"),
        "{}",
        shown.text
    );

    let text = shown
        .text
        .replace("model_lists: false", "model_lists: false, debug: true");
    let update = |text: &str, revision: &str| v1::UpdateConfigRequest {
        text: text.to_owned(),
        revision: revision.to_owned(),
        dry_run: false,
    };
    let done = api
        .update_config(update(&text, &shown.revision))
        .await
        .unwrap()
        .into_inner();
    assert!(done.applied, "{done:?}");
    assert_eq!(done.changes, ["routing.debug false -> true"]);
    let written = running.home.read("relay.yaml");
    let expected = config(&running.first, &running.second, "")
        .replace("model_lists: false", "model_lists: false, debug: true");
    assert_eq!(written, expected, "credentials are back, comments are kept");
    assert!(
        running
            .served
            .turn()
            .to_ascii_lowercase()
            .contains("x-cc-relay-provider")
    );

    let (code, reason, _) = refusal(api.update_config(update(&text, &shown.revision)).await);
    assert_eq!((code, reason.as_str()), (Code::Aborted, "REVISION_CHANGED"));
    let broken = text.replace("debug: true", "debug: perhaps");
    let refused = api
        .update_config(update(&broken, &done.revision))
        .await
        .unwrap()
        .into_inner();
    assert!(!refused.applied);
    assert_eq!(refused.faults[0].path, "routing.debug");
    assert_eq!(refused.faults[0].line, 3);
    // It can be checked and not be put in force: the file is as it was then.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let unusable = text.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    let (code, reason, _) = refusal(api.update_config(update(&unusable, &done.revision)).await);
    assert_eq!(
        (code, reason.as_str()),
        (Code::FailedPrecondition, "NOT_APPLIED")
    );
    assert_eq!(running.home.read("relay.yaml"), expected);
    running.turn();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_to_last_is_written_to_the_file() {
    let running = Running::start("").await;
    let mut api = running.api().await;
    let asked = v1::SetRoutingStrategyRequest {
        strategy: "shuffle".into(),
        options: Some(kept()),
    };
    let change = api
        .set_routing_strategy(asked)
        .await
        .unwrap()
        .into_inner()
        .change
        .unwrap();
    assert!(change.applied && change.lasts_over_restart);
    let asked = v1::DisableProviderRequest {
        name: "second".into(),
        options: Some(kept()),
    };
    api.disable_provider(asked).await.unwrap();
    let before = config(&running.first, &running.second, "");
    let expected = before
        .replace("{model_lists", "{strategy: shuffle, model_lists")
        .replace(
            "  - name: second\n",
            "  - name: second\n    enabled: false\n",
        );
    assert_eq!(running.home.read("relay.yaml"), expected);
    let routing = api
        .get_routing_strategy(v1::GetRoutingStrategyRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (routing.strategy.as_str(), routing.overridden),
        ("shuffle", false)
    );
    assert_eq!(routing.strategies.len(), 8);
    let asked = v1::DisableProviderRequest {
        name: "first".into(),
        options: None,
    };
    let (code, reason, _) = refusal(api.disable_provider(asked).await);
    assert_eq!(
        (code, reason.as_str()),
        (Code::FailedPrecondition, "CHANGE_REFUSED")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_token_sees_nothing_and_who_may_look_changes_nothing() {
    let (first, second) = (sim().await, sim().await);
    let home = Home::new();
    let more = "grpc:
  listen: 127.0.0.1:PORT
  tokens:
    - {name: eyes, token: eyes-0123456789abcdef}
    - {name: hands, token: hands-0123456789abcdef, role: admin}
";
    let port = crate::support::nobody().port();
    home.write(
        "relay.yaml",
        &config(&first, &second, &more.replace("PORT", &port.to_string())),
    );
    let _served = Served::start(&home, "relay.yaml");
    let address: Address = format!("127.0.0.1:{port}").parse().unwrap();
    let with = |token: Option<&str>| Credentials {
        token: token.map(ToOwned::to_owned),
        ..Credentials::default()
    };
    for (token, reason) in [
        (None, "TOKEN_MISSING"),
        (Some("another-0123456789ab"), "TOKEN_UNKNOWN"),
    ] {
        let mut api = connect(&address, &with(token)).await.unwrap();
        let (code, found, _) = refusal(api.get_version(v1::GetVersionRequest {}).await);
        assert_eq!((code, found.as_str()), (Code::Unauthenticated, reason));
    }
    let mut eyes = connect(&address, &with(Some("eyes-0123456789abcdef")))
        .await
        .unwrap();
    assert_eq!(
        eyes.get_version(v1::GetVersionRequest {})
            .await
            .unwrap()
            .into_inner()
            .role(),
        v1::Role::Read
    );
    let asked = v1::DisableProviderRequest {
        name: "first".into(),
        options: Some(only_asked()),
    };
    let (code, reason, _) = refusal(eyes.disable_provider(asked.clone()).await);
    assert_eq!(
        (code, reason.as_str()),
        (Code::PermissionDenied, "READ_ONLY")
    );
    let mut hands = connect(&address, &with(Some("hands-0123456789abcdef")))
        .await
        .unwrap();
    hands.disable_provider(asked).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::too_many_lines,
    reason = "one story, told from its start to its end"
)]
async fn sessions_live_somewhere_and_can_be_moved() {
    let running = Running::start("history: {enabled: true}\n").await;
    let mut api = running.api().await;
    let body = r#"{"model":"claude-opus-5-5","max_tokens":9,"messages":[]}"#;
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: r\r\nx-claude-code-session-id: s-1\r\nx-claude-code-agent-id: a-1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    assert!(running.served.say(&request).starts_with("HTTP/1.1 200"));
    let listed = api
        .list_sessions(v1::ListSessionsRequest { limit: 0 })
        .await
        .unwrap()
        .into_inner();
    let session = &listed.sessions[0];
    assert_eq!(
        (session.id.as_str(), session.provider.as_str(), listed.total),
        ("s-1", "first", 1)
    );
    assert_eq!(
        (
            session.agents[0].id.as_str(),
            session.sums.unwrap().requests
        ),
        ("a-1", 1)
    );
    assert!(session.warm_for_ms.is_some(), "{session:?}");
    let asked = v1::UnpinSessionRequest {
        id: "s-1".into(),
        options: None,
    };
    let change = api
        .unpin_session(asked)
        .await
        .unwrap()
        .into_inner()
        .change
        .unwrap();
    assert!(change.applied, "{change:?}");
    let listed = api
        .list_sessions(v1::ListSessionsRequest { limit: 0 })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        listed.sessions[0].warm_for_ms, None,
        "its cache is not counted on any more"
    );
    let (code, ..) = refusal(
        api.unpin_session(v1::UnpinSessionRequest {
            id: "s-9".into(),
            options: None,
        })
        .await,
    );
    assert_eq!(code, Code::NotFound);
    // The history is written behind the path.
    let asked = v1::GetUsageRequest {
        by: v1::GroupBy::Session.into(),
        since_unix_ms: 0,
    };
    let row = loop {
        let rows = api.get_usage(asked).await.unwrap().into_inner().rows;
        if let Some(row) = rows.into_iter().next() {
            break row;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((row.name.as_str(), row.sums.unwrap().requests), ("s-1", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_cooldowns_are_told_and_ended() {
    let running = Running::start("health: {circuit_breaker: {failure_threshold: 1}}\n").await;
    let mut api = running.api().await;
    running
        .first
        .push(Script::error(500, "api_error", "broken"));
    running.turn();
    let asked = v1::GetProviderHealthRequest {
        name: "first".into(),
        window_s: 0,
    };
    let health = api
        .get_provider_health(asked.clone())
        .await
        .unwrap()
        .into_inner();
    let provider = health.stats.unwrap().provider.unwrap();
    assert_eq!(provider.state(), v1::ProviderState::Open, "{provider:?}");
    assert!(provider.asked_again_in_ms.is_some() && provider.why.contains("circuit open"));
    // Circuits are looked at once a second; the log has it too.
    let line = running.served.wait("circuit.open");
    assert!(line.contains("\"provider\":\"first\""), "{line}");
    let asked_end = v1::EndCooldownRequest {
        provider: "first".into(),
        ..Default::default()
    };
    assert!(
        api.end_cooldown(asked_end)
            .await
            .unwrap()
            .into_inner()
            .change
            .unwrap()
            .applied
    );
    let health = api.get_provider_health(asked).await.unwrap().into_inner();
    assert_eq!(
        health.stats.unwrap().provider.unwrap().state(),
        v1::ProviderState::Up
    );
    let mut events = api
        .stream_events(v1::StreamEventsRequest {
            backlog: 100,
            least: 0,
        })
        .await
        .unwrap()
        .into_inner();
    let mut names = Vec::new();
    let expected = ["manage.change", "request.hop"].map(str::to_owned);
    while !expected.iter().all(|name| names.contains(name)) {
        let message = tokio::time::timeout(PATIENCE, events.message())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        names.extend(message.event.map(|event| event.name));
    }
    assert!(names.contains(&"relay.start".to_owned()), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_needs_a_token_even_on_this_machine() {
    let port = crate::support::nobody().port();
    let more = format!(
        "grpc: {{web_listen: '127.0.0.1:{port}', tokens: [{{name: eyes, token: eyes-0123456789abcdef}}]}}\n"
    );
    let _running = Running::start(&more).await;
    let ask = |path: &str, line: &str| {
        let head = format!(
            "POST /{path} HTTP/1.1\r\nhost: r\r\ncontent-type: application/grpc-web\r\n{line}content-length: 5\r\nconnection: close\r\n\r\n\0\0\0\0\0"
        );
        crate::reload::say(&format!("127.0.0.1:{port}"), &head)
    };
    let version = "relay.v1.RelayManager/GetVersion";
    let refused = ask(version, "").to_ascii_lowercase();
    assert!(refused.contains("grpc-status: 16"), "{refused}");
    let answered = ask(version, "authorization: Bearer eyes-0123456789abcdef\r\n");
    assert!(
        answered.starts_with("HTTP/1.1 200") && answered.contains("relay.v1"),
        "{answered}"
    );
    // A page of another origin is not let in by the browser: nothing here allows it.
    assert!(
        !answered.to_ascii_lowercase().contains("access-control"),
        "{answered}"
    );
    let health = ask("grpc.health.v1.Health/Check", "");
    assert!(health.contains("grpc-status:0"), "{health}");
}
