//! An event stream tells the same, however the network cuts it.
//!
//! In: any bytes, taken as a stream. Out: nothing, or a crash where reading it in pieces gives other
//! facts than reading it whole. It must never judge what a stream says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relay_core::sse::{StreamFacts, StreamReader};

fuzz_target!(|stream: &[u8]| {
    let whole = facts(stream, stream.len().max(1));
    for piece in [1, 2, 3, 7, 64] {
        assert_eq!(facts(stream, piece), whole, "in pieces of {piece}");
    }
});

fn facts(stream: &[u8], piece_bytes: usize) -> StreamFacts {
    let mut reader = StreamReader::default();
    for piece in stream.chunks(piece_bytes) {
        reader.push(piece);
    }
    reader.into_facts()
}
