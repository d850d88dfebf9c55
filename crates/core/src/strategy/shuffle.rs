//! A dealt deck: nobody twice before everybody once.

use parking_lot::Mutex;

use super::{Contender, Strategy};
use crate::chance::{below, pair};
use crate::snapshot::TargetId;

/// Those who have had their turn since the deck was last shuffled.
#[derive(Debug, Default)]
pub(super) struct Shuffle(Mutex<Vec<TargetId>>);

impl Strategy for Shuffle {
    fn order(&self, _asked: Option<&str>, contenders: &mut [Contender<'_>], seed: u64) {
        for last in (1..contenders.len()).rev() {
            let last_seed = u64::try_from(last).unwrap_or_default();
            let other = below(pair(seed, last_seed), last_seed.saturating_add(1));
            contenders.swap(last, usize::try_from(other).unwrap_or_default());
        }
        let mut dealt = self.0.lock();
        let has_left = |contender: &Contender<'_>| !dealt.contains(contender.id);
        if !contenders.iter().any(has_left) {
            // Only these begin anew: another tier's deck is its own.
            dealt.retain(|id| !contenders.iter().any(|contender| contender.id == id));
        }
        // A stable sort: those still in the deck first, in shuffled order.
        contenders.sort_by_key(|contender| dealt.contains(contender.id));
        if let Some(first) = contenders.first() {
            dealt.push(first.id.clone());
        }
    }
}
