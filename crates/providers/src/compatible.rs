//! Upstreams that speak Anthropic's Messages API, as rows of one table.
//!
//! In: an inbound request. Out: the same path, headers and bytes, with the decided credential and,
//! where routing says so, the model's name replaced and another vendor's thinking taken out; and
//! without what the upstream cannot take.

mod rows;

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use relay_core::capability::Capability;
use relay_core::credential::{UpstreamCredential, X_API_KEY};
use relay_core::error::RelayError;
use relay_core::headers;
use relay_core::identity::IssuedForm;
use relay_core::provider::{Changes, Encoded, Provider, Translation};
use relay_core::refusal::Refusal;
use relay_core::request::{Endpoint, Inbound};
use relay_core::secret::Secret;

pub use rows::{KeyHeader, ModelsRoute, ModelsShape, ROWS, Row, Version, row};

use crate::errors::Vendor;
use crate::fields::in_order;
use crate::lacks::lacks;
use crate::sign::{Signer, digest};
use crate::splice::{Edit, splice};
use crate::thinking::strip_thinking;
use crate::trim::{Trimmed, set_betas, trim};

/// The version of the API.
pub(crate) const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// An upstream that speaks the Messages API.
#[derive(Debug, Clone)]
pub struct Compatible {
    /// What is known of its kind.
    pub row: &'static Row,
    /// What stands before `/v1/…` in its URL's path: empty, or `/gateway/anthropic`.
    pub path_prefix: Box<str>,
    /// Where its key goes.
    pub key_header: KeyHeader,
    /// Which version of the API it is asked in. `None`: the client's own.
    pub version: Option<HeaderValue>,
    /// What stands before the name of each of its models.
    pub model_prefix: Box<str>,
    /// Whether it counts tokens.
    pub counts_tokens: bool,
    /// For what requests are signed, where AWS credentials sign them.
    pub signer: Option<Signer>,
    /// Further headers, the same for every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Compatible {
    /// An upstream as its row says, behind this path.
    pub fn of(row: &'static Row, path_prefix: &str) -> Self {
        Self {
            row,
            path_prefix: path_prefix.trim_end_matches('/').into(),
            key_header: row.key_header,
            version: match row.version {
                Version::Passes => None,
                Version::Is(version) => Some(HeaderValue::from_static(version)),
            },
            model_prefix: row.model_prefix.into(),
            counts_tokens: row.counts_tokens,
            signer: None,
            headers: Vec::new(),
        }
    }

    /// Whether it is Anthropic's own API, or says that it is in every respect.
    const fn is_anthropic(&self) -> bool {
        matches!(self.row.vendor, Vendor::Anthropic)
    }

    fn path(&self, request: &Inbound) -> Box<str> {
        let (path, prefix) = match (request.endpoint, self.row.models) {
            (Endpoint::Models, Some(models)) => {
                let asked = request.path_and_query.strip_prefix("/v1/models");
                let path = format!("{}{}", models.path, asked.unwrap_or_default());
                let prefix = if models.at_root {
                    ""
                } else {
                    &*self.path_prefix
                };
                (path.into(), prefix)
            }
            _ => (request.path_and_query.clone(), &*self.path_prefix),
        };
        if prefix.is_empty() {
            return path;
        }
        // Who writes the version into the base URL means the same.
        let prefix = prefix
            .strip_suffix("/v1")
            .filter(|_| path.starts_with("/v1/"));
        let prefix = prefix.unwrap_or(&self.path_prefix);
        format!("{prefix}{path}").into()
    }

    fn set_headers(
        &self,
        headers: &mut HeaderMap,
        credential: &UpstreamCredential,
    ) -> Result<(), RelayError> {
        if let UpstreamCredential::Relay(key) = credential {
            let (name, value) = match self.key_header {
                KeyHeader::ApiKey => (X_API_KEY, header_value(key, "")?),
                KeyHeader::Bearer => (AUTHORIZATION, header_value(key, "Bearer ")?),
            };
            headers.insert(name, value);
        }
        if let Some(version) = &self.version {
            headers.insert(ANTHROPIC_VERSION, version.clone());
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        Ok(())
    }
}

impl Provider for Compatible {
    fn encode(
        &self,
        mut request: Inbound,
        credential: &UpstreamCredential,
        changes: &Changes<'_>,
    ) -> Result<Encoded, RelayError> {
        let trimmed = self.trim(&mut request, changes);
        let (edits, thinking_removed) = edits(&request, changes, &self.model_prefix);
        let edits = in_order([edits, trimmed.edits].concat());
        let body = splice(&request.body, &edits)
            .map_err(|_| RelayError::Internal("an edit's place in the body is wrong"))?;
        let path_and_query = self.path(&request);
        let mut headers = headers::for_upstream(request.head.headers, credential);
        self.set_headers(&mut headers, credential)?;
        Ok(Encoded {
            method: request.head.method,
            path_and_query,
            headers,
            body_sha256: self.signer.as_ref().and_then(|_| digest(credential, &body)),
            body,
            thinking_removed,
            removed: trimmed.removed,
        })
    }

    fn sign(
        &self,
        encoded: &mut Encoded,
        credential: &UpstreamCredential,
        unix: Duration,
    ) -> Result<(), RelayError> {
        if let (Some(signer), UpstreamCredential::Issued(issued)) = (&self.signer, credential) {
            signer.sign(encoded, issued, unix)?;
        }
        set_bearer(&mut encoded.headers, credential)
    }

    fn translate(&self, refusal: &Refusal<'_>) -> Option<Translation> {
        self.row.vendor.translate(refusal)
    }

    fn lacks(&self, refusal: &Refusal<'_>) -> Option<Capability> {
        (!self.is_anthropic()).then(|| lacks(refusal)).flatten()
    }

    fn reads_refusals(&self) -> bool {
        !self.is_anthropic()
    }

    fn has(&self, endpoint: Endpoint) -> bool {
        match endpoint {
            Endpoint::Messages => true,
            Endpoint::CountTokens => self.counts_tokens,
            Endpoint::Models => self.row.models.is_some(),
            Endpoint::Passthrough => self.is_anthropic(),
        }
    }

    fn probe(&self) -> Option<&str> {
        self.row.models.map(|_| "/v1/models?limit=1")
    }
}

impl Compatible {
    /// Takes out what it cannot take. Nothing is looked at for who takes everything.
    fn trim(&self, request: &mut Inbound, changes: &Changes<'_>) -> Trimmed {
        let is_bare = self.row.takes.is_all() && changes.without.is_empty();
        if is_bare || self.is_anthropic() {
            return Trimmed::default();
        }
        let headers = &mut request.head.headers;
        let trimmed = trim(
            &self.row.takes,
            &request.body,
            headers,
            (changes.without, &[]),
        );
        set_betas(headers, &trimmed.betas);
        trimmed
    }
}

/// Puts an issued token into `authorization`.
///
/// # Errors
/// [`RelayError::Internal`] if no header can carry it.
pub fn set_bearer(
    headers: &mut HeaderMap,
    credential: &UpstreamCredential,
) -> Result<(), RelayError> {
    let UpstreamCredential::Issued(issued) = credential else {
        return Ok(());
    };
    if let IssuedForm::Bearer {
        token,
        quota_project,
    } = &issued.form
    {
        headers.insert(AUTHORIZATION, header_value(token, "Bearer ")?);
        if let Some(project) = quota_project
            && let Ok(project) = HeaderValue::from_str(project)
        {
            headers.insert(HeaderName::from_static("x-goog-user-project"), project);
        }
    }
    Ok(())
}

/// Returns the edits of the body in order, and how many blocks of thinking they take out. `prefix`
/// stands before the names of the upstream's models.
pub(crate) fn edits(request: &Inbound, changes: &Changes<'_>, prefix: &str) -> (Vec<Edit>, usize) {
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
    let sent = changes.model.map(|name| sent_name(name.as_str(), prefix));
    if let Some(field) = &facts.model
        && let Some(name) = sent.filter(|name| *name != field.name.as_str())
        && let Ok(with) = serde_json::to_vec(&*name)
    {
        edits.push(Edit {
            range: field.span.clone(),
            with,
        });
        edits.sort_by_key(|edit| edit.range.start);
    }
    (edits, removed)
}

/// Puts the prefix of an upstream's models before a name that lacks it.
fn sent_name<'a>(name: &'a str, prefix: &str) -> Cow<'a, str> {
    if name.starts_with(prefix) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(format!("{prefix}{name}"))
}

pub(crate) fn header_value(key: &Secret, scheme: &str) -> Result<HeaderValue, RelayError> {
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
            key_header,
            ..Compatible::of(row("anthropic").unwrap(), prefix)
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
