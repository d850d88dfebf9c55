//! Parses an HTTP/1.1 request head. In: its bytes; out: method, target and headers as they stood.
//! Must never reorder, rename or drop a header.

use http::Version;

/// A parsed request head.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: Version,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl RequestHead {
    pub(crate) fn find(&self, name: &str) -> Option<&[u8]> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_slice())
    }

    pub(crate) fn says(&self, name: &str, word: &str) -> bool {
        let value = self
            .find(name)
            .and_then(|value| std::str::from_utf8(value).ok());
        value.is_some_and(|value| {
            value
                .split(',')
                .any(|w| w.trim().eq_ignore_ascii_case(word))
        })
    }

    pub(crate) fn keeps_alive(&self) -> bool {
        if self.version == Version::HTTP_10 {
            self.says("connection", "keep-alive")
        } else {
            !self.says("connection", "close")
        }
    }
}

/// Parses a head (RFC 9112), or returns `None` if it is none.
pub(crate) fn parse_head(bytes: &[u8]) -> Option<RequestHead> {
    let mut lines = bytes
        .split(|byte| *byte == b'\n')
        .map(|l| l.strip_suffix(b"\r").unwrap_or(l));
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let mut words = first.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let version = match version {
        "HTTP/1.1" => Version::HTTP_11,
        "HTTP/1.0" => Version::HTTP_10,
        _ => return None,
    };
    let mut headers = Vec::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = std::str::from_utf8(line.get(..colon)?).ok()?;
        let value = line.get(colon.saturating_add(1)..)?;
        headers.push((name.to_owned(), value.trim_ascii().to_vec()));
    }
    Some(RequestHead {
        method: method.to_owned(),
        target: origin_form(target).to_owned(),
        version,
        headers,
    })
}

/// Strips scheme and authority, which a client sends to what it takes for a forward proxy.
fn origin_form(target: &str) -> &str {
    let Some((_, rest)) = target.split_once("://") else {
        return target;
    };
    if target.starts_with('/') {
        return target;
    }
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
}
