//! What a request used, as the upstream counts it.
//!
//! In: the JSON of a response or of single stream events. Out: [`Usage`]. It must never sum:
//! `message_delta` repeats cumulative counts, so the last value of each field wins.

use serde::Deserialize;
use serde_json::Value;

/// Tokens by kind. `None` is unknown, never zero. `input_tokens` excludes cached ones, as
/// Anthropic counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens behind the last cache breakpoint.
    pub input_tokens: Option<u64>,
    /// Tokens read from the prompt cache.
    pub cache_read_input_tokens: Option<u64>,
    /// Tokens written to the prompt cache.
    pub cache_creation_input_tokens: Option<u64>,
    /// Of these, written for five minutes.
    pub cache_write_5m_tokens: Option<u64>,
    /// Of these, written for an hour.
    pub cache_write_1h_tokens: Option<u64>,
    /// Tokens produced.
    pub output_tokens: Option<u64>,
    /// Searches of the web by the upstream, as far as it told of any.
    pub web_search_requests: u32,
    /// Whether it was answered in fast mode.
    pub fast: bool,
    /// Whether it was answered in the United States alone, as asked.
    pub us_only: bool,
}

impl Usage {
    /// Takes over each field that `later` knows.
    pub(crate) fn update(&mut self, later: &UsageForm) {
        let split = later.cache_creation.unwrap_or_default();
        let pairs = [
            (&mut self.input_tokens, later.input_tokens),
            (
                &mut self.cache_read_input_tokens,
                later.cache_read_input_tokens,
            ),
            (
                &mut self.cache_creation_input_tokens,
                later.cache_creation_input_tokens,
            ),
            (
                &mut self.cache_write_5m_tokens,
                split.ephemeral_5m_input_tokens,
            ),
            (
                &mut self.cache_write_1h_tokens,
                split.ephemeral_1h_input_tokens,
            ),
            (&mut self.output_tokens, later.output_tokens),
        ];
        for (field, value) in pairs {
            *field = value.or(*field);
        }
        let searches = later.server_tool_use.unwrap_or_default();
        if let Some(searches) = searches.web_search_requests {
            self.web_search_requests = searches;
        }
        let words = [
            (&mut self.fast, &later.speed, "fast"),
            (&mut self.us_only, &later.inference_geo, "us"),
        ];
        for (field, value, word) in words {
            if let Some(value) = value {
                *field = value.as_str() == Some(word);
            }
        }
    }

    /// Returns all input tokens: fresh, read and written. `None` if no part is known.
    pub fn total_input_tokens(&self) -> Option<u64> {
        let parts = [
            self.input_tokens,
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
        ];
        let known = parts.iter().any(Option::is_some);
        known.then(|| {
            parts
                .iter()
                .flatten()
                .fold(0, |sum: u64, part| sum.saturating_add(*part))
        })
    }

    /// Reads the body of an answer that is not streamed: its model, stop reason and usage.
    /// `None` if it is no JSON object.
    pub fn of_message(body: &[u8]) -> Option<MessageFacts> {
        let form: MessageForm = serde_json::from_slice(body).ok()?;
        let mut usage = Self::default();
        usage.update(&form.usage.unwrap_or_default());
        Some(MessageFacts {
            model: form.model.map(Into::into),
            stop_reason: form.stop_reason.map(Into::into),
            error_type: form.error.and_then(|error| error.kind).map(Into::into),
            usage,
        })
    }
}

/// What the body of an answer that is not streamed tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageFacts {
    /// The model that answered.
    pub model: Option<Box<str>>,
    /// Why it stopped.
    pub stop_reason: Option<Box<str>>,
    /// `error.type`, where the body is an error.
    pub error_type: Option<Box<str>>,
    /// What it used.
    pub usage: Usage,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct UsageForm {
    input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens: Option<u64>,
    server_tool_use: Option<ServerToolUse>,
    speed: Option<Value>,
    inference_geo: Option<Value>,
}

#[derive(Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct ServerToolUse {
    web_search_requests: Option<u32>,
}

#[derive(Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Deserialize)]
pub(crate) struct MessageStart {
    pub(crate) message: StartedMessage,
}

#[derive(Deserialize)]
pub(crate) struct StartedMessage {
    pub(crate) model: Option<String>,
    #[serde(default)]
    pub(crate) usage: UsageForm,
}

/// `message_delta`, and `error`, which shares no member with it.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(crate) struct MessageDelta {
    pub(crate) delta: Delta,
    pub(crate) usage: UsageForm,
    pub(crate) error: ErrorForm,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Delta {
    pub(crate) stop_reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct ErrorForm {
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
}

#[derive(Deserialize)]
struct MessageForm {
    model: Option<String>,
    stop_reason: Option<String>,
    usage: Option<UsageForm>,
    error: Option<ErrorForm>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_message_and_an_error() {
        let message = Usage::of_message(br#"{"model":"m","stop_reason":"tool_use","content":[{"x":[1]}],"usage":{"input_tokens":3,"output_tokens":5,"new":{"x":1}}}"#).unwrap();
        assert_eq!(message.usage.total_input_tokens(), Some(3));
        assert_eq!(message.stop_reason.as_deref(), Some("tool_use"));
        let error = Usage::of_message(br#"{"type":"error","error":{"type":"rate_limit_error"}}"#);
        assert_eq!(
            error.unwrap().error_type.as_deref(),
            Some("rate_limit_error")
        );
        assert_eq!(Usage::of_message(b"<html>"), None);
    }

    #[test]
    fn unknown_is_not_zero() {
        assert_eq!(Usage::default().total_input_tokens(), None);
    }
}
