//! What a file may name and this version does not do, as a table.
//!
//! In: a path, and what stands there. Out: the row that refuses it, if any. A key that is known
//! and not built is refused by name, never ignored: whoever wrote it expects an effect. Building
//! a feature means deleting its rows and adding its fields to `raw.rs`.

/// When a row refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// The key is there.
    Present,
    /// The section is there and holds something.
    Filled,
}

/// A feature that this version lacks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// The place, with `[]` for any entry of a list.
    pub(crate) path: &'static str,
    /// What about it is refused.
    pub(crate) when: When,
    /// What is lacking, as in "... is not available in this version".
    pub(crate) what: &'static str,
}

const fn row(path: &'static str, when: When, what: &'static str) -> Row {
    Row { path, when, what }
}

/// Every feature that this version lacks.
pub(crate) const ROWS: &[Row] = &[
    row("cache", When::Filled, "the cache"),
    row(
        "logging.output",
        When::Present,
        "choosing the output stream of the log",
    ),
];

/// Returns the rows for a place, given with its indices, such as `providers[0].keys`.
pub(crate) fn rows(path: &str) -> impl Iterator<Item = &'static Row> {
    let pattern = pattern(path);
    ROWS.iter().filter(move |row| row.path == pattern)
}

/// Takes the digits out of every pair of brackets.
fn pattern(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|character| {
            match character {
                '[' => inside = true,
                ']' => inside = false,
                _ => return !inside,
            }
            true
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::load::{Format, parse};

    /// Returns a file that holds what a row refuses, and nothing else that is wrong.
    fn offending(row: &Row) -> String {
        match row.path.split_once('.') {
            Some((section, key)) => format!("{section}: {{{key}: 1}}"),
            None => format!("{}: {{x: 1}}", row.path),
        }
    }

    #[test]
    fn every_row_refuses_by_name() {
        for row in ROWS {
            let text = offending(row);
            let faults = parse("c", &text, Format::Yaml, &HashMap::new()).unwrap_err();
            let found: Vec<_> = faults
                .iter()
                .map(|fault| (fault.code, fault.message.as_str()))
                .collect();
            let message = format!("{} is not available in this version", row.what);
            assert_eq!(found, [("config::not_built", message.as_str())], "{text}");
        }
    }

    #[test]
    fn a_pattern_has_no_indices() {
        assert_eq!(
            pattern("providers[0].keys[12].key"),
            "providers[].keys[].key"
        );
        assert_eq!(rows("logging.output").count(), 1);
        assert_eq!(rows("providers[3].name").count(), 0);
    }
}
