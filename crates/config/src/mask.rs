//! What of a text may be shown.
//!
//! In: a tree with its text, or a line alone where there is no tree. Out: the parts to hide. The
//! rule is a list of what is safe, not of what is secret: a value is shown only under a known key
//! that holds no credential, and even then not if it looks like one. It must never show a value
//! because nobody thought of hiding it.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::tree::{Kind, Node};

/// What stands for a hidden part. Its length says nothing.
pub(crate) const MASK: &str = "****";

/// Known keys whose values are credentials or may hold one.
pub(crate) const SECRET_KEYS: &[&str] =
    &["api_key", "bearer_secret", "key", "proxy", "token", "value"];

/// How well known credentials begin.
const PREFIXES: &[&str] = &[
    "sk-",
    "sk_",
    "pk-",
    "akia",
    "asia",
    "ghp_",
    "gho_",
    "github_pat_",
    "glpat-",
    "xox",
    "eyj",
    "aiza",
    "ya29",
    "bearer",
];

/// Tells whether a word may be a credential: a known beginning, or long and mixed.
pub(crate) fn looks_secret(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    if word.len() >= 8 && PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) {
        return true;
    }
    let has = |test: fn(&char) -> bool| word.chars().any(|c| test(&c));
    let mixed_case = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase);
    let mixed = has(char::is_ascii_digit) && has(char::is_ascii_alphabetic);
    word.len() >= 40 || (word.len() >= 20 && (mixed || mixed_case))
}

/// Tells whether a text is one `${NAME}` and nothing else: it names a credential and holds none.
fn is_reference(text: &str) -> bool {
    let name = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    name.is_some_and(|name| name.chars().all(plain) && !looks_secret(name))
}

/// Returns a word of the file for use in a message: itself in backticks, or the mask.
pub(crate) fn word(text: &str) -> String {
    let plain = text.len() <= 64 && !text.chars().any(char::is_control);
    let hide = words(text).any(|range| text.get(range).is_some_and(looks_secret));
    if plain && !hide && !text.contains('@') {
        format!("`{text}`")
    } else {
        format!("`{MASK}`")
    }
}

/// Returns a parser's message without what it may quote from the text.
pub(crate) fn message(text: &str, known: &BTreeSet<String>) -> String {
    let mut out = String::new();
    let (mut quote, mut held) = (None, String::new());
    for character in text.chars().filter(|c| !c.is_control()) {
        match quote {
            Some(open) if character == open => {
                let short = held.chars().count() <= 2 || known.contains(&held);
                out.push_str(if short { &held } else { MASK });
                out.push(character);
                (quote, held) = (None, String::new());
            }
            Some(_) => held.push(character),
            None => {
                out.push(character);
                quote = "`\"".contains(character).then_some(character);
            }
        }
    }
    if quote.is_some() {
        out.push_str(MASK);
    }
    let hidden = suspicious(&out);
    let kept = |(at, _): &(usize, char)| !hidden.iter().any(|range| range.contains(at));
    out.char_indices()
        .filter(kept)
        .map(|(_, character)| character)
        .collect()
}

/// Returns the parts of a text that could be a credential whole.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let part = |c: char| c.is_alphanumeric() || "_-+/=~$%!?&^".contains(c);
    ranges(text, part)
}

fn ranges(text: &str, part: impl Fn(char) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut start = None;
    for (at, character) in text.char_indices() {
        match (part(character), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                found.push(from..at);
                start = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    found.extend(start.map(|from| from..text.len()));
    found.into_iter()
}

/// Returns the parts of a line that look like a credential, user and password of URLs among them.
pub(crate) fn suspicious(line: &str) -> Vec<Range<usize>> {
    let mut found: Vec<_> = words(line)
        .filter(|range| line.get(range.clone()).is_some_and(looks_secret))
        .collect();
    for (at, _) in line.match_indices("://") {
        let from = at.saturating_add(3);
        let rest = line.get(from..).unwrap_or_default();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        if let Some(sign) = rest.get(..end).and_then(|url| url.rfind('@')) {
            found.push(from..from.saturating_add(sign));
        }
    }
    found
}

/// Returns what to hide of a line that no tree explains: every word that is not `known`, and the
/// comment. A key is shown if it is nearly a known one.
pub(crate) fn blind(line: &str, known: &BTreeSet<String>) -> Vec<Range<usize>> {
    let mut hidden: Vec<_> = suspicious(line);
    for range in ranges(line, |c| {
        !c.is_whitespace() && !":={}[](),\"'|>*&#".contains(c)
    }) {
        let text = line.get(range.clone()).unwrap_or_default();
        let after = line.get(range.end..).unwrap_or_default().trim_start();
        let is_key = after.starts_with([':', '=', ']']);
        let near = |name: &String| strsim::jaro_winkler(name, text) > 0.8;
        let shown = text == "-" || known.contains(text) || (is_key && known.iter().any(near));
        if !shown {
            hidden.push(range);
        }
    }
    hidden
}

/// Sorts ranges and joins those that touch, so that a place is found by halving.
pub(crate) fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut out: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

/// Tells whether merged ranges cover a place.
pub(crate) fn covers(merged: &[Range<usize>], at: usize) -> bool {
    let after = merged.partition_point(|range| range.start <= at);
    let last = after.checked_sub(1).and_then(|index| merged.get(index));
    last.is_some_and(|range| range.contains(&at))
}

/// What may be shown where.
#[derive(Clone, Copy)]
pub(crate) struct Showable<'a> {
    /// Keys whose values may be shown.
    pub(crate) safe: &'a BTreeSet<String>,
    /// Places of lists and tables, `[]` being any entry, whose texts may be shown.
    pub(crate) places: &'a BTreeSet<String>,
    /// Every key there is.
    pub(crate) known: &'a BTreeSet<String>,
}

/// The parts of a text that its tree says to hide, and those the tree explains at all.
#[derive(Default)]
pub(crate) struct Masks {
    hidden: Vec<Range<usize>>,
    explained: Vec<Range<usize>>,
}

impl Masks {
    /// Walks a tree.
    pub(crate) fn of(tree: &Node, showable: Showable<'_>) -> Self {
        let mut masks = Self::default();
        masks.walk(tree, false, "", showable);
        masks
    }

    fn walk(&mut self, node: &Node, show: bool, path: &str, showable: Showable<'_>) {
        match &node.kind {
            Kind::Map(entries) => {
                let names = showable.places.contains(path);
                for (key, value) in entries {
                    self.explained.push(key.span.clone());
                    let near = |name: &String| strsim::jaro_winkler(name, &key.name) > 0.8;
                    let shown = names || key.name.len() < 8 || showable.known.iter().any(near);
                    if !shown {
                        self.hidden.push(key.span.clone());
                    }
                    let child = format!("{path}.{}", key.name);
                    let show = names || showable.safe.contains(&key.name);
                    self.walk(value, show, &child, showable);
                }
            }
            Kind::List(items) => {
                let names = showable.places.contains(path);
                for item in items {
                    self.walk(item, names, &format!("{path}[]"), showable);
                }
            }
            Kind::Null
            | Kind::Bool(_)
            | Kind::Integer(_)
            | Kind::Float
            | Kind::Date
            | Kind::Text(_) => {
                let show = show || matches!(&node.kind, Kind::Text(text) if is_reference(text));
                for span in [&node.span, &node.origin] {
                    self.explained.push(span.clone());
                    if !show {
                        self.hidden.push(span.clone());
                    }
                }
            }
        }
    }

    /// Returns what to hide of a line, as ranges within it.
    pub(crate) fn on(&self, line: &str, start: usize) -> Vec<Range<usize>> {
        let end = start.saturating_add(line.len());
        let within = |range: &Range<usize>| {
            let from = range.start.clamp(start, end).saturating_sub(start);
            let to = range.end.clamp(start, end).saturating_sub(start);
            (from < to).then_some(from..to)
        };
        let mut hidden = suspicious(line);
        hidden.extend(self.hidden.iter().filter_map(within));
        let explained = merged(self.explained.iter().filter_map(within).collect());
        let comment = line
            .match_indices('#')
            .map(|(at, _)| at)
            .find(|at| !covers(&explained, *at));
        hidden.extend(comment.map(|at| at.saturating_add(1)..line.len()));
        hidden
    }
}
