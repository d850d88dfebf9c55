//! The order in which the keys of one priority are tried.
//!
//! Each way looks at few keys, however many there are: a ring is searched, turns are counted, a
//! stride is the least of a set. In a large pool, where these few are all spent, its field knows
//! who is not.

use std::collections::BTreeSet;

use super::Selection;
use super::field::Field;
use crate::chance::{below, hash, pair};
use crate::secret::KeyId;

/// Points on the ring of a key of average weight: enough that shares are within some percent.
const POINTS: u64 = 64;

/// Most points of one key.
const MOST_POINTS: u64 = 1024;

/// Keys that are tried by their order before all are.
pub(super) const TRIES: usize = 16;

/// A turn of weight 1.
const STRIDE: u64 = 1 << 20;

/// Keys of one priority. Members are places in the pool.
#[derive(Debug, Default)]
pub(super) struct Tier {
    pub(super) members: Vec<usize>,
    /// Where each key stands on the ring, in order.
    ring: Vec<(u64, usize)>,
    /// Sums of weights, for drawing.
    sums: Vec<u64>,
    cursor: usize,
    /// Who is next by weight: each after as many strides as it had turns.
    strides: BTreeSet<(u64, usize)>,
    /// How many strides each member has made.
    passes: Vec<u64>,
    now: u64,
    /// What is known of when the keys can serve, where they are many.
    pub(super) field: Option<Field>,
}

impl Tier {
    /// Sorts keys of one priority for all ways of choosing.
    pub(super) fn new(keys: &[(usize, KeyId, u32)]) -> Self {
        let total: u64 = keys.iter().map(|(_, _, weight)| u64::from(*weight)).sum();
        let count = u64::try_from(keys.len()).unwrap_or(u64::MAX).max(1);
        let mut tier = Self::default();
        let mut sum = 0_u64;
        for (place, id, weight) in keys {
            let weight = u64::from(*weight);
            sum = sum.saturating_add(weight);
            tier.members.push(*place);
            tier.sums.push(sum);
            tier.strides.insert((0, *place));
            tier.passes.push(0);
            let points = POINTS.saturating_mul(weight).saturating_mul(count) / total.max(1);
            let own = hash(id.as_str().as_bytes());
            for point in 0..points.clamp(1, MOST_POINTS) {
                tier.ring.push((pair(own, point), *place));
            }
        }
        tier.ring.sort_unstable();
        tier
    }

    /// Returns how many keys are tried in their order before the field is asked for the others.
    fn tries(&self) -> usize {
        if self.field.is_some() {
            TRIES
        } else {
            self.members.len()
        }
    }

    /// Returns where the field is searched from, for a selection that found nobody in its order.
    pub(super) fn origin(&self, selection: Selection, seed: u64) -> usize {
        let next = self.members.get(self.cursor).copied();
        let position = self.field.as_ref().and_then(|field| field.position(next?));
        if selection == Selection::RoundRobin {
            return position.unwrap_or(0);
        }
        let count = u64::try_from(self.members.len()).unwrap_or(0);
        usize::try_from(below(seed, count)).unwrap_or(0)
    }

    /// Chooses among keys that fit and were found out of order, and counts the turn.
    pub(super) fn settle<S: PartialOrd>(
        &mut self,
        selection: Selection,
        fitting: &[usize],
        mut score: impl FnMut(usize) -> S,
    ) -> Option<usize> {
        let first = fitting.first().copied()?;
        match selection {
            Selection::Placed | Selection::Random => Some(first),
            Selection::RoundRobin => {
                let at = self.members.binary_search(&first).ok()?;
                self.cursor = at.saturating_add(1);
                Some(first)
            }
            Selection::Weighted => {
                let pass = |place: &&usize| {
                    let at = self.members.binary_search(place).ok()?;
                    self.passes.get(at).copied()
                };
                let place = *fitting.iter().min_by_key(pass)?;
                self.step(place)
            }
            Selection::LeastLoaded => {
                let mut best: Option<(S, usize)> = None;
                for place in fitting {
                    let load = score(*place);
                    if best.as_ref().is_none_or(|(least, _)| load < *least) {
                        best = Some((load, *place));
                    }
                }
                best.map(|(_, place)| place)
            }
        }
    }

    /// Returns the first key that `fits` takes, in the order of `selection`; in a large pool, of
    /// the first few. `score` is how loaded a key is, for the selection that compares.
    pub(super) fn pick<S: PartialOrd>(
        &mut self,
        selection: Selection,
        seed: u64,
        mut fits: impl FnMut(usize) -> bool,
        score: impl FnMut(usize) -> S,
    ) -> Option<usize> {
        match selection {
            Selection::Placed | Selection::LeastLoaded => self.least(seed, fits, score),
            Selection::RoundRobin => {
                let from = self.cursor;
                let found = self.from(from, &mut fits)?;
                self.cursor = found.0.saturating_add(1);
                Some(found.1)
            }
            Selection::Weighted => self.by_stride(fits),
            Selection::Random => {
                for draw in 0..TRIES {
                    let draw = u64::try_from(draw).unwrap_or(0);
                    let sum = self.sums.last().copied().unwrap_or(0);
                    let point = below(pair(seed, draw), sum);
                    let at = self.sums.partition_point(|sum| *sum <= point);
                    if let Some(place) = self.members.get(at).copied().filter(|it| fits(*it)) {
                        return Some(place);
                    }
                }
                self.anywhere(seed, fits)
            }
        }
    }

    /// Walks the ring from a session's point: the first key that fits and is not overloaded, else
    /// the first that fits.
    pub(super) fn place(
        &self,
        session: u64,
        mut fits: impl FnMut(usize) -> bool,
        mut overloaded: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        let from = self.ring.partition_point(|(point, _)| *point < session);
        let (before, behind) = self.ring.split_at_checked(from)?;
        let mut second_best = None;
        let mut seen: smallvec::SmallVec<[usize; TRIES]> = smallvec::SmallVec::new();
        for (_, place) in behind.iter().chain(before) {
            if seen.contains(place) {
                continue;
            }
            if fits(*place) {
                if !overloaded(*place) {
                    return Some(*place);
                }
                second_best = second_best.or(Some(*place));
            }
            seen.push(*place);
            if seen.len() >= TRIES.min(self.members.len()) {
                break;
            }
        }
        second_best.or_else(|| self.anywhere(session, fits))
    }

    fn by_stride(&mut self, mut fits: impl FnMut(usize) -> bool) -> Option<usize> {
        let tries = self.tries();
        let mut next = self.strides.iter().take(tries).map(|(_, place)| *place);
        let place = next.find(|place| fits(*place))?;
        self.step(place)
    }

    /// Counts a turn by weight.
    fn step(&mut self, place: usize) -> Option<usize> {
        let at = self.members.binary_search(&place).ok()?;
        let below = at.checked_sub(1).and_then(|at| self.sums.get(at)).copied();
        let weight = self
            .sums
            .get(at)
            .copied()
            .unwrap_or(1)
            .saturating_sub(below.unwrap_or(0));
        let slot = self.passes.get_mut(at)?;
        let pass = *slot;
        // Who could not serve for a while does not get its missed turns all at once.
        self.now = self.now.max(pass);
        let next = pass.max(self.now).saturating_add(STRIDE / weight.max(1));
        *slot = next;
        self.strides.remove(&(pass, place));
        self.strides.insert((next, place));
        Some(place)
    }

    /// The least loaded: of all where they are few, else of some.
    fn least<S: PartialOrd>(
        &self,
        seed: u64,
        mut fits: impl FnMut(usize) -> bool,
        mut score: impl FnMut(usize) -> S,
    ) -> Option<usize> {
        let mut best: Option<(S, usize)> = None;
        let count = self.members.len();
        for draw in 0..count.min(TRIES) {
            let at = if count <= TRIES {
                draw
            } else {
                let draw = u64::try_from(draw).unwrap_or(0);
                let count = u64::try_from(count).unwrap_or(0);
                usize::try_from(below(pair(seed, draw), count)).unwrap_or(0)
            };
            let Some(place) = self.members.get(at).copied().filter(|it| fits(*it)) else {
                continue;
            };
            let load = score(place);
            if best.as_ref().is_none_or(|(least, _)| load < *least) {
                best = Some((load, place));
            }
        }
        best.map(|(_, place)| place)
            .or_else(|| self.anywhere(seed, fits))
    }

    /// The first that fits, from anywhere on; in a large pool the field is asked instead.
    fn anywhere(&self, seed: u64, mut fits: impl FnMut(usize) -> bool) -> Option<usize> {
        if self.field.is_some() {
            return None;
        }
        let count = u64::try_from(self.members.len()).unwrap_or(0);
        let from = usize::try_from(below(seed, count)).unwrap_or(0);
        self.from(from, &mut fits).map(|(_, place)| place)
    }

    fn from(&self, from: usize, fits: &mut impl FnMut(usize) -> bool) -> Option<(usize, usize)> {
        let count = self.members.len();
        (0..self.tries()).find_map(|step| {
            let at = from.wrapping_add(step).checked_rem(count)?;
            let place = self.members.get(at).copied()?;
            fits(place).then_some((at, place))
        })
    }
}
