//! Changes one variable in the `env` object of a settings text and leaves every other byte alone.
//!
//! In: the text of a settings file (JSON, comments and trailing commas allowed). Out: the changed
//! text, and [`Splice`]s by which the change can be taken back exactly. It never reformats what it
//! did not write, and refuses a text that it cannot read.

use std::collections::BTreeMap;

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstNode, CstObject, CstObjectProp, CstRootNode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// What comments and editors allow beyond JSON; anything looser is a mistake in such a file.
const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_loose_object_property_names: false,
    allow_trailing_commas: true,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// A byte order mark, which the parser does not know and the file may keep.
const BOM: char = '\u{feff}';

/// Why a settings text cannot be read or changed.
#[derive(Debug, Error)]
pub enum Fault {
    /// It is not JSON. Line and column are counted from 1.
    #[error("not valid JSON: {reason}")]
    Syntax {
        /// What is wrong, without any of the text.
        reason: String,
        /// Line of the fault.
        line: usize,
        /// Column of the fault.
        column: usize,
    },
    /// The whole, or `env`, is not an object.
    #[error("{0} is not an object")]
    NotAnObject(&'static str),
    /// A value that cannot be put back later.
    #[error("the value of env.{0} is not a plain JSON value")]
    OddValue(String),
    /// The parser does not give the text back as it was.
    #[error("the text cannot be changed without changing other bytes")]
    Unfaithful,
}

/// The variables in `env`. A value that is no plain JSON value is null.
pub type Variables = BTreeMap<String, Value>;

/// Returns the variables that a settings text sets. An empty text sets none.
///
/// # Errors
/// When the text is not a settings text.
pub fn variables(text: &str) -> Result<Variables, Fault> {
    let root = parse(text)?;
    let Some(env) = env_of(&root)? else {
        return Ok(Variables::new());
    };
    let mut found = Variables::new();
    for property in env.properties() {
        if let Some(name) = property.decoded_name() {
            found.insert(name, value_of(&property).unwrap_or(Value::Null));
        }
    }
    Ok(found)
}

/// Tells whether the text has an `env` object.
///
/// # Errors
/// When the text is not a settings text.
pub fn has_env(text: &str) -> Result<bool, Fault> {
    Ok(env_of(&parse(text)?)?.is_some())
}

/// Returns the text with `env.name` set to `value`.
///
/// # Errors
/// When the text is not a settings text, or the present value could not be put back.
pub fn set(text: &str, name: &str, value: &Value) -> Result<String, Fault> {
    let root = parse(text)?;
    if root.value().is_none() {
        root.set_value(CstInputValue::Object(Vec::new()));
    }
    let object = root.object_value().ok_or(Fault::NotAnObject("the file"))?;
    let env = match env_of(&root)? {
        Some(env) => env,
        None => object
            .append("env", CstInputValue::Object(Vec::new()))
            .object_value()
            .ok_or(Fault::NotAnObject("env"))?,
    };
    match last(&env, name) {
        Some(property) if value_of(&property).is_none() => {
            return Err(Fault::OddValue(name.to_owned()));
        }
        Some(property) => property.set_value(input(value)),
        None => drop(env.append(name, input(value))),
    }
    Ok(finish(text, &root))
}

/// Returns the text without `env.name`, and without `env` if that is then empty and `drop_env`.
///
/// # Errors
/// When the text is not a settings text.
pub fn unset(text: &str, name: &str, drop_env: bool) -> Result<String, Fault> {
    let root = parse(text)?;
    let Some(env) = env_of(&root)? else {
        return Ok(text.to_owned());
    };
    if let Some(property) = last(&env, name) {
        property.remove();
    }
    // A comment in it is somebody's, so such an object stays.
    let bare = env
        .children()
        .iter()
        .all(|child| !matches!(child, CstNode::Leaf(leaf) if leaf_is_comment(leaf)));
    if drop_env
        && bare
        && env.properties().is_empty()
        && let Some(property) = root.object_value().and_then(|object| last(&object, "env"))
    {
        property.remove();
    }
    Ok(finish(text, &root))
}

fn leaf_is_comment(leaf: &jsonc_parser::cst::CstLeafNode) -> bool {
    matches!(leaf, jsonc_parser::cst::CstLeafNode::Comment(_))
}

/// Parses a settings text.
pub(super) fn parse(text: &str) -> Result<CstRootNode, Fault> {
    let body = text.strip_prefix(BOM).unwrap_or(text);
    let root = CstRootNode::parse(body, &OPTIONS).map_err(|error| Fault::Syntax {
        reason: error.kind().to_string().to_lowercase(),
        line: error.line_display(),
        column: error.column_display(),
    })?;
    if root.to_string() != body {
        return Err(Fault::Unfaithful);
    }
    Ok(root)
}

fn finish(before: &str, root: &CstRootNode) -> String {
    let mark = if before.starts_with(BOM) {
        "\u{feff}"
    } else {
        ""
    };
    format!("{mark}{root}")
}

fn env_of(root: &CstRootNode) -> Result<Option<CstObject>, Fault> {
    let Some(value) = root.value() else {
        return Ok(None);
    };
    let object = value.as_object().ok_or(Fault::NotAnObject("the file"))?;
    let Some(property) = last(&object, "env") else {
        return Ok(None);
    };
    property
        .object_value()
        .map(Some)
        .ok_or(Fault::NotAnObject("env"))
}

/// Returns the last property of that name: of two equal names JSON readers take the last.
fn last(object: &CstObject, name: &str) -> Option<CstObjectProp> {
    let mut properties = object.properties();
    properties.reverse();
    properties
        .into_iter()
        .find(|property| property.decoded_name().as_deref() == Some(name))
}

fn value_of(property: &CstObjectProp) -> Option<Value> {
    serde_json::from_str(&property.value()?.to_string()).ok()
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(flag) => CstInputValue::Bool(*flag),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(fields) => {
            CstInputValue::Object(fields.iter().map(|(k, v)| (k.clone(), input(v))).collect())
        }
    }
}

/// One changed stretch: what stood at byte `at` before, and how many bytes stand there now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Splice {
    at: usize,
    removed: String,
    inserted_bytes: usize,
}

impl Splice {
    /// Returns the one stretch in which the texts differ.
    pub fn between(before: &str, after: &str) -> Self {
        let prefix: usize = before
            .chars()
            .zip(after.chars())
            .take_while(|(one, other)| one == other)
            .map(|(c, _)| c.len_utf8())
            .sum();
        let (_, old) = before.split_at_checked(prefix).unwrap_or((before, ""));
        let (_, new) = after.split_at_checked(prefix).unwrap_or((after, ""));
        let suffix: usize = old
            .chars()
            .rev()
            .zip(new.chars().rev())
            .take_while(|(one, other)| one == other)
            .map(|(c, _)| c.len_utf8())
            .sum();
        let removed = old
            .get(..old.len().saturating_sub(suffix))
            .unwrap_or_default()
            .to_owned();
        Self {
            at: prefix,
            removed,
            inserted_bytes: new.len().saturating_sub(suffix),
        }
    }

    /// Takes the change back; `None` if the text cannot be the one that was changed.
    pub fn undo(&self, after: &str) -> Option<String> {
        let (head, rest) = after.split_at_checked(self.at)?;
        let (_, tail) = rest.split_at_checked(self.inserted_bytes)?;
        Some(format!("{head}{}{tail}", self.removed))
    }
}

#[cfg(test)]
pub(crate) mod tests;
