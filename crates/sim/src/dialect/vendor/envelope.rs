//! How vendors wrap an error. In: an error in Anthropic's terms; out: status and JSON in the
//! vendor's. Must never lose the message.

use serde_json::Value;

use crate::grammar::{error_body, quote};

/// The shape of an error body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Envelope {
    /// Anthropic's.
    Anthropic,
    /// Anthropic's without `request_id`.
    Bare,
    /// `{"error":{"code":"1302","message"},"request_id"}`; many things are a 429 there.
    Zai,
    /// Anthropic's with other types and `http_code`.
    Minimax,
    /// `{"error":{"message","type","param","code"}}`.
    OpenAi,
    /// `{"error":{"message","code"}}`, the code a number.
    OpenRouter,
    /// Anthropic's with the type names of `OpenAI`'s Python library.
    Vllm,
}

/// An error to be worded.
#[derive(Debug)]
pub(crate) struct Worded<'a> {
    pub(crate) status: u16,
    pub(crate) kind: &'a str,
    pub(crate) message: &'a str,
    pub(crate) details: Option<&'a Value>,
    pub(crate) request_id: &'a str,
}

impl Envelope {
    /// Returns status and body.
    pub(crate) fn body(self, error: &Worded<'_>) -> (u16, String) {
        let Worded {
            status,
            kind,
            message,
            details,
            request_id,
        } = *error;
        let (text, id) = (quote(message), quote(request_id));
        match self {
            Self::Anthropic => (status, error_body(kind, message, details, request_id)),
            Self::Bare => {
                let kind = quote(kind);
                (
                    status,
                    format!(r#"{{"type":"error","error":{{"type":{kind},"message":{text}}}}}"#),
                )
            }
            Self::Zai => {
                let (status, code) = zai(status, kind);
                let body = format!(
                    r#"{{"error":{{"code":"{code}","message":{text}}},"request_id":{id}}}"#
                );
                (status, body)
            }
            Self::Minimax => {
                let kind = quote(if status == 400 {
                    "bad_request_error"
                } else {
                    kind
                });
                let body = format!(
                    r#"{{"type":"error","error":{{"type":{kind},"message":{text},"http_code":"{status}"}},"request_id":{id}}}"#
                );
                (status, body)
            }
            Self::OpenAi => {
                let kind = quote(kind);
                let body = format!(
                    r#"{{"error":{{"message":{text},"type":{kind},"param":null,"code":"invalid_request_error"}}}}"#
                );
                (status, body)
            }
            Self::OpenRouter => (
                status,
                format!(r#"{{"error":{{"message":{text},"code":{status}}}}}"#),
            ),
            Self::Vllm => {
                let kind = quote(vllm(kind));
                (
                    status,
                    format!(r#"{{"type":"error","error":{{"type":{kind},"message":{text}}}}}"#),
                )
            }
        }
    }
}

/// Returns status and code (<https://docs.z.ai/api-reference/api-code>, read 2026-11). A type of
/// digits is a code already.
fn zai(status: u16, kind: &str) -> (u16, &str) {
    match kind {
        "invalid_request_error" => (400, "1210"),
        "authentication_error" => (401, "1001"),
        "permission_error" => (403, "1220"),
        "not_found_error" => (status, "1211"),
        "rate_limit_error" => (429, "1302"),
        "overloaded_error" => (429, "1305"),
        "billing_error" => (429, "1113"),
        code if !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit()) => {
            (status, code)
        }
        _ => (500, "1234"),
    }
}

fn vllm(kind: &str) -> &str {
    match kind {
        "invalid_request_error" => "BadRequestError",
        "authentication_error" => "AuthenticationError",
        "not_found_error" => "NotFoundError",
        "api_error" => "internal_error",
        other => other,
    }
}
