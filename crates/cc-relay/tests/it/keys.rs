//! Several keys of one upstream: limits, the choice among them, what a refusal does to one.

use std::collections::HashMap;
use std::time::Duration;

use relay_sim::{Script, Usage};

use crate::support::{Answer, End, Fleet, RELAY_KEY, body, body_of, post};

/// One upstream with these keys.
async fn keys(routing: &str, keys: &str) -> Fleet {
    let keys = keys.to_owned();
    Fleet::start(1, routing, move |_| keys.clone(), "").await
}

/// Which keys the upstream was asked with, in order.
fn asked(fleet: &Fleet) -> Vec<String> {
    let requests = fleet.sims[0].requests();
    let turns = requests.iter().filter(|it| it.method == "POST");
    turns
        .map(|it| it.header("x-api-key").unwrap().to_owned())
        .collect()
}

fn counts(fleet: &Fleet) -> Vec<usize> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for key in asked(fleet) {
        *counts.entry(key).or_default() += 1;
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort();
    counts.into_iter().map(|(_, count)| count).collect()
}

/// That every key is spent, as the client has to see it.
fn assert_spent(answer: &Answer) -> u64 {
    assert_eq!((answer.status, answer.end), (429, End::Whole));
    assert_eq!(answer.json()["type"], "error");
    assert_eq!(answer.json()["error"]["type"], "rate_limit_error");
    let wait = answer.header("retry-after").unwrap().parse().unwrap();
    // Claude Code would not wait for more.
    assert!((1..=60).contains(&wait), "{wait}");
    wait
}

const THREE: &str = "{key: sk-ant-a, name: a}, {key: sk-ant-b, name: b}, {key: sk-ant-c, name: c}";

#[tokio::test]
async fn turns_are_spread_as_the_selection_says() {
    let table: [(&str, [std::ops::RangeInclusive<usize>; 3]); 4] = [
        ("round_robin", [20..=20, 20..=20, 20..=20]),
        ("least_loaded", [20..=20, 20..=20, 20..=20]),
        ("weighted", [39..=41, 9..=11, 9..=11]),
        // Chance, unseeded: further from 20 than this is one run in two hundred thousand.
        ("random", [4..=36, 4..=36, 4..=36]),
    ];
    for (selection, expected) in table {
        let weights = THREE.replacen("name: a", "name: a, weight: 4", 1);
        let weighs = selection == "weighted";
        let list = if weighs { &weights } else { THREE };
        let fleet = keys(
            "affinity: {enabled: false}",
            &format!("pooling: {{strategy: {selection}}}, keys: [{list}]"),
        )
        .await;
        for _ in 0..60 {
            assert_eq!(fleet.turn(true).await.status, 200);
        }
        let counts = counts(&fleet);
        let fits = counts
            .iter()
            .zip(&expected)
            .all(|(count, range)| range.contains(count));
        assert!(fits && counts.len() == 3, "{selection}: {counts:?}");
    }
}

#[tokio::test]
async fn a_lower_priority_serves_when_no_higher_one_can() {
    let fleet = keys(
        "",
        "keys: [{key: sk-ant-low, priority: -1}, {key: sk-ant-high, priority: 5, rpm_limit: 2}]",
    )
    .await;
    for _ in 0..4 {
        fleet.turn(true).await;
    }
    assert_eq!(
        asked(&fleet),
        ["sk-ant-high", "sk-ant-high", "sk-ant-low", "sk-ant-low"]
    );
}

#[tokio::test]
async fn all_spent_is_a_429_with_the_true_time_and_nobody_is_asked() {
    let fleet = keys(
        "",
        "keys: [{key: sk-ant-a, rpm_limit: 2}, {key: sk-ant-b, rpm_limit: 1}]",
    )
    .await;
    for _ in 0..3 {
        assert_eq!(fleet.turn(true).await.status, 200);
    }
    let answer = fleet.turn(true).await;
    assert!(
        assert_spent(&answer) >= 55,
        "the first request was just now"
    );
    assert_eq!(fleet.turns(), [3]);
    let record = fleet.relay.records.wait(4).await.remove(3);
    assert_eq!(record.error_type.as_deref(), Some("all_spent"));
    assert!(record.attempts.is_empty());
}

#[tokio::test]
async fn tokens_are_limited_by_what_was_really_used() {
    let usage = Usage {
        input_tokens: 400,
        cache_read_input_tokens: 90_000,
        output_tokens: 100,
        ..Usage::default()
    };
    for (limit, turns) in [
        ("itpm_limit: 1000", 2),
        ("otpm_limit: 1250", 3),
        ("tpm_limit: 2200", 3),
    ] {
        let fleet = keys("", &format!("keys: [{{key: sk-ant-a, {limit}}}]")).await;
        fleet.sims[0].set_default(Script::text("x").usage(usage));
        let mut served = 0;
        while fleet.turn(true).await.status == 200 {
            served += 1;
            assert!(served < 20, "{limit} holds nothing");
        }
        assert_spent(&fleet.turn(true).await);
        assert!((turns..=turns + 2).contains(&served), "{limit}: {served}");
    }
}

#[tokio::test]
async fn a_refused_key_is_left_alone_and_the_next_one_serves() {
    for (status, kind) in [(401, "authentication_error"), (402, "billing_error")] {
        let fleet = keys(
            "affinity: {enabled: false}",
            &format!("pooling: {{strategy: round_robin}}, keys: [{THREE}]"),
        )
        .await;
        fleet.sims[0].push(Script::error(status, kind, "bad key"));
        for _ in 0..5 {
            assert_eq!(fleet.turn(true).await.status, 200);
        }
        let asked = asked(&fleet);
        assert_eq!(asked[0], "sk-ant-a");
        assert!(asked[1..].iter().all(|key| key != "sk-ant-a"), "{asked:?}");
    }
}

#[tokio::test]
async fn the_only_key_is_asked_again_so_that_the_upstreams_word_is_heard() {
    let fleet = keys("", "keys: [{key: sk-ant-a}]").await;
    fleet.sims[0].set_default(Script::error(
        401,
        "authentication_error",
        "invalid x-api-key",
    ));
    for _ in 0..3 {
        let answer = fleet.turn(true).await;
        assert_eq!(
            (answer.status, answer.json()["error"]["message"].as_str()),
            (401, Some("invalid x-api-key"))
        );
    }
}

#[tokio::test]
async fn a_limit_is_of_an_organisation_and_a_class_of_models() {
    let fleet = keys("", "keys: [{key: sk-ant-a}, {key: sk-ant-b}]").await;
    // Both are known to be of one organisation, once each has answered.
    for session in 0..12 {
        fleet.session(&format!("s{session}")).await;
    }
    assert_eq!(counts(&fleet).len(), 2);
    let before = fleet.turns()[0];
    fleet.sims[0].push(
        Script::error(429, "rate_limit_error", "slow")
            .no_header("retry-after")
            .header("retry-after", "50"),
    );
    let answer = fleet.turn(true).await;
    assert_eq!(answer.status, 429, "its keys share the limit");
    assert_eq!(fleet.turns()[0], before + 1);
    assert_spent(&fleet.turn(true).await);
    assert_eq!(fleet.turns()[0], before + 1);
    assert_eq!(
        fleet.ask("", &body_of("claude-haiku-5-5")).await.status,
        200
    );
}

#[tokio::test]
async fn a_limit_without_a_header_is_about_the_request_alone() {
    let fleet = keys("", "keys: [{key: sk-ant-a}]").await;
    fleet.sims[0].push(Script::error(429, "rate_limit_error", "Error").no_header("retry-after"));
    assert_eq!(fleet.turn(true).await.status, 429);
    assert_eq!(fleet.turn(true).await.status, 200);
}

#[tokio::test]
async fn what_the_upstream_says_is_left_counts_for_more_than_what_was_counted() {
    let fleet = keys("", "keys: [{key: sk-ant-a, rpm_limit: 1000}]").await;
    let spent = Script::text("x")
        .header("anthropic-ratelimit-requests-limit", "60")
        .header("anthropic-ratelimit-requests-remaining", "0");
    fleet.sims[0].push(spent);
    assert_eq!(fleet.turn(true).await.status, 200);
    assert_spent(&fleet.turn(true).await);
    assert_eq!(fleet.turns(), [1]);
}

#[tokio::test]
async fn counting_tokens_takes_nothing_from_the_windows() {
    let fleet = keys("", "keys: [{key: sk-ant-a, rpm_limit: 2}]").await;
    for _ in 0..25 {
        let request = post("/v1/messages/count_tokens?beta=true", "", &body(false));
        let answer = fleet
            .relay
            .send(&request.replace("sk-ant-own-0123456789", RELAY_KEY))
            .await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(fleet.turn(true).await.status, 200);
    assert_eq!(fleet.turn(true).await.status, 200);
    assert_spent(&fleet.turn(true).await);
}

#[tokio::test]
async fn keys_are_named_by_their_digests_and_shown_nowhere() {
    let fleet = keys("", "keys: [{key: sk-ant-secret-of-the-relay, name: main}]").await;
    let answer = fleet.turn(true).await;
    let id = answer.header("x-cc-relay-key-id").unwrap().to_owned();
    assert!(
        id.len() == 12 && id.bytes().all(|it| it.is_ascii_hexdigit()),
        "{id}"
    );
    assert_eq!(answer.header("x-cc-relay-key-capacity"), Some("100%"));
    let health = fleet
        .relay
        .send("GET /health HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n\r\n")
        .await;
    assert_eq!(health.json()["upstreams"][0]["keys"][0]["id"], *id);
    let record = fleet.relay.records.wait(1).await.remove(0);
    assert_eq!(&*record.key.as_ref().unwrap().name, "main");
    let shown = format!("{record:?} {answer:?} {}", health.text());
    assert!(!shown.contains("sk-ant-secret"), "{shown}");
}

#[tokio::test]
async fn who_waits_is_served_when_a_key_has_room_again() {
    let fleet = keys(
        "max_wait_ms: 20000, max_waiting: 2",
        "keys: [{key: sk-ant-a}]",
    )
    .await;
    let limited = Script::error(429, "rate_limit_error", "slow").no_header("retry-after");
    fleet.sims[0].push(limited.header("retry-after", "1"));
    assert_eq!(
        fleet.turn(true).await.status,
        429,
        "it is the upstream's own word"
    );
    let (one, other) = tokio::join!(fleet.session("one"), fleet.session("other"));
    assert_eq!((one.status, other.status), (200, 200));
    let records = fleet.relay.records.wait(3).await;
    assert!(
        records[1..]
            .iter()
            .all(|record| record.waited > Duration::ZERO)
    );
}

#[tokio::test]
async fn the_waiting_room_is_bounded_and_who_leaves_frees_a_place() {
    let fleet = keys(
        "max_wait_ms: 600000, max_waiting: 1",
        "keys: [{key: sk-ant-a, rpm_limit: 1}]",
    )
    .await;
    assert_eq!(fleet.turn(true).await.status, 200);
    let request = post("/v1/messages", "", &body(true)).replace("sk-ant-own-0123456789", RELAY_KEY);
    let waiting = |count: u64| {
        let relay = &fleet.relay;
        async move {
            let probe = "GET /health HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n\r\n";
            let reached = async {
                while relay.send(probe).await.json()["waiting"] != count {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(crate::support::PATIENCE, reached)
                .await
                .expect("the waiting");
        }
    };
    let first = tokio::spawn({
        let (address, request) = (fleet.relay.address.clone(), request.clone());
        async move { crate::support::exchange(&address, request.as_bytes()).await }
    });
    waiting(1).await;
    assert_spent(&fleet.turn(true).await);
    first.abort();
    waiting(0).await;
    assert_eq!(fleet.turns(), [1]);
}
