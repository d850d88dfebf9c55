//! Which key a request gets: its home, or one by placement or selection; and when none does.

use super::key::need;
use super::pool::Inner;
use super::search::{Counts, Found};
use super::select::{TRIES, Tier};
use super::{Ask, Denied, Selection};
use crate::moment::Moment;
use crate::secret::KeyId;

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
        let workspace = key.and_then(|key| key.workspace.as_ref());
        let home = ask
            .home
            .and_then(|home| self.keys.get(*self.places.get(&home)?));
        let shares =
            workspace.is_some() && home.is_some_and(|it| it.workspace.as_ref() == workspace);
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
        if let Some(home) = ask.home
            && let Some(place) = self.near(home, ask, now)
        {
            return Some(place);
        }
        if self.moved {
            self.lay_out();
        }
        let mut tiers = std::mem::take(&mut self.tiers);
        let mut found = None;
        for tier in &mut tiers {
            found = self.choose_in(tier, ask, (now, seed));
            if found.is_some() {
                break;
            }
        }
        self.tiers = tiers;
        found
    }

    /// Returns when the home, or a key that shares its cache, has room, whether it refused this
    /// request or not. `None` if there is no such key.
    pub(super) fn home_at(&mut self, ask: &Ask<'_>, now: Moment) -> Option<Moment> {
        let ask = Ask {
            without: &[],
            ..*ask
        };
        let place = *self.places.get(&ask.home?)?;
        let at = self.fits_at(place, &ask, now)?;
        let workspace = self.keys.get(place)?.workspace.clone();
        if at <= now || workspace.is_none() {
            return Some(at);
        }
        let account = self.keys.get(place)?.account;
        let shares = |inner: &Self, place: usize| {
            let key = inner.keys.get(place);
            key.is_some_and(|key| key.workspace == workspace)
        };
        let other = self.soonest_of(&ask, (Some(account), &shares), now);
        Some(other.map_or(at, |other| other.min(at)))
    }

    /// Returns when the first key can serve; of one account's, if one is named, those that `counts`
    /// admits.
    fn soonest_of(
        &mut self,
        ask: &Ask<'_>,
        which: (Option<usize>, Counts<'_>),
        now: Moment,
    ) -> Option<Moment> {
        if self.moved {
            self.lay_out();
        }
        let mut tiers = std::mem::take(&mut self.tiers);
        let mut soonest: Option<Moment> = None;
        for tier in &mut tiers {
            let at = self.soonest(tier, ask, which, now);
            soonest = soonest.into_iter().chain(at).min();
            if soonest == Some(now) {
                break;
            }
        }
        self.tiers = tiers;
        soonest
    }

    /// The home itself, then keys that share its cache, the guest, and keys that share its
    /// thinking.
    pub(super) fn near(&mut self, home: KeyId, ask: &Ask<'_>, now: Moment) -> Option<usize> {
        let place = *self.places.get(&home)?;
        if self.fits_at(place, ask, now) == Some(now) {
            return Some(place);
        }
        let home = self.keys.get(place)?;
        let (workspace, account) = (home.workspace.clone(), home.account);
        let guest = ask.guest.and_then(|guest| self.places.get(&guest).copied());
        for same_workspace in [true, false] {
            if !same_workspace
                && let Some(guest) = guest
                && self.fits_at(guest, ask, now) == Some(now)
            {
                return Some(guest);
            }
            if workspace.is_none() {
                // Nothing is known of it yet: nobody is a relative.
                continue;
            }
            let is_relative = |inner: &Self, place: usize| {
                let key = inner.keys.get(place);
                key.is_some_and(|key| {
                    key.account == account && (key.workspace == workspace) == same_workspace
                })
            };
            let found = self.relative(account, &is_relative, ask, now);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Returns a key of an account that can serve, among those that `counts` admits.
    fn relative(
        &mut self,
        account: usize,
        counts: Counts<'_>,
        ask: &Ask<'_>,
        now: Moment,
    ) -> Option<usize> {
        if self.moved {
            self.lay_out();
        }
        let mut tiers = std::mem::take(&mut self.tiers);
        let mut found = None;
        for tier in &mut tiers {
            found = match &mut tier.field {
                None => {
                    let mut members = tier.members.iter().copied();
                    members.find(|place| {
                        counts(self, *place) && self.fits_at(*place, ask, now) == Some(now)
                    })
                }
                Some(field) => {
                    let range = field.of_account(account).unwrap_or(0..0);
                    let mut fitting = Found::new();
                    self.search_in(field, range, ask, now, |place| {
                        fitting.push(place);
                        fitting.len() >= TRIES
                    });
                    fitting.into_iter().find(|place| counts(self, *place))
                }
            };
            if found.is_some() {
                break;
            }
        }
        self.tiers = tiers;
        found
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
        let from = tier.origin(selection, seed.unwrap_or(draw));
        let mut field = tier.field.take()?;
        let fitting = self.search(&mut field, ask, (from, most), now);
        tier.field = Some(field);
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
        self.soonest_of(ask, (None, &|_, _| true), now)
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
