//! Upstreams that speak Anthropic's Messages API as it is.
//!
//! In: an inbound request. Out: the same path, headers and bytes, with the decided credential and,
//! where the config maps the model, that one value replaced.

use http::header::{AUTHORIZATION, HeaderValue};
use relay_core::credential::{UpstreamCredential, X_API_KEY};
use relay_core::error::RelayError;
use relay_core::headers;
use relay_core::provider::{Encoded, Provider};
use relay_core::request::{Inbound, ModelName};
use relay_core::secret::Secret;

use crate::splice::{Edit, splice};

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
    /// Model names: what a client asks for, and what the upstream is asked for.
    pub model_mapping: Vec<(ModelName, ModelName)>,
}

impl Provider for Compatible {
    fn encode(
        &self,
        request: Inbound,
        credential: &UpstreamCredential,
    ) -> Result<Encoded, RelayError> {
        let body = match self.edit(&request) {
            Some(edit) => splice(&request.body, &[edit])
                .map_err(|_| RelayError::Internal("the model's place in the body is wrong"))?,
            None => request.body,
        };
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
        })
    }
}

impl Compatible {
    /// Returns the replacement of the model, if it is mapped.
    fn edit(&self, request: &Inbound) -> Option<Edit> {
        let field = request.facts.model.as_ref()?;
        let (_, to) = self
            .model_mapping
            .iter()
            .find(|(from, _)| *from == field.name)?;
        let with = serde_json::to_vec(to.as_str()).ok()?;
        Some(Edit {
            range: field.span.clone(),
            with,
        })
    }
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
    use relay_core::request::Endpoint;
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
        let model_mapping = vec![(ModelName::new("opus"), ModelName::new("claude-opus-5-5"))];
        Compatible {
            path_prefix: prefix.into(),
            key_header,
            model_mapping,
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
            .encode(request.clone(), &own)
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
            .encode(request.clone(), &key)
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
                .encode(inbound(b"{}"), &key)
                .is_err()
        );
    }
}
