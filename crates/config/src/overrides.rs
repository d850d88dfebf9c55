//! Changes that are made while the relay runs, laid over whatever plan the file gives.
//!
//! In: a change, and the file's plan. Out: the plan that is put in force. A change that says what the
//! file says is none, so undoing one leaves nothing behind. What would leave no provider that is on,
//! or no key where there were some, is refused: clients' own credentials would go there then.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{KeyPlan, Plan, ProviderPlan, StrategyPlan};

/// A change to what the file says.
#[derive(Clone, Debug)]
pub enum Override {
    /// A provider is switched on or off.
    Provider {
        /// Its name.
        name: String,
        /// Whether it takes requests.
        enabled: bool,
    },
    /// A key is switched off.
    KeyOff {
        /// Whose.
        provider: String,
        /// Its name.
        key: String,
    },
    /// A key that was switched off is switched on again.
    KeyOn {
        /// Whose.
        provider: String,
        /// Its name.
        key: String,
    },
    /// A key is added.
    KeyAdded {
        /// To whom.
        provider: String,
        /// The key.
        key: KeyPlan,
    },
    /// A key is taken away: one of the file's stays away as long as the relay runs.
    KeyRemoved {
        /// From whom.
        provider: String,
        /// Its name.
        key: String,
    },
    /// Requests find their provider in another way.
    Strategy(StrategyPlan),
}

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// No provider has this name.
    #[error("there is no provider `{0}`")]
    NoProvider(String),
    /// The provider has no key of this name.
    #[error("{0} has no key `{1}`")]
    NoKey(String, String),
    /// It is the only one that is on.
    #[error("{0} is the only provider that is on: a relay without one can do nothing")]
    LastProvider(String),
    /// It is the only key.
    #[error(
        "{1} is the only key of {0} that is on: without one, clients' own credentials would go there"
    )]
    LastKey(String, String),
    /// A key of this name is there.
    #[error("{0} has a key `{1}` already")]
    NameTaken(String, String),
    /// The credential is there, under this name.
    #[error("{0} has this key already, as `{1}`")]
    KeyTaken(String, String),
    /// The strategy needs settings that the file has not.
    #[error("the strategy model needs rules, and the file has none")]
    NoRules,
}

impl OverrideError {
    /// Says what to do.
    pub fn fix(&self) -> String {
        match self {
            Self::NoProvider(_) => "cc-relay provider list names them".to_owned(),
            Self::NoKey(provider, _) => format!("cc-relay key list {provider} names them"),
            Self::LastProvider(_) => "stop the relay instead, or enable another first".to_owned(),
            Self::LastKey(provider, _) => {
                format!("cc-relay provider disable {provider} instead, or add another key first")
            }
            Self::NameTaken(..) => "choose another name".to_owned(),
            Self::KeyTaken(provider, name) => {
                format!("cc-relay key enable {provider} {name}, if it is off")
            }
            Self::NoRules => "write routing.models into the file first".to_owned(),
        }
    }

    /// Tells whether it names something that is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::NoProvider(_) | Self::NoKey(..))
    }
}

/// All changes that are in force.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    providers: BTreeMap<String, bool>,
    /// Keys of the file, by provider and name, that are off.
    off: BTreeSet<(String, String)>,
    /// Keys of the file that were taken away.
    removed: BTreeSet<(String, String)>,
    added: BTreeMap<(String, String), KeyPlan>,
    strategy: Option<StrategyPlan>,
}

impl Overrides {
    /// Returns these with one more, over this plan of the file.
    ///
    /// # Errors
    /// [`OverrideError`] says why it cannot be made.
    pub fn with(&self, change: Override, file: &Plan) -> Result<Self, OverrideError> {
        let mut next = self.clone();
        match change {
            Override::Provider { name, enabled } => {
                let plan = provider(file, &name)?;
                if plan.enabled == enabled {
                    next.providers.remove(&name);
                } else {
                    next.providers.insert(name.clone(), enabled);
                }
                if !next.has_provider(file) {
                    return Err(OverrideError::LastProvider(name));
                }
            }
            Override::KeyOff { provider, key } => {
                self.key(file, &provider, &key)?;
                next.off.insert((provider.clone(), key.clone()));
                next.keeps_a_key(file, provider, key)?;
            }
            Override::KeyOn { provider, key } => {
                self.key(file, &provider, &key)?;
                next.off.remove(&(provider, key));
            }
            Override::KeyAdded { provider, key } => next.add(file, provider, key)?,
            Override::KeyRemoved { provider, key } => {
                self.key(file, &provider, &key)?;
                let at = (provider.clone(), key.clone());
                next.off.remove(&at);
                if next.added.remove(&at).is_none() {
                    next.removed.insert(at);
                }
                next.keeps_a_key(file, provider, key)?;
            }
            Override::Strategy(strategy) => {
                if strategy == StrategyPlan::Model && file.routing.models.is_empty() {
                    return Err(OverrideError::NoRules);
                }
                next.strategy = (strategy != file.routing.strategy).then_some(strategy);
            }
        }
        Ok(next)
    }

    /// Lays them over a plan of the file: another than they were made for, perhaps. What names
    /// something that it has not, or would leave it without a provider or a key, has no effect.
    #[must_use]
    pub fn lay_over(&self, file: Plan) -> Plan {
        let mut plan = file;
        let wanted: Vec<bool> = plan
            .providers
            .iter()
            .map(|it| self.providers.get(&it.name).copied().unwrap_or(it.enabled))
            .collect();
        if wanted.contains(&true) {
            for (provider, enabled) in plan.providers.iter_mut().zip(wanted) {
                provider.enabled = enabled;
            }
        }
        for provider in &mut plan.providers {
            let keys = self.keys(provider);
            if !keys.is_empty() {
                provider.keys = keys;
            }
        }
        if let Some(strategy) = self.strategy
            && (strategy != StrategyPlan::Model || !plan.routing.models.is_empty())
        {
            plan.routing.strategy = strategy;
        }
        plan
    }

    /// Says each in a few words, without any secret.
    pub fn told(&self) -> Vec<String> {
        let switch = |on: bool| if on { "on" } else { "off" };
        let providers = self
            .providers
            .iter()
            .map(|(name, on)| format!("provider {name}: {}", switch(*on)));
        let key = |(provider, key): &(String, String), what: &str| {
            format!("key {provider}/{key}: {what}")
        };
        let off = self.off.iter().map(|it| key(it, "off"));
        let removed = self.removed.iter().map(|it| key(it, "removed"));
        let added = self.added.keys().map(|it| key(it, "added"));
        let strategy = self
            .strategy
            .iter()
            .map(|it| format!("strategy: {}", it.as_str()));
        providers
            .chain(off)
            .chain(removed)
            .chain(added)
            .chain(strategy)
            .collect()
    }

    /// Returns the keys of a provider that are switched off, as far as they are not taken away.
    pub fn off_keys(&self, provider: &str) -> BTreeSet<&str> {
        let of_it = self
            .off
            .iter()
            .filter(|it| it.0 == provider && !self.removed.contains(it));
        of_it.map(|it| it.1.as_str()).collect()
    }

    /// Returns a key that was added, if it was.
    pub fn added(&self, provider: &str, key: &str) -> Option<&KeyPlan> {
        self.added.get(&(provider.to_owned(), key.to_owned()))
    }

    /// Tells whether a provider is switched otherwise than its file says.
    pub fn touches_provider(&self, name: &str) -> bool {
        self.providers.contains_key(name)
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.told().is_empty()
    }

    /// Returns the keys that a provider of the file has with them.
    fn keys(&self, plan: &ProviderPlan) -> Vec<KeyPlan> {
        let is_on = |key: &&KeyPlan| {
            let at = (plan.name.clone(), key.name.clone());
            !self.off.contains(&at) && !self.removed.contains(&at)
        };
        let added = self
            .added
            .iter()
            .filter(|(at, _)| at.0 == plan.name && !self.off.contains(*at));
        let new = added.map(|(_, key)| key).filter(|new| {
            // The file may have it by now.
            !plan
                .keys
                .iter()
                .any(|key| key.name == new.name || key.secret.id() == new.secret.id())
        });
        plan.keys.iter().filter(is_on).chain(new).cloned().collect()
    }

    fn has_provider(&self, file: &Plan) -> bool {
        let is_on = |it: &ProviderPlan| self.providers.get(&it.name).copied().unwrap_or(it.enabled);
        file.providers.iter().any(is_on)
    }

    fn keeps_a_key(&self, file: &Plan, name: String, key: String) -> Result<(), OverrideError> {
        let keys = self.keys(provider(file, &name)?);
        if keys.is_empty() {
            return Err(OverrideError::LastKey(name, key));
        }
        Ok(())
    }

    fn key(&self, file: &Plan, name: &str, key: &str) -> Result<(), OverrideError> {
        let at = (name.to_owned(), key.to_owned());
        let plan = provider(file, name)?;
        let in_file = plan.keys.iter().any(|it| it.name == key) && !self.removed.contains(&at);
        if in_file || self.added.contains_key(&at) {
            Ok(())
        } else {
            Err(OverrideError::NoKey(at.0, at.1))
        }
    }

    fn add(&mut self, file: &Plan, name: String, key: KeyPlan) -> Result<(), OverrideError> {
        let plan = provider(file, &name)?;
        let at = (name, key.name.clone());
        let theirs = self
            .added
            .iter()
            .filter(|(other, _)| other.0 == at.0)
            .map(|(_, key)| key);
        let kept = |key: &&KeyPlan| !self.removed.contains(&(at.0.clone(), key.name.clone()));
        for other in plan.keys.iter().filter(kept).chain(theirs) {
            if other.name == key.name {
                return Err(OverrideError::NameTaken(at.0, at.1));
            }
            if other.secret.id() == key.secret.id() {
                return Err(OverrideError::KeyTaken(at.0, other.name.clone()));
            }
        }
        let back = plan
            .keys
            .iter()
            .any(|it| it.name == key.name && it.secret.id() == key.secret.id());
        self.removed.remove(&at);
        if !back {
            self.added.insert(at, key);
        }
        Ok(())
    }
}

fn provider<'a>(file: &'a Plan, name: &str) -> Result<&'a ProviderPlan, OverrideError> {
    let found = file.providers.iter().find(|it| it.name == name);
    found.ok_or_else(|| OverrideError::NoProvider(name.to_owned()))
}

impl StrategyPlan {
    /// Every strategy.
    pub const ALL: [Self; 8] = [
        Self::Failover,
        Self::RoundRobin,
        Self::WeightedRoundRobin,
        Self::Shuffle,
        Self::LeastLoaded,
        Self::Model,
        Self::Cost,
        Self::Latency,
    ];

    /// Says what it does, in a few words.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Failover => "the first provider that can; the next one only when it cannot",
            Self::RoundRobin => "each in turn",
            Self::WeightedRoundRobin => "each in turn, by its weight",
            Self::Shuffle => "by chance, nobody twice before everybody once",
            Self::LeastLoaded => "the one with the fewest tokens under way for its weight",
            Self::Model => "by the name of the model",
            Self::Cost => "the cheapest for the request",
            Self::Latency => "the quickest to its first event",
        }
    }
}

#[cfg(test)]
mod tests;
