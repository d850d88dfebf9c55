//! Upstreams that speak Anthropic's Messages API as it is.
//!
//! In: an inbound request. Out: the same path, headers and bytes, with the decided credential and,
//! where routing says so, the model's name replaced and another vendor's thinking taken out.

use http::header::{AUTHORIZATION, HeaderValue};
use relay_core::credential::{UpstreamCredential, X_API_KEY};
use relay_core::error::RelayError;
use relay_core::headers;
use relay_core::provider::{Changes, Encoded, Provider};
use relay_core::request::Inbound;
use relay_core::secret::Secret;

use crate::splice::{Edit, splice};
use crate::thinking::strip_thinking;

/// How an upstream wants the relay's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyHeader {
    /// `x-api-key: KEY`.
    ApiKey,
    /// `authorization: Bearer KEY`.
    Bearer,
}

/// An upstream that speaks the Messages API.
#[derive(Debug, Clone)]
pub struct Compatible {
    /// What stands before `/v1/…` in its URL's path: empty, or `/gateway/anthropic`.
    pub path_prefix: Box<str>,
    /// Where its key goes.
    pub key_header: KeyHeader,
}

impl Provider for Compatible {
    fn encode(
        &self,
        request: Inbound,
        credential: &UpstreamCredential,
        changes: &Changes<'_>,
    ) -> Result<Encoded, RelayError> {
        let (edits, thinking_removed) = edits(&request, changes);
        let body = splice(&request.body, &edits)
            .map_err(|_| RelayError::Internal("an edit's place in the body is wrong"))?;
        let mut headers = headers::for_upstream(request.head.headers, credential);
        if let UpstreamCredential::Relay(key) = credential {
            let (name, value) = match self.key_header {
                KeyHeader::ApiKey => (X_API_KEY, header_value(key, "")?),
                KeyHeader::Bearer => (AUTHORIZATION, header_value(key, "Bearer ")?),
            };
            headers.insert(name, value);
        }
        let path_and_query = if self.path_prefix.is_empty() {
            request.path_and_query
        } else {
            format!("{}{}", self.path_prefix, request.path_and_query).into()
        };
        Ok(Encoded {
            method: request.head.method,
            path_and_query,
            headers,
            body,
            body_sha256: None,
            thinking_removed,
            removed: Vec::new(),
        })
    }
}

/// Returns the edits of the body in order, and how many blocks of thinking they take out.
fn edits(request: &Inbound, changes: &Changes<'_>) -> (Vec<Edit>, usize) {
    let facts = &request.facts;
    let mut edits = Vec::new();
    let mut removed = 0;
    if changes.strips_thinking
        && let Some(messages) = facts.messages.clone()
        && let Some((stripped, count)) = strip_thinking(&request.body, messages)
    {
        edits = stripped;
        removed = count;
    }
    if let Some(field) = &facts.model
        && let Some(name) = changes.model.filter(|name| **name != field.name)
        && let Ok(with) = serde_json::to_vec(name.as_str())
    {
        edits.push(Edit {
            range: field.span.clone(),
            with,
        });
        edits.sort_by_key(|edit| edit.range.start);
    }
    (edits, removed)
}

fn header_value(key: &Secret, scheme: &str) -> Result<HeaderValue, RelayError> {
    let text = format!("{scheme}{}", key.expose());
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| RelayError::Internal("a key has characters that no header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use relay_core::credential::OwnCredential;
    use relay_core::request::{Endpoint, ModelName};
    use relay_core::scan::scan;

    use super::*;

    fn inbound(body: &'static [u8]) -> Inbound {
        let request = http::Request::post("/v1/messages?beta=true")
            .header("x-api-key", "relay-key")
            .header("anthropic-beta", "b");
        let (head, ()) = request.body(()).unwrap().into_parts();
        Inbound {
            head,
            endpoint: Endpoint::Messages,
            path_and_query: "/v1/messages?beta=true".into(),
            body: Bytes::from_static(body),
            facts: scan(body).unwrap(),
        }
    }

    fn upstream(prefix: &str, key_header: KeyHeader) -> Compatible {
        Compatible {
            path_prefix: prefix.into(),
            key_header,
        }
    }

    fn named(model: &ModelName) -> Changes<'_> {
        Changes {
            model: Some(model),
            ..Changes::default()
        }
    }

    #[test]
    fn an_unmapped_body_is_the_very_same_bytes() {
        let request = inbound(br#"{ "model" : "sonnet" , "x":[1.0e3] }"#);
        let own = UpstreamCredential::Client(OwnCredential {
            api_key: true,
            authorization: false,
        });
        let encoded = upstream("", KeyHeader::ApiKey)
            .encode(request.clone(), &own, &named(&ModelName::new("sonnet")))
            .unwrap();
        assert_eq!(encoded.body.as_ptr(), request.body.as_ptr());
        assert_eq!(encoded.path_and_query, request.path_and_query);
        assert_eq!(encoded.headers[X_API_KEY], "relay-key");
    }

    #[test]
    fn a_mapped_model_is_the_only_change() {
        let request = inbound(br#"{ "x":"opus", "model" : "opus" , "y":{} }"#);
        let key = UpstreamCredential::Relay(Secret::new("sk-up"));
        let encoded = upstream("/gw", KeyHeader::Bearer)
            .encode(
                request.clone(),
                &key,
                &named(&ModelName::new("claude-opus-5-5")),
            )
            .unwrap();
        assert_eq!(
            &encoded.body[..],
            br#"{ "x":"opus", "model" : "claude-opus-5-5" , "y":{} }"#
        );
        assert_eq!(&*encoded.path_and_query, "/gw/v1/messages?beta=true");
        assert_eq!(encoded.headers[AUTHORIZATION], "Bearer sk-up");
        assert!(!encoded.headers.contains_key(X_API_KEY));
        assert!(encoded.headers[AUTHORIZATION].is_sensitive());
    }

    #[test]
    fn a_key_that_no_header_can_carry_fails_the_attempt() {
        let key = UpstreamCredential::Relay(Secret::new("line\nbreak"));
        assert!(
            upstream("", KeyHeader::ApiKey)
                .encode(inbound(b"{}"), &key, &Changes::default())
                .is_err()
        );
    }
}
