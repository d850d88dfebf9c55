//! The words of the faults that a walk finds.
//!
//! In: what was found, where, and what would have been right. Out: a fault. Words of the file go
//! through `mask::word`; what a variable holds is never said.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::{Map, Value};

use super::{Walk, anchor, join, leaf, nearest};
use crate::expand::{Expanded, Problem};
use crate::mask;
use crate::not_built::Row;
use crate::source::Words;
use crate::tree::{Key, Kind, Node};

impl Walk<'_> {
    pub(super) fn reference_fault(&mut self, problem: &Problem, node: &Node, path: &str) {
        let (reference, code, message, help) = match problem {
            Problem::Missing { reference, name } => {
                let shown = mask::word(name);
                let bare = shown.trim_matches('`');
                (
                    reference,
                    "config::env_missing",
                    format!("environment variable {bare} is not set"),
                    format!("export it, remove the line, or give a default: ${{{bare}:-...}}"),
                )
            }
            Problem::Unreadable { reference, why } => (
                reference,
                "config::file_missing",
                format!("the file of this reference cannot be read: {why}"),
                "check the path, and that the relay may read it".to_owned(),
            ),
            Problem::Locked {
                reference,
                why,
                help,
            } => (
                reference,
                "config::keychain",
                format!("the keychain does not give this entry: {why}"),
                help.clone(),
            ),
            Problem::Malformed { reference } => (
                reference,
                "config::bad_reference",
                "this is no reference to a variable, a file or the keychain".to_owned(),
                "write ${NAME}, ${NAME:-default}, ${file:/path} or ${keychain:SERVICE/ACCOUNT}; write $${ for the two characters"
                    .to_owned(),
            ),
        };
        let words = Words {
            code,
            message,
            label: format!("needed by `{path}`"),
            help,
            path: path.to_owned(),
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

    pub(super) fn wrong_kind(&mut self, wanted: &str, found: &str, node: &Node, path: &str) {
        let help = match (wanted, &node.kind) {
            ("text", Kind::Integer(_) | Kind::Float | Kind::Bool(_) | Kind::Date) => {
                "put the value in quotes".to_owned()
            }
            ("a span of time", _) => "write milliseconds, or a unit, such as 5s".to_owned(),
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

    /// Faults every key that stands a second time in its section.
    pub(super) fn repeated(&mut self, entries: &[(Key, Node)], path: &str) {
        let mut seen = BTreeSet::new();
        for (key, _) in entries {
            if seen.insert(key.name.as_str()) {
                continue;
            }
            let name = mask::word(&key.name);
            let words = Words {
                code: "config::duplicate_key",
                message: format!("{name} stands twice in this section"),
                path: join(path, name.trim_matches('`')),
                label: "again".to_owned(),
                help: "keep one of the two".to_owned(),
            };
            self.fault(&key.span, words);
        }
    }

    pub(super) fn unknown_key(&mut self, key: &Key, keys: &Map<String, Value>, path: &str) {
        let name = mask::word(&key.name);
        let place = if path.is_empty() {
            "the file".to_owned()
        } else {
            format!("`{path}`")
        };
        let label = match nearest(&key.name, keys.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => match self.schema.home(&key.name) {
                Some("") => "it belongs at the top of the file".to_owned(),
                Some(home) => format!("it belongs in `{home}`"),
                None => "not known here".to_owned(),
            },
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

    pub(super) fn unknown_value(
        &mut self,
        expanded: &Expanded,
        written: &str,
        choices: &[&str],
        node: &Node,
        path: &str,
    ) {
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

    pub(super) fn not_built(&mut self, row: &Row, span: &Range<usize>, path: String) {
        let words = Words {
            code: "config::not_built",
            message: format!("{} is not available in this version", row.what),
            path,
            label: "not available".to_owned(),
            help: "remove it".to_owned(),
        };
        self.fault(span, words);
    }
}
