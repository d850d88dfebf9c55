//! The JSON Schema of the raw form, and the questions the walk asks of it.
//!
//! In: the types of `raw.rs`. Out: for an editor the schema, for the walk the shape of a place
//! and the sets of known and showable keys. It must never say of a place more than `raw.rs` does.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::mask::{SECRET_KEYS, Showable};
use crate::not_built;
use crate::raw::Raw;

/// Returns the JSON Schema of a configuration file, for editors and other tools.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Raw).to_value();
    drop_null_defaults(&mut schema);
    schema
}

/// Takes out `"default": null`: it says only that a key may be left out, and hides the true
/// default, which the description names.
fn drop_null_defaults(schema: &mut Value) {
    match schema {
        Value::Object(entries) => {
            if entries.get("default") == Some(&Value::Null) {
                entries.remove("default");
            }
            entries.values_mut().for_each(drop_null_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_null_defaults),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The schema with its names at hand.
pub(crate) struct Schema {
    root: Value,
    /// Every key and every choice there is, built or not.
    pub(crate) known: BTreeSet<String>,
    /// The keys whose values may be shown.
    pub(crate) safe: BTreeSet<String>,
    /// The lists and tables of texts, which may be shown: none of them holds credentials.
    places: BTreeSet<String>,
    /// The sections that hold each key.
    homes: BTreeMap<String, BTreeSet<String>>,
}

/// What a place takes.
#[derive(Debug)]
pub(crate) enum Shape<'a> {
    /// A section with these keys.
    Section(&'a Map<String, Value>),
    /// A section with any keys, all of one kind.
    Table(&'a Value),
    /// A list of one kind.
    List(&'a Value),
    /// One of these words.
    Choice(Vec<&'a str>),
    /// A text.
    Text,
    /// A whole number within bounds.
    Whole { min: i128, max: i128 },
    /// Milliseconds within bounds, as a number or as a text with a unit.
    Time { min: i128, max: i128 },
    /// True or false.
    Flag,
}

impl Shape<'_> {
    /// Names the shape in words.
    pub(crate) fn in_words(&self) -> &'static str {
        match self {
            Self::Section(_) | Self::Table(_) => "a section",
            Self::List(_) => "a list",
            Self::Choice(_) | Self::Text => "text",
            Self::Whole { .. } => "a whole number",
            Self::Time { .. } => "a span of time",
            Self::Flag => "true or false",
        }
    }
}

impl Schema {
    /// Derives the schema of the raw form.
    pub(crate) fn new() -> Self {
        let mut new = Self {
            root: schema(),
            known: BTreeSet::new(),
            safe: BTreeSet::new(),
            places: BTreeSet::new(),
            homes: BTreeMap::new(),
        };
        let mut homes = BTreeMap::new();
        new.homes(&new.root, "", &mut homes);
        new.homes = homes;
        let (mut known, mut safe) = (BTreeSet::new(), BTreeSet::new());
        let mut sections = BTreeSet::new();
        new.gather(&new.root, &mut known, &mut safe, &mut sections);
        // Text in place of a section may be anything, so a name that is also one is not shown.
        safe.retain(|key| !sections.contains(key));
        let mut places = BTreeSet::new();
        new.texts(&new.root, "", &mut places);
        new.places = places;
        for row in not_built::ROWS {
            known.extend(row.path.rsplit('.').next().map(str::to_owned));
        }
        known.extend(["true", "false", "null"].map(str::to_owned));
        (new.known, new.safe) = (known, safe);
        new
    }

    /// Returns what of a file may be shown.
    pub(crate) fn showable(&self) -> Showable<'_> {
        Showable {
            safe: &self.safe,
            places: &self.places,
            known: &self.known,
        }
    }

    /// Returns the schema of a whole file.
    pub(crate) fn root(&self) -> &Value {
        &self.root
    }

    /// Returns the shape that a schema stands for.
    pub(crate) fn shape<'a>(&'a self, schema: &'a Value) -> Shape<'a> {
        let schema = self.resolve(schema);
        let choices = schema.get("enum").and_then(Value::as_array);
        if let Some(choices) = choices {
            return Shape::Choice(choices.iter().filter_map(choice).collect());
        }
        let (min, max) = bounds(schema);
        if kinds(schema).collect::<Vec<_>>() == ["integer", "string"] {
            return Shape::Time { min, max };
        }
        match kind(schema) {
            "object" => match (schema.get("properties"), schema.get("additionalProperties")) {
                (Some(Value::Object(keys)), _) => Shape::Section(keys),
                (_, of) => Shape::Table(of.unwrap_or(&Value::Null)),
            },
            "array" => Shape::List(schema.get("items").unwrap_or(&Value::Null)),
            "integer" => Shape::Whole { min, max },
            "boolean" => Shape::Flag,
            _ => Shape::Text,
        }
    }

    /// Follows references and passes over "or nothing".
    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        // A reference leads to a definition, which is at most an optional reference again.
        for _ in 0..8 {
            let referenced = schema
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| self.root.pointer(reference.strip_prefix('#')?));
            let optional = schema.get("anyOf").and_then(Value::as_array);
            let something = optional.and_then(|any| any.iter().find(|one| !is_null(one)));
            match referenced.or(something) {
                Some(next) => schema = next,
                None => break,
            }
        }
        schema
    }

    /// Returns the one section that holds a key, `""` being the file itself, which comes first.
    pub(crate) fn home(&self, key: &str) -> Option<&str> {
        let homes = self.homes.get(key)?;
        if homes.len() == 1 || homes.contains("") {
            homes.first().map(String::as_str)
        } else {
            None
        }
    }

    fn homes(&self, schema: &Value, path: &str, out: &mut BTreeMap<String, BTreeSet<String>>) {
        match self.shape(schema) {
            Shape::Section(keys) => {
                for (key, schema) in keys {
                    out.entry(key.clone()).or_default().insert(path.to_owned());
                    let child = if path.is_empty() {
                        key.clone()
                    } else {
                        format!("{path}.{key}")
                    };
                    self.homes(schema, &child, out);
                }
            }
            Shape::List(of) => self.homes(of, &format!("{path}[]"), out),
            Shape::Table(_)
            | Shape::Choice(_)
            | Shape::Text
            | Shape::Whole { .. }
            | Shape::Time { .. }
            | Shape::Flag => {}
        }
    }

    /// Gathers the places of lists and tables of texts, as `mask.rs` names them.
    fn texts(&self, schema: &Value, path: &str, out: &mut BTreeSet<String>) {
        match self.shape(schema) {
            Shape::Section(keys) => {
                for (key, schema) in keys {
                    self.texts(schema, &format!("{path}.{key}"), out);
                }
            }
            Shape::List(of) | Shape::Table(of) if matches!(self.shape(of), Shape::Text) => {
                out.insert(path.to_owned());
            }
            Shape::List(of) => self.texts(of, &format!("{path}[]"), out),
            Shape::Table(_)
            | Shape::Choice(_)
            | Shape::Text
            | Shape::Whole { .. }
            | Shape::Time { .. }
            | Shape::Flag => {}
        }
    }

    fn gather(
        &self,
        schema: &Value,
        known: &mut BTreeSet<String>,
        safe: &mut BTreeSet<String>,
        sections: &mut BTreeSet<String>,
    ) {
        match self.shape(schema) {
            Shape::Section(keys) => {
                for (key, schema) in keys {
                    known.insert(key.clone());
                    let scalar = !matches!(
                        self.shape(schema),
                        Shape::Section(_) | Shape::Table(_) | Shape::List(_)
                    );
                    if !scalar {
                        sections.insert(key.clone());
                    } else if !SECRET_KEYS.contains(&key.as_str()) {
                        safe.insert(key.clone());
                    }
                    self.gather(schema, known, safe, sections);
                }
            }
            Shape::Table(of) | Shape::List(of) => self.gather(of, known, safe, sections),
            Shape::Choice(words) => known.extend(words.into_iter().map(str::to_owned)),
            Shape::Text | Shape::Whole { .. } | Shape::Time { .. } | Shape::Flag => {}
        }
    }
}

/// Tells whether a schema stands for "nothing".
fn is_null(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
}

/// Returns the type that a schema names first, other than null.
fn kind(schema: &Value) -> &str {
    kinds(schema).next().unwrap_or("")
}

/// Returns the types that a schema names, other than null.
fn kinds(schema: &Value) -> impl Iterator<Item = &str> {
    let named = schema.get("type");
    let list = named.and_then(Value::as_array).into_iter().flatten();
    let all = named.into_iter().chain(list).filter_map(Value::as_str);
    all.filter(|kind| *kind != "null")
}

/// Returns the bounds of a number; without a lower one it is not negative.
fn bounds(schema: &Value) -> (i128, i128) {
    let number = |key: &str| {
        let value = schema.get(key)?;
        let signed = value.as_i64().map(i128::from);
        signed.or_else(|| value.as_u64().map(i128::from))
    };
    let min = number("minimum").unwrap_or(0);
    (min, number("maximum").unwrap_or(i128::from(u64::MAX)))
}

/// Returns a choice as the text that stands for it.
fn choice(value: &Value) -> Option<&str> {
    match value {
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        Value::String(word) => Some(word),
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
