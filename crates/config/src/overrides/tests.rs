//! What changes over a file's plan come to.

use std::collections::HashMap;

use proptest::prelude::*;
use relay_core::secret::Secret;

use super::*;
use crate::diff::settings;
use crate::load::{Format, parse};
use crate::plan::LimitsPlan;

const FILE: &str = "
routing: {models: [{match: 'x*', providers: [a]}]}
providers:
  - {name: a, type: anthropic, keys: [{key: sk-ant-one-000001, name: k1}, {key: sk-ant-two-000002, name: k2}]}
  - {name: b, type: zai, enabled: false, keys: [{key: sk-zai-000003, name: k1}]}
  - {name: c, type: ollama}
";

fn file(text: &str) -> Plan {
    let env: HashMap<String, String> = HashMap::new();
    parse("c.yaml", text, Format::Yaml, &env).unwrap_or_else(|it| panic!("{it}"))
}

fn key(name: &str, secret: &str) -> KeyPlan {
    KeyPlan {
        name: name.to_owned(),
        secret: Secret::new(secret.to_owned()),
        limits: LimitsPlan::default(),
        weight: 1,
        priority: 0,
    }
}

fn switch(name: &str, enabled: bool) -> Override {
    Override::Provider {
        name: name.to_owned(),
        enabled,
    }
}

fn off(provider: &str, key: &str) -> Override {
    Override::KeyOff {
        provider: provider.to_owned(),
        key: key.to_owned(),
    }
}

fn removed(provider: &str, key: &str) -> Override {
    Override::KeyRemoved {
        provider: provider.to_owned(),
        key: key.to_owned(),
    }
}

fn added(provider: &str, key: KeyPlan) -> Override {
    Override::KeyAdded {
        provider: provider.to_owned(),
        key,
    }
}

fn all(changes: impl IntoIterator<Item = Override>) -> Result<Overrides, OverrideError> {
    let file = file(FILE);
    changes
        .into_iter()
        .try_fold(Overrides::default(), |it, change| it.with(change, &file))
}

fn keys(plan: &Plan, name: &str) -> Vec<String> {
    provider(plan, name)
        .unwrap()
        .keys
        .iter()
        .map(|it| it.name.clone())
        .collect()
}

#[test]
fn changes_are_laid_over_the_file() {
    let changes = [
        switch("a", false),
        switch("b", true),
        off("a", "k1"),
        added("b", key("k9", "sk-new-000009")),
        Override::Strategy(StrategyPlan::Shuffle),
    ];
    let overrides = all(changes).unwrap();
    let plan = overrides.lay_over(file(FILE));
    let enabled: Vec<bool> = plan.providers.iter().map(|it| it.enabled).collect();
    assert_eq!(enabled, [false, true, true]);
    assert_eq!(
        (keys(&plan, "a"), keys(&plan, "b")),
        (
            vec!["k2".to_owned()],
            vec!["k1".to_owned(), "k9".to_owned()]
        )
    );
    assert_eq!(plan.routing.strategy, StrategyPlan::Shuffle);
    let told = overrides.told();
    assert_eq!(
        told,
        [
            "provider a: off",
            "provider b: on",
            "key a/k1: off",
            "key b/k9: added",
            "strategy: shuffle"
        ]
    );
    assert!(
        !format!("{overrides:?}").contains("sk-new"),
        "{overrides:?}"
    );
}

#[test]
fn what_would_leave_nothing_is_refused() {
    let only = all([switch("a", false)]).unwrap();
    let error = only.with(switch("c", false), &file(FILE)).unwrap_err();
    assert_eq!(error, OverrideError::LastProvider("c".to_owned()));
    for last in [off("a", "k2"), removed("a", "k2")] {
        let error = all([off("a", "k1"), last]).unwrap_err();
        assert_eq!(
            error,
            OverrideError::LastKey("a".to_owned(), "k2".to_owned())
        );
    }
    assert_eq!(
        all([switch("x", true)]).unwrap_err(),
        OverrideError::NoProvider("x".to_owned())
    );
    assert_eq!(
        all([off("a", "k7")]).unwrap_err(),
        OverrideError::NoKey("a".to_owned(), "k7".to_owned())
    );
    assert_eq!(
        all([added("a", key("k1", "sk-new-000009"))]).unwrap_err(),
        OverrideError::NameTaken("a".to_owned(), "k1".to_owned())
    );
    assert_eq!(
        all([added("a", key("k3", "sk-ant-two-000002"))]).unwrap_err(),
        OverrideError::KeyTaken("a".to_owned(), "k2".to_owned())
    );
}

#[test]
fn a_file_that_changes_beneath_is_never_left_with_nothing() {
    let overrides = all([switch("a", false), off("a", "k1")]).unwrap();
    let other =
        file("providers: [{name: a, type: anthropic, keys: [{key: sk-ant-one-000001, name: k1}]}]");
    let plan = overrides.lay_over(other);
    assert!(plan.providers[0].enabled, "the only one stays on");
    assert_eq!(keys(&plan, "a"), ["k1"], "and keeps its only key");
}

fn any_change() -> impl Strategy<Value = Override> {
    let provider = prop::sample::select(vec!["a", "b", "c", "x"]);
    let key_name = prop::sample::select(vec!["k1", "k2", "k3"]);
    prop_oneof![
        (provider.clone(), any::<bool>()).prop_map(|(name, on)| switch(name, on)),
        (provider.clone(), key_name.clone()).prop_map(|(name, key)| off(name, key)),
        (provider.clone(), key_name.clone()).prop_map(|(provider, key)| Override::KeyOn {
            provider: provider.to_owned(),
            key: key.to_owned()
        }),
        (provider.clone(), key_name.clone()).prop_map(|(name, key)| removed(name, key)),
        (provider, key_name)
            .prop_map(|(name, it)| added(name, key(it, &format!("sk-new-{it}-0000")))),
        prop::sample::select(StrategyPlan::ALL.to_vec()).prop_map(Override::Strategy),
    ]
}

proptest! {
    #[test]
    fn whatever_is_changed_a_provider_is_on_and_keys_stay_keys(changes in prop::collection::vec(any_change(), 0..12)) {
        let file = file(FILE);
        let mut overrides = Overrides::default();
        for change in changes {
            if let Ok(next) = overrides.with(change, &file) {
                overrides = next;
            }
            let plan = overrides.lay_over(file.clone());
            prop_assert!(plan.providers.iter().any(|it| it.enabled));
            for (before, after) in file.providers.iter().zip(&plan.providers) {
                prop_assert!(before.keys.is_empty() || !after.keys.is_empty());
            }
        }
        // Everything undone is as if nothing had been.
        let told = overrides.told().len();
        for plan in &file.providers {
            if overrides.touches_provider(&plan.name) {
                overrides = overrides.with(switch(&plan.name, !plan.enabled), &file).unwrap_or(overrides.clone());
            }
        }
        prop_assert!(overrides.told().len() <= told);
    }

    #[test]
    fn a_change_and_its_reverse_are_none(name in prop::sample::select(vec!["a", "b", "c"])) {
        let file = file(FILE);
        let on = provider(&file, name).unwrap().enabled;
        let there = Overrides::default().with(switch(name, !on), &file).unwrap();
        prop_assert!(!there.is_empty());
        let back = there.with(switch(name, on), &file).unwrap();
        prop_assert!(back.is_empty());
        prop_assert_eq!(settings(&back.lay_over(file.clone())), settings(&file));
    }
}
