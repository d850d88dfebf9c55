//! Choosing in a large pool where the keys that were tried first cannot serve.
//!
//! In: the fields of the tiers, and what the keys really have left. Out: keys that can serve, and
//! when the soonest can. It must never pass over a key that could serve: a field's bounds are only
//! ever too early.

use std::ops::Range;

use smallvec::SmallVec;

use super::Ask;
use super::field::{Field, Grade, LARGE};
use super::pool::Inner;
use super::select::{TRIES, Tier};
use crate::moment::Moment;
use crate::secret::KeyId;

/// Whether a key counts.
pub(super) type Counts<'a> = &'a dyn Fn(&Inner, usize) -> bool;

/// Keys that can serve.
pub(super) type Found = SmallVec<[usize; TRIES]>;

impl Inner {
    /// Lays the keys of large tiers out by account.
    pub(super) fn lay_out(&mut self) {
        let keys = &self.keys;
        for tier in &mut self.tiers {
            let account = |place: &usize| Some((*place, keys.get(*place)?.account));
            tier.field = (tier.members.len() > LARGE)
                .then(|| Field::new(tier.members.iter().filter_map(account)));
        }
        self.moved = false;
    }

    /// Notes that a key may serve sooner than was thought.
    pub(super) fn wake(&mut self, place: usize) {
        for tier in &mut self.tiers {
            if let Some(field) = &mut tier.field {
                field.wake(place);
            }
        }
    }

    /// The same, by name.
    pub(super) fn wake_key(&mut self, id: KeyId) {
        if let Some(place) = self.places.get(&id) {
            self.wake(*place);
        }
    }

    /// Notes that an account may serve sooner than was thought.
    pub(super) fn wake_account(&mut self, account: usize) {
        for tier in &mut self.tiers {
            if let Some(field) = &mut tier.field {
                field.wake_account(account);
            }
        }
    }

    /// Returns keys of a large tier that can serve, from a position on and around, at most `most`.
    pub(super) fn search(
        &mut self,
        field: &mut Field,
        ask: &Ask<'_>,
        (from, most): (usize, usize),
        now: Moment,
    ) -> Found {
        let mut found = Found::new();
        let end = field.keys.len();
        for range in [from..end, 0..from] {
            self.search_in(field, range, ask, now, |place| {
                found.push(place);
                found.len() >= most
            });
            if found.len() >= most {
                break;
            }
        }
        found
    }

    /// Gives each key of a range that can serve to `take`, until that has enough.
    pub(super) fn search_in(
        &mut self,
        field: &mut Field,
        range: Range<usize>,
        ask: &Ask<'_>,
        now: Moment,
        mut take: impl FnMut(usize) -> bool,
    ) {
        let grade = Grade::of(ask);
        let Range { mut start, end } = range;
        while let Some(position) = field.next(&grade, &(start..end), now) {
            start = position.saturating_add(1);
            let Some(place) = field.keys.get(position).copied() else {
                return;
            };
            if !field.includes_account(position)
                && let Some(spent) = self.spent_account(field, place, &grade, now)
            {
                start = spent.end;
                continue;
            }
            if self.fits_at(place, ask, now) == Some(now) {
                if take(place) {
                    return;
                }
            } else {
                self.rest(field, position, &grade, now);
            }
        }
    }

    /// Returns the stretch of a key's account, if that cannot serve any request of a grade now.
    fn spent_account(
        &mut self,
        field: &Field,
        place: usize,
        grade: &Grade,
        now: Moment,
    ) -> Option<Range<usize>> {
        let account = self.keys.get(place)?.account;
        let at = self.account_at(account, grade, now);
        (at > now).then(|| field.of_account(account)).flatten()
    }

    /// Returns before when an account cannot serve any request of a grade.
    fn account_at(&mut self, account: usize, grade: &Grade, now: Moment) -> Moment {
        let account = self.accounts.get_mut(account);
        let Some(ledger) = account.and_then(|account| account.ledger(&grade.class)) else {
            return now;
        };
        let at = ledger.fits_at(&grade.least(), now);
        if grade.anyway {
            at
        } else {
            at.max(ledger.forbidden_until)
        }
    }

    /// Notes in a field before when a key cannot serve any request of a grade.
    fn rest(&mut self, field: &mut Field, position: usize, grade: &Grade, now: Moment) {
        let Some(place) = field.keys.get(position).copied() else {
            return;
        };
        let Some(key) = self.keys.get_mut(place) else {
            return;
        };
        let mut at = key.fits_at(&grade.least(), now);
        if !grade.anyway {
            at = at.max(key.parked_until);
        }
        let account = key.account;
        if field.includes_account(position) {
            at = at.max(self.account_at(account, grade, now));
        }
        if at > now {
            field.rest(grade, position, at);
        }
    }

    /// Returns when the first of a tier's keys can serve; of one account's, if one is named, those
    /// that `counts` admits.
    pub(super) fn soonest(
        &mut self,
        tier: &mut Tier,
        ask: &Ask<'_>,
        (account, counts): (Option<usize>, Counts<'_>),
        now: Moment,
    ) -> Option<Moment> {
        let mut soonest: Option<Moment> = None;
        let Some(field) = &mut tier.field else {
            for place in &tier.members {
                if !counts(self, *place) {
                    continue;
                }
                let at = self.fits_at(*place, ask, now);
                soonest = soonest.into_iter().chain(at).min();
                if soonest == Some(now) {
                    break;
                }
            }
            return soonest;
        };
        let (account, all) = match account {
            Some(account) => (field.of_account(account), 0),
            None => (None, field.stretches.len()),
        };
        for number in 0..account.iter().len().saturating_add(all) {
            let stretch = account
                .clone()
                .or_else(|| field.stretches.get(number).cloned());
            let Some(stretch) = stretch else {
                break;
            };
            let at = self.soonest_in(field, &stretch, ask, (soonest, counts), now);
            soonest = soonest.into_iter().chain(at).min();
            if soonest == Some(now) {
                break;
            }
        }
        soonest
    }

    /// The same within one stretch of a field, if that is before `limit`. The earliest bound is
    /// looked at first: what it really is ends the search, or is remembered and the next is looked
    /// at.
    fn soonest_in(
        &mut self,
        field: &mut Field,
        stretch: &Range<usize>,
        ask: &Ask<'_>,
        (limit, counts): (Option<Moment>, Counts<'_>),
        now: Moment,
    ) -> Option<Moment> {
        let grade = Grade::of(ask);
        let mut best = limit;
        // The account itself: none of its keys can serve before.
        let mut floor = now;
        if !field.includes_account(stretch.start)
            && let Some(account) = field.keys.get(stretch.start)
            && let Some(account) = self.keys.get(*account).map(|key| key.account)
        {
            floor = self.account_at(account, &grade, now);
        }
        let mut looked: SmallVec<[usize; TRIES]> = SmallVec::new();
        let far = Moment::after_start(std::time::Duration::MAX);
        while best.is_none_or(|best| best > floor) {
            let earliest = field.earliest(&grade, stretch, best.unwrap_or(far));
            let Some((_, position)) = earliest else {
                break;
            };
            let Some(place) = field.keys.get(position).copied() else {
                break;
            };
            if counts(self, place)
                && let Some(at) = self.fits_at(place, ask, now)
            {
                best = best.into_iter().chain([at]).min();
            }
            // It was looked at: out of the way until all were.
            field.rest(&grade, position, far);
            looked.push(position);
        }
        for position in looked {
            field.rest(&grade, position, Moment::START);
            self.rest(field, position, &grade, now);
        }
        best
    }
}

#[cfg(test)]
mod tests;
