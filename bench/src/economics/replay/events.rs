//! What is going to happen, in order. In: events with their time; out: the next one. Must never
//! leave the order of two events of one moment to chance.
use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// A conversation asks for its next turn.
    Turn(usize),
    /// A client sends a request again.
    Repeat(usize),
    /// An answer begins.
    Begin(usize),
    /// An answer ends.
    End(usize),
    /// A refusal arrives.
    Refused(usize),
    /// A request has waited long enough for its prefix.
    ColdOver(usize),
    /// A request has waited for its home.
    Again(usize),
    /// A key may have room again.
    Room,
}

/// All that is going to happen.
#[derive(Debug, Default)]
pub(super) struct Events {
    heap: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    count: u64,
}

impl Events {
    pub(super) fn push(&mut self, at: Duration, event: Event) {
        self.count = self.count.saturating_add(1);
        self.heap.push(Reverse((at, self.count, event)));
    }

    pub(super) fn pop(&mut self) -> Option<(Duration, Event)> {
        let Reverse((at, _, event)) = self.heap.pop()?;
        Some((at, event))
    }
}
