//! Puts a text where the terminal pastes from: OSC 52, which also works over ssh.
//!
//! In: a text. Out: what the terminal is told. The alphabet is that of RFC 4648, section 4.

use base64_simd::STANDARD;

/// Returns what tells the terminal to keep a text.
pub(crate) fn copy(text: &str) -> String {
    format!("\u{1b}]52;c;{}\u{7}", STANDARD.encode_to_string(text))
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
            assert_eq!(copy(text), format!("\u{1b}]52;c;{coded}\u{7}"));
        }
    }
}
