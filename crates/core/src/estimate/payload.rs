//! The size of a body without what is no text.
//!
//! In: a body. Out: its bytes, with each base64 payload counted as the text that would have about as
//! many tokens. It must never parse: a payload is a long string behind `"data":` in the alphabet of
//! base64.

use memchr::{memchr, memmem};

/// Shorter strings count as they are.
const LEAST_BYTES: usize = 1024;
/// So much of a string must be base64.
const LOOKED_AT: usize = 256;
/// A picture has at most about 1,600 tokens (<https://platform.claude.com/docs/en/build-with-claude/vision>,
/// read 2026-11-22): as 4,000 bytes of text.
const PICTURE_BYTES: usize = 4000;
/// A small picture has about one token for 20 bytes of base64; as text, one for 2.5.
const PICTURE_SHARE: usize = 8;
/// A page of a PDF has about 2,000 tokens and 80 KB of base64: as 5,000 bytes of text.
const PDF_SHARE: usize = 16;
/// `%PDF-` in base64, as far as it does not depend on what follows.
const PDF: &[u8] = b"JVBERi0";

/// Returns the bytes of a body that count as text.
pub fn countable_bytes(body: &[u8]) -> u64 {
    let mut bytes = body.len();
    let finder = memmem::Finder::new(br#""data""#);
    let mut at = 0;
    while let Some(found) = body.get(at..).and_then(|rest| finder.find(rest)) {
        at = at.saturating_add(found).saturating_add(br#""data""#.len());
        let Some(payload) = string_behind(body, at) else {
            continue;
        };
        bytes = bytes
            .saturating_sub(payload.len())
            .saturating_add(counted(payload));
        at = at.saturating_add(payload.len());
    }
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Returns the string that is the value of a key which ends at `at`.
fn string_behind(body: &[u8], at: usize) -> Option<&[u8]> {
    let rest = body.get(at..)?.trim_ascii_start().strip_prefix(b":")?;
    let rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
    rest.get(..memchr(b'"', rest)?)
}

fn counted(payload: &[u8]) -> usize {
    let start = payload.get(..LOOKED_AT).unwrap_or(payload);
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    if payload.len() < LEAST_BYTES || !start.iter().all(base64) {
        return payload.len();
    }
    if payload.starts_with(PDF) {
        return payload.len() / PDF_SHARE;
    }
    (payload.len() / PICTURE_SHARE).min(PICTURE_BYTES)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_payloads_shrink() {
        let picture =
            |bytes: usize| -> String { "iVBORw0KGgo+".chars().cycle().take(bytes).collect() };
        for (data, counted) in [
            (picture(1000), 1000),
            (picture(8000), 1000),
            (picture(1_000_000), 4000),
            (format!("JVBERi0{}", "x".repeat(159_993)), 10_000),
            ("some prose, ".repeat(1000), 12_000),
            (String::new(), 0),
        ] {
            for colon in [":", " : "] {
                let body = format!(r#"{{"source":{{"data"{colon}"{data}"}},"text":"\"data\""}}"#);
                let rest = body.len() - data.len();
                assert_eq!(countable_bytes(body.as_bytes()), (rest + counted) as u64);
            }
        }
        assert_eq!(countable_bytes(br#"{"data":7,"data":"#), 17);
    }

    proptest! {
        #[test]
        fn it_never_grows(body in prop::collection::vec(prop_oneof![
            Just(b"\"data\"".to_vec()), Just(b":\"".to_vec()), Just(b"\"".to_vec()), Just(vec![b'A'; 2000]),
            prop::collection::vec(any::<u8>(), 0..9)], 0..30)) {
            let body = body.concat();
            prop_assert!(countable_bytes(&body) <= body.len() as u64);
        }
    }
}
