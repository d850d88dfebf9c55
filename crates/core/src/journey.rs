//! A request's way from candidate to candidate.
//!
//! In: a snapshot, what is known, and an [`Errand`]. Out: one [`Leg`] after the other, each with the
//! receipts that its attempt has to give back; the caller tells how each went. It must never give
//! out a leg twice for the same key, go on where the client has to see the refusal, or hold
//! anything of one target while it asks another.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::affinity::key::{PrefixKey, SessionKey};
use crate::affinity::{Binding, Home};
use crate::board::Board;
use crate::credential::{Admission, UpstreamCredential};
use crate::keys::{Ask, Denied, Lease, ModelClass, Parked};
use crate::moment::Moment;
use crate::price::Money;
use crate::receipt::{Receipt, Trip};
use crate::record::Attempt;
use crate::refusal::{Next, Ruling, Scope, Trigger};
use crate::request::{Endpoint, ModelName};
use crate::secret::KeyId;
use crate::snapshot::{Snapshot, Target};
use crate::station::Closed;
use crate::strategy::{Contender, Kind, Ranking, rank};

/// Tokens of output that are reserved where nothing is known: most answers of an agent are short.
const EXPECTED_OUTPUT_TOKENS: u64 = 1_000;

/// What is asked, as routing sees it.
#[derive(Debug, Clone)]
pub struct Errand {
    /// What for.
    pub endpoint: Endpoint,
    /// The model, under the relay's own names for it.
    pub model: ModelName,
    /// The session, if there is one to be told apart.
    pub session: Option<SessionKey>,
    /// The prefix that it shares with other sessions, where waiting for them may pay.
    pub prefix: Option<PrefixKey>,
    /// Length of the body.
    pub body_bytes: usize,
    /// Bytes of the body that tokens are estimated from.
    pub countable_bytes: u64,
    /// Most output that is asked for.
    pub max_tokens: Option<u64>,
    /// Who asks.
    pub admission: Admission,
    /// When it came.
    pub arrived: Moment,
}

/// One attempt that may be made now.
#[expect(missing_debug_implementations, reason = "it holds a secret")]
pub struct Leg {
    /// The target's place in the snapshot.
    pub place: usize,
    /// The model's name there.
    pub model: ModelName,
    /// With what it is asked.
    pub credential: UpstreamCredential,
    /// Whether thinking of another vendor has to come out of the body.
    pub strips_thinking: bool,
    /// Blocks of thinking that were taken out.
    pub thinking_removed: usize,
    /// To be given back, whatever comes of it.
    pub receipt: Receipt,
}

/// What to do next.
#[expect(missing_debug_implementations, reason = "a leg holds a secret")]
pub enum Step {
    /// Make this attempt.
    Go(Box<Leg>),
    /// Every key that could serve is at its limit. The first has room again at this time.
    Spent(Option<Moment>),
    /// No candidate takes this: none serves the model, or takes the client's credential.
    Nowhere(Nowhere),
    /// Those that could be asked were asked, or may not be asked any more.
    Done,
}

/// Why there is no candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nowhere {
    /// No target serves the model.
    UnknownModel,
    /// No target may be asked for this client.
    NoCredential,
    /// Every target that serves the model takes shorter bodies only.
    TooLong {
        /// The longest that any of them takes.
        limit_bytes: u64,
    },
}

impl Nowhere {
    fn or_too_long(self, limit: u64) -> Self {
        let limit_bytes = match self {
            Self::TooLong { limit_bytes } => limit_bytes.max(limit),
            Self::UnknownModel | Self::NoCredential => limit,
        };
        Self::TooLong { limit_bytes }
    }
}

/// Why a candidate was passed over.
enum Skip {
    NoCredential,
    /// Its breaker is open, or the model is in trouble there, until then.
    Closed(Moment),
    Spent(Option<Moment>),
}

/// A request on its way.
#[expect(missing_debug_implementations, reason = "a snapshot holds secrets")]
pub struct Journey {
    snapshot: Arc<Snapshot>,
    board: Arc<Board>,
    errand: Errand,
    binding: Option<Binding>,
    input_tokens: u64,
    order: Ranking,
    /// Who was asked: the target's place, and the key, or none for the client's own credential.
    asked: SmallVec<[(usize, Option<KeyId>); 4]>,
    attempts: usize,
    timeouts: usize,
    may_go_on: bool,
    /// What came of each attempt.
    log: Vec<Attempt>,
}

impl Journey {
    /// Plans the way: the strategy orders the candidates, affinity puts the session's home first.
    ///
    /// # Errors
    /// [`Nowhere`] if there is no candidate at all.
    pub fn plan(
        snapshot: Arc<Snapshot>,
        board: Arc<Board>,
        errand: Errand,
        now: Moment,
        seed: u64,
    ) -> Result<Self, Nowhere> {
        let session = errand.session.filter(|_| snapshot.routing.affinity);
        let model = errand.model.as_str();
        let binding = session.and_then(|session| board.affinity.find(session, model, now));
        let estimate = board
            .estimator
            .estimate(session, model, errand.countable_bytes);
        let order = order(
            &snapshot,
            &board,
            &errand,
            binding.as_ref(),
            estimate,
            (now, seed),
        )?;
        board.budget.deposit(snapshot.routing.retry_budget_percent);
        Ok(Self {
            snapshot,
            board,
            errand,
            binding,
            input_tokens: estimate,
            order,
            asked: SmallVec::new(),
            attempts: 0,
            timeouts: 0,
            may_go_on: true,
            log: Vec::new(),
        })
    }

    /// Returns the next attempt, or why there is none.
    pub fn next(&mut self, now: Moment, seed: u64) -> Step {
        if !self.may_try_again(now) {
            return Step::Done;
        }
        let mut spent: Option<Option<Moment>> = None;
        let mut closed = None;
        for place in self.order.clone() {
            match self.enter(place, now, seed, false) {
                Ok(leg) => return self.go(leg, now),
                Err(Skip::NoCredential) => {}
                Err(Skip::Closed(until)) => {
                    self.away(place, Some(until), now);
                    closed = closed.or(Some(place));
                }
                Err(Skip::Spent(until)) => {
                    self.away(place, until, now);
                    let sooner = spent.flatten().into_iter().chain(until).min();
                    spent = Some(sooner);
                }
            }
        }
        if self.attempts > 0 {
            return Step::Done;
        }
        // Who has nowhere else to go asks a target that is in trouble: it may have come back, and
        // if not, its own word is worth more than ours.
        if let Some(place) = closed
            && let Ok(leg) = self.enter(place, now, seed, true)
        {
            return self.go(leg, now);
        }
        match spent {
            Some(until) => Step::Spent(until),
            None => Step::Nowhere(Nowhere::NoCredential),
        }
    }

    /// Tells whether somebody else could still answer: only then is anything held back.
    pub fn has_alternative(&self, now: Moment) -> bool {
        self.may_try_again(now) && self.order.iter().any(|place| self.is_open(*place, now))
    }

    /// Returns one more attempt to make beside those under way, another target first.
    pub fn next_beside(&mut self, now: Moment, seed: u64) -> Option<Box<Leg>> {
        let asked = self.asked.clone();
        self.order
            .sort_by_key(|place| asked.iter().any(|(at, _)| at == place));
        match self.next(now, seed) {
            Step::Go(leg) => Some(leg),
            Step::Spent(_) | Step::Nowhere(_) | Step::Done => None,
        }
    }

    /// Takes what came of each attempt that failed.
    pub fn take_attempts(&mut self) -> Vec<Attempt> {
        std::mem::take(&mut self.log)
    }

    /// Returns the binding that the session came with.
    pub const fn binding(&self) -> Option<&Binding> {
        self.binding.as_ref()
    }

    /// Returns what is asked.
    pub const fn errand(&self) -> &Errand {
        &self.errand
    }

    /// Says where a leg leads, as the session sees it. `None` where sessions are not kept.
    pub fn affinity_of(&self, leg: &Leg) -> Option<&'static str> {
        self.errand
            .session
            .filter(|_| self.snapshot.routing.affinity)?;
        let home = leg.receipt.home();
        Some(match &self.binding {
            None => "placed",
            Some(binding) if binding.home == *home => "home",
            Some(_) => "away",
        })
    }

    /// Takes the setback of an attempt: whom it is about is left alone, and the way goes on unless
    /// the client has to see it. Returns whether it may.
    pub fn set_back(&mut self, leg: Box<Leg>, back: &SetbackFacts, seed: u64) -> bool {
        let ruling = back.ruling;
        let now = back.now;
        let Some(target) = self.snapshot.targets.get(leg.place).map(Arc::clone) else {
            return false;
        };
        self.log.push(Attempt {
            target: target.id.clone(),
            key: leg.receipt.key(),
            status: back.status,
            reason: ruling.name,
            took: back.took,
        });
        let is_own = matches!(leg.credential, UpstreamCredential::Client(_));
        learn(&target, &leg, back, seed);
        if ruling.next == Next::OtherTarget {
            // Whoever is asked again is asked last.
            self.order.retain(|place| *place != leg.place);
            self.order.push(leg.place);
        }
        leg.receipt.give_back(&ruling, now, seed);
        self.timeouts = self
            .timeouts
            .saturating_add(usize::from(ruling.trigger == Some(Trigger::Timeout)));
        let stays = is_own
            && matches!(ruling.trigger, Some(Trigger::RateLimited | Trigger::Auth))
            && !self.snapshot.routing.spill;
        let triggers = self.snapshot.routing.triggers;
        let allowed = ruling
            .trigger
            .is_some_and(|trigger| triggers.allow(trigger));
        // A timeout may have been billed: a second one would be paid for a third time.
        self.may_go_on = allowed && ruling.next != Next::Nobody && !stays && self.timeouts <= 1;
        self.has_alternative(now)
    }

    fn may_try_again(&self, now: Moment) -> bool {
        let routing = &self.snapshot.routing;
        let elapsed = now.since(self.errand.arrived);
        let in_time = routing.failover_timeout.is_none_or(|limit| elapsed < limit);
        let first = self.attempts == 0;
        first || (self.may_go_on && in_time && self.attempts < routing.max_attempts)
    }

    /// Takes from the retry budget for all but the first.
    fn go(&mut self, leg: Box<Leg>, now: Moment) -> Step {
        if self.attempts > 0 && !self.board.budget.withdraw() {
            leg.receipt.never_sent(now);
            self.may_go_on = false;
            return Step::Done;
        }
        self.attempts = self.attempts.saturating_add(1);
        let key = leg.receipt.key().map(|key| key.id);
        self.asked.push((leg.place, key));
        Step::Go(leg)
    }

    /// Decides with what a target could be asked.
    fn credential(&self, place: usize, target: &Target) -> Option<Credential> {
        let admission = &self.errand.admission;
        let own = admission.own.any() && target.accepts_client_credential;
        if own && !self.asked.contains(&(place, None)) {
            return Some(Credential::Own);
        }
        let keys = admission.may_use_relay_keys && !target.station.keys.is_empty();
        let spills = !own || self.snapshot.routing.spill;
        (keys && spills).then_some(Credential::Relay)
    }

    fn is_open(&self, place: usize, now: Moment) -> bool {
        let Some(target) = self.snapshot.targets.get(place) else {
            return false;
        };
        let station = &target.station;
        let Some(model) = target.name_of(&self.errand.model) else {
            return false;
        };
        station.breaker.would_admit(now)
            && station.admit_model(model.as_str(), now).is_ok()
            && match self.credential(place, target) {
                None => false,
                Some(Credential::Own) => true,
                Some(Credential::Relay) => self.with_ask(place, target, model, |ask| {
                    station.keys.free_at(ask, now).is_some_and(|at| at <= now)
                }),
            }
    }

    fn enter(&self, place: usize, now: Moment, seed: u64, anyway: bool) -> Result<Box<Leg>, Skip> {
        let target = self.snapshot.targets.get(place).ok_or(Skip::NoCredential)?;
        let model = target
            .name_of(&self.errand.model)
            .ok_or(Skip::NoCredential)?;
        let credential = self.credential(place, target).ok_or(Skip::NoCredential)?;
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
                let lease = self.lease(place, target, model, now, seed)?;
                (
                    UpstreamCredential::Relay(lease.secret().clone()),
                    Some(lease),
                )
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
            model: self.errand.model.clone(),
            sent_model: model.clone(),
            session: self
                .errand
                .session
                .filter(|_| self.snapshot.routing.affinity),
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
            receipt: Receipt::new(trip, lease, permit, model_permit, carried),
        }))
    }

    fn lease(
        &self,
        place: usize,
        target: &Target,
        model: &ModelName,
        now: Moment,
        seed: u64,
    ) -> Result<Lease, Skip> {
        let keys = &target.station.keys;
        let leased = self.with_ask(place, target, model, |ask| keys.lease(ask, now, seed));
        leased.map_err(|denied| match denied {
            Denied::Empty => Skip::NoCredential,
            Denied::Spent { until } => Skip::Spent(until),
        })
    }

    /// Tells affinity that the session's home cannot serve it now.
    fn away(&self, place: usize, until: Option<Moment>, now: Moment) {
        let Some(session) = self
            .errand
            .session
            .filter(|_| self.snapshot.routing.affinity)
        else {
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

    /// Says to a pool of keys what is needed of it.
    fn with_ask<T>(
        &self,
        place: usize,
        target: &Target,
        model: &ModelName,
        ask: impl FnOnce(&Ask<'_>) -> T,
    ) -> T {
        let without: SmallVec<[KeyId; 4]> = self
            .asked
            .iter()
            .filter(|(at, _)| *at == place)
            .filter_map(|(_, key)| *key)
            .collect();
        let is_here = |home: &&Home| home.target == target.id;
        let home = self.binding.as_ref().and_then(|binding| {
            let home = Some(&binding.home).filter(is_here);
            home.or(binding.guest.as_ref().filter(is_here))
        });
        let warm = self.binding.as_ref().filter(|_| home.is_some());
        let cached = warm.map_or(0, |binding| binding.prefix_tokens);
        let session = self
            .errand
            .session
            .filter(|_| self.snapshot.routing.affinity);
        let counts = self.errand.endpoint == Endpoint::Messages;
        let output = self.errand.max_tokens.unwrap_or(EXPECTED_OUTPUT_TOKENS);
        ask(&Ask {
            class: ModelClass::of(model.as_str()),
            input_tokens: if counts {
                self.input_tokens.saturating_sub(cached)
            } else {
                0
            },
            output_tokens: if counts {
                output.min(EXPECTED_OUTPUT_TOKENS)
            } else {
                0
            },
            home: home.and_then(|home| home.key),
            place: session.map(|session| session.0),
            without: &without,
        })
    }
}

/// Leaves alone whom a setback is about.
fn learn(target: &Target, leg: &Leg, back: &SetbackFacts, seed: u64) {
    let SetbackFacts { ruling, now, .. } = back;
    let station = &target.station;
    let until = now.plus(ruling.hold);
    let key = leg.receipt.key().map(|key| key.id);
    let model = leg.model.as_str();
    match (ruling.scope, key) {
        (Scope::Key, Some(key)) if !ruling.hold.is_zero() => {
            station.keys.park(key, Parked::Key, until);
        }
        (Scope::Class, Some(key)) if !ruling.hold.is_zero() => {
            station
                .keys
                .park(key, Parked::Class(ModelClass::of(model)), until);
        }
        (Scope::Model, _) if ruling.strikes => {
            station.overload_model(model, ruling.hold, *now, seed);
        }
        (Scope::Model, _) => station.miss_model(model, ruling.hold, *now),
        (Scope::Request | Scope::Key | Scope::Class | Scope::Target, _) => {}
    }
}

/// Whose credential a target is asked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Credential {
    Own,
    Relay,
}

/// What is known of a setback.
#[derive(Debug, Clone, Copy)]
pub struct SetbackFacts {
    /// What it means.
    pub ruling: Ruling,
    /// The status that said so.
    pub status: Option<u16>,
    /// How long the attempt took.
    pub took: Duration,
    /// When it was.
    pub now: Moment,
}

/// Orders the candidates: those that serve the model and take the body, by strategy; the session's
/// home before all, its guest behind it, then those of the same vendor where thinking is at stake.
fn order(
    snapshot: &Snapshot,
    board: &Board,
    errand: &Errand,
    binding: Option<&Binding>,
    input_tokens: u64,
    (now, seed): (Moment, u64),
) -> Result<Ranking, Nowhere> {
    let mut nowhere = Nowhere::UnknownModel;
    let mut contenders: SmallVec<[Contender<'_>; 8]> = SmallVec::new();
    let kind = snapshot.routing.kind;
    for (place, target) in snapshot.targets.iter().enumerate() {
        let Some(model) = target.name_of(&errand.model) else {
            continue;
        };
        if errand.body_bytes > target.max_body_bytes {
            let limit_bytes = u64::try_from(target.max_body_bytes).unwrap_or(u64::MAX);
            nowhere = nowhere.or_too_long(limit_bytes);
            continue;
        }
        let station = &target.station;
        let cost = || {
            let is_home = binding.filter(|binding| binding.home.target == target.id);
            let cached = is_home.map_or(0, |binding| binding.prefix_tokens.min(input_tokens));
            let fresh = input_tokens.saturating_sub(cached);
            let prices = &board.prices;
            let cost = prices.expected(model.as_str(), fresh, cached, EXPECTED_OUTPUT_TOKENS);
            cost.map(Money::as_nano_dollars)
        };
        contenders.push(Contender {
            place,
            id: &target.id,
            priority: target.priority,
            weight: target.weight,
            in_flight_tokens: station.in_flight_tokens(),
            latency: (kind == Kind::Latency)
                .then(|| station.latencies.of(model.as_str(), now))
                .flatten(),
            cost: (kind == Kind::Cost).then(cost).flatten(),
        });
    }
    if contenders.is_empty() {
        return Err(nowhere);
    }
    let strategy = &*snapshot.routing.strategy;
    let mut order = rank(strategy, Some(errand.model.as_str()), &mut contenders, seed);
    let Some(binding) = binding else {
        return Ok(order);
    };
    order.sort_by_key(|place| {
        let target = snapshot.targets.get(*place);
        let is = |home: &Home| target.is_some_and(|target| target.id == home.target);
        let is_foreign = |target: &Arc<Target>| binding.is_foreign_to(&target.vendor);
        if is(&binding.home) {
            0
        } else if binding.guest.as_ref().is_some_and(is) {
            1
        } else if target.is_some_and(is_foreign) {
            3
        } else {
            2
        }
    });
    Ok(order)
}
