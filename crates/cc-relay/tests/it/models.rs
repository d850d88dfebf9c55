//! The list of models: the union of what upstreams, settings and the price list name.

use std::time::Duration;

use relay_sim::{Dialect, Sim, Vendor};
use serde_json::Value;

use crate::support::*;

async fn listing(models: &[&str]) -> Sim {
    builder()
        .models(models.iter().copied())
        .start()
        .await
        .unwrap()
}

fn provider(name: &str, sim: &Sim, more: &str) -> String {
    format!(
        "  - {{name: {name}, type: anthropic, base_url: '{}', proxy: none, accepts_client_credential: false, keys: [{{key: sk-ant-{name}}}]{more}}}\n",
        sim.base_url()
    )
}

fn relay(providers: &str) -> Relay {
    Relay::of(&format!(
        "server: {{listen: '127.0.0.1:0', workers: 2}}\nrouting: {{model_lists: true}}\nproviders:\n{providers}"
    ))
}

async fn get(relay: &Relay, path: &str) -> Answer {
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: r\r\nx-api-key: sk-ant-own\r\nanthropic-version: 2023-06-01\r\nconnection: close\r\n\r\n"
    );
    relay.send(&request).await
}

/// The list, once the upstreams were asked and this many models are known.
async fn list(relay: &Relay, query: &str, count: usize) -> Value {
    let known = async {
        loop {
            let all = get(relay, "/v1/models?limit=1000").await.json();
            if all["data"].as_array().unwrap().len() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, known).await.expect("models");
    get(relay, &format!("/v1/models{query}")).await.json()
}

fn ids(list: &Value) -> Vec<&str> {
    let data = list["data"].as_array().unwrap();
    data.iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn the_models_of_all_with_those_that_serve_them() {
    let one = listing(&["claude-opus-5-5", "claude-haiku-4-5"]).await;
    let other = listing(&["claude-opus-5-5", "glm-5"]).await;
    let more = ", models: ['glm-*', claude-opus-5-5, glm-made-by-hand]";
    let relay = relay(&(provider("one", &one, "") + &provider("other", &other, more)));
    let all = list(&relay, "", 4).await;
    let mut names = ids(&all);
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "claude-haiku-4-5",
            "claude-opus-5-5",
            "glm-5",
            "glm-made-by-hand"
        ]
    );
    let served = |id: &str| {
        let data = all["data"].as_array().unwrap();
        let model = data.iter().find(|model| model["id"] == id).unwrap();
        model["providers"].to_string()
    };
    assert_eq!(served("claude-opus-5-5"), r#"["one","other"]"#);
    assert_eq!(served("glm-5"), r#"["other"]"#);
    // What the upstream says of a model is there as it said it.
    let found = get(&relay, "/v1/models/claude-opus-5-5").await;
    let address = one.addr().to_string();
    let direct = exchange(
        &address,
        b"GET /v1/models/claude-opus-5-5 HTTP/1.1\r\nhost: r\r\nx-api-key: k\r\nanthropic-version: 2023-06-01\r\nconnection: close\r\n\r\n",
    );
    let mut said = direct.await.json();
    said["providers"] = serde_json::json!(["one", "other"]);
    assert_eq!((found.status, found.json()), (200, said));
    let missing = get(&relay, "/v1/models/nobody-has-it").await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.json()["error"]["type"], "not_found_error");
    // Nobody was asked while a client waited: once each, at the start.
    assert_eq!((one.requests().len(), other.requests().len()), (2, 1));
}

#[tokio::test]
async fn pages_have_the_ends_that_they_say() {
    let names: Vec<String> = (0..50).map(|number| format!("m-{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (one, other) = (listing(&names).await, listing(&["x"]).await);
    let relay = relay(&(provider("one", &one, "") + &provider("other", &other, "")));
    let first = list(&relay, "", 51).await;
    assert_eq!(ids(&first).len(), 20);
    assert_eq!(first["has_more"], true);
    let mut seen: Vec<String> = Vec::new();
    let mut query = "?limit=7".to_owned();
    loop {
        let page = list(&relay, &query, 51).await;
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        assert_eq!(page["last_id"].as_str(), seen.last().map(String::as_str));
        if page["has_more"] == false {
            break;
        }
        query = format!("?limit=7&after_id={}", seen.last().unwrap());
    }
    assert_eq!(seen.len(), 51);
    let before = list(&relay, &format!("?limit=3&before_id={}", seen[10]), 51).await;
    assert_eq!(ids(&before), seen[7..10]);
    for wrong in ["?limit=0", "?limit=1001", "?limit=many"] {
        let refused = get(&relay, &format!("/v1/models{wrong}")).await;
        assert_eq!(refused.status, 400, "{wrong}");
        assert_eq!(refused.json()["error"]["type"], "invalid_request_error");
    }
}

#[tokio::test]
async fn a_list_in_another_form_and_one_that_does_not_come() {
    let ollama = Sim::builder()
        .dialect(Dialect::from(Vendor::Ollama))
        .require_credential(false)
        .models(["qwen3"])
        .start()
        .await
        .unwrap();
    let gone = listing(&["claude-opus-5-5"]).await;
    let entry = format!(
        "  - {{name: local, type: ollama, base_url: '{}', proxy: none}}\n",
        ollama.base_url()
    );
    let yaml = entry + &provider("gone", &gone, ", models: [claude-opus-5-5]");
    gone.stop().await;
    let relay = relay(&yaml);
    let all = list(&relay, "", 2).await;
    let mut names = ids(&all);
    names.sort_unstable();
    assert_eq!(names, ["claude-opus-5-5", "qwen3"]);
    let qwen = get(&relay, "/v1/models/qwen3").await.json();
    for field in ["type", "display_name", "created_at"] {
        assert!(qwen[field].is_string(), "{qwen}");
    }
}

#[tokio::test]
async fn a_cloud_without_a_list_offers_what_has_a_price() {
    let sim = listing(&[]).await;
    let relay = relay(&format!(
        "  - {{name: aws, type: bedrock, runtime: invoke, base_url: '{}', proxy: none, aws_region: us-east-1, aws_access_key_id: A, aws_secret_access_key: secret}}\n",
        sim.base_url()
    ));
    let all = list(&relay, "?limit=1000", 5).await;
    assert!(ids(&all).contains(&"claude-opus-5-5"), "{all}");
    assert_eq!(sim.requests().len(), 0);
}

#[tokio::test]
async fn the_providers_are_told_without_their_keys() {
    let (one, other) = (listing(&["a"]).await, listing(&["b"]).await);
    let more = ", models: [b, 'c-*'], priority: 3";
    let relay = relay(&(provider("one", &one, "") + &provider("other", &other, more)));
    let answer = get(&relay, "/v1/providers").await;
    assert_eq!(answer.status, 200);
    let data = &answer.json()["data"];
    assert_eq!(data[0]["name"], "one");
    assert_eq!(data[0]["active"], true);
    assert_eq!(data[1]["base_url"], other.base_url());
    assert_eq!(data[1]["models"], serde_json::json!(["b"]));
    assert_eq!(data[1]["priority"], 3);
    assert!(!answer.text().contains("sk-ant"), "{}", answer.text());
    let closed = Relay::of(&format!(
        "server: {{listen: '127.0.0.1:0', auth: {{api_key: {RELAY_KEY}}}}}\nproviders:\n{}",
        provider("one", &one, "")
    ));
    assert_eq!(get(&closed, "/v1/providers").await.status, 401);
}

#[tokio::test]
async fn one_provider_with_a_list_answers_for_itself() {
    let sim = listing(&["claude-opus-5-5"]).await;
    let relay = relay(&provider("one", &sim, ""));
    let answer = get(&relay, "/v1/models?limit=5").await;
    assert_eq!(answer.status, 200);
    assert_eq!(ids(&answer.json()), ["claude-opus-5-5"]);
    assert!(answer.json()["data"][0].get("providers").is_none());
    assert_eq!(sim.requests().len(), 1);
}
