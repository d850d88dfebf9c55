//! Addresses and URLs as a file writes them.
//!
//! In: a text after expansion. Out: a socket address or a plain URL, or why it is none, in words
//! that do not repeat the text (a URL may hold a password). It must never resolve a name.

use std::net::{Ipv4Addr, SocketAddr};

/// A URL that was found good.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PlainUrl {
    /// The URL, without a slash at its end.
    pub(super) text: String,
    /// Whether it is `http` to another machine, where all can read along.
    pub(super) in_the_clear: bool,
}

/// Reads an address to listen on. `localhost` is 127.0.0.1; other names are refused, as they may
/// mean several addresses.
pub(super) fn listen(text: &str) -> Option<SocketAddr> {
    if let Some(port) = text.strip_prefix("localhost:") {
        return Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().ok()?)));
    }
    text.parse().ok()
}

/// Reads the base URL of an upstream.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn base_url(text: &str) -> Result<PlainUrl, &'static str> {
    if text.contains(['?', '#']) {
        return Err("a query or fragment has no place in it");
    }
    let uri: http::Uri = text.parse().map_err(|_| "this is no URL")?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("it must begin with http:// or https://");
    };
    if scheme != "http" && scheme != "https" {
        return Err("it must begin with http:// or https://");
    }
    if authority.as_str().contains('@') {
        return Err("user and password have no place in it");
    }
    if !good_port(authority.as_str(), authority.host(), authority.port_u16()) {
        return Err("the port must be 1 to 65535");
    }
    Ok(PlainUrl {
        text: text.trim_end_matches('/').to_owned(),
        in_the_clear: scheme == "http" && !is_loopback(authority.host()),
    })
}

/// Reads the URL of an HTTP proxy, which may hold user and password.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn proxy_url(text: &str) -> Result<String, &'static str> {
    let uri: http::Uri = text.parse().map_err(|_| "this is no URL")?;
    let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("a proxy is spoken to over http://");
    };
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err("a path or query has no place in it");
    }
    let place = authority.as_str().rsplit('@').next().unwrap_or_default();
    if !good_port(place, authority.host(), authority.port_u16()) {
        return Err("the port must be 1 to 65535");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn good_port(authority: &str, host: &str, port: Option<u16>) -> bool {
    !host.is_empty() && (authority == host || port.is_some_and(|port| port > 0))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_takes_addresses_and_localhost() {
        for text in ["127.0.0.1:8787", "[::1]:0", "0.0.0.0:80", "localhost:9"] {
            assert!(listen(text).is_some(), "{text}");
        }
        for text in [
            "",
            ":8787",
            "8787",
            "example.com:80",
            "localhost",
            "1.2.3.4:70000",
        ] {
            assert!(listen(text).is_none(), "{text}");
        }
    }

    #[test]
    fn base_urls() {
        let good = [
            (
                "https://api.anthropic.com/",
                "https://api.anthropic.com",
                false,
            ),
            ("http://127.0.0.1:9/v/", "http://127.0.0.1:9/v", false),
            ("http://[::1]:9", "http://[::1]:9", false),
            ("http://localhost", "http://localhost", false),
            ("http://example.com", "http://example.com", true),
        ];
        for (text, want, in_the_clear) in good {
            let want = PlainUrl {
                text: want.to_owned(),
                in_the_clear,
            };
            assert_eq!(base_url(text), Ok(want), "{text}");
        }
        let bad = [
            "",
            "api.anthropic.com",
            "ftp://x",
            "https://",
            "https://h?q=1",
            "https://h#f",
            "https://u:p@h",
            "https://h:0",
            "https://h:99999",
            "https://h:",
            "https://a b",
            "/path",
        ];
        for text in bad {
            assert!(base_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn proxy_urls() {
        assert_eq!(
            proxy_url("http://u:p@h:3128/"),
            Ok("http://u:p@h:3128".to_owned())
        );
        assert_eq!(proxy_url("http://h"), Ok("http://h".to_owned()));
        for text in [
            "https://h",
            "http://h/p",
            "http://h?q",
            "h:1",
            "http://h:0",
            "http://u@h:",
        ] {
            assert!(proxy_url(text).is_err(), "{text}");
        }
    }
}
