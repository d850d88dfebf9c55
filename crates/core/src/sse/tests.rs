//! The stream reader must see the same facts however the stream is cut.

use proptest::prelude::*;

use super::*;

const STREAM: &str = concat!(
    "event: message_start\n",
    r#"data: {"type":"message_start","message":{"id":"msg_1","model":"claude-opus-5-5","usage":{"input_tokens":1204,"cache_read_input_tokens":88904,"cache_creation_input_tokens":2310,"cache_creation":{"ephemeral_5m_input_tokens":2000,"ephemeral_1h_input_tokens":310},"output_tokens":1}}}"#,
    "\n\n: a comment\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\"}\n\n",
    "event: content_block_delta\ndata: {\"text\":\"event: message_stop\\n\\n\"}\n\n",
    "event: something_else\ndata: {}\n\n",
    "event: message_delta\n",
    r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1106}}"#,
    "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

fn read(parts: &[&[u8]]) -> StreamFacts {
    let mut reader = StreamReader::default();
    for part in parts {
        reader.push(part);
    }
    reader.into_facts()
}

#[test]
fn reads_a_whole_stream() {
    let facts = read(&[STREAM.as_bytes()]);
    assert!(facts.stopped && facts.content && facts.is_whole() && !facts.failed);
    // Seven events and a comment block.
    assert_eq!(facts.events, 8);
    assert_eq!(facts.unread, 0);
    assert_eq!(facts.model.as_deref(), Some("claude-opus-5-5"));
    assert_eq!(facts.stop_reason.as_deref(), Some("end_turn"));
    assert_eq!(facts.usage.input_tokens, Some(1204));
    assert_eq!(facts.usage.cache_read_input_tokens, Some(88_904));
    assert_eq!(facts.usage.cache_write_1h_tokens, Some(310));
    assert_eq!(facts.usage.output_tokens, Some(1106));
}

#[test]
fn every_cut_in_two_gives_the_same_facts() {
    let whole = read(&[STREAM.as_bytes()]);
    for cut in 0..=STREAM.len() {
        let (head, tail) = STREAM.as_bytes().split_at(cut);
        assert_eq!(read(&[head, tail]), whole, "cut at {cut}");
    }
}

#[test]
fn no_prefix_is_whole_but_the_last() {
    for cut in 0..STREAM.len() {
        assert!(
            !read(&[&STREAM.as_bytes()[..cut]]).is_whole(),
            "cut at {cut}"
        );
    }
}

#[test]
fn an_error_event_is_an_end_of_its_own() {
    let facts = read(&[b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n"]);
    assert!(facts.failed && facts.is_whole() && !facts.stopped);
    assert_eq!(facts.error_type.as_deref(), Some("overloaded_error"));
}

#[test]
fn data_beyond_the_limit_is_counted_as_unread_and_not_kept() {
    let long = format!(
        "event: message_start\ndata: {}\n\nevent: message_stop\ndata: {{}}\n\n",
        "x".repeat(200_000)
    );
    for size in [1, 7, 4096, 300_000] {
        let mut reader = StreamReader::default();
        for part in long.as_bytes().chunks(size) {
            reader.push(part);
            assert!(
                reader.line.len() <= DATA_LIMIT_BYTES + 6 && reader.data.len() <= DATA_LIMIT_BYTES
            );
        }
        let facts = reader.into_facts();
        assert_eq!(
            (facts.events, facts.unread, facts.stopped),
            (2, 1, true),
            "parts of {size}"
        );
    }
}

#[test]
fn a_long_second_name_counts_as_it_does_in_one_piece() {
    let stream = format!("event: message_stop\nevent: {}\n\n", "x".repeat(60));
    let pieces: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
    assert_eq!(read(&pieces), read(&[stream.as_bytes()]));
    assert!(!read(&pieces).stopped);
}

proptest! {
    /// Any cutting, and any of the three line ends, gives the same facts.
    #[test]
    fn every_cutting_gives_the_same_facts(
        cuts in prop::collection::vec(0_usize..1200, 0..40), end in prop::sample::select(vec!["\n", "\r\n", "\r"])
    ) {
        let stream = STREAM.replace('\n', end);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream.as_bytes()[pair[0]..pair[1]]).collect();
        prop_assert_eq!(read(&parts), read(&[STREAM.as_bytes()]));
    }

    /// Bytes that are no stream at all: the same facts for every cutting, and no panic.
    #[test]
    fn garbage_is_cut_safely(bytes in prop::collection::vec(
        prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b'e'), any::<u8>()], 0..300), cut in 0_usize..300) {
        let (head, tail) = bytes.split_at(cut.min(bytes.len()));
        prop_assert_eq!(read(&[head, tail]), read(&[&bytes]));
    }
}
