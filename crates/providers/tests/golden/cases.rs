//! Each case at each provider, as it is sent: path, headers, body, and what was left out.
//!
//! A change of a golden file is a change of what an upstream gets: read it before accepting it with
//! `INSTA_UPDATE=always cargo test -p relay-providers --test golden`.

use std::fmt::Write as _;

use bytes::Bytes;
use relay_core::capability::Capability;
use relay_core::credential::UpstreamCredential;
use relay_core::provider::{Changes, Provider};
use relay_core::request::{Endpoint, Inbound, ModelName};
use relay_core::scan::scan;
use relay_core::secret::Secret;
use relay_providers::bedrock::invoke::Bedrock;
use relay_providers::compatible::{Compatible, ROWS};
use relay_providers::sign::Signer;
use relay_providers::vertex::Vertex;

/// What Claude Code sends to everybody (2.1.330, measured), shortened.
const TURN: &str = r#"{"model":"claude-opus-5-5","messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral","scope":"global"}}]},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"ok"}]},{"role":"system","content":"a reminder"}],"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=2.1.330;"},{"type":"text","text":"You are","cache_control":{"type":"ephemeral"}}],"tools":[{"name":"Bash","input_schema":{"type":"object"}},{"name":"Web","input_schema":{"type":"object"},"defer_loading":true}],"metadata":{"user_id":"u"},"max_tokens":128000,"thinking":{"type":"adaptive","display":"updates"},"context_management":{"edits":[]},"output_config":{"effort":"medium"},"safeguards":{},"service_tier":"auto","stream":true}"#;

/// The betas that it comes with.
const BETAS: &str = "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,per-turn-control-2026-07-01,mid-conversation-tool-changes-2026-07-01,thinking-token-count-2026-05-13,advanced-tool-use-2025-11-20,effort-2025-11-24,thinking-display-updates-2026-08-18,dangerous-tool-use-2026-09-03";

fn providers() -> Vec<(&'static str, Box<dyn Provider>)> {
    let mut all: Vec<(&'static str, Box<dyn Provider>)> = ROWS
        .iter()
        .map(|row| {
            (
                row.name,
                Box::new(Compatible::of(row, "/base")) as Box<dyn Provider>,
            )
        })
        .collect();
    let signer = Signer {
        service: "bedrock",
        region: "eu-west-1".into(),
        host: "host".into(),
    };
    let bedrock = Bedrock {
        path_prefix: "/base".into(),
        model_prefix: "eu.anthropic.".into(),
        signer,
    };
    let vertex = Vertex {
        path_prefix: "/v1".into(),
        project: "project".into(),
        location: "global".into(),
    };
    all.push(("bedrock", Box::new(bedrock)));
    all.push(("vertex", Box::new(vertex)));
    all
}

fn inbound(endpoint: Endpoint, body: &str) -> Inbound {
    let path = match endpoint {
        Endpoint::CountTokens => "/v1/messages/count_tokens?beta=true",
        Endpoint::Messages | Endpoint::Models | Endpoint::Passthrough => "/v1/messages?beta=true",
    };
    let request = http::Request::post(path)
        .header("anthropic-version", "2023-06-01")
        .header("anthropic-beta", BETAS)
        .header("x-api-key", "key-of-the-client")
        .header("x-app", "cli")
        .header("accept-encoding", "gzip");
    let (head, ()) = request.body(()).unwrap().into_parts();
    Inbound {
        head,
        endpoint,
        path_and_query: path.into(),
        body: Bytes::from(body.to_owned()),
        facts: scan(body.as_bytes()).unwrap(),
    }
}

/// Writes what each provider is sent.
fn sent(endpoint: Endpoint, body: &str, model: &str, strips: bool, without: &[&str]) -> String {
    let model = ModelName::new(model);
    let without: Vec<_> = without
        .iter()
        .filter_map(|it| Capability::new(it))
        .collect();
    let changes = Changes {
        model: Some(&model),
        strips_thinking: strips,
        without: &without,
    };
    let key = UpstreamCredential::Relay(Secret::new("key-of-the-relay"));
    let mut page = String::new();
    for (name, provider) in providers() {
        let said = provider
            .encode(inbound(endpoint, body), &key, &changes)
            .unwrap();
        writeln!(page, "== {name}\n{} {}", said.method, said.path_and_query).unwrap();
        for (name, value) in &said.headers {
            page.extend([name.as_str(), ": ", value.to_str().unwrap(), "\n"]);
        }
        let text = std::str::from_utf8(&said.body).unwrap();
        let (removed, thinking) = (&said.removed, said.thinking_removed);
        writeln!(
            page,
            "{text}\nleft out: {removed:?}; thinking: {thinking}\n"
        )
        .unwrap();
        // Whatever is cut, it stays one JSON object.
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).unwrap();
    }
    page
}

#[test]
fn a_turn() {
    insta::assert_snapshot!(sent(
        Endpoint::Messages,
        TURN,
        "claude-opus-5-5",
        false,
        &[]
    ));
}

#[test]
fn a_turn_with_another_name_and_foreign_thinking() {
    insta::assert_snapshot!(sent(Endpoint::Messages, TURN, "their-model", true, &[]));
}

#[test]
fn a_turn_after_refusals() {
    let without = ["context_management", "effort-2025-11-24", "thinking"];
    insta::assert_snapshot!(sent(
        Endpoint::Messages,
        TURN,
        "claude-opus-5-5",
        false,
        &without
    ));
}

#[test]
fn a_count() {
    let body = r#"{"model":"claude-opus-5-5","messages":[{"role":"user","content":"hi"}]}"#;
    insta::assert_snapshot!(sent(
        Endpoint::CountTokens,
        body,
        "claude-opus-5-5",
        false,
        &[]
    ));
}
