//! Which endpoint a path means.
//!
//! In: method and path. Out: an endpoint of the relay's own, or one of the API's with the path that
//! the upstream is asked for. A prefix before `/v1/` is tolerated, since people set base URLs with
//! paths, and with `/v1` at their end.

use http::{Method, Uri};
use relay_core::error::RelayError;
use relay_core::request::Endpoint;

/// Where a request leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// Answered by the relay itself.
    Local(Local),
    /// Sent on; with path and query for the upstream.
    Upstream(Endpoint, Box<str>),
}

/// An endpoint of the relay's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Local {
    /// `/` and `/api/hello`: Claude Code warms its connection with them.
    Hello,
    /// `/health`: state and counters.
    Health,
    /// `/config`: the settings in force, and where sessions live.
    Config,
    /// `/v1/providers`: where requests can go.
    Providers,
    /// `/livez`: the process answers.
    Live,
    /// `/readyz`: it takes requests.
    Ready,
}

/// Finds the route.
pub(crate) fn route(method: &Method, uri: &Uri) -> Result<Route, RelayError> {
    let path = uri.path();
    if let Some(local) = local(path) {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        return if reads {
            Ok(Route::Local(local))
        } else {
            Err(RelayError::MethodNotAllowed)
        };
    }
    let path = api_path(path)
        .filter(|path| !climbs(path))
        .ok_or(RelayError::NotFound)?;
    let endpoint = endpoint(path);
    let fits = match endpoint {
        Endpoint::Messages | Endpoint::CountTokens => *method == Method::POST,
        Endpoint::Models => matches!(*method, Method::GET | Method::HEAD),
        Endpoint::Passthrough => *method != Method::CONNECT,
    };
    if !fits {
        return Err(RelayError::MethodNotAllowed);
    }
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}").into(),
        None => path.into(),
    };
    Ok(Route::Upstream(endpoint, path_and_query))
}

fn local(path: &str) -> Option<Local> {
    match path {
        "/" | "/api/hello" => Some(Local::Hello),
        "/health" => Some(Local::Health),
        "/config" => Some(Local::Config),
        "/v1/providers" => Some(Local::Providers),
        "/livez" => Some(Local::Live),
        "/readyz" => Some(Local::Ready),
        _ if path.ends_with("/api/hello") => Some(Local::Hello),
        _ => None,
    }
}

/// Returns the path from `/v1/` on. A doubled `/v1/v1/` comes from a base URL that ends in `/v1`.
fn api_path(path: &str) -> Option<&str> {
    let mut path = path.get(path.find("/v1/")?..)?;
    while let Some(rest) = path
        .strip_prefix("/v1")
        .filter(|rest| rest.starts_with("/v1/"))
    {
        path = rest;
    }
    Some(path)
}

/// Tells whether a path has segments that lead up, in any spelling that an upstream may decode: with
/// the relay's key nobody may leave the prefix that is configured for it.
fn climbs(path: &str) -> bool {
    if !path.contains('.') && !path.contains('%') {
        return false;
    }
    let plain = path.to_ascii_lowercase().replace("%2e", ".");
    let plain = plain.replace("%2f", "/").replace("%5c", "/");
    plain
        .split(['/', '\\'])
        .any(|segment| matches!(segment, "." | ".."))
}

fn endpoint(path: &str) -> Endpoint {
    match path {
        "/v1/messages" => Endpoint::Messages,
        "/v1/messages/count_tokens" => Endpoint::CountTokens,
        "/v1/models" => Endpoint::Models,
        _ if path
            .strip_prefix("/v1/models/")
            .is_some_and(|id| !id.is_empty()) =>
        {
            Endpoint::Models
        }
        _ => Endpoint::Passthrough,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(method: &Method, uri: &'static str) -> Option<(Endpoint, String)> {
        match route(method, &Uri::from_static(uri)) {
            Ok(Route::Upstream(endpoint, path)) => Some((endpoint, path.into())),
            _ => None,
        }
    }

    #[test]
    fn paths_find_their_endpoint() {
        let table = [
            ("/v1/messages", Endpoint::Messages, "/v1/messages"),
            (
                "/v1/messages?beta=true",
                Endpoint::Messages,
                "/v1/messages?beta=true",
            ),
            (
                "/some/prefix/v1/messages?beta=true",
                Endpoint::Messages,
                "/v1/messages?beta=true",
            ),
            ("/v1/v1/messages", Endpoint::Messages, "/v1/messages"),
            (
                "/v1/messages/count_tokens?beta=true",
                Endpoint::CountTokens,
                "/v1/messages/count_tokens?beta=true",
            ),
            (
                "/v1/messages/batches",
                Endpoint::Passthrough,
                "/v1/messages/batches",
            ),
            (
                "/v1/files/file_1/content",
                Endpoint::Passthrough,
                "/v1/files/file_1/content",
            ),
        ];
        for (uri, endpoint, path) in table {
            assert_eq!(
                upstream(&Method::POST, uri),
                Some((endpoint, path.to_owned())),
                "{uri}"
            );
        }
        assert_eq!(
            upstream(&Method::GET, "/v1/models/claude-opus-5-5?x=1"),
            Some((
                Endpoint::Models,
                "/v1/models/claude-opus-5-5?x=1".to_owned()
            ))
        );
    }

    #[test]
    fn the_relays_own_paths_only_read() {
        for (path, local) in [
            ("/", Local::Hello),
            ("/api/hello", Local::Hello),
            ("/livez", Local::Live),
        ] {
            assert_eq!(
                route(&Method::HEAD, &Uri::from_static(path)),
                Ok(Route::Local(local))
            );
            assert_eq!(
                route(&Method::POST, &Uri::from_static(path)),
                Err(RelayError::MethodNotAllowed)
            );
        }
    }

    #[test]
    fn what_is_neither_is_not_found() {
        for uri in ["/v2/messages", "/messages", "/v1", "/favicon.ico"] {
            assert_eq!(
                route(&Method::GET, &Uri::from_static(uri)),
                Err(RelayError::NotFound),
                "{uri}"
            );
        }
        assert_eq!(
            route(&Method::GET, &Uri::from_static("/v1/messages")),
            Err(RelayError::MethodNotAllowed)
        );
    }
}
