//! Finds the code and the text of a refusal, wherever a vendor puts them.
//!
//! In: a refusal. Out: its words. A body that cannot be read has none.

use relay_core::refusal::Refusal;
use serde_json::Value;

/// Longest text that is passed on, in bytes.
const LONGEST_TEXT: usize = 2_000;

/// What a refusal says.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// Whether it is in Anthropic's envelope.
    pub(super) is_anthropic: bool,
    codes: Vec<String>,
    kind: String,
    message: String,
}

impl Words {
    pub(super) fn of(refusal: &Refusal<'_>) -> Self {
        let mut words = Self::default();
        let named = refusal.headers.get("x-amzn-errortype");
        if let Some(named) = named.and_then(|name| name.to_str().ok()) {
            words.code(named);
        }
        let Ok(body) = serde_json::from_slice::<Value>(refusal.body) else {
            return words;
        };
        // Where a stream was asked for, Google wraps the error in an array.
        let body = body.get(0).cloned().unwrap_or(body);
        let error = body.get("error").unwrap_or(&Value::Null);
        words.is_anthropic = body.get("type").and_then(Value::as_str) == Some("error")
            && error.get("type").is_some_and(Value::is_string)
            && error.get("message").is_some_and(Value::is_string);
        for code in [
            body.get("__type"),
            body.get("code"),
            body.get("statusCode"),
            error.get("code"),
            error.get("status"),
            error.get("type"),
        ] {
            match code {
                Some(Value::String(code)) => words.code(code),
                Some(Value::Number(code)) => words.code(&code.to_string()),
                _ => {}
            }
        }
        let text = [
            error.get("message"),
            body.get("message"),
            body.get("Message"),
            body.get("detail"),
            Some(error),
        ];
        let text = text.into_iter().flatten().find_map(Value::as_str);
        words.message = text
            .unwrap_or_default()
            .chars()
            .take(LONGEST_TEXT)
            .collect();
        let kind = error.get("type").and_then(Value::as_str);
        kind.unwrap_or_default().clone_into(&mut words.kind);
        // `... (2013)` and `[1302][...]`.
        let message = words.message.clone();
        let last = message.rsplit_once('(').map(|(_, code)| code);
        let first = message
            .strip_prefix('[')
            .and_then(|rest| rest.split(']').next());
        for code in last
            .and_then(|code| code.strip_suffix(')'))
            .into_iter()
            .chain(first)
        {
            words.code(code);
        }
        words
    }

    /// Takes a code; AWS writes a namespace before and a place behind it.
    fn code(&mut self, code: &str) {
        let name = code.rsplit('#').next().unwrap_or(code);
        let name = name.split(':').next().unwrap_or(name);
        self.codes.push(name.to_owned());
    }

    pub(super) fn says(&self, code: &str) -> bool {
        self.codes.iter().any(|it| it == code)
    }

    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }
}

/// Takes names out of a text: ARNs, account numbers, projects, request ids of a resource.
pub(super) fn redacted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (place, word) in text.split(' ').enumerate() {
        if place > 0 {
            out.push(' ');
        }
        out.push_str(&redacted_word(word));
    }
    out
}

fn redacted_word(word: &str) -> String {
    if let Some(at) = word.find("arn:") {
        let before = word.get(..at).unwrap_or_default();
        return format!("{before}[resource]");
    }
    if let Some(at) = word.find("projects/") {
        let before = word.get(..at).unwrap_or_default();
        return format!("{before}[resource]");
    }
    let is_account = |part: &str| part.len() == 12 && part.bytes().all(|it| it.is_ascii_digit());
    let mut parts = Vec::new();
    for part in word.split_inclusive(|it: char| !it.is_ascii_alphanumeric()) {
        let bare = part.trim_end_matches(|it: char| !it.is_ascii_alphanumeric());
        if is_account(bare) {
            parts.push(part.replace(bare, "[account]"));
        } else {
            parts.push(part.to_owned());
        }
    }
    parts.concat()
}
