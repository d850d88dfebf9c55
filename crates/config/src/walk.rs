//! From a tree to the raw form: kinds, bounds, choices and names of keys, all faults at once.
//!
//! In: a tree, the raw form's JSON Schema, an environment for `${VAR}`. Out: the raw form without
//! whatever was at fault, the place of every value, and the faults. A value at fault is left out
//! rather than stopping the walk, so that the meaning of the others is checked too. It must never
//! put an expanded value into words.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value};

use crate::expand::{self, Expanded, Problem};
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
            (Shape::Whole { min, max }, Kind::Integer(number)) => {
                self.whole(*number, min, max, node, path)
            }
            (
                Shape::Text | Shape::Choice(_) | Shape::Flag | Shape::Whole { .. },
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
        for (key, node) in entries {
            let child = join(path, &key.name);
            if let Some(row) = refused(&child, node) {
                let name = child.clone();
                self.not_built(row, &key.span, name);
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
        for (key, node) in entries {
            let child = join(path, mask::word(&key.name).trim_matches('`'));
            if let Some(value) = self.value(node, of, &child) {
                out.insert(key.name.clone(), value);
            }
        }
        Value::Object(out)
    }

    fn list(&mut self, of: &Value, items: &[Node], path: &str) -> Value {
        let mut out = Vec::new();
        let row = not_built::rows(path).find(|row| row.when == When::MoreThanOne);
        let mut enabled = 0_usize;
        for (index, node) in items.iter().enumerate() {
            let child = format!("{path}[{index}]");
            // An entry at fault keeps its position, so that the places of the others stay true.
            let value = self
                .value(node, of, &child)
                .unwrap_or(Value::Object(Map::new()));
            if value.get("enabled") != Some(&Value::Bool(false)) {
                enabled = enabled.saturating_add(1);
            }
            if enabled == 2
                && let Some(row) = row
            {
                self.not_built(row, &anchor(node), child);
                enabled = 3;
            }
            out.push(value);
        }
        Value::Array(out)
    }

    fn whole(
        &mut self,
        number: i128,
        min: u64,
        max: u64,
        node: &Node,
        path: &str,
    ) -> Option<Value> {
        match u64::try_from(number) {
            Ok(value) if (min..=max).contains(&value) => Some(value.into()),
            _ => {
                let words = Words {
                    code: "config::out_of_range",
                    message: format!("`{}` must be {min} to {max}", leaf(path)),
                    path: path.to_owned(),
                    label: "out of range".to_owned(),
                    help: "write a number within the bounds, or remove the line for the default"
                        .to_owned(),
                };
                self.fault(&node.span, words);
                None
            }
        }
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
                    return self.whole(number, *min, *max, node, path);
                }
            }
            Shape::Flag if expanded.referenced => {
                if let Ok(flag) = value.trim().parse::<bool>() {
                    return Some(Value::Bool(flag));
                }
            }
            Shape::Section(_) | Shape::Table(_) | Shape::List(_) => {}
            Shape::Whole { .. } | Shape::Flag => {}
        }
        self.wrong_kind(shape.in_words(), "text", node, path);
        None
    }

    fn expand(&mut self, text: &str, node: &Node, path: &str) -> Option<Expanded> {
        match expand::expand(text, self.env) {
            Ok(expanded) => {
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

    fn reference_fault(&mut self, problem: &Problem, node: &Node, path: &str) {
        let needed = format!("needed by `{path}`");
        let (reference, words) = match problem {
            Problem::Missing { reference, name } => {
                let shown = mask::word(name);
                let bare = shown.trim_matches('`');
                let words = Words {
                    code: "config::env_missing",
                    message: format!("environment variable {bare} is not set"),
                    label: needed,
                    help: format!(
                        "export it, remove the line, or give a default: ${{{bare}:-...}}"
                    ),
                    path: path.to_owned(),
                };
                (reference, words)
            }
            Problem::Malformed { reference } => {
                let words = Words {
                    code: "config::bad_reference",
                    message: "this is no reference to an environment variable".to_owned(),
                    label: needed,
                    help: "write ${NAME} or ${NAME:-default}; write $${ for the two characters"
                        .to_owned(),
                    path: path.to_owned(),
                };
                (reference, words)
            }
        };
        let found = self
            .source
            .slice(node.origin.clone())
            .find(reference.as_str());
        let span = found.map_or(node.span.clone(), |at| {
            let start = node.origin.start.saturating_add(at);
            start..start.saturating_add(reference.len())
        });
        self.fault(&span, words);
    }

    fn wrong_kind(&mut self, wanted: &str, found: &str, node: &Node, path: &str) {
        let help = match (wanted, &node.kind) {
            ("text", Kind::Integer(_) | Kind::Float | Kind::Bool(_) | Kind::Date) => {
                "put the value in quotes".to_owned()
            }
            ("a whole number", Kind::Text(_)) => "write digits alone, without a unit".to_owned(),
            ("true or false", Kind::Text(_)) => "write true or false, without quotes".to_owned(),
            _ => format!("write {wanted} here, as in example.yaml"),
        };
        let name = if path.is_empty() {
            "the file".to_owned()
        } else {
            format!("`{}`", leaf(path))
        };
        let words = Words {
            code: "config::wrong_type",
            message: format!("{name} must be {wanted}"),
            path: path.to_owned(),
            label: format!("this is {found}"),
            help,
        };
        self.fault(&anchor(node), words);
    }

    fn unknown_key(&mut self, key: &Key, keys: &Map<String, Value>, path: &str) {
        let name = mask::word(&key.name);
        let place = if path.is_empty() {
            "the file".to_owned()
        } else {
            format!("`{path}`")
        };
        let label = match nearest(&key.name, keys.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "not known here".to_owned(),
        };
        let mut allowed: Vec<&str> = keys.keys().map(String::as_str).collect();
        allowed.sort_unstable();
        let words = Words {
            code: "config::unknown_key",
            message: format!("unknown key {name} in {place}"),
            path: join(path, name.trim_matches('`')),
            label,
            help: format!("one of: {}", allowed.join(", ")),
        };
        self.fault(&key.span, words);
    }

    fn unknown_value(
        &mut self,
        expanded: &Expanded,
        written: &str,
        choices: &[&str],
        node: &Node,
        path: &str,
    ) {
        let value = expanded.text.as_str();
        let row =
            not_built::rows(path).find(|row| matches!(row.when, When::Is(word) if word == value));
        if let Some(row) = row {
            return self.not_built(row, &node.span, path.to_owned());
        }
        // What a variable holds is not said, and not hinted at by a near name either.
        let (shown, near) = if expanded.referenced {
            ("value from the environment".to_owned(), None)
        } else {
            (
                mask::word(written),
                nearest(written, choices.iter().copied()),
            )
        };
        let words = Words {
            code: "config::unknown_value",
            message: format!("unknown {} {shown}", leaf(path)),
            path: path.to_owned(),
            label: near.map_or("not one of them".to_owned(), |near| {
                format!("did you mean `{near}`?")
            }),
            help: format!("one of: {}", choices.join(", ")),
        };
        self.fault(&node.span, words);
    }

    fn not_built(&mut self, row: &Row, span: &Range<usize>, path: String) {
        let words = Words {
            code: "config::not_built",
            message: format!("{} is not available in this version", row.what),
            path,
            label: "not available".to_owned(),
            help: match row.when {
                When::MoreThanOne => "keep one, remove the others".to_owned(),
                When::Is(_) => "remove this provider; this version knows: anthropic".to_owned(),
                When::Present | When::Filled => "remove it".to_owned(),
            },
        };
        self.fault(span, words);
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

/// Returns the row that refuses a key whatever its value, if there is one.
fn refused(path: &str, node: &Node) -> Option<&'static Row> {
    let empty = match &node.kind {
        Kind::Null => true,
        Kind::Map(entries) => entries.is_empty(),
        _ => false,
    };
    not_built::rows(path).find(|row| match row.when {
        When::Present | When::Filled => row.when == When::Present || !empty,
        When::Is(_) | When::MoreThanOne => false,
    })
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
