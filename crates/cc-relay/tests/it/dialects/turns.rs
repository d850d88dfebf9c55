//! Turns, streamed and not, with everything that Claude Code sends.

use relay_core::record::Outcome;
use relay_sim::{Fault, Script};

use super::{ROWS, Row, turn};
use crate::support::End;

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
