//! By the model's name: the rule whose pattern matches most of it.

use super::{Contender, Strategy};
use crate::snapshot::TargetId;

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

    /// Returns how much of a name is given by the pattern. An exact name is above any pattern.
    pub fn specificity(&self) -> usize {
        match &self.after {
            None => usize::MAX,
            Some(after) => self.before.len().saturating_add(after.len()),
        }
    }
}

/// Models that go to certain targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRule {
    /// Which models.
    pub pattern: Pattern,
    /// Where to, first choice first.
    pub targets: Vec<TargetId>,
}

/// The targets of the longest matching rule, then the default, then all others in their order:
/// a rule says who comes first, not who is shut out. That is what a provider's `models` is for.
#[derive(Debug)]
pub(super) struct ByModel {
    rules: Vec<ModelRule>,
    default: Option<TargetId>,
}

impl ByModel {
    pub(super) fn new(rules: Vec<ModelRule>, default: Option<TargetId>) -> Self {
        Self { rules, default }
    }
}

impl Strategy for ByModel {
    fn order(&self, asked: Option<&str>, contenders: &mut [Contender<'_>], _seed: u64) {
        let fitting = self
            .rules
            .iter()
            .filter(|rule| asked.is_some_and(|model| rule.pattern.matches(model)));
        let rule = fitting.max_by_key(|rule| rule.pattern.specificity());
        let named: &[TargetId] = rule.map_or(&[], |rule| &rule.targets);
        contenders.sort_by_key(|contender| {
            let place = named.iter().position(|id| id == contender.id);
            let is_default = self.default.as_ref() == Some(contender.id);
            (
                place.unwrap_or(usize::MAX),
                !is_default,
                std::cmp::Reverse(contender.priority),
            )
        });
    }

    fn respects_priority(&self) -> bool {
        false
    }
}
