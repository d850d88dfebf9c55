//! Events as they leave, whatever the cut; exceptions, and ends that are none.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue as Value, Message};
use base64_simd::STANDARD;
use proptest::prelude::*;

use super::*;

fn frame(headers: &[(&'static str, &str)], payload: &str) -> Vec<u8> {
    let mut message = Message::new(payload.as_bytes().to_vec());
    for (name, value) in headers {
        let value = Value::String((*value).to_owned().into());
        message = message.add_header(Header::new(*name, value));
    }
    let mut out = Vec::new();
    write_message_to(&message, &mut out).unwrap();
    out
}

fn chunk(json: &str) -> Vec<u8> {
    let text = STANDARD.encode_to_string(json);
    let headers = [(":message-type", "event"), (":event-type", "chunk")];
    frame(&headers, &format!(r#"{{"bytes":"{text}","p":"abcdef"}}"#))
}

fn read(pieces: &[&[u8]]) -> (String, Result<(), Undecodable>) {
    let mut stream = BedrockStream::default();
    let mut out = BytesMut::new();
    let mut result = Ok(());
    for piece in pieces {
        result = result.and_then(|()| stream.push(piece, &mut out));
    }
    let result = result.and_then(|()| stream.end(&mut out));
    (String::from_utf8(out.to_vec()).unwrap(), result)
}

const START: &str = r#"{"type":"message_start","message":{"usage":{"input_tokens":3}}}"#;
const DELTA: &str =
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"grüße"}}"#;
const STOP: &str =
    r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":3}}"#;

#[test]
fn chunks_become_events_and_bedrocks_own_numbers_go() {
    let bytes = [chunk(START), chunk(DELTA), chunk(STOP)].concat();
    let (text, result) = read(&[&bytes]);
    assert_eq!(
        text,
        format!(
            "event: message_start\ndata: {START}\n\nevent: content_block_delta\ndata: {DELTA}\n\nevent: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n"
        )
    );
    assert_eq!(result, Ok(()));
}

#[test]
fn a_type_that_stands_elsewhere_is_found_and_lines_are_joined() {
    let odd = "{\"message\":{},\n \"type\":\"message_start\"}";
    let (text, result) = read(&[&chunk(odd)]);
    assert_eq!(
        text,
        "event: message_start\ndata: {\"message\":{},  \"type\":\"message_start\"}\n\n"
    );
    assert!(result.is_err(), "it has not ended");
}

#[test]
fn an_exception_is_an_error_in_anthropics_words_and_an_end() {
    for (name, kind) in [
        ("throttlingException", "rate_limit_error"),
        ("serviceUnavailableException", "overloaded_error"),
        ("modelTimeoutException", "timeout_error"),
        ("validationException", "invalid_request_error"),
        ("internalServerException", "api_error"),
        ("modelStreamErrorException", "api_error"),
    ] {
        let headers = [(":message-type", "exception"), (":exception-type", name)];
        let payload = r#"{"message":"arn:aws:bedrock:x:123456789012:y failed"}"#;
        let bytes = [chunk(START), frame(&headers, payload)].concat();
        let (text, result) = read(&[&bytes]);
        assert!(
            text.contains(&format!(
                "event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\""
            )),
            "{text}"
        );
        assert!(!text.contains("123456789012"), "{text}");
        assert_eq!(result, Ok(()), "{name}");
    }
}

#[test]
fn an_end_in_the_middle_is_no_end() {
    let whole = [chunk(START), chunk(DELTA), chunk(STOP)].concat();
    for length in 0..whole.len() {
        assert!(read(&[&whole[..length]]).1.is_err(), "{length}");
    }
}

#[test]
fn pings_stand_between_start_and_stop() {
    let mut stream = BedrockStream::default();
    let mut out = BytesMut::new();
    assert!(stream.ping().is_none());
    stream.push(&chunk(START), &mut out).unwrap();
    assert!(stream.ping().is_some());
    stream.push(&chunk(STOP), &mut out).unwrap();
    assert!(stream.ping().is_none());
}

#[test]
fn what_is_no_chunk_is_refused() {
    let event = [(":message-type", "event"), (":event-type", "chunk")];
    for payload in [
        "{}",
        r#"{"bytes":"***"}"#,
        r#"{"bytes":""}"#,
        r#"{"bytes":"e30="}"#,
        // Its type is empty.
        r#"{"bytes":"eyJ0eXBlIjoiIn0="}"#,
    ] {
        assert!(read(&[&frame(&event, payload)]).1.is_err(), "{payload}");
    }
    assert!(read(&[&frame(&[], "{}")]).1.is_err());
}

proptest! {
    /// However the bytes are cut, the events are the same, and each is out with its last byte.
    #[test]
    fn every_cutting_gives_the_same_events(cut in 0_usize..2_000) {
        let whole = [chunk(START), chunk(DELTA), chunk(STOP)].concat();
        let (left, right) = whole.split_at(cut % whole.len());
        prop_assert_eq!(read(&[left, right]), read(&[&whole]));
    }
}

#[test]
fn of_an_event_that_breaks_nothing_goes_out() {
    let good = chunk(START);
    let mut text = STANDARD.encode_to_string(DELTA.replace("grüße", &"a".repeat(200)));
    let event = [(":message-type", "event"), (":event-type", "chunk")];
    // The type is read from the start; what is wrong stands far behind it.
    text.replace_range(150..151, "*");
    let bad = format!(r#"{{"bytes":"{text}"}}"#);
    let alone = read(&[&good]).0;
    let (told, result) = read(&[&good, &frame(&event, &bad)]);
    assert!(result.is_err());
    assert_eq!(told, alone);
}

#[test]
fn an_error_frame_says_its_message() {
    let headers = [
        (":message-type", "error"),
        (":error-code", "ValidationException"),
        (":error-message", "Input is too long for requested model."),
    ];
    let (text, result) = read(&[&chunk(START), &frame(&headers, "")]);
    assert!(text.contains("invalid_request_error"), "{text}");
    assert!(text.contains("prompt is too long"), "{text}");
    assert_eq!(result, Ok(()));
}

#[test]
fn base64_may_be_escaped_as_json_may() {
    let json = DELTA.replace("grüße", &"\u{fff}?".repeat(40));
    let text = STANDARD.encode_to_string(&json);
    assert!(text.contains('/'), "{text}");
    let event = [(":message-type", "event"), (":event-type", "chunk")];
    let escaped = format!(r#"{{"bytes":"{}"}}"#, text.replace('/', "\\/"));
    assert_eq!(
        read(&[&frame(&event, &escaped)]).0,
        read(&[&chunk(&json)]).0
    );
}
