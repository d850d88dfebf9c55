//! Refusals in Anthropic's words, and what is left out after one.

use std::time::Duration;

use relay_sim::{Script, Vertex};

use super::{ROWS, Row, ask, full_body, turn};
use crate::support::End;

#[tokio::test]
async fn every_refusal_comes_in_anthropics_envelope_without_names() {
    for row in ROWS.iter() {
        for (status, kind) in [
            (401, "authentication_error"),
            (403, "permission_error"),
            (404, "not_found_error"),
            (429, "rate_limit_error"),
            (500, "api_error"),
            (529, "overloaded_error"),
        ] {
            let (sim, relay) = row.relay().await;
            sim.set_default(Script::error(status, kind, "no"));
            let answer = turn(&relay, true).await;
            let seen = format!("{} {kind}: {} {}", row.name, answer.status, answer.text());
            assert_eq!(answer.json()["type"], "error", "{seen}");
            assert_eq!(answer.json()["error"]["type"], kind, "{seen}");
            assert_eq!(answer.end, End::Whole, "{seen}");
            assert!(answer.json()["error"]["message"].is_string(), "{seen}");
            let project = Vertex::default().project;
            for name in ["arn:", "123456789012", project.as_str()] {
                assert!(!answer.text().contains(name), "{seen}");
            }
        }
    }
}

#[tokio::test]
async fn too_long_is_said_so_that_the_client_compacts() {
    let (sim, relay) = Row::named("bedrock").relay().await;
    sim.set_default(Script::error(
        400,
        "invalid_request_error",
        "Input is too long for requested model.",
    ));
    let answer = turn(&relay, true).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().contains("prompt is too long"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn what_a_refusal_names_is_left_out_remembered_and_logged() {
    let (sim, relay) = Row::named("zai").relay().await;
    sim.push(Script::error(
        400,
        "invalid_request_error",
        "context_management: Extra inputs are not permitted",
    ));
    let answer = turn(&relay, true).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let record = relay.records.wait(1).await.remove(0);
    let left_out: Vec<_> = record.left_out.iter().map(ToString::to_string).collect();
    assert!(
        left_out.contains(&"context_management".to_owned()),
        "{left_out:?}"
    );
    assert!(
        record.attempts.is_empty(),
        "it is the same attempt: {:?}",
        record.attempts
    );
    // The pair went together, and nothing else.
    let sent = sim.requests();
    let body = |place: usize| String::from_utf8(sent[place].body.to_vec()).unwrap();
    let without = body(0).replace(
        r#""context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]},"#,
        "",
    );
    assert_eq!(body(1), without);
    let betas = sent[1].header("anthropic-beta").unwrap();
    assert!(
        !betas.contains("context-management") && betas.contains("effort-2025-11-24"),
        "{betas}"
    );
    // And the next request is asked without at once.
    assert_eq!(turn(&relay, true).await.status, 200);
    assert_eq!(sim.requests().len(), 3);
    let question = "GET /health HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n\r\n";
    let health = relay.send(question).await.json();
    assert_eq!(health["left_out"], 1);
    let lack = &health["upstreams"][0]["lacks"][0];
    assert_eq!(lack["capability"], "context_management");
    assert_eq!(lack["model"], "claude-opus-5-5");
    assert!(lack["for_s"].as_u64().unwrap() > 5 * 3600, "{health}");
}

#[tokio::test]
async fn what_nobody_sent_is_not_left_out_twice() {
    let (sim, relay) = Row::named("zai").relay().await;
    sim.set_default(Script::error(
        400,
        "invalid_request_error",
        "speed: Extra inputs are not permitted",
    ));
    assert_eq!(turn(&relay, true).await.status, 400);
    assert_eq!(sim.requests().len(), 1);
    sim.set_default(Script::error(
        400,
        "invalid_request_error",
        "context_management: Extra inputs are not permitted",
    ));
    assert_eq!(turn(&relay, true).await.status, 400);
    assert_eq!(sim.requests().len(), 3);
}

#[tokio::test]
async fn a_limit_without_a_time_leaves_the_account_alone_and_another_answers() {
    for name in ["bedrock", "vertex", "zai"] {
        let (first, second) = (Row::named(name), Row::named("azure"));
        let (one, other) = (first.sim().await, second.sim().await);
        let relay = super::pair(&one, first, &other, second);
        one.set_default(Script::error(429, "rate_limit_error", "slow down"));
        for _ in 0..3 {
            assert_eq!(turn(&relay, true).await.status, 200, "{name}");
        }
        let records = relay.records.wait(3).await;
        let attempts: Vec<_> = records.iter().map(|it| &it.attempts).collect();
        assert_eq!(one.requests().len(), 1, "{name} {attempts:?}");
        assert_eq!(other.requests().len(), 3, "{name}");
    }
}

#[tokio::test]
async fn a_body_too_large_for_a_cloud_goes_elsewhere_at_once() {
    let (first, second) = (Row::named("bedrock"), Row::named("azure"));
    let (one, other) = (first.sim().await, second.sim().await);
    let relay = super::pair(&one, first, &other, second);
    let long = full_body(true).replace("\"hi\"", &format!("\"{}\"", "x".repeat(20_100_000)));
    let answer = tokio::time::timeout(
        Duration::from_mins(1),
        ask(&relay, "/v1/messages?beta=true", &long),
    );
    assert_eq!(answer.await.unwrap().status, 200);
    assert_eq!((one.requests().len(), other.requests().len()), (0, 1));
}
