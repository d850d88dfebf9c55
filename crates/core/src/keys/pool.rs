//! The keys of one target, shared by all threads: one short lock a call.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use parking_lot::Mutex;

use super::lease::Lease;
use super::ledger::{Ledger, Need};
use super::select::{TRIES, Tier};
use super::window::Window;
use super::{Ask, Denied, KeyLimits, KeySpec, KeyState, ModelClass, Parked, Selection};
use crate::moment::Moment;
use crate::record::KeyName;
use crate::secret::{KeyId, Secret};

/// How much more than its share a key may carry before sessions are placed elsewhere: the bound of
/// consistent hashing with bounded loads (<https://arxiv.org/abs/1608.01350>).
const BOUND: f64 = 1.25;

/// Time in which what a key carried counts half. Sessions last for hours, and bring most of their
/// tokens at their end.
const HALF_LIFE: Duration = Duration::from_hours(1);

/// Classes of models that are told apart for one organisation.
const MOST_CLASSES: usize = 32;

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
    at: Moment,
    /// What the upstream has not counted yet, as far as is known.
    pending: Option<Need>,
    /// The last moment that was told.
    pub(super) seen: Moment,
}

struct Inner {
    keys: Vec<Key>,
    places: HashMap<KeyId, usize>,
    selection: Selection,
    /// Highest priority first.
    tiers: Vec<Tier>,
    accounts: Vec<Account>,
    /// Sum of what all keys carried.
    heat: f64,
    weight: f64,
    /// What heat is counted from.
    epoch: Moment,
    turns: u64,
}

struct Key {
    spec: KeySpec,
    requests: Window,
    tokens: Window,
    input: Window,
    output: Window,
    parked_until: Moment,
    account: usize,
    workspace: Option<Arc<str>>,
    in_flight: u64,
    heat: f64,
    last_turn: u64,
}

/// One organisation, or a key whose organisation is not known.
#[derive(Default)]
struct Account {
    organisation: Option<Arc<str>>,
    classes: Vec<(ModelClass, Ledger)>,
}

impl Account {
    fn ledger(&mut self, class: &ModelClass) -> Option<&mut Ledger> {
        let found = self.classes.iter_mut().find(|(other, _)| other == class);
        found.map(|(_, ledger)| ledger)
    }

    fn ledger_or_new(&mut self, class: ModelClass) -> Option<&mut Ledger> {
        if self.ledger(&class).is_none() {
            if self.classes.len() >= MOST_CLASSES {
                self.classes.remove(0);
            }
            self.classes.push((class, Ledger::default()));
        }
        self.ledger(&class)
    }
}

fn need(input: u64, output: u64) -> Need {
    [1, input, output, input.saturating_add(output)]
}

impl Key {
    fn new(spec: KeySpec, account: usize) -> Self {
        Self {
            spec,
            requests: Window::default(),
            tokens: Window::default(),
            input: Window::default(),
            output: Window::default(),
            parked_until: Moment::START,
            account,
            workspace: None,
            in_flight: 0,
            heat: 0.0,
            last_turn: 0,
        }
    }

    fn windows(&mut self, need: &Need) -> [(&mut Window, Option<u64>, u64); 4] {
        let [requests, input, output, tokens] = *need;
        let limits = self.spec.limits;
        [
            (&mut self.requests, limits.rpm, requests),
            (&mut self.input, limits.itpm, input),
            (&mut self.output, limits.otpm, output),
            (&mut self.tokens, limits.tpm, tokens),
        ]
    }

    /// Returns when a request fits: `now` if it does.
    fn fits_at(&mut self, need: &Need, now: Moment) -> Moment {
        let mut at = now.max(self.parked_until);
        for (window, limit, amount) in self.windows(need) {
            if let Some(limit) = limit {
                at = at.max(window.fits_at(amount, limit, now));
            }
        }
        at
    }

    fn count(&mut self, need: &Need, now: Moment) {
        for (window, limit, amount) in self.windows(need) {
            if limit.is_some() {
                window.add(amount, now);
            }
        }
    }

    fn take_back(&mut self, need: &Need, then: Moment, now: Moment) {
        for (window, limit, amount) in self.windows(need) {
            if limit.is_some() {
                window.take_back(amount, then, now);
            }
        }
    }

    /// Returns the share of its tightest limit that is used, in millionths.
    fn used(&mut self, now: Moment) -> u64 {
        let mut most = 0;
        for (window, limit, _) in self.windows(&[0; 4]) {
            if let Some(limit) = limit {
                let used = window.used(now).saturating_mul(1_000_000);
                most = most.max(used / limit.max(1));
            }
        }
        most
    }
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
            weight: 0.0,
            epoch: Moment::START,
            turns: 0,
        })));
        pool.update(keys, selection);
        pool
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
        let need = need(ask.input_tokens, ask.output_tokens);
        let Some(place) = inner.choose(ask, &need, now, seed) else {
            return Err(inner.denied(ask, &need, now));
        };
        let booking = inner.book(place, ask, &need, now);
        let key = booking.and_then(|booking| {
            let spec = &inner.keys.get(place)?.spec;
            Some((booking, Arc::clone(&spec.name), spec.secret.clone()))
        });
        drop(inner);
        let (booking, name, secret) = key.ok_or(Denied::Empty)?;
        Ok(Lease::new(Arc::clone(self), (name, secret), booking))
    }

    /// Returns when it pays to ask: `now` if a key has room, `None` if none ever has for this ask.
    pub fn free_at(&self, ask: &Ask<'_>, now: Moment) -> Option<Moment> {
        let mut inner = self.0.lock();
        let need = need(ask.input_tokens, ask.output_tokens);
        inner.free_at(ask, &need, now)
    }

    /// Leaves a key, or its organisation's class, alone until then.
    pub fn park(&self, key: KeyId, what: Parked, until: Moment) {
        let mut inner = self.0.lock();
        let Some(key) = inner.key(key) else { return };
        match what {
            Parked::Key => key.parked_until = key.parked_until.max(until),
            Parked::Class(class) => {
                let account = key.account;
                let account = inner.accounts.get_mut(account);
                if let Some(ledger) = account.and_then(|it| it.ledger_or_new(class)) {
                    ledger.parked_until = ledger.parked_until.max(until);
                }
            }
        }
    }

    /// Ends every cooldown of a key: it was seen to work.
    pub fn unpark(&self, key: KeyId) {
        let mut inner = self.0.lock();
        let Some(key) = inner.key(key) else { return };
        key.parked_until = Moment::START;
        let account = key.account;
        if let Some(account) = inner.accounts.get_mut(account) {
            for (_, ledger) in &mut account.classes {
                ledger.parked_until = Moment::START;
            }
        }
    }

    /// Returns keys that are left alone by themselves, not by a limit.
    pub fn parked(&self, now: Moment) -> Vec<(KeyId, Secret)> {
        let inner = self.0.lock();
        let parked = inner.keys.iter().filter(|key| key.parked_until > now);
        parked
            .map(|key| (key.spec.id, key.spec.secret.clone()))
            .collect()
    }

    /// Returns the first key: of the highest priority, in the order of the config file.
    pub fn first(&self) -> Option<(Secret, KeyName)> {
        let inner = self.0.lock();
        let place = *inner.tiers.first()?.members.first()?;
        let spec = &inner.keys.get(place)?.spec;
        let name = KeyName {
            id: spec.id,
            name: Arc::clone(&spec.name),
        };
        Some((spec.secret.clone(), name))
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
            (!value.is_empty() && value.len() <= 128).then(|| Arc::<str>::from(value))
        };
        let mut inner = self.0.lock();
        if let Some(organisation) = named("anthropic-organization-id") {
            inner.belongs_to(booking.key, &organisation);
        }
        let Some(key) = inner.key(booking.key) else {
            return;
        };
        key.workspace = named("anthropic-workspace-id").or(key.workspace.take());
        let account = key.account;
        let Some(account) = inner.accounts.get_mut(account) else {
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
        inner.release(booking, true, now);
    }
}

impl Inner {
    fn key(&mut self, id: KeyId) -> Option<&mut Key> {
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
            Tier::new(&members)
        };
        self.tiers = priorities.into_iter().map(tier).collect();
        self.heat = self.keys.iter().map(|key| key.heat).sum();
        self.weight = self.keys.iter().map(|key| f64::from(key.spec.weight)).sum();
    }

    fn fits_at(&mut self, place: usize, ask: &Ask<'_>, need: &Need, now: Moment) -> Option<Moment> {
        let key = self.keys.get_mut(place)?;
        if ask.without.contains(&key.spec.id) {
            return None;
        }
        let at = key.fits_at(need, now);
        let account = self.accounts.get_mut(key.account)?;
        let ledger = account.ledger(&ask.class);
        Some(ledger.map_or(at, |ledger| at.max(ledger.fits_at(need, now))))
    }

    fn choose(&mut self, ask: &Ask<'_>, need: &Need, now: Moment, seed: u64) -> Option<usize> {
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

    /// The home itself, then keys that share its cache, then keys that share its thinking.
    fn near(&mut self, home: KeyId, ask: &Ask<'_>, need: &Need, now: Moment) -> Option<usize> {
        let place = *self.places.get(&home)?;
        if self.fits_at(place, ask, need, now) == Some(now) {
            return Some(place);
        }
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

    fn choose_in(
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
    fn score(&mut self, place: usize, now: Moment) -> (u64, u64, u64) {
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
    fn is_overloaded(&self, place: usize) -> bool {
        let Some(key) = self.keys.get(place) else {
            return true;
        };
        let share = self.heat * f64::from(key.spec.weight) / self.weight.max(1.0);
        key.heat > BOUND * share
    }

    /// Counts what a key carries: later tokens weigh more, so that earlier ones need not fade.
    fn warm_up(&mut self, id: KeyId, more: u64, less: u64, now: Moment) {
        let mut age = now.since(self.epoch).as_secs_f64() / HALF_LIFE.as_secs_f64();
        if age > 500.0 {
            let scale = (-age).exp2();
            for key in &mut self.keys {
                key.heat *= scale;
            }
            self.heat *= scale;
            self.epoch = now;
            age = 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "tokens are far below 2^52")]
        let change = (more as f64 - less as f64) * age.exp2();
        let Some(key) = self.key(id) else { return };
        let was = key.heat;
        key.heat = (was + change).max(0.0);
        let change = key.heat - was;
        self.heat = (self.heat + change).max(0.0);
    }

    fn book(&mut self, place: usize, ask: &Ask<'_>, need: &Need, now: Moment) -> Option<Booking> {
        self.turns = self.turns.wrapping_add(1);
        let turn = self.turns;
        let key = self.keys.get_mut(place)?;
        key.last_turn = turn;
        key.in_flight = key.in_flight.saturating_add(1);
        key.count(need, now);
        let (id, account) = (key.spec.id, key.account);
        let account = self.accounts.get_mut(account);
        let ledger = account.and_then(|account| account.ledger(&ask.class));
        let pending = ledger.map(|ledger| {
            ledger.reserve(need, now);
            *need
        });
        let tokens = ask.input_tokens.saturating_add(ask.output_tokens);
        self.warm_up(id, tokens, 0, now);
        Some(Booking {
            key: id,
            class: ask.class,
            input: ask.input_tokens,
            output: ask.output_tokens,
            at: now,
            pending,
            seen: now,
        })
    }

    fn release(&mut self, booking: &mut Booking, returned: bool, now: Moment) {
        let Some(pending) = booking.pending.take() else {
            return;
        };
        let Some(account) = self.key(booking.key).map(|key| key.account) else {
            return;
        };
        let account = self.accounts.get_mut(account);
        if let Some(ledger) = account.and_then(|account| account.ledger(&booking.class)) {
            ledger.release(&pending, returned, now);
        }
    }

    fn free_at(&mut self, ask: &Ask<'_>, need: &Need, now: Moment) -> Option<Moment> {
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

    fn denied(&mut self, ask: &Ask<'_>, need: &Need, now: Moment) -> Denied {
        match self.free_at(ask, need, now) {
            None => Denied::Empty,
            until => Denied::Spent { until },
        }
    }

    /// Learns whose a key is: its limits are then those of all keys of the same organisation.
    fn belongs_to(&mut self, id: KeyId, organisation: &Arc<str>) {
        let Some(was) = self.key(id).map(|key| key.account) else {
            return;
        };
        if self
            .accounts
            .get(was)
            .and_then(|it| it.organisation.as_ref())
            == Some(organisation)
        {
            return;
        }
        let known = self.accounts.iter();
        let known = known.map(|account| account.organisation.as_ref());
        let Some(found) = known.into_iter().position(|it| it == Some(organisation)) else {
            let is_named = self
                .accounts
                .get(was)
                .is_some_and(|it| it.organisation.is_some());
            if is_named {
                self.accounts.push(Account::default());
            }
            let place = if is_named {
                self.accounts.len().saturating_sub(1)
            } else {
                was
            };
            if let Some(account) = self.accounts.get_mut(place) {
                account.organisation = Some(Arc::clone(organisation));
            }
            if let Some(key) = self.key(id) {
                key.account = place;
            }
            return;
        };
        let own = self
            .accounts
            .get_mut(was)
            .filter(|account| account.organisation.is_none());
        let own = own.map(|account| std::mem::take(&mut account.classes));
        for (class, ledger) in own.into_iter().flatten() {
            let account = self.accounts.get_mut(found);
            if let Some(shared) = account.and_then(|account| account.ledger_or_new(class)) {
                shared.merge(&ledger);
            }
        }
        if let Some(key) = self.key(id) {
            key.account = found;
        }
    }
}
