//! Turns, streamed and not, with everything that Claude Code sends.

use std::time::Duration;

use relay_core::record::Outcome;
use relay_sim::{Fault, Script};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{ROWS, Row, ask, full_body, turn};
use crate::support::{End, RELAY_KEY, Relay, post, sim};

#[tokio::test]
async fn a_streamed_turn_at_each() {
    for row in ROWS.iter() {
        let (sim, relay) = row.relay().await;
        sim.set_default(Script::text("grüße"));
        let answer = turn(&relay, true).await;
        let seen = || format!("{} {}: {}", row.name, row.settings, answer.text());
        assert_eq!((answer.status, answer.end), (200, End::Whole), "{}", seen());
        assert!(
            answer
                .header("content-type")
                .unwrap()
                .starts_with("text/event-stream"),
            "{}",
            seen()
        );
        assert!(answer.text().contains("grüße"), "{}", seen());
        assert!(
            answer
                .text()
                .trim_end()
                .ends_with(r#"data: {"type":"message_stop"}"#),
            "{}",
            seen()
        );
        assert!(!answer.text().contains("amazon-bedrock"), "{}", seen());
        let record = relay.records.wait(1).await.remove(0);
        assert_eq!(record.outcome, Outcome::Complete, "{}", seen());
        // What the table takes out is enough: nothing had to be learned.
        assert_eq!(sim.requests().len(), 1, "{} {:?}", seen(), record.left_out);
        assert!(
            record.usage.input_tokens.unwrap_or(0) > 0,
            "{} {:?}",
            seen(),
            record.usage
        );
        assert!(record.usage.output_tokens.unwrap_or(0) > 0, "{}", seen());
    }
}

#[tokio::test]
async fn an_answer_in_one_piece_at_each() {
    for row in ROWS.iter() {
        let (sim, relay) = row.relay().await;
        sim.set_default(Script::text("whole"));
        let answer = turn(&relay, false).await;
        let seen = || format!("{} {}: {}", row.name, row.settings, answer.text());
        assert_eq!((answer.status, answer.end), (200, End::Whole), "{}", seen());
        assert_eq!(answer.json()["content"][0]["text"], "whole", "{}", seen());
    }
}

#[tokio::test]
async fn a_break_is_a_break_at_each() {
    for row in ROWS.iter() {
        let (sim, relay) = row.relay().await;
        for fault in [Fault::CloseAfterEvents(4), Fault::CleanEndAfterEvents(4)] {
            sim.push(Script::text("x").repeat_delta(9, "y").fault(fault.clone()));
            let answer = turn(&relay, true).await;
            let seen = format!("{} {fault:?}: {}", row.name, answer.text());
            assert_eq!(answer.status, 200, "{seen}");
            assert_eq!(answer.end, End::Cut, "{seen}");
            assert!(!answer.text().contains("message_stop"), "{seen}");
        }
    }
}

#[tokio::test]
async fn an_error_in_a_stream_is_said_as_anthropic_says_it() {
    let (sim, relay) = Row::named("bedrock").relay().await;
    let error = Fault::ErrorEventAfter(
        4,
        "overloaded_error".into(),
        "arn:aws:x:y 123456789012".into(),
    );
    sim.push(Script::text("x").repeat_delta(9, "y").fault(error));
    let answer = turn(&relay, true).await;
    assert!(
        answer.text().contains(
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\""
        ),
        "{}",
        answer.text()
    );
    assert!(!answer.text().contains("123456789012"));
    assert_eq!(answer.end, End::Whole);
}

#[tokio::test]
async fn the_clients_name_for_a_model_stays_in_the_answer_where_it_is_asked_for() {
    for name in ["bedrock", "openrouter"] {
        let row = Row::named(name);
        let sim = row.sim().await;
        let relay = Relay::of(&format!(
            "server: {{listen: '127.0.0.1:0', auth: {{api_key: {RELAY_KEY}}}}}\nrouting: {{keep_model_alias: true, model_mapping: {{claude-opus-5-5: anthropic.claude-opus-5-5}}}}\nproviders:\n{}",
            row.entry("up", &sim)
        ));
        for stream in [true, false] {
            let answer = turn(&relay, stream).await;
            let seen = answer.text();
            assert_eq!(
                (answer.status, answer.end),
                (200, End::Whole),
                "{name} {seen}"
            );
            assert!(
                seen.contains(r#""model":"claude-opus-5-5""#),
                "{name} {seen}"
            );
        }
    }
}

/// Bedrock has no pings of its own; the client's watchdog would take silence for a dead connection.
#[tokio::test]
async fn a_silent_stream_is_pinged() {
    let (sim, relay) = Row::named("bedrock").relay().await;
    sim.set_default(
        Script::text("x")
            .repeat_delta(9, "y")
            .fault(Fault::StallAfterEvents(4)),
    );
    let request = post("/v1/messages", "", &full_body(true));
    let request = request.replace("sk-ant-own-0123456789", RELAY_KEY);
    let mut stream = TcpStream::connect(&relay.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let pinged = async {
        while !String::from_utf8_lossy(&seen).contains("event: ping") {
            assert!(stream.read_buf(&mut seen).await.unwrap() > 0);
        }
    };
    tokio::time::timeout(Duration::from_mins(2), pinged)
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&seen);
    let at = text.find("event: ping").unwrap();
    assert!(text[..at].contains("content_block_delta"), "{text}");
}

/// Claude Platform is Anthropic's own API behind another address, with a workspace said.
#[tokio::test]
async fn claude_platform_is_asked_with_a_key_and_its_workspace() {
    for (settings, path) in [
        (
            "type: claude_aws, aws_region: us-east-1, workspace_id: wrkspc_1, base_url: 'BASE'",
            "/v1/messages?beta=true",
        ),
        (
            "type: claude_google, gcp_project_id: p, workspace_id: wrkspc_1, base_url: 'BASE/v1/projects/p/locations/global/workspaces/wrkspc_1/invoke'",
            "/v1/projects/p/locations/global/workspaces/wrkspc_1/invoke/v1/messages?beta=true",
        ),
    ] {
        let sim = sim().await;
        let settings = settings.replace("BASE", &sim.base_url());
        let relay = Relay::of(&format!(
            "server: {{listen: '127.0.0.1:0', auth: {{api_key: {RELAY_KEY}}}}}\nproviders:\n  - {{name: up, proxy: none, keys: [{{key: key-of-the-relay}}], {settings}}}\n"
        ));
        let answer = turn(&relay, true).await;
        assert_eq!(
            (answer.status, answer.end),
            (200, End::Whole),
            "{}",
            answer.text()
        );
        let sent = sim.requests().remove(0);
        assert_eq!(sent.path_and_query, path);
        assert_eq!(
            sent.header("authorization"),
            Some("Bearer key-of-the-relay")
        );
        let workspace = settings.contains("claude_aws").then_some("wrkspc_1");
        assert_eq!(sent.header("anthropic-workspace-id"), workspace);
        assert_eq!(sent.body, full_body(true).as_bytes(), "not a byte differs");
    }
}

#[tokio::test]
async fn version_counting_and_names_of_the_clouds_can_be_set() {
    let (bedrock, vertex) = (Row::named("bedrock"), Row::named("vertex"));
    for row in [bedrock, vertex] {
        let sim = row.sim().await;
        let more = "anthropic_version: pass, count_tokens: estimate, model_prefix: my.anthropic., ";
        let entry = row
            .entry("up", &sim)
            .replace("proxy: none, ", &format!("proxy: none, {more}"));
        let relay = Relay::of(&format!(
            "server: {{listen: '127.0.0.1:0', auth: {{api_key: {RELAY_KEY}}}}}\nproviders:\n{entry}"
        ));
        turn(&relay, true).await;
        let sent = sim.requests().remove(0);
        let body = String::from_utf8(sent.body.to_vec()).unwrap();
        assert!(
            body.contains(r#""anthropic_version":"2023-06-01""#),
            "{body}"
        );
        assert!(
            sent.path_and_query
                .contains("/my.anthropic.claude-opus-5-5"),
            "{}",
            sent.path_and_query
        );
        let count = ask(&relay, "/v1/messages/count_tokens", &full_body(false)).await;
        assert_eq!(count.header("x-cc-relay-estimated"), Some("true"));
    }
}
