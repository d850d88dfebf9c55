//! What a target has refused to take, for a model: remembered so that it is asked without at once.
//!
//! In: what refusals named. Out: what to leave out. It forgets after [`REMEMBERED_FOR`], since
//! upstreams learn; and it must never grow beyond [`MOST_ENTRIES`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::capability::Capability;
use crate::moment::Moment;
use crate::request::ModelName;

/// How long a refusal is remembered: one request in so long asks anew.
pub const REMEMBERED_FOR: Duration = Duration::from_hours(6);

/// Entries of one target; the oldest makes room.
pub const MOST_ENTRIES: usize = 128;

/// What one target lacks.
#[derive(Debug, Default)]
pub struct Lacking {
    /// Whether there is any: most targets lack nothing, and need no look at the list.
    any: AtomicBool,
    entries: Mutex<Vec<Lack>>,
}

/// One thing that a target cannot take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// For this model, as the target calls it.
    pub model: ModelName,
    /// What it cannot take.
    pub capability: Capability,
    /// Until when that is believed.
    pub until: Moment,
}

impl Lacking {
    /// Returns what to leave out for a model.
    pub fn of(&self, model: &ModelName, now: Moment) -> Vec<Capability> {
        if !self.any.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let entries = self.entries.lock();
        let here = entries
            .iter()
            .filter(|it| it.model == *model && it.until > now);
        here.map(|it| it.capability.clone()).collect()
    }

    /// Remembers a refusal.
    pub fn note(&self, model: &ModelName, capability: Capability, now: Moment) {
        self.any.store(true, Ordering::Relaxed);
        let until = now.plus(REMEMBERED_FOR);
        let mut entries = self.entries.lock();
        entries.retain(|it| it.until > now && !(it.model == *model && it.capability == capability));
        if entries.len() >= MOST_ENTRIES {
            entries.remove(0);
        }
        entries.push(Lack {
            model: model.clone(),
            capability,
            until,
        });
    }

    /// Returns what is remembered.
    pub fn list(&self, now: Moment) -> Vec<Lack> {
        let entries = self.entries.lock();
        entries
            .iter()
            .filter(|it| it.until > now)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_remembered_for_a_model_and_a_time() {
        let lacking = Lacking::default();
        let (a, b) = (ModelName::new("a"), ModelName::new("b"));
        let speed = Capability::new("speed").unwrap();
        let now = Moment::START;
        lacking.note(&a, speed.clone(), now);
        lacking.note(&a, speed.clone(), now);
        assert_eq!(lacking.of(&a, now), [speed]);
        assert!(lacking.of(&b, now).is_empty());
        let later = now.plus(REMEMBERED_FOR);
        assert!(lacking.of(&a, later).is_empty() && lacking.list(later).is_empty());
    }

    #[test]
    fn it_does_not_grow() {
        let lacking = Lacking::default();
        let model = ModelName::new("a");
        for number in 0..MOST_ENTRIES * 2 {
            let name = Capability::new(&format!("field{number}")).unwrap();
            lacking.note(&model, name, Moment::START);
        }
        assert_eq!(lacking.list(Moment::START).len(), MOST_ENTRIES);
    }
}
