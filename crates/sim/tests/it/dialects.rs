//! Dialects of the clouds through real sockets. In: requests in each cloud's form and in wrong
//! ones; out: assertions on bytes, frames and refusals. Must never decode with the sim's own code.

use relay_sim::{Aws, Dialect, Fault, Foundry, Script, Sim, Split, Usage, Vertex};
use serde_json::{Value, json};

use crate::raw::{Answer, Ended, events, send};

const VALID: &str = r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
const INVOKE: &str = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1:0/invoke";
const STREAM: &str =
    "/model/us.anthropic.claude-sonnet-4-5-20250929-v1:0/invoke-with-response-stream";

async fn sim(dialect: impl Into<Dialect>) -> Sim {
    Sim::builder().dialect(dialect).start().await.unwrap()
}

pub(crate) fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: sim\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
}

const BEARER: &str = "authorization: Bearer fake\r\n";

async fn invoke(sim: &Sim, path: &str, body: &str) -> Answer {
    send(sim, &request("POST", path, BEARER, body)).await
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1));
        }
    }
    !crc
}

/// A frame: its string headers, its payload.
type Frame = (Vec<(String, String)>, Value);

/// Decodes whole frames, checking both checksums, and returns what is left.
fn frames(mut bytes: &[u8]) -> (Vec<Frame>, &[u8]) {
    let mut out = Vec::new();
    let number =
        |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    while bytes.len() >= 16 && bytes.len() >= number(bytes, 0) as usize {
        let (frame, rest) = bytes.split_at(number(bytes, 0) as usize);
        let (content, sum) = frame.split_at(frame.len() - 4);
        assert_eq!(number(frame, 8), crc(&frame[..8]), "prelude");
        assert_eq!(number(sum, 0), crc(content), "frame");
        let (mut head, payload) = content[12..].split_at(number(frame, 4) as usize);
        let mut headers = Vec::new();
        while let Some((length, rest)) = head.split_first() {
            let (name, rest) = rest.split_at(usize::from(*length));
            assert_eq!(rest[0], 7);
            let length = usize::from(u16::from_be_bytes([rest[1], rest[2]]));
            let (value, rest) = rest[3..].split_at(length);
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            headers.push((text(name), text(value)));
            head = rest;
        }
        out.push((headers, serde_json::from_slice(payload).unwrap()));
        bytes = rest;
    }
    (out, bytes)
}

fn data_of(frame: &Frame) -> Value {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = frame.1["bytes"].as_str().unwrap();
    assert!(!frame.1["p"].as_str().unwrap().is_empty());
    let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::new());
    for digit in text.trim_end_matches('=').chars() {
        bits = (bits << 6) | u32::try_from(ALPHABET.find(digit).unwrap()).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).unwrap());
        }
    }
    serde_json::from_slice(&bytes).unwrap()
}

fn types(frames: &[Frame]) -> Vec<String> {
    let name = |frame| data_of(frame)["type"].as_str().unwrap().to_owned();
    frames.iter().map(name).collect()
}

#[tokio::test]
async fn bedrock_streams_frames_without_pings_and_with_metrics() {
    let sim = sim(Dialect::Bedrock(Aws::default())).await;
    let usage = Usage {
        input_tokens: 41,
        cache_read_input_tokens: 7,
        ..Usage::default()
    };
    sim.push(Script::text("hello world").usage(usage));
    let answer = invoke(&sim, STREAM, VALID).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.header("content-type"),
        Some("application/vnd.amazon.eventstream")
    );
    assert!(answer.header("x-amzn-requestid").is_some());
    assert_eq!(answer.header("request-id"), None);
    assert_eq!(answer.header("anthropic-organization-id"), None);
    let (frames, rest) = frames(&answer.body);
    assert!(rest.is_empty());
    let delta = "content_block_delta";
    assert_eq!(
        types(&frames),
        [
            "message_start",
            "content_block_start",
            delta,
            delta,
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    assert_eq!(answer.chunks.len(), frames.len(), "one write a frame");
    assert_eq!(
        data_of(&frames[0])["message"]["model"],
        "claude-sonnet-4-5-20250929"
    );
    assert!(
        frames[0]
            .0
            .contains(&(":event-type".to_owned(), "chunk".to_owned()))
    );
    let metrics = &data_of(&frames[6])["amazon-bedrock-invocationMetrics"];
    assert_eq!(metrics["inputTokenCount"], 41);
    assert_eq!(metrics["cacheReadInputTokenCount"], 7);
    assert_eq!(metrics["outputTokenCount"], 7);
}

#[tokio::test]
async fn bedrock_answers_json_with_token_counts() {
    let sim = sim(Dialect::Bedrock(Aws::default())).await;
    let answer = invoke(&sim, INVOKE, VALID).await;
    assert_eq!(
        answer.json()["content"][0]["text"],
        "Hello from cc-relay-sim."
    );
    assert_eq!(
        answer.header("x-amzn-bedrock-input-token-count"),
        Some("12")
    );
    assert_eq!(sim.requests()[0].path(), INVOKE);
    assert_eq!(sim.requests()[0].body, VALID);
}

#[tokio::test]
async fn faults_strike_in_a_bedrock_stream() {
    let sim = sim(Dialect::Bedrock(Aws::default())).await;
    let whole = invoke(&sim, STREAM, VALID).await.body;
    let cases = [
        (Fault::ResetAfterEvents(2), Ended::Reset, 2),
        (Fault::CloseAfterEvents(3), Ended::Fin, 3),
        (Fault::CleanEndAfterEvents(4), Ended::Framed, 4),
        (Fault::CloseAfterEvents(0), Ended::Fin, 0),
    ];
    for (fault, ended, count) in cases {
        sim.push(Script::text("Hello from cc-relay-sim.").fault(fault));
        let answer = invoke(&sim, STREAM, VALID).await;
        assert_eq!(answer.ended, ended);
        let (frames, rest) = frames(&answer.body);
        assert_eq!((frames.len(), rest.len()), (count, 0));
    }
    sim.push(Script::text("Hello from cc-relay-sim.").fault(Fault::CloseAfterBytes(301)));
    let answer = invoke(&sim, STREAM, VALID).await;
    assert_eq!(answer.body.len(), 301, "bytes are counted on the wire");
    let start = frames(&whole).0.len();
    sim.push(Script::text("Hello from cc-relay-sim.").fault(Fault::ContentLengthShort));
    let answer = invoke(&sim, STREAM, VALID).await;
    let claimed: usize = answer.header("content-length").unwrap().parse().unwrap();
    assert_eq!(frames(&answer.body).0.len(), start);
    assert_eq!(claimed, answer.body.len() + 1024);
    sim.push(Script::text("Hello from cc-relay-sim.").split(Split::Chunk(7)));
    assert_eq!(
        frames(&invoke(&sim, STREAM, VALID).await.body).0.len(),
        start
    );
}

#[tokio::test]
async fn an_error_in_a_bedrock_stream_is_an_exception() {
    let sim = sim(Dialect::Bedrock(Aws::default())).await;
    let cases = [
        ("overloaded_error", "serviceUnavailableException"),
        ("rate_limit_error", "throttlingException"),
        ("api_error", "internalServerException"),
        ("permission_error", "modelStreamErrorException"),
        ("ModelTimeoutException", "modelTimeoutException"),
    ];
    for (kind, exception) in cases {
        let fault = Fault::ErrorEventAfter(2, kind.to_owned(), "sorry".to_owned());
        sim.push(Script::text("hello").fault(fault));
        let answer = invoke(&sim, STREAM, VALID).await;
        let (frames, _) = frames(&answer.body);
        assert_eq!(frames.len(), 3);
        let (headers, payload) = &frames[2];
        assert!(headers.contains(&(":message-type".to_owned(), "exception".to_owned())));
        assert!(headers.contains(&(":exception-type".to_owned(), exception.to_owned())));
        let message = payload["message"].as_str().unwrap();
        assert!(
            message.starts_with("sorry (User: arn:aws:sts::111122223333:"),
            "{message}"
        );
    }
    // Exact writes: what holds data is framed, what holds none goes out as it is.
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n";
    sim.push(Script::raw_sse(vec!["noise".into(), error.into()]));
    let answer = invoke(&sim, STREAM, VALID).await;
    let (frames, rest) = frames(answer.body.strip_prefix(b"noise").unwrap());
    assert_eq!((frames.len(), rest.len()), (1, 0));
}

/// The valid body with one field more, or another value of it.
fn with(field: &str, value: Value) -> String {
    let mut body: Value = serde_json::from_str(VALID).unwrap();
    body[field] = value;
    body.to_string()
}

/// Bodies that look like the Messages API's, and what AWS says of each.
fn refused_bodies() -> Vec<(String, &'static str)> {
    let image = json!([{ "role": "user", "content": [
        { "type": "image", "source": { "type": "url", "url": "http://127.0.0.1/" } },
    ] }]);
    let scoped = json!([{ "type": "text", "text": "x", "cache_control":
        { "type": "ephemeral", "scope": "global" } }]);
    vec![
        (
            with("model", json!("x")),
            "extraneous key [model] is not permitted",
        ),
        (
            with("stream", json!(true)),
            "extraneous key [stream] is not permitted",
        ),
        (
            with("service_tier", json!("auto")),
            "extraneous key [service_tier] is not permitted",
        ),
        (
            with("anthropic_beta", json!(["claude-code-20250219"])),
            "invalid beta flag",
        ),
        (
            with("anthropic_beta", json!("effort-2025-11-24")),
            "expected type: JSONArray",
        ),
        (
            with("anthropic_version", json!("2023-06-01")),
            "#/anthropic_version",
        ),
        (
            with("anthropic_version", json!("2026-10-21")),
            "#/anthropic_version",
        ),
        (
            with(
                "tools",
                json!([{ "type": "web_search_20250305", "name": "w" }]),
            ),
            "tools.0:",
        ),
        (
            with("messages", image),
            "messages.0.content.0.image.source: URL sources",
        ),
        (
            with("system", scoped),
            "system.0.cache_control.ephemeral.scope: Extra inputs",
        ),
        (
            VALID.replace(r#""anthropic_version":"bedrock-2023-05-31","#, ""),
            "required key [anthropic_version]",
        ),
        ("{".to_owned(), "Malformed input request"),
        (
            VALID.replacen('{', r#"{"max_tokens":1,"#, 1),
            "Duplicate key \"max_tokens\"",
        ),
    ]
}

#[tokio::test]
async fn bedrock_refuses_what_is_still_the_messages_api() {
    let sim = sim(Dialect::Bedrock(Aws::default())).await;
    for (body, said) in refused_bodies() {
        let answer = invoke(&sim, INVOKE, &body).await;
        assert_eq!(answer.status(), 400, "{body}");
        assert_eq!(
            answer.header("x-amzn-errortype"),
            Some("ValidationException")
        );
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(said), "{message}");
        assert!(
            message.contains("111122223333"),
            "an account to be found: {message}"
        );
    }
}

#[tokio::test]
async fn bedrock_takes_known_betas_and_the_version_of_newer_models() {
    let sim = sim(Dialect::Bedrock(Aws::default())).await;
    let good = [
        with(
            "anthropic_beta",
            json!([
                "interleaved-thinking-2025-05-14",
                "tool-search-tool-2025-10-19"
            ]),
        ),
        with("tools", json!([{ "name": "Bash", "input_schema": {} }])),
    ];
    for body in good {
        assert_eq!(invoke(&sim, INVOKE, &body).await.status(), 200, "{body}");
    }
    let newer = "/model/global.anthropic.claude-opus-5-5/invoke";
    let body = with("anthropic_version", json!("2026-10-21"));
    assert_eq!(invoke(&sim, newer, &body).await.status(), 200);
}

#[tokio::test]
async fn bedrock_takes_a_model_as_one_encoded_segment() {
    let sim = sim(Dialect::Bedrock(Aws::default())).await;
    let arn = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile";
    let cases = [
        (format!("/model/{arn}%2Fabc/invoke"), 200),
        (
            "/model/anthropic.claude-opus-5-5%3A0/invoke".to_owned(),
            200,
        ),
        (format!("/model/{arn}/abc/invoke"), 404),
        ("/model//invoke".to_owned(), 400),
        ("/model/./invoke".to_owned(), 400),
        ("/model/%2E%2E/invoke".to_owned(), 400),
        ("/model/claude-opus-5-5/invoke".to_owned(), 400),
        ("/model/us.anthropic.claude%252Fx/invoke".to_owned(), 400),
        ("/v1/messages".to_owned(), 404),
    ];
    for (path, status) in cases {
        assert_eq!(invoke(&sim, &path, VALID).await.status(), status, "{path}");
    }
}

#[tokio::test]
async fn bedrock_counts_tokens_of_base_models_and_limits_bodies() {
    let sim = sim(Dialect::Bedrock(Aws {
        max_body_bytes: 1000,
        ..Aws::default()
    }))
    .await;
    // {"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"messages":[]}
    let encoded = "eyJhbnRocm9waWNfdmVyc2lvbiI6ImJlZHJvY2stMjAyMy0wNS0zMSIsIm1heF90b2tlbnMiOjEsIm1lc3NhZ2VzIjpbXX0=";
    let body = json!({ "input": { "invokeModel": { "body": encoded } } }).to_string();
    let count = "/model/anthropic.claude-opus-5-5/count-tokens";
    let answer = invoke(&sim, count, &body).await;
    assert_eq!(
        (answer.status(), answer.json()),
        (200, json!({ "inputTokens": 17 }))
    );
    let profile = "/model/us.anthropic.claude-opus-5-5/count-tokens";
    assert_eq!(invoke(&sim, profile, &body).await.status(), 400);
    assert_eq!(invoke(&sim, count, VALID).await.status(), 400);
    let long = VALID.replace("hi", &"x".repeat(1000));
    assert_eq!(invoke(&sim, INVOKE, &long).await.status(), 413);
}

#[tokio::test]
async fn bedrock_wants_a_signature_or_a_good_bearer() {
    let sim = Sim::builder()
        .dialect(Dialect::Bedrock(Aws::default()))
        .accept_keys(["good"])
        .start()
        .await
        .unwrap();
    let old = "x-amz-date: 20150830T123600Z\r\nauthorization: AWS4-HMAC-SHA256 \
               Credential=AKIDSIMEXAMPLE/20150830/us-east-1/bedrock/aws4_request, \
               SignedHeaders=host;x-amz-date, Signature=00\r\n";
    let cases = [
        ("", "MissingAuthenticationTokenException"),
        ("x-api-key: good\r\n", "MissingAuthenticationTokenException"),
        ("authorization: Bearer bad\r\n", "AccessDeniedException"),
        (old, "InvalidSignatureException"),
    ];
    for (headers, exception) in cases {
        let answer = send(&sim, &request("POST", INVOKE, headers, VALID)).await;
        assert_eq!(answer.status(), 403, "{headers}");
        assert_eq!(answer.header("x-amzn-errortype"), Some(exception));
    }
    let good = request("POST", INVOKE, "authorization: Bearer good\r\n", VALID);
    assert_eq!(send(&sim, &good).await.status(), 200);
    sim.revoke_key("good");
    assert_eq!(send(&sim, &good).await.status(), 403);
}

#[tokio::test]
async fn bedrock_words_a_scripted_error_as_aws_does() {
    let sim = sim(Dialect::Bedrock(Aws::default())).await;
    sim.push(Script::preset("overloaded").unwrap());
    let answer = invoke(&sim, STREAM, VALID).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(
        answer.header("x-amzn-errortype"),
        Some("ServiceUnavailableException")
    );
    sim.push(Script::error(429, "ModelNotReadyException", "wait"));
    let answer = invoke(&sim, STREAM, VALID).await;
    assert_eq!(
        answer.header("x-amzn-errortype"),
        Some("ModelNotReadyException")
    );
    assert_eq!(
        answer.json()["message"].as_str().unwrap().split(' ').next(),
        Some("wait")
    );
}

const MESSAGES: &str =
    r#"{"model":"anthropic.claude-opus-5-5","stream":true,"max_tokens":9,"messages":[]}"#;
const VERSIONED: &str = "anthropic-version: 2023-06-01\r\nx-api-key: fake\r\n";

#[tokio::test]
async fn mantle_is_the_messages_api_with_prefixed_models() {
    let sim = sim(Dialect::Mantle(Aws::default())).await;
    let path = "/anthropic/v1/messages";
    let answer = send(&sim, &request("POST", path, VERSIONED, MESSAGES)).await;
    assert_eq!(events(&answer.text()).len(), 9, "pings stay");
    assert!(answer.header("x-amzn-requestid").is_some());
    let bare = MESSAGES.replace("anthropic.claude", "claude");
    let cases = [
        (path, VERSIONED, bare.as_str(), 404, "not_found_error"),
        (
            path,
            "x-api-key: fake\r\n",
            MESSAGES,
            400,
            "invalid_request_error",
        ),
        (
            path,
            "anthropic-version: 2023-06-01\r\n",
            MESSAGES,
            401,
            "authentication_error",
        ),
        ("/v1/messages", VERSIONED, MESSAGES, 404, "not_found_error"),
        (INVOKE, VERSIONED, VALID, 404, "not_found_error"),
    ];
    for (path, headers, body, status, kind) in cases {
        let answer = send(&sim, &request("POST", path, headers, body)).await;
        assert_eq!(answer.status(), status, "{path} {headers}");
        assert_eq!(answer.json()["error"]["type"], kind);
    }
    let count = format!("{path}/count_tokens");
    let answer = send(&sim, &request("POST", &count, VERSIONED, MESSAGES)).await;
    assert_eq!(answer.json()["input_tokens"], MESSAGES.len() / 4);
}

const VERTEX: &str =
    "/v1/projects/relay-sim-project/locations/europe-west1/publishers/anthropic/models";

#[tokio::test]
async fn vertex_takes_the_model_in_the_path_and_the_stream_in_the_body() {
    let sim = sim(Dialect::Vertex(Vertex::default())).await;
    let body = |stream: bool| {
        json!({ "anthropic_version": "vertex-2023-10-16", "stream": stream, "max_tokens": 9,
            "messages": [] })
    };
    let path = |verb: &str| format!("{VERTEX}/claude-sonnet-4-5@20250929:{verb}");
    let streamed = invoke(&sim, &path("streamRawPredict"), &body(true).to_string()).await;
    assert_eq!(
        events(&streamed.text())[0].1["message"]["model"],
        "claude-sonnet-4-5"
    );
    let plain = invoke(&sim, &path("rawPredict"), &body(false).to_string()).await;
    assert_eq!(plain.json()["type"], "message");
    let with = |field: &str, value: Value| {
        let mut body = body(true);
        body[field] = value;
        body.to_string()
    };
    let refused = [
        (
            with("model", json!("x")),
            "model: Extra inputs are not permitted",
        ),
        (
            with("anthropic_version", json!("2023-06-01")),
            "anthropic_version: Input should be",
        ),
        (with("stream", json!(false)), "stream:"),
    ];
    for (body, said) in refused {
        let answer = invoke(&sim, &path("streamRawPredict"), &body).await;
        assert_eq!(answer.status(), 400);
        assert_eq!(
            answer.json()["type"],
            "error",
            "the model's refusals are Anthropic's"
        );
        assert!(answer.text().contains(said), "{}", answer.text());
    }
}

#[tokio::test]
async fn vertex_takes_betas_in_the_header_and_counts_at_a_path_of_its_own() {
    let sim = sim(Dialect::Vertex(Vertex::default())).await;
    let body = json!({ "anthropic_version": "vertex-2023-10-16", "max_tokens": 9, "messages": [] });
    let body = body.to_string();
    let path = |verb: &str| format!("{VERTEX}/claude-opus-5-5:{verb}");
    let beta = format!(
        "{BEARER}anthropic-beta: interleaved-thinking-2025-05-14, structured-outputs-2025-11-13\r\n"
    );
    let answer = send(&sim, &request("POST", &path("rawPredict"), &beta, &body)).await;
    assert!(
        answer
            .text()
            .contains("Unexpected value(s) `structured-outputs-2025-11-13`")
    );
    let counted = json!({ "anthropic_version": "vertex-2023-10-16", "model": "claude-opus-5-5",
        "messages": [] });
    let count = format!("{VERTEX}/count-tokens:rawPredict");
    let answer = invoke(&sim, &count, &counted.to_string()).await;
    assert!(answer.json()["input_tokens"].is_u64());
    assert_eq!(invoke(&sim, &path("predict"), &body).await.status(), 404);
}

#[tokio::test]
async fn vertex_tokens_can_be_revoked_and_errors_are_googles() {
    let sim = Sim::builder()
        .dialect(Dialect::Vertex(Vertex::default()))
        .accept_keys(["ya29.first"])
        .judge_keys(|token| token.starts_with("ya29."))
        .start()
        .await
        .unwrap();
    let body =
        r#"{"anthropic_version":"vertex-2023-10-16","stream":true,"max_tokens":9,"messages":[]}"#;
    let path = format!("{VERTEX}/claude-opus-5-5:streamRawPredict");
    let with = |token: &str| {
        request(
            "POST",
            &path,
            &format!("authorization: Bearer {token}\r\n"),
            body,
        )
    };
    assert_eq!(send(&sim, &with("ya29.first")).await.status(), 200);
    sim.revoke_key("ya29.first");
    let answer = send(&sim, &with("ya29.first")).await;
    assert_eq!(answer.status(), 401);
    assert_eq!(
        answer.json()[0]["error"]["status"],
        "UNAUTHENTICATED",
        "an array of one"
    );
    sim.accept_key("ya29.second");
    assert_eq!(send(&sim, &with("ya29.second")).await.status(), 200);
    sim.accept_key("other");
    assert_eq!(
        send(&sim, &with("other")).await.status(),
        401,
        "the closure has the last word"
    );

    sim.push(Script::preset("rate_limited").unwrap());
    let answer = send(&sim, &with("ya29.second")).await;
    let error = &answer.json()[0]["error"];
    assert_eq!(
        (&error["code"], &error["status"]),
        (&json!(429), &json!("RESOURCE_EXHAUSTED"))
    );
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("projects/relay-sim-project")
    );
    let elsewhere = with("ya29.second").replace("relay-sim-project", "another");
    assert_eq!(
        send(&sim, &elsewhere).await.json()[0]["error"]["status"],
        "PERMISSION_DENIED"
    );
    let plain = with("ya29.second").replace(":streamRawPredict", ":rawPredict");
    sim.push(Script::preset("overloaded").unwrap());
    let plain = plain.replace(r#""stream":true"#, r#""stream":null"#);
    assert_eq!(
        send(&sim, &plain).await.json()["error"]["status"],
        "UNAVAILABLE"
    );
}

#[tokio::test]
async fn foundry_is_the_messages_api_behind_azures_gateway() {
    let deployments = vec!["my-opus".to_owned()];
    let sim = Sim::builder()
        .dialect(Dialect::Foundry(Foundry { deployments }))
        .accept_keys(["fake"])
        .start()
        .await
        .unwrap();
    let body = r#"{"model":"my-opus","max_tokens":9,"messages":[]}"#;
    let path = "/anthropic/v1/messages";
    let version = "anthropic-version: 2023-06-01\r\n";
    for credential in [
        "x-api-key: fake",
        "api-key: fake",
        "authorization: Bearer fake",
    ] {
        let headers = format!("{version}{credential}\r\n");
        let answer = send(&sim, &request("POST", path, &headers, body)).await;
        assert_eq!(answer.status(), 200, "{credential}");
        assert!(answer.header("apim-request-id").is_some());
    }
    let key = format!("{version}api-key: fake\r\n");
    let other = body.replace("my-opus", "claude-opus-5-5");
    let answer = send(&sim, &request("POST", path, &key, &other)).await;
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.json()["error"]["code"], "DeploymentNotFound");
    let wrong = format!("{version}api-key: wrong\r\n");
    let answer = send(&sim, &request("POST", path, &wrong, body)).await;
    assert_eq!(
        (answer.status(), answer.json()["error"]["code"].clone()),
        (401, json!("401"))
    );
    let answer = send(&sim, &request("POST", path, version, body)).await;
    assert_eq!(answer.json()["statusCode"], 401);
    let answer = send(&sim, &request("POST", path, "api-key: fake\r\n", body)).await;
    assert_eq!(answer.status(), 400, "the version header is required");
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    sim.push(Script::preset("rate_limited").unwrap());
    let answer = send(&sim, &request("POST", path, &key, body)).await;
    assert_eq!(answer.json()["error"]["code"], "RateLimitReached");
    assert_eq!(
        send(&sim, &request("GET", "/anthropic/v1/models", &key, ""))
            .await
            .status(),
        404
    );
}

#[tokio::test]
async fn an_answer_before_the_body_is_framed_by_the_path() {
    let bedrock = sim(Dialect::Bedrock(Aws::default())).await;
    bedrock.push(Script::text("early").before_body());
    let answer = invoke(&bedrock, STREAM, "not judged").await;
    assert_eq!(frames(&answer.body).0.len(), 6);
    let vertex = sim(Dialect::Vertex(Vertex::default())).await;
    vertex.push(Script::preset("rate_limited").unwrap().before_body());
    let path = format!("{VERTEX}/claude-opus-5-5:streamRawPredict");
    let answer = invoke(&vertex, &path, "not judged").await;
    assert_eq!(answer.json()[0]["error"]["status"], "RESOURCE_EXHAUSTED");
}

#[tokio::test]
async fn a_clouds_keys_belong_to_accounts() {
    let account = "org/workspace:1,100000,100000".parse().unwrap();
    let sim = Sim::builder()
        .dialect(Dialect::Foundry(Foundry::default()))
        .account("limited", account)
        .start()
        .await
        .unwrap();
    let body = r#"{"model":"my-opus","max_tokens":9,"messages":[]}"#;
    let headers = "anthropic-version: 2023-06-01\r\napi-key: limited\r\n";
    let asked = request("POST", "/anthropic/v1/messages", headers, body);
    assert_eq!(send(&sim, &asked).await.status(), 200);
    let answer = send(&sim, &asked).await;
    assert_eq!(answer.json()["error"]["code"], "RateLimitReached");
    assert!(answer.header("retry-after").is_some());
    assert!(!answer.head.contains("anthropic-ratelimit"));
}

#[tokio::test]
async fn bedrock_bills_by_the_prompt_cache_too() {
    let account: relay_sim::Account = "org/workspace:2,100000,100000".parse().unwrap();
    let aws = Aws::default();
    let sim = Sim::builder()
        .dialect(Dialect::Bedrock(aws))
        .account("fake", account)
        .start()
        .await
        .unwrap();
    let long = json!([{ "type": "text", "text": "x".repeat(40_000),
        "cache_control": { "type": "ephemeral" } }]);
    let body = with("system", long);
    let newer = "/model/global.anthropic.claude-opus-5-5/invoke";
    let count =
        |answer: &Answer, name: &str| -> u64 { answer.header(name).unwrap().parse().unwrap() };
    let first = invoke(&sim, newer, &body).await;
    let written = count(&first, "x-amzn-bedrock-cache-write-input-token-count");
    assert!(written > 9_000);
    let second = invoke(&sim, newer, &body).await;
    let read = count(&second, "x-amzn-bedrock-cache-read-input-token-count");
    assert_eq!(read, written);
    let third = invoke(&sim, newer, &body).await;
    assert_eq!(
        third.header("x-amzn-errortype"),
        Some("ThrottlingException")
    );
    assert_eq!(third.header("retry-after"), None, "AWS does not say");
}
