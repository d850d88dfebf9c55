//! Claude on Google's Vertex AI: `rawPredict` and `streamRawPredict`.
//!
//! In: an inbound request. Out: the model in the path, the version in the body, the betas in their
//! header; every other byte as it came. Answers are Anthropic's own. It has no lists of models, no
//! batches and no files.
//!
//! Source: the official SDKs' Vertex clients, and Google's pages on partner models (read
//! 2026-11-22).

use std::time::Duration;

use http::header::AUTHORIZATION;
use relay_core::capability::Capability;
use relay_core::credential::UpstreamCredential;
use relay_core::error::RelayError;
use relay_core::headers;
use relay_core::provider::{Changes, Encoded, Provider, Translation};
use relay_core::refusal::Refusal;
use relay_core::request::{Endpoint, Inbound};

use crate::betas;
use crate::compatible::{ANTHROPIC_VERSION, edits, header_value, sent_name, set_bearer};
use crate::errors::Vendor;
use crate::fields::{has, in_order, put};
use crate::lacks::lacks;
use crate::splice::splice;
use crate::trim::{set_betas, trim};
use crate::version::BodyVersion;

/// Vertex's own name for the first version of the API.
pub const VERSION: &str = "vertex-2023-10-16";

/// One project in one region.
#[derive(Debug, Clone)]
pub struct Vertex {
    /// What stands before `/projects/` in its URL's path: `/v1`.
    pub path_prefix: Box<str>,
    /// The project's id.
    pub project: Box<str>,
    /// A region, `us`, `eu` or `global`.
    pub location: Box<str>,
    /// What stands before the name of each model.
    pub model_prefix: Box<str>,
    /// Which version its body names.
    pub version: BodyVersion,
    /// Whether it counts tokens.
    pub counts_tokens: bool,
}

/// Returns the base URL of a location.
pub fn base_url(location: &str) -> String {
    match location {
        "global" => "https://aiplatform.googleapis.com/v1".to_owned(),
        "us" | "eu" => format!("https://aiplatform.{location}.rep.googleapis.com/v1"),
        region => format!("https://{region}-aiplatform.googleapis.com/v1"),
    }
}

impl Vertex {
    fn path(&self, request: &Inbound, model: &str) -> Box<str> {
        let (model, method) = match request.endpoint {
            Endpoint::CountTokens => ("count-tokens".to_owned(), "rawPredict"),
            Endpoint::Messages | Endpoint::Models | Endpoint::Passthrough
                if request.facts.stream =>
            {
                (segment(model), "streamRawPredict")
            }
            Endpoint::Messages | Endpoint::Models | Endpoint::Passthrough => {
                (segment(model), "rawPredict")
            }
        };
        let Self {
            path_prefix,
            project,
            location,
            ..
        } = self;
        format!("{path_prefix}/projects/{project}/locations/{location}/publishers/anthropic/models/{model}:{method}").into()
    }
}

impl Provider for Vertex {
    fn encode(
        &self,
        mut request: Inbound,
        credential: &UpstreamCredential,
        changes: &Changes<'_>,
    ) -> Result<Encoded, RelayError> {
        let body = request.body.clone();
        let from = &mut request.head.headers;
        let counts = request.endpoint == Endpoint::CountTokens;
        let also: &[&str] = if counts { &[] } else { &["model"] };
        let trimmed = trim(&betas::VERTEX, &body, from, (changes.without, also));
        set_betas(from, &trimmed.betas);
        let version = self.version.json(from);
        from.remove(ANTHROPIC_VERSION);
        let (mut all, thinking_removed) = edits(&request, changes, &self.model_prefix);
        let asked = request.facts.model.as_ref().map(|field| &field.name);
        let model = changes.model.or(asked).ok_or(RelayError::NoModel)?;
        if !counts {
            let named = request.facts.model.as_ref().map(|field| field.span.clone());
            all.retain(|edit| Some(&edit.range) != named.as_ref());
        }
        if !has(&body, "anthropic_version") {
            all.extend(put(&body, "anthropic_version", &version));
        }
        all.extend(trimmed.edits);
        let body = splice(&body, &in_order(all))
            .map_err(|_| RelayError::Internal("an edit's place in the body is wrong"))?;
        let model = sent_name(model.as_str(), &self.model_prefix);
        let path_and_query = self.path(&request, &model);
        let mut headers = headers::for_upstream(request.head.headers, credential);
        if let UpstreamCredential::Relay(key) = credential {
            headers.insert(AUTHORIZATION, header_value(key, "Bearer ")?);
        }
        Ok(Encoded {
            method: request.head.method,
            path_and_query,
            headers,
            body,
            body_sha256: None,
            thinking_removed,
            removed: trimmed.removed,
        })
    }

    fn sign(
        &self,
        encoded: &mut Encoded,
        credential: &UpstreamCredential,
        _unix: Duration,
    ) -> Result<(), RelayError> {
        set_bearer(&mut encoded.headers, credential)
    }

    fn translate(&self, refusal: &Refusal<'_>) -> Option<Translation> {
        Vendor::Google.translate(refusal)
    }

    fn lacks(&self, refusal: &Refusal<'_>) -> Option<Capability> {
        lacks(refusal)
    }

    fn reads_refusals(&self) -> bool {
        true
    }

    fn has(&self, endpoint: Endpoint) -> bool {
        match endpoint {
            Endpoint::Messages => true,
            Endpoint::CountTokens => self.counts_tokens,
            Endpoint::Models | Endpoint::Passthrough => false,
        }
    }

    fn probe(&self) -> Option<&str> {
        None
    }
}

/// Writes a model's name as one segment of a path. `@` and `:` may stand in one (RFC 3986 §3.3);
/// what is neither plain nor these is escaped.
pub(crate) fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend([byte >> 4, byte & 15].map(hex_digit));
        }
    }
    out
}

fn hex_digit(value: u8) -> char {
    char::from_digit(value.into(), 16).map_or('0', |digit| digit.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use relay_core::request::ModelName;
    use relay_core::scan::scan;
    use relay_core::secret::Secret;

    use super::*;

    fn encoded(endpoint: Endpoint, body: &'static str, model: &str) -> Encoded {
        let request = http::Request::post("/v1/messages?beta=true")
            .header("anthropic-version", "2023-06-01")
            .header(
                "anthropic-beta",
                "fast-mode-2026-02-01,context-management-2025-06-27",
            );
        let (head, ()) = request.body(()).unwrap().into_parts();
        let inbound = Inbound {
            head,
            endpoint,
            path_and_query: "/v1/messages?beta=true".into(),
            body: Bytes::from_static(body.as_bytes()),
            facts: scan(body.as_bytes()).unwrap(),
        };
        let vertex = Vertex {
            path_prefix: "/v1".into(),
            project: "p-1".into(),
            location: "us-east5".into(),
            model_prefix: "".into(),
            version: BodyVersion::Is(VERSION.into()),
            counts_tokens: true,
        };
        let model = ModelName::new(model);
        let changes = Changes {
            model: Some(&model),
            ..Changes::default()
        };
        let key = UpstreamCredential::Relay(Secret::new("token"));
        vertex.encode(inbound, &key, &changes).unwrap()
    }

    #[test]
    fn a_turn_has_its_model_in_the_path_and_its_version_in_the_body() {
        let body = r#"{"model":"opus","speed":"fast","context_management":{},"stream":true,"messages":[]}"#;
        let said = encoded(Endpoint::Messages, body, "claude-opus-4@20250514");
        assert_eq!(
            &*said.path_and_query,
            "/v1/projects/p-1/locations/us-east5/publishers/anthropic/models/claude-opus-4@20250514:streamRawPredict"
        );
        assert_eq!(
            said.body,
            r#"{"anthropic_version":"vertex-2023-10-16","context_management":{},"stream":true,"messages":[]}"#
        );
        assert_eq!(
            said.headers["anthropic-beta"],
            "context-management-2025-06-27"
        );
        assert_eq!(said.headers[AUTHORIZATION], "Bearer token");
        assert!(!said.headers.contains_key("anthropic-version"));
    }

    #[test]
    fn the_bodys_own_version_stays() {
        let body = r#"{"messages":[],"anthropic_version":"2026-10-21","model":"a;b"}"#;
        let said = encoded(Endpoint::Messages, body, "a;b");
        assert_eq!(
            said.body,
            r#"{"messages":[],"anthropic_version":"2026-10-21"}"#
        );
        assert!(said.path_and_query.ends_with("/models/a%3Bb:rawPredict"));
    }

    #[test]
    fn neighbours_at_the_end_go_together() {
        let body = r#"{"messages":[],"model":"m","service_tier":"auto"}"#;
        let said = encoded(Endpoint::Messages, body, "m");
        let expected = r#"{"anthropic_version":"vertex-2023-10-16","messages":[]}"#;
        assert_eq!(said.body, expected);
    }

    #[test]
    fn counting_keeps_the_model_in_the_body() {
        let said = encoded(
            Endpoint::CountTokens,
            r#"{"model":"opus","messages":[]}"#,
            "claude-x",
        );
        assert!(
            said.path_and_query
                .ends_with("/models/count-tokens:rawPredict")
        );
        assert!(
            std::str::from_utf8(&said.body)
                .unwrap()
                .contains(r#""model":"claude-x""#)
        );
    }

    #[test]
    fn hosts() {
        assert_eq!(base_url("global"), "https://aiplatform.googleapis.com/v1");
        assert_eq!(
            base_url("eu"),
            "https://aiplatform.eu.rep.googleapis.com/v1"
        );
        assert_eq!(
            base_url("us-east5"),
            "https://us-east5-aiplatform.googleapis.com/v1"
        );
    }
}
