//! Which key a request gets: its home, or one by placement or selection; and when none does.

use super::ledger::Need;
use super::pool::Inner;
use super::select::{TRIES, Tier};
use super::{Ask, Denied, Selection};
use crate::moment::Moment;
use crate::secret::KeyId;

/// How much more than its share a key may carry before sessions are placed elsewhere: the bound of
/// consistent hashing with bounded loads (<https://arxiv.org/abs/1608.01350>).
const BOUND: f64 = 1.25;

impl Inner {
    pub(super) fn fits_at(
        &mut self,
        place: usize,
        ask: &Ask<'_>,
        need: &Need,
        now: Moment,
    ) -> Option<Moment> {
        let key = self.keys.get_mut(place)?;
        if ask.without.contains(&key.spec.id) {
            return None;
        }
        let mut at = key.fits_at(need, now);
        let parked = key.parked_until;
        let account = self.accounts.get_mut(key.account)?;
        if let Some(ledger) = account.ledger(&ask.class) {
            at = at.max(ledger.fits_at(need, now));
            if !ask.anyway {
                at = at.max(ledger.forbidden_until);
            }
        }
        Some(if ask.anyway { at } else { at.max(parked) })
    }

    pub(super) fn choose(
        &mut self,
        ask: &Ask<'_>,
        need: &Need,
        now: Moment,
        seed: u64,
    ) -> Option<usize> {
        for key in [ask.home, ask.guest].into_iter().flatten() {
            let place = self.places.get(&key).copied();
            if let Some(place) = place
                && self.fits_at(place, ask, need, now) == Some(now)
            {
                return Some(place);
            }
        }
        if let Some(home) = ask.home
            && let Some(place) = self.near(home, ask, need, now)
        {
            return Some(place);
        }
        let mut tiers = std::mem::take(&mut self.tiers);
        let mut found = None;
        for tier in &mut tiers {
            found = self.choose_in(tier, ask, need, (now, seed));
            if found.is_some() {
                break;
            }
        }
        self.tiers = tiers;
        found
    }

    /// Keys that share the home's cache, then keys that share its thinking.
    pub(super) fn near(
        &mut self,
        home: KeyId,
        ask: &Ask<'_>,
        need: &Need,
        now: Moment,
    ) -> Option<usize> {
        let place = *self.places.get(&home)?;
        let home = self.keys.get(place)?;
        let (workspace, account) = (home.workspace.clone(), home.account);
        // Nothing is known of it yet: nobody is a relative.
        workspace.as_ref()?;
        for same_workspace in [true, false] {
            let relatives: smallvec::SmallVec<[usize; TRIES]> = self
                .keys
                .iter()
                .enumerate()
                .filter(|(_, key)| {
                    key.account == account && (key.workspace == workspace) == same_workspace
                })
                .map(|(place, _)| place)
                .take(TRIES)
                .collect();
            for place in relatives {
                if self.fits_at(place, ask, need, now) == Some(now) {
                    return Some(place);
                }
            }
        }
        None
    }

    pub(super) fn choose_in(
        &mut self,
        tier: &mut Tier,
        ask: &Ask<'_>,
        need: &Need,
        (now, seed): (Moment, u64),
    ) -> Option<usize> {
        let cell = std::cell::RefCell::new(&mut *self);
        let fits = |place| cell.borrow_mut().fits_at(place, ask, need, now) == Some(now);
        let selection = cell.borrow().selection;
        if let (Selection::Placed, Some(session)) = (selection, ask.place) {
            return tier.place(session, fits, |place| cell.borrow().is_overloaded(place));
        }
        tier.pick(selection, seed, fits, |place| {
            cell.borrow_mut().score(place, now)
        })
    }

    /// How loaded a key is: by its tightest limit, by requests under way for its weight, by how
    /// recently it had its turn.
    pub(super) fn score(&mut self, place: usize, now: Moment) -> (u64, u64, u64) {
        let Some(key) = self.keys.get_mut(place) else {
            return (u64::MAX, 0, 0);
        };
        let weight = u64::from(key.spec.weight.max(1));
        (
            key.used(now),
            key.in_flight.saturating_mul(1_000) / weight,
            key.last_turn,
        )
    }

    /// Tells whether a key carries more than its share, by the bound.
    pub(super) fn is_overloaded(&self, place: usize) -> bool {
        let Some(key) = self.keys.get(place) else {
            return true;
        };
        let share = self.heat * f64::from(key.spec.weight) / self.weight.max(1.0);
        key.heat > BOUND * share
    }

    pub(super) fn free_at(&mut self, ask: &Ask<'_>, need: &Need, now: Moment) -> Option<Moment> {
        let mut soonest: Option<Moment> = None;
        for place in 0..self.keys.len() {
            let at = self.fits_at(place, ask, need, now);
            if at == Some(now) {
                return at;
            }
            soonest = soonest.into_iter().chain(at).min();
        }
        soonest
    }

    pub(super) fn denied(&mut self, ask: &Ask<'_>, need: &Need, now: Moment) -> Denied {
        let until = self.free_at(ask, need, now);
        if until.is_none() {
            return Denied::Empty;
        }
        let anyway = Ask {
            anyway: true,
            ..*ask
        };
        if self.free_at(&anyway, need, now) == Some(now) {
            Denied::Refused { until }
        } else {
            Denied::Spent { until }
        }
    }
}
