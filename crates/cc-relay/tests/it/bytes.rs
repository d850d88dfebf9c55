//! What goes through is what came in: bodies, headers, paths, both ways.

use relay_sim::{Encoding, Recorded, Script, Split};

use crate::support::*;

#[tokio::test]
async fn a_streamed_answer_is_the_same_bytes_as_without_the_relay() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    sim.set_default(Script::thinking(
        "I think",
        "c2ln",
        "so I answer: \u{1f600} ok",
    ));
    for split in [
        Split::PerEvent,
        Split::EachByte,
        Split::Chunk(7),
        Split::Whole,
    ] {
        let script =
            || Script::tool_use("Bash", serde_json::json!({"command": "echo \"hi\""})).split(split);
        sim.push(script());
        let direct = exchange(&sim.addr().to_string(), turn(true).as_bytes()).await;
        sim.push(script());
        let relayed = relay.send(&turn(true)).await;
        assert_eq!(relayed.end, End::Whole);
        assert_eq!(normal(&relayed.text()), normal(&direct.text()), "{split:?}");
    }
}

/// The sim numbers its messages and tool calls; nothing else may differ.
fn normal(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("_sim0") {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let end = tail.find('"').unwrap_or(tail.len());
        rest = &tail[end..];
    }
    out + rest
}

fn end_to_end(recorded: &Recorded) -> Vec<(String, Vec<u8>)> {
    let dropped = [
        "host",
        "connection",
        "content-length",
        "x-api-key",
        "authorization",
    ];
    let lower = recorded
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    lower
        .filter(|(name, _)| !dropped.contains(&name.as_str()))
        .collect()
}

#[tokio::test]
async fn the_upstream_gets_the_same_headers_path_and_body() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    let odd = "{ \"model\" : \"claude-opus-5-5\",\n \"a\\u0062\":1.0e+5, \"stream\":false, \"metadata\":{\"user_id\":\"x\"}, \"z\":[{\"role\":\"system\"}] } ";
    let headers = "anthropic-beta: claude-code-20250219,effort-2025-11-24\r\nanthropic-beta: second-line\r\nanthropic-version: 2026-10-21\r\nx-claude-code-session-id: s-1\r\nx-stainless-timeout: NOT_GIVEN\r\nx-unknown: kept\r\naccept-encoding: gzip, deflate, br, zstd\r\nuser-agent: claude-cli/2.1.330 (external, sdk-cli)\r\n";
    let request = post("/v1/messages?beta=true&x=%20y", headers, odd);
    exchange(&sim.addr().to_string(), request.as_bytes()).await;
    relay.send(&request).await;
    let seen = sim.requests();
    assert_eq!(seen[1].path_and_query, seen[0].path_and_query);
    assert_eq!(seen[1].body, odd.as_bytes());
    assert_eq!(end_to_end(&seen[1]), end_to_end(&seen[0]));
    assert_eq!(seen[1].header("x-api-key"), Some("sk-ant-own-0123456789"));
    assert_eq!(
        seen[1].header("host"),
        Some(sim.addr().to_string().as_str())
    );
}

#[tokio::test]
async fn hop_by_hop_headers_stay_behind() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    let headers = "te: trailers\r\nkeep-alive: 5\r\nproxy-authorization: Basic x\r\n";
    let request = post("/v1/messages", headers, &body(false))
        .replace("connection: close", "x-hop: 1\r\nconnection: close, x-hop");
    sim.push(
        Script::text("x")
            .header("keep-alive", "timeout=5")
            .header("anthropic-ratelimit-unified-status", "allowed")
            .header("x-should-retry", "true"),
    );
    let answer = relay.send(&request).await;
    let seen = &sim.requests()[0];
    for name in [
        "te",
        "keep-alive",
        "proxy-authorization",
        "x-hop",
        "connection",
    ] {
        assert!(seen.header(name).is_none(), "{name}");
    }
    assert!(answer.header("keep-alive").is_none());
    assert_eq!(
        answer.header("anthropic-ratelimit-unified-status"),
        Some("allowed")
    );
    assert_eq!(answer.header("x-should-retry"), Some("true"));
    assert!(answer.header("request-id").unwrap().starts_with("req_sim"));
}

#[tokio::test]
async fn compressed_answers_pass_untouched_and_are_still_read() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    for (stream, encoding) in [
        (true, Encoding::Gzip),
        (true, Encoding::Deflate),
        (false, Encoding::Gzip),
    ] {
        sim.push(Script::text("squeezed").encoding(encoding));
        let answer = relay.send(&turn(stream)).await;
        assert_eq!(answer.end, End::Whole);
        assert!(answer.header("content-encoding").is_some());
        assert!(!answer.text().contains("squeezed"), "still compressed");
    }
    for record in relay.records.wait(3).await {
        assert!(record.usage.output_tokens.is_some(), "{record:?}");
        assert_eq!(record.outcome.name(), "complete");
    }
}

#[tokio::test]
async fn every_refusal_of_the_upstream_passes_word_for_word() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    for name in Script::presets() {
        let script = || Script::preset(name).unwrap();
        sim.push(script());
        let direct = exchange(&sim.addr().to_string(), turn(true).as_bytes()).await;
        sim.push(script());
        let relayed = relay.send(&turn(true)).await;
        assert_eq!(relayed.status, direct.status, "{name}");
        assert_eq!(normal(&relayed.text()), normal(&direct.text()), "{name}");
        for (header, value) in &direct.headers {
            let hop = [
                "date",
                "request-id",
                "connection",
                "transfer-encoding",
                "cache-control",
                "x-accel-buffering",
            ];
            if !hop.contains(&header.as_str()) {
                assert_eq!(
                    relayed.header(header),
                    Some(value.as_str()),
                    "{name}: {header}"
                );
            }
        }
    }
}

#[tokio::test]
async fn count_tokens_models_and_other_paths_reach_the_upstream() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    let count = relay
        .send(&post(
            "/v1/messages/count_tokens?beta=true",
            "",
            &body(false),
        ))
        .await;
    assert!(count.json()["input_tokens"].as_u64().unwrap() > 0);
    let get = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nconnection: close\r\n\r\n")
    };
    let models = relay.send(&get("/v1/models?limit=1000")).await;
    assert_eq!(models.json()["data"][0]["type"], "model");
    let one = relay.send(&get("/v1/models/claude-opus-5-5")).await;
    assert_eq!(one.json()["id"], "claude-opus-5-5");
    let batch = relay
        .send(&post("/v1/messages/batches", "", "{\"requests\":[]}"))
        .await;
    assert_eq!(batch.json()["path"], "/v1/messages/batches");
    let paths: Vec<String> = sim
        .requests()
        .into_iter()
        .map(|request| request.path_and_query)
        .collect();
    assert_eq!(
        paths,
        [
            "/v1/messages/count_tokens?beta=true",
            "/v1/models?limit=1000",
            "/v1/models/claude-opus-5-5",
            "/v1/messages/batches"
        ]
    );
}

#[tokio::test]
async fn a_burst_of_count_tokens_is_answered() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    let mut clients = Vec::new();
    for client in 0..14 {
        let address = relay.address.clone();
        clients.push(async move {
            for _ in client..(if client < 11 { client + 2 } else { client + 1 }) {
                let answer = exchange(
                    &address,
                    post("/v1/messages/count_tokens", "", &body(false)).as_bytes(),
                )
                .await;
                assert_eq!((answer.status, answer.end), (200, End::Whole));
            }
        });
    }
    let mut set = tokio::task::JoinSet::new();
    for client in clients {
        set.spawn(client);
    }
    while let Some(done) = set.join_next().await {
        done.unwrap();
    }
    assert_eq!(sim.stats().requests, 25);
}

#[tokio::test]
async fn a_base_path_is_tolerated_and_one_of_the_upstream_is_kept() {
    let sim = sim().await;
    let base = sim.base_url();
    let relay = Relay::of(&format!(
        "server: {{listen: '127.0.0.1:0'}}\nproviders:\n  - {{name: up, type: anthropic, base_url: '{base}/gateway/anthropic/', proxy: none}}\n"
    ));
    for path in [
        "/some/prefix/v1/messages?beta=true",
        "/v1/v1/messages?beta=true",
    ] {
        assert_eq!(relay.send(&post(path, "", &body(false))).await.status, 200);
    }
    for request in sim.requests() {
        assert_eq!(
            request.path_and_query,
            "/gateway/anthropic/v1/messages?beta=true"
        );
    }
}

#[tokio::test]
async fn a_mapped_model_is_the_only_change_to_the_body() {
    let sim = sim().await;
    let relay = Relay::start(
        &sim,
        "",
        "model_mapping: {claude-opus-5-5: claude-opus-5-5-20260801}",
    );
    relay.send(&turn(false)).await;
    let expected = body(false).replace("claude-opus-5-5", "claude-opus-5-5-20260801");
    assert_eq!(sim.requests()[0].body, expected.as_bytes());
}

#[tokio::test]
async fn a_body_that_is_no_json_object_passes_as_it_is() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    for odd in [
        "",
        "[]",
        "{\"messages\":[]}",
        "{\"model\":7}",
        "not json at all",
        "{\"model\":\"a\"} trailing",
    ] {
        relay.send(&post("/v1/messages", "", odd)).await;
    }
    let bodies: Vec<_> = sim
        .requests()
        .into_iter()
        .map(|request| request.body)
        .collect();
    assert_eq!(bodies.len(), 6);
    assert_eq!(bodies[4], "not json at all".as_bytes());
}

#[tokio::test]
async fn a_streams_head_forbids_buffering() {
    let sim = sim().await;
    let relay = Relay::start(&sim, "", "");
    let answer = relay.send(&turn(true)).await;
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/event-stream")
    );
    assert_eq!(
        answer.header("cache-control"),
        Some("no-cache, no-transform")
    );
    assert_eq!(answer.header("x-accel-buffering"), Some("no"));
}

#[tokio::test]
async fn the_relays_own_paths_touch_no_upstream() {
    let sim = sim().await;
    let relay = Relay::start(
        &sim,
        "auth: {api_key: relay-key-0123456789}",
        "keys: [{key: sk-up}]",
    );
    for (method, path, status) in [
        ("HEAD", "/", 200),
        ("GET", "/", 200),
        ("HEAD", "/api/hello", 200),
        ("GET", "/health", 200),
        ("GET", "/livez", 200),
        ("GET", "/readyz", 200),
        ("GET", "/nowhere", 404),
        ("DELETE", "/livez", 405),
    ] {
        let answer = relay
            .send(&format!(
                "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
            ))
            .await;
        assert_eq!(answer.status, status, "{method} {path}");
    }
    assert_eq!(sim.stats().requests, 0);
}
