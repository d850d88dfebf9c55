//! Healthy and scripted answers over HTTP/1.1 and TLS. In: scripts; out: assertions on exact bytes.
//! Must never need a port of its own.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use relay_sim::{Block, Encoding, Outcome, Script, Sim, Split, Usage};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::raw::{Ended, PATIENCE, PLAIN, STREAM, connect, events, messages, post, read, send};

async fn sim() -> Sim {
    Sim::builder().start().await.unwrap()
}

fn names(text: &str) -> Vec<String> {
    events(text).into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn text_streams_the_whole_grammar() {
    let sim = sim().await;
    sim.push(Script::text("hello big world"));
    let answer = messages(&sim, STREAM).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert!(answer.header("request-id").unwrap().starts_with("req_"));
    let delta = "content_block_delta";
    assert_eq!(
        names(&answer.text()),
        [
            "message_start",
            "ping",
            "content_block_start",
            delta,
            delta,
            delta,
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    let said = events(&answer.text());
    assert_eq!(said[0].1["message"]["model"], "claude-opus-5-5");
    assert_eq!(said[0].1["message"]["usage"]["input_tokens"], 12);
    assert_eq!(
        said[4].1["delta"],
        json!({ "type": "text_delta", "text": "big " })
    );
    assert_eq!(said[7].1["delta"]["stop_reason"], "end_turn");
    assert_eq!(answer.chunks.len(), 9, "one write an event");
    let request = &sim.requests()[0];
    assert_eq!(request.path_and_query, "/v1/messages?beta=true");
    assert_eq!(request.outcome(), Outcome::Complete);
    assert_eq!(request.json()["stream"], true);
    assert_eq!(sim.stats().events_sent, 9);
}

#[tokio::test]
async fn json_answer_holds_blocks_usage_and_overrides() {
    let sim = sim().await;
    let usage = Usage {
        input_tokens: 1,
        cache_creation_5m_input_tokens: 2,
        cache_creation_1h_input_tokens: 3,
        cache_read_input_tokens: 4,
        output_tokens: 5,
    };
    let blocks = vec![
        Block::thinking("deep", "c2ln"),
        Block::RedactedThinking {
            data: "eA".to_owned(),
        },
        Block::text("so: "),
        Block::tool_use("Bash", json!({ "command": "echo hi" })),
    ];
    let script = Script::sequence(blocks)
        .usage(usage)
        .model("claude-x")
        .repeat_delta(3, "ab");
    sim.set_default(script.clone().stop_reason("max_tokens"));
    let message = messages(&sim, PLAIN).await.json();
    assert_eq!(message["model"], "claude-x");
    assert_eq!(message["stop_reason"], "max_tokens");
    assert_eq!(message["content"][2]["text"], "so: ababab");
    assert_eq!(message["content"][3]["input"]["command"], "echo hi");
    assert!(
        message["content"][3]["id"]
            .as_str()
            .unwrap()
            .starts_with("toolu_01")
    );
    assert_eq!(message["usage"]["cache_creation_input_tokens"], 5);
    assert_eq!(
        message["usage"]["cache_creation"]["ephemeral_1h_input_tokens"],
        3
    );
    assert_eq!(message["usage"]["output_tokens"], 5);

    // The stream of the same script says the same.
    sim.set_default(script);
    let said = events(&messages(&sim, STREAM).await.text());
    let mut texts = [const { String::new() }; 4];
    for (name, data) in &said {
        if name == "content_block_delta" {
            let delta = &data["delta"];
            let index = usize::try_from(data["index"].as_u64().unwrap()).unwrap();
            for key in ["text", "thinking", "signature", "partial_json"] {
                texts[index].push_str(delta[key].as_str().unwrap_or_default());
            }
        }
    }
    assert_eq!(
        texts,
        ["deepc2ln", "", "so: ababab", r#"{"command":"echo hi"}"#]
    );
    let last = &said[said.len() - 2].1;
    assert_eq!(last["delta"]["stop_reason"], "tool_use");
    assert_eq!(last["usage"]["cache_read_input_tokens"], 4);
}

#[tokio::test]
async fn queue_comes_before_default_and_route_before_both() {
    let sim = sim().await;
    sim.set_default(Script::json(200, json!("default")));
    sim.push(Script::json(200, json!("first")));
    sim.push(Script::json(200, json!("second")));
    let routed = post("/v1/messages", r#"{"model":"routed"}"#);
    sim.route(|request| {
        (request.json()["model"] == "routed").then(|| Script::json(418, json!("routed")))
    });
    assert_eq!(messages(&sim, PLAIN).await.json(), "first");
    assert_eq!(send(&sim, &routed).await.status(), 418);
    assert_eq!(messages(&sim, PLAIN).await.json(), "second");
    assert_eq!(messages(&sim, PLAIN).await.json(), "default");
    assert_eq!(sim.take_requests().len(), 4);
    assert!(sim.requests().is_empty());
}

#[tokio::test]
async fn raw_sse_is_exact_and_each_element_one_write() {
    let sim = sim().await;
    let writes = [&b": hi\n"[..], b"data: \xff\xc3", b"\xa9\n\n"].map(Bytes::from_static);
    sim.push(Script::raw_sse(writes.to_vec()));
    let answer = messages(&sim, PLAIN).await;
    assert_eq!(answer.body, writes.concat());
    assert_eq!(answer.chunks, [5, 8, 3]);
}

#[tokio::test]
async fn splits_cut_where_they_say_and_lose_nothing() {
    let sim = sim().await;
    let script = Script::text("hello world").model("m");
    sim.push(script.clone().split(Split::Whole));
    let whole = messages(&sim, STREAM).await;
    assert_eq!(whole.chunks.len(), 1);
    let total = whole.body.len();
    let cases = [
        (Split::EachByte, vec![1; total]),
        (Split::At(7), vec![7, total - 7]),
        (Split::At(0), vec![total]),
        (Split::Chunk(total - 1), vec![total - 1, 1]),
        (Split::Chunk(total), vec![total]),
    ];
    for (split, chunks) in cases {
        sim.push(script.clone().split(split));
        let before = sim.stats().events_sent;
        let answer = messages(&sim, STREAM).await;
        assert_eq!(answer.chunks, chunks, "{split:?}");
        assert_eq!(answer.body.len(), total, "{split:?}");
        assert_eq!(sim.stats().events_sent - before, 8, "{split:?}");
    }
}

#[tokio::test]
async fn compression_is_readable_after_every_event() {
    let sim = sim().await;
    sim.push(Script::text("hello world").encoding(Encoding::Gzip));
    let answer = messages(&sim, STREAM).await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&answer.body[..])
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(names(&text).last().unwrap(), "message_stop");
    // What came first decodes on its own, as far as it goes.
    let mut first = Vec::new();
    let mut decoder = flate2::write::GzDecoder::new(&mut first);
    std::io::Write::write_all(&mut decoder, &answer.body[..answer.chunks[0]]).unwrap();
    std::io::Write::flush(&mut decoder).unwrap();
    drop(decoder);
    assert_eq!(names(&String::from_utf8(first).unwrap()), ["message_start"]);

    sim.push(Script::text("hello").encoding(Encoding::Deflate));
    let answer = messages(&sim, PLAIN).await;
    assert_eq!(answer.header("content-encoding"), Some("deflate"));
    let mut text = String::new();
    flate2::read::ZlibDecoder::new(&answer.body[..])
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.contains(r#""text":"hello""#));
    sim.push(Script::text("hello").encoding(Encoding::Deflate));
    let body = messages(&sim, STREAM).await.body;
    let mut text = String::new();
    flate2::read::ZlibDecoder::new(&body[..])
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(names(&text).len(), 7);
}

#[tokio::test]
async fn headers_are_recorded_in_order_with_case_and_repeats() {
    let sim = sim().await;
    let request = format!(
        "POST http://host/x/v1/messages?a=b HTTP/1.1\r\nHost: sim\r\nX-B: 1\r\nAuthorization: Bearer t\r\nx-b:  2 \r\nX-Raw: \u{e9}\r\nContent-Length: {}\r\n\r\n{PLAIN}",
        PLAIN.len()
    );
    sim.push(
        Script::text("x")
            .header("set-cookie", "a")
            .header("set-cookie", "b"),
    );
    let answer = send(&sim, &request).await;
    assert_eq!(answer.headers("set-cookie"), ["a", "b"]);
    let recorded = &sim.requests()[0];
    let names: Vec<&str> = recorded
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "Host",
            "X-B",
            "Authorization",
            "x-b",
            "X-Raw",
            "Content-Length"
        ]
    );
    assert_eq!(recorded.header_all("x-B"), ["1", "2"]);
    assert_eq!(recorded.path_and_query, "/x/v1/messages?a=b");
    assert_eq!(recorded.path(), "/x/v1/messages");
    assert_eq!(recorded.body, PLAIN);
    assert_eq!((recorded.connection, recorded.tls), (1, false));
}

#[tokio::test]
async fn keep_alive_pipelining_chunked_upload_and_continue() {
    let sim = sim().await;
    let mut stream = connect(&sim).await;
    let twice = post("/v1/messages", PLAIN).repeat(2);
    stream.write_all(twice.as_bytes()).await.unwrap();
    read(&mut stream).await;
    let chunked = "POST /v1/messages HTTP/1.1\r\nx-api-key: k\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n5;x=y\r\n{\"str\r\n0C\r\neam\":true}  \r\n0\r\nt: 1\r\n\r\n";
    // The second pipelined answer may already have been read with the first: use a fresh socket.
    let mut other = connect(&sim).await;
    other.write_all(chunked.as_bytes()).await.unwrap();
    let mut interim = [0_u8; 25];
    tokio::io::AsyncReadExt::read_exact(&mut other, &mut interim)
        .await
        .unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    let answer = read(&mut other).await;
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    sim.wait_for(|stats| stats.requests == 3, PATIENCE)
        .await
        .unwrap();
    assert_eq!(sim.requests().last().unwrap().json()["stream"], true);
    // Close is honoured, HTTP/1.0 closes unless asked.
    other.write_all(b"HEAD / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut other, &mut rest)
        .await
        .unwrap();
    let text = String::from_utf8(rest).unwrap();
    assert!(
        text.contains("connection: close") && text.ends_with("\r\n\r\n"),
        "{text}"
    );
}

#[tokio::test]
async fn other_endpoints_answer_in_shape() {
    let sim = Sim::builder()
        .accept_keys(["sk-ant-fake"])
        .start()
        .await
        .unwrap();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nx-api-key: sk-ant-fake\r\n\r\n");
    let page = send(&sim, &get("/p/v1/models?limit=2")).await.json();
    assert_eq!(page["data"].as_array().unwrap().len(), 2);
    assert_eq!(page["has_more"], true);
    assert_eq!(page["first_id"], "claude-opus-5-5");
    let rest = send(&sim, &get("/v1/models?after_id=claude-sonnet-5-5"))
        .await
        .json();
    assert_eq!(
        (&rest["last_id"], &rest["has_more"]),
        (&json!("claude-haiku-5-5"), &json!(false))
    );
    assert_eq!(send(&sim, &get("/v1/models?limit=0")).await.status(), 400);
    let one = send(&sim, &get("/v1/models/claude-haiku-5-5")).await.json();
    assert_eq!(one["display_name"], "Claude Haiku 5 5");
    assert_eq!(send(&sim, &get("/v1/models/gpt")).await.status(), 404);
    assert_eq!(send(&sim, &get("/")).await.status(), 200);
    assert_eq!(send(&sim, &get("/nowhere")).await.status(), 404);
    let count = send(
        &sim,
        &post("/v1/messages/count_tokens?beta=true", &"x".repeat(400)),
    )
    .await;
    assert_eq!(count.json(), json!({ "input_tokens": 100 }));

    let refused = send(&sim, "GET /v1/models HTTP/1.1\r\n\r\n").await;
    assert_eq!(
        (refused.status(), &refused.json()["error"]["type"]),
        (401, &json!("authentication_error"))
    );
    assert_eq!(
        refused.json()["request_id"],
        refused.header("request-id").unwrap()
    );
    let wrong = "GET /v1/models HTTP/1.1\r\nauthorization: Bearer other\r\n\r\n";
    assert_eq!(send(&sim, wrong).await.status(), 401);
    let right = "GET /v1/models HTTP/1.1\r\nauthorization: bearer sk-ant-fake\r\n\r\n";
    assert_eq!(send(&sim, right).await.status(), 200);
}

#[tokio::test]
async fn uploads_elsewhere_are_hashed_and_not_kept() {
    let sim = Sim::builder()
        .require_credential(false)
        .start()
        .await
        .unwrap();
    let mut stream = connect(&sim).await;
    let (piece, times) = (vec![b'a'; 1 << 20], 70);
    let head = format!(
        "POST /v1/files HTTP/1.1\r\ncontent-length: {}\r\n\r\n",
        times << 20
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..times {
        stream.write_all(&piece).await.unwrap();
    }
    let echo = read(&mut stream).await.json();
    assert_eq!(echo["bytes"], times << 20);
    let recorded = &sim.requests()[0];
    assert_eq!((recorded.body.len(), recorded.body_bytes), (0, times << 20));
    assert_eq!(echo["sha256"], recorded.body_sha256());
    let small = send(&sim, &post("/v1/files", "abc")).await.json();
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(small["sha256"], abc);
}

/// Beginnings of the presets that are not Anthropic's.
const OTHERS: [&str; 12] = [
    "bedrock_",
    "deepseek_",
    "foundry_",
    "kimi_",
    "llamacpp_",
    "lmstudio_",
    "minimax_",
    "ollama_",
    "openrouter_",
    "vertex_",
    "vllm_",
    "zai_",
];

#[tokio::test]
async fn every_preset_is_well_formed() {
    let sim = sim().await;
    for name in Script::presets() {
        sim.push(Script::preset(name).unwrap());
        let answer = messages(&sim, PLAIN).await;
        assert_eq!(answer.ended, Ended::Framed, "{name}");
        if name.ends_with("_html") {
            assert!(answer.text().starts_with("<html>"), "{name}");
            assert_eq!(answer.header("request-id"), None, "{name}");
        } else if OTHERS.iter().any(|provider| name.starts_with(provider)) {
            answer.json();
            assert_eq!(answer.header("request-id"), None, "{name}");
        } else {
            let body = answer.json();
            let failed = answer.status() != 200;
            assert_eq!(body["type"] == "error", failed, "{name}");
            assert!(!failed || body["request_id"] == answer.header("request-id").unwrap());
        }
        for (digits, status) in [("_4", 400..500), ("_5", 500..600)] {
            assert!(
                !name.contains(digits) || status.contains(&answer.status()),
                "{name}"
            );
        }
    }
    assert!(Script::preset("nonsense").is_none());
    sim.push(Script::preset("rate_limited").unwrap());
    let limited = messages(&sim, PLAIN).await;
    assert_eq!(
        (limited.status(), limited.header("retry-after")),
        (429, Some("7"))
    );
    assert_eq!(
        limited.header("anthropic-ratelimit-requests-remaining"),
        Some("0")
    );
    sim.push(Script::preset("rate_limited_no_hint").unwrap());
    let bare = messages(&sim, PLAIN).await;
    assert_eq!(bare.header("retry-after"), None);
    assert!(!bare.head.contains("anthropic-ratelimit"));
    sim.push(Script::preset("enforced_spend_limit").unwrap());
    let spent = messages(&sim, PLAIN).await.json();
    assert_eq!(
        spent["error"]["details"]["error_code"],
        "enforced_spend_limit_reached"
    );
}

#[tokio::test]
async fn delays_wait_on_the_clock() {
    let sim = sim().await;
    let pause = Duration::from_millis(30);
    sim.push(Script::text("hi").delay_head(pause).event_gap(pause));
    let answer = messages(&sim, STREAM).await;
    assert_eq!(answer.chunks.len(), 7);
    let recorded = &sim.requests()[0];
    assert!(recorded.ended_at().unwrap() >= recorded.at + pause * 7);
}

#[tokio::test]
async fn tls_serves_a_certificate_of_its_own_authority() {
    let sim = Sim::builder().tls(true).start().await.unwrap();
    assert!(sim.base_url().starts_with("https://127.0.0.1:"));
    let mut stream = crate::http2::tls_connect(&sim, b"http/1.1").await;
    stream
        .write_all(post("/v1/messages", STREAM).as_bytes())
        .await
        .unwrap();
    let answer = read(&mut stream).await;
    assert_eq!(names(&answer.text()).last().unwrap(), "message_stop");
    let recorded = &sim.requests()[0];
    assert_eq!(
        (recorded.tls, recorded.alpn.as_deref()),
        (true, Some("http/1.1"))
    );
    assert!(Sim::builder().start().await.unwrap().ca_pem().is_none());
    drop(Arc::new(sim));
}

#[tokio::test]
async fn stop_ends_idle_connections_and_lets_running_ones_finish() {
    let sim = sim().await;
    let mut idle = connect(&sim).await;
    sim.push(Script::text("slow").event_gap(Duration::from_millis(20)));
    let mut running = connect(&sim).await;
    running
        .write_all(post("/v1/messages", STREAM).as_bytes())
        .await
        .unwrap();
    sim.wait_for(|s| s.events_sent > 0 && s.connections_open == 2, PATIENCE)
        .await
        .unwrap();
    let (answer, ()) = tokio::join!(read(&mut running), sim.stop());
    assert_eq!(answer.ended, Ended::Framed);
    let mut rest = Vec::new();
    assert_eq!(
        tokio::io::AsyncReadExt::read_to_end(&mut idle, &mut rest)
            .await
            .unwrap(),
        0
    );
    assert_eq!(sim.stats().connections_open, 0);
    assert!(tokio::net::TcpStream::connect(sim.addr()).await.is_err());
}

#[tokio::test]
async fn kill_resets_everything_and_blames_no_client() {
    let sim = sim().await;
    sim.set_default(Script::text("x").fault(relay_sim::Fault::StallAfterEvents(2)));
    let mut stream = connect(&sim).await;
    stream
        .write_all(post("/v1/messages", STREAM).as_bytes())
        .await
        .unwrap();
    sim.wait_for(|stats| stats.events_sent == 2, PATIENCE)
        .await
        .unwrap();
    sim.kill();
    let answer = read(&mut stream).await;
    assert_eq!(answer.ended, Ended::Reset);
    sim.closed().await;
    assert_eq!(sim.requests()[0].outcome(), Outcome::Aborted);
    assert_eq!(sim.stats().client_gone, 0);
}

#[tokio::test]
async fn stop_does_not_wait_for_ever_for_a_stall() {
    let sim = sim().await;
    sim.push(Script::text("x").fault(relay_sim::Fault::StallBeforeHead));
    let mut stream = connect(&sim).await;
    stream
        .write_all(post("/v1/messages", STREAM).as_bytes())
        .await
        .unwrap();
    sim.wait_for(|stats| stats.requests == 1, PATIENCE)
        .await
        .unwrap();
    tokio::time::timeout(PATIENCE, sim.stop()).await.unwrap();
    assert_eq!(sim.requests()[0].outcome(), Outcome::Aborted);
}

#[tokio::test]
async fn then_close_ends_the_connection_unannounced() {
    let sim = sim().await;
    sim.push(Script::text("last").then_close());
    let mut stream = connect(&sim).await;
    stream
        .write_all(post("/v1/messages", PLAIN).as_bytes())
        .await
        .unwrap();
    let answer = read(&mut stream).await;
    assert_eq!(
        (answer.ended, answer.header("connection")),
        (Ended::Framed, None)
    );
    let mut rest = Vec::new();
    assert_eq!(
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest)
            .await
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn an_answer_before_the_body_closes_the_connection() {
    let sim = sim().await;
    sim.push(Script::preset("too_large_413_html").unwrap().before_body());
    let mut stream = connect(&sim).await;
    let head = "POST /v1/messages HTTP/1.1\r\nx-api-key: k\r\ncontent-length: 9999999\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read(&mut stream).await;
    assert_eq!(
        (answer.status(), answer.header("connection")),
        (413, Some("close"))
    );
    // What is still on its way is taken without a reset.
    stream.write_all(&vec![b' '; 1 << 20]).await.unwrap();
    let mut rest = Vec::new();
    assert_eq!(
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest)
            .await
            .unwrap(),
        0
    );
    drop(stream);
    sim.wait_for(|stats| stats.connections_open == 0, PATIENCE)
        .await
        .unwrap();
    let requests = sim.requests();
    assert_eq!(
        (requests[0].outcome(), requests[0].body_bytes),
        (Outcome::Complete, 0)
    );
    // As a default it holds for every request; others wait for their turn in the queue.
    sim.set_default(Script::text("early").before_body());
    sim.push(Script::text("late"));
    assert!(messages(&sim, PLAIN).await.text().contains("late"));
    assert_eq!(sim.requests()[1].body, PLAIN);
    assert!(messages(&sim, PLAIN).await.text().contains("early"));
}

#[tokio::test]
async fn what_is_no_http_closes_the_connection() {
    let sim = sim().await;
    for request in [
        "nonsense\r\n\r\n".to_owned(),
        "GET / HTTP/9\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(),
        "POST /v1/messages HTTP/1.1\r\ncontent-length: x\r\n\r\n".to_owned(),
        "POST /v1/messages HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\n", "a".repeat(300 << 10)),
    ] {
        let answer = send(&sim, &request).await;
        assert!(answer.ended != Ended::Framed && answer.head.is_empty());
    }
    assert_eq!(sim.stats().requests, 0);
}

#[tokio::test]
async fn waiting_for_what_never_comes_says_where_it_stands() {
    let sim = sim().await;
    let error = sim
        .wait_for(|stats| stats.requests > 0, Duration::from_millis(1))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("requests: 0"), "{error}");
}

#[tokio::test]
async fn old_records_make_room() {
    let sim = Sim::builder().keep_requests(2).start().await.unwrap();
    for _ in 0..3 {
        messages(&sim, PLAIN).await;
    }
    let ids: Vec<u64> = sim.requests().iter().map(|request| request.id).collect();
    assert_eq!(ids, [2, 3]);
}
