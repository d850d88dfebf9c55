//! Reads from a refusal which feature an upstream cannot take.
//!
//! In: the text of a 400. Out: the name of a beta or the path of a field. It must never guess: where
//! the text names nothing, nothing is named.

use relay_core::capability::Capability;
use relay_core::refusal::Refusal;

use crate::errors::text_of;
use crate::trim::ALL_BETAS;

/// A refusal of `role: system` inside `messages`: such messages are said as the user's instead.
pub const SYSTEM_MESSAGES: &str = "messages.role.system";

/// Texts around a name, before and behind it. Seen at pydantic (`x: Extra inputs are not
/// permitted`), AWS (`extraneous key [x] is not permitted`), Go and OpenAI-shaped servers.
const AROUND: [(&str, &str); 9] = [
    ("Unexpected value(s) `", "` for the `anthropic-beta` header"),
    ("extraneous key [", "] is not permitted"),
    ("unknown field \"", "\""),
    ("Unknown field: ", ""),
    ("Unsupported parameter: '", "'"),
    ("Unrecognized request argument supplied: ", ""),
    ("unknown beta flag: ", ""),
    ("unsupported beta: ", ""),
    ("Unsupported beta header: ", ""),
];

/// Texts behind a path that stands at the beginning.
const BEHIND: [&str; 3] = [
    ": Extra inputs are not permitted",
    ": extra fields not permitted",
    ": Extraneous field",
];

/// Names what a refusal says that the upstream cannot take.
pub fn lacks(refusal: &Refusal<'_>) -> Option<Capability> {
    if refusal.status != 400 && refusal.status != 422 {
        return None;
    }
    let text = text_of(refusal);
    for (before, behind) in AROUND {
        if let Some((_, rest)) = text.split_once(before) {
            let end = if behind.is_empty() {
                rest.find([' ', ',', '\n']).unwrap_or(rest.len())
            } else {
                rest.find(behind)?
            };
            return Capability::new(&path(rest.get(..end)?.trim_end_matches('.')));
        }
    }
    for behind in BEHIND {
        if let Some((before, _)) = text.split_once(behind) {
            let name = before.rsplit([' ', '\n', '"', '\'']).next()?;
            return Capability::new(&path(name));
        }
    }
    if text.contains("invalid beta flag") {
        return Capability::new(ALL_BETAS);
    }
    if text.contains("role: system") {
        return Capability::new(SYSTEM_MESSAGES);
    }
    // `invalid thinking: only type=enabled is allowed`.
    let (_, rest) = text.split_once("invalid ")?;
    let (name, _) = rest.split_once(": only ")?;
    Capability::new(name)
}

/// Makes `tools.3.custom.defer_loading` the path `tools[].defer_loading`.
fn path(name: &str) -> String {
    let mut path = String::new();
    let mut skips_tag = false;
    for part in name.split('.') {
        let is_index = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_index {
            path.push_str("[]");
            skips_tag = true;
            continue;
        }
        // Behind an index stands the variant that was tried, where the element has several.
        if std::mem::take(&mut skips_tag) && TAGS.contains(&part) {
            continue;
        }
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(part);
    }
    path
}

/// Names of variants in pydantic's paths.
const TAGS: [&str; 8] = [
    "custom",
    "text",
    "image",
    "document",
    "tool_use",
    "tool_result",
    "thinking",
    "user",
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderMap;

    use super::*;

    fn named(text: &str) -> Option<String> {
        let body = serde_json::json!({"message": text}).to_string();
        let refusal = Refusal {
            status: 400,
            headers: &HeaderMap::new(),
            body: body.as_bytes(),
            unix: Duration::ZERO,
        };
        lacks(&refusal).map(|it| it.to_string())
    }

    #[test]
    fn names_are_found_where_they_are_said() {
        for (text, name) in [
            (
                "Unexpected value(s) `effort-2025-11-24` for the `anthropic-beta` header. Please",
                "effort-2025-11-24",
            ),
            (
                "Malformed input request: #: extraneous key [context_management] is not permitted, please reformat",
                "context_management",
            ),
            (
                "tools.3.custom.defer_loading: Extra inputs are not permitted",
                "tools[].defer_loading",
            ),
            (
                "messages.1.content.0.text.cache_control.scope: Extra inputs are not permitted",
                "messages[].content[].cache_control.scope",
            ),
            (
                "context_management: Extra inputs are not permitted",
                "context_management",
            ),
            ("invalid beta flag", ALL_BETAS),
            (
                "invalid params, invalid message role: system (2013)",
                SYSTEM_MESSAGES,
            ),
            (
                "invalid thinking: only type=enabled is allowed for this model",
                "thinking",
            ),
            ("json: unknown field \"speed\"", "speed"),
        ] {
            assert_eq!(named(text).as_deref(), Some(name), "{text}");
        }
    }

    #[test]
    fn nothing_is_guessed() {
        for text in [
            "prompt is too long: 210000 tokens > 200000 maximum",
            "max_tokens: must be greater than 0",
            "messages: roles must alternate",
            "",
        ] {
            assert_eq!(named(text), None, "{text}");
        }
    }
}
