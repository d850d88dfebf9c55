//! Whether a candidate can be asked now: permit, lease and credential, or why not.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{EXPECTED_OUTPUT_TOKENS, Errand, Journey, Leg};
use crate::affinity::{Binding, Home, worth_waiting};
use crate::board::Board;
use crate::credential::UpstreamCredential;
use crate::keys::{Ask, Denied, Lease, ModelClass};
use crate::moment::Moment;
use crate::price::Day;
use crate::receipt::{Receipt, Trip};
use crate::request::{Endpoint, ModelName};
use crate::secret::KeyId;
use crate::snapshot::{Snapshot, Target};
use crate::spend::Exhausted;
use crate::station::Closed;

/// Why a candidate was passed over.
pub(super) enum Skip {
    NoCredential,
    /// What its provider may spend is spent.
    OverBudget(Box<Exhausted>),
    /// Its breaker is open, or the model is in trouble there, until then.
    Closed(Moment),
    Spent(Option<Moment>),
    /// It is the session's home, and has room soon enough to wait for it.
    Stay(Moment),
}

/// Whose credential a target is asked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential {
    Own,
    Relay,
}

/// Returns the places of providers whose budget is spent. What costs nothing may go there still.
pub(super) fn shut(
    snapshot: &Snapshot,
    board: &Board,
    errand: &Errand,
) -> Vec<(usize, Box<Exhausted>)> {
    if errand.endpoint != Endpoint::Messages {
        return Vec::new();
    }
    let targets = snapshot.targets.iter().enumerate();
    let shut = targets.filter_map(|(place, target)| {
        let exhausted = board.spend.shuts(&target.id, errand.arrived_unix)?;
        Some((place, Box::new(exhausted)))
    });
    shut.collect()
}

/// Returns the sooner of the times at which keys have room again, as far as they are known.
pub(super) fn sooner(one: Option<Moment>, other: Option<Moment>) -> Option<Moment> {
    one.into_iter().chain(other).min()
}

impl Journey {
    fn is_shut(&self, place: usize) -> bool {
        self.shut.iter().any(|(shut, _)| *shut == place)
    }

    /// Decides with what a target could be asked.
    pub(super) fn credential(&self, place: usize, target: &Target) -> Option<Credential> {
        let admission = &self.errand.admission;
        let own = admission.own.any() && target.accepts_client_credential;
        if own && !self.asked.contains(&(place, None)) {
            return Some(Credential::Own);
        }
        let keys = admission.may_use_relay_keys && !target.station.keys.is_empty();
        let spills = !own || self.snapshot.routing.spill;
        (keys && spills).then_some(Credential::Relay)
    }

    pub(super) fn is_open(&self, place: usize, now: Moment) -> bool {
        let Some(target) = self.snapshot.targets.get(place) else {
            return false;
        };
        let station = &target.station;
        let Some(model) = target.name_of(&self.errand.model) else {
            return false;
        };
        !self.is_shut(place)
            && station.breaker.would_admit(now)
            && station.admit_model(model.as_str(), now).is_ok()
            && match self.credential(place, target) {
                None => false,
                Some(Credential::Own) => true,
                Some(Credential::Relay) => self.with_ask((place, target, model), now, |ask| {
                    station.keys.free_at(ask, now).is_some_and(|at| at <= now)
                }),
            }
    }

    /// Returns when the first key that could serve has room, without taking it.
    pub fn free_at(&self, now: Moment) -> Option<Moment> {
        let at = |place: &usize| {
            let target = self.snapshot.targets.get(*place)?;
            let model = target.name_of(&self.errand.model)?;
            let keys = &target.station.keys;
            self.with_ask((*place, target, model), now, |ask| keys.free_at(ask, now))
        };
        let open = self.order.iter().filter(|place| !self.is_shut(**place));
        open.filter_map(at).min()
    }

    pub(super) fn enter(
        &self,
        place: usize,
        now: Moment,
        seed: u64,
        anyway: bool,
    ) -> Result<Box<Leg>, Skip> {
        let target = self.snapshot.targets.get(place).ok_or(Skip::NoCredential)?;
        let model = target
            .name_of(&self.errand.model)
            .ok_or(Skip::NoCredential)?;
        let credential = self.credential(place, target).ok_or(Skip::NoCredential)?;
        if let Some((_, exhausted)) = self.shut.iter().find(|(shut, _)| *shut == place) {
            return Err(Skip::OverBudget(exhausted.clone()));
        }
        let station = &target.station;
        let permit = if anyway {
            Some(station.breaker.admit_anyway(now))
        } else {
            station.breaker.admit(now)
        };
        let permit = permit.ok_or_else(|| Skip::Closed(station.breaker.opens_at(now)))?;
        let model_permit = match station.admit_model(model.as_str(), now) {
            Ok(permit) => permit,
            Err(_) if anyway => None,
            Err(Closed { until }) => return Err(Skip::Closed(until)),
        };
        let (credential, lease) = match credential {
            Credential::Own => (UpstreamCredential::Client(self.errand.admission.own), None),
            Credential::Relay => {
                let lease = self.lease((place, target, model), (now, seed), anyway)?;
                (lease.credential().clone(), Some(lease))
            }
        };
        let home = Home {
            target: target.id.clone(),
            key: lease.as_ref().map(Lease::id),
        };
        let trip = Trip {
            board: Arc::clone(&self.board),
            station: Arc::clone(station),
            home,
            vendor: Arc::clone(&target.vendor),
            seller: Arc::clone(&target.seller),
            model: self.errand.model.clone(),
            sent_model: model.clone(),
            session: self.kept_session(),
            prefix: self.errand.prefix,
            countable_bytes: self.errand.countable_bytes,
            counts: self.errand.endpoint == Endpoint::Messages,
        };
        let carried = station.carry(self.input_tokens);
        let routing = &self.snapshot.routing;
        let foreign = |binding: &Binding| binding.is_foreign_to(&target.vendor);
        Ok(Box::new(Leg {
            place,
            model: model.clone(),
            credential,
            strips_thinking: routing.strip_foreign_thinking
                && self.binding.as_ref().is_some_and(foreign),
            thinking_removed: 0,
            removed: Vec::new(),
            receipt: Receipt::new(trip, lease, permit, model_permit, carried),
        }))
    }

    fn lease(
        &self,
        (place, target, model): (usize, &Target, &ModelName),
        (now, seed): (Moment, u64),
        anyway: bool,
    ) -> Result<Lease, Skip> {
        let keys = &target.station.keys;
        if !anyway && let Some(until) = self.stays((place, target, model), now) {
            return Err(Skip::Stay(until));
        }
        let leased = self.with_ask((place, target, model), now, |ask| {
            keys.lease(&Ask { anyway, ..*ask }, now, seed)
        });
        leased.map_err(|denied| match denied {
            Denied::Empty => Skip::NoCredential,
            Denied::Spent { until } => Skip::Spent(until),
            Denied::Refused { until } => Skip::Closed(until.unwrap_or(now)),
        })
    }

    /// Returns when the session's home has room again, if it has none now and the wait is worth
    /// less than writing the prefix elsewhere. Tells affinity where it is not.
    fn stays(
        &self,
        (place, target, model): (usize, &Target, &ModelName),
        now: Moment,
    ) -> Option<Moment> {
        let binding = self.binding.as_ref()?;
        if binding.home.target != target.id || binding.home.key.is_none() {
            return None;
        }
        let keys = &target.station.keys;
        let until = self.with_ask((place, target, model), now, |ask| keys.home_at(ask, now));
        if until.is_some_and(|until| until <= now) {
            return None;
        }
        // From its arrival on: however often it is put off, it waits no longer in all.
        let wait = |until: &Moment| until.since(self.errand.arrived);
        let (prices, name) = (self.board.prices(), model.as_str());
        let day = Day::of(self.errand.arrived_unix);
        let tariff = prices.of(&target.seller, name, name, day);
        let worth = |until: &Moment| {
            let arrived = self.errand.arrived;
            worth_waiting(Some(binding), wait(until), tariff.as_ref(), arrived)
        };
        let stays = until
            .filter(worth)
            .filter(|_| self.errand.endpoint == Endpoint::Messages);
        if stays.is_none() {
            self.away(place, until, now);
        }
        stays
    }

    /// Tells affinity that the session's home cannot serve it now.
    pub(super) fn away(&self, place: usize, until: Option<Moment>, now: Moment) {
        let Some(session) = self.kept_session() else {
            return;
        };
        let target = self.snapshot.targets.get(place);
        let is_there = |home: &Home| target.is_some_and(|target| target.id == home.target);
        if self
            .binding
            .as_ref()
            .is_some_and(|binding| is_there(&binding.home))
        {
            let model = self.errand.model.as_str();
            drop(self.board.affinity.unavailable(session, model, until, now));
        }
    }

    /// Returns a model's class; most targets call it as it was asked for.
    fn class_of(&self, model: &ModelName) -> ModelClass {
        if *model == self.errand.model {
            self.class
        } else {
            ModelClass::of(model.as_str())
        }
    }

    /// Says to a pool of keys what is needed of it.
    fn with_ask<T>(
        &self,
        (place, target, model): (usize, &Target, &ModelName),
        now: Moment,
        ask: impl FnOnce(&Ask<'_>) -> T,
    ) -> T {
        let without: SmallVec<[KeyId; 4]> = self
            .asked
            .iter()
            .filter(|(at, _)| *at == place)
            .filter_map(|(_, key)| *key)
            .collect();
        let binding = self.binding.as_ref();
        let is_here = |home: &&Home| home.target == target.id;
        // Without a binding: where the first request of the session was sent just now.
        let home = self.homes.first().filter(is_here);
        let guest = binding.and_then(|binding| binding.warm_guest(now));
        let guest = guest.filter(is_here);
        let is_warm = binding.is_some_and(|it| it.is_warm(now)) && home.is_some();
        let warm = binding.filter(|_| is_warm || guest.is_some());
        let cached = warm.map_or(0, |binding| binding.prefix_tokens);
        let session = self.kept_session();
        let counts = self.errand.endpoint == Endpoint::Messages;
        let output = self.errand.max_tokens.unwrap_or(EXPECTED_OUTPUT_TOKENS);
        ask(&Ask {
            class: self.class_of(model),
            input_tokens: if counts { self.input_tokens } else { 0 },
            cached_tokens: cached,
            output_tokens: if counts {
                output.min(EXPECTED_OUTPUT_TOKENS)
            } else {
                0
            },
            home: home.or(guest).and_then(|home| home.key),
            guest: guest.and_then(|guest| guest.key),
            // Sessions of one prefix share what is cached of it: they are placed alike, and spread
            // where a key would carry too much.
            place: session.map(|session| self.errand.prefix.map_or(session.0, |prefix| prefix.0)),
            without: &without,
            anyway: false,
        })
    }
}
