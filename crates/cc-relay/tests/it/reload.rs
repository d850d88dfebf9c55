//! Another plan while the relay runs: nothing that goes on is lost, nothing that changes is missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use relay_sim::{Fault, Script, Sim};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::*;

/// A plan with upstreams `u0`, `u1` … where `with` adds to each by its place.
fn fleet(sims: &[Sim], server: &str, routing: &str, with: impl Fn(usize) -> String) -> String {
    let mut yaml = format!(
        "server: {{listen: '127.0.0.1:0', workers: 2, {server}}}\nrouting: {{debug: true, {routing}}}\nproviders:\n"
    );
    for (place, sim) in sims.iter().enumerate() {
        let (base, with) = (sim.base_url(), with(place));
        let line = format!(
            "  - {{name: u{place}, type: anthropic, base_url: '{base}', proxy: none, accepts_client_credential: false, {with}}}\n"
        );
        yaml.push_str(&line);
    }
    yaml
}

fn key(place: usize) -> String {
    format!("keys: [{{key: sk-ant-fake-{place}}}]")
}

fn apply(relay: &mut Relay, yaml: &str) -> Vec<&'static str> {
    let mut plan = plan(yaml);
    plan.server.listen = relay.live().plan().server.listen;
    let applied = relay.live().apply(plan);
    applied.unwrap_or_else(|failure| panic!("{failure:?}"))
}

async fn session(relay: &Relay, name: &str) -> Answer {
    let line = format!("x-claude-code-session-id: {name}\r\n");
    relay.send(&post("/v1/messages", &line, &body(true))).await
}

#[tokio::test]
async fn what_a_key_has_used_counts_on() {
    let sims = [sim().await];
    let limited = |weight: u32| {
        fleet(&sims, "", "", |_| {
            format!("keys: [{{key: sk-ant-fake-0, rpm_limit: 2, weight: {weight}}}]")
        })
    };
    let mut relay = Relay::of(&limited(1));
    assert_eq!(relay.send(&turn(false)).await.status, 200);
    apply(&mut relay, &limited(5));
    assert_eq!(relay.send(&turn(false)).await.status, 200);
    apply(&mut relay, &limited(1));
    let refused = relay.send(&turn(false)).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    // A key that is new has used nothing.
    let two = fleet(&sims, "", "", |_| {
        "keys: [{key: sk-ant-fake-0, rpm_limit: 2}, {key: sk-ant-new, rpm_limit: 2}]".to_owned()
    });
    apply(&mut relay, &two);
    assert_eq!(relay.send(&turn(false)).await.status, 200);
    let last = sims[0].requests().pop().unwrap();
    assert_eq!(last.header("x-api-key"), Some("sk-ant-new"));
}

#[tokio::test]
async fn open_connections_and_breakers_go_on() {
    let sims = [sim().await, sim().await];
    let yaml = |strategy: &str| {
        let routing = format!("strategy: {strategy}, affinity: {{enabled: false}}");
        fleet(&sims, "", &routing, |place| {
            format!("prewarm: 0, {}, priority: {}", key(place), 9 - place)
        }) + "health: {circuit_breaker: {failure_threshold: 2, open_duration_ms: 600000}, health_check: {enabled: false}}\n"
    };
    let mut relay = Relay::of(&yaml("failover").replace("workers: 2", "workers: 1"));
    for _ in 0..3 {
        assert_eq!(relay.send(&turn(false)).await.status, 200);
        let other = yaml("failover").replace("workers: 2", "workers: 1");
        apply(
            &mut relay,
            &other.replace("debug: true", "debug: true, max_attempts: 4"),
        );
    }
    assert_eq!(
        sims[0].stats().connections_opened,
        1,
        "one connection for all"
    );
    for _ in 0..2 {
        sims[0].push(Script::error(500, "api_error", "down"));
        assert_eq!(relay.send(&turn(false)).await.status, 200);
    }
    let asked = sims[0].requests().len();
    apply(
        &mut relay,
        &yaml("failover").replace("workers: 2", "workers: 1"),
    );
    assert_eq!(relay.send(&turn(false)).await.status, 200);
    assert_eq!(sims[0].requests().len(), asked, "its breaker is open still");
}

#[tokio::test]
async fn sessions_stay_and_those_of_a_removed_key_find_another() {
    let sims = [sim().await];
    let keys = |names: &str| {
        let keys: Vec<String> = names
            .chars()
            .map(|name| format!("{{key: sk-ant-{name}, name: {name}}}"))
            .collect();
        fleet(&sims, "", "", |_| format!("keys: [{}]", keys.join(", ")))
    };
    sims[0].set_default(
        Script::text("x")
            .no_header("anthropic-organization-id")
            .no_header("anthropic-workspace-id"),
    );
    let mut relay = Relay::of(&keys("abcd"));
    let mut homes = Vec::new();
    for number in 0..12 {
        assert_eq!(session(&relay, &format!("s{number}")).await.status, 200);
        let last = sims[0].requests().pop().unwrap();
        homes.push(last.header("x-api-key").unwrap().to_owned());
    }
    apply(&mut relay, &keys("dcbe"));
    for (number, home) in homes.iter().enumerate() {
        assert_eq!(session(&relay, &format!("s{number}")).await.status, 200);
        let last = sims[0].requests().pop().unwrap();
        let now = last.header("x-api-key").unwrap();
        assert_eq!(now == home, home != "sk-ant-a", "s{number}: {home}, {now}");
    }
}

#[tokio::test]
async fn a_stream_ends_whole_though_its_upstream_is_removed() {
    let sims = [sim().await, sim().await];
    let yaml = fleet(&sims, "", "", |place| {
        format!("{}, priority: {}", key(place), 9 - place)
    });
    let mut relay = Relay::of(&yaml);
    sims[0].push(
        Script::text("")
            .repeat_delta(20, "word ")
            .event_gap(Duration::from_millis(20)),
    );
    let mut client = TcpStream::connect(&relay.address).await.unwrap();
    client.write_all(turn(true).as_bytes()).await.unwrap();
    sims[0]
        .wait_for(|stats| stats.events_sent > 3, PATIENCE)
        .await
        .unwrap();
    let rest = fleet(&sims[1..], "", "", |_| key(1)).replace("name: u0", "name: u1");
    apply(&mut relay, &rest);
    let next = relay.send(&turn(true)).await;
    assert_eq!(next.header("x-cc-relay-provider"), Some("u1"));
    let (raw, reset) = timeout(PATIENCE, read_all(&mut client)).await.unwrap();
    let whole = answer(&raw, reset);
    assert_eq!(whole.end, End::Whole);
    assert!(whole.text().contains("message_stop"));
    // Once nobody needs it, its connections go.
    sims[0]
        .wait_for(|stats| stats.connections_open == 0, PATIENCE)
        .await
        .unwrap();
}

#[tokio::test]
async fn limits_clients_and_the_address_change() {
    let sims = [sim().await];
    let mut relay = Relay::of(&fleet(&sims, "", "", key));
    apply(
        &mut relay,
        &fleet(&sims, "auth: {api_key: other-key}", "", key),
    );
    assert_eq!(relay.send(&turn(false)).await.status, 401);
    apply(&mut relay, &fleet(&sims, "max_body_bytes: 1024", "", key));
    let long = "x".repeat(4096);
    let long = relay.send(&post("/v1/messages", "", &long)).await;
    assert_eq!(long.status, 413);
    // A stream goes on at the old address, new connections are taken at the new one.
    sims[0].push(Script::text("x").fault(Fault::StallAfterEvents(3)));
    let mut client = TcpStream::connect(&relay.address).await.unwrap();
    client.write_all(turn(true).as_bytes()).await.unwrap();
    sims[0]
        .wait_for(|stats| stats.streams_open == 1, PATIENCE)
        .await
        .unwrap();
    let mut other = plan(&fleet(&sims, "", "", key));
    other.server.listen = "127.0.0.2:0".parse().unwrap();
    relay.live().apply(other).unwrap();
    let address = relay.server().address();
    assert_eq!(address.ip().to_string(), "127.0.0.2");
    assert_eq!(
        exchange(&address.to_string(), turn(false).as_bytes())
            .await
            .status,
        200
    );
    let closed = async {
        while TcpStream::connect(&relay.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, closed).await.unwrap();
    assert_eq!(sims[0].stats().streams_open, 1, "the stream goes on");
}

#[tokio::test]
async fn a_plan_that_cannot_be_put_in_force_changes_nothing() {
    let sims = [sim().await];
    let mut relay = Relay::of(&fleet(&sims, "", "", key));
    let before = relay.server().settings();
    let mut taken = plan(&fleet(&sims, "", "", |_| {
        "keys: [{key: sk-ant-z}]".to_owned()
    }));
    taken.server.listen = sims[0].addr();
    let failure = relay.live().apply(taken).unwrap_err();
    assert!(failure.message().contains("in use"), "{failure:?}");
    let mut open = plan(&fleet(&sims, "", "", key));
    open.server.listen = "0.0.0.0:0".parse().unwrap();
    assert_eq!(relay.live().apply(open).unwrap_err().code(), "open_door");
    assert!(Arc::ptr_eq(&before, &relay.server().settings()));
    assert_eq!(relay.send(&turn(false)).await.status, 200);
    let last = sims[0].requests().pop().unwrap();
    assert_eq!(last.header("x-api-key"), Some("sk-ant-fake-0"));
}

#[tokio::test]
async fn a_price_list_takes_hold_with_the_next_request() {
    let sims = [sim().await];
    let yaml = fleet(&sims, "", "", key);
    let mut relay = Relay::of(&yaml);
    let asked = body(true).replace("claude-opus-5-5", "glm-of-mine");
    let ask = post("/v1/messages", "", &asked);
    relay.send(&ask).await;
    let list = tempfile::NamedTempFile::new().unwrap();
    let prices = r#"{"as_of": "d", "source": "s", "models": {"glm-of-mine": {"input": 1, "output": 2, "cache_read": 0, "cache_write_5m": 0, "cache_write_1h": 0}}}"#;
    std::fs::write(list.path(), prices).unwrap();
    let other = format!("{yaml}prices: {{list: '{}'}}\n", list.path().display());
    apply(&mut relay, &other);
    assert!(relay.live().plan().files().contains(list.path()));
    relay.send(&ask).await;
    let costs: Vec<bool> = relay
        .records
        .wait(2)
        .await
        .iter()
        .map(|it| it.cost.is_some())
        .collect();
    assert_eq!(costs, [false, true]);
}

#[tokio::test]
async fn what_takes_a_restart_is_named() {
    let sims = [sim().await];
    let mut relay = Relay::of(&fleet(&sims, "", "", key));
    let other = fleet(&sims, "", "", key).replace("workers: 2", "workers: 3");
    assert_eq!(apply(&mut relay, &other), ["server.workers"]);
}

/// Streams under way all the time, and reloads meanwhile.
const STREAMS: u64 = 500;
const RELOADS: usize = 1_000;

/// Asks for stream after stream until it is told to stop; counts those that came whole.
async fn stream_on(address: String, stop: Arc<AtomicBool>, whole: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let answer = exchange(&address, turn(true).as_bytes()).await;
        assert_eq!(
            (answer.status, answer.end),
            (200, End::Whole),
            "{}",
            answer.text()
        );
        assert!(answer.text().contains("message_stop"));
        whole.fetch_add(1, Ordering::Relaxed);
    }
}

/// Plans with other strategies, keys and numbers of upstreams.
fn six_plans(sims: &[Sim]) -> Vec<String> {
    (0..6)
        .map(|round| {
            let strategy = ["round_robin", "failover", "least_loaded"][round % 3];
            let routing = format!("strategy: {strategy}, max_attempts: {}", 2 + round);
            let upstreams = &sims[..2 + round % 2];
            fleet(upstreams, "", &routing, |place| {
                format!(
                    "keys: [{{key: sk-ant-{}-{place}}}, {{key: sk-ant-{place}}}]",
                    round % 4
                )
            })
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_reloads_under_five_hundred_streams_lose_nothing() {
    let mut sims = Vec::new();
    for _ in 0..3 {
        let sim = builder().keep_requests(16).start().await.unwrap();
        sim.set_default(
            Script::text("")
                .repeat_delta(12, "word ")
                .event_gap(Duration::from_millis(100)),
        );
        sims.push(sim);
    }
    let plans = six_plans(&sims);
    let mut relay = Relay::of(&plans[0]);
    let (stop, whole) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let clients: Vec<_> = (0..STREAMS)
        .map(|_| {
            let address = relay.address.clone();
            tokio::task::spawn(stream_on(address, Arc::clone(&stop), Arc::clone(&whole)))
        })
        .collect();
    let live = |sims: &[Sim]| sims.iter().map(|sim| sim.stats().streams_open).sum::<u64>();
    let all = async {
        while live(&sims) < STREAMS / 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, all).await.expect("streams");
    let mut early = 0;
    for round in 0..RELOADS {
        apply(&mut relay, &plans[round % plans.len()]);
        if round == RELOADS / 4 {
            early = resident_bytes();
        }
        // Requests begin between any two of them.
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    let late = resident_bytes();
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let whole = whole.load(Ordering::Relaxed);
    #[expect(clippy::print_stderr, reason = "what the run was like is worth a line")]
    {
        eprintln!(
            "{RELOADS} reloads, {whole} streams whole, {} to {} MB",
            early >> 20,
            late >> 20
        );
    }
    assert_eq!(relay.server().counters().failed.load(Ordering::Relaxed), 0);
    assert!(late < early + (32 << 20), "memory grows: {early} to {late}");
}
