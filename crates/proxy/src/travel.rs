//! Goes from candidate to candidate until one answers: the only loop of failover.
//!
//! In: an authorized request, read whole. Out: the answer that the client gets, with what its
//! attempt owes. It must never start another attempt once the client could have seen a byte.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use http::header;
use relay_core::affinity::key::{prefix_key, session_key};
use relay_core::credential::Admission;
use relay_core::error::RelayError;
use relay_core::estimate::countable_bytes;
use relay_core::journey::{Errand, Journey, Leg, Nowhere, SetbackFacts, Step};
use relay_core::moment::Moment;
use relay_core::receipt::Receipt;
use relay_core::record::Departure;
use relay_core::refusal::usefulness;
use relay_core::request::{Endpoint, Inbound, ModelName};
use relay_core::snapshot::Snapshot;

use crate::dispatch::{Bounds, Fault};
use crate::finish::Exchange;
use crate::hold::{Answer, Setback};
use crate::say::{Listener, say};
use crate::settings::View;
use crate::wait;
use crate::worker::Worker;

/// An answer for the client.
pub(crate) struct Arrival {
    pub(crate) answer: Box<Answer>,
    /// What its attempt owes, and when that began. None for a refusal: it was given back.
    pub(crate) receipt: Option<(Receipt, Moment)>,
}

/// One request on its way.
pub(crate) struct Travel<'a> {
    pub(crate) worker: &'a Worker,
    view: &'a View,
    pub(crate) snapshot: &'a Arc<Snapshot>,
    pub(crate) exchange: &'a mut Exchange,
    pub(crate) journey: Journey,
    /// Present while it may be sent once more.
    inbound: Option<Inbound>,
    /// The most useful refusal so far.
    best: Option<Box<Setback>>,
}

/// So many tokens, estimated: the upstream that a turn would go to does not count them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Estimate(pub(crate) u64);

/// What became of one attempt.
struct Tried {
    leg: Box<Leg>,
    began: Moment,
    departure: Option<Departure>,
    result: Result<Box<Answer>, Fault>,
}

impl<'a> Travel<'a> {
    /// Plans the way. Tokens that nobody has to be asked for are estimated instead.
    pub(crate) fn begin(
        worker: &'a Worker,
        view: &'a View,
        exchange: &'a mut Exchange,
        (errand, inbound): (Errand, Inbound),
    ) -> Result<Result<Self, Estimate>, RelayError> {
        let clock = &worker.shared.clock;
        let snapshot = view.snapshot();
        let board = Arc::clone(&worker.shared.board);
        let (now, seed) = (clock.now(), clock.seed());
        let model = errand.model.clone();
        let journey = match Journey::plan(Arc::clone(snapshot), board, errand, now, seed) {
            Ok(journey) => journey,
            Err(Nowhere::Estimated(tokens)) => return Ok(Err(Estimate(tokens))),
            Err(nowhere) => return Err(lost(nowhere, model.as_str())),
        };
        Ok(Ok(Self {
            worker,
            view,
            snapshot,
            exchange,
            journey,
            inbound: Some(inbound),
            best: None,
        }))
    }

    /// Goes until somebody answers.
    pub(crate) async fn arrive(mut self) -> Result<Arrival, RelayError> {
        let result = self.go().await;
        let attempts = self.journey.take_attempts();
        self.exchange.note(|record| record.attempts = attempts);
        result
    }

    async fn go(&mut self) -> Result<Arrival, RelayError> {
        // What is rare is boxed, so that no request carries room for it around.
        let mut room = if wait::is_line(self) {
            Some(Box::pin(wait::in_line(self)).await?)
        } else {
            None
        };
        loop {
            let clock = &self.worker.shared.clock;
            let mut leg = match self.journey.next(clock.now(), clock.seed()) {
                Step::Go(leg) => leg,
                Step::Stay(until) => {
                    // Nobody else could try while this one held its turn.
                    room = None;
                    Box::pin(wait::for_home(self, until)).await;
                    continue;
                }
                Step::Spent(until) => {
                    Box::pin(wait::for_room(&mut room, self, until)).await?;
                    continue;
                }
                Step::Nowhere(nowhere) => return Err(lost(nowhere, "")),
                Step::Done => return self.give_up(),
            };
            if let Some(waiting) = wait::prefix(self, &mut leg) {
                Box::pin(wait::for_prefix(self, &mut leg, waiting)).await;
            }
            room = None;
            let tried = if self.snapshot.routing.race > 1 {
                Box::pin(self.race(leg)).await?
            } else {
                let inbound = self.take_inbound()?;
                let replaceable = self.inbound.is_some();
                let departure = self.depart(&leg);
                // A client that leaves now has left this one.
                self.note_place(&leg, departure.clone());
                self.attempt(leg, departure, inbound, replaceable).await
            };
            match self.judge(tried)? {
                Some(arrival) => return Ok(arrival),
                None if self.inbound.is_none() => return self.give_up(),
                None => {}
            }
        }
    }

    /// Takes the request; leaves a copy of it only where it may be needed again.
    fn take_inbound(&mut self) -> Result<Inbound, RelayError> {
        let now = self.worker.shared.clock.now();
        let again = self.journey.has_alternative(now);
        let copy = if again {
            self.inbound.clone()
        } else {
            self.inbound.take()
        };
        copy.ok_or(RelayError::Internal("a request was sent twice"))
    }

    /// Makes one attempt.
    async fn attempt(
        &self,
        mut leg: Box<Leg>,
        departure: Option<Departure>,
        mut inbound: Inbound,
        replaceable: bool,
    ) -> Tried {
        if let Some(departure) = &departure {
            self.exchange.tell(departure, &mut inbound.head.headers);
        }
        let began = self.worker.shared.clock.now();
        let result = self.send(&mut leg, inbound, replaceable).await;
        if let Ok(answer) = &result {
            self.take_head(&mut leg.receipt, answer);
        }
        if let Err(Fault::Back(back)) = &result
            && let Ok(answer) = &back.answer
        {
            self.take_head(&mut leg.receipt, answer);
        }
        Tried {
            leg,
            began,
            departure,
            result,
        }
    }

    fn depart(&self, leg: &Leg) -> Option<Departure> {
        let target = self.snapshot.targets.get(leg.place);
        target.map(|target| self.exchange.depart(target))
    }

    fn take_head(&self, receipt: &mut Receipt, answer: &Answer) {
        let now = self.worker.shared.clock.now();
        let head = &answer.head;
        receipt.head(
            head.status.as_u16(),
            &head.headers,
            now,
            crate::clock::unix(),
        );
    }

    async fn send(
        &self,
        leg: &mut Leg,
        mut inbound: Inbound,
        replaceable: bool,
    ) -> Result<Box<Answer>, Fault> {
        let target = self.snapshot.targets.get(leg.place);
        let target = target.ok_or(RelayError::Internal("a leg leads nowhere"))?;
        let has_key = leg.receipt.key().is_some();
        let provider = &*target.provider;
        let mut bounds = Bounds::of(self.snapshot, provider, &inbound, (replaceable, has_key));
        let alias = self.alias(&mut inbound, &leg.model);
        bounds.alias = alias.as_ref();
        let to = Listener {
            target,
            pool: self.view.pool(leg.place)?,
            shared: &self.worker.shared,
            bounds,
        };
        say(to, leg, inbound).await
    }

    /// Returns what the client calls the model, where the answer is to call it so and the upstream
    /// calls it otherwise. Such an answer is not asked for compressed: it could not be changed.
    fn alias(&self, inbound: &mut Inbound, sent: &ModelName) -> Option<ModelName> {
        let asked = &inbound.facts.model.as_ref()?.name;
        if !self.snapshot.routing.keep_model_alias || asked == sent {
            return None;
        }
        let asked = asked.clone();
        inbound.head.headers.remove(header::ACCEPT_ENCODING);
        Some(asked)
    }

    /// Asks several at once: the first that answers wins, the others are left. Each is paid for.
    async fn race(&mut self, first: Box<Leg>) -> Result<Tried, RelayError> {
        let clock = &self.worker.shared.clock;
        let inbound = self.take_inbound()?;
        let mut legs = vec![first];
        while self.inbound.is_some() && legs.len() < self.snapshot.routing.race {
            match self.journey.next_beside(clock.now(), clock.seed()) {
                Some(leg) => legs.push(leg),
                None => break,
            }
        }
        let replaceable = self.inbound.is_some() || legs.len() > 1;
        let mut lost = Vec::new();
        let won = {
            let this = &*self;
            let run = |leg: Box<Leg>| {
                let departure = this.depart(&leg);
                this.attempt(leg, departure, inbound.clone(), replaceable)
            };
            let mut under_way: FuturesUnordered<_> = legs.into_iter().map(run).collect();
            loop {
                match under_way.next().await {
                    Some(tried) if tried.result.is_ok() || under_way.is_empty() => break tried,
                    Some(tried) => lost.push(tried),
                    None => return Err(RelayError::Internal("a race without runners")),
                }
            }
        };
        for tried in lost {
            self.judge(tried)?;
        }
        Ok(won)
    }

    /// Notes where the request went last, when, and with which key.
    fn note_place(&mut self, leg: &Leg, departure: Option<Departure>) {
        let target = self.snapshot.targets.get(leg.place);
        let target = target.map(|target| target.id.clone());
        let key = leg.receipt.key();
        self.exchange.note(|record| {
            record.target = target;
            record.key = key;
            record.last = departure;
        });
    }

    /// Takes an answer, or notes a setback. `None` if the way goes on.
    fn judge(&mut self, tried: Tried) -> Result<Option<Arrival>, RelayError> {
        let Tried {
            leg,
            began,
            departure,
            result,
        } = tried;
        self.note_place(&leg, departure.clone());
        let thinking_removed = leg.thinking_removed;
        let left_out = leg.removed.clone();
        let affinity = self.journey.affinity_of(&leg);
        self.exchange.note(|record| {
            record.affinity = affinity;
            record.thinking_removed = thinking_removed;
            record.left_out = left_out;
        });
        let back = match result {
            Ok(answer) => {
                let receipt = Some((leg.receipt, began));
                return Ok(Some(Arrival { answer, receipt }));
            }
            Err(Fault::Ours(error)) => return Err(error),
            Err(Fault::Back(back)) => back,
        };
        self.exchange.note(|record| record.last = None);
        let clock = &self.worker.shared.clock;
        let now = clock.now();
        let facts = SetbackFacts {
            ruling: back.ruling,
            status: back.status,
            began: departure.as_ref().map_or(Duration::ZERO, |it| it.began),
            took: now.since(began),
            span: departure.and_then(|it| it.span),
            now,
        };
        let goes_on = self.journey.set_back(leg, &facts, clock.seed());
        let attempts = self.journey.tried().to_vec();
        self.exchange.note(|record| record.attempts = attempts);
        self.keep_best(back);
        if goes_on && self.inbound.is_some() {
            return Ok(None);
        }
        self.inbound = None;
        Ok(None)
    }

    /// Keeps the refusal that helps a client most; of equals the later one.
    fn keep_best(&mut self, back: Box<Setback>) {
        let rank = |back: &Setback| match (&back.answer, back.status) {
            (Ok(_), Some(status)) => usefulness(status),
            _ => 0,
        };
        if self
            .best
            .as_ref()
            .is_none_or(|best| rank(best) <= rank(&back))
        {
            self.best = Some(back);
        }
    }

    /// Nobody answered: the client gets the most useful refusal, word for word.
    fn give_up(&mut self) -> Result<Arrival, RelayError> {
        match self.best.take().map(|back| back.answer) {
            Some(Ok(answer)) => Ok(Arrival {
                answer,
                receipt: None,
            }),
            Some(Err(error)) => Err(error),
            None => Err(RelayError::Internal("nobody was asked")),
        }
    }
}

fn lost(nowhere: Nowhere, model: &str) -> RelayError {
    match nowhere {
        Nowhere::UnknownModel => RelayError::UnknownModel(model.into()),
        Nowhere::NoCredential => {
            RelayError::Unauthenticated(relay_core::error::Unauthenticated::NothingToSend)
        }
        Nowhere::Estimated(_) => RelayError::Internal("an estimate is no error"),
        Nowhere::OverBudget(exhausted) => RelayError::OverBudget(exhausted),
        Nowhere::TooLong { limit_bytes } => RelayError::BodyTooLarge { limit_bytes },
    }
}

/// Says what a request is about, as routing sees it.
pub(crate) fn errand(
    snapshot: &Snapshot,
    admission: Admission,
    inbound: &Inbound,
    now: Moment,
) -> Result<Errand, RelayError> {
    let facts = &inbound.facts;
    let named = facts.model.as_ref().ok_or(RelayError::NoModel)?;
    let mapped = snapshot.routing.model_mapping.find(named.name.as_str());
    let keeps = snapshot.routing.affinity;
    let counts = keeps && inbound.endpoint == Endpoint::Messages;
    Ok(Errand {
        endpoint: inbound.endpoint,
        model: mapped.unwrap_or(&named.name).clone(),
        session: keeps.then(|| session_key(facts, &inbound.body)),
        prefix: counts.then(|| prefix_key(facts, &inbound.body)).flatten(),
        body_bytes: inbound.body.len(),
        countable_bytes: countable_bytes(&inbound.body),
        max_tokens: facts.max_tokens,
        admission,
        arrived: now,
        arrived_unix: crate::clock::unix(),
    })
}
