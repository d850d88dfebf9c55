//! What the relay says of a request once it has ended.

use relay_core::record::{Observation, Outcome};
use relay_sim::Script;

use crate::support::*;

#[tokio::test]
async fn a_stream_is_recorded_with_its_usage() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    let request = post(
        "/v1/messages?beta=true",
        "x-claude-code-session-id: 5f0c1d1e\r\nx-claude-code-agent-id: a1\r\nx-request-id: mine-1\r\n",
        &body(true),
    );
    sim.push(Script::text("hello there"));
    let answer = relay.send(&request).await;
    let record = &relay.records.wait(1).await[0];
    assert_eq!(&*record.request_id, "mine-1");
    assert_eq!(answer.header("x-cc-relay-request-id"), Some("mine-1"));
    assert_eq!(
        record.upstream_request_id.as_deref(),
        answer.header("request-id")
    );
    assert_eq!(record.session.as_ref().unwrap().as_str(), "5f0c1d1e");
    assert_eq!(record.agent.as_deref(), Some("a1"));
    assert_eq!(record.model.as_ref().unwrap().as_str(), "claude-opus-5-5");
    assert_eq!(record.stop_reason.as_deref(), Some("end_turn"));
    assert_eq!(record.outcome, Outcome::Complete);
    assert_eq!(record.observation, Observation::Read);
    assert_eq!(record.response_bytes, answer.body.len() as u64);
    assert_eq!(record.request_bytes, body(true).len() as u64);
    let usage = &record.usage;
    let (input, output) = (usage.input_tokens.unwrap(), usage.output_tokens.unwrap());
    assert_eq!(usage.cache_creation_input_tokens.unwrap_or(0), 0);
    // Four dollars a million in, twenty out.
    assert_eq!(
        record.cost.unwrap().as_nano_dollars(),
        input * 4_000 + output * 20_000
    );
    assert!(record.time_to_first_event.unwrap() >= record.time_to_head.unwrap());
    assert!(record.duration >= record.time_to_first_event.unwrap());
}

#[tokio::test]
async fn an_answer_in_one_piece_is_recorded_too() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    relay.send(&turn(false)).await;
    sim.push(Script::error(429, "rate_limit_error", "slow down").header("retry-after", "3"));
    relay.send(&turn(false)).await;
    let records = relay.records.wait(2).await;
    assert!(records[0].usage.output_tokens.is_some());
    assert_eq!(records[0].outcome, Outcome::Complete);
    assert_eq!(
        (records[1].status, records[1].error_type.as_deref()),
        (Some(429), Some("rate_limit_error"))
    );
    let counters = relay.server().counters();
    assert_eq!(
        counters.requests.load(std::sync::atomic::Ordering::Relaxed),
        2
    );
    assert_eq!(
        counters.failed.load(std::sync::atomic::Ordering::Relaxed),
        1
    );
    assert_eq!(counters.live.load(std::sync::atomic::Ordering::Relaxed), 0);
}
