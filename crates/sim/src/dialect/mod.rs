//! The APIs that a sim can speak. In: a request as it came; out: whether that API would take it,
//! and how it would word and frame an answer. Must never share a rule with the relay: each is
//! written from the provider's own documents, to judge from the outside.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::grammar::Usage;
use crate::keys::{Keys, Standing};
use crate::record::Recorded;
use crate::script::Script;

pub(crate) mod base64;
mod bedrock;
mod body;
pub(crate) mod eventstream;
mod exception;
mod foundry;
mod mantle;
pub(crate) mod sigv4;
mod vendor;
mod vertex;
mod voice;

pub use bedrock::Aws;
pub use foundry::Foundry;
pub use sigv4::AwsKey;
pub use vendor::Vendor;
pub use vertex::Vertex;
pub(crate) use voice::{Sender, Spoken, Voice};

/// An API that a sim speaks. Without one it takes any path and credential that some API knows and
/// answers as Anthropic's.
#[derive(Clone, Debug)]
pub enum Dialect {
    /// Amazon Bedrock's `InvokeModel` and its event stream.
    Bedrock(Aws),
    /// The Messages API of Amazon Bedrock's second runtime.
    Mantle(Aws),
    /// Claude on Google Cloud's Vertex AI.
    Vertex(Vertex),
    /// Claude in Microsoft Foundry.
    Foundry(Foundry),
    /// The Messages API itself, or a vendor that imitates it.
    Vendor(Vendor),
}

/// A text that names no dialect.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "`{0}` is no dialect; write one of bedrock, mantle, vertex, foundry, anthropic, zai, minimax, \
     ollama, ollama-cloud, kimi, deepseek, openrouter, vllm, llamacpp, lmstudio"
)]
pub struct UnknownDialect(String);

impl FromStr for Dialect {
    type Err = UnknownDialect;

    /// Reads a name; clouds get their default settings.
    ///
    /// # Errors
    /// [`UnknownDialect`], which lists the names.
    fn from_str(name: &str) -> Result<Self, UnknownDialect> {
        match name {
            "bedrock" => Ok(Self::Bedrock(Aws::default())),
            "mantle" => Ok(Self::Mantle(Aws::default())),
            "vertex" => Ok(Self::Vertex(Vertex::default())),
            "foundry" => Ok(Self::Foundry(Foundry::default())),
            _ => Vendor::named(name)
                .map(Self::Vendor)
                .ok_or_else(|| UnknownDialect(name.to_owned())),
        }
    }
}

impl From<Vendor> for Dialect {
    fn from(vendor: Vendor) -> Self {
        Self::Vendor(vendor)
    }
}

/// What a dialect judges by, beside the request.
#[derive(Debug)]
pub(crate) struct Gate<'a> {
    pub(crate) keys: &'a Keys,
    pub(crate) requires_credential: bool,
    pub(crate) models: &'a [String],
    /// The time since 1970.
    pub(crate) unix: Duration,
}

impl Gate<'_> {
    /// Returns what this credential is worth here.
    pub(crate) fn standing(&self, key: Option<&str>) -> Standing {
        if self.requires_credential {
            self.keys.standing(key)
        } else {
            Standing::Good
        }
    }
}

/// What a request asks for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) stream: bool,
    pub(crate) model: Option<String>,
    /// An answer that is no script's to give: a refusal, a count, a list of models.
    pub(crate) reply: Option<Script>,
}

impl Asked {
    pub(crate) fn reply(script: Script) -> Self {
        Self {
            reply: Some(script),
            ..Self::default()
        }
    }

    pub(crate) fn message(stream: bool, model: impl Into<String>) -> Self {
        Self {
            stream,
            model: Some(model.into()),
            reply: None,
        }
    }
}

impl Dialect {
    /// Returns whether a script answers this request line.
    pub(crate) fn is_scripted(&self, method: &str, target: &str) -> bool {
        let path = path_of(target);
        method == "POST"
            && match self {
                Self::Bedrock(_) => bedrock::is_scripted(path),
                Self::Vertex(_) => vertex::is_scripted(path),
                Self::Mantle(_) | Self::Foundry(_) | Self::Vendor(_) => {
                    path.ends_with("/v1/messages")
                }
            }
    }

    /// Judges a request.
    pub(crate) fn ask(&self, request: &Recorded, gate: &Gate<'_>) -> Asked {
        let asked = match self {
            Self::Bedrock(aws) => bedrock::ask(aws, request, gate),
            Self::Mantle(aws) => mantle::ask(aws, request, gate),
            Self::Vertex(vertex) => vertex::ask(vertex, request, gate),
            Self::Foundry(foundry) => foundry::ask(foundry, request, gate),
            Self::Vendor(vendor) => vendor.ask(request, gate),
        };
        match asked {
            Ok(asked) => asked,
            Err(refusal) => Asked {
                stream: streams(request.path()),
                model: None,
                reply: Some(*refusal),
            },
        }
    }

    /// Returns whether answers have `anthropic-ratelimit-*` headers.
    pub(crate) fn states_limits(&self) -> bool {
        matches!(self, Self::Vendor(Vendor::Anthropic))
    }

    /// Returns whether a refusal for too many requests says when to ask again.
    pub(crate) fn says_when_to_retry(&self) -> bool {
        matches!(self, Self::Foundry(_) | Self::Vendor(_))
    }

    /// Returns the voice of an answer.
    pub(crate) fn voice(dialect: Option<&Arc<Self>>, streamed: bool) -> Voice {
        Voice {
            dialect: dialect.cloned(),
            streamed,
            usage: Usage::default(),
        }
    }
}

/// A refusal, on the heap because it is rare and large.
pub(crate) type Refusal = Box<Script>;

pub(crate) fn refuse(status: u16, kind: &str, message: impl Into<String>) -> Refusal {
    Box::new(Script::error(status, kind, message))
}

/// Refuses a body in the words of Anthropic's API.
pub(crate) fn invalid(message: impl Into<String>) -> Refusal {
    refuse(400, "invalid_request_error", message)
}

/// Answers a count of tokens: about four bytes a token is what the sim claims to know.
pub(crate) fn count(body_bytes: u64) -> u64 {
    (body_bytes / 4).max(1)
}

pub(crate) fn bearer(request: &Recorded) -> Option<&str> {
    let (scheme, rest) = request.header("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
}

fn path_of(target: &str) -> &str {
    target.split_once('?').map_or(target, |(path, _)| path)
}

/// Returns whether the path says, as the clouds' do, that the answer is a stream.
pub(crate) fn streams(path: &str) -> bool {
    path.ends_with(":streamRawPredict") || path.ends_with("/invoke-with-response-stream")
}

/// An event as SSE, whole.
pub(crate) type Event = Bytes;
