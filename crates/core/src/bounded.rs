//! A map of bounded size that forgets what was not used for longest.
//!
//! In: 64-bit keys that are hashes already. Out: values, under a short lock of one shard. It must
//! never grow past its bound, and never hold two locks at once.
//!
//! The order of use is a queue of (key, stamp): a use appends, and an entry whose stamp is not the
//! newest of its key is void. The queue is tidied when it is twice the size of the map, so each
//! operation costs O(1) on average.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::chance;

/// Shards of a large map. A small one has a single shard, and its order of use is then exact.
const SHARDS: usize = 16;
/// The bound from which a map is sharded.
const LARGE: usize = 1024;
/// How many of the oldest entries are looked at with each new one, to see whether they expired.
const SWEEP: usize = 4;

/// A sharded map with a bound.
pub(crate) struct Bounded<V> {
    shards: Box<[Mutex<Shard<V>>]>,
    /// Another bound takes hold as values come in.
    max_per_shard: AtomicUsize,
}

struct Shard<V> {
    slots: HashMap<u64, Slot<V>>,
    order: VecDeque<(u64, u64)>,
    stamp: u64,
}

struct Slot<V> {
    value: V,
    stamp: u64,
}

/// Returns how many of `max` values one of so many shards may hold.
fn share(max: usize, shards: usize) -> usize {
    max.checked_div(shards).unwrap_or(max).max(1)
}

impl<V> Bounded<V> {
    /// Makes a map for at most `max` values, but at least one.
    pub(crate) fn new(max: usize) -> Self {
        let count = if max < LARGE { 1 } else { SHARDS };
        let mut shards = Vec::with_capacity(count);
        shards.resize_with(count, || {
            Mutex::new(Shard {
                slots: HashMap::new(),
                order: VecDeque::new(),
                stamp: 0,
            })
        });
        Self {
            shards: shards.into(),
            max_per_shard: AtomicUsize::new(share(max, count)),
        }
    }

    /// Takes another bound. What is too much goes when something comes in.
    pub(crate) fn resize(&self, max: usize) {
        let share = share(max, self.shards.len());
        self.max_per_shard.store(share, Ordering::Relaxed);
    }

    fn shard(&self, key: u64) -> Option<&Mutex<Shard<V>>> {
        let count = u64::try_from(self.shards.len()).ok()?;
        let place = chance::below(key, count);
        self.shards.get(usize::try_from(place).ok()?)
    }

    /// Uses the value of a key, if there is one.
    pub(crate) fn with<R>(&self, key: u64, act: impl FnOnce(&mut V) -> R) -> Option<R> {
        let mut shard = self.shard(key)?.lock();
        shard.touch(key);
        shard.slots.get_mut(&key).map(|slot| act(&mut slot.value))
    }

    /// Uses the value of a key, or one that is made for it. To make room, values go that `expired`
    /// condemns, and else the one unused for longest.
    pub(crate) fn with_or<R>(
        &self,
        key: u64,
        expired: impl Fn(&V) -> bool,
        make: impl FnOnce() -> V,
        act: impl FnOnce(&mut V) -> R,
    ) -> Option<R> {
        let mut shard = self.shard(key)?.lock();
        if !shard.slots.contains_key(&key) {
            shard.sweep(expired);
            let max = self.max_per_shard.load(Ordering::Relaxed);
            while shard.slots.len() >= max && shard.forget_oldest() {}
            let stamp = shard.stamp;
            let value = make();
            shard.slots.insert(key, Slot { value, stamp });
        }
        shard.touch(key);
        shard.slots.get_mut(&key).map(|slot| act(&mut slot.value))
    }

    /// Uses every value, one shard after the other.
    pub(crate) fn for_each(&self, mut act: impl FnMut(&mut V)) {
        for shard in &self.shards {
            for slot in shard.lock().slots.values_mut() {
                act(&mut slot.value);
            }
        }
    }

    /// Returns how many values there are.
    pub(crate) fn len(&self) -> usize {
        let lengths = self.shards.iter().map(|shard| shard.lock().slots.len());
        lengths.fold(0, usize::saturating_add)
    }
}

impl<V> Shard<V> {
    /// Notes a use of a key that is there.
    fn touch(&mut self, key: u64) {
        let Some(slot) = self.slots.get_mut(&key) else {
            return;
        };
        self.stamp = self.stamp.saturating_add(1);
        slot.stamp = self.stamp;
        self.order.push_back((key, self.stamp));
        if self.order.len() > self.slots.len().saturating_mul(2).saturating_add(32) {
            let slots = &self.slots;
            let counts =
                |(key, stamp): &(u64, u64)| slots.get(key).is_some_and(|slot| slot.stamp == *stamp);
            self.order.retain(counts);
        }
    }

    /// Looks at a few of the oldest and drops those that expired.
    fn sweep(&mut self, expired: impl Fn(&V) -> bool) {
        for _ in 0..SWEEP {
            let Some(&(key, stamp)) = self.order.front() else {
                return;
            };
            let current = self.slots.get(&key).filter(|slot| slot.stamp == stamp);
            match current.map(|slot| expired(&slot.value)) {
                Some(false) => return,
                Some(true) => drop(self.slots.remove(&key)),
                None => {}
            }
            self.order.pop_front();
        }
    }

    /// Drops the value that was unused for longest; tells whether there was one.
    fn forget_oldest(&mut self) -> bool {
        while let Some((key, stamp)) = self.order.pop_front() {
            if self.slots.get(&key).is_some_and(|slot| slot.stamp == stamp) {
                self.slots.remove(&key);
                return true;
            }
        }
        false
    }
}

impl<V> fmt::Debug for Bounded<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounded")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn put(map: &Bounded<u64>, key: u64) {
        map.with_or(key, |_| false, || key, |_| ());
    }

    #[test]
    fn the_longest_unused_goes_first() {
        let map = Bounded::new(3);
        for key in [1, 2, 3] {
            put(&map, key);
        }
        assert_eq!(map.with(1, |value| *value), Some(1));
        put(&map, 4);
        let there: Vec<bool> = (1..5).map(|key| map.with(key, |_| ()).is_some()).collect();
        assert_eq!(there, [true, false, true, true]);
    }

    #[test]
    fn the_expired_go_before_the_living() {
        let map = Bounded::new(10);
        for key in 0..10 {
            put(&map, key);
        }
        map.with_or(10, |value| *value < 3, || 10, |_| ());
        assert_eq!(map.len(), 8);
        assert!(map.with(3, |_| ()).is_some());
    }

    #[test]
    fn a_smaller_bound_takes_hold_with_the_next_value() {
        let map = Bounded::new(5);
        for key in 0..5 {
            put(&map, key);
        }
        map.resize(2);
        assert_eq!(map.len(), 5);
        put(&map, 9);
        assert_eq!(map.len(), 2);
        assert!(map.with(9, |_| ()).is_some() && map.with(4, |_| ()).is_some());
        map.resize(4);
        put(&map, 10);
        assert_eq!(map.len(), 3);
    }

    proptest! {
        /// A model of it: a list in order of use.
        #[test]
        fn holds_what_a_list_would(max in 1_usize..20, uses in prop::collection::vec((any::<bool>(), 0_u64..40), 0..400)) {
            let map = Bounded::new(max);
            let mut list: Vec<u64> = Vec::new();
            for (insert, key) in uses {
                let known = list.iter().position(|other| *other == key).map(|at| list.remove(at));
                if insert {
                    put(&map, key);
                } else {
                    prop_assert_eq!(map.with(key, |_| ()).is_some(), known.is_some());
                }
                if insert || known.is_some() {
                    list.push(key);
                }
                if list.len() > max {
                    list.remove(0);
                }
                prop_assert_eq!(map.len(), list.len());
                let shard = map.shards[0].lock();
                prop_assert!(shard.order.len() <= 2 * list.len() + 33);
            }
        }

        #[test]
        fn a_large_map_keeps_its_bound(keys in prop::collection::vec(any::<u64>(), 0..4000)) {
            let map = Bounded::new(1024);
            for key in &keys {
                put(&map, *key);
            }
            prop_assert!(map.len() <= 1024);
        }
    }
}
