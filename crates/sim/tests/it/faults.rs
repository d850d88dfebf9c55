//! Every fault, proven by a raw TCP client. In: a fault; out: how the wire ended and what came
//! before. Must never take the sim's word for it.

use relay_sim::{Fault, Outcome, Script, Sim, Split};
use tokio::io::AsyncWriteExt as _;

use crate::raw::{Answer, Ended, PATIENCE, PLAIN, STREAM, connect, events, messages, post};

async fn broken(fault: Fault) -> (Answer, Outcome) {
    let sim = Sim::builder().start().await.unwrap();
    sim.push(Script::text("hello big world").fault(fault));
    let answer = messages(&sim, STREAM).await;
    sim.wait_for(|stats| stats.streams_open == 0, PATIENCE)
        .await
        .unwrap();
    (answer, sim.requests()[0].outcome())
}

/// The same answer without a fault.
async fn healthy(body: &str) -> Vec<u8> {
    let sim = Sim::builder().start().await.unwrap();
    sim.push(Script::text("hello big world"));
    messages(&sim, body).await.body
}

#[tokio::test]
async fn before_the_head_nothing_is_said() {
    let (answer, outcome) = broken(Fault::ResetBeforeHead).await;
    assert_eq!(
        (answer.head.as_str(), answer.ended, outcome),
        ("", Ended::Reset, Outcome::Aborted)
    );
    let (answer, outcome) = broken(Fault::CloseBeforeHead).await;
    assert_eq!(
        (answer.head.as_str(), answer.ended, outcome),
        ("", Ended::Fin, Outcome::Aborted)
    );
}

#[tokio::test]
async fn after_events_the_wire_ends_as_told() {
    let cases = [
        (Fault::ResetAfterEvents(3), Ended::Reset, Outcome::Aborted),
        (Fault::CloseAfterEvents(3), Ended::Fin, Outcome::Aborted),
        (
            Fault::CleanEndAfterEvents(3),
            Ended::Framed,
            Outcome::Complete,
        ),
    ];
    for (fault, ended, wanted) in cases {
        let (answer, outcome) = broken(fault.clone()).await;
        assert_eq!((answer.ended, outcome), (ended, wanted), "{fault:?}");
        let said = events(&answer.text());
        assert_eq!(said.len(), 3, "{fault:?}");
        assert_eq!(said[2].0, "content_block_start");
    }
    // All nine events said, and still no proper end.
    let (answer, _) = broken(Fault::CloseAfterEvents(9)).await;
    assert_eq!(
        (events(&answer.text()).len(), answer.ended),
        (9, Ended::Fin)
    );
    let (answer, _) = broken(Fault::CloseAfterEvents(10)).await;
    assert_eq!(answer.ended, Ended::Framed);
    let (answer, _) = broken(Fault::ResetAfterEvents(0)).await;
    assert_eq!(
        (answer.status(), answer.body.len(), answer.ended),
        (200, 0, Ended::Reset)
    );
}

#[tokio::test]
async fn after_bytes_the_wire_ends_at_every_offset() {
    let whole = healthy(STREAM).await;
    let sim = Sim::builder().start().await.unwrap();
    for at in 0..=whole.len() {
        for (fault, ended) in [
            (Fault::ResetAfterBytes(at), Ended::Reset),
            (Fault::CloseAfterBytes(at), Ended::Fin),
            (Fault::CleanEndAfterBytes(at), Ended::Framed),
        ] {
            sim.push(Script::text("hello big world").fault(fault.clone()));
            let answer = messages(&sim, STREAM).await;
            assert_eq!((answer.body.len(), answer.ended), (at, ended), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn json_bodies_break_too() {
    let whole = healthy(PLAIN).await.len();
    let sim = Sim::builder().start().await.unwrap();
    let cases = [
        (Fault::ResetAfterBytes(9), 9, Ended::Reset, whole),
        (Fault::CloseAfterBytes(9), 9, Ended::Fin, whole),
        (Fault::CleanEndAfterBytes(9), 9, Ended::Framed, 9),
        (Fault::CleanEndAfterEvents(0), 0, Ended::Framed, 0),
        (Fault::ContentLengthShort, whole, Ended::Fin, whole + 1024),
        (Fault::Garbage(4, 1), whole + 4, Ended::Framed, whole + 4),
    ];
    for (fault, got, ended, claimed) in cases {
        sim.push(Script::text("hello big world").fault(fault.clone()));
        let answer = messages(&sim, PLAIN).await;
        assert_eq!((answer.body.len(), answer.ended), (got, ended), "{fault:?}");
        assert_eq!(
            answer.header("content-length").unwrap(),
            claimed.to_string(),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_stall_lasts_until_the_client_leaves() {
    for (fault, sent) in [
        (Fault::StallBeforeHead, 0),
        (Fault::StallAfterEvents(2), 2),
        (Fault::StallAfterBytes(3), 0),
    ] {
        let sim = Sim::builder().start().await.unwrap();
        sim.push(Script::text("hello").fault(fault.clone()));
        let mut stream = connect(&sim).await;
        stream
            .write_all(post("/v1/messages", STREAM).as_bytes())
            .await
            .unwrap();
        sim.wait_for(
            |stats| stats.requests == 1 && stats.events_sent == sent,
            PATIENCE,
        )
        .await
        .unwrap();
        assert_eq!(sim.requests()[0].outcome(), Outcome::Pending, "{fault:?}");
        drop(stream);
        sim.wait_for(|stats| stats.client_gone == 1, PATIENCE)
            .await
            .unwrap();
        let outcome = sim.requests()[0].outcome();
        assert_eq!(
            outcome,
            Outcome::ClientGone { events_sent: sent },
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_seen_while_streaming_and_while_waiting() {
    let day = std::time::Duration::from_hours(24);
    for script in [
        Script::text("x").repeat_delta(u64::MAX, "drip "),
        Script::text("x").event_gap(day),
        Script::text("x").delay_head(day),
    ] {
        let sim = Sim::builder().start().await.unwrap();
        sim.push(script);
        let mut stream = connect(&sim).await;
        stream
            .write_all(post("/v1/messages", STREAM).as_bytes())
            .await
            .unwrap();
        sim.wait_for(|stats| stats.requests == 1, PATIENCE)
            .await
            .unwrap();
        drop(stream);
        let stats = sim
            .wait_for(|stats| stats.client_gone == 1, PATIENCE)
            .await
            .unwrap();
        assert_eq!(stats.streams_open, 0);
    }
}

#[tokio::test]
async fn a_client_that_leaves_during_its_upload_is_seen() {
    let sim = Sim::builder().start().await.unwrap();
    let mut stream = connect(&sim).await;
    stream
        .write_all(b"POST /v1/messages HTTP/1.1\r\ncontent-length: 9\r\n\r\n{")
        .await
        .unwrap();
    sim.wait_for(|stats| stats.streams_open == 1, PATIENCE)
        .await
        .unwrap();
    drop(stream);
    let stats = sim
        .wait_for(|stats| stats.client_gone == 1, PATIENCE)
        .await
        .unwrap();
    assert_eq!(stats.requests, 0);
}

#[tokio::test]
async fn an_error_event_ends_a_stream_and_is_the_answer_of_a_plain_request() {
    let fault = Fault::ErrorEventAfter(4, "overloaded_error".into(), "Overloaded".into());
    let (answer, outcome) = broken(fault.clone()).await;
    let said = events(&answer.text());
    assert_eq!((said.len(), said[4].0.as_str()), (5, "error"));
    assert_eq!(said[4].1["error"]["type"], "overloaded_error");
    assert_eq!((answer.ended, outcome), (Ended::Framed, Outcome::Complete));

    let sim = Sim::builder().start().await.unwrap();
    for (kind, status) in [
        ("invalid_request_error", 400),
        ("authentication_error", 401),
        ("billing_error", 402),
        ("permission_error", 403),
        ("not_found_error", 404),
        ("request_too_large", 413),
        ("rate_limit_error", 429),
        ("api_error", 500),
        ("timeout_error", 504),
        ("overloaded_error", 529),
    ] {
        let fault = Fault::ErrorEventAfter(0, kind.into(), "no".into());
        sim.push(Script::text("x").fault(fault));
        let answer = messages(&sim, PLAIN).await;
        assert_eq!(
            (answer.status(), &answer.json()["error"]["type"]),
            (status, &kind.into())
        );
    }
}

#[tokio::test]
async fn garbage_lies_between_the_events_and_the_stream_goes_on() {
    let whole = healthy(STREAM).await;
    let (answer, _) = broken(Fault::Garbage(5, 2)).await;
    assert_eq!(answer.ended, Ended::Framed);
    assert_eq!(answer.body.len(), whole.len() + 5);
    let at = answer
        .body
        .windows(5)
        .position(|window| window == [0xFF; 5])
        .unwrap();
    assert_eq!(answer.body[..at], whole[..at]);
    assert_eq!(
        events(std::str::from_utf8(&answer.body[..at]).unwrap()).len(),
        2
    );
}

#[tokio::test]
async fn a_short_stream_claims_more_than_it_sends() {
    let whole = healthy(STREAM).await;
    let (answer, outcome) = broken(Fault::ContentLengthShort).await;
    assert_eq!((answer.ended, outcome), (Ended::Fin, Outcome::Aborted));
    assert_eq!(answer.body.len(), whole.len());
    assert_eq!(
        answer.header("content-length").unwrap(),
        (whole.len() + 1024).to_string()
    );
}

#[tokio::test]
async fn faults_count_wire_bytes_under_split_and_compression() {
    let sim = Sim::builder().start().await.unwrap();
    let script = Script::text("hello big world").split(Split::Chunk(10));
    sim.push(script.clone().fault(Fault::CloseAfterBytes(25)));
    let answer = messages(&sim, STREAM).await;
    assert_eq!(
        (answer.chunks.as_slice(), answer.ended),
        (&[10, 10, 5][..], Ended::Fin)
    );
    sim.push(
        script
            .encoding(relay_sim::Encoding::Gzip)
            .fault(Fault::ResetAfterBytes(25)),
    );
    let answer = messages(&sim, STREAM).await;
    assert_eq!((answer.body.len(), answer.ended), (25, Ended::Reset));
    assert_eq!(answer.body[..2], [0x1f, 0x8b]);
}

#[test]
fn every_fault_has_a_text_form() {
    let cases = [
        ("stall-before-head", Fault::StallBeforeHead),
        ("reset_before_head", Fault::ResetBeforeHead),
        ("close-before-head", Fault::CloseBeforeHead),
        ("stall-after-events:1", Fault::StallAfterEvents(1)),
        ("reset-after-events:3", Fault::ResetAfterEvents(3)),
        ("close-after-events:0", Fault::CloseAfterEvents(0)),
        ("clean-end-after-events:2", Fault::CleanEndAfterEvents(2)),
        ("stall-after-bytes:7", Fault::StallAfterBytes(7)),
        ("reset-after-bytes:7", Fault::ResetAfterBytes(7)),
        ("close-after-bytes:8", Fault::CloseAfterBytes(8)),
        ("clean-end-after-bytes:9", Fault::CleanEndAfterBytes(9)),
        ("garbage:10:2", Fault::Garbage(10, 2)),
        ("content-length-short", Fault::ContentLengthShort),
        (
            "error-event-after:2:api_error:went: wrong",
            Fault::ErrorEventAfter(2, "api_error".into(), "went: wrong".into()),
        ),
    ];
    for (text, fault) in cases {
        assert_eq!(text.parse::<Fault>().unwrap(), fault);
    }
    for text in [
        "",
        "reset-after-events",
        "reset-after-events:x",
        "garbage:1",
        "error-event-after:a:b:c",
    ] {
        assert!(
            text.parse::<Fault>()
                .unwrap_err()
                .to_string()
                .contains("is no fault"),
            "{text}"
        );
    }
}
