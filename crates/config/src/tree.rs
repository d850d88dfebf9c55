//! One tree for both languages: every value and every key with its place in the text.
//!
//! In: YAML or TOML. Out: a [`Node`], or the one thing that made it unreadable. Aliases are
//! already followed, within a budget. It must never take more memory or stack than the budget
//! allows, whatever the text.

mod toml_text;
mod yaml_text;

use std::ops::Range;

use crate::load::Format;

/// The deepest nesting that is read. No true configuration comes near.
const MAX_DEPTH: usize = 32;

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Where it is used, in bytes of the text.
    pub(crate) span: Range<usize>,
    /// Where it is written; differs from `span` behind an alias.
    pub(crate) origin: Range<usize>,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Integer(i128),
    /// A number with a fraction; no key takes one, so its value is not kept.
    Float,
    /// A TOML date or time; no key takes one.
    Date,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key and its place.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) span: Range<usize>,
}

/// Why a text could not be read at all.
#[derive(Clone, Debug)]
pub(crate) struct SyntaxFault {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) at: usize,
    pub(crate) help: String,
}

/// Reads a text into a tree.
pub(crate) fn read(text: &str, format: Format) -> Result<Node, SyntaxFault> {
    match format {
        Format::Yaml => yaml_text::read(text),
        Format::Toml => toml_text::read(text),
    }
}

impl Kind {
    /// Names the kind of value in words.
    pub(crate) fn in_words(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a number",
            Self::Float => "a number with a fraction",
            Self::Date => "a date",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a section",
        }
    }
}
