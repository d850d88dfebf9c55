//! How Bedrock words errors and frames events. In: what a script says in Anthropic's terms; out:
//! exceptions with the account in them, frames, and the headers that count tokens. Must never let
//! a ping through.

use serde_json::Value;

use crate::dialect::{Aws, Event, eventstream};
use crate::grammar::{Usage, quote};

/// Returns status and exception of an error; a name that is AWS's own stays.
pub(crate) fn named(status: u16, kind: &str) -> (u16, &str) {
    match kind {
        "invalid_request_error" => (400, "ValidationException"),
        "authentication_error" => (403, "UnrecognizedClientException"),
        "permission_error" | "billing_error" => (403, "AccessDeniedException"),
        "not_found_error" => (404, "ResourceNotFoundException"),
        "request_too_large" => (413, "RequestEntityTooLargeException"),
        "rate_limit_error" => (429, "ThrottlingException"),
        "timeout_error" => (408, "ModelTimeoutException"),
        "overloaded_error" => (503, "ServiceUnavailableException"),
        own if own.ends_with("Exception") => (status, own),
        _ => (500, "InternalServerException"),
    }
}

/// Returns an error's text with the account in it.
pub(crate) fn worded(aws: &Aws, message: &str) -> String {
    format!("{message} (User: {})", aws.principal())
}

/// Returns the frames of an event, or `None` for what Bedrock never sends.
pub(crate) fn framed(aws: &Aws, event: &Event, usage: &Usage) -> Option<Event> {
    let text = String::from_utf8_lossy(event);
    let data: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data:").map(str::trim_start))
        .collect();
    if data.is_empty() {
        return Some(event.clone());
    }
    let frames: Vec<Event> = data
        .iter()
        .filter_map(|data| framed_data(aws, data, usage))
        .collect();
    (!frames.is_empty()).then(|| frames.concat().into())
}

fn framed_data(aws: &Aws, data: &str, usage: &Usage) -> Option<Event> {
    let value: Value = serde_json::from_str(data).unwrap_or_default();
    match value.get("type").and_then(Value::as_str) {
        Some("ping") => None,
        Some("error") => {
            let text = |name: &str| {
                value
                    .pointer(name)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            Some(exception_frame(
                aws,
                text("/error/type"),
                text("/error/message"),
            ))
        }
        Some("message_stop") => {
            let open = data.trim_end().strip_suffix('}').unwrap_or(data);
            let metrics = metrics(usage);
            let data = format!(r#"{open},"amazon-bedrock-invocationMetrics":{metrics}}}"#);
            Some(eventstream::chunk(data.as_bytes()))
        }
        _ => Some(eventstream::chunk(data.as_bytes())),
    }
}

fn metrics(usage: &Usage) -> String {
    format!(
        r#"{{"inputTokenCount":{},"outputTokenCount":{},"invocationLatency":1234,"firstByteLatency":321,"cacheReadInputTokenCount":{},"cacheWriteInputTokenCount":{}}}"#,
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_input_tokens,
        usage.created(),
    )
}

/// Returns the frame of an error in the stream.
pub(crate) fn exception_frame(aws: &Aws, kind: &str, message: &str) -> Event {
    let (_, name) = named(500, kind);
    // The stream's own list has no refusals of a caller.
    let name = match name {
        "ModelErrorException"
        | "AccessDeniedException"
        | "UnrecognizedClientException"
        | "ResourceNotFoundException"
        | "RequestEntityTooLargeException" => "ModelStreamErrorException",
        other => other,
    };
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    let name: String = first.into_iter().chain(letters).collect();
    eventstream::exception(&name, &worded(aws, message))
}

/// Returns an exception's JSON body.
pub(crate) fn error_body(aws: &Aws, message: &str) -> String {
    format!(r#"{{"message":{}}}"#, quote(&worded(aws, message)))
}

/// Returns the headers that count an unstreamed answer's tokens.
pub(crate) fn counts(usage: &Usage) -> Vec<(&'static str, String)> {
    vec![
        ("x-amzn-bedrock-invocation-latency", "1234".to_owned()),
        (
            "x-amzn-bedrock-input-token-count",
            usage.input_tokens.to_string(),
        ),
        (
            "x-amzn-bedrock-output-token-count",
            usage.output_tokens.to_string(),
        ),
        (
            "x-amzn-bedrock-cache-read-input-token-count",
            usage.cache_read_input_tokens.to_string(),
        ),
        (
            "x-amzn-bedrock-cache-write-input-token-count",
            usage.created().to_string(),
        ),
    ]
}
