//! The relay's own keys for a provider.
//!
//! In: their raw form. Out: their plans. It must never let two keys of a provider share a name or
//! a credential, nor say what a credential is.

use std::collections::{BTreeMap, BTreeSet};

use relay_core::secret::Secret;

use super::{Check, signed, small};
use crate::plan::{KeyPlan, LimitsPlan, PoolingPlan, SelectionPlan};
use crate::raw;

impl Check<'_, '_> {
    pub(super) fn keys(&mut self, raw: Vec<raw::Key>, path: &str) -> Vec<KeyPlan> {
        let mut names = BTreeSet::new();
        let mut secrets = BTreeMap::new();
        let mut plans = Vec::new();
        for (index, key) in raw.into_iter().enumerate() {
            let path = format!("{path}.keys[{index}]");
            let at_fault = self
                .walk
                .faults
                .iter()
                .any(|fault| fault.path == path && fault.code == "config::wrong_type");
            if at_fault {
                continue;
            }
            let default = format!("k{}", index.saturating_add(1));
            let name = key.name.filter(|name| !name.is_empty()).unwrap_or(default);
            self.unique(&mut names, &name, &format!("{path}.name"), "key");
            let key_path = format!("{path}.key");
            if key.key.is_none() {
                self.needed(None, &key_path, "write it as ${NAME}");
            }
            let limits = LimitsPlan {
                rpm: key.rpm_limit,
                tpm: key.tpm_limit,
                itpm: key.itpm_limit,
                otpm: key.otpm_limit,
            };
            self.limits(&limits, &path);
            let Some(secret) = self.secret(key.key, &key_path) else {
                continue;
            };
            self.same_secret(&mut secrets, &secret, &key_path);
            plans.push(KeyPlan {
                name,
                secret,
                limits,
                weight: key.weight.map_or(1, small),
                priority: key.priority.map_or(0, signed),
            });
        }
        plans
    }

    /// Faults a credential that an earlier key of the provider has.
    fn same_secret(&mut self, seen: &mut BTreeMap<String, String>, secret: &Secret, path: &str) {
        let id = secret.id().as_str().to_owned();
        let Some(first) = seen.get(&id) else {
            seen.insert(id, path.to_owned());
            return;
        };
        let message = format!("this is the credential of `{first}`");
        let help = "remove one: a credential has its limits once, whatever its name";
        let code = "config::duplicate_credential";
        self.fault(path, code, message, "the same again", help);
    }

    /// Warns of a limit that another one keeps from ever being reached.
    fn limits(&mut self, limits: &LimitsPlan, path: &str) {
        let Some(tpm) = limits.tpm else {
            return;
        };
        for (name, limit) in [("itpm_limit", limits.itpm), ("otpm_limit", limits.otpm)] {
            if limit.is_some_and(|limit| limit > tpm) {
                let message = format!("`{path}.{name}` is above `tpm_limit`, which ends it first");
                self.warn(message, "lower it, or raise `tpm_limit`");
            }
        }
    }

    /// Makes the plan of a pool, and warns of what its keys say in vain.
    pub(super) fn pooling(
        &mut self,
        raw: &raw::Pooling,
        keys: &[raw::Key],
        path: &str,
    ) -> PoolingPlan {
        let base = PoolingPlan::default();
        let plan = PoolingPlan {
            enabled: raw.enabled.unwrap_or(base.enabled),
            strategy: raw.strategy.map(selection).or(base.strategy),
        };
        if !plan.enabled && keys.len() > 1 {
            let message = format!("of `{path}.keys` only the first is used");
            self.warn(
                message,
                "set `pooling.enabled: true`, or remove the other keys",
            );
        }
        let weighted = keys.iter().any(|key| key.weight.is_some());
        if weighted && plan.strategy == Some(SelectionPlan::RoundRobin) {
            let message = format!("the weights of `{path}.keys` have no effect: round_robin");
            self.warn(
                message,
                "choose `pooling.strategy: weighted`, or remove them",
            );
        }
        plan
    }
}

fn selection(raw: raw::Selection) -> SelectionPlan {
    match raw {
        raw::Selection::LeastLoaded => SelectionPlan::LeastLoaded,
        raw::Selection::Weighted => SelectionPlan::Weighted,
        raw::Selection::RoundRobin => SelectionPlan::RoundRobin,
        raw::Selection::Random => SelectionPlan::Random,
    }
}
