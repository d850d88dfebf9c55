//! What of an exchange is shown in the log, where somebody asks for it.
//!
//! In: header lines and bodies. Out: the same, cut short, with whatever looks like a credential
//! masked.

use http::{HeaderMap, header};
use relay_core::redact::masked;

/// What of an exchange is kept for the log beyond the record.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExhibitOptions {
    /// Keep header lines.
    pub headers: bool,
    /// Keep this many bytes of each body; 0 keeps none.
    pub body_bytes: usize,
    /// Keep how the connection came about.
    pub connection: bool,
}

/// Returns header lines for the log, those that can hold a credential masked.
pub(crate) fn shown_headers(headers: &HeaderMap) -> Vec<(Box<str>, Box<str>)> {
    const SECRET: [&str; 7] = [
        "authorization",
        "x-api-key",
        "api-key",
        "x-amz-security-token",
        "cookie",
        "set-cookie",
        "proxy-authorization",
    ];
    let shown = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
        let value = if SECRET.contains(&name.as_str()) {
            "(masked)".into()
        } else {
            String::from_utf8_lossy(value.as_bytes()).into()
        };
        (name.as_str().into(), value)
    };
    headers.iter().map(shown).collect()
}

/// Bytes beyond what is shown that are looked at: a credential at the edge is known by its whole form.
const EDGE: usize = 256;

/// Returns the start of a body for the log, with whatever looks like a credential masked.
pub(crate) fn shown_body(body: &[u8], limit: usize) -> Box<str> {
    let wider = limit.saturating_add(EDGE);
    let masked = masked(body.get(..wider).unwrap_or(body));
    let start = masked.get(..limit).unwrap_or(&masked);
    String::from_utf8_lossy(start).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_and_headers_are_shown_without_credentials() {
        let shown = shown_body(br#"{"a":"key sk-ant-api03-AbC_1 and sk-2"}"#, 200);
        assert_eq!(&*shown, r#"{"a":"key sk-(masked) and sk-(masked)"}"#);
        assert_eq!(&*shown_body(b"abcdef", 3), "abc");
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", "secret".parse().unwrap());
        headers.insert("x-app", "cli".parse().unwrap());
        let lines = shown_headers(&headers);
        assert!(lines.contains(&("x-api-key".into(), "(masked)".into())));
        assert!(lines.contains(&("x-app".into(), "cli".into())));
    }
}
