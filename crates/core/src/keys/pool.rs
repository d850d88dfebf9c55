//! The keys of one target, shared by all threads: one short lock a call.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use parking_lot::Mutex;

use super::key::{Account, Key, need};
use super::lease::Lease;
use super::ledger::Need;
use super::select::Tier;
use super::{Ask, Denied, KeyLimits, KeySpec, KeyState, ModelClass, Parked, Selection};
use crate::credential::UpstreamCredential;
use crate::moment::Moment;
use crate::record::KeyName;
use crate::secret::KeyId;

/// The keys of one target.
#[expect(missing_debug_implementations, reason = "it holds secrets")]
pub struct KeyPool(Mutex<Inner>);

/// What was reserved for one request.
#[derive(Debug)]
pub(super) struct Booking {
    pub(super) key: KeyId,
    pub(super) class: ModelClass,
    pub(super) input: u64,
    pub(super) output: u64,
    /// When it was counted.
    pub(super) at: Moment,
    /// What the upstream has not counted yet, as far as is known.
    pub(super) pending: Option<Need>,
    /// The last moment that was told.
    pub(super) seen: Moment,
}

/// The keys, sorted for every way of choosing.
pub(super) struct Inner {
    pub(super) keys: Vec<Key>,
    pub(super) places: HashMap<KeyId, usize>,
    pub(super) selection: Selection,
    /// Highest priority first.
    pub(super) tiers: Vec<Tier>,
    pub(super) accounts: Vec<Account>,
    /// Sum of what all keys carried.
    pub(super) heat: f64,
    /// Sessions that were placed on any key.
    pub(super) placed: f64,
    pub(super) weight: f64,
    /// What heat is counted from.
    pub(super) epoch: Moment,
    pub(super) turns: u64,
}

impl KeyPool {
    /// Starts with keys that have used nothing.
    pub fn new(keys: Vec<KeySpec>, selection: Selection) -> Arc<Self> {
        let pool = Arc::new(Self(Mutex::new(Inner {
            keys: Vec::new(),
            places: HashMap::new(),
            selection,
            tiers: Vec::new(),
            accounts: Vec::new(),
            heat: 0.0,
            placed: 0.0,
            weight: 0.0,
            epoch: Moment::START,
            turns: 0,
        })));
        pool.update(keys, selection);
        pool
    }

    #[cfg(test)]
    pub(super) fn inner(&self) -> parking_lot::MutexGuard<'_, Inner> {
        self.0.lock()
    }

    /// Takes other keys. Those that stay keep what they used and what is known of them.
    pub fn update(&self, specs: Vec<KeySpec>, selection: Selection) {
        let mut inner = self.0.lock();
        let mut old: HashMap<KeyId, Key> = HashMap::new();
        for key in std::mem::take(&mut inner.keys) {
            old.insert(key.spec.id, key);
        }
        inner.selection = selection;
        inner.places.clear();
        for spec in specs {
            let id = spec.id;
            if inner.places.contains_key(&id) {
                continue;
            }
            let key = if let Some(mut kept) = old.remove(&id) {
                kept.spec = spec;
                kept
            } else {
                inner.accounts.push(Account::default());
                Key::new(spec, inner.accounts.len().saturating_sub(1))
            };
            let place = inner.keys.len();
            inner.places.insert(id, place);
            inner.keys.push(key);
        }
        inner.sort();
    }

    /// Leases a key.
    ///
    /// # Errors
    /// [`Denied`]: there is none for this request, or none has room now.
    pub fn lease(self: &Arc<Self>, ask: &Ask<'_>, now: Moment, seed: u64) -> Result<Lease, Denied> {
        let mut inner = self.0.lock();
        let Some(place) = inner.choose(ask, now, seed) else {
            return Err(inner.denied(ask, now));
        };
        let booking = inner.book(place, ask, now);
        let key = booking.and_then(|booking| {
            let spec = &inner.keys.get(place)?.spec;
            Some((booking, Arc::clone(&spec.name), spec.credential.clone()))
        });
        drop(inner);
        let (booking, name, credential) = key.ok_or(Denied::Empty)?;
        Ok(Lease::new(Arc::clone(self), (name, credential), booking))
    }

    /// Returns when it pays to ask: `now` if a key has room, `None` if none ever has for this ask.
    pub fn free_at(&self, ask: &Ask<'_>, now: Moment) -> Option<Moment> {
        self.0.lock().free_at(ask, now)
    }

    /// Returns when the home of an ask has room, or a key that shares its cache; `None` if it is
    /// not among these keys.
    pub fn home_at(&self, ask: &Ask<'_>, now: Moment) -> Option<Moment> {
        self.0.lock().home_at(ask, now)
    }

    /// Leaves a key, or its organisation's class, alone until then.
    pub fn park(&self, key: KeyId, what: Parked, until: Moment) {
        let mut inner = self.0.lock();
        let Some(key) = inner.key(key) else { return };
        let number = key.account;
        let class = match what {
            Parked::Key(reason) => {
                if until > key.parked_until {
                    (key.parked_until, key.parked_for) = (until, reason);
                }
                return;
            }
            Parked::Class(class) | Parked::Forbidden(class) => class,
        };
        let account = inner.accounts.get_mut(number);
        let Some(ledger) = account.and_then(|it| it.ledger_or_new(class)) else {
            return;
        };
        let at = match what {
            Parked::Key(_) | Parked::Class(_) => &mut ledger.parked_until,
            Parked::Forbidden(_) => &mut ledger.forbidden_until,
        };
        *at = until.max(*at);
        // The ledger of another class may have made room.
        inner.wake_account(number);
    }

    /// Ends every cooldown of a key: it was seen to work.
    pub fn unpark(&self, key: KeyId) {
        let mut inner = self.0.lock();
        let Some(place) = inner.places.get(&key).copied() else {
            return;
        };
        let Some(key) = inner.keys.get_mut(place) else {
            return;
        };
        key.parked_until = Moment::START;
        let account = key.account;
        if let Some(account) = inner.accounts.get_mut(account) {
            for (_, ledger) in &mut account.classes {
                ledger.parked_until = Moment::START;
                ledger.forbidden_until = Moment::START;
            }
        }
        inner.wake(place);
        inner.wake_account(account);
    }

    /// Returns keys that are left alone by themselves, not by a limit.
    pub fn parked(&self, now: Moment) -> Vec<(KeyId, UpstreamCredential)> {
        let inner = self.0.lock();
        let parked = inner.keys.iter().filter(|key| key.parked_until > now);
        parked
            .map(|key| (key.spec.id, key.spec.credential.clone()))
            .collect()
    }

    /// Returns the first key: of the highest priority, in the order of the config file.
    pub fn first(&self) -> Option<(UpstreamCredential, KeyName)> {
        let inner = self.0.lock();
        let place = *inner.tiers.first()?.members.first()?;
        let spec = &inner.keys.get(place)?.spec;
        let name = KeyName {
            id: spec.id,
            name: Arc::clone(&spec.name),
        };
        Some((spec.credential.clone(), name))
    }

    /// Returns how many keys there are.
    pub fn len(&self) -> usize {
        self.0.lock().keys.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns a key's organisation, once an answer has named it.
    pub fn organisation_of(&self, key: KeyId) -> Option<Arc<str>> {
        let mut inner = self.0.lock();
        let account = inner.key(key)?.account;
        inner.accounts.get(account)?.organisation.clone()
    }

    /// Returns what is known of each key.
    pub fn states(&self, now: Moment) -> Vec<KeyState> {
        let mut inner = self.0.lock();
        let Inner { keys, accounts, .. } = &mut *inner;
        let state = |key: &mut Key| {
            let account = accounts.get(key.account);
            let levels = account.into_iter().flat_map(|account| &account.classes);
            let left = levels.flat_map(|(_, ledger)| ledger.levels(now));
            let left = left.map(|(_, limit, level)| level.saturating_mul(100) / limit.max(1));
            let own = 100_u64.saturating_sub(key.used(now) / 10_000);
            let capacity = left.chain([own]).min().unwrap_or(100);
            let limits = key.spec.limits;
            let mut used = KeyLimits::default();
            let slots = [&mut used.rpm, &mut used.itpm, &mut used.otpm, &mut used.tpm];
            for (slot, (window, limit, _)) in slots.into_iter().zip(key.windows(&[0; 4])) {
                *slot = limit.map(|_| window.used(now));
            }
            KeyState {
                id: key.spec.id,
                name: Arc::clone(&key.spec.name),
                in_flight: key.in_flight,
                limits,
                used,
                parked_until: Some(key.parked_until).filter(|until| *until > now),
                parked_for: key.parked_for,
                expires: key.spec.credential.expires(),
                capacity_percent: u8::try_from(capacity).unwrap_or(100),
                organisation: account.and_then(|account| account.organisation.clone()),
                workspace: key.workspace.clone(),
            }
        };
        keys.iter_mut().map(state).collect()
    }

    pub(super) fn answered(
        &self,
        booking: &mut Booking,
        headers: &HeaderMap,
        status: u16,
        (now, unix): (Moment, Duration),
    ) {
        booking.seen = booking.seen.max(now);
        let named = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?;
            (!value.is_empty() && value.len() <= 128).then_some(value)
        };
        let mut inner = self.0.lock();
        if let Some(organisation) = named("anthropic-organization-id") {
            inner.belongs_to(booking.key, organisation);
        }
        let Some(key) = inner.key(booking.key) else {
            return;
        };
        // The same again and again: nothing is made anew.
        if let Some(workspace) = named("anthropic-workspace-id")
            && key.workspace.as_deref() != Some(workspace)
        {
            key.workspace = Some(workspace.into());
            inner.lead_astray(booking.key);
        }
        let Some(number) = inner.key(booking.key).map(|key| key.account) else {
            return;
        };
        let Some(account) = inner.accounts.get_mut(number) else {
            return;
        };
        let says = |name: &http::HeaderName| name.as_str().starts_with("anthropic-ratelimit-");
        let told = headers.keys().any(says);
        let ledger = if told {
            account.ledger_or_new(booking.class)
        } else {
            account.ledger(&booking.class)
        };
        if let Some(ledger) = ledger {
            if let Some(pending) = booking.pending.take() {
                ledger.release(&pending, false, now);
            }
            ledger.observe(headers, status, now, unix);
            inner.wake_account(number);
        }
    }

    /// Counts other amounts in place of those that were reserved.
    pub(super) fn correct(&self, booking: &mut Booking, (input, output): (u64, u64), now: Moment) {
        booking.seen = booking.seen.max(now);
        let (was, is) = (need(booking.input, booking.output), need(input, output));
        if was == is {
            return;
        }
        let mut less: Need = [0; 4];
        let mut more: Need = [0; 4];
        for ((less, more), (was, is)) in less.iter_mut().zip(&mut more).zip(was.iter().zip(&is)) {
            *less = was.saturating_sub(*is);
            *more = is.saturating_sub(*was);
        }
        let mut inner = self.0.lock();
        let (one, other) = (is.last().copied(), was.last().copied());
        inner.warm_up(booking.key, one.unwrap_or(0), other.unwrap_or(0), now);
        if let Some(key) = inner.key(booking.key) {
            key.take_back(&less, booking.at, now);
            key.count(&more, now);
        }
        if less != [0; 4] {
            inner.wake_key(booking.key);
        }
        booking.input = input;
        booking.output = output;
    }

    pub(super) fn close(&self, booking: &mut Booking, now: Moment) {
        let mut inner = self.0.lock();
        if let Some(key) = inner.key(booking.key) {
            key.in_flight = key.in_flight.saturating_sub(1);
        }
        inner.release(booking, false, now);
    }

    /// Gives back what was reserved, but for so many requests.
    pub(super) fn refund(&self, booking: &mut Booking, made: u64, now: Moment) {
        let mut inner = self.0.lock();
        let [requests, tokens @ ..] = need(booking.input, booking.output);
        let [input, output, both] = tokens;
        let all = [requests.saturating_sub(made), input, output, both];
        let tokens = booking.input.saturating_add(booking.output);
        inner.warm_up(booking.key, 0, tokens, now);
        if let Some(key) = inner.key(booking.key) {
            key.in_flight = key.in_flight.saturating_sub(1);
            key.take_back(&all, booking.at, now);
        }
        inner.wake_key(booking.key);
        inner.release(booking, true, now);
    }
}

impl Inner {
    pub(super) fn key(&mut self, id: KeyId) -> Option<&mut Key> {
        let place = *self.places.get(&id)?;
        self.keys.get_mut(place)
    }

    /// Sorts the keys into tiers, and forgets accounts that no key has any more.
    fn sort(&mut self) {
        let mut accounts = Vec::new();
        let mut moved: HashMap<usize, usize> = HashMap::new();
        for key in &mut self.keys {
            let was = key.account;
            key.account = *moved.entry(was).or_insert_with(|| {
                let account = self.accounts.get_mut(was).map(std::mem::take);
                accounts.push(account.unwrap_or_default());
                accounts.len().saturating_sub(1)
            });
        }
        self.accounts = accounts;
        let mut priorities: Vec<i32> = self.keys.iter().map(|key| key.spec.priority).collect();
        priorities.sort_unstable_by(|one, other| other.cmp(one));
        priorities.dedup();
        let tier = |priority: i32| {
            let members = self.keys.iter().enumerate();
            let members = members.filter(|(_, key)| key.spec.priority == priority);
            let members: Vec<_> = members
                .map(|(place, key)| (place, key.spec.id, key.spec.weight))
                .collect();
            let mut tier = Tier::new(&members);
            tier.lay_out(&self.keys);
            tier
        };
        self.tiers = priorities.into_iter().map(tier).collect();
        self.heat = self.keys.iter().map(|key| key.heat).sum();
        self.placed = self.keys.iter().map(|key| key.placed).sum();
        self.weight = self.keys.iter().map(|key| f64::from(key.spec.weight)).sum();
    }
}
