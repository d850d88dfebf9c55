//! Whose credential goes where, seen from the upstream.

use crate::support::*;

const RELAY: &str = "relay-key-0123456789";

fn request(credentials: &str) -> String {
    post("/v1/messages", credentials, &body(false))
        .replace("x-api-key: sk-ant-own-0123456789\r\n", "")
}

fn seen(sim: &relay_sim::Sim) -> (Option<String>, Option<String>) {
    let request = sim.take_requests().pop().unwrap();
    let text = |name: &str| request.header(name).map(str::to_owned);
    (text("x-api-key"), text("authorization"))
}

#[tokio::test]
async fn a_relay_key_is_accepted_in_either_header_or_both_and_never_passed_on() {
    let sim = sim().await;
    let relay = Relay::start(
        &sim,
        &format!("auth: {{api_key: {RELAY}}}"),
        "keys: [{key: sk-upstream-key}]",
    );
    for credentials in [
        format!("x-api-key: {RELAY}\r\n"),
        format!("authorization: Bearer {RELAY}\r\n"),
        format!("authorization: bearer {RELAY}\r\nx-api-key: {RELAY}\r\n"),
        format!("authorization: Bearer something-else\r\nx-api-key: {RELAY}\r\n"),
    ] {
        let answer = relay.send(&request(&credentials)).await;
        assert_eq!(answer.status, 200, "{credentials}");
        assert_eq!(
            seen(&sim),
            (Some("sk-upstream-key".to_owned()), None),
            "{credentials}"
        );
    }
}

#[tokio::test]
async fn a_wrong_or_missing_key_is_a_final_401_before_any_upstream() {
    let sim = sim().await;
    let relay = Relay::start(
        &sim,
        &format!("auth: {{api_key: {RELAY}}}"),
        "keys: [{key: sk-upstream-key}]",
    );
    for credentials in [
        "",
        "x-api-key: wrong\r\n",
        "authorization: Bearer managed-by-cc-relay\r\n",
        "authorization: Basic eDp5\r\n",
    ] {
        let answer = relay.send(&request(credentials)).await;
        assert_eq!(answer.status, 401, "{credentials}");
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert_eq!(answer.json()["error"]["type"], "authentication_error");
        assert!(!answer.text().contains(RELAY));
    }
    assert_eq!(sim.stats().requests, 0);
    assert!(
        relay
            .records
            .wait(4)
            .await
            .iter()
            .all(|record| record.error_type.as_deref() == Some("auth"))
    );
}

#[tokio::test]
async fn without_a_relay_key_the_clients_own_credential_goes_up_unchanged() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "keys: [{key: sk-upstream-key}]");
    let oauth = "authorization: Bearer sk-ant-oat01-mine\r\nanthropic-beta: oauth-2025-04-20,claude-code-20250219\r\n";
    relay.send(&request(oauth)).await;
    let got = sim.take_requests().pop().unwrap();
    assert_eq!(
        got.header("authorization"),
        Some("Bearer sk-ant-oat01-mine")
    );
    assert_eq!(
        got.header("anthropic-beta"),
        Some("oauth-2025-04-20,claude-code-20250219")
    );
    assert!(got.header("x-api-key").is_none());
    // Both headers, as apiKeyHelper sends them.
    relay
        .send(&request(
            "authorization: Bearer mine\r\nx-api-key: mine\r\n",
        ))
        .await;
    assert_eq!(
        seen(&sim),
        (Some("mine".to_owned()), Some("Bearer mine".to_owned()))
    );
    // None, or the placeholder: the relay's key serves.
    for credentials in [
        "",
        "authorization: Bearer managed-by-cc-relay\r\n",
        "x-api-key: managed-by-cc-relay\r\n",
    ] {
        assert_eq!(relay.send(&request(credentials)).await.status, 200);
        assert_eq!(seen(&sim), (Some("sk-upstream-key".to_owned()), None));
    }
}

#[tokio::test]
async fn a_subscription_passes_beside_relay_keys_where_allowed() {
    let sim = sim().await;
    let auth = format!("auth: {{api_key: {RELAY}, allow_subscription: true}}");
    let relay = Relay::start(&sim, &auth, "keys: [{key: sk-upstream-key}]");
    relay
        .send(&request("authorization: Bearer sk-ant-oat01-mine\r\n"))
        .await;
    assert_eq!(
        seen(&sim),
        (None, Some("Bearer sk-ant-oat01-mine".to_owned()))
    );
    relay
        .send(&request(&format!(
            "authorization: Bearer mine\r\nx-api-key: {RELAY}\r\n"
        )))
        .await;
    assert_eq!(seen(&sim), (None, Some("Bearer mine".to_owned())));
    relay
        .send(&request(&format!("x-api-key: {RELAY}\r\n")))
        .await;
    assert_eq!(seen(&sim), (Some("sk-upstream-key".to_owned()), None));
    // Nothing at all is not a subscription.
    assert_eq!(relay.send(&request("")).await.status, 401);
}

#[tokio::test]
async fn an_upstream_that_takes_no_client_credential_never_sees_one() {
    let sim = sim().await;
    let relay = Relay::start(
        &sim,
        "",
        "accepts_client_credential: false\n    keys: [{key: sk-upstream-key}]",
    );
    relay
        .send(&request(
            "authorization: Bearer mine\r\nx-api-key: mine\r\n",
        ))
        .await;
    assert_eq!(seen(&sim), (Some("sk-upstream-key".to_owned()), None));
    let keyless = Relay::start(&sim, "", "accepts_client_credential: false");
    let answer = keyless.send(&request("x-api-key: mine\r\n")).await;
    assert_eq!(
        (answer.status, answer.header("x-should-retry")),
        (401, Some("false"))
    );
    assert!(sim.take_requests().is_empty());
}

#[tokio::test]
async fn each_client_key_has_its_name_in_the_log() {
    let sim = sim().await;
    let auth = "auth: {keys: [{name: laptop, key: key-of-the-laptop-1}, {name: build, key: key-of-the-build-22}]}";
    let relay = Relay::start(&sim, auth, "keys: [{key: sk-upstream-key}]");
    relay
        .send(&request("x-api-key: key-of-the-build-22\r\n"))
        .await;
    relay
        .send(&request("authorization: Bearer key-of-the-laptop-1\r\n"))
        .await;
    let names: Vec<_> = relay
        .records
        .wait(2)
        .await
        .into_iter()
        .map(|record| record.client.unwrap().to_string())
        .collect();
    assert_eq!(names, ["build", "laptop"]);
}
