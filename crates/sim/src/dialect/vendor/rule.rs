//! What vendors refuse in a body. In: a body; out: a refusal with the vendor's own words. Must
//! never refuse what the vendor only ignores.

use serde_json::{Map, Value};

use super::messages;
use crate::dialect::{Gate, Refusal, body, refuse};

/// One thing that a vendor refuses.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// A message of the role `system`.
    SystemRole(&'static str),
    /// A `tool_result` whose call is not in the message before.
    OrphanedResult(&'static str),
    /// A `temperature` outside of (0, 1].
    Temperature(&'static str),
    /// A content block of this type.
    Block(&'static str, &'static str),
    /// An image or a document given by URL.
    UrlSource(&'static str),
    /// Any `thinking` but `enabled`, for models whose names hold the first text.
    ThinkingEnabledOnly(&'static str, &'static str),
    /// A tool call replayed without the thinking before it, while thinking is on.
    ThinkingMissing(&'static str),
    /// A model whose name has none of these beginnings.
    ModelPrefix(&'static [&'static str], &'static str),
    /// A model without a vendor before a slash.
    ModelSlug(&'static str),
    /// A model that the server has not loaded.
    ModelListed(&'static str),
}

impl Rule {
    /// Judges a body; `{}` in a message stands for the model.
    pub(crate) fn judge(
        self,
        body: &Map<String, Value>,
        model: &str,
        gate: &Gate<'_>,
    ) -> Result<(), Refusal> {
        let thinking = body.get("thinking").and_then(|value| value.get("type"));
        let thinking = thinking.and_then(Value::as_str);
        let (breaks, message) = match self {
            Self::SystemRole(words) => (messages(body).any(|(role, _)| role == "system"), words),
            Self::OrphanedResult(words) => (has_orphan(body), words),
            Self::Temperature(words) => {
                let value = body.get("temperature").and_then(Value::as_f64);
                (
                    value.is_some_and(|value| value <= 0.0 || value > 1.0),
                    words,
                )
            }
            Self::Block(kind, words) => {
                let found = body::blocks(body)
                    .iter()
                    .any(|(_, block)| body::kind(block) == kind);
                (found, words)
            }
            Self::UrlSource(words) => (body::url_source(body).is_some(), words),
            Self::ThinkingEnabledOnly(name, words) => {
                let other = thinking.is_some_and(|kind| kind != "enabled");
                (other && model.contains(name), words)
            }
            Self::ThinkingMissing(words) => {
                let on = matches!(thinking, Some("enabled" | "adaptive"));
                (on && has_thoughtless_call(body), words)
            }
            Self::ModelPrefix(prefixes, words) => (
                !prefixes.iter().any(|prefix| model.starts_with(prefix)),
                words,
            ),
            Self::ModelSlug(words) => (!model.contains('/'), words),
            Self::ModelListed(words) => {
                if gate.models.iter().any(|known| known == model) {
                    return Ok(());
                }
                return Err(refuse(404, "not_found_error", words.replace("{}", model)));
            }
        };
        if breaks {
            let message = message.replace("{}", model);
            return Err(refuse(400, "invalid_request_error", message));
        }
        Ok(())
    }
}

fn of_kind<'a>(content: &'a Value, wanted: &'a str) -> impl Iterator<Item = &'a Value> {
    let blocks = content.as_array().into_iter().flatten();
    blocks.filter(move |block| block.get("type").and_then(Value::as_str) == Some(wanted))
}

fn has_orphan(body: &Map<String, Value>) -> bool {
    let mut called: Vec<&Value> = Vec::new();
    for (_, content) in messages(body) {
        let mut answered =
            of_kind(content, "tool_result").filter_map(|block| block.get("tool_use_id"));
        if answered.any(|id| !called.contains(&id)) {
            return true;
        }
        called = of_kind(content, "tool_use")
            .filter_map(|block| block.get("id"))
            .collect();
    }
    false
}

fn has_thoughtless_call(body: &Map<String, Value>) -> bool {
    messages(body).any(|(role, content)| {
        let calls = of_kind(content, "tool_use").next().is_some();
        role == "assistant" && calls && of_kind(content, "thinking").next().is_none()
    })
}
