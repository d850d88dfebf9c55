//! What of an exchange is shown in the log, where somebody asks for it.
//!
//! In: header lines and bodies. Out: the same, cut short, with whatever looks like a credential
//! masked.

use http::{HeaderMap, header};

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

/// Returns the start of a body for the log, with whatever looks like a credential masked.
pub(crate) fn shown_body(body: &[u8], limit: usize) -> Box<str> {
    let start = body.get(..limit).unwrap_or(body);
    let text = String::from_utf8_lossy(start);
    let mut shown = String::with_capacity(text.len());
    for (index, part) in text.split("sk-").enumerate() {
        if index == 0 {
            shown.push_str(part);
            continue;
        }
        let end =
            part.find(|letter: char| !(letter.is_ascii_alphanumeric() || "-_".contains(letter)));
        shown.push_str("sk-(masked)");
        shown.push_str(part.get(end.unwrap_or(part.len())..).unwrap_or_default());
    }
    shown.into()
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
