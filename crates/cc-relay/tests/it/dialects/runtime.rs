//! Bedrock's two interfaces behind one provider: the Messages API where it has the model.

use relay_sim::{Dialect, Script, Sim};

use super::{AWS, ask, aws, full_body};
use crate::support::{Answer, RELAY_KEY, Relay};

const MODELS: [&str; 2] = ["claude-opus-5-5", "claude-sonnet-4-6"];

/// The Messages API, `InvokeModel`, and a relay that knows both as one.
async fn both(routing: &str) -> (Sim, Sim, Relay) {
    let start = |dialect: Dialect| Sim::builder().dialect(dialect).models(MODELS).start();
    let mantle = start(Dialect::Mantle(aws())).await.unwrap();
    let invoke = start(Dialect::Bedrock(aws())).await.unwrap();
    let relay = Relay::of(&format!(
        "server: {{listen: '127.0.0.1:0', workers: 2, auth: {{api_key: {RELAY_KEY}}}}}\nrouting: {{debug: true, {routing}}}\nproviders:\n  - {{name: aws, type: bedrock, runtime: auto, base_url: '{}', mantle_base_url: '{}/anthropic', proxy: none, {AWS}}}\n",
        invoke.base_url(),
        mantle.base_url(),
    ));
    (mantle, invoke, relay)
}

async fn turn(relay: &Relay, model: &str) -> Answer {
    let body = full_body(true).replace("claude-opus-5-5", model);
    let answer = ask(relay, "/v1/messages", &body).await;
    assert_eq!(answer.status, 200, "{model}: {}", answer.text());
    answer
}

#[tokio::test]
async fn the_messages_api_is_asked_where_it_has_the_model() {
    // Whatever the strategy: the second is no upstream to spread over.
    for strategy in ["failover", "round_robin", "shuffle", "least_loaded"] {
        let routing = format!("strategy: {strategy}, affinity: {{enabled: false}}");
        let (mantle, invoke, relay) = both(&routing).await;
        for count in 1..4 {
            let answer = turn(&relay, "claude-opus-5-5").await;
            assert_eq!(answer.header("x-cc-relay-provider"), Some("aws"));
            assert_eq!(
                (mantle.requests().len(), invoke.requests().len()),
                (count, 0)
            );
        }
        let answer = turn(&relay, "claude-sonnet-4-6").await;
        assert_eq!(answer.header("x-cc-relay-provider"), Some("aws/invoke"));
        assert_eq!((mantle.requests().len(), invoke.requests().len()), (3, 1));
    }
}

#[tokio::test]
async fn what_it_cannot_serve_now_goes_to_the_other() {
    let (mantle, invoke, relay) = both("").await;
    for refusal in [
        Script::error(404, "not_found_error", "model: claude-opus-5-5"),
        Script::error(529, "overloaded_error", "Overloaded"),
    ] {
        mantle.push(refusal);
        let (asked, answered) = (mantle.requests().len(), invoke.requests().len());
        let answer = turn(&relay, "claude-opus-5-5").await;
        assert_eq!(answer.header("x-cc-relay-provider"), Some("aws/invoke"));
        assert!(mantle.requests().len() <= asked + 1);
        assert_eq!(invoke.requests().len(), answered + 1);
    }
}

#[tokio::test]
async fn rules_and_defaults_that_name_the_provider_mean_both() {
    let rules =
        "strategy: model, models: [{match: 'claude-*', providers: [aws]}], default_provider: aws";
    let (mantle, invoke, relay) = both(rules).await;
    turn(&relay, "claude-sonnet-4-6").await;
    turn(&relay, "claude-opus-5-5").await;
    assert_eq!((mantle.requests().len(), invoke.requests().len()), (1, 1));
}
