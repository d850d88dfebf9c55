//! Vendors that imitate the Messages API, through real sockets. In: requests that a relay might
//! send; out: each vendor's own way to take or refuse them. Must never rely on the sim's table.

use relay_sim::{Fault, Script, Sim, Usage, Vendor};
use serde_json::{Value, json};

use crate::dialects::request;
use crate::raw::{Answer, Ended, events, send};

async fn sim(vendor: Vendor) -> Sim {
    Sim::builder()
        .dialect(vendor)
        .accept_keys(["fake"])
        .start()
        .await
        .unwrap()
}

const KEY: &str = "anthropic-version: 2023-06-01\r\nx-api-key: fake\r\n";
const BEARER: &str = "anthropic-version: 2023-06-01\r\nauthorization: Bearer fake\r\n";

async fn post(sim: &Sim, path: &str, headers: &str, body: &Value) -> Answer {
    send(sim, &request("POST", path, headers, &body.to_string())).await
}

async fn get(sim: &Sim, path: &str) -> Answer {
    send(
        sim,
        &request("GET", path, &format!("{BEARER}x-api-key: fake\r\n"), ""),
    )
    .await
}

fn body(model: &str) -> Value {
    json!({ "model": model, "max_tokens": 9, "messages": [{ "role": "user", "content": "hi" }] })
}

fn with(model: &str, field: &str, value: Value) -> Value {
    let mut body = body(model);
    body[field] = value;
    body
}

#[tokio::test]
async fn each_vendor_takes_its_own_credential() {
    let cases = [
        (Vendor::Anthropic, "/v1/messages", true, true),
        (Vendor::Zai, "/api/anthropic/v1/messages", true, true),
        (Vendor::Minimax, "/anthropic/v1/messages", true, false),
        (Vendor::Ollama, "/v1/messages", true, true),
        (Vendor::OllamaCloud, "/v1/messages", false, true),
        (Vendor::Kimi, "/anthropic/v1/messages", true, true),
        (Vendor::Deepseek, "/anthropic/v1/messages", true, true),
        (Vendor::Openrouter, "/api/v1/messages", false, true),
        (Vendor::Llamacpp, "/v1/messages", true, true),
        (Vendor::Lmstudio, "/v1/messages", true, true),
    ];
    for (vendor, path, by_key, by_bearer) in cases {
        let sim = sim(vendor).await;
        let model = if vendor == Vendor::Openrouter {
            "z/glm"
        } else {
            "claude-opus-5-5"
        };
        for (headers, taken) in [(KEY, by_key), (BEARER, by_bearer)] {
            let status = post(&sim, path, headers, &body(model)).await.status();
            assert_eq!(
                status,
                if taken { 200 } else { 401 },
                "{vendor:?} {headers}"
            );
            let wrong = headers.replace("fake", "wrong");
            let status = post(&sim, path, &wrong, &body(model)).await.status();
            let checked = vendor != Vendor::Ollama;
            assert_eq!(
                status,
                if checked { 401 } else { 200 },
                "{vendor:?} {wrong}"
            );
        }
    }
}

#[tokio::test]
async fn each_vendor_counts_and_lists_in_its_own_way() {
    let cases = [
        (Vendor::Anthropic, "", 200, "/v1/models", 200),
        (
            Vendor::Zai,
            "/api/anthropic",
            404,
            "/api/anthropic/v1/models",
            200,
        ),
        (
            Vendor::Minimax,
            "/anthropic",
            200,
            "/anthropic/v1/models",
            200,
        ),
        (
            Vendor::Minimax,
            "/anthropic",
            200,
            "/anthropic/v1/v1/models",
            404,
        ),
        (Vendor::Ollama, "", 404, "/v1/models", 200),
        (Vendor::Kimi, "/anthropic", 404, "/anthropic/v1/models", 404),
        (Vendor::Kimi, "/anthropic", 404, "/v1/models", 200),
        (Vendor::Deepseek, "/anthropic", 200, "/models", 200),
        (Vendor::Openrouter, "/api", 404, "/api/v1/models", 200),
        (Vendor::Openrouter, "/api", 404, "/api/v1/key", 200),
        (Vendor::Vllm, "", 200, "/health", 200),
        (Vendor::Llamacpp, "", 200, "/health", 200),
        (Vendor::Lmstudio, "", 200, "/v1/models", 200),
    ];
    for (vendor, base, counts, models, lists) in cases {
        let sim = sim(vendor).await;
        let count = format!("{base}/v1/messages/count_tokens");
        let both = format!("{BEARER}x-api-key: fake\r\n");
        let answer = post(&sim, &count, &both, &body("claude-opus-5-5")).await;
        assert_eq!(answer.status(), counts, "{vendor:?}");
        let counted = counts == 200 && vendor != Vendor::Lmstudio;
        let numbered = counted && answer.json()["input_tokens"].is_u64();
        assert_eq!(numbered, counted, "{vendor:?}: {}", answer.text());
        assert_eq!(
            get(&sim, models).await.status(),
            lists,
            "{vendor:?} {models}"
        );
    }
    let open = get(&sim(Vendor::Vllm).await, "/v1/models").await.json();
    assert_eq!(
        (&open["object"], &open["data"][0]["object"]),
        (&json!("list"), &json!("model"))
    );
}

#[tokio::test]
async fn zai_states_its_usage_at_the_end_only() {
    let sim = sim(Vendor::Zai).await;
    let usage = Usage {
        input_tokens: 900,
        cache_read_input_tokens: 50,
        ..Usage::default()
    };
    sim.push(Script::text("hello").usage(usage));
    let asked = with("glm-5", "stream", json!(true));
    let said = events(
        &post(&sim, "/api/anthropic/v1/messages", BEARER, &asked)
            .await
            .text(),
    );
    let start = &said[0].1["message"]["usage"];
    assert_eq!(
        (&start["input_tokens"], &start["output_tokens"]),
        (&json!(0), &json!(0))
    );
    let end = &said[said.len() - 2].1["usage"];
    assert_eq!(
        (&end["input_tokens"], &end["cache_read_input_tokens"]),
        (&json!(900), &json!(50))
    );
}

#[tokio::test]
async fn zai_tells_its_limits_apart_by_code() {
    let sim = sim(Vendor::Zai).await;
    let path = "/api/anthropic/v1/messages";
    for (preset, code) in [
        ("rate_limited", "1302"),
        ("overloaded", "1305"),
        ("zai_1310", "1310"),
    ] {
        sim.push(Script::preset(preset).unwrap());
        let answer = post(&sim, path, BEARER, &body("glm-5")).await;
        assert_eq!(
            (answer.status(), &answer.json()["error"]["code"]),
            (429, &json!(code))
        );
    }
    sim.push(Script::error(429, "1113", "Insufficient balance"));
    let answer = post(&sim, path, BEARER, &body("glm-5")).await;
    assert_eq!(answer.json()["error"]["code"], "1113");
}

#[tokio::test]
async fn minimax_refuses_system_messages_and_stray_results() {
    let sim = sim(Vendor::Minimax).await;
    let path = "/anthropic/v1/messages";
    let call = json!({ "role": "assistant", "content": [
        { "type": "tool_use", "id": "t1", "name": "Bash", "input": {} },
    ] });
    let result =
        json!({ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t1" }] });
    let cases = [
        (
            with(
                "M2",
                "messages",
                json!([{ "role": "system", "content": "x" }]),
            ),
            "role: system (2013)",
        ),
        (
            with(
                "M2",
                "messages",
                json!([call, { "role": "user", "content": "x" }, result]),
            ),
            "does not follow",
        ),
        (with("M2", "temperature", json!(0)), "temperature"),
    ];
    for (body, said) in cases {
        let answer = post(&sim, path, KEY, &body).await;
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status(), &error["type"]),
            (400, &json!("bad_request_error"))
        );
        assert_eq!(error["http_code"], "400");
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
    }
    let good = with("M2", "messages", json!([call, result]));
    assert_eq!(post(&sim, path, KEY, &good).await.status(), 200);
    let newer = KEY.replace("2023-06-01", "2026-10-21");
    assert_eq!(post(&sim, path, &newer, &body("M2")).await.status(), 400);
    let wrong = post(&sim, path, &KEY.replace("fake", "cn"), &body("M2")).await;
    assert!(wrong.text().contains("(2049)"));
}

#[tokio::test]
async fn vendors_refuse_what_their_models_cannot_read() {
    let document = json!([{ "role": "user", "content": [{ "type": "document" }] }]);
    let url = json!([{ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "x",
        "content": [{ "type": "image", "source": { "type": "url" } }] }] }]);
    let call = json!([{ "role": "assistant", "content": [{ "type": "tool_use", "id": "x" }] }]);
    let mut thoughtless = with("deepseek-v4-pro", "thinking", json!({ "type": "enabled" }));
    thoughtless["messages"] = call;
    let adaptive = json!({ "type": "adaptive" });
    let cases = [
        (
            Vendor::Kimi,
            with("kimi-k2.7-code", "thinking", adaptive.clone()),
            400,
        ),
        (Vendor::Kimi, with("kimi-k3", "thinking", adaptive), 200),
        (
            Vendor::Kimi,
            with("kimi-k3", "messages", document.clone()),
            400,
        ),
        (
            Vendor::Deepseek,
            with("deepseek-v4-pro", "messages", document.clone()),
            400,
        ),
        (Vendor::Deepseek, thoughtless, 400),
        (Vendor::Deepseek, body("gpt-9"), 400),
        (Vendor::Deepseek, body("claude-opus-5-5"), 200),
        (Vendor::Ollama, with("glm-5", "messages", url), 400),
        (
            Vendor::Ollama,
            with("glm-5", "tool_choice", json!({ "type": "any" })),
            200,
        ),
        (Vendor::Openrouter, body("claude-opus-5-5"), 400),
        (Vendor::Vllm, body("qwen"), 404),
        (Vendor::Vllm, body("claude-opus-5-5"), 200),
    ];
    for (vendor, body, status) in cases {
        let sim = sim(vendor).await;
        let answer = post(&sim, "/v1/messages", BEARER, &body).await;
        assert_eq!(answer.status(), status, "{vendor:?} {body}");
        if status != 200 {
            assert!(answer.json()["error"]["message"].is_string());
        }
    }
}

#[tokio::test]
async fn vendors_word_errors_in_their_own_envelopes() {
    let cases = [
        (Vendor::Openrouter, "a/b", "/error/code", json!(429)),
        (
            Vendor::Vllm,
            "claude-opus-5-5",
            "/error/type",
            json!("rate_limit_error"),
        ),
        (
            Vendor::Deepseek,
            "deepseek-v4-pro",
            "/error/param",
            Value::Null,
        ),
        (Vendor::Kimi, "k", "/type", json!("error")),
        (
            Vendor::Anthropic,
            "claude-opus-5-5",
            "/error/type",
            json!("rate_limit_error"),
        ),
    ];
    for (vendor, model, pointer, value) in cases {
        let sim = sim(vendor).await;
        sim.push(Script::error(429, "rate_limit_error", "slow down"));
        let answer = post(&sim, "/v1/messages", BEARER, &body(model)).await;
        assert_eq!(answer.json().pointer(pointer), Some(&value), "{vendor:?}");
        assert_eq!(answer.json()["error"]["message"], "slow down");
        let names_request = answer.json().get("request_id").is_some();
        assert_eq!(names_request, vendor == Vendor::Anthropic, "{vendor:?}");
        assert_eq!(
            answer.header("request-id").is_some(),
            vendor == Vendor::Anthropic
        );
    }
}

#[tokio::test]
async fn ollama_breaks_where_others_send_an_error_event() {
    let fault = Fault::ErrorEventAfter(3, "overloaded_error".to_owned(), "x".to_owned());
    let asked = with("glm-5", "stream", json!(true));
    let ollama = sim(Vendor::Ollama).await;
    ollama.push(Script::text("hello").fault(fault.clone()));
    let answer = post(&ollama, "/v1/messages", "", &asked).await;
    assert_eq!(answer.ended, Ended::Fin);
    assert_eq!(answer.header("anthropic-organization-id"), None);
    assert_eq!(events(&answer.text()).len(), 3);
    let zai = sim(Vendor::Zai).await;
    zai.push(Script::text("hello").fault(fault));
    let answer = post(&zai, "/v1/messages", BEARER, &asked).await;
    assert_eq!(answer.ended, Ended::Framed);
    let last = answer.text();
    assert!(
        last.ends_with("\n\n")
            && last.contains(
                r#"event: error
data: {"error":{"code":"1305""#
            ),
        "{last}"
    );
}

#[tokio::test]
async fn anthropic_itself_wants_a_version() {
    let sim = sim(Vendor::Anthropic).await;
    let missing = post(
        &sim,
        "/v1/messages",
        "x-api-key: fake\r\n",
        &body("claude-opus-5-5"),
    )
    .await;
    assert_eq!(missing.status(), 400);
    assert!(
        missing
            .text()
            .contains("anthropic-version: header is required")
    );
    let page = get(&sim, "/v1/models?limit=1").await.json();
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
}
