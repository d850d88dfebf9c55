//! From a tree to the raw form: kinds, bounds, choices and names of keys, all faults at once.
//!
//! In: a tree, the raw form's JSON Schema, an environment for `${VAR}`. Out: the raw form without
//! whatever was at fault, the place of every value, and the faults. A value at fault is left out
//! rather than stopping the walk, so that the meaning of the others is checked too. It must never
//! put an expanded value into words.

mod time;
mod words;

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::expand::{self, Expanded};
use crate::fault::Fault;
use crate::load::Env;
use crate::mask;
use crate::not_built::{self, Row, When};
use crate::schema::{Schema, Shape};
use crate::source::{Source, Words};
use crate::tree::{Key, Kind, Node};

/// Faults beyond this many are not kept; nobody reads so many at once.
const MAX_FAULTS: usize = 100;

/// Where a value stands and where it came from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) span: Range<usize>,
    /// Whether it holds a `${VAR}`.
    pub(crate) referenced: bool,
    /// Whether it is empty by the default of a `${VAR:-}`.
    pub(crate) defaulted: bool,
}

/// The walk and what it has gathered.
pub(crate) struct Walk<'a> {
    source: &'a Source<'a>,
    schema: &'a Schema,
    env: &'a dyn Env,
    pub(crate) faults: Vec<Fault>,
    pub(crate) places: BTreeMap<String, Place>,
    /// Where each key of a table stands, by the path of its value.
    pub(crate) keys: BTreeMap<String, Range<usize>>,
    /// The files that values came from.
    pub(crate) files: Vec<PathBuf>,
}

impl<'a> Walk<'a> {
    /// Begins a walk.
    pub(crate) fn new(source: &'a Source<'a>, schema: &'a Schema, env: &'a dyn Env) -> Self {
        Self {
            source,
            schema,
            env,
            faults: Vec::new(),
            places: BTreeMap::new(),
            keys: BTreeMap::new(),
            files: Vec::new(),
        }
    }

    /// Walks a whole tree.
    pub(crate) fn root(&mut self, tree: &Node) -> Value {
        let schema = self.schema;
        self.value(tree, schema.root(), "")
            .unwrap_or_else(|| Value::Object(Map::new()))
    }

    /// Adds a fault at a span.
    pub(crate) fn fault(&mut self, span: &Range<usize>, words: Words) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(self.source.fault(span, words));
        }
    }

    fn value(&mut self, node: &Node, schema: &Value, path: &str) -> Option<Value> {
        let span = anchor(node);
        self.places.insert(
            path.to_owned(),
            Place {
                span,
                ..Place::default()
            },
        );
        let shapes = self.schema;
        match (shapes.shape(schema), &node.kind) {
            (_, Kind::Null) => None,
            (Shape::Section(keys), Kind::Map(entries)) => Some(self.section(keys, entries, path)),
            (Shape::Table(of), Kind::Map(entries)) => Some(self.table(of, entries, path)),
            (Shape::List(of), Kind::List(items)) => Some(self.list(of, items, path)),
            (Shape::Flag, Kind::Bool(value)) => Some(Value::Bool(*value)),
            (Shape::Choice(words), Kind::Bool(value)) if words.contains(&bool_word(*value)) => {
                Some(bool_word(*value).into())
            }
            (Shape::Whole { min, max } | Shape::Time { min, max }, Kind::Integer(number)) => {
                self.whole(*number, &(min..=max), node, path)
            }
            (
                Shape::Text
                | Shape::Choice(_)
                | Shape::Flag
                | Shape::Whole { .. }
                | Shape::Time { .. },
                Kind::Text(text),
            ) => {
                let expanded = self.expand(text, node, path)?;
                self.text(&expanded, text, schema, node, path)
            }
            (shape, kind) => {
                self.wrong_kind(shape.in_words(), kind.in_words(), node, path);
                None
            }
        }
    }

    fn section(&mut self, keys: &Map<String, Value>, entries: &[(Key, Node)], path: &str) -> Value {
        let mut out = Map::new();
        self.repeated(entries, path);
        for (key, node) in entries {
            let child = join(path, &key.name);
            if let Some(row) = not_built_key(&child) {
                // An empty section asks for nothing.
                if row.when == When::Present || !is_empty(node) {
                    self.not_built(row, &key.span, child);
                }
                continue;
            }
            let Some(schema) = keys.get(&key.name) else {
                self.unknown_key(key, keys, path);
                continue;
            };
            if let Some(value) = self.value(node, schema, &child) {
                out.insert(key.name.clone(), value);
            }
        }
        Value::Object(out)
    }

    fn table(&mut self, of: &Value, entries: &[(Key, Node)], path: &str) -> Value {
        let mut out = Map::new();
        self.repeated(entries, path);
        for (key, node) in entries {
            let child = join(path, mask::word(&key.name).trim_matches('`'));
            self.keys.insert(child.clone(), key.span.clone());
            if let Some(value) = self.value(node, of, &child) {
                out.insert(key.name.clone(), value);
            }
        }
        Value::Object(out)
    }

    fn list(&mut self, of: &Value, items: &[Node], path: &str) -> Value {
        let shapes = self.schema;
        // An entry at fault keeps its position, so that the places of the others stay true.
        let nothing = match shapes.shape(of) {
            Shape::Section(_) | Shape::Table(_) => Value::Object(Map::new()),
            Shape::List(_) => Value::Array(Vec::new()),
            Shape::Choice(_)
            | Shape::Text
            | Shape::Whole { .. }
            | Shape::Time { .. }
            | Shape::Flag => Value::String(String::new()),
        };
        let mut out = Vec::new();
        for (index, node) in items.iter().enumerate() {
            let value = self.value(node, of, &format!("{path}[{index}]"));
            out.push(value.unwrap_or_else(|| nothing.clone()));
        }
        Value::Array(out)
    }

    fn whole(
        &mut self,
        number: i128,
        bounds: &RangeInclusive<i128>,
        node: &Node,
        path: &str,
    ) -> Option<Value> {
        if bounds.contains(&number) {
            let negative = i64::try_from(number).map(Value::from);
            let value = u64::try_from(number).map(Value::from);
            return value.or(negative).ok();
        }
        let (min, max) = (bounds.start(), bounds.end());
        let words = Words {
            code: "config::out_of_range",
            message: format!("`{}` must be {min} to {max}", leaf(path)),
            path: path.to_owned(),
            label: "out of range".to_owned(),
            help: "write a number within the bounds, or remove the line for the default".to_owned(),
        };
        self.fault(&node.span, words);
        None
    }

    /// Reads a text as what its place asks for, after expansion.
    fn text(
        &mut self,
        expanded: &Expanded,
        written: &str,
        schema: &Value,
        node: &Node,
        path: &str,
    ) -> Option<Value> {
        let shapes = self.schema;
        let shape = shapes.shape(schema);
        let value = expanded.text.as_str();
        match &shape {
            Shape::Text => return Some(value.into()),
            Shape::Choice(words) => {
                if words.contains(&value) {
                    return Some(value.into());
                }
                self.unknown_value(expanded, written, words, node, path);
                return None;
            }
            Shape::Whole { min, max } if expanded.referenced => {
                if let Ok(number) = value.trim().parse::<i128>() {
                    return self.whole(number, &(*min..=*max), node, path);
                }
            }
            Shape::Time { min, max } => {
                if let Some(number) = time::millis(value) {
                    return self.whole(number, &(*min..=*max), node, path);
                }
            }
            Shape::Flag if expanded.referenced => {
                if let Ok(flag) = value.trim().parse::<bool>() {
                    return Some(Value::Bool(flag));
                }
            }
            Shape::Whole { .. }
            | Shape::Flag
            | Shape::Section(_)
            | Shape::Table(_)
            | Shape::List(_) => {}
        }
        self.wrong_kind(shape.in_words(), "text", node, path);
        None
    }

    fn expand(&mut self, text: &str, node: &Node, path: &str) -> Option<Expanded> {
        match expand::expand(text, self.env) {
            Ok(mut expanded) => {
                self.files.append(&mut expanded.files);
                if let Some(place) = self.places.get_mut(path) {
                    place.referenced = expanded.referenced;
                    place.defaulted = expanded.defaulted && expanded.text.is_empty();
                }
                Some(expanded)
            }
            Err(problems) => {
                for problem in problems {
                    self.reference_fault(&problem, node, path);
                }
                None
            }
        }
    }
}

/// Returns what a fault about a whole node points at: a section by its first key.
pub(crate) fn anchor(node: &Node) -> Range<usize> {
    match &node.kind {
        Kind::Map(entries) => {
            let first = entries
                .iter()
                .map(|(key, _)| &key.span)
                .min_by_key(|span| span.start);
            first.unwrap_or(&node.span).clone()
        }
        Kind::List(_) => node.span.start..node.span.start.saturating_add(1),
        Kind::Null
        | Kind::Bool(_)
        | Kind::Integer(_)
        | Kind::Float
        | Kind::Date
        | Kind::Text(_) => node.span.clone(),
    }
}

fn bool_word(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// Returns the row for a key that this version knows and does not read, if it is one.
fn not_built_key(path: &str) -> Option<&'static Row> {
    not_built::rows(path).find(|row| matches!(row.when, When::Present | When::Filled))
}

fn is_empty(node: &Node) -> bool {
    matches!(&node.kind, Kind::Null)
        || matches!(&node.kind, Kind::Map(entries) if entries.is_empty())
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// Returns the last name of a path.
fn leaf(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// Returns the name most like a word, if any is like it at all.
pub(crate) fn nearest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    let score = |name: &str| {
        // `api_key` where `key` is meant is near too.
        let tail = name.len() >= 3 && word.ends_with(&format!("_{name}"));
        if tail {
            0.9
        } else {
            strsim::jaro_winkler(&word, name)
        }
    };
    names
        .map(|name| (score(name), name))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
