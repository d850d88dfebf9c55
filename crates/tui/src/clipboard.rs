//! Puts a text where the terminal pastes from: OSC 52, which also works over ssh.
//!
//! In: a text. Out: what the terminal is told. The alphabet is that of RFC 4648, section 4.

/// The letters of base64, by their value.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Returns what tells the terminal to keep a text.
pub(crate) fn copy(text: &str) -> String {
    format!("\u{1b}]52;c;{}\u{7}", base64(text.as_bytes()))
}

fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for part in bytes.chunks(3) {
        let byte = |place: usize| u32::from(part.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            // Three bytes are four letters; those of bytes that are not there are filled up.
            let value = usize::try_from(bits >> shift & 63).unwrap_or(0);
            let letter = ALPHABET.get(value).copied().unwrap_or(b'=');
            out.push(if place <= part.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648() {
        for (text, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), coded);
        }
        assert_eq!(copy("f"), "\u{1b}]52;c;Zg==\u{7}");
    }
}
