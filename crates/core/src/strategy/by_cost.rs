//! The cheapest for this request, its cached part at the price of reading the cache.

use super::{Contender, Strategy};

/// Cheapest first. An unknown price is not a low one: it comes last.
#[derive(Debug)]
pub(super) struct ByCost;

impl Strategy for ByCost {
    fn order(&self, _asked: Option<&str>, contenders: &mut [Contender<'_>], _seed: u64) {
        contenders.sort_by_key(|contender| contender.cost.unwrap_or(u64::MAX));
    }
}
