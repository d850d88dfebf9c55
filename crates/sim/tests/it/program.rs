//! The program and its control endpoint. In: flags and control requests; out: what a test in any
//! language would see. Must never stop a process that it did not start.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

use relay_sim::Sim;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::raw::{Answer, Ended, PLAIN, STREAM, events, messages, post, read, send};

struct Program {
    child: Child,
    out: BufReader<ChildStdout>,
    first: String,
}

impl Program {
    fn start(flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cc-relay-sim"))
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        out.read_line(&mut first).unwrap();
        Self { child, out, first }
    }

    fn address(&self) -> SocketAddr {
        let (_, rest) = self.first.split_once("://").unwrap();
        let end = |c: char| !c.is_ascii_digit() && c != '.' && c != ':';
        rest.split(end).next().unwrap().parse().unwrap()
    }

    async fn send(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        read(&mut stream).await
    }

    /// Sends SIGTERM and returns whether the program ended well, with nothing more printed.
    fn stop(mut self) -> bool {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        let success = self.child.wait().unwrap().success();
        let mut more = String::new();
        self.out.read_line(&mut more).unwrap();
        success && more.is_empty()
    }
}

#[tokio::test]
async fn the_program_announces_serves_and_stops_on_sigterm() {
    let program = Program::start(&["--text", "hi", "--events", "3", "--gap", "1ms"]);
    assert!(
        program.first.starts_with("listening on http://127.0.0.1:"),
        "{}",
        program.first
    );
    let answer = program.send(&post("/v1/messages", STREAM)).await;
    assert_eq!(events(&answer.text()).len(), 10);
    assert!(program.stop());
}

#[tokio::test]
async fn flags_reach_the_sim() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (script, record) = (path("script.json"), path("record.jsonl"));
    std::fs::write(
        &script,
        r#"[{"text":"queued","model":"m"},{"preset":"overloaded"}]"#,
    )
    .unwrap();
    let flags = [
        "--json",
        "--script",
        &script,
        "--record",
        &record,
        "--threads",
        "2",
    ];
    let more = [
        "--fault",
        "close-after-events:1",
        "--delay",
        "1ms",
        "--split",
        "each-byte",
    ];
    let program = Program::start(&[&flags[..], &more[..]].concat());
    let first: Value = serde_json::from_str(&program.first).unwrap();
    assert_eq!(first["pid"], program.child.id());
    let request = post("/v1/messages", STREAM);
    assert_eq!(events(&program.send(&request).await.text()).len(), 7);
    assert_eq!(program.send(&request).await.status(), 529);
    assert_eq!(program.send(&request).await.ended, Ended::Fin);
    assert!(program.stop());
    let lines = std::fs::read_to_string(&record).unwrap();
    let lines: Vec<Value> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let ends: Vec<&Value> = lines.iter().map(|line| &line["end"]["outcome"]).collect();
    assert_eq!(ends, ["complete", "complete", "aborted"]);
    assert_eq!(lines[0]["body"], STREAM);
}

#[test]
fn tls_flags_reach_the_sim() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let ca = path("ca.pem");
    let one = path("one.json");
    std::fs::write(&one, r#"{"text":"default"}"#).unwrap();
    let program = Program::start(&[
        "--tls",
        "--ca-out",
        &ca,
        "--no-http2",
        "--script",
        &one,
        "--log",
        "--no-credential",
        "--max-concurrent-streams",
        "9",
        "--keep-requests",
        "1",
        "--accept-key",
        "k",
    ]);
    assert!(program.first.contains("https://"));
    assert!(
        std::fs::read_to_string(&ca)
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
    assert!(program.stop());
}

#[test]
fn wrong_flags_say_what_is_wrong() {
    let run = |flags: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_cc-relay-sim"))
            .args(flags)
            .output()
            .unwrap();
        let (text, error) = (String::from_utf8(out.stdout), String::from_utf8(out.stderr));
        (out.status.success(), text.unwrap(), error.unwrap())
    };
    assert!(
        run(&["--preset", "nonsense"])
            .2
            .contains("there are: text, invalid_request")
    );
    assert!(
        run(&["--fault", "nonsense"])
            .2
            .contains("content-length-short")
    );
    assert!(run(&["--split", "nonsense"]).2.contains("chunk:N"));
    assert!(run(&["--gap", "5h"]).2.contains("write 50ms, 2s or 1m"));
    assert!(
        run(&["--script", "/nonexistent"])
            .2
            .contains("/nonexistent")
    );
    assert!(run(&["--help"]).1.contains("/__sim/requests"));
    let (success, text, _) = run(&["--preset", "list"]);
    assert!(
        success
            && text
                .lines()
                .eq(relay_sim::Script::presets().iter().copied())
    );
}

/// Sends a control request.
async fn call(sim: &Sim, method: &str, path: &str, body: Value) -> (u16, Value) {
    let body = body.to_string();
    let length = body.len();
    let head = format!("{method} /__sim/{path} HTTP/1.1\r\ncontent-length: {length}\r\n\r\n");
    let answer = send(sim, &format!("{head}{body}")).await;
    (answer.status(), answer.json())
}

#[tokio::test]
async fn every_json_form_of_a_script_works() {
    let sim = Sim::builder().start().await.unwrap();
    let scripts = json!([
        { "tool_use": { "name": "Bash", "input": { "command": "echo hi" } }, "stop_reason": "x" },
        { "thinking": { "text": "t", "signature": "s", "answer": "a" }, "usage": { "input_tokens": 9 } },
        { "blocks": [{ "type": "text", "text": "b" }], "repeat_delta": { "times": 2, "text": "r" } },
        { "json": { "a": 1 }, "status": 202, "headers": [["X-A", "1"]], "no_headers": ["request-id"] },
        { "error": { "type": "api_error", "message": "m", "details": { "d": 1 } }, "status": 500 },
        { "raw_sse": ["event: x\n", "\n"], "encoding": "gzip" },
        { "raw": { "content_type": "text/plain", "body": "raw" }, "delay_head_ms": 1, "event_gap_ms": 1 },
        { "text": "z", "split": "chunk:3", "fault": "reset-before-head" },
    ]);
    assert_eq!(
        call(&sim, "POST", "script", scripts).await,
        (200, json!({ "queued": 8 }))
    );
    assert_eq!(messages(&sim, PLAIN).await.json()["stop_reason"], "x");
    assert_eq!(
        messages(&sim, PLAIN).await.json()["usage"]["input_tokens"],
        9
    );
    assert_eq!(
        messages(&sim, PLAIN).await.json()["content"][0]["text"],
        "brr"
    );
    let answer = messages(&sim, PLAIN).await;
    assert_eq!((answer.status(), answer.header("x-a")), (202, Some("1")));
    assert_eq!(answer.header("request-id"), None);
    assert_eq!(
        messages(&sim, PLAIN).await.json()["error"]["details"]["d"],
        1
    );
    assert_eq!(
        messages(&sim, PLAIN).await.header("content-encoding"),
        Some("gzip")
    );
    assert_eq!(messages(&sim, PLAIN).await.text(), "raw");
    assert_eq!(messages(&sim, PLAIN).await.ended, Ended::Reset);
}

#[tokio::test]
async fn the_control_endpoint_drives_a_running_sim() {
    let sim = Sim::builder().start().await.unwrap();
    assert_eq!(
        call(&sim, "POST", "default", json!({ "preset": "auth_401" }))
            .await
            .0,
        200
    );
    assert_eq!(messages(&sim, PLAIN).await.status(), 401);
    let (_, records) = call(&sim, "GET", "requests", Value::Null).await;
    assert_eq!(records.as_array().unwrap().len(), 1);
    assert_eq!(records[0]["body"], PLAIN);
    assert_eq!(records[0]["end"], json!({ "outcome": "complete" }));
    let (_, stats) = call(&sim, "GET", "stats", Value::Null).await;
    let counts = ["requests", "streams_open", "client_gone", "events_sent"];
    assert_eq!(
        counts.map(|name| stats[name].as_u64().unwrap()),
        [1, 0, 0, 1]
    );
    assert_eq!(
        call(&sim, "DELETE", "requests", Value::Null).await.1["deleted"],
        1
    );
    assert!(
        call(&sim, "GET", "presets", Value::Null)
            .await
            .1
            .as_array()
            .unwrap()
            .len()
            > 20
    );
    call(&sim, "POST", "script", json!({ "text": "x" })).await;
    assert_eq!(
        call(&sim, "DELETE", "script", Value::Null).await.1["queued"],
        0
    );
    assert_eq!(call(&sim, "PUT", "script", json!({})).await.0, 404);
}

#[tokio::test]
async fn a_wrong_script_is_refused_whole() {
    let sim = Sim::builder().start().await.unwrap();
    let wrong = [
        json!({ "text": "a", "json": 1 }),
        json!({}),
        json!({ "text": "a", "nonsense": 1 }),
        json!({ "preset": "nonsense" }),
        json!({ "error": { "type": "a", "message": "b" } }),
        json!({ "text": "a", "fault": "nonsense" }),
        json!({ "text": "a", "split": "at:x" }),
        json!([{ "text": "a" }, { "text": 1 }]),
    ];
    for script in wrong {
        assert_eq!(
            call(&sim, "POST", "script", script.clone()).await.0,
            400,
            "{script}"
        );
    }
    assert_eq!(call(&sim, "POST", "default", json!([])).await.0, 400);
    assert_eq!(send(&sim, &post("/__sim/default", "{")).await.status(), 400);
    assert_eq!(call(&sim, "POST", "script", json!([])).await.1["queued"], 0);
}

#[tokio::test]
async fn an_account_is_given_by_flag() {
    let program = Program::start(&["--account", "sk-ant-fake=org/w:0,0,0"]);
    let answer = program.send(&post("/v1/messages", PLAIN)).await;
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.header("anthropic-workspace-id"), Some("w"));
    assert_eq!(answer.header("retry-after"), Some("86400"));
    assert!(program.stop());
}

#[tokio::test]
async fn a_dialect_and_its_settings_are_flags() {
    let vertex = Program::start(&["--dialect", "vertex", "--project", "p", "--no-credential"]);
    let path = "/v1/projects/p/locations/global/publishers/anthropic/models/m:rawPredict";
    let body = r#"{"anthropic_version":"vertex-2023-10-16","max_tokens":1,"messages":[]}"#;
    assert_eq!(vertex.send(&post(path, body)).await.status(), 200);
    let elsewhere = path.replace("/p/", "/q/");
    let refused = vertex.send(&post(&elsewhere, body)).await;
    assert_eq!(refused.json()["error"]["status"], "PERMISSION_DENIED");
    assert!(vertex.stop());

    let wrong = [
        vec!["--dialect", "openai"],
        vec!["--dialect", "zai", "--project", "p"],
        vec!["--dialect", "vertex", "--aws-key", "id:secret"],
        vec!["--dialect", "bedrock", "--aws-key", "hunter2"],
        vec!["--region", "us-east-1"],
    ];
    for flags in wrong {
        let done = Command::new(env!("CARGO_BIN_EXE_cc-relay-sim"))
            .args(&flags)
            .output()
            .unwrap();
        assert!(!done.status.success(), "{flags:?}");
        assert!(done.stdout.is_empty());
    }
}
