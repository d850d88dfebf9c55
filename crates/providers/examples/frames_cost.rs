//! Prints what saying Bedrock's event stream costs, beside decoding its base64 alone.
//!
//! `cargo run --release -p relay-providers --example frames_cost`
#![expect(clippy::print_stdout, reason = "an example prints")]
#![expect(clippy::disallowed_methods, reason = "an example measures time")]
#![expect(clippy::expect_used, reason = "an example may stop")]

use std::hint::black_box;
use std::time::Instant;

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use base64_simd::STANDARD;
use bytes::BytesMut;
use relay_core::provider::Decoder;
use relay_providers::bedrock::stream::BedrockStream;

fn frame(encoded: &str) -> Vec<u8> {
    let text = |text: &str| HeaderValue::String(text.to_owned().into());
    let message = Message::new(format!(r#"{{"bytes":"{encoded}","p":"abcdefghijkl"}}"#))
        .add_header(Header::new(":event-type", text("chunk")))
        .add_header(Header::new(":content-type", text("application/json")))
        .add_header(Header::new(":message-type", text("event")));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).expect("a small frame");
    bytes
}

fn seconds(mut work: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..200 {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

fn main() {
    for text_bytes in [20_usize, 200, 2_000, 20_000] {
        let data = format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{}"}}}}"#,
            "a".repeat(text_bytes)
        );
        let encoded = STANDARD.encode_to_string(&data);
        let frames = 400_000_usize.div_ceil(encoded.len());
        let stream = frame(&encoded).repeat(frames);
        let mut out = BytesMut::with_capacity(stream.len());
        let said = seconds(|| {
            out.clear();
            let mut decoder = BedrockStream::default();
            for piece in stream.chunks(16_384) {
                decoder.push(black_box(piece), &mut out).expect("frames");
            }
            black_box(&out);
        });
        let mut plain = Vec::with_capacity(stream.len());
        let alone = seconds(|| {
            plain.clear();
            for _ in 0..frames {
                let told = STANDARD.decode_append(black_box(&encoded), &mut plain);
                told.expect("base64");
            }
            black_box(&plain);
        });
        // Decoded bytes a nanosecond: GB/s.
        let bytes = f64::from(u32::try_from(data.len() * frames).expect("few bytes"));
        println!(
            "{text_bytes:>6} B of text  stream {:>6.2} GB/s  base64 alone {:>6.2} GB/s  a frame {:>7.0} ns",
            bytes / said / 1e9,
            bytes / alone / 1e9,
            said * 1e9 / f64::from(u32::try_from(frames).expect("few frames")),
        );
    }
}
