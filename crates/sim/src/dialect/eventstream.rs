//! Writes frames of AWS's event stream
//! (<https://smithy.io/2.0/aws/amazon-eventstream.html>, read 2026-11).
//! In: headers and a payload; out: one frame with its two checksums. Must never read a frame.

use bytes::Bytes;
use flate2::Crc;
use sha2::{Digest as _, Sha256};

use crate::dialect::base64;
use crate::grammar::quote;

/// The two lengths, the prelude's checksum, and the frame's own at the end.
const OVERHEAD_BYTES: usize = 16;
/// A header value that is a string.
const TYPE_STRING: u8 = 7;
/// What padding is made of.
const PADDING: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Returns a frame. Names beyond 255 bytes and values beyond 65,535 are not written.
pub(crate) fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut head = Vec::new();
    for (name, value) in headers {
        if let (Ok(name_bytes), Ok(value_bytes)) =
            (u8::try_from(name.len()), u16::try_from(value.len()))
        {
            head.push(name_bytes);
            head.extend_from_slice(name.as_bytes());
            head.push(TYPE_STRING);
            head.extend_from_slice(&value_bytes.to_be_bytes());
            head.extend_from_slice(value.as_bytes());
        }
    }
    let total = head
        .len()
        .saturating_add(payload.len())
        .saturating_add(OVERHEAD_BYTES);
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(&length(total));
    out.extend_from_slice(&length(head.len()));
    out.extend_from_slice(&checksum(&out));
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
    out.extend_from_slice(&checksum(&out));
    Bytes::from(out)
}

/// Returns the frame that holds one event's data. Its padding hides the data's length; here it
/// follows from the data alone, so that the same script always has the same bytes.
pub(crate) fn chunk(data: &[u8]) -> Bytes {
    let digest = Sha256::digest(data);
    let padding = usize::from(digest.first().copied().unwrap_or(0)) % PADDING.len();
    let payload = format!(
        r#"{{"bytes":"{}","p":"{}"}}"#,
        base64::encode(data),
        PADDING.get(..padding.saturating_add(1)).unwrap_or_default(),
    );
    let headers = [
        (":event-type", "chunk"),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    frame(&headers, payload.as_bytes())
}

/// Returns the frame of an exception in the stream.
pub(crate) fn exception(kind: &str, message: &str) -> Bytes {
    let headers = [
        (":exception-type", kind),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    let payload = format!(r#"{{"message":{}}}"#, quote(message));
    frame(&headers, payload.as_bytes())
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::{chunk, exception, frame};
    use crate::grammar::hex;

    #[test]
    fn a_frame_has_these_bytes() {
        // Lengths counted by hand, checksums by a bitwise CRC-32 written for this test.
        let bytes = frame(&[(":message-type", "event")], b"{}");
        let wanted = concat!(
            "00000028",
            "00000016",
            "PRELUDE_",
            "0d",
            "3a6d6573736167652d74797065",
            "07",
            "0005",
            "6576656e74",
            "7b7d",
        )
        .replace("PRELUDE_", &hex(&bitwise(&bytes[..8]).to_be_bytes()));
        assert_eq!(hex(&bytes[..bytes.len() - 4]), wanted);
        assert_eq!(
            bytes[bytes.len() - 4..],
            bitwise(&bytes[..bytes.len() - 4]).to_be_bytes()
        );
        assert_eq!(bytes.len(), 0x28);
    }

    #[test]
    fn the_empty_frame_of_the_published_suite_has_these_bytes() {
        assert_eq!(hex(&frame(&[], b"")), "000000100000000005c248eb7d98c8ff");
    }

    #[test]
    fn a_chunk_is_base64_with_padding() {
        let bytes = chunk(br#"{"type":"ping"}"#);
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            text.contains(r#"{"bytes":"eyJ0eXBlIjoicGluZyJ9","p":"abc"#),
            "{text}"
        );
        assert_eq!(bytes, chunk(br#"{"type":"ping"}"#));
    }

    #[test]
    fn an_exception_names_its_type() {
        let bytes = exception("throttlingException", "slow \"down\"");
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains(":exception-type\u{7}\u{0}\u{13}throttlingException"));
        assert!(text.contains(r#"{"message":"slow \"down\""}"#));
    }

    fn bitwise(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 {
                    (crc >> 1) ^ 0xEDB8_8320
                } else {
                    crc >> 1
                };
            }
        }
        !crc
    }
}
