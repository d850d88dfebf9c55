//! The little HTTP/1.1 that the mock upstream and the load generator share.
//!
//! Bytes of a message head come in; positions and header values go out. Both ends are ours, so
//! this must never be mistaken for a parser that meets the outside world.
use anyhow::{Context as _, Result};

/// Precedes the 19 digits of the moment at which an event was written, in Unix nanoseconds.
pub(crate) const STAMP: &[u8] = b"@t=";
/// Digits in a stamp: enough for Unix nanoseconds until the year 2286.
pub(crate) const STAMP_DIGITS: usize = 19;
/// Header in which the load generator says what the mock has to answer.
pub(crate) const ANSWER: &str = "x-bench-answer";
/// Credential that a client of any measured proxy shows.
pub(crate) const CLIENT_KEY: &str = "bench-key";
/// Credential that a proxy shows to the mock upstream.
pub(crate) const UPSTREAM_KEY: &str = "sk-upstream";

/// Returns the position just past the blank line that ends a head.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at.saturating_add(4))
}

/// Returns the value of the first header of that name.
pub(crate) fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let (found, value) = line.split_at(colon);
        if found.eq_ignore_ascii_case(name.as_bytes()) {
            let value = value.strip_prefix(b":").unwrap_or(value);
            return std::str::from_utf8(value).ok().map(str::trim);
        }
    }
    None
}

/// Returns the declared length of a body, zero where none is declared.
///
/// # Errors
/// When the length is not a number, or the body is chunked: proxies that buffer or pass a body of
/// known size have no reason to chunk it.
pub(crate) fn content_length(head: &[u8]) -> Result<usize> {
    if let Some(value) = header(head, "content-length") {
        return value.parse().context("content-length is not a number");
    }
    anyhow::ensure!(
        header(head, "transfer-encoding").is_none(),
        "a body came chunked; the bench reads only bodies with content-length"
    );
    Ok(0)
}

/// Takes chunked framing off: a proxy that gathers events may end a chunk inside a stamp.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    /// Bytes of the chunk that are still to come.
    left: usize,
    /// The size line as read so far.
    size: usize,
}

impl Chunks {
    /// Appends to `out` what is payload in `raw`.
    pub(crate) fn feed(&mut self, mut raw: &[u8], out: &mut Vec<u8>) {
        while let Some((byte, rest)) = raw.split_first() {
            if self.left > 0 {
                let (payload, rest) = raw.split_at(self.left.min(raw.len()));
                out.extend_from_slice(payload);
                self.left -= payload.len();
                raw = rest;
                continue;
            }
            raw = rest;
            if *byte == b'\n' {
                self.left = std::mem::take(&mut self.size);
            } else if let Some(digit) = char::from(*byte).to_digit(16) {
                self.size = self.size.saturating_mul(16).saturating_add(digit as usize);
            }
        }
    }
}

/// Takes every complete stamp out of `buffer` and gives each to `seen`; keeps an unfinished tail.
pub(crate) fn take_stamps(buffer: &mut Vec<u8>, mut seen: impl FnMut(u64)) {
    let mut done = 0;
    while let Some(rest) = buffer.get(done..) {
        let Some(at) = memchr::memmem::find(rest, STAMP) else {
            // The marker itself may be cut in two: keep the last bytes that could begin one.
            done = done.max(buffer.len().saturating_sub(STAMP.len().saturating_sub(1)));
            break;
        };
        let from = done.saturating_add(at).saturating_add(STAMP.len());
        let to = from.saturating_add(STAMP_DIGITS);
        let Some(digits) = buffer.get(from..to) else {
            done = done.saturating_add(at);
            break;
        };
        if let Some(nanos) = std::str::from_utf8(digits)
            .ok()
            .and_then(|text| text.parse().ok())
        {
            seen(nanos);
        }
        done = to;
    }
    buffer.drain(..done.min(buffer.len()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_survive_any_cut() {
        let text = b"data: @t=1700000000000000001; x\r\n@t=1700000000000000002;";
        for cut in 0..text.len() {
            let (mut found, mut buffer) = (Vec::new(), Vec::new());
            for part in [&text[..cut], &text[cut..]] {
                buffer.extend_from_slice(part);
                take_stamps(&mut buffer, |nanos| found.push(nanos));
            }
            assert_eq!(
                found,
                [1_700_000_000_000_000_001, 1_700_000_000_000_000_002],
                "cut {cut}"
            );
        }
    }

    #[test]
    fn stamps_survive_chunks_that_end_inside_them() {
        let raw = b"a\r\ndata: @t=1\r\n1B\r\n700000000000000001; x\n@t=17\r\n";
        for cut in 0..raw.len() {
            let (mut chunks, mut out) = (Chunks::default(), Vec::new());
            chunks.feed(&raw[..cut], &mut out);
            chunks.feed(&raw[cut..], &mut out);
            assert_eq!(out, b"data: @t=1700000000000000001; x\n@t=17", "cut {cut}");
        }
    }

    #[test]
    fn headers_are_found_whatever_their_case() {
        let head = b"POST / HTTP/1.1\r\nContent-Length: 12\r\nX-Bench-Answer: json 5\r\n\r\n";
        assert_eq!(head_end(head), Some(head.len()));
        assert_eq!(content_length(head).unwrap(), 12);
        assert_eq!(header(head, ANSWER), Some("json 5"));
        assert!(content_length(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }
}
