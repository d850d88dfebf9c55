//! Numbers by labels, without a lock where they are recorded.
//!
//! In: labels of a closed set. Out: the number that belongs to them, shared by all threads. Labels
//! are looked up in a table that is replaced whole when a new set comes, which happens about as
//! often as a configuration changes. There are never more than [`MOST_SETS`]; what comes beyond is
//! counted under `other`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

/// Sets of labels that are told apart in one metric.
pub(crate) const MOST_SETS: usize = 4096;

/// The values of a metric's labels, in the order of their names.
pub(crate) type Values<const N: usize> = [Arc<str>; N];

/// Numbers of one kind by the values of `N` labels.
#[derive(Debug)]
pub(crate) struct Family<const N: usize, V>(ArcSwap<HashMap<Values<N>, Arc<V>>>);

impl<const N: usize, V> Default for Family<N, V> {
    fn default() -> Self {
        Self(ArcSwap::default())
    }
}

impl<const N: usize, V: Default> Family<N, V> {
    /// Returns the number that belongs to these labels.
    pub(crate) fn of(&self, values: &Values<N>) -> Arc<V> {
        if let Some(known) = self.0.load().get(values) {
            return Arc::clone(known);
        }
        let fresh = Arc::new(V::default());
        let others: Values<N> = std::array::from_fn(|_| "other".into());
        self.0.rcu(|table| {
            let mut table = HashMap::clone(table);
            let full = table.len() >= MOST_SETS && !table.contains_key(values);
            let values = if full { &others } else { values };
            table
                .entry(values.clone())
                .or_insert_with(|| Arc::clone(&fresh));
            table
        });
        let table = self.0.load();
        let found = table.get(values).or_else(|| table.get(&others));
        found.map_or(fresh, Arc::clone)
    }

    /// Returns all numbers with their labels, sorted.
    pub(crate) fn all(&self) -> Vec<(Values<N>, Arc<V>)> {
        let table = self.0.load();
        let sets = table.iter();
        let mut all: Vec<_> = sets
            .map(|(values, number)| (values.clone(), Arc::clone(number)))
            .collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper ends of the buckets of seconds that a request or a part of it takes: 0.05 to 819.2, each
/// twice the one before.
pub(crate) const SECONDS: [f64; 15] = [
    0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6, 819.2,
];

/// Upper ends of the buckets of the relay's own time: 10 µs to 50 ms.
pub(crate) const OVERHEAD: [f64; 12] = [
    0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05,
];

/// Times, counted in buckets. `B` is how many there are; one more takes what is longer.
#[derive(Debug)]
pub(crate) struct Histogram<const B: usize> {
    buckets: [AtomicU64; B],
    longer: AtomicU64,
    nanos: AtomicU64,
}

impl<const B: usize> Default for Histogram<B> {
    fn default() -> Self {
        Self {
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            longer: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
        }
    }
}

impl<const B: usize> Histogram<B> {
    pub(crate) fn observe(&self, ends: &[f64; B], took: Duration) {
        let seconds = took.as_secs_f64();
        let at = ends.partition_point(|end| *end < seconds);
        let bucket = self.buckets.get(at).unwrap_or(&self.longer);
        bucket.fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Returns the sum in seconds, and the count of each bucket with its upper end.
    pub(crate) fn get(&self, ends: &[f64; B]) -> (f64, Vec<(f64, u64)>) {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let counts = self.buckets.iter().map(load);
        let mut buckets: Vec<(f64, u64)> = ends.iter().copied().zip(counts).collect();
        buckets.push((f64::INFINITY, load(&self.longer)));
        #[expect(clippy::cast_precision_loss, reason = "a sum that is shown")]
        let sum = load(&self.nanos) as f64 / 1e9;
        (sum, buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_threads() {
        let family: Family<1, Counter> = Family::default();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let family = &family;
                scope.spawn(move || {
                    for step in 0..1_000 {
                        let label = format!("{}", (step + thread) % 10);
                        family.of(&[label.into()]).add(1);
                    }
                });
            }
        });
        let all = family.all();
        assert_eq!(all.len(), 10);
        assert!(all.iter().all(|(_, counter)| counter.get() == 800));
    }

    #[test]
    fn labels_beyond_the_bound_are_others() {
        let family: Family<2, Counter> = Family::default();
        for number in 0..MOST_SETS + 50 {
            let values = [format!("{number}").into(), "x".into()];
            family.of(&values).add(1);
        }
        let all = family.all();
        assert_eq!(all.len(), MOST_SETS + 1);
        let others = all.iter().find(|(values, _)| &*values[0] == "other");
        assert_eq!(others.unwrap().1.get(), 50);
    }

    #[test]
    fn times_fall_into_their_buckets() {
        let histogram: Histogram<15> = Histogram::default();
        for milliseconds in [0, 50, 51, 900, 820_000] {
            histogram.observe(&SECONDS, Duration::from_millis(milliseconds));
        }
        let (sum, buckets) = histogram.get(&SECONDS);
        assert!((sum - 821.001).abs() < 1e-6);
        let counts: Vec<u64> = buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [2, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }
}
