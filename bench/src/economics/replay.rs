//! Replays a day event by event, in made-up time: clients, relay and upstream.
//!
//! In: sessions, a relay, a world. Out: a [`Tally`]. All decisions are those of `relay_core`:
//! `Journey`, `Receipt` and what they stand on; what is here takes the place of sockets and of the
//! proxy's loop around them. Must never read a clock, nor depend on anything but its arguments.
mod client;
mod events;
mod waits;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use relay_core::{
    cold::{Entry, Waiting},
    journey::{Errand, Journey, Leg, SetbackFacts, Step},
    moment::Moment,
    receipt::Ending,
    refusal::{Refusal, retry_after, rule},
    request::{Endpoint, ModelName},
};

use self::{
    client::Client,
    events::{Event, Events},
};
use super::{
    day::{Dice, Session},
    relay::{Relay, admission},
    tally::Tally,
    world::{Answer, MODEL, World, unix},
};

/// One request of a client, with every repeat of it.
struct Request {
    conversation: usize,
    journey: Option<Journey>,
    leg: Option<Box<Leg>>,
    answer: Option<Answer>,
    cold: Option<Waiting>,
    asked: Duration,
    sent: Duration,
    repeats: u32,
    /// The wait that the last refusal named.
    retry_after: Option<Duration>,
    status: u16,
}

/// What goes on.
pub(crate) struct Replay<'a> {
    relay: &'a Relay,
    world: World,
    client: Client<'a>,
    requests: Vec<Request>,
    events: Events,
    /// Requests that wait for capacity, in order.
    waiting: VecDeque<usize>,
    /// When they look again at the latest.
    look_at: Option<Duration>,
    /// Requests that wait for a prefix.
    cold: Vec<usize>,
    dice: Dice,
    tally: Tally,
}

/// Every key is at its limit; the first has room again at this time.
#[derive(Clone, Copy, Debug)]
struct Spent(Option<Moment>);

/// Replays a day.
pub(crate) fn replay(day: &[Session], relay: &Relay, world: World, seed: u64) -> Tally {
    let mut course = Replay {
        relay,
        world,
        client: Client::new(day),
        requests: Vec::new(),
        events: Events::default(),
        waiting: VecDeque::new(),
        look_at: None,
        cold: Vec::new(),
        dice: Dice::new(seed),
        tally: Tally::new(relay.keys.len()),
    };
    for (conversation, at) in course.client.starts() {
        course.events.push(at, Event::Turn(conversation));
    }
    while let Some((now, event)) = course.events.pop() {
        course.happen(event, now);
    }
    course.tally
}

fn moment(now: Duration) -> Moment {
    Moment::after_start(now)
}

impl Replay<'_> {
    fn happen(&mut self, event: Event, now: Duration) {
        match event {
            Event::Turn(conversation) => self.turn(conversation, now),
            Event::Repeat(request) => self.arrive(request, now),
            Event::Begin(request) => self.begin(request, now),
            Event::End(request) => self.end(request, now),
            Event::Refused(request) => self.refused(request, now),
            Event::ColdOver(request) => self.leave_cold(request, now),
            Event::Again(request) => {
                if let Err(Spent(until)) = self.go_on(request, now) {
                    self.wait_or_refuse(request, until, now);
                }
            }
            Event::Room => self.look_at = None,
        }
        self.look_at_cold(now);
        self.look_at_waiting(now);
    }

    fn turn(&mut self, conversation: usize, now: Duration) {
        self.client.compose(conversation);
        self.requests.push(Request {
            conversation,
            journey: None,
            leg: None,
            answer: None,
            cold: None,
            asked: now,
            sent: now,
            repeats: 0,
            retry_after: None,
            status: 0,
        });
        self.arrive(self.requests.len().saturating_sub(1), now);
    }

    /// A request comes to the relay, for the first time or again.
    fn arrive(&mut self, number: usize, now: Duration) {
        let Some(request) = self.requests.get_mut(number) else {
            return;
        };
        let (session, prompt) = self.client.prompt(request.conversation);
        let bytes = prompt.bytes();
        let affinity = self.relay.snapshot.routing.affinity;
        let errand = Errand {
            endpoint: Endpoint::Messages,
            model: ModelName::new(MODEL),
            session: affinity.then_some(session),
            prefix: affinity.then_some(prompt.plan.prefix_key),
            body_bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            countable_bytes: bytes,
            max_tokens: Some(32_000),
            admission: admission(),
            arrived: moment(now),
            arrived_unix: Duration::ZERO,
        };
        let (snapshot, board) = (&self.relay.snapshot, &self.relay.board);
        request.retry_after = None;
        request.status = 0;
        request.journey = Journey::plan(
            Arc::clone(snapshot),
            Arc::clone(board),
            errand,
            moment(now),
            self.dice.roll(),
        )
        .ok();
        if !self.waiting.is_empty() && !snapshot.routing.max_wait.is_zero() {
            self.waiting.push_back(number);
            return;
        }
        if let Err(Spent(until)) = self.go_on(number, now) {
            self.wait_or_refuse(number, until, now);
        }
    }

    /// Makes the next attempt.
    ///
    /// # Errors
    /// [`Spent`]: every key is at its limit.
    fn go_on(&mut self, number: usize, now: Duration) -> Result<(), Spent> {
        let seed = self.dice.roll();
        let Some(request) = self.requests.get_mut(number) else {
            return Ok(());
        };
        let Some(journey) = &mut request.journey else {
            return Ok(());
        };
        let step = journey.next(moment(now), seed);
        let prefix = journey.errand().prefix;
        match step {
            Step::Stay(until) => {
                let soon = now.saturating_add(Duration::from_millis(1));
                let at = until.since_start().max(soon);
                self.events.push(at, Event::Again(number));
            }
            Step::Spent(until) => return Err(Spent(until)),
            Step::Nowhere(_) | Step::Done => self.fail(number, now),
            Step::Go(mut leg) => {
                let entry = prefix.map(|prefix| {
                    let cold = &self.relay.board.cold;
                    cold.enter(prefix, leg.receipt.home(), moment(now))
                });
                match entry {
                    None | Some(Entry::Go) => {}
                    Some(Entry::First(ticket)) => leg.receipt.lead(ticket),
                    Some(Entry::Wait(waiting)) => {
                        let deadline = waiting.deadline().since_start();
                        self.events.push(deadline, Event::ColdOver(number));
                        request.cold = Some(waiting);
                        request.leg = Some(leg);
                        self.cold.push(number);
                        return Ok(());
                    }
                }
                request.leg = Some(leg);
                self.send(number, now);
            }
        }
        Ok(())
    }

    /// The relay refuses: every key is at its limit.
    fn spent(&mut self, number: usize, until: Option<Moment>, now: Duration) {
        if let Some(request) = self.requests.get_mut(number) {
            request.status = 429;
            let wait = until.map(|until| until.since(moment(now)).as_secs_f64().ceil());
            request.retry_after = wait.and_then(|wait| Duration::try_from_secs_f64(wait).ok());
        }
        self.fail(number, now);
    }

    /// Sends the attempt to the upstream.
    fn send(&mut self, number: usize, now: Duration) {
        let Some(request) = self.requests.get_mut(number) else {
            return;
        };
        let key = request.leg.as_ref().and_then(|leg| leg.receipt.key());
        let place = key.and_then(|key| self.relay.keys.iter().position(|id| *id == key.id));
        let Some(place) = place else { return };
        let (_, prompt) = self.client.prompt(request.conversation);
        let answer = self
            .world
            .ask(place, &prompt.segments, prompt.output(), now);
        request.sent = now;
        if answer.status == 200 {
            self.events.push(answer.begins, Event::Begin(number));
            self.events.push(answer.ends, Event::End(number));
        } else {
            self.events.push(answer.begins, Event::Refused(number));
        }
        self.tally.sent(place, &answer, prompt.output());
        request.answer = Some(answer);
    }

    fn begin(&mut self, number: usize, now: Duration) {
        let Some(request) = self.requests.get_mut(number) else {
            return;
        };
        let (Some(leg), Some(answer)) = (&mut request.leg, &request.answer) else {
            return;
        };
        let key = leg.receipt.key();
        let place = key.and_then(|key| self.relay.keys.iter().position(|id| *id == key.id));
        let headers = self.world.headers(place.unwrap_or(0), now);
        leg.receipt.head(200, &headers, moment(now), unix(now));
        leg.receipt
            .first_event(now.saturating_sub(request.sent), moment(now));
        let mut start = answer.usage;
        start.output_tokens = Some(1);
        leg.receipt.start(&start, moment(now));
        let waited = request.sent.saturating_sub(request.asked);
        self.tally.waited.push(waited);
        self.world.said(
            place.unwrap_or(0),
            answer.usage.output_tokens.unwrap_or(0),
            now,
        );
    }

    fn end(&mut self, number: usize, now: Duration) {
        let Some(request) = self.requests.get_mut(number) else {
            return;
        };
        let (Some(leg), Some(answer)) = (request.leg.take(), request.answer.take()) else {
            return;
        };
        request.journey = None;
        let (ending, seed) = (Ending::Served, self.dice.roll());
        let change = leg.receipt.finish(ending, &answer.usage, moment(now), seed);
        self.tally
            .served(&answer.usage, change, &self.relay.board.prices());
        let conversation = request.conversation;
        self.next_turns(conversation, now);
    }

    fn next_turns(&mut self, conversation: usize, now: Duration) {
        for (conversation, at) in self.client.answered(conversation, now) {
            self.events.push(at, Event::Turn(conversation));
        }
    }

    /// The upstream refused.
    fn refused(&mut self, number: usize, now: Duration) {
        let seed = self.dice.roll();
        let Some(request) = self.requests.get_mut(number) else {
            return;
        };
        let (Some(mut leg), Some(answer)) = (request.leg.take(), request.answer.take()) else {
            return;
        };
        let Some(journey) = &mut request.journey else {
            return;
        };
        leg.receipt
            .head(answer.status, &answer.headers, moment(now), unix(now));
        let ruling = rule(&Refusal {
            status: answer.status,
            headers: &answer.headers,
            body: &[],
            unix: unix(now),
        });
        let facts = SetbackFacts {
            ruling,
            status: Some(answer.status),
            began: request.sent,
            took: now.saturating_sub(request.sent),
            span: None,
            now: moment(now),
        };
        let goes_on = journey.set_back(leg, &facts, seed);
        request.status = answer.status;
        request.retry_after = retry_after(&answer.headers, unix(now));
        if !goes_on {
            self.fail(number, now);
        } else if let Err(Spent(until)) = self.go_on(number, now) {
            self.spent(number, until, now);
        }
    }

    /// The client gets a refusal: it repeats, or gives up.
    fn fail(&mut self, number: usize, now: Duration) {
        let Some(request) = self.requests.get_mut(number) else {
            return;
        };
        request.journey = None;
        let (status, wait) = (request.status, request.retry_after);
        self.tally.refused(status);
        let pause = client::pause(status, wait, request.repeats, self.dice.roll());
        if let Some(pause) = pause {
            request.repeats = request.repeats.saturating_add(1);
            let at = now.saturating_add(pause);
            self.events.push(at, Event::Repeat(number));
            return;
        }
        self.tally.lost = self.tally.lost.saturating_add(1);
        let conversation = request.conversation;
        self.next_turns(conversation, now);
    }
}
