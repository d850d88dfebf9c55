//! Which key a request gets: its home, or one by placement or selection; and when none does.

use std::ops::ControlFlow;

use super::field::{Among, Owner};
use super::key::need;
use super::pool::Inner;
use super::search::{Found, Quest};
use super::select::{TRIES, Tier};
use super::{Ask, Denied, Selection};
use crate::moment::Moment;

/// How much more than its share a key may carry before sessions are placed elsewhere: the bound of
/// consistent hashing with bounded loads (<https://arxiv.org/abs/1608.01350>).
const BOUND: f64 = 1.25;

impl Inner {
    /// Returns how much input counts at a key: the rest is read from its cache.
    pub(super) fn input_at(&self, place: usize, ask: &Ask<'_>) -> u64 {
        if ask.cached_tokens == 0 {
            return ask.input_tokens;
        }
        let key = self.keys.get(place);
        let id = key.map(|key| key.spec.id);
        let home = ask
            .home
            .and_then(|home| self.keys.get(*self.places.get(&home)?));
        let shares = home.zip(key).is_some_and(|(home, key)| {
            home.workspace.is_some()
                && (home.account, &home.workspace) == (key.account, &key.workspace)
        });
        if shares || id == ask.home || id == ask.guest {
            ask.input_tokens.saturating_sub(ask.cached_tokens)
        } else {
            ask.input_tokens
        }
    }

    pub(super) fn fits_at(&mut self, place: usize, ask: &Ask<'_>, now: Moment) -> Option<Moment> {
        let need = &need(self.input_at(place, ask), ask.output_tokens);
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

    pub(super) fn choose(&mut self, ask: &Ask<'_>, now: Moment, seed: u64) -> Option<usize> {
        let near = self.near(ask, now);
        near.or_else(|| self.in_tiers(|inner, tier| inner.choose_in(tier, ask, (now, seed))))
    }

    /// Returns what is found in the first tier in which anything is.
    fn in_tiers<T>(
        &mut self,
        mut find: impl FnMut(&mut Self, &mut Tier) -> Option<T>,
    ) -> Option<T> {
        let mut tiers = std::mem::take(&mut self.tiers);
        let found = tiers.iter_mut().find_map(|tier| find(self, tier));
        self.tiers = tiers;
        found
    }

    /// Returns the place of the home, and whose it is.
    fn home(&self, ask: &Ask<'_>) -> Option<(usize, Owner)> {
        let place = *self.places.get(&ask.home?)?;
        let key = self.keys.get(place)?;
        Some((place, (key.account, key.workspace.clone())))
    }

    /// Returns when the home, or a key that shares its cache, has room, whether it refused this
    /// request or not. `None` if there is no such key.
    pub(super) fn home_at(&mut self, ask: &Ask<'_>, now: Moment) -> Option<Moment> {
        let ask = Ask {
            without: &[],
            ..*ask
        };
        let (place, owner) = self.home(&ask)?;
        let at = self.fits_at(place, &ask, now)?;
        if at <= now {
            return Some(at);
        }
        [at].into_iter()
            .chain(self.workspace_at(&ask, &owner, now))
            .min()
    }

    /// Returns when the first key of the home's workspace can serve, if that is known.
    fn workspace_at(&mut self, ask: &Ask<'_>, owner: &Owner, now: Moment) -> Option<Moment> {
        owner.1.as_ref()?;
        self.soonest_of(&Quest::new(ask, true, Among::Workspace(owner), now))
    }

    /// Returns when the first key that counts can serve.
    fn soonest_of(&mut self, quest: &Quest<'_>) -> Option<Moment> {
        let mut soonest: Option<Moment> = None;
        self.in_tiers(|inner, tier| {
            let at = inner.soonest(tier, quest);
            soonest = soonest.into_iter().chain(at).min();
            // Nothing is sooner than now.
            (soonest == Some(quest.now)).then_some(())
        });
        soonest
    }

    /// The home itself, then keys that share its cache, the guest, and keys that share its
    /// thinking. Whoever is not found here needs the whole of the prompt.
    fn near(&mut self, ask: &Ask<'_>, now: Moment) -> Option<usize> {
        let fits = |inner: &mut Self, place| inner.fits_at(place, ask, now) == Some(now);
        let home = self.home(ask);
        if let Some((place, owner)) = &home {
            if fits(self, *place) {
                return Some(*place);
            }
            let relatives = Quest::new(ask, true, Among::Workspace(owner), now);
            let found = self.relative(owner, &relatives);
            if found.is_some() {
                return found;
            }
        }
        let guest = ask.guest.and_then(|guest| self.places.get(&guest).copied());
        if let Some(guest) = guest
            && fits(self, guest)
        {
            return Some(guest);
        }
        let (_, owner) = home?;
        let relatives = Quest::new(ask, false, Among::Account(owner.0), now);
        self.relative(&owner, &relatives)
    }

    /// Returns the first key among relatives of an owner that can serve.
    fn relative(&mut self, owner: &Owner, quest: &Quest<'_>) -> Option<usize> {
        // Nothing is known of it yet: nobody is a relative.
        owner.1.as_ref()?;
        self.in_tiers(|inner, tier| {
            let mut found = None;
            let _enough = inner.search(tier, quest, 0, &mut |place| {
                found = Some(place);
                ControlFlow::Break(())
            });
            found
        })
    }

    pub(super) fn choose_in(
        &mut self,
        tier: &mut Tier,
        ask: &Ask<'_>,
        (now, seed): (Moment, u64),
    ) -> Option<usize> {
        let cell = std::cell::RefCell::new(&mut *self);
        let fits = |place| cell.borrow_mut().fits_at(place, ask, now) == Some(now);
        let selection = cell.borrow().selection;
        let found = if let (Selection::Placed, Some(session)) = (selection, ask.place) {
            tier.place(session, fits, |place| {
                cell.borrow_mut().is_overloaded(place, now)
            })
        } else {
            tier.pick(selection, seed, fits, |place| {
                cell.borrow_mut().score(place, now)
            })
        };
        found.or_else(|| self.choose_beyond(tier, ask, (now, seed)))
    }

    /// Chooses in a large tier where those that come first cannot serve.
    fn choose_beyond(
        &mut self,
        tier: &mut Tier,
        ask: &Ask<'_>,
        (now, draw): (Moment, u64),
    ) -> Option<usize> {
        let selection = match (self.selection, ask.place) {
            (Selection::Placed, None) => Selection::LeastLoaded,
            (selection, _) => selection,
        };
        let most = match selection {
            Selection::Placed | Selection::RoundRobin | Selection::Random => 1,
            Selection::LeastLoaded | Selection::Weighted => TRIES,
        };
        // Sessions alike are placed alike.
        let seed = ask.place.filter(|_| selection == Selection::Placed);
        // In a small one each was tried.
        tier.field.as_ref()?;
        self.straighten(tier);
        let from = tier.origin(selection, seed.unwrap_or(draw));
        let quest = Quest::new(ask, false, Among::All, now);
        let mut fitting = Found::new();
        let _enough = self.search(tier, &quest, from, &mut |place| {
            fitting.push(place);
            if fitting.len() < most {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        tier.settle(selection, &fitting, |place| self.score(place, now))
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

    /// Tells whether a key carries more than its share, by the bound, or would house more sessions:
    /// of those that have just come nobody knows yet what they will bring.
    pub(super) fn is_overloaded(&mut self, place: usize, now: Moment) -> bool {
        let unit = self.unit(now);
        let Some(key) = self.keys.get(place) else {
            return true;
        };
        let part = f64::from(key.spec.weight) / self.weight.max(1.0);
        // With the one that is to be placed.
        let allowed = (BOUND * part * (self.placed / unit + 1.0)).ceil();
        let crowded = key.placed / unit + 1.0 > allowed;
        key.heat > BOUND * part * self.heat || crowded
    }

    pub(super) fn free_at(&mut self, ask: &Ask<'_>, now: Moment) -> Option<Moment> {
        let all = self.soonest_of(&Quest::new(ask, false, Among::All, now));
        if all == Some(now) || ask.cached_tokens == 0 {
            return all;
        }
        // Those that need less than the others.
        let guest = ask.guest.and_then(|guest| self.places.get(&guest).copied());
        let guest = guest.and_then(|guest| self.fits_at(guest, ask, now));
        let (home, relatives) = match self.home(ask) {
            Some((place, owner)) => (
                self.fits_at(place, ask, now),
                self.workspace_at(ask, &owner, now),
            ),
            None => (None, None),
        };
        [all, guest, home, relatives].into_iter().flatten().min()
    }

    pub(super) fn denied(&mut self, ask: &Ask<'_>, now: Moment) -> Denied {
        let until = self.free_at(ask, now);
        if until.is_none() {
            return Denied::Empty;
        }
        let anyway = Ask {
            anyway: true,
            ..*ask
        };
        if self.free_at(&anyway, now) == Some(now) {
            Denied::Refused { until }
        } else {
            Denied::Spent { until }
        }
    }
}
