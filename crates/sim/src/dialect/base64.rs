//! Base64 (RFC 4648, section 4) as AWS puts it into JSON. In: bytes or text; out: the other.
//! Must never take a text that another alphabet or a missing padding could explain.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Returns the padded text of `bytes`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for at in 0..4_usize {
            let shift = 18_usize.saturating_sub(at.saturating_mul(6));
            let digit = ALPHABET.get(((bits >> shift) & 0x3f) as usize);
            let digit = digit.filter(|_| at <= group.len());
            out.push(digit.map_or('=', |digit| char::from(*digit)));
        }
    }
    out
}

/// Returns the bytes of `text`, or `None` if it is no padded base64.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let groups = text.as_bytes().chunks(4);
    let last = groups.len().checked_sub(1);
    for (number, group) in groups.enumerate() {
        let digits = group.iter().take_while(|byte| **byte != b'=').count();
        let padded = group.get(digits..)?.iter().all(|byte| *byte == b'=');
        let whole = group.len() == 4 && (digits == 4 || Some(number) == last);
        if digits < 2 || !padded || !whole {
            return None;
        }
        let mut bits = 0_u32;
        for byte in group.get(..digits)? {
            let value = ALPHABET.iter().position(|digit| digit == byte)?;
            bits = (bits << 6) | u32::try_from(value).ok()?;
        }
        let missing = 4_usize.saturating_sub(digits);
        bits <<= missing.saturating_mul(6);
        let bytes = bits.to_be_bytes();
        out.extend_from_slice(bytes.get(1..4_usize.saturating_sub(missing))?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decode, encode};

    #[test]
    fn the_vectors_of_rfc_4648_hold() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, text) in vectors {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decode(text), Some(plain.as_bytes().to_vec()));
        }
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in ["Z", "Zg", "Zg=", "Z===", "Zg==Zg==", "Zm9_", "Zm 9", "===="] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back(bytes in any::<Vec<u8>>()) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
    }
}
