//! Hides what must not be shown in a settings text, a value or a URL.
//!
//! In: text of a person's settings. Out: the same text with each credential replaced by `…` and the
//! first digits of its SHA-256, so that two different ones still look different. When in doubt it
//! hides.

use jsonc_parser::cst::{CstContainerNode, CstLeafNode, CstNode};
use relay_core::secret::Secret;

use crate::settings::{PLACEHOLDER, edit};

/// Parts of names whose values are credentials.
const SECRET_NAMES: [&str; 10] = [
    "TOKEN",
    "KEY",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "CREDENTIAL",
    "AUTH",
    "HEADER",
    "COOKIE",
    "BEARER",
];

/// Beginnings of words that are credentials, with any name.
const SECRET_STARTS: [&str; 10] = [
    "sk-",
    "sk_",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "xox",
    "AKIA",
    "eyJ",
    "AIza",
];

/// Returns a value as it may be shown under this name.
pub fn value(name: &str, value: &str) -> String {
    let upper = name.to_ascii_uppercase();
    if value == PLACEHOLDER || value.is_empty() {
        return value.to_owned();
    }
    if SECRET_NAMES.iter().any(|part| upper.contains(part)) {
        return hidden(value);
    }
    words(&url(value))
}

/// Returns a URL without the credentials that it may carry before its host or in its query.
pub fn url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let host = authority
        .rsplit_once('@')
        .map_or(authority.to_owned(), |(_, host)| format!("…@{host}"));
    let path = path
        .split_once(['?', '#'])
        .map_or(path.to_owned(), |(path, _)| format!("{path}?…"));
    format!("{scheme}://{host}{path}")
}

/// Returns a settings text with all credentials hidden. A text that cannot be read is not shown.
pub fn settings(text: &str) -> String {
    let Ok(root) = edit::parse(text) else {
        return String::new();
    };
    for child in root.children() {
        walk(&child, "");
    }
    words(&root.to_string())
}

fn walk(node: &CstNode, name: &str) {
    match node {
        CstNode::Leaf(CstLeafNode::StringLit(literal)) => {
            let Ok(decoded) = literal.decoded_value() else {
                return;
            };
            let shown = value(name, &decoded);
            if shown != decoded {
                literal.set_raw_value(serde_json::Value::String(shown).to_string());
            }
        }
        CstNode::Container(CstContainerNode::ObjectProp(property)) => {
            let inner = property.decoded_name().unwrap_or_default();
            if let Some(value) = property.value() {
                walk(&value, &inner);
            }
        }
        CstNode::Container(container) => {
            for child in container.children() {
                walk(&child, name);
            }
        }
        CstNode::Leaf(_) => {}
    }
}

/// Hides every word that looks like a credential, also in comments.
fn words(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if word.len() >= 12 && SECRET_STARTS.iter().any(|start| word.starts_with(start)) {
            shown.push_str(&hidden(word));
        } else {
            shown.push_str(word);
        }
        let mut chars = after.chars();
        shown.extend(chars.next());
        rest = chars.as_str();
    }
    shown
}

fn hidden(text: &str) -> String {
    let id = Secret::new(text).id();
    format!("…{}", id.as_str().get(..6).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_words_give_credentials_away() {
        assert_eq!(value("ANTHROPIC_AUTH_TOKEN", PLACEHOLDER), PLACEHOLDER);
        assert_eq!(value("EDITOR", "hx"), "hx");
        for (name, secret) in [
            ("MY_TOKEN", "abc"),
            ("X", "sk-ant-0123456789"),
            ("X", "a sk-ant-0123456789 b"),
        ] {
            let shown = value(name, secret);
            assert!(
                shown.contains('…') && !shown.contains("0123456789") && shown != secret,
                "{shown}"
            );
        }
        assert_ne!(value("KEY", "one"), value("KEY", "two"));
    }

    #[test]
    fn urls_lose_their_credentials() {
        assert_eq!(
            url("http://user:pass@host:1/a?key=b"),
            "http://…@host:1/a?…"
        );
        assert_eq!(url("http://127.0.0.1:8787"), "http://127.0.0.1:8787");
        assert_eq!(url("nonsense"), "nonsense");
        assert_eq!(url("http://host?token=1"), "http://host?…");
    }

    #[test]
    fn a_settings_text_keeps_its_shape() {
        let text = "{\n  // sk-ant-api03-comment\n  \"env\": {\"A_KEY\": \"one\", \"B\": \"two\"},\n  \"list\": [\"ghp_0123456789abcdef\"]\n}\n";
        let shown = settings(text);
        for secret in ["comment", "\"one\"", "0123456789abcdef"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("\"B\": \"two\""));
        assert_eq!(shown.lines().count(), text.lines().count());
        assert_eq!(settings("{broken"), "");
    }
}
