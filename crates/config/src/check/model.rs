//! Names of models: patterns, mappings and rules.
//!
//! In: names as written. Out: names and patterns that can be matched, in the order in which they
//! count. It must never let a pattern hold more than one `*`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::Check;
use crate::mask;
use crate::plan::{ModelRule, ProviderPlan};
use crate::raw;
use crate::source::Words;
use crate::walk::nearest;

impl Check<'_, '_> {
    /// Returns a list of names and patterns without those at fault.
    pub(super) fn patterns(&mut self, raw: Vec<String>, path: &str) -> Vec<String> {
        let entries = raw.into_iter().enumerate();
        entries
            .filter_map(|(index, pattern)| self.pattern(pattern, &format!("{path}[{index}]")))
            .collect()
    }

    /// Returns a model name or a pattern, unless it is at fault.
    fn pattern(&mut self, pattern: String, path: &str) -> Option<String> {
        if self.faulty(path) {
            return None;
        }
        if let Some(words) = unmatchable(&pattern, &self.shown(&pattern, path)) {
            self.fault(path, words.code, words.message, &words.label, &words.help);
            return None;
        }
        Some(pattern)
    }

    /// As `pattern`, of the key of a table's entry. Keys are not expanded.
    fn key_pattern(&mut self, pattern: String, path: &str) -> Option<String> {
        if let Some(words) = unmatchable(&pattern, &mask::word(&pattern)) {
            self.key_fault(path, words);
            return None;
        }
        Some(pattern)
    }

    /// Returns a mapping in the order in which its entries count.
    pub(super) fn mapping(
        &mut self,
        raw: BTreeMap<String, String>,
        path: &str,
    ) -> Vec<(String, String)> {
        let mut plan = Vec::new();
        for (from, to) in raw {
            let at = format!("{path}.{}", mask::word(&from).trim_matches('`'));
            let from = self.key_pattern(from, &at);
            if to.is_empty() {
                let message = "a model name is empty".to_owned();
                self.fault(&at, "config::empty", message, "empty", "write both names");
            } else if to.contains('*') {
                let message = "the name to send holds a `*`".to_owned();
                let help = "a `*` may stand on the left alone";
                self.fault(&at, "config::bad_pattern", message, "not a name", help);
            }
            plan.extend(from.map(|from| (from, to)));
        }
        plan.sort_by(|a, b| rank(&a.0).cmp(&rank(&b.0)));
        plan
    }

    /// Returns rules of models in the order in which they count.
    pub(super) fn rules(
        &mut self,
        raw: Vec<raw::ModelRule>,
        providers: &[ProviderPlan],
    ) -> Vec<ModelRule> {
        let mut seen = BTreeSet::new();
        let mut rules = Vec::new();
        for (index, rule) in raw.into_iter().enumerate() {
            let path = format!("routing.models[{index}]");
            if self.walk.faults.iter().any(|fault| fault.path == path) {
                continue;
            }
            let at = format!("{path}.match");
            let help = "a model name, or a pattern such as claude-opus-*";
            let pattern = self.needed(rule.pattern, &at, help);
            let pattern = pattern.and_then(|pattern| self.pattern(pattern, &at));
            if let Some(pattern) = &pattern
                && !seen.insert(pattern.clone())
            {
                let message = format!("two rules for {}", self.shown(pattern, &at));
                let help = "name all providers in one rule";
                self.fault(&at, "config::conflict", message, "again", help);
            }
            let at = format!("{path}.providers");
            if rule.providers.is_empty() && !self.faulty(&at) {
                let message = "the rule names no provider".to_owned();
                let help = "such as `providers: [anthropic]`";
                self.fault(&at, "config::missing_key", message, "to whom?", help);
            }
            for (place, name) in rule.providers.iter().enumerate() {
                self.known_provider(name, &format!("{at}[{place}]"), providers);
            }
            rules.extend(pattern.map(|pattern| ModelRule {
                pattern,
                providers: rule.providers,
            }));
        }
        rules.sort_by(|a, b| rank(&a.pattern).cmp(&rank(&b.pattern)));
        rules
    }

    /// Reads `model_mapping` as rules, which it is in older files under the strategy `model`:
    /// beginnings of names, each with a provider. `None` if it is a mapping of names.
    pub(super) fn older_rules(
        &mut self,
        mapping: &BTreeMap<String, String>,
        providers: &[ProviderPlan],
    ) -> Option<Vec<ModelRule>> {
        if !names_providers(mapping, providers) {
            return None;
        }
        let message = "`routing.model_mapping` names providers, as in older files".to_owned();
        let fix = "write `routing.models: [{match: \"name*\", providers: [name]}]`";
        self.warn(message, fix);
        let mut rules = Vec::new();
        for (from, to) in mapping {
            let shown = mask::word(from);
            let at = format!("routing.model_mapping.{}", shown.trim_matches('`'));
            self.known_provider(to, &at, providers);
            let open = if from.contains('*') { "" } else { "*" };
            let pattern = self.key_pattern(format!("{from}{open}"), &at);
            rules.extend(pattern.map(|pattern| ModelRule {
                pattern,
                providers: vec![to.clone()],
            }));
        }
        rules.sort_by(|a, b| rank(&a.pattern).cmp(&rank(&b.pattern)));
        Some(rules)
    }

    /// Warns of a mapping that sends the name of a provider in place of a model's.
    pub(super) fn older_mapping(
        &mut self,
        mapping: &BTreeMap<String, String>,
        providers: &[ProviderPlan],
    ) {
        if names_providers(mapping, providers) {
            let message = "`routing.model_mapping` would send a provider's name as a model's";
            let fix = "write model names on the right; rules for providers go in `routing.models`";
            self.warn(message.to_owned(), fix);
        }
    }

    /// Faults the name of a provider that is not in the file, and warns of one that is off.
    pub(super) fn known_provider(&mut self, name: &str, path: &str, providers: &[ProviderPlan]) {
        if self.faulty(path) {
            return;
        }
        match providers.iter().find(|plan| plan.name == name) {
            Some(plan) if plan.enabled => {}
            Some(_) => {
                let message = format!("`{path}` names a provider that is not enabled");
                self.warn(message, "enable it, or remove the name");
            }
            None => {
                let said = self.said.iter().map(String::as_str);
                // What a variable holds is not hinted at by a near name either.
                let near = nearest(name, said).filter(|_| !self.referenced(path));
                let label = near.map_or("no provider has this name".to_owned(), |near| {
                    format!("did you mean `{near}`?")
                });
                let help = if self.said.is_empty() {
                    "write the `name` of a provider".to_owned()
                } else {
                    format!("one of: {}", self.said.join(", "))
                };
                let message = format!("unknown provider {}", self.shown(name, path));
                self.fault(path, "config::unknown_provider", message, &label, &help);
            }
        }
    }
}

/// Tells whether a mapping leads to a provider's name.
fn names_providers(mapping: &BTreeMap<String, String>, providers: &[ProviderPlan]) -> bool {
    let is_provider = |name: &String| providers.iter().any(|plan| plan.name == *name);
    mapping.values().any(is_provider)
}

/// Returns why a name can match nothing, if so.
fn unmatchable(pattern: &str, shown: &str) -> Option<Words> {
    let (code, message, label) = if pattern.trim().is_empty() {
        ("config::empty", "a model name is empty".to_owned(), "empty")
    } else if pattern.matches('*').count() > 1 {
        let message = format!("the pattern {shown} has more than one `*`");
        ("config::bad_pattern", message, "one `*` at most")
    } else {
        return None;
    };
    Some(Words {
        code,
        message,
        label: label.to_owned(),
        help: "write a name, or a pattern such as claude-opus-*".to_owned(),
        path: String::new(),
    })
}

/// Orders names before patterns, and a pattern that says more before one that says less.
fn rank(pattern: &str) -> (bool, Reverse<usize>, &str) {
    let open = pattern.contains('*');
    let length = if open { pattern.len() } else { 0 };
    (open, Reverse(length), pattern)
}
