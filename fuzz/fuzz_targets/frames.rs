//! Bedrock's event stream is read as AWS's own decoder reads it, however the network cuts it.
//!
//! In: any bytes, taken as a stream, and once more with each frame's checksums put right. Out:
//! nothing, or a crash where the two tell different things.
#![no_main]

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder, read_message_from};
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use relay_providers::bedrock::frames::FrameDecoder;

/// What was read, and whether it went wrong then.
type Told = (Vec<Vec<u8>>, bool);

fuzz_target!(|bytes: &[u8]| {
    compare(bytes);
    // Bytes by chance have no right checksum: a frame is made around them.
    let Some((headers_bytes, rest)) = bytes.split_first() else {
        return;
    };
    let headers_bytes = usize::from(*headers_bytes).min(rest.len());
    let stream = framed(headers_bytes as u32, rest);
    let ours = ours(&stream, stream.len());
    match read_message_from(&stream[..]) {
        Ok(theirs) => assert_eq!(ours, (vec![theirs.payload().to_vec()], false)),
        Err(why) => assert_eq!(ours, (Vec::new(), true), "{why}"),
    }
    compare_cuts(&stream);
});

fn compare(stream: &[u8]) {
    let mut decoder = MessageFrameDecoder::new();
    let mut buffer = BytesMut::from(stream);
    let mut theirs: Told = (Vec::new(), false);
    loop {
        match decoder.decode_frame(&mut buffer) {
            Ok(DecodedFrame::Complete(message)) => theirs.0.push(message.payload().to_vec()),
            Ok(DecodedFrame::Incomplete) => break,
            Err(_) => {
                theirs.1 = true;
                break;
            }
        }
    }
    let ours = ours(stream, stream.len().max(1));
    // Ours finds a length beyond the limits before the frame is whole, and has read the same so far.
    assert_eq!(ours.0, theirs.0);
    assert!(ours.1 || !theirs.1);
    compare_cuts(stream);
}

fn compare_cuts(stream: &[u8]) {
    let whole = ours(stream, stream.len().max(1));
    for piece in [1, 3, 12, 64] {
        assert_eq!(ours(stream, piece), whole, "in pieces of {piece}");
    }
}

fn ours(stream: &[u8], piece_bytes: usize) -> Told {
    let mut frames = FrameDecoder::default();
    let mut seen = Vec::new();
    for piece in stream.chunks(piece_bytes) {
        let told = frames.push(piece, |frame| {
            seen.push(frame.payload.to_vec());
            Ok(())
        });
        if told.is_err() {
            return (seen, true);
        }
    }
    (seen, false)
}

fn framed(headers_bytes: u32, rest: &[u8]) -> Vec<u8> {
    let total = rest.len() as u32 + 16;
    let mut frame = [total.to_be_bytes(), headers_bytes.to_be_bytes()].concat();
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame.extend(rest);
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame
}
