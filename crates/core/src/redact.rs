//! Masks what looks like a credential in a text that is shown or kept.
//!
//! In: any bytes. Out: the same bytes, each credential replaced by its kind. It goes by the forms
//! that vendors give their credentials; one without a form of its own cannot be told from a word.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

/// What a masked credential becomes, behind the part that names its kind.
const MASK: &[u8] = b"(masked)";

/// The forms, each with the part that may be shown as a group. Read on 2026-11-30: GitHub "About
/// authentication to GitHub", AWS "Understanding unique ID prefixes", Google "API keys", RFC 7468,
/// RFC 7519, RFC 6750; the forms of `sk-` keys are those of Anthropic and most of its kind.
const FORMS: &str = concat!(
    r"(?-u)",
    r"(\bsk-)[A-Za-z0-9_-]+",
    r"|(\b(?:AKIA|ASIA))[A-Z0-9]{16}\b",
    r"|(\bgh[pousr]_)[A-Za-z0-9]{20,}",
    r"|(\bgithub_pat_)[A-Za-z0-9_]{20,}",
    r"|(\bglpat-)[A-Za-z0-9_-]{20,}",
    r"|(\bxox[a-z]-)[A-Za-z0-9-]{10,}",
    r"|(\bAIza)[A-Za-z0-9_-]{30,}",
    r"|(\bya29\.)[A-Za-z0-9_-]{20,}",
    r"|(\beyJ)[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*",
    r"|(\b[Bb]earer +)[A-Za-z0-9._~+/-]{16,}=*",
    r"|(-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----)[A-Za-z0-9+/=\\\s]*",
);

/// The forms, compiled; `None` never is, as a test holds.
static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(FORMS).ok());

/// Returns the bytes with whatever looks like a credential masked.
pub fn masked(bytes: &[u8]) -> Cow<'_, [u8]> {
    let Some(pattern) = PATTERN.as_ref() else {
        // Rather nothing than a secret.
        return Cow::Borrowed(MASK);
    };
    pattern.replace_all(bytes, |found: &Captures<'_>| {
        let kind = found.iter().skip(1).flatten().next();
        let mut text = kind.map_or_else(Vec::new, |kind| kind.as_bytes().to_vec());
        text.extend_from_slice(MASK);
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        String::from_utf8(masked(text.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn credentials_are_masked_and_their_kind_is_said() {
        let cases = [
            (
                r#"{"a":"key sk-ant-api03-AbC_1 and sk-2"}"#,
                r#"{"a":"key sk-(masked) and sk-(masked)"}"#,
            ),
            ("id AKIAIOSFODNN7EXAMPLE.", "id AKIA(masked)."),
            ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "ghp_(masked)"),
            (
                "Authorization: Bearer abcdefghijklmnop0123==\\n",
                "Authorization: Bearer (masked)\\n",
            ),
            (
                "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN",
                "eyJ(masked)",
            ),
            (
                r"-----BEGIN RSA PRIVATE KEY-----\nMIIE+/ab==\n-----END RSA PRIVATE KEY-----\n ok",
                r"-----BEGIN RSA PRIVATE KEY-----(masked)-----END RSA PRIVATE KEY-----\n ok",
            ),
        ];
        for (text, want) in cases {
            assert_eq!(shown(text), want);
        }
    }

    #[test]
    fn words_stay_as_they_are() {
        let text = "task-oriented, risk-free; a bearer of news, AKIA, ghp_x \u{e9}\u{1f600}";
        assert!(matches!(masked(text.as_bytes()), Cow::Borrowed(_)));
        assert!(matches!(masked(b"\xff\xfe{\"a\":1}"), Cow::Borrowed(_)));
    }
}
