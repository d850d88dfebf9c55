//! YAML 1.2 into a [`Node`], by serde-saphyr with a small budget.
//!
//! In: text. Out: a tree with byte spans. Only `true` and `false` are booleans, and one
//! document is one file; a key that stands twice is in the tree twice. Words of the parser that may quote the text are not kept.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Error, Location, Spanned};

use super::{Key, Kind, MAX_DEPTH, Node, SyntaxFault};

/// A value as serde-saphyr hands it over, children still with their locations.
struct Value(Shape);

enum Shape {
    Scalar(Kind),
    List(Vec<Spanned<Value>>),
    Map(Vec<(Spanned<String>, Spanned<Value>)>),
}

pub(super) fn read(text: &str) -> Result<Node, SyntaxFault> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        legacy_octal_numbers: false,
        emit_comments: false,
        // The walk faults a repeated key, so that it hides no other fault.
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_documents: 2,
            max_nodes: 20_000,
            max_events: 50_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_merge_keys: 1_000,
            max_recorded_anchor_events: 50_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 50_000,
            max_replay_stack_depth: 8,
        },
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options) {
        Ok(root) => Ok(place(root, text)),
        Err(error) => Err(fault(&error, text)),
    }
}

fn place(node: Spanned<Value>, text: &str) -> Node {
    let span = range(node.referenced, text);
    let origin = range(node.defined, text);
    let kind = match node.value.0 {
        Shape::Scalar(kind) => kind,
        Shape::List(items) => Kind::List(items.into_iter().map(|item| place(item, text)).collect()),
        Shape::Map(entries) => {
            let entry = |(key, value): (Spanned<String>, Spanned<Value>)| {
                let span = range(key.referenced, text);
                (
                    Key {
                        name: key.value,
                        span,
                    },
                    place(value, text),
                )
            };
            Kind::Map(entries.into_iter().map(entry).collect())
        }
    };
    Node { kind, span, origin }
}

fn range(location: Location, text: &str) -> Range<usize> {
    let span = location.span();
    let number = |value: Option<u64>| value.and_then(|value| usize::try_from(value).ok());
    let start = number(span.byte_offset()).unwrap_or(0).min(text.len());
    let length = number(span.byte_len()).unwrap_or(0);
    start..start.saturating_add(length).min(text.len())
}

fn fault(error: &Error, text: &str) -> SyntaxFault {
    // The scanner's own errors know line and column alone.
    let at = error
        .location()
        .map_or(0, |location| offset(text, location));
    let (code, message, help) = words(error.without_snippet());
    SyntaxFault {
        code,
        message,
        at,
        help: help.to_owned(),
    }
}

fn offset(text: &str, location: Location) -> usize {
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let line = number(location.line()).saturating_sub(1);
    let column = number(location.column()).saturating_sub(1);
    let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text.get(before..).unwrap_or_default();
    before.saturating_add(
        rest.char_indices()
            .nth(column)
            .map_or(rest.len(), |(at, _)| at),
    )
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the crate's list is long, open, and mostly about types of Rust that are not used here"
)]
fn words(error: &Error) -> (&'static str, String, &'static str) {
    match error {
        Error::MultipleDocuments { .. } => (
            "config::syntax",
            "a second YAML document begins here".to_owned(),
            "keep one document a file; remove `---`",
        ),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => too_complex(),
        Error::UnknownAnchor { .. } => (
            "config::syntax",
            "the alias names an anchor that is not there".to_owned(),
            "define it above with `&name`, or quote the value",
        ),
        Error::RecursiveReferencesRequireWeakTypes { .. } => (
            "config::syntax",
            "the alias is inside of what it names".to_owned(),
            "write the value out",
        ),
        Error::AliasError { error, .. } => words(error),
        _ => scanner_words(&error.to_string()),
    }
}

/// Rewords what the scanner says. It knows its own bound on nesting, and no kind for it.
fn scanner_words(text: &str) -> (&'static str, String, &'static str) {
    if text.contains("recursion limit") {
        return too_complex();
    }
    // The place is said by the fault itself.
    let text = text
        .rsplit_once(" at line ")
        .map_or(text, |(words, _)| words);
    let help = "check indentation, quotes and brackets on this line and the one above";
    ("config::syntax", format!("not valid YAML: {text}"), help)
}

fn too_complex() -> (&'static str, String, &'static str) {
    (
        "config::too_complex",
        "the file nests too deep, or has too many values or aliases".to_owned(),
        "a configuration has at most 32 levels and 20000 values",
    )
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value(Shape::Scalar(Kind::Bool(value))))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value(Shape::Scalar(Kind::Integer(value.into()))))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value(Shape::Scalar(Kind::Integer(value.into()))))
    }

    fn visit_f64<E>(self, _value: f64) -> Result<Value, E> {
        Ok(Value(Shape::Scalar(Kind::Float)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value(Shape::Scalar(Kind::Text(value.to_owned()))))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value(Shape::Scalar(Kind::Text(value))))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value(Shape::Scalar(Kind::Null)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value(Shape::List(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value(Shape::Map(map)))
    }
}
