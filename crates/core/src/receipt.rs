//! What an attempt owes: the key's lease and the breaker's permit, given back exactly once.
//!
//! In: how the attempt went. Out: nothing; key windows, breakers, latencies and bindings are told.
//! Dropped, it means that the client left: neutral for the breaker, and the key pays for what was
//! seen.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use crate::affinity::key::{PrefixKey, SessionKey};
use crate::affinity::{Change, Home, Served};
use crate::board::Board;
use crate::breaker::{Permit, Verdict};
use crate::cold::Ticket;
use crate::keys::Lease;
use crate::moment::Moment;
use crate::price::Seller;
use crate::record::KeyName;
use crate::refusal::{Ruling, Scope, Trigger};
use crate::request::ModelName;
use crate::station::{InFlight, Station};
use crate::usage::Usage;

/// Where an attempt goes, and for whom.
#[expect(
    missing_debug_implementations,
    reason = "the station's keys are secrets"
)]
pub struct Trip {
    /// The relay's memory.
    pub board: Arc<Board>,
    /// The target's state.
    pub station: Arc<Station>,
    /// Target and key.
    pub home: Home,
    /// Whose models the target serves.
    pub vendor: Arc<str>,
    /// Who sells the target's tokens.
    pub seller: Arc<Seller>,
    /// The model as asked for.
    pub model: ModelName,
    /// The model as the target calls it.
    pub sent_model: ModelName,
    /// The session that may be bound.
    pub session: Option<SessionKey>,
    /// The prefix that the request reads from a cache, or writes to it.
    pub prefix: Option<PrefixKey>,
    /// Bytes of the body that tokens are estimated from.
    pub countable_bytes: u64,
    /// Whether it is a turn, which uses tokens and a cache.
    pub counts: bool,
}

/// How a delivered answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Whole.
    Served,
    /// The target broke off, stalled, or gave up by an event of this ruling.
    Failed,
    /// The client left.
    Left,
}

/// What one attempt has to give back.
#[expect(missing_debug_implementations, reason = "a lease holds a secret")]
pub struct Receipt {
    trip: Trip,
    lease: Option<Lease>,
    permit: Option<Permit>,
    model_permit: Option<Permit>,
    ticket: Option<Ticket>,
    started: bool,
    began: Option<Moment>,
    _carried: InFlight,
}

impl Receipt {
    /// Takes what the attempt was given.
    pub fn new(
        trip: Trip,
        lease: Option<Lease>,
        permit: Permit,
        model_permit: Option<Permit>,
        carried: InFlight,
    ) -> Self {
        Self {
            trip,
            lease,
            permit: Some(permit),
            model_permit,
            ticket: None,
            started: false,
            began: None,
            _carried: carried,
        }
    }

    /// Returns the key that is used, if it is one of the relay's.
    pub fn key(&self) -> Option<KeyName> {
        self.lease.as_ref().map(|lease| KeyName {
            id: lease.id(),
            name: lease.name(),
        })
    }

    /// Returns who sells what is used, and the model as the target calls it.
    pub fn sale(&self) -> (Arc<Seller>, ModelName) {
        (Arc::clone(&self.trip.seller), self.trip.sent_model.clone())
    }

    /// Returns target and key.
    pub const fn home(&self) -> &Home {
        &self.trip.home
    }

    /// Takes the head of an answer: limits, organisation and workspace stand in it.
    pub fn head(&mut self, status: u16, headers: &HeaderMap, now: Moment, unix: Duration) {
        if let Some(lease) = &mut self.lease {
            lease.answered(headers, status, now, unix);
        }
    }

    /// Takes that this request is the first to write its prefix: others wait for its answer.
    pub fn lead(&mut self, ticket: Ticket) {
        self.ticket = Some(ticket);
    }

    /// Takes the time to the first event.
    pub fn first_event(&mut self, took: Duration, now: Moment) {
        if !self.trip.counts {
            return;
        }
        self.began = Some(now);
        let trip = &self.trip;
        let latencies = &trip.station.latencies;
        latencies.observe(trip.sent_model.as_str(), took, now);
        if let Some(ticket) = self.ticket.take() {
            ticket.warmed(now);
        } else if let Some(prefix) = trip.prefix {
            trip.board.cold.warmed(prefix, &trip.home, now);
        }
    }

    /// Takes the usage of `message_start`. Only the first call counts.
    pub fn start(&mut self, usage: &Usage, now: Moment) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        if let Some(lease) = &mut self.lease {
            lease.started(usage, now);
        }
        if let Some(total) = usage.total_input_tokens().filter(|_| self.trip.counts) {
            let trip = &self.trip;
            let estimator = &trip.board.estimator;
            estimator.learn(
                trip.session,
                trip.model.as_str(),
                trip.countable_bytes,
                total,
            );
        }
    }

    /// Gives back after an answer that was delivered. Returns what became of the session's binding.
    pub fn finish(
        mut self,
        ending: Ending,
        usage: &Usage,
        now: Moment,
        seed: u64,
    ) -> Option<Change> {
        if usage.total_input_tokens().is_some() {
            self.start(usage, now);
        }
        let verdict = match ending {
            Ending::Served => Some(Verdict::Success),
            Ending::Failed => Some(Verdict::Failure),
            Ending::Left => None,
        };
        self.judge(verdict, now, seed);
        match self.lease.take() {
            // Counting tokens has limits of its own.
            Some(lease) if !self.trip.counts => lease.cancel(now),
            Some(lease) if ending == Ending::Left => drop(lease),
            Some(lease) => lease.settle(usage, now),
            None => {}
        }
        self.trip.board.waiting.notify(now);
        if ending != Ending::Served || !self.trip.counts {
            return None;
        }
        let session = self.trip.session?;
        let keys = &self.trip.station.keys;
        let organisation = self.trip.home.key.and_then(|key| keys.organisation_of(key));
        let served = Served {
            home: &self.trip.home,
            usage,
            vendor: &self.trip.vendor,
            organisation: organisation.as_ref(),
        };
        let affinity = &self.trip.board.affinity;
        // The life of the cache counts from where the answer began.
        let began = self.began.unwrap_or(now);
        Some(affinity.served(session, self.trip.model.as_str(), served, began))
    }

    /// Gives back after a setback: nothing of it was delivered.
    pub fn give_back(mut self, ruling: &Ruling, now: Moment, seed: u64) {
        let target_failed = ruling.strikes && ruling.scope == Scope::Target;
        self.judge(target_failed.then_some(Verdict::Failure), now, seed);
        if let Some(lease) = self.lease.take() {
            // What timed out may have been computed: its input stays counted.
            if ruling.trigger == Some(Trigger::Timeout) && self.trip.counts {
                drop(lease);
            } else {
                lease.refund(now);
            }
        }
        self.trip.board.waiting.notify(now);
    }

    /// Gives back what was never used.
    pub fn never_sent(mut self, now: Moment) {
        if let Some(lease) = self.lease.take() {
            lease.cancel(now);
        }
        self.trip.board.waiting.notify(now);
    }

    fn judge(&mut self, verdict: Option<Verdict>, now: Moment, seed: u64) {
        let permits = [self.permit.take(), self.model_permit.take()];
        if let Some(verdict) = verdict {
            for permit in permits.into_iter().flatten() {
                permit.record(verdict, now, seed);
            }
        }
    }
}
