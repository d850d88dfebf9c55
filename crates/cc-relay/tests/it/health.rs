//! Breakers and health through sockets.

use std::time::Duration;

use relay_sim::{Fault, Script};

use crate::support::{Answer, End, Fleet, PATIENCE, body_of};

/// Three failures open; an open time of 300 ms; checks only where a test wants them.
fn health(more: &str) -> String {
    format!(
        "health: {{health_check: {{enabled: false}}, circuit_breaker: {{failure_threshold: 3, open_duration_ms: 300, min_requests: 1000{more}}}}}"
    )
}

async fn pair(more: &str) -> Fleet {
    let routing = "affinity: {enabled: false}, retry_budget_percent: 100";
    Fleet::start(2, routing, |_| String::new(), &health(more)).await
}

fn down() -> Script {
    Script::error(500, "api_error", "down")
}

async fn state(fleet: &Fleet) -> serde_json::Value {
    let probe = "GET /health HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n\r\n";
    fleet.relay.send(probe).await.json()["upstreams"].clone()
}

/// Waits until the first upstream is said to be in a state.
async fn becomes(fleet: &Fleet, wanted: &str) {
    let reached = async {
        while state(fleet).await[0]["state"] != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.expect(wanted);
}

async fn turns(fleet: &Fleet, count: usize) -> Vec<Answer> {
    let mut answers = Vec::new();
    for _ in 0..count {
        answers.push(fleet.turn(true).await);
    }
    answers
}

#[tokio::test]
async fn an_upstream_that_fails_again_and_again_gets_nothing_until_it_is_tried_again() {
    let fleet = pair("").await;
    fleet.sims[0].set_default(down());
    let answers = turns(&fleet, 8).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(fleet.turns(), [3, 8], "after three failures it is open");
    becomes(&fleet, "degraded").await;
    turns(&fleet, 1).await;
    assert_eq!(
        fleet.turns(),
        [4, 9],
        "one live request was the probe, and it opened again"
    );
    fleet.sims[0].set_default(Script::text("up again"));
    becomes(&fleet, "degraded").await;
    turns(&fleet, 4).await;
    assert_eq!(fleet.turns(), [8, 9]);
    assert_eq!(state(&fleet).await[0]["state"], "up");
}

#[tokio::test]
async fn half_open_lets_so_many_through_at_a_time() {
    let fleet = pair("").await;
    fleet.sims[0].set_default(down());
    turns(&fleet, 3).await;
    becomes(&fleet, "degraded").await;
    fleet.sims[0].set_default(Script::text("slow").delay_head(Duration::from_millis(400)));
    let (one, other, third) = tokio::join!(fleet.turn(true), fleet.turn(true), fleet.turn(true));
    assert!(
        [one, other, third]
            .iter()
            .all(|answer| answer.status == 200)
    );
    assert_eq!(fleet.turns(), [4, 5]);
}

#[tokio::test]
async fn a_4xx_never_counts() {
    for status in [400, 403, 404, 429] {
        let fleet = pair("").await;
        fleet.sims[0]
            .set_default(Script::error(status, "some_error", "no").no_header("retry-after"));
        turns(&fleet, 6).await;
        assert_eq!(state(&fleet).await[0]["state"], "up", "{status}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_stalls_or_gives_up_counts_as_much_as_a_status() {
    let faults = [
        Fault::CloseAfterEvents(4),
        Fault::StallAfterEvents(4),
        Fault::CleanEndAfterEvents(4),
        Fault::ErrorEventAfter(4, "api_error".into(), "late".into()),
    ];
    for fault in faults {
        let fleet = pair("").await;
        fleet.sims[0].set_default(Script::text("x").fault(fault.clone()));
        let answers = turns(&fleet, 3).await;
        let seen =
            |answer: &Answer| answer.end == End::Cut || answer.text().contains("event: error");
        assert!(answers.iter().all(seen), "{fault:?}");
        assert_eq!(state(&fleet).await[0]["state"], "down", "{fault:?}");
        assert_eq!(fleet.turn(true).await.end, End::Whole);
        assert_eq!(fleet.turns(), [3, 1], "{fault:?}");
    }
}

#[tokio::test]
async fn the_share_of_failures_opens_as_well() {
    let routing = "affinity: {enabled: false}, retry_budget_percent: 100";
    let rate = "health: {health_check: {enabled: false}, circuit_breaker: {failure_threshold: 1000, failure_rate_percent: 50, min_requests: 6, open_duration_ms: 60000}}";
    let fleet = Fleet::start(2, routing, |_| String::new(), rate).await;
    for _ in 0..3 {
        fleet.sims[0].push(down());
        fleet.sims[0].push(Script::text("well"));
    }
    turns(&fleet, 5).await;
    assert_eq!(fleet.turns()[0], 5);
    fleet.sims[0].push(down());
    turns(&fleet, 6).await;
    assert_eq!(state(&fleet).await[0]["state"], "down");
    assert!(fleet.turns()[0] <= 8, "{:?}", fleet.turns());
}

#[tokio::test]
async fn an_overloaded_model_is_left_alone_and_others_go_on() {
    let fleet = pair("").await;
    fleet.sims[0].push(
        Script::error(529, "overloaded_error", "Overloaded")
            .no_header("retry-after")
            .header("retry-after", "20"),
    );
    turns(&fleet, 3).await;
    assert_eq!(fleet.turns(), [1, 3]);
    assert_eq!(
        fleet.ask("", &body_of("claude-haiku-5-5")).await.status,
        200
    );
    assert_eq!(fleet.turns(), [2, 3]);
}

#[tokio::test]
async fn who_has_nowhere_else_to_go_is_sent_all_the_same() {
    let fleet = pair("").await;
    fleet.sims.iter().for_each(|sim| sim.set_default(down()));
    turns(&fleet, 4).await;
    let states = state(&fleet).await;
    assert_eq!(
        (&states[0]["state"], &states[1]["state"]),
        (&"down".into(), &"down".into())
    );
    fleet.sims[0].set_default(Script::text("up again"));
    assert_eq!(fleet.turn(true).await.status, 200);
}

#[tokio::test]
async fn a_free_check_finds_an_upstream_again_and_asks_only_those_in_trouble() {
    let checks = "health: {health_check: {interval_ms: 1000, timeout_ms: 500}, circuit_breaker: {failure_threshold: 2, open_duration_ms: 600000, min_requests: 1000}}";
    let routing = "affinity: {enabled: false}, retry_budget_percent: 100";
    let fleet = Fleet::start(2, routing, |_| String::new(), checks).await;
    fleet.sims[0].push(down());
    fleet.sims[0].push(down());
    turns(&fleet, 2).await;
    assert_eq!(state(&fleet).await[0]["state"], "down");
    becomes(&fleet, "degraded").await;
    turns(&fleet, 1).await;
    assert_eq!(state(&fleet).await[0]["state"], "up");
    let asked = |place: usize| {
        let requests = fleet.sims[place].requests();
        requests
            .iter()
            .filter(|it| it.method == "GET" && it.path() == "/v1/models")
            .count()
    };
    assert_eq!((asked(0), asked(1)), (1, 0));
}

#[tokio::test]
async fn a_free_check_lets_a_refused_key_serve_again() {
    let checks = "health: {health_check: {interval_ms: 1000, timeout_ms: 500}}";
    let keys = |_| {
        "keys: [{key: sk-ant-a, name: a}, {key: sk-ant-b, name: b}], pooling: {strategy: round_robin}".to_owned()
    };
    let fleet = Fleet::start(1, "affinity: {enabled: false}", keys, checks).await;
    fleet.sims[0].push(Script::error(401, "authentication_error", "bad key"));
    assert_eq!(fleet.turn(true).await.status, 200);
    assert!(
        state(&fleet).await[0]["keys"][0]["cools_for_s"]
            .as_u64()
            .unwrap()
            > 200
    );
    let healed = async {
        while !state(&fleet).await[0]["keys"][0]["cools_for_s"].is_null() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, healed)
        .await
        .expect("a check");
    turns(&fleet, 2).await;
    let keys: Vec<_> = fleet.sims[0]
        .requests()
        .iter()
        .filter(|it| it.method == "POST")
        .map(|it| it.header("x-api-key").unwrap().to_owned())
        .collect();
    assert!(keys[2..].contains(&"sk-ant-a".to_owned()), "{keys:?}");
}

/// Two upstreams that have failed once each and are left alone for long, with so many requests a
/// minute for the key of each.
async fn both_open(rpm: [u32; 2]) -> Fleet {
    let health = "health: {health_check: {enabled: false}, circuit_breaker: {failure_threshold: 1, open_duration_ms: 600000, min_requests: 1000}}";
    let routing = "affinity: {enabled: false}, retry_budget_percent: 100";
    let keys = |place: usize| {
        format!(
            "keys: [{{key: sk-ant-k{place}, rpm_limit: {}}}]",
            rpm[place]
        )
    };
    let fleet = Fleet::start(2, routing, keys, health).await;
    for sim in &fleet.sims {
        sim.set_default(down());
    }
    assert_eq!(fleet.turn(true).await.status, 500);
    assert_eq!(fleet.turns(), [1, 1]);
    for sim in &fleet.sims {
        sim.set_default(Script::text("up again"));
    }
    fleet
}

#[tokio::test]
async fn where_nobody_is_well_the_next_is_asked_whose_keys_have_room() {
    let fleet = both_open([1, 5]).await;
    let answer = fleet.turn(true).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(fleet.turns(), [1, 2], "the first has no request left");
}

#[tokio::test]
async fn where_nobody_is_well_and_all_keys_are_spent_the_client_is_told_when() {
    let fleet = both_open([1, 1]).await;
    let answer = fleet.turn(true).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}
