//! Which keys of a large pool are worth a look: what keeps a choice short where nearly all are spent.
//!
//! In: until when a key surely cannot serve a request of some size. Out: the next key that might,
//! and the soonest that will. A bound is only ever too early, never too late: whoever may serve
//! sooner than was thought is told so ([`Field::wake`]), and is then looked at again.
//!
//! Bounds stand in trees of minima, one for each [`Grade`] of requests, so that the next key that
//! might serve, or the one that will first, is found in as many steps as the logarithm of their
//! number. Keys of one account stand side by side: where the account is spent, all are passed over
//! at once.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use super::key::need;
use super::ledger::Need;
use super::{Ask, ModelClass};
use crate::moment::Moment;

/// Pools of more keys have a field; in a smaller one every key is looked at as soon.
pub(super) const LARGE: usize = 64;

/// Accounts of more keys are judged once for all of them; the limits of a smaller one are part of
/// the bound of each of its keys.
const LARGE_ACCOUNT: usize = 8;

/// Grades that are remembered; the one unused for longest makes room.
const MOST_GRADES: usize = 32;

/// Requests that are alike in what they need, within a factor of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grade {
    pub(super) class: ModelClass,
    /// Whether keys that were refused count too.
    pub(super) anyway: bool,
    /// Powers of two, rounded down; `None` for nothing.
    input: Option<u32>,
    output: Option<u32>,
}

impl Grade {
    /// Returns the grade of a request, as if every key had its prefix cached.
    pub(super) fn of(ask: &Ask<'_>) -> Self {
        Self {
            class: ask.class,
            anyway: ask.anyway,
            input: ask
                .input_tokens
                .saturating_sub(ask.cached_tokens)
                .checked_ilog2(),
            output: ask.output_tokens.checked_ilog2(),
        }
    }

    /// Returns what any request of this grade needs at least.
    pub(super) fn least(&self) -> Need {
        let tokens = |power: Option<u32>| power.map_or(0, |power| 1 << power);
        need(tokens(self.input), tokens(self.output))
    }
}

/// The keys of one priority, side by side by account, with what is known of when they can serve.
#[derive(Debug)]
pub(super) struct Field {
    /// The place in the pool of each key.
    pub(super) keys: Vec<usize>,
    leaf_of: HashMap<usize, usize>,
    /// Where the keys of each account stand.
    accounts: HashMap<usize, Range<usize>>,
    /// Where keys of small accounts end.
    small: usize,
    /// The stretches that are judged as one: the keys of small accounts together, those of each
    /// large one.
    pub(super) stretches: Vec<Range<usize>>,
    trees: Vec<Tree>,
    uses: u64,
}

/// The bounds of one grade. Node 1 is the root; the children of `n` are `2n` and `2n + 1`.
#[derive(Debug)]
struct Tree {
    grade: Grade,
    used: u64,
    leaves: usize,
    nodes: Vec<Moment>,
}

const NEVER: Moment = Moment::after_start(Duration::MAX);

impl Tree {
    fn new(grade: Grade, keys: usize) -> Self {
        let leaves = keys.next_power_of_two();
        let mut nodes = vec![NEVER; leaves.saturating_mul(2)];
        // Nothing is known yet of the keys that there are.
        for node in nodes.iter_mut().skip(leaves).take(keys) {
            *node = Moment::START;
        }
        let mut tree = Self {
            grade,
            used: 0,
            leaves,
            nodes,
        };
        for node in (1..leaves).rev() {
            tree.mend(node);
        }
        tree
    }

    fn at(&self, node: usize) -> Moment {
        self.nodes.get(node).copied().unwrap_or(NEVER)
    }

    fn mend(&mut self, node: usize) {
        let least = self.at(2 * node).min(self.at(2 * node + 1));
        if let Some(slot) = self.nodes.get_mut(node) {
            *slot = least;
        }
    }

    fn set(&mut self, leaf: usize, until: Moment) {
        let mut node = self.leaves + leaf;
        match self.nodes.get_mut(node) {
            Some(slot) if *slot != until => *slot = until,
            _ => return,
        }
        while node > 1 {
            node /= 2;
            self.mend(node);
        }
    }

    /// Returns the first leaf of a range whose bound is not later than `now`.
    fn next(&self, range: &Range<usize>, now: Moment) -> Option<usize> {
        self.next_in(1, 0..self.leaves, range, now)
    }

    fn next_in(
        &self,
        node: usize,
        span: Range<usize>,
        range: &Range<usize>,
        now: Moment,
    ) -> Option<usize> {
        if span.end <= range.start || span.start >= range.end || self.at(node) > now {
            return None;
        }
        if span.len() == 1 {
            return Some(span.start);
        }
        let middle = usize::midpoint(span.start, span.end);
        self.next_in(2 * node, span.start..middle, range, now)
            .or_else(|| self.next_in(2 * node + 1, middle..span.end, range, now))
    }

    /// Returns the leaf of a range whose bound is the earliest, if that is before `limit`.
    fn earliest(&self, range: &Range<usize>, limit: Moment) -> Option<(Moment, usize)> {
        self.earliest_in(1, 0..self.leaves, range, limit)
    }

    fn earliest_in(
        &self,
        node: usize,
        span: Range<usize>,
        range: &Range<usize>,
        limit: Moment,
    ) -> Option<(Moment, usize)> {
        let bound = self.at(node);
        if span.end <= range.start || span.start >= range.end || bound >= limit {
            return None;
        }
        if span.len() == 1 {
            return Some((bound, span.start));
        }
        let middle = usize::midpoint(span.start, span.end);
        let left = self.earliest_in(2 * node, span.start..middle, range, limit);
        let limit = left.map_or(limit, |(bound, _)| bound);
        let right = self.earliest_in(2 * node + 1, middle..span.end, range, limit);
        right.or(left)
    }
}

impl Field {
    /// Puts keys side by side, given as their place in the pool and their account.
    pub(super) fn new(keys: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut by_account: HashMap<usize, Vec<usize>> = HashMap::new();
        for (place, account) in keys {
            by_account.entry(account).or_default().push(place);
        }
        let mut groups: Vec<(usize, Vec<usize>)> = by_account.into_iter().collect();
        groups.sort_unstable_by_key(|(account, keys)| (keys.len() > LARGE_ACCOUNT, *account));
        let mut field = Self {
            keys: Vec::new(),
            leaf_of: HashMap::new(),
            accounts: HashMap::new(),
            small: 0,
            stretches: Vec::new(),
            trees: Vec::new(),
            uses: 0,
        };
        for (account, places) in groups {
            let from = field.keys.len();
            for place in places {
                field.leaf_of.insert(place, field.keys.len());
                field.keys.push(place);
            }
            let range = from..field.keys.len();
            if range.len() <= LARGE_ACCOUNT {
                field.small = range.end;
            } else {
                field.stretches.push(range.clone());
            }
            field.accounts.insert(account, range);
        }
        if field.small > 0 {
            field.stretches.push(0..field.small);
        }
        field
    }

    /// Returns the position of a key.
    pub(super) fn position(&self, place: usize) -> Option<usize> {
        self.leaf_of.get(&place).copied()
    }

    /// Returns the positions of an account's keys.
    pub(super) fn of_account(&self, account: usize) -> Option<Range<usize>> {
        self.accounts.get(&account).cloned()
    }

    /// Tells whether the limits of a key's account are part of its bound.
    pub(super) fn includes_account(&self, position: usize) -> bool {
        position < self.small
    }

    /// Returns the next position of a range whose key might serve now.
    pub(super) fn next(
        &mut self,
        grade: &Grade,
        range: &Range<usize>,
        now: Moment,
    ) -> Option<usize> {
        self.tree(grade)?.next(range, now)
    }

    /// Returns the position of a range whose key might serve soonest, and when, if that is before
    /// `limit`.
    pub(super) fn earliest(
        &mut self,
        grade: &Grade,
        range: &Range<usize>,
        limit: Moment,
    ) -> Option<(Moment, usize)> {
        self.tree(grade)?.earliest(range, limit)
    }

    /// Notes that a key surely cannot serve a request of a grade until then.
    pub(super) fn rest(&mut self, grade: &Grade, position: usize, until: Moment) {
        if let Some(tree) = self.tree(grade) {
            tree.set(position, until);
        }
    }

    /// Notes that a key may serve sooner than was thought.
    pub(super) fn wake(&mut self, place: usize) {
        if let Some(leaf) = self.leaf_of.get(&place) {
            for tree in &mut self.trees {
                tree.set(*leaf, Moment::START);
            }
        }
    }

    /// Notes that an account may serve sooner than was thought.
    pub(super) fn wake_account(&mut self, account: usize) {
        let range = self.of_account(account);
        // The limits of large ones are looked at each time.
        for leaf in range.filter(|it| it.len() <= LARGE_ACCOUNT).unwrap_or(0..0) {
            for tree in &mut self.trees {
                tree.set(leaf, Moment::START);
            }
        }
    }

    fn tree(&mut self, grade: &Grade) -> Option<&mut Tree> {
        self.uses = self.uses.wrapping_add(1);
        let uses = self.uses;
        let known = self.trees.iter().position(|tree| tree.grade == *grade);
        let at = known.unwrap_or_else(|| {
            if self.trees.len() >= MOST_GRADES {
                let oldest = self.trees.iter().map(|tree| tree.used).min();
                self.trees.retain(|tree| Some(tree.used) != oldest);
            }
            self.trees.push(Tree::new(*grade, self.keys.len()));
            self.trees.len().saturating_sub(1)
        });
        let tree = self.trees.get_mut(at)?;
        tree.used = uses;
        Some(tree)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    proptest! {
        /// Against a list: the next and the earliest are those that a walk finds.
        #[test]
        fn trees_find_what_a_walk_finds(
            bounds in prop::collection::vec(0_u64..20, 1..200),
            (one, other) in (0_usize..200, 0_usize..200),
            (now, limit) in (0_u64..22, 0_u64..22),
        ) {
            let grade = Grade {
                class: ModelClass::of("claude-opus-5-5"),
                anyway: false,
                input: None,
                output: None,
            };
            let mut tree = Tree::new(grade, bounds.len());
            for (leaf, bound) in bounds.iter().enumerate() {
                tree.set(leaf, at(*bound));
            }
            let range = one.min(other)..one.max(other);
            let within = |leaf: &usize| range.contains(leaf) && *leaf < bounds.len();
            let mut walk = (0..bounds.len()).filter(within);
            prop_assert_eq!(
                tree.next(&range, at(now)),
                walk.find(|leaf| bounds[*leaf] <= now)
            );
            let least = (0..bounds.len()).filter(within).map(|leaf| bounds[leaf]).min();
            let found = tree.earliest(&range, at(limit));
            prop_assert_eq!(found.map(|(bound, _)| bound), least.filter(|it| *it < limit).map(at));
            if let Some((bound, leaf)) = found {
                prop_assert!(range.contains(&leaf) && at(bounds[leaf]) == bound);
            }
        }
    }
}
