//! Fewest tokens under way for its weight: a request of 200,000 tokens is not one of 200.

use super::{Contender, Strategy};
use crate::chance::{hash, pair};

/// Least loaded first; of equals any, by the seed.
#[derive(Debug)]
pub(super) struct LeastLoaded;

impl Strategy for LeastLoaded {
    fn order(&self, _asked: Option<&str>, contenders: &mut [Contender<'_>], seed: u64) {
        contenders.sort_by_cached_key(|contender| {
            let weight = u64::from(contender.weight.max(1));
            let load = contender.in_flight_tokens / weight;
            (load, pair(seed, hash(contender.id.as_str().as_bytes())))
        });
    }
}
