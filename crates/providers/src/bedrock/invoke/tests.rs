//! Requests of `InvokeModel`, byte for byte.

use relay_core::request::ModelName;
use relay_core::scan::scan;
use relay_core::secret::Secret;

use super::*;

fn bedrock() -> Bedrock {
    Bedrock {
        path_prefix: "".into(),
        model_prefix: "eu.anthropic.".into(),
        version: BodyVersion::Is(VERSION.into()),
        counts_tokens: true,
        signer: Signer {
            service: "bedrock",
            region: "eu-west-1".into(),
            host: "h".into(),
        },
    }
}

fn encoded(endpoint: Endpoint, body: &'static str, model: &str) -> Encoded {
    let request = http::Request::post("/v1/messages?beta=true")
        .header("anthropic-version", "2023-06-01")
        .header("anthropic-user-profile-id", "u1")
        .header("accept-encoding", "gzip")
        .header("anthropic-beta", "claude-code-20250219,effort-2025-11-24")
        .header("anthropic-beta", "advanced-tool-use-2025-11-20");
    let (head, ()) = request.body(()).unwrap().into_parts();
    let inbound = Inbound {
        head,
        endpoint,
        path_and_query: "/v1/messages?beta=true".into(),
        body: Bytes::from_static(body.as_bytes()),
        facts: scan(body.as_bytes()).unwrap(),
    };
    let model = ModelName::new(model);
    let changes = Changes {
        model: Some(&model),
        ..Changes::default()
    };
    let key = UpstreamCredential::Relay(Secret::new("token"));
    bedrock().encode(inbound, &key, &changes).unwrap()
}

#[test]
fn a_turn() {
    let body = r#"{"model":"opus","max_tokens":5,"service_tier":"auto","tools":[{"name":"a","defer_loading":true,"input_examples":[]}],"output_config":{"effort":"low"},"messages":[{"role":"user","content":"hi"}],"stream":true}"#;
    let said = encoded(Endpoint::Messages, body, "claude-opus-5-5");
    assert_eq!(
        &*said.path_and_query,
        "/model/eu.anthropic.claude-opus-5-5/invoke-with-response-stream"
    );
    assert_eq!(
        said.body,
        r#"{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["effort-2025-11-24","tool-search-tool-2025-10-19"],"user_profile_id":"u1","max_tokens":5,"tools":[{"name":"a","defer_loading":true}],"output_config":{"effort":"low"},"messages":[{"role":"user","content":"hi"}]}"#
    );
    for gone in [
        "anthropic-version",
        "anthropic-beta",
        "anthropic-user-profile-id",
        "accept-encoding",
    ] {
        assert!(!said.headers.contains_key(gone), "{gone}");
    }
    assert_eq!(said.headers[AUTHORIZATION], "Bearer token");
    assert_eq!(said.headers["x-amzn-bedrock-accept"], "application/json");
    assert_eq!(
        said.removed
            .iter()
            .map(Capability::as_str)
            .collect::<Vec<_>>(),
        ["claude-code-20250219", "service_tier"]
    );
}

#[test]
fn neighbours_at_the_end_go_together() {
    let body = r#"{"messages":[],"model":"m","stream":true,"service_tier":"auto"}"#;
    let said = encoded(Endpoint::Messages, body, "m");
    assert!(
        std::str::from_utf8(&said.body)
            .unwrap()
            .ends_with(r#""messages":[]}"#)
    );
}

#[test]
fn models_are_one_segment() {
    for (model, path) in [
        (
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "/model/us.anthropic.claude-sonnet-4-5-20250929-v1:0/invoke",
        ),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.c",
            "/model/arn:aws:bedrock:us-east-1:1:inference-profile%2Fus.anthropic.c/invoke",
        ),
        ("a b?c", "/model/eu.anthropic.a%20b%3Fc/invoke"),
    ] {
        let said = encoded(Endpoint::Messages, r#"{"model":"x","messages":[]}"#, model);
        assert_eq!(&*said.path_and_query, path);
    }
}

#[test]
fn counting_wraps_the_body_and_asks_the_model_itself() {
    let said = encoded(
        Endpoint::CountTokens,
        r#"{"model":"x","messages":[]}"#,
        "us.anthropic.claude-x",
    );
    assert_eq!(
        &*said.path_and_query,
        "/model/anthropic.claude-x/count-tokens"
    );
    let form: serde_json::Value = serde_json::from_slice(&said.body).unwrap();
    let inner = form["input"]["invokeModel"]["body"].as_str().unwrap();
    let inner = STANDARD.decode_to_vec(inner).unwrap();
    assert!(
        String::from_utf8(inner)
            .unwrap()
            .contains("bedrock-2023-05-31")
    );
}

#[test]
fn a_count_is_said_as_anthropic_says_it() {
    let mut count = Count::default();
    let mut out = BytesMut::new();
    count.push(b"{\"inputTok", &mut out).unwrap();
    assert!(count.end(&mut out).is_err());
    count.push(b"ens\":12}", &mut out).unwrap();
    assert!(out.is_empty());
    assert_eq!(count.end(&mut out), Ok(()));
    assert_eq!(&out[..], b"{\"input_tokens\":12}");
}

#[test]
fn the_head_of_a_stream_is_that_of_events() {
    let answer = http::Response::builder()
        .header("content-type", "application/vnd.amazon.eventstream")
        .header("x-amzn-requestid", "r1")
        .body(());
    let (mut head, ()) = answer.unwrap().into_parts();
    assert!(bedrock().decoder(Endpoint::Messages, &mut head).is_some());
    assert_eq!(
        head.headers["content-type"],
        "text/event-stream; charset=utf-8"
    );
    assert_eq!(head.headers["request-id"], "r1");
}
