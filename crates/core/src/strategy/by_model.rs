//! By the model's name: the rule whose pattern matches most of it.

use super::{Contender, Strategy};
use crate::models::Pattern;
use crate::snapshot::TargetId;

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
