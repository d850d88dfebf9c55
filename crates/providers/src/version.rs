//! The version of the API, where it stands in the body: the clouds that have their own paths.

use http::HeaderMap;

use crate::compatible::ANTHROPIC_VERSION;

/// Which version the body names, where the client's own body names none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyVersion {
    /// This one: the cloud's own name for the first, or one that the config file says.
    Is(Box<str>),
    /// The client's `anthropic-version`; the other where it sends none.
    Passes(Box<str>),
}

impl BodyVersion {
    /// Returns the member's value as JSON.
    pub(crate) fn json(&self, headers: &HeaderMap) -> String {
        let version = match self {
            Self::Is(version) => version,
            Self::Passes(usual) => {
                let own = headers.get(ANTHROPIC_VERSION);
                own.and_then(|own| own.to_str().ok()).unwrap_or(usual)
            }
        };
        serde_json::Value::from(version).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_own_passes_where_it_may() {
        let mut headers = HeaderMap::new();
        let passes = BodyVersion::Passes("vertex-2023-10-16".into());
        assert_eq!(passes.json(&headers), r#""vertex-2023-10-16""#);
        headers.insert(ANTHROPIC_VERSION, "2026-10-21".parse().unwrap());
        assert_eq!(passes.json(&headers), r#""2026-10-21""#);
        assert_eq!(BodyVersion::Is("x".into()).json(&headers), r#""x""#);
    }
}
