//! Requests of Bedrock's `InvokeModel`, and the answers that are no streams.
//!
//! In: an inbound request. Out: the model in the path; the version, the betas and the user's profile
//! in the body; `model` and `stream` out of it; every other byte as it came.
//!
//! Source: botocore's service model and the official SDKs' Bedrock clients (read 2026-11-22).

use std::time::Duration;

use base64_simd::STANDARD;
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, response};
use relay_core::capability::Capability;
use relay_core::credential::UpstreamCredential;
use relay_core::error::RelayError;
use relay_core::headers;
use relay_core::provider::{Changes, Decoder, Encoded, Provider, Translation, Undecodable};
use relay_core::refusal::Refusal;
use relay_core::request::{Endpoint, Inbound};
use relay_core::scan::member;

use super::stream::BedrockStream;
use crate::betas;
use crate::compatible::{ANTHROPIC_VERSION, edits, header_value};
use crate::errors::Vendor;
use crate::fields::{has, in_order, put};
use crate::lacks::lacks;
use crate::sign::{Signer, digest};
use crate::splice::splice;
use crate::trim::{ANTHROPIC_BETA, Trimmed, trim};
use crate::version::BodyVersion;
use crate::vertex::segment;

/// Bedrock's own name for the first version of the API.
pub const VERSION: &str = "bedrock-2023-05-31";

const USER_PROFILE: HeaderName = HeaderName::from_static("anthropic-user-profile-id");
const BEDROCK_ACCEPT: HeaderName = HeaderName::from_static("x-amzn-bedrock-accept");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const EVENT_STREAM: &[u8] = b"application/vnd.amazon.eventstream";
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Longest answer about tokens that is read.
const COUNT_LIMIT_BYTES: usize = 4 * 1024;

/// Bedrock in one region.
#[derive(Debug, Clone)]
pub struct Bedrock {
    /// What stands before `/model/` in its URL's path.
    pub path_prefix: Box<str>,
    /// What stands before the names of models that name no vendor: `anthropic.`, `eu.anthropic.`.
    pub model_prefix: Box<str>,
    /// Which version its body names.
    pub version: BodyVersion,
    /// Whether it counts tokens.
    pub counts_tokens: bool,
    /// For what it is signed.
    pub signer: Signer,
}

impl Bedrock {
    /// Returns Bedrock's name of a model.
    fn model_id(&self, name: &str) -> String {
        if name.starts_with("arn:") || name.contains("anthropic.") {
            name.to_owned()
        } else {
            format!("{}{name}", self.model_prefix)
        }
    }

    fn path(&self, request: &Inbound, model: &str) -> Box<str> {
        let model = self.model_id(model);
        let (model, action) = match request.endpoint {
            // Tokens are counted by the model itself, not by a profile that leads to it.
            Endpoint::CountTokens => {
                let at = model
                    .find("anthropic.")
                    .filter(|_| !model.starts_with("arn:"));
                (
                    model.get(at.unwrap_or(0)..).unwrap_or_default(),
                    "count-tokens",
                )
            }
            Endpoint::Messages | Endpoint::Models | Endpoint::Passthrough
                if request.facts.stream =>
            {
                (&*model, "invoke-with-response-stream")
            }
            Endpoint::Messages | Endpoint::Models | Endpoint::Passthrough => (&*model, "invoke"),
        };
        format!("{}/model/{}/{action}", self.path_prefix, segment(model)).into()
    }
}

/// Makes the body: the edits of all in one pass. Returns how much thinking went.
fn body(
    request: &Inbound,
    changes: &Changes<'_>,
    trimmed: &Trimmed,
    version: &BodyVersion,
) -> Result<(Bytes, usize), RelayError> {
    let from = &request.body;
    let (mut all, thinking_removed) = edits(request, changes, "");
    let named = request.facts.model.as_ref().map(|field| &field.span);
    all.retain(|edit| Some(&edit.range) != named);
    all.extend(trimmed.edits.iter().cloned());
    if !has(from, "anthropic_version") {
        all.extend(put(
            from,
            "anthropic_version",
            &version.json(&request.head.headers),
        ));
    }
    let betas = betas(from, trimmed);
    if !betas.is_empty() {
        let betas = serde_json::to_string(&betas).unwrap_or_default();
        all.extend(put(from, "anthropic_beta", &betas));
    }
    if request.endpoint == Endpoint::CountTokens && !has(from, "max_tokens") {
        // A body of InvokeModel has it, though nothing is made here.
        all.extend(put(from, "max_tokens", "1"));
    }
    let profile = request.head.headers.get(USER_PROFILE);
    if let Some(profile) = profile.and_then(|it| it.to_str().ok())
        && !has(from, "user_profile_id")
    {
        let profile = serde_json::to_string(profile).unwrap_or_default();
        all.extend(put(from, "user_profile_id", &profile));
    }
    let body = splice(from, &in_order(all))
        .map_err(|_| RelayError::Internal("an edit's place in the body is wrong"))?;
    if request.endpoint != Endpoint::CountTokens {
        return Ok((body, thinking_removed));
    }
    let text = STANDARD.encode_to_string(&body);
    let body = format!(r#"{{"input":{{"invokeModel":{{"body":"{text}"}}}}}}"#);
    Ok((body.into(), thinking_removed))
}

/// Returns the betas that stay of the headers, and those that the body names itself.
fn betas(body: &[u8], trimmed: &Trimmed) -> Vec<Box<str>> {
    let own = member(body, b"anthropic_beta");
    let own: Vec<Box<str>> = own
        .and_then(|own| serde_json::from_slice(own).ok())
        .unwrap_or_default();
    let mut betas = trimmed.betas.clone();
    for beta in own {
        if !betas.contains(&beta) {
            betas.push(beta);
        }
    }
    betas
}

fn set_headers(headers: &mut HeaderMap, streams: bool) {
    for name in [
        ANTHROPIC_VERSION,
        ANTHROPIC_BETA,
        USER_PROFILE,
        ACCEPT_ENCODING,
    ] {
        headers.remove(name);
    }
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(ACCEPT, JSON);
    if streams {
        headers.insert(BEDROCK_ACCEPT, JSON);
    }
}

impl Provider for Bedrock {
    fn encode(
        &self,
        request: Inbound,
        credential: &UpstreamCredential,
        changes: &Changes<'_>,
    ) -> Result<Encoded, RelayError> {
        let asked = request.facts.model.as_ref().map(|field| &field.name);
        let model = changes.model.or(asked).ok_or(RelayError::NoModel)?;
        if matches!(model.as_str(), "" | "." | "..") {
            return Err(RelayError::NoModel);
        }
        let path_and_query = self.path(&request, model.as_str());
        let from = &request.head.headers;
        let trimmed = trim(
            &betas::BEDROCK,
            &request.body,
            from,
            (changes.without, &["model", "stream", "anthropic_beta"]),
        );
        let (body, thinking_removed) = body(&request, changes, &trimmed, &self.version)?;
        let streams = request.facts.stream && request.endpoint == Endpoint::Messages;
        let mut headers = headers::for_upstream(request.head.headers, credential);
        set_headers(&mut headers, streams);
        if let UpstreamCredential::Relay(key) = credential {
            headers.insert(AUTHORIZATION, header_value(key, "Bearer ")?);
        }
        Ok(Encoded {
            method: request.head.method,
            path_and_query,
            headers,
            body_sha256: digest(credential, &body),
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
        match credential {
            UpstreamCredential::Issued(issued) => self.signer.sign(encoded, issued, unix),
            UpstreamCredential::Client(_)
            | UpstreamCredential::Relay(_)
            | UpstreamCredential::Identity(_)
            | UpstreamCredential::Nothing => Ok(()),
        }
    }

    fn decoder(&self, endpoint: Endpoint, head: &mut response::Parts) -> Option<Box<dyn Decoder>> {
        name_request(&mut head.headers);
        let content_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let decoder: Box<dyn Decoder> = if content_type == Some(EVENT_STREAM) {
            let events = HeaderValue::from_static("text/event-stream; charset=utf-8");
            head.headers.insert(CONTENT_TYPE, events);
            head.headers.remove("x-amzn-bedrock-content-type");
            Box::new(BedrockStream::default())
        } else if endpoint == Endpoint::CountTokens {
            Box::new(Count::default())
        } else {
            return None;
        };
        head.headers.remove(CONTENT_LENGTH);
        Some(decoder)
    }

    fn translate(&self, refusal: &Refusal<'_>) -> Option<Translation> {
        Vendor::Aws.translate(refusal)
    }

    fn reads_refusals(&self) -> bool {
        true
    }

    fn lacks(&self, refusal: &Refusal<'_>) -> Option<Capability> {
        lacks(refusal)
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

/// Names a request as Anthropic does.
fn name_request(headers: &mut HeaderMap) {
    if let Some(id) = headers.get("x-amzn-requestid").cloned() {
        headers.entry(REQUEST_ID).or_insert(id);
    }
}

/// Reads `{"inputTokens":n}` as `{"input_tokens":n}`.
#[derive(Debug, Default)]
struct Count {
    text: Vec<u8>,
}

#[derive(serde::Deserialize)]
struct CountForm {
    #[serde(rename = "inputTokens")]
    input_tokens: u64,
}

impl Decoder for Count {
    fn push(&mut self, bytes: &[u8], _out: &mut BytesMut) -> Result<(), Undecodable> {
        self.text.extend_from_slice(bytes);
        if self.text.len() > COUNT_LIMIT_BYTES {
            return Err(Undecodable("an answer about tokens is too long"));
        }
        Ok(())
    }

    fn end(&mut self, out: &mut BytesMut) -> Result<(), Undecodable> {
        let count: CountForm = serde_json::from_slice(&self.text)
            .map_err(|_| Undecodable("an answer about tokens names none"))?;
        out.extend_from_slice(format!("{{\"input_tokens\":{}}}", count.input_tokens).as_bytes());
        Ok(())
    }

    fn ping(&self) -> Option<Bytes> {
        None
    }
}

#[cfg(test)]
mod tests;
