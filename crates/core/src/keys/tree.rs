//! What is known of places that stand side by side: until when, and for what, they surely cannot
//! serve.
//!
//! In: facts, each of one place. Out: the next place that might serve a request, and the soonest of
//! all, in as many steps as the logarithm of their number where the facts fit the request. A fact
//! must only ever be too weak: end too early, or be of more than what is too much.

use std::ops::Range;
use std::time::Duration;

use super::key::need;
use super::ledger::Need;
use crate::moment::Moment;

/// Later than anything.
pub(super) const NEVER: Moment = Moment::after_start(Duration::MAX);

/// What refills continuously is reckoned in floating point, and is there some nanoseconds sooner or
/// later.
const SLACK: Duration = Duration::from_micros(1);

/// What a request needs of a place, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) input: u64,
    pub(super) output: u64,
}

impl Size {
    /// Returns what it needs of each limit.
    pub(super) fn need(self) -> Need {
        need(self.input, self.output)
    }

    /// Tells whether whoever cannot serve `other` cannot serve this either.
    fn holds(self, other: Self) -> bool {
        self.input >= other.input && self.output >= other.output
    }

    fn least(self, other: Self) -> Self {
        Self {
            input: self.input.min(other.input),
            output: self.output.min(other.output),
        }
    }

    fn most(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
        }
    }
}

/// Until then, nothing of at least this size can be served.
#[derive(Debug, Clone, Copy)]
struct Fact {
    until: Moment,
    size: Size,
}

impl Fact {
    /// Nothing is known.
    const UNKNOWN: Self = Self {
        until: Moment::START,
        size: Size {
            input: 0,
            output: 0,
        },
    };

    /// There is nobody.
    const NOBODY: Self = Self {
        until: NEVER,
        ..Self::UNKNOWN
    };

    /// Returns before when a request of a size cannot be served.
    fn until(&self, size: Size) -> Moment {
        if size.holds(self.size) {
            self.until
        } else {
            Moment::START
        }
    }

    /// Returns what is true of either.
    fn common(self, other: Self) -> Self {
        Self {
            until: self.until.min(other.until),
            size: self.size.most(other.size),
        }
    }
}

/// The facts. Node 1 is the root; the children of `n` are `2n` and `2n + 1`.
#[derive(Debug)]
pub(super) struct Tree {
    leaves: usize,
    nodes: Vec<Fact>,
}

/// A search for the soonest: its size, the best so far, and how a place is looked at.
pub(super) struct Soonest<'a> {
    pub(super) size: Size,
    /// Nobody is sooner than that.
    pub(super) now: Moment,
    pub(super) best: Moment,
    /// Places that are still looked at before the best so far is taken.
    pub(super) looks: usize,
    pub(super) look: &'a mut dyn FnMut(usize, Moment) -> Option<Moment>,
}

impl Tree {
    /// Starts with so many places of which nothing is known.
    pub(super) fn new(places: usize) -> Self {
        let leaves = places.next_power_of_two();
        let mut tree = Self {
            leaves,
            nodes: vec![Fact::NOBODY; leaves.saturating_mul(2)],
        };
        for node in tree.nodes.iter_mut().skip(leaves).take(places) {
            *node = Fact::UNKNOWN;
        }
        for node in (1..leaves).rev() {
            tree.mend(node);
        }
        tree
    }

    fn at(&self, node: usize) -> Fact {
        self.nodes.get(node).copied().unwrap_or(Fact::NOBODY)
    }

    fn mend(&mut self, node: usize) {
        let common = self.at(2 * node).common(self.at(2 * node + 1));
        if let Some(slot) = self.nodes.get_mut(node) {
            *slot = common;
        }
    }

    fn set(&mut self, leaf: usize, fact: Fact) {
        let mut node = self.leaves + leaf;
        let Some(slot) = self.nodes.get_mut(node) else {
            return;
        };
        *slot = fact;
        while node > 1 {
            node /= 2;
            self.mend(node);
        }
    }

    /// Notes that a place may serve anything, for all that is known.
    pub(super) fn forget(&mut self, leaf: usize) {
        if self.at(self.leaves + leaf).until > Moment::START {
            self.set(leaf, Fact::UNKNOWN);
        }
    }

    /// Notes that nobody stands at a place any more.
    pub(super) fn leave(&mut self, leaf: usize) {
        self.set(leaf, Fact::NOBODY);
    }

    /// Notes when a place that cannot serve a request now can: `at` says it of any size. What is
    /// still known of a smaller one is kept, for it is true of more.
    pub(super) fn rest(
        &mut self,
        leaf: usize,
        size: Size,
        now: Moment,
        mut at: impl FnMut(Size) -> Moment,
    ) {
        let old = self.at(self.leaves + leaf);
        let least = if old.until > now {
            size.least(old.size)
        } else {
            size
        };
        for size in [least, size] {
            let until = at(size).minus(SLACK);
            if until > now {
                self.set(leaf, Fact { until, size });
                return;
            }
        }
    }

    /// Returns the first place of a range that might serve a request of a size now.
    pub(super) fn next(&self, range: &Range<usize>, size: Size, now: Moment) -> Option<usize> {
        self.next_in(1, 0..self.leaves, range, (size, now))
    }

    fn next_in(
        &self,
        node: usize,
        span: Range<usize>,
        range: &Range<usize>,
        (size, now): (Size, Moment),
    ) -> Option<usize> {
        let apart = span.end <= range.start || span.start >= range.end;
        if apart || self.at(node).until(size) > now {
            return None;
        }
        if span.len() == 1 {
            return Some(span.start);
        }
        let middle = usize::midpoint(span.start, span.end);
        self.next_in(2 * node, span.start..middle, range, (size, now))
            .or_else(|| self.next_in(2 * node + 1, middle..span.end, range, (size, now)))
    }

    /// Returns before when nobody in a range can serve a request of a size.
    pub(super) fn earliest(&self, range: &Range<usize>, size: Size) -> Moment {
        self.earliest_in(1, 0..self.leaves, range, size)
    }

    fn earliest_in(
        &self,
        node: usize,
        span: Range<usize>,
        range: &Range<usize>,
        size: Size,
    ) -> Moment {
        if span.end <= range.start || span.start >= range.end {
            return NEVER;
        }
        if range.start <= span.start && span.end <= range.end {
            return self.at(node).until(size);
        }
        let middle = usize::midpoint(span.start, span.end);
        let left = self.earliest_in(2 * node, span.start..middle, range, size);
        left.min(self.earliest_in(2 * node + 1, middle..span.end, range, size))
    }

    /// Looks at the places of a range that might serve sooner than the best so far, those first
    /// that might soonest. What it finds is the soonest but for [`SLACK`].
    pub(super) fn soonest(&self, range: &Range<usize>, search: &mut Soonest<'_>) {
        self.soonest_in(1, 0..self.leaves, range, search);
    }

    fn soonest_in(
        &self,
        node: usize,
        span: Range<usize>,
        range: &Range<usize>,
        search: &mut Soonest<'_>,
    ) {
        let apart = span.end <= range.start || span.start >= range.end;
        let until = self.at(node).until(search.size);
        let is_late = search.best <= search.now || until >= search.best.minus(SLACK);
        if apart || is_late || search.looks == 0 {
            return;
        }
        if span.len() == 1 {
            search.looks -= 1;
            if let Some(at) = (search.look)(span.start, search.best) {
                search.best = search.best.min(at);
            }
            return;
        }
        let middle = usize::midpoint(span.start, span.end);
        let mut halves = [
            (2 * node, span.start..middle),
            (2 * node + 1, middle..span.end),
        ];
        let until = |node: usize| self.at(node).until(search.size);
        if until(halves[1].0) < until(halves[0].0) {
            halves.swap(0, 1);
        }
        for (node, span) in halves {
            self.soonest_in(node, span, range, search);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    fn size() -> impl Strategy<Value = Size> {
        (0_u64..4, 0_u64..4).prop_map(|(input, output)| Size { input, output })
    }

    proptest! {
        /// Against a list: the next, the earliest and the soonest are those that a walk finds.
        #[test]
        fn trees_find_what_a_walk_finds(
            facts in prop::collection::vec((0_u64..20, size(), 0_u64..5), 1..200),
            (one, other) in (0_usize..200, 0_usize..200),
            (now, asked) in (0_u64..22, size()),
        ) {
            let mut tree = Tree::new(facts.len());
            for (leaf, (until, size, _)) in facts.iter().enumerate() {
                tree.set(leaf, Fact { until: at(*until), size: *size });
            }
            let range = one.min(other)..one.max(other).min(facts.len());
            let until = |leaf: usize| {
                let (until, size, _) = facts[leaf];
                if asked.holds(size) { at(until) } else { at(0) }
            };
            prop_assert_eq!(
                tree.next(&range, asked, at(now)),
                range.clone().find(|leaf| until(*leaf) <= at(now))
            );
            let least = range.clone().map(until).min();
            prop_assert_eq!(tree.earliest(&range, asked), least.unwrap_or(NEVER));
            // What it really is comes a little later than what is known.
            let really = |leaf: usize| until(leaf).plus(Duration::from_secs(facts[leaf].2));
            let mut looked = 0;
            let mut search = Soonest {
                size: asked,
                now: at(0),
                best: NEVER,
                looks: usize::MAX,
                look: &mut |leaf, _| {
                    looked += 1;
                    Some(really(leaf))
                },
            };
            tree.soonest(&range, &mut search);
            let best = search.best;
            prop_assert_eq!(best, range.clone().map(really).min().unwrap_or(NEVER));
            prop_assert!(looked <= range.len());
        }

        /// What is noted never claims more than is true, however sizes follow each other.
        #[test]
        fn a_fact_is_never_too_strong(
            asks in prop::collection::vec((size(), 0_u64..3), 1..40),
            of in prop::array::uniform4(0_u64..6),
        ) {
            // Whoever asks for more has to wait for longer.
            let can = |size: Size, now: u64| {
                let input = of.iter().zip(0..size.input).map(|(of, _)| of).sum::<u64>();
                at((input + size.output * of[3]).max(now))
            };
            let mut tree = Tree::new(1);
            let mut now = 0;
            for (size, later) in asks {
                now += later;
                let found = tree.next(&(0..1), size, at(now)).is_some();
                if can(size, now) <= at(now) {
                    prop_assert!(found, "somebody was passed over");
                } else {
                    tree.rest(0, size, at(now), |size| can(size, now));
                    prop_assert!(tree.next(&(0..1), size, at(now)).is_none(), "looked at twice");
                }
            }
        }
    }
}
