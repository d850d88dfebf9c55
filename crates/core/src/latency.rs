//! How long a target takes to say its first word, a model.
//!
//! In: each time to first event. Out: an estimate that jumps up at once and comes down slowly
//! (peak-sensitive EWMA, as in Twitter's Finagle): a target that became slow is left quickly.

use std::time::Duration;

use parking_lot::Mutex;

use crate::chance::hash;
use crate::moment::Moment;

/// Time in which the weight of an observation halves.
const HALF_LIFE: Duration = Duration::from_secs(20);

/// Models that are told apart at one target; the one not seen for longest makes room.
const MOST_MODELS: usize = 64;

/// The estimates of one target.
#[derive(Debug, Default)]
pub struct Latencies(Mutex<Vec<Entry>>);

#[derive(Debug, Clone, Copy)]
struct Entry {
    model: u64,
    seconds: f64,
    seen: Moment,
}

/// What is known about a model at a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// The estimate.
    pub estimate: Duration,
    /// How long ago something was last seen.
    pub age: Duration,
}

impl Latencies {
    /// Takes a time to first event.
    pub fn observe(&self, model: &str, took: Duration, now: Moment) {
        let model = hash(model.as_bytes());
        let took = took.as_secs_f64();
        let mut entries = self.0.lock();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.model == model) {
            let age = now.since(entry.seen).as_secs_f64();
            let weight = (-age / HALF_LIFE.as_secs_f64()).exp2();
            entry.seconds = if took > entry.seconds {
                took
            } else {
                // Two observations in the same instant still move it.
                let weight = weight.min(0.9);
                entry.seconds * weight + took * (1.0 - weight)
            };
            entry.seen = now;
            return;
        }
        if entries.len() >= MOST_MODELS {
            let oldest =
                (0..entries.len()).min_by_key(|place| entries.get(*place).map(|it| it.seen));
            entries.swap_remove(oldest.unwrap_or(0));
        }
        entries.push(Entry {
            model,
            seconds: took,
            seen: now,
        });
    }

    /// Returns what is known about a model.
    pub fn of(&self, model: &str, now: Moment) -> Option<Latency> {
        let model = hash(model.as_bytes());
        let entries = self.0.lock();
        let entry = entries.iter().find(|entry| entry.model == model)?;
        Some(Latency {
            estimate: Duration::try_from_secs_f64(entry.seconds).unwrap_or_default(),
            age: now.since(entry.seen),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn rises_at_once_and_falls_slowly() {
        let latencies = Latencies::default();
        let estimate = |now| latencies.of("m", now).unwrap().estimate.as_secs_f64();
        assert_eq!(latencies.of("m", at(0)), None);
        latencies.observe("m", Duration::from_secs(1), at(0));
        latencies.observe("m", Duration::from_secs(9), at(1));
        assert!((estimate(at(1)) - 9.0).abs() < 1e-9);
        latencies.observe("m", Duration::from_secs(1), at(21));
        assert!(
            (estimate(at(21)) - 5.0).abs() < 1e-9,
            "half of the way after a half-life"
        );
        for _ in 0..60 {
            latencies.observe("m", Duration::from_secs(1), at(21));
        }
        assert!(estimate(at(21)) < 1.1);
        assert_eq!(latencies.of("other", at(21)), None);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes() {
        let latencies = Latencies::default();
        for model in 0..200_u64 {
            latencies.observe(&model.to_string(), Duration::from_secs(1), at(model));
        }
        assert_eq!(latencies.0.lock().len(), MOST_MODELS);
        assert!(latencies.of("199", at(200)).is_some());
        assert!(latencies.of("0", at(200)).is_none());
    }
}
