//! In turn.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Contender, Strategy};

/// Each request begins with the next one. One counter, so threads share the turns fairly.
#[derive(Debug, Default)]
pub(super) struct RoundRobin(AtomicUsize);

impl Strategy for RoundRobin {
    fn order(&self, _asked: Option<&str>, contenders: &mut [Contender<'_>], _seed: u64) {
        let turn = self.0.fetch_add(1, Ordering::Relaxed);
        let first = turn.checked_rem(contenders.len()).unwrap_or(0);
        contenders.rotate_left(first);
    }
}
