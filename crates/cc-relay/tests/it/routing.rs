//! Each strategy through sockets, and which upstreams are candidates at all.

use std::time::Duration;

use futures_util::StreamExt as _;
use relay_sim::{Fault, Script};

use crate::support::{Fleet, body, body_of};

/// Which upstream answered each of so many turns.
async fn answered(fleet: &Fleet, count: usize) -> Vec<usize> {
    let mut places = Vec::new();
    for _ in 0..count {
        let answer = fleet.turn(true).await;
        let name = answer.header("x-cc-relay-provider").unwrap().to_owned();
        places.push(name.trim_start_matches('u').parse().unwrap());
    }
    places
}

async fn fleet(routing: &str, provider: impl Fn(usize) -> String) -> Fleet {
    let routing = format!("affinity: {{enabled: false}}, {routing}");
    Fleet::start(3, &routing, provider, "").await
}

fn nothing(_: usize) -> String {
    String::new()
}

/// The compiler asks for neither list; properties run over the one, what is offered is the other.
#[test]
fn the_strategies_of_files_are_those_of_the_core() {
    let offered = relay_config::StrategyPlan::ALL.map(relay_config::StrategyPlan::as_str);
    assert_eq!(
        offered,
        relay_core::strategy::Kind::ALL.map(relay_core::strategy::Kind::name)
    );
}

#[tokio::test]
async fn failover_goes_by_priority_then_by_the_file() {
    let default = fleet("", nothing).await;
    assert_eq!(answered(&default, 3).await, [0, 0, 0]);
    let priority = |place| format!("priority: {}", [0, 5, 9][place]);
    let fleet = fleet("strategy: failover", priority).await;
    assert_eq!(answered(&fleet, 2).await, [2, 2]);
    fleet.sims[2].set_default(Script::error(500, "api_error", "down"));
    assert_eq!(answered(&fleet, 2).await, [1, 1]);
}

#[tokio::test]
async fn round_robin_takes_turns() {
    let fleet = fleet("strategy: round_robin", nothing).await;
    assert_eq!(answered(&fleet, 7).await, [0, 1, 2, 0, 1, 2, 0]);
}

#[tokio::test]
async fn weighted_round_robin_is_smooth() {
    let weight = |place| format!("weight: {}", [5, 1, 1][place]);
    let fleet = fleet("strategy: weighted_round_robin", weight).await;
    assert_eq!(answered(&fleet, 7).await, [0, 0, 1, 0, 2, 0, 0]);
}

#[tokio::test]
async fn a_shuffled_deck_deals_everybody_once() {
    for name in ["shuffle", "simple_shuffle"] {
        let fleet = fleet(&format!("strategy: {name}"), nothing).await;
        for hand in answered(&fleet, 30).await.chunks(3) {
            assert_eq!(hand.iter().sum::<usize>(), 3, "{hand:?}");
            assert!(hand.contains(&0) && hand.contains(&1));
        }
    }
}

#[tokio::test]
async fn the_least_loaded_is_the_one_with_fewest_tokens_under_way() {
    let fleet = fleet("strategy: least_loaded", nothing).await;
    let endless = Script::text("x").fault(Fault::StallBeforeHead);
    for sim in &fleet.sims {
        sim.set_default(endless.clone());
    }
    let long = body(true).replace("hi", &"word ".repeat(20_000));
    // Each comes while those before it are under way, and goes where fewest tokens are: the two
    // short ones together are less than a long one.
    let places = [&long, &long, &body(true), &body(true), &body(true)];
    let mut under_way = futures_util::stream::FuturesUnordered::new();
    for (before, body) in places.into_iter().enumerate() {
        under_way.push(fleet.ask("", body));
        let arrived = async {
            while fleet.turns().iter().sum::<usize>() <= before {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            _ = under_way.next() => panic!("an answer that never begins has ended"),
            () = arrived => {}
        }
    }
    let mut turns = fleet.turns();
    turns.sort_unstable();
    assert_eq!(turns, [1, 1, 3]);
}

#[tokio::test]
async fn the_longest_rule_that_fits_a_model_says_who_is_asked() {
    let rules = "strategy: model, default_provider: u2, models: [{match: 'claude-*', providers: [u1]}, {match: 'claude-haiku-*', providers: [u0, u1]}]";
    let fleet = fleet(rules, nothing).await;
    for (model, place) in [
        ("claude-opus-5-5", 1),
        ("claude-haiku-5-5", 0),
        ("glm-5", 2),
    ] {
        let answer = fleet.ask("", &body_of(model)).await;
        assert_eq!(
            answer.header("x-cc-relay-provider"),
            Some(&*format!("u{place}")),
            "{model}"
        );
    }
    // And what follows when it fails.
    fleet.sims[0].push(Script::error(500, "api_error", "down"));
    let answer = fleet.ask("", &body_of("claude-haiku-5-5")).await;
    assert_eq!(answer.header("x-cc-relay-provider"), Some("u1"));
}

#[tokio::test]
async fn cost_asks_the_cheapest_and_never_takes_the_unknown_for_free() {
    let model = |place| {
        let to = [
            "claude-opus-5-5",
            "a-model-without-price",
            "claude-haiku-5-5",
        ][place];
        format!("model_mapping: {{'*': {to}}}")
    };
    let fleet = fleet("strategy: cost", model).await;
    assert_eq!(answered(&fleet, 2).await, [2, 2]);
    for place in [2, 0] {
        fleet.sims[place].set_default(Script::error(500, "api_error", "down"));
    }
    let answer = fleet.turn(true).await;
    assert_eq!(answer.header("x-cc-relay-provider"), Some("u1"));
    let record = fleet.relay.records.wait(3).await.remove(2);
    let hops: Vec<_> = record
        .attempts
        .iter()
        .map(|hop| hop.target.to_string())
        .collect();
    assert_eq!(hops, ["u2", "u0"]);
}

#[tokio::test]
async fn latency_leaves_the_slow_and_keeps_looking() {
    let fleet = fleet("strategy: latency", nothing).await;
    for sim in &fleet.sims[..2] {
        sim.set_default(Script::text("slow").delay_head(Duration::from_millis(120)));
    }
    answered(&fleet, 12).await;
    let before = fleet.turns();
    let later = answered(&fleet, 40).await;
    let quick = later.iter().filter(|place| **place == 2).count();
    assert!(quick >= 30, "{before:?} {later:?}");
}

#[tokio::test]
async fn only_who_serves_the_model_and_takes_the_body_is_asked() {
    let of = |place| match place {
        0 => "models: ['claude-haiku-*']".to_owned(),
        1 => "models: ['claude-*'], max_body_bytes: 4096".to_owned(),
        _ => "models: [special]".to_owned(),
    };
    let fleet = fleet("", of).await;
    fleet.ask("", &body_of("claude-haiku-5-5")).await;
    fleet.ask("", &body_of("claude-opus-5-5")).await;
    fleet.ask("", &body_of("special")).await;
    assert_eq!(fleet.turns(), [1, 1, 1]);
    let unknown = fleet.ask("", &body_of("nobody-has-this")).await;
    assert_eq!(
        (unknown.status, unknown.json()["error"]["type"].as_str()),
        (404, Some("not_found_error"))
    );
    assert!(unknown.text().contains("nobody-has-this"));
    let long = body_of("claude-opus-5-5").replace("hi", &"x".repeat(5_000));
    let too_long = fleet.ask("", &long).await;
    assert_eq!(
        (too_long.status, too_long.json()["error"]["type"].as_str()),
        (413, Some("request_too_large"))
    );
    assert!(too_long.text().contains("4096"));
    assert_eq!(fleet.turns(), [1, 1, 1]);
}

#[tokio::test]
async fn an_upstream_that_does_not_know_the_model_is_not_asked_for_it_again() {
    let fleet = fleet("", nothing).await;
    fleet.sims[0].push(Script::error(
        404,
        "not_found_error",
        "model: claude-opus-5-5",
    ));
    for _ in 0..3 {
        assert_eq!(fleet.turn(true).await.status, 200);
    }
    assert_eq!(fleet.turns(), [1, 3, 0]);
    fleet.ask("", &body_of("claude-haiku-5-5")).await;
    assert_eq!(
        fleet.turns(),
        [2, 3, 0],
        "another model is known there for all we know"
    );
}

#[tokio::test]
async fn a_body_without_a_model_cannot_be_routed() {
    let fleet = fleet("", nothing).await;
    let answer = fleet.ask("", r#"{"messages":[]}"#).await;
    assert_eq!(
        (answer.status, answer.json()["error"]["type"].as_str()),
        (400, Some("invalid_request_error"))
    );
    assert_eq!(fleet.turns(), [0, 0, 0]);
}

#[tokio::test]
async fn how_an_answer_came_about_is_told_where_it_is_asked_for() {
    let fleet = fleet("strategy: round_robin", nothing).await;
    let answer = fleet.turn(true).await;
    let told = |name: &str| answer.header(&format!("x-cc-relay-{name}"));
    assert_eq!(told("strategy"), Some("round_robin"));
    assert_eq!(told("provider"), Some("u0"));
    assert_eq!(told("health"), Some("healthy"));
    assert_eq!(told("attempts"), Some("1"));
    assert!(told("key-id").is_some());
    assert_eq!(told("affinity"), None, "sessions are not kept here");
    let silent = Fleet::start(2, "debug: false", nothing, "").await;
    let answer = silent.turn(true).await;
    let names = answer
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-cc-relay-"));
    let names: Vec<_> = names.map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x-cc-relay-request-id"]);
}
