//! One key and what it has used, and the account whose limits it shares.

use std::sync::Arc;

use super::ledger::{Ledger, Need};
use super::window::Window;
use super::{KeySpec, ModelClass};
use crate::moment::Moment;

/// Classes of models that are told apart for one organisation.
const MOST_CLASSES: usize = 32;

/// Says what a request needs of each bucket and window.
pub(super) fn need(input: u64, output: u64) -> Need {
    [1, input, output, input.saturating_add(output)]
}

/// A key.
pub(super) struct Key {
    pub(super) spec: KeySpec,
    requests: Window,
    tokens: Window,
    input: Window,
    output: Window,
    pub(super) parked_until: Moment,
    /// Why, as a ruling is named.
    pub(super) parked_for: &'static str,
    pub(super) account: usize,
    pub(super) workspace: Option<Arc<str>>,
    pub(super) in_flight: u64,
    pub(super) heat: f64,
    /// Sessions that were placed here, as heat is counted.
    pub(super) placed: f64,
    pub(super) last_turn: u64,
}

impl Key {
    pub(super) fn new(spec: KeySpec, account: usize) -> Self {
        Self {
            spec,
            requests: Window::default(),
            tokens: Window::default(),
            input: Window::default(),
            output: Window::default(),
            parked_until: Moment::START,
            parked_for: "",
            account,
            workspace: None,
            in_flight: 0,
            heat: 0.0,
            placed: 0.0,
            last_turn: 0,
        }
    }

    pub(super) fn windows(&mut self, need: &Need) -> [(&mut Window, Option<u64>, u64); 4] {
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
    pub(super) fn fits_at(&mut self, need: &Need, now: Moment) -> Moment {
        let mut at = now;
        for (window, limit, amount) in self.windows(need) {
            if let Some(limit) = limit {
                at = at.max(window.fits_at(amount, limit, now));
            }
        }
        at
    }

    pub(super) fn count(&mut self, need: &Need, now: Moment) {
        for (window, limit, amount) in self.windows(need) {
            if limit.is_some() {
                window.add(amount, now);
            }
        }
    }

    pub(super) fn take_back(&mut self, need: &Need, then: Moment, now: Moment) {
        for (window, limit, amount) in self.windows(need) {
            if limit.is_some() {
                window.take_back(amount, then, now);
            }
        }
    }

    /// Returns the share of its tightest limit that is used, in millionths.
    pub(super) fn used(&mut self, now: Moment) -> u64 {
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

/// One organisation, or a key whose organisation is not known.
#[derive(Default)]
pub(super) struct Account {
    pub(super) organisation: Option<Arc<str>>,
    pub(super) classes: Vec<(ModelClass, Ledger)>,
}

impl Account {
    pub(super) fn ledger(&mut self, class: &ModelClass) -> Option<&mut Ledger> {
        let found = self.classes.iter_mut().find(|(other, _)| other == class);
        found.map(|(_, ledger)| ledger)
    }

    pub(super) fn ledger_or_new(&mut self, class: ModelClass) -> Option<&mut Ledger> {
        if self.ledger(&class).is_none() {
            if self.classes.len() >= MOST_CLASSES {
                self.classes.remove(0);
            }
            self.classes.push((class, Ledger::default()));
        }
        self.ledger(&class)
    }
}
