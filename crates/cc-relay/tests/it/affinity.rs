//! Sessions stay where their prompt cache is.

use std::collections::HashSet;
use std::time::Duration;

use relay_sim::{Script, Usage};

use crate::support::{Fleet, body};

const KEYS: &str = "keys: [{key: sk-ant-a}, {key: sk-ant-b}, {key: sk-ant-c}, {key: sk-ant-d}]";

async fn four_keys(routing: &str) -> Fleet {
    let fleet = Fleet::start(1, routing, |_| KEYS.to_owned(), "").await;
    // Each key is of an organisation of its own: nothing is shared but what the relay keeps.
    fleet.sims[0].set_default(well());
    fleet
}

fn well() -> Script {
    let usage = Usage {
        input_tokens: 10,
        cache_read_input_tokens: 5_000,
        cache_creation_5m_input_tokens: 300,
        output_tokens: 5,
        ..Usage::default()
    };
    Script::text("x")
        .usage(usage)
        .no_header("anthropic-organization-id")
        .no_header("anthropic-workspace-id")
}

/// The key of the last turn.
fn last(fleet: &Fleet) -> String {
    let requests = fleet.sims[0].requests();
    let last = requests.iter().rfind(|it| it.method == "POST").unwrap();
    last.header("x-api-key").unwrap().to_owned()
}

async fn key_of(fleet: &Fleet, session: &str) -> String {
    assert_eq!(fleet.session(session).await.status, 200);
    last(fleet)
}

#[tokio::test]
async fn a_session_stays_and_sessions_spread() {
    let fleet = four_keys("").await;
    let mut used = HashSet::new();
    for session in 0..16 {
        let name = format!("session-{session}");
        let home = key_of(&fleet, &name).await;
        for _ in 0..4 {
            assert_eq!(key_of(&fleet, &name).await, home);
        }
        used.insert(home);
    }
    assert_eq!(used.len(), 4);
    let answer = fleet.session("session-0").await;
    assert_eq!(answer.header("x-cc-relay-affinity"), Some("home"));
    let records = fleet.relay.records.wait(81).await;
    assert_eq!(records[0].affinity, Some("bound"));
    assert_eq!(records[1].affinity, Some("renewed"));
}

#[tokio::test]
async fn without_affinity_they_do_not() {
    let fleet = four_keys("affinity: {enabled: false}").await;
    let mut used = HashSet::new();
    for _ in 0..8 {
        used.insert(key_of(&fleet, "one").await);
    }
    assert_eq!(used.len(), 4);
}

#[tokio::test]
async fn a_restart_finds_the_same_keys() {
    let (one, other) = (four_keys("").await, four_keys("").await);
    for session in 0..12 {
        let name = format!("session-{session}");
        assert_eq!(key_of(&one, &name).await, key_of(&other, &name).await);
    }
}

#[tokio::test]
async fn a_session_is_known_by_its_header_its_metadata_or_what_it_says() {
    let fleet = four_keys("").await;
    let with = |metadata: &str, text: &str| {
        body(true)
            .replace("hi", text)
            .replace("\"stream\"", &format!("{metadata}\"stream\""))
    };
    let metadata =
        |name: &str| format!(r#""metadata":{{"user_id":"{{\"session_id\":\"{name}\"}}"}},"#);
    for name in ["one", "two", "three"] {
        let by_header = key_of(&fleet, name).await;
        fleet.ask("", &with(&metadata(name), "other words")).await;
        assert_eq!(last(&fleet), by_header);
    }
    for text in ["what is this", "and that", "hello there"] {
        fleet.ask("", &with("", text)).await;
        let by_words = last(&fleet);
        for _ in 0..3 {
            fleet.ask("x-later: 1\r\n", &with("", text)).await;
            assert_eq!(last(&fleet), by_words);
        }
    }
}

#[tokio::test]
async fn subagents_live_with_their_session() {
    let fleet = four_keys("").await;
    let home = key_of(&fleet, "parent").await;
    let lines = "x-claude-code-session-id: parent\r\nx-claude-code-agent-id: a1\r\n";
    fleet
        .ask(lines, &body(true).replace("hi", "look around"))
        .await;
    assert_eq!(last(&fleet), home);
}

#[tokio::test]
async fn a_home_that_cannot_serve_is_borrowed_for_and_come_back_to() {
    let fleet = four_keys("").await;
    let home = key_of(&fleet, "one").await;
    let limited = Script::error(429, "rate_limit_error", "slow")
        .no_header("retry-after")
        .no_header("anthropic-organization-id")
        .no_header("anthropic-workspace-id")
        .header("retry-after", "3");
    fleet.sims[0].push(limited);
    let guest = key_of(&fleet, "one").await;
    assert_ne!(guest, home);
    assert_eq!(
        key_of(&fleet, "one").await,
        guest,
        "the same guest while the home is away"
    );
    let back = async {
        while key_of(&fleet, "one").await != home {
            // Six turns in a row elsewhere would be a move.
            tokio::time::sleep(Duration::from_millis(900)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, back)
        .await
        .expect("the home");
    let records = fleet.relay.records.wait(4).await;
    let kinds: Vec<_> = records
        .iter()
        .filter_map(|record| record.affinity)
        .collect();
    assert_eq!(kinds[..3], ["bound", "borrowed", "borrowed"]);
    assert_eq!(kinds.last(), Some(&"renewed"));
}

#[tokio::test]
async fn a_warm_session_waits_where_that_is_cheaper_than_writing_its_prefix_elsewhere() {
    let fleet = four_keys("").await;
    let usage = Usage {
        cache_read_input_tokens: 150_000,
        ..Usage::default()
    };
    fleet.sims[0].set_default(well().usage(usage));
    let home = key_of(&fleet, "one").await;
    let limited = Script::error(429, "rate_limit_error", "slow")
        .no_header("retry-after")
        .no_header("anthropic-organization-id")
        .no_header("anthropic-workspace-id")
        .header("retry-after", "1");
    fleet.sims[0].push(limited);
    assert_eq!(key_of(&fleet, "one").await, home);
    let record = fleet.relay.records.wait(2).await.remove(1);
    assert_eq!(
        (record.attempts.len(), record.affinity),
        (1, Some("renewed"))
    );
    assert!(record.waited > Duration::from_millis(500));
}

#[tokio::test]
async fn a_home_that_is_away_for_longer_than_its_cache_lives_is_left() {
    let fleet = four_keys("").await;
    let home = key_of(&fleet, "one").await;
    let refused = Script::error(402, "billing_error", "no credit");
    fleet.sims[0].push(refused);
    let next = key_of(&fleet, "one").await;
    assert_ne!(next, home);
    assert_eq!(key_of(&fleet, "one").await, next);
    let records = fleet.relay.records.wait(3).await;
    assert_eq!(records[1].affinity, Some("moved"));
    assert_eq!(records[2].affinity, Some("renewed"));
}

#[tokio::test]
async fn the_strategy_places_and_affinity_keeps() {
    let fleet = Fleet::start(3, "strategy: round_robin", |_| String::new(), "").await;
    for sim in &fleet.sims {
        sim.set_default(well());
    }
    let mut homes = Vec::new();
    for session in 0..6 {
        let name = format!("s{session}");
        let home = fleet
            .session(&name)
            .await
            .header("x-cc-relay-provider")
            .unwrap()
            .to_owned();
        homes.push((name, home));
    }
    let placed: Vec<_> = homes.iter().map(|(_, home)| home.as_str()).collect();
    assert_eq!(placed, ["u0", "u1", "u2", "u0", "u1", "u2"]);
    for (name, home) in homes.iter().rev() {
        assert_eq!(
            fleet.session(name).await.header("x-cc-relay-provider"),
            Some(home.as_str())
        );
    }
}

/// A body whose tools and system are worth a cache, of which many begin at once.
fn cold(name: usize) -> (String, String) {
    let system = format!(
        r#""system":[{{"type":"text","text":"{}","cache_control":{{"type":"ephemeral"}}}}],"stream""#,
        "rules ".repeat(3_000)
    );
    let body = body(true)
        .replacen("\"stream\"", &system, 1)
        .replace("hi", &format!("question {name}"));
    ("x-claude-code-session-id: fan\r\n".to_owned(), body)
}

#[tokio::test]
async fn of_many_cold_requests_one_goes_first() {
    let fleet = four_keys("").await;
    fleet.sims[0].set_default(well().delay_head(Duration::from_millis(400)));
    let requests: Vec<_> = (0..5).map(cold).collect();
    let asks = requests
        .iter()
        .map(|(headers, body)| fleet.ask(headers, body));
    let answers = futures_util::future::join_all(asks).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let mut times: Vec<_> = fleet.sims[0]
        .requests()
        .iter()
        .filter(|it| it.method == "POST")
        .map(|it| it.at)
        .collect();
    times.sort();
    assert_eq!(times.len(), 5);
    // The first one's head took 400 ms: nobody else can have been sent before.
    assert!(
        times[1].saturating_sub(times[0]) >= Duration::from_millis(380),
        "{times:?}"
    );
    // Warm now: all at once.
    let later: Vec<_> = (5..8).map(cold).collect();
    let asks = later.iter().map(|(headers, body)| fleet.ask(headers, body));
    futures_util::future::join_all(asks).await;
    let mut times: Vec<_> = fleet.sims[0]
        .requests()
        .iter()
        .skip(5)
        .filter(|it| it.method == "POST")
        .map(|it| it.at)
        .collect();
    times.sort();
    assert!(
        times[2].saturating_sub(times[0]) < Duration::from_millis(380),
        "{times:?}"
    );
}

/// A conversation in which a model has thought.
fn thought() -> String {
    body(true).replace(
        r#"[{"role":"user","content":"hi"}]"#,
        r#"[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"c2ln"},{"type":"text","text":"yes"}]},{"role":"user","content":"go on"}]"#,
    )
}

#[tokio::test]
async fn thinking_is_taken_out_only_where_the_vendor_changes() {
    for (strips, vendors) in [(true, ["a", "b"]), (false, ["a", "a"])] {
        let vendor = |place: usize| format!("vendor: {}", vendors[place]);
        let fleet = Fleet::start(2, "", vendor, "").await;
        for sim in &fleet.sims {
            sim.set_default(well());
        }
        let line = "x-claude-code-session-id: one\r\n";
        fleet.ask(line, &thought()).await;
        assert_eq!(&fleet.sims[0].requests()[0].body[..], thought().as_bytes());
        fleet.sims[0].push(Script::error(500, "api_error", "down"));
        fleet.ask(line, &thought()).await;
        let sent = String::from_utf8(fleet.sims[1].requests()[0].body.to_vec()).unwrap();
        assert_eq!(sent == thought(), !strips);
        assert_eq!(sent.contains("signature"), !strips);
        assert!(sent.contains(r#"{"type":"text","text":"yes"}"#));
        let record = fleet.relay.records.wait(2).await.remove(1);
        assert_eq!(record.thinking_removed, usize::from(strips));
    }
}

#[tokio::test]
async fn thinking_stays_where_the_config_says_so() {
    let vendor = |place: usize| format!("vendor: v{place}");
    let fleet = Fleet::start(2, "strip_foreign_thinking: false", vendor, "").await;
    let line = "x-claude-code-session-id: one\r\n";
    fleet.ask(line, &thought()).await;
    fleet.sims[0].push(Script::error(500, "api_error", "down"));
    fleet.ask(line, &thought()).await;
    assert_eq!(&fleet.sims[1].requests()[0].body[..], thought().as_bytes());
}
