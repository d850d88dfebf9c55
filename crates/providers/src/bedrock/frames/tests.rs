//! Frames as AWS writes them, cut anywhere, and bits that flip.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use proptest::prelude::*;

use super::*;

/// A frame by AWS's own writer.
fn written(headers: &[(String, String)], payload: &[u8]) -> Vec<u8> {
    let mut message = Message::new(payload.to_vec());
    for (name, value) in headers {
        let value = HeaderValue::String(value.clone().into());
        message = message.add_header(Header::new(name.clone(), value));
    }
    let mut out = Vec::new();
    write_message_to(&message, &mut out).unwrap();
    out
}

/// The header `a` and the payload.
type Found = (Option<String>, Vec<u8>);

fn frames(pieces: &[&[u8]]) -> Result<Vec<Found>, Undecodable> {
    let mut decoder = FrameDecoder::default();
    let mut found = Vec::new();
    for piece in pieces {
        decoder.push(piece, |frame| {
            found.push((frame.header("a").map(str::to_owned), frame.payload.to_vec()));
            Ok(())
        })?;
    }
    if decoder.is_within() {
        return Err(Undecodable("within"));
    }
    Ok(found)
}

#[test]
fn headers_of_every_kind_are_passed_over() {
    let values = [
        HeaderValue::Bool(true),
        HeaderValue::Bool(false),
        HeaderValue::Byte(1),
        HeaderValue::Int16(2),
        HeaderValue::Int32(3),
        HeaderValue::Int64(4),
        HeaderValue::ByteArray("bytes".into()),
        HeaderValue::Timestamp(aws_smithy_types::DateTime::from_secs(5)),
        HeaderValue::Uuid(6),
    ];
    let mut message = Message::new("payload");
    for (place, value) in values.into_iter().enumerate() {
        message = message.add_header(Header::new(format!("h{place}"), value));
    }
    message = message.add_header(Header::new("a", HeaderValue::String("found".into())));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).unwrap();
    let found = frames(&[&bytes]).unwrap();
    assert_eq!(found, [(Some("found".to_owned()), b"payload".to_vec())]);
}

#[test]
fn every_flipped_bit_is_found() {
    let bytes = written(&[("a".to_owned(), "b".to_owned())], b"payload");
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(frames(&[&flipped]).is_err(), "bit {bit}");
    }
}

#[test]
fn lengths_beyond_the_limits_are_refused_at_once() {
    for (total, headers) in [
        (u32::MAX, 0),
        (16, 1),
        (15, 0),
        (26 << 20, 0),
        (1 << 20, 200 << 10),
    ] {
        let mut prelude = Vec::new();
        prelude.extend(u32::to_be_bytes(total));
        prelude.extend(u32::to_be_bytes(headers));
        prelude.extend(crc32fast::hash(&prelude).to_be_bytes());
        assert!(
            FrameDecoder::default().push(&prelude, |_| Ok(())).is_err(),
            "{total} {headers}"
        );
    }
}

proptest! {
    /// However the bytes are cut, the frames are those that were written.
    #[test]
    fn every_cutting_gives_the_same_frames(
        messages in prop::collection::vec(
            (prop::option::of("[a-z]{0,9}"), prop::collection::vec(any::<u8>(), 0..300)), 1..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut bytes = Vec::new();
        let mut wanted = Vec::new();
        for (value, payload) in messages {
            let headers: Vec<_> = value.iter().map(|value| ("a".to_owned(), value.clone())).collect();
            bytes.extend(written(&headers, &payload));
            wanted.push((value, payload));
        }
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(frames(&pieces).unwrap(), wanted);
    }

    /// Garbage is refused or waited on, never a panic.
    #[test]
    fn garbage_is_safe(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(frames(&[&bytes]));
    }
}

/// A frame with these header bytes and right checksums.
fn framed(headers: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| u32::try_from(bytes).unwrap().to_be_bytes();
    let mut out = [length(headers.len() + 16), length(headers.len())].concat();
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.extend(headers);
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out
}

#[test]
fn headers_that_cannot_be_read_are_refused() {
    for headers in [
        &b"\x01a\x0a"[..],
        b"\x01a",
        b"\x01a\x07\x00\x05four",
        b"\x01a\x07\x00\x01b\x09",
        b"\x01a\x07\x00\x01\xff",
    ] {
        let theirs = aws_smithy_eventstream::frame::read_message_from(&framed(headers)[..]);
        assert!(theirs.is_err(), "{headers:?}");
        assert!(frames(&[&framed(headers)]).is_err(), "{headers:?}");
    }
    let good = framed(b"\x01a\x07\x00\x01b");
    assert_eq!(
        frames(&[&good]).unwrap(),
        [(Some("b".to_owned()), Vec::new())]
    );
}
