//! A request's way from candidate to candidate.
//!
//! In: a snapshot, what is known, and an [`Errand`]. Out: one [`Leg`] after the other, each with the
//! receipts that its attempt has to give back; the caller tells how each went. It must never give
//! out a leg twice for the same key, unless that said when it has room and waiting was worth it, go
//! on where the client has to see the refusal, or hold anything of one target while it asks another.

mod enter;
mod learn;
mod nowhere;
mod order;

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::affinity::key::{PrefixKey, SessionKey};
use crate::affinity::{Binding, Home};
use crate::board::Board;
use crate::capability::Capability;
use crate::credential::{Admission, UpstreamCredential};
use crate::keys::ModelClass;
use crate::moment::Moment;
use crate::receipt::Receipt;
use crate::record::Attempt;
use crate::refusal::{Next, Ruling, Trigger};
use crate::request::{Endpoint, ModelName};
use crate::secret::KeyId;
use crate::snapshot::{Snapshot, Target};
use crate::spend::Exhausted;
use crate::strategy::Ranking;
use crate::trace::SpanId;

use enter::{Skip, shut, sooner};
use learn::learn;
pub use nowhere::Nowhere;
use order::{homes, order};

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
    /// The same as time since the Unix epoch, which budgets and prices go by.
    pub arrived_unix: Duration,
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
    /// What else was taken out, since the target cannot take it.
    pub removed: Vec<Capability>,
    /// To be given back, whatever comes of it.
    pub receipt: Receipt,
}

/// What to do next.
#[expect(missing_debug_implementations, reason = "a leg holds a secret")]
pub enum Step {
    /// Make this attempt.
    Go(Box<Leg>),
    /// Wait until then, and ask again: the session's home has room then, and what waiting costs is
    /// less than the prefix written elsewhere.
    Stay(Moment),
    /// Every key that could serve is at its limit. The first has room again at this time.
    Spent(Option<Moment>),
    /// No candidate takes this: none serves the model, or takes the client's credential.
    Nowhere(Nowhere),
    /// Those that could be asked were asked, or may not be asked any more.
    Done,
}

/// A request on its way.
#[expect(missing_debug_implementations, reason = "a snapshot holds secrets")]
pub struct Journey {
    snapshot: Arc<Snapshot>,
    board: Arc<Board>,
    errand: Errand,
    class: ModelClass,
    binding: Option<Binding>,
    /// Where the session's cache is, or is about to be: the home before the guest.
    homes: SmallVec<[Home; 2]>,
    input_tokens: u64,
    order: Ranking,
    /// The places of providers whose budget is spent.
    shut: Vec<(usize, Box<Exhausted>)>,
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
        let homes = homes(&board, session, model, binding.as_ref(), now);
        let estimate = board
            .estimator
            .estimate(session, model, errand.countable_bytes);
        let known = (binding.as_ref(), homes.as_slice());
        let order = order(&snapshot, &board, &errand, known, estimate, (now, seed))?;
        if errand.endpoint == Endpoint::CountTokens {
            let first = order.first().and_then(|place| snapshot.targets.get(*place));
            if first.is_some_and(|target| !target.provider.has(Endpoint::CountTokens)) {
                return Err(Nowhere::Estimated(estimate));
            }
        }
        let shut = shut(&snapshot, &board, &errand);
        board.budget.deposit(snapshot.routing.retry_budget_percent);
        Ok(Self {
            snapshot,
            board,
            class: ModelClass::of(errand.model.as_str()),
            errand,
            binding,
            homes,
            input_tokens: estimate,
            order,
            shut,
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
        let mut closed = SmallVec::<[usize; 4]>::new();
        let mut over_budget: Option<Box<Exhausted>> = None;
        for place in self.order.clone() {
            match self.enter(place, now, seed, false) {
                Ok(leg) => {
                    let leg = self.together(leg, now, seed);
                    return self.go(leg, now);
                }
                Err(Skip::NoCredential) => {}
                Err(Skip::OverBudget(exhausted)) => {
                    self.away(place, Some(now.plus(exhausted.wait)), now);
                    let both = over_budget.into_iter().chain([exhausted]);
                    over_budget = both.min_by_key(|it| it.until);
                }
                Err(Skip::Stay(until)) => {
                    // It said when it has room again: asked then, it is not asked in vain.
                    let home = self.binding.as_ref().and_then(|binding| binding.home.key);
                    self.asked.retain(|asked| *asked != (place, home));
                    return Step::Stay(until);
                }
                Err(Skip::Closed(until)) => {
                    self.away(place, Some(until), now);
                    closed.push(place);
                }
                Err(Skip::Spent(until)) => {
                    self.away(place, until, now);
                    spent = Some(sooner(spent.flatten(), until));
                }
            }
        }
        if self.attempts > 0 {
            return Step::Done;
        }
        // Who has nowhere else to go asks a target that is in trouble, or with a key that was
        // refused: it may have come back, and if not, its own word is worth more than ours.
        if spent.is_none() {
            for place in closed {
                match self.enter(place, now, seed, true) {
                    Ok(leg) => return self.go(leg, now),
                    Err(Skip::Spent(until)) => spent = Some(sooner(spent.flatten(), until)),
                    Err(
                        Skip::NoCredential | Skip::OverBudget(_) | Skip::Closed(_) | Skip::Stay(_),
                    ) => {}
                }
            }
        }
        match (spent, over_budget) {
            (Some(until), _) => Step::Spent(until),
            (None, Some(exhausted)) => Step::Nowhere(Nowhere::OverBudget(exhausted)),
            (None, None) => Step::Nowhere(Nowhere::NoCredential),
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
            Step::Stay(_) | Step::Spent(_) | Step::Nowhere(_) | Step::Done => None,
        }
    }

    /// Takes what came of each attempt that failed.
    pub fn take_attempts(&mut self) -> Vec<Attempt> {
        std::mem::take(&mut self.log)
    }

    /// Returns the attempts that failed so far.
    pub fn tried(&self) -> &[Attempt] {
        &self.log
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
            began: back.began,
            took: back.took,
            span: back.span,
            origin: Arc::clone(&target.origin),
        });
        let is_own = matches!(leg.credential, UpstreamCredential::Client(_));
        learn(&target, &leg, back, seed);
        if ruling.next == Next::OtherTarget {
            // Whoever is asked again is asked last.
            self.order.retain(|place| *place != leg.place);
            self.order.push(leg.place);
        }
        leg.receipt.give_back(&ruling, now, seed);
        if self.attempts > 1 {
            self.board.budget.spend();
        }
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

    /// Keeps the first requests of a session together: where another has been sent just now, this
    /// one goes there too, if it can.
    fn together(&mut self, leg: Box<Leg>, now: Moment, seed: u64) -> Box<Leg> {
        let Some(session) = self.kept_session().filter(|_| self.binding.is_none()) else {
            return leg;
        };
        let model = self.errand.model.as_str();
        let again = self.attempts > 0;
        let affinity = &self.board.affinity;
        let Some(before) = affinity.place(session, model, (leg.receipt.home(), again), now) else {
            return leg;
        };
        let is_there = |target: &Arc<Target>| target.id == before.target;
        let place = self.snapshot.targets.iter().position(is_there);
        self.homes = SmallVec::from_iter([before.clone()]);
        match place.and_then(|place| self.enter(place, now, seed, false).ok()) {
            Some(other) if *other.receipt.home() == before => {
                leg.receipt.never_sent(now);
                other
            }
            Some(other) => {
                other.receipt.never_sent(now);
                leg
            }
            None => leg,
        }
    }

    /// Returns the session, where sessions are kept.
    fn kept_session(&self) -> Option<SessionKey> {
        self.errand
            .session
            .filter(|_| self.snapshot.routing.affinity)
    }

    fn may_try_again(&self, now: Moment) -> bool {
        let routing = &self.snapshot.routing;
        let elapsed = now.since(self.errand.arrived);
        let in_time = routing.failover_timeout.is_none_or(|limit| elapsed < limit);
        let first = self.attempts == 0;
        first || (self.may_go_on && in_time && self.attempts < routing.max_attempts)
    }

    /// Sets out, as far as the retry budget allows.
    fn go(&mut self, leg: Box<Leg>, now: Moment) -> Step {
        if self.attempts > 0 && !self.board.budget.allows() {
            leg.receipt.never_sent(now);
            self.may_go_on = false;
            return Step::Done;
        }
        self.attempts = self.attempts.saturating_add(1);
        let key = leg.receipt.key().map(|key| key.id);
        self.asked.push((leg.place, key));
        Step::Go(leg)
    }
}

/// What is known of a setback.
#[derive(Debug, Clone, Copy)]
pub struct SetbackFacts {
    /// What it means.
    pub ruling: Ruling,
    /// The status that said so.
    pub status: Option<u16>,
    /// When the attempt was sent, since the request's first byte.
    pub began: Duration,
    /// How long it took.
    pub took: Duration,
    /// Its span, where requests are traced.
    pub span: Option<SpanId>,
    /// When it was.
    pub now: Moment,
}
