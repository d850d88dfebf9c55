//! What is written down of a key: what it carries, what is reserved on it, whose it is.

use std::time::Duration;

use super::Ask;
use super::key::{Account, need};
use super::pool::{Booking, Inner};
use crate::moment::Moment;
use crate::secret::KeyId;

/// Time in which what a key carried counts half. Sessions last for hours, and bring most of their
/// tokens at their end: of 1, 2 and 3 hours this cost least on replayed days (docs/economics.md).
const HALF_LIFE: Duration = Duration::from_hours(3);

impl Inner {
    /// Returns what one unit counts now: later ones weigh more, so that earlier ones need not fade.
    pub(super) fn unit(&mut self, now: Moment) -> f64 {
        let age = now.since(self.epoch).as_secs_f64() / HALF_LIFE.as_secs_f64();
        if age <= 500.0 {
            return age.exp2();
        }
        let scale = (-age).exp2();
        for key in &mut self.keys {
            key.heat *= scale;
            key.placed *= scale;
        }
        self.heat *= scale;
        self.placed *= scale;
        self.epoch = now;
        1.0
    }

    /// Counts a session that is placed on a key.
    pub(super) fn settle_on(&mut self, place: usize, now: Moment) {
        let unit = self.unit(now);
        if let Some(key) = self.keys.get_mut(place) {
            key.placed += unit;
            self.placed += unit;
        }
    }

    /// Counts what a key carries.
    pub(super) fn warm_up(&mut self, id: KeyId, more: u64, less: u64, now: Moment) {
        let unit = self.unit(now);
        #[expect(clippy::cast_precision_loss, reason = "tokens are far below 2^52")]
        let change = (more as f64 - less as f64) * unit;
        let Some(key) = self.key(id) else { return };
        let was = key.heat;
        key.heat = (was + change).max(0.0);
        let change = key.heat - was;
        self.heat = (self.heat + change).max(0.0);
    }

    pub(super) fn book(&mut self, place: usize, ask: &Ask<'_>, now: Moment) -> Option<Booking> {
        let input = self.input_at(place, ask);
        let need = &need(input, ask.output_tokens);
        self.turns = self.turns.wrapping_add(1);
        let turn = self.turns;
        if ask.place.is_some() && ask.home.is_none() {
            self.settle_on(place, now);
        }
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
        let tokens = input.saturating_add(ask.output_tokens);
        self.warm_up(id, tokens, 0, now);
        Some(Booking {
            key: id,
            class: ask.class,
            input,
            output: ask.output_tokens,
            at: now,
            pending,
            seen: now,
        })
    }

    pub(super) fn release(&mut self, booking: &mut Booking, returned: bool, now: Moment) {
        let Some(pending) = booking.pending.take() else {
            return;
        };
        let Some(number) = self.key(booking.key).map(|key| key.account) else {
            return;
        };
        let account = self.accounts.get_mut(number);
        if let Some(ledger) = account.and_then(|account| account.ledger(&booking.class)) {
            ledger.release(&pending, returned, now);
            if returned {
                self.wake_account(number);
            }
        }
    }

    /// Learns whose a key is: its limits are then those of all keys of the same organisation.
    pub(super) fn belongs_to(&mut self, id: KeyId, organisation: &str) {
        let Some(was) = self.key(id).map(|key| key.account) else {
            return;
        };
        if self
            .accounts
            .get(was)
            .and_then(|it| it.organisation.as_deref())
            == Some(organisation)
        {
            return;
        }
        let known = self.accounts.iter();
        let known = known.map(|account| account.organisation.as_deref());
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
                account.organisation = Some(organisation.into());
            }
            self.account_of(id, place);
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
        self.account_of(id, found);
        // What was merged may say that more is left than was thought.
        self.wake_account(found);
    }

    fn account_of(&mut self, id: KeyId, account: usize) {
        let Some(key) = self.key(id) else { return };
        if std::mem::replace(&mut key.account, account) != account {
            self.lead_astray(id);
        }
    }
}
