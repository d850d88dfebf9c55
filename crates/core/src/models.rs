//! Which models a target serves, and under which names.
//!
//! In: the name that a client asks for. Out: the name that the upstream is asked for. Patterns hold
//! at most one `*`; of several that match, the one that gives most of the name counts.

use crate::request::ModelName;

/// A model's name, or one with a single `*` that stands for any characters, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    before: Box<str>,
    /// What follows the `*`, where there is one.
    after: Option<Box<str>>,
}

impl Pattern {
    /// Reads a pattern. Further `*` stand for themselves; the config's check refuses them.
    pub fn new(text: &str) -> Self {
        match text.split_once('*') {
            None => Self {
                before: text.into(),
                after: None,
            },
            Some((before, after)) => Self {
                before: before.into(),
                after: Some(after.into()),
            },
        }
    }

    /// Tells whether a name fits.
    pub fn matches(&self, name: &str) -> bool {
        match &self.after {
            None => *name == *self.before,
            Some(after) => name
                .strip_prefix(&*self.before)
                .is_some_and(|rest| rest.ends_with(&**after)),
        }
    }

    /// Returns the name, if it is one and no pattern.
    pub fn literal(&self) -> Option<&str> {
        self.after.is_none().then_some(&*self.before)
    }

    /// Returns how much of a name is given by the pattern. An exact name is above any pattern.
    pub fn specificity(&self) -> usize {
        match &self.after {
            None => usize::MAX,
            Some(after) => self.before.len().saturating_add(after.len()),
        }
    }
}

/// Names to ask for in place of others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelMap(Vec<(Pattern, ModelName)>);

impl ModelMap {
    /// Takes pairs of what is asked for and what is sent.
    pub fn new(pairs: impl IntoIterator<Item = (Pattern, ModelName)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// Returns the names that are mapped by themselves, not by a pattern.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|(pattern, _)| pattern.literal())
    }

    /// Returns the name to send in place of `asked`, if it is mapped.
    pub fn find(&self, asked: &str) -> Option<&ModelName> {
        let fitting = self.0.iter().filter(|(pattern, _)| pattern.matches(asked));
        let best = fitting.max_by_key(|(pattern, _)| pattern.specificity());
        best.map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        let table = [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "a", true),
            ("*-thinking", "m-thinking", true),
            ("a*a", "a", false),
            ("a*c", "abbbc", true),
            ("*", "", true),
        ];
        for (pattern, name, fits) in table {
            assert_eq!(
                Pattern::new(pattern).matches(name),
                fits,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn the_most_specific_mapping_counts() {
        let pair = |from, to| (Pattern::new(from), ModelName::new(to));
        let map = ModelMap::new([
            pair("*", "any"),
            pair("claude-opus-*", "opus"),
            pair("claude-*", "claude"),
            pair("claude-opus-5", "five"),
        ]);
        for (asked, sent) in [
            ("claude-opus-5-5", "opus"),
            ("claude-opus-5", "five"),
            ("claude-x", "claude"),
            ("x", "any"),
        ] {
            assert_eq!(map.find(asked).unwrap().as_str(), sent);
        }
        assert_eq!(ModelMap::default().find("x"), None);
    }
}
