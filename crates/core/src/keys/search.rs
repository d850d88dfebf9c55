//! Choosing in a large pool where the keys that were tried first cannot serve.
//!
//! In: the fields of the tiers, and what the keys really have left. Out: keys that can serve, and
//! when the soonest can. It must never pass over a key that could serve: what a field knows is only
//! ever too weak.

use std::ops::{ControlFlow, Range};

use smallvec::SmallVec;

use super::Ask;
use super::field::{Among, Field, Known, LARGE, Query};
use super::key::Key;
use super::pool::Inner;
use super::select::{TRIES, Tier};
use super::tree::{NEVER, Size, Soonest};
use crate::moment::Moment;
use crate::secret::KeyId;

/// Keys, and as many stretches, that are looked at for who is free soonest. Where what is known says
/// nothing about the order of more, the best of these is told.
const MOST_LOOKS: usize = 256;

/// Keys that can serve.
pub(super) type Found = SmallVec<[usize; TRIES]>;

/// Takes a key that can serve, and says whether that is enough.
pub(super) type Take<'a> = &'a mut dyn FnMut(usize) -> ControlFlow<()>;

/// What is searched for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quest<'a> {
    pub(super) ask: &'a Ask<'a>,
    /// What it needs of those that it is searched among.
    pub(super) query: Query,
    pub(super) among: Among<'a>,
    pub(super) now: Moment,
}

impl<'a> Quest<'a> {
    /// Among keys that have the prefix cached, or have not. Those that have are not found by what
    /// they need less.
    pub(super) fn new(ask: &'a Ask<'a>, cached: bool, among: Among<'a>, now: Moment) -> Self {
        Self {
            ask,
            query: Query::of(ask, cached),
            among,
            now,
        }
    }
}

impl Tier {
    /// Lays the keys out by owner, if they are many.
    pub(super) fn lay_out(&mut self, keys: &[Key]) {
        let owner = |place: &usize| {
            let key = keys.get(*place)?;
            Some((*place, (key.account, key.workspace.clone())))
        };
        let is_large = self.members.len() > LARGE;
        self.field = is_large.then(|| Field::new(self.members.iter().filter_map(owner)));
    }
}

impl Inner {
    fn fields(&mut self) -> impl Iterator<Item = &mut Field> {
        self.tiers.iter_mut().filter_map(|tier| tier.field.as_mut())
    }

    /// Notes that a key may serve sooner than was thought.
    pub(super) fn wake(&mut self, place: usize) {
        self.fields().for_each(|field| field.wake(place));
    }

    /// The same, by name.
    pub(super) fn wake_key(&mut self, id: KeyId) {
        if let Some(place) = self.places.get(&id) {
            self.wake(*place);
        }
    }

    /// Notes that an account may serve sooner than was thought.
    pub(super) fn wake_account(&mut self, account: usize) {
        self.fields().for_each(|field| field.wake_account(account));
    }

    /// Notes that a key turned out to be another's.
    pub(super) fn lead_astray(&mut self, id: KeyId) {
        if let Some(place) = self.places.get(&id).copied() {
            self.fields().for_each(|field| field.lead_astray(place));
        }
    }

    /// Lays the keys of a tier out anew if too many turned out to be another's.
    pub(super) fn straighten(&self, tier: &mut Tier) {
        if tier.field.as_ref().is_some_and(Field::is_stale) {
            tier.lay_out(&self.keys);
        }
    }

    /// Gives keys of a tier that can serve to `take`, from a position on and around, until that has
    /// enough.
    pub(super) fn search(
        &mut self,
        tier: &mut Tier,
        quest: &Quest<'_>,
        from: usize,
        take: Take<'_>,
    ) -> ControlFlow<()> {
        self.straighten(tier);
        let Some(field) = &mut tier.field else {
            return self.look_at_each(tier.members.iter().copied(), quest, take);
        };
        let mut known = field.take_known(&quest.query);
        let mut hunt = Hunt {
            inner: self,
            field,
            known: &mut known,
            quest,
        };
        let mut around = [from..hunt.field.end(), 0..from].into_iter();
        let ended = around.try_for_each(|range| hunt.search(&range, take));
        field.give_back(known);
        ended
    }

    fn look_at_each(
        &mut self,
        mut places: impl Iterator<Item = usize>,
        quest: &Quest<'_>,
        take: Take<'_>,
    ) -> ControlFlow<()> {
        places.try_for_each(|place| {
            if self.counts(place, quest) && self.fits_now(place, quest) {
                take(place)
            } else {
                ControlFlow::Continue(())
            }
        })
    }

    fn counts(&self, place: usize, quest: &Quest<'_>) -> bool {
        let key = self.keys.get(place);
        key.is_some_and(|key| quest.among.includes(key))
    }

    fn fits_now(&mut self, place: usize, quest: &Quest<'_>) -> bool {
        self.fits_at(place, quest.ask, quest.now) == Some(quest.now)
    }

    /// Returns when the first of a tier's keys that count can serve.
    pub(super) fn soonest(&mut self, tier: &mut Tier, quest: &Quest<'_>) -> Option<Moment> {
        self.straighten(tier);
        let mut best = NEVER;
        let Some(field) = &mut tier.field else {
            self.soonest_of_each(tier.members.iter().copied(), quest, &mut best);
            return Some(best).filter(|best| *best < NEVER);
        };
        let astray = field.astray();
        let astray = astray.filter_map(|position| field.place(position));
        self.soonest_of_each(astray, quest, &mut best);
        let mut known = field.take_known(&quest.query);
        let mut hunt = Hunt {
            inner: self,
            field,
            known: &mut known,
            quest,
        };
        best = hunt.soonest(best);
        field.give_back(known);
        Some(best).filter(|best| *best < NEVER)
    }

    fn soonest_of_each(
        &mut self,
        places: impl Iterator<Item = usize>,
        quest: &Quest<'_>,
        best: &mut Moment,
    ) {
        for place in places {
            if *best <= quest.now {
                return;
            }
            if self.counts(place, quest)
                && let Some(at) = self.fits_at(place, quest.ask, quest.now)
            {
                *best = at.min(*best);
            }
        }
    }
}

/// A search of one field, with what is known there of requests such as this one.
struct Hunt<'a> {
    inner: &'a mut Inner,
    field: &'a Field,
    known: &'a mut Known,
    quest: &'a Quest<'a>,
}

impl Hunt<'_> {
    fn size(&self) -> Size {
        self.quest.query.size
    }

    /// Gives keys of a range of positions to `take`: stretch by stretch, then those astray.
    fn search(&mut self, range: &Range<usize>, take: Take<'_>) -> ControlFlow<()> {
        let (size, now) = (self.size(), self.quest.now);
        let standing = both(&self.field.standing(self.quest.among), range);
        let Range { mut start, end } = self.field.stretches_of(&standing);
        while let Some(number) = self.known.stretches.next(&(start..end), size, now) {
            start = number.saturating_add(1);
            let Some(stretch) = self.field.stretch(number) else {
                break;
            };
            let part = both(&stretch.keys, &standing);
            let is_spent = account_at(self.inner, stretch.account, size, self.quest) > now;
            if !is_spent {
                self.search_stretch(&part, take)?;
            }
            if is_spent || part == stretch.keys {
                self.rest_stretch(number);
            }
        }
        let astray = both(&self.field.astray(), range);
        let astray = astray.filter_map(|position| self.field.place(position));
        self.inner.look_at_each(astray, self.quest, take)
    }

    fn search_stretch(&mut self, range: &Range<usize>, take: Take<'_>) -> ControlFlow<()> {
        let (size, now) = (self.size(), self.quest.now);
        let Range { mut start, end } = *range;
        while let Some(position) = self.known.keys.next(&(start..end), size, now) {
            start = position.saturating_add(1);
            let Some(place) = self.field.place(position) else {
                break;
            };
            if self.inner.fits_now(place, self.quest) {
                take(place)?;
            } else {
                self.rest(position);
            }
        }
        ControlFlow::Continue(())
    }

    /// Notes before when a key cannot serve. The limits of a large account are noted of its stretch.
    fn rest(&mut self, position: usize) {
        let (size, quest, inner) = (self.size(), self.quest, &mut *self.inner);
        let Some(place) = self.field.place(position) else {
            return;
        };
        let stretch = self.field.stretch(self.field.stretch_of(position));
        let is_small = stretch.is_none_or(|stretch| stretch.account.is_none());
        self.known.keys.rest(position, size, quest.now, |size| {
            let Some(key) = inner.keys.get_mut(place) else {
                return NEVER;
            };
            let mut at = key.fits_at(&size.need(), quest.now);
            if !quest.query.anyway() {
                at = at.max(key.parked_until);
            }
            let account = Some(key.account).filter(|_| is_small);
            at.max(account_at(inner, account, size, quest))
        });
    }

    /// Notes before when a stretch cannot serve: neither before its account, nor before its first
    /// key.
    fn rest_stretch(&mut self, number: usize) {
        let (size, quest, inner) = (self.size(), self.quest, &mut *self.inner);
        let Some(stretch) = self.field.stretch(number) else {
            return;
        };
        let keys = &self.known.keys;
        let stretches = &mut self.known.stretches;
        stretches.rest(number, size, quest.now, |size| {
            let first = keys.earliest(&stretch.keys, size);
            first.max(account_at(inner, stretch.account, size, quest))
        });
    }

    /// Returns when the first of those that stand where they belong can serve, if that is sooner than
    /// the best so far: whoever may serve soonest is looked at first. What it really is ends the
    /// search, or the next is looked at.
    fn soonest(&mut self, best: Moment) -> Moment {
        let (size, quest, field) = (self.size(), self.quest, self.field);
        let standing = field.standing(quest.among);
        let mut keys: Vec<usize> = Vec::new();
        let mut stretches: Vec<usize> = Vec::new();
        let (inner, known) = (&mut *self.inner, &*self.known);
        let mut look = |number: usize, best: Moment| {
            stretches.push(number);
            let stretch = field.stretch(number)?;
            if account_at(inner, stretch.account, size, quest) >= best {
                return None;
            }
            let mut search = Soonest {
                size,
                now: quest.now,
                best,
                looks: MOST_LOOKS.saturating_sub(keys.len()),
                look: &mut |position, _| {
                    keys.push(position);
                    inner.fits_at(field.place(position)?, quest.ask, quest.now)
                },
            };
            let part = both(&stretch.keys, &standing);
            known.keys.soonest(&part, &mut search);
            Some(search.best)
        };
        let mut search = Soonest {
            size,
            now: quest.now,
            best,
            looks: MOST_LOOKS,
            look: &mut look,
        };
        let numbers = field.stretches_of(&standing);
        known.stretches.soonest(&numbers, &mut search);
        let best = search.best;
        for position in keys {
            self.rest(position);
        }
        for number in stretches {
            self.rest_stretch(number);
        }
        best
    }
}

/// Returns before when an account cannot serve a request of a size; nobody's always can.
fn account_at(inner: &mut Inner, account: Option<usize>, size: Size, quest: &Quest<'_>) -> Moment {
    let account = account.and_then(|account| inner.accounts.get_mut(account));
    let Some(ledger) = account.and_then(|account| account.ledger(&quest.query.class())) else {
        return quest.now;
    };
    let at = ledger.fits_at(&size.need(), quest.now);
    if quest.query.anyway() {
        at
    } else {
        at.max(ledger.forbidden_until)
    }
}

/// Returns what is in both of two ranges.
fn both(one: &Range<usize>, other: &Range<usize>) -> Range<usize> {
    one.start.max(other.start)..one.end.min(other.end)
}

#[cfg(test)]
mod tests;
