//! The quickest to its first event, with now and then a look at the others.

use std::time::Duration;

use super::{Contender, Strategy};
use crate::chance::{below, pair};

/// One request in so many goes to one of the others, so that one that has recovered is found.
const EXPLORE_ONE_IN: u64 = 50;

/// An estimate this old is no reason to stay away.
const STALE: Duration = Duration::from_mins(1);

/// Quickest first; before them those of which nothing, or nothing fresh, is known.
#[derive(Debug)]
pub(super) struct ByLatency;

impl Strategy for ByLatency {
    fn order(&self, _asked: Option<&str>, contenders: &mut [Contender<'_>], seed: u64) {
        let fresh = |contender: &Contender<'_>| {
            let known = contender.latency.filter(|latency| latency.age < STALE);
            known.map(|latency| latency.estimate)
        };
        contenders.sort_by_key(fresh);
        let unknown = contenders.partition_point(|contender| fresh(contender).is_none());
        // While an unknown one is asked, the next request finds it unknown as well: only some go
        // there, the others to the quickest.
        let first = if unknown > 0 && unknown < contenders.len() && below(seed, 4) > 0 {
            unknown
        } else if below(pair(seed, 1), EXPLORE_ONE_IN) == 0 {
            let count = u64::try_from(contenders.len()).unwrap_or(u64::MAX);
            usize::try_from(below(pair(seed, 2), count)).unwrap_or(0)
        } else {
            0
        };
        if let Some(front) = contenders.get_mut(..=first) {
            front.rotate_right(1);
        }
    }
}
