//! Which credentials are good, now. In: lists, a closure, and changes while the sim runs; out: a
//! judgement. Must never say which credential it would have taken.

use std::collections::HashSet;
use std::fmt;

use parking_lot::RwLock;

/// A closure that says whether a credential is good.
pub(crate) type Judge = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// What a shown credential is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Missing,
    Bad,
    Good,
}

/// All good credentials.
pub(crate) struct Keys {
    /// `None` takes any.
    accepted: RwLock<Option<HashSet<String>>>,
    revoked: RwLock<HashSet<String>>,
    judge: Option<Judge>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// Takes only `accepted` (any if it is empty), of which `judge` has the last word.
    pub(crate) fn new(accepted: Vec<String>, judge: Option<Judge>) -> Self {
        let accepted = (!accepted.is_empty()).then(|| accepted.into_iter().collect());
        Self {
            accepted: RwLock::new(accepted),
            revoked: RwLock::default(),
            judge,
        }
    }

    /// Takes this credential from now on, and of others only those that were accepted before.
    pub(crate) fn accept(&self, key: String) {
        self.revoked.write().remove(&key);
        self.accepted
            .write()
            .get_or_insert_with(HashSet::new)
            .insert(key);
    }

    /// Takes this credential no more.
    pub(crate) fn revoke(&self, key: String) {
        self.revoked.write().insert(key);
    }

    pub(crate) fn standing(&self, key: Option<&str>) -> Standing {
        let Some(key) = key else {
            return Standing::Missing;
        };
        let listed = self
            .accepted
            .read()
            .as_ref()
            .is_none_or(|keys| keys.contains(key));
        let judged = self.judge.as_ref().is_none_or(|judge| judge(key));
        if listed && judged && !self.revoked.read().contains(key) {
            Standing::Good
        } else {
            Standing::Bad
        }
    }
}
