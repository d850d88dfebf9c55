//! Which headers go on.
//!
//! In: the headers of one side. Out: those for the other. It is a list of what stays behind, never
//! of what may pass: an unknown header passes, each of its lines, in order.
//!
//! Hop-by-hop: RFC 9110 §7.6.1 and the older list of RFC 2616 §13.5.1.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::credential::{OwnCredential, UpstreamCredential, X_API_KEY};
use crate::project;

/// Where the SDKs for Foundry say the key once more.
const API_KEY: HeaderName = HeaderName::from_static("api-key");
/// Said to the relay alone.
const PROJECT: HeaderName = HeaderName::from_static(project::HEADER);
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Headers that belong to one connection only.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
];

/// Returns a client's headers as those for the upstream: end-to-end ones stay as they came, in
/// their order; `host`, `content-length` and `expect` go, since they belong to the relay's own
/// message, and the project's name, which is for the relay; and so does every credential that is not decided to be the client's own.
pub fn for_upstream(mut from: HeaderMap, credential: &UpstreamCredential) -> HeaderMap {
    let own = match credential {
        UpstreamCredential::Client(own) => *own,
        UpstreamCredential::Relay(_)
        | UpstreamCredential::Identity(_)
        | UpstreamCredential::Issued(_)
        | UpstreamCredential::Nothing => OwnCredential::default(),
    };
    let listed = listed(&from);
    let stays = |name: &HeaderName| {
        let replaced = *name == header::HOST
            || *name == header::CONTENT_LENGTH
            || *name == header::EXPECT
            || *name == PROJECT
            || ((*name == X_API_KEY || *name == API_KEY) && !own.api_key)
            || (*name == header::AUTHORIZATION && !own.authorization);
        !replaced && !HOP_BY_HOP.contains(name) && !listed.contains(name)
    };
    keep(&mut from, stays)
}

/// Returns the headers that stay, in their order. Removing the others from the map instead would
/// move its last header into each gap.
fn keep(from: &mut HeaderMap, stays: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let mut to = HeaderMap::with_capacity(from.len().saturating_add(2));
    let mut name = None;
    for (next, value) in from.drain() {
        // A further line of the same name comes without it.
        name = next.or(name);
        if let Some(name) = name.as_ref().filter(|name| stays(name)) {
            to.append(name, value);
        }
    }
    to
}

/// Removes what belongs to the connection that the headers came on.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let listed = listed(headers);
    *headers = keep(headers, |name| {
        !HOP_BY_HOP.contains(name) && !listed.contains(name)
    });
}

/// Returns the header names that `connection` lists, as far as they may be listed there: a
/// credential is decided about elsewhere, and what the API is told is end-to-end by its meaning.
fn listed(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter();
    let tokens = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    let names = tokens.map(str::trim).filter(|token| {
        !token.eq_ignore_ascii_case("keep-alive") && !token.eq_ignore_ascii_case("close")
    });
    names
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        .take(16)
        .collect()
}

/// Makes the headers of an event stream say that no cache or proxy behind may hold it back.
pub fn forbid_buffering(headers: &mut HeaderMap) {
    const NO_TRANSFORM: HeaderValue = HeaderValue::from_static("no-cache, no-transform");
    let says_no_transform = |value: &HeaderValue| {
        value
            .to_str()
            .is_ok_and(|text| text.contains("no-transform"))
    };
    if !headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .any(says_no_transform)
    {
        headers.insert(header::CACHE_CONTROL, NO_TRANSFORM);
    }
    let buffering = HeaderName::from_static("x-accel-buffering");
    headers
        .entry(buffering)
        .or_insert(HeaderValue::from_static("no"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn lines(headers: &HeaderMap) -> Vec<(String, String)> {
        headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect()
    }

    #[test]
    fn end_to_end_headers_pass_repeated_lines_included() {
        let from = map(&[
            ("host", "127.0.0.1"),
            ("anthropic-beta", "a,b"),
            ("anthropic-beta", "c"),
            ("x-claude-code-session-id", "s"),
            ("x-cc-relay-project", "shop"),
            ("connection", "keep-alive, x-hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("content-length", "12"),
            ("x-api-key", "relay"),
            ("authorization", "Bearer relay"),
            ("accept-encoding", "gzip, br"),
        ]);
        let to = for_upstream(from, &UpstreamCredential::Relay(Secret::new("k")));
        let expected = [
            ("anthropic-beta", "a,b"),
            ("anthropic-beta", "c"),
            ("x-claude-code-session-id", "s"),
            ("accept-encoding", "gzip, br"),
        ];
        assert_eq!(
            lines(&to),
            expected.map(|(n, v)| (n.to_owned(), v.to_owned()))
        );
    }

    #[test]
    fn the_clients_own_credential_passes_where_it_is_decided_so() {
        let from = map(&[("x-api-key", "relay"), ("authorization", "Bearer own")]);
        let own = OwnCredential {
            api_key: false,
            authorization: true,
        };
        let to = for_upstream(from, &UpstreamCredential::Client(own));
        assert_eq!(
            lines(&to),
            [("authorization".to_owned(), "Bearer own".to_owned())]
        );
    }

    #[test]
    fn a_response_keeps_what_is_end_to_end() {
        let mut headers = map(&[
            ("request-id", "req_1"),
            ("transfer-encoding", "chunked"),
            ("connection", "close"),
            ("retry-after", "3"),
            ("anthropic-ratelimit-unified-5h-status", "allowed"),
        ]);
        strip_hop_by_hop(&mut headers);
        let names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        let limit = "anthropic-ratelimit-unified-5h-status";
        assert_eq!(names, ["request-id", "retry-after", limit]);
    }

    #[test]
    fn a_stream_says_that_it_must_not_be_buffered() {
        let mut headers = map(&[("cache-control", "no-cache")]);
        forbid_buffering(&mut headers);
        assert_eq!(headers["cache-control"], "no-cache, no-transform");
        assert_eq!(headers["x-accel-buffering"], "no");
    }
}
