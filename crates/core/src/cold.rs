//! The guard against cold fan-out: of requests that start at once on a prefix nobody has written yet,
//! one pays for writing it.
//!
//! In: a prefix and the home it is asked of. Out: go, be the first, or wait for the first. A cache can
//! be read as soon as the answer to the request that writes it begins. It must never hold a request
//! for longer than [`LONGEST_WAIT`] after the first one started, never wait for one that is gone, and
//! never grow without bound: where there is no room, requests go.
//!
//! Waiting is by wakers alone; whoever waits races a timer of its own until [`Waiting::deadline`].

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;

use crate::affinity::Home;
use crate::affinity::key::PrefixKey;
use crate::bounded::Bounded;
use crate::chance;
use crate::moment::Moment;

/// Nobody waits longer than so long after the first one started.
pub const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How long a prefix is believed warm after its last use: the shortest life of a cache.
const WARM_FOR: Duration = Duration::from_mins(5);
const MAX_WARM: usize = 8192;
const SHARDS: usize = 16;
const MAX_FLIGHTS_PER_SHARD: usize = 256;
const MAX_WAITERS: usize = 1024;

/// Lets one request of many go first.
#[derive(Clone)]
pub struct ColdGuard {
    inner: Arc<Inner>,
}

struct Inner {
    warm: Bounded<Moment>,
    flights: [Mutex<HashMap<u64, Flight>>; SHARDS],
    numbers: AtomicU64,
}

/// One first request under way, and who waits for it.
struct Flight {
    number: u64,
    first: u64,
    started: Moment,
    waiters: VecDeque<Waiter>,
}

struct Waiter {
    number: u64,
    waker: Option<Waker>,
}

/// What a request is to do.
#[derive(Debug)]
#[must_use]
pub enum Entry {
    /// Go: the prefix is warm, or there is nothing to be gained by waiting.
    Go,
    /// Go first, and say when the answer begins.
    First(Ticket),
    /// Wait for the first one.
    Wait(Waiting),
}

impl ColdGuard {
    /// Makes one that knows no prefix.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                warm: Bounded::new(MAX_WARM),
                flights: std::array::from_fn(|_| Mutex::new(HashMap::new())),
                numbers: AtomicU64::new(0),
            }),
        }
    }

    /// Asks to send a request with this prefix to this home.
    pub fn enter(&self, prefix: PrefixKey, home: &Home, now: Moment) -> Entry {
        let id = id(prefix, home);
        if self.inner.warm.with(id, |until| now < *until) == Some(true) {
            return Entry::Go;
        }
        let number = self.inner.numbers.fetch_add(1, Ordering::Relaxed);
        let pass = |flight| Pass {
            inner: Arc::clone(&self.inner),
            id,
            flight,
            number,
        };
        let mut flights = self.inner.shard(id).lock();
        if let Some(flight) = flights.get_mut(&id) {
            let is_late = now.since(flight.started) >= LONGEST_WAIT;
            if is_late || flight.waiters.len() >= MAX_WAITERS {
                return Entry::Go;
            }
            flight.waiters.push_back(Waiter {
                number,
                waker: None,
            });
            return Entry::Wait(Waiting {
                pass: Some(pass(flight.number)),
                deadline: flight.started.plus(LONGEST_WAIT),
            });
        }
        if flights.len() >= MAX_FLIGHTS_PER_SHARD {
            return Entry::Go;
        }
        let flight = Flight {
            number,
            first: number,
            started: now,
            waiters: VecDeque::new(),
        };
        flights.insert(id, flight);
        Entry::First(Ticket {
            pass: Some(pass(number)),
        })
    }

    /// Takes that an answer to a request with this prefix began at this home, first or not: it is
    /// warm from now on, and nobody waits any more.
    pub fn warmed(&self, prefix: PrefixKey, home: &Home, now: Moment) {
        self.inner.warmed(id(prefix, home), now);
    }

    /// Returns how many wait, for status.
    pub fn waiting(&self) -> usize {
        let mut waiting: usize = 0;
        for shard in &self.inner.flights {
            for flight in shard.lock().values() {
                waiting = waiting.saturating_add(flight.waiters.len());
            }
        }
        waiting
    }
}

impl Default for ColdGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ColdGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.waiting();
        f.debug_struct("ColdGuard")
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}

fn id(prefix: PrefixKey, home: &Home) -> u64 {
    chance::pair(prefix.0, home.id())
}

impl Inner {
    fn shard(&self, id: u64) -> &Mutex<HashMap<u64, Flight>> {
        let [first, rest @ ..] = &self.flights;
        let place = usize::try_from(chance::below(id, SHARDS as u64)).unwrap_or(0);
        place
            .checked_sub(1)
            .and_then(|place| rest.get(place))
            .unwrap_or(first)
    }

    fn warmed(&self, id: u64, now: Moment) {
        let until = now.plus(WARM_FOR);
        self.warm.with_or(
            id,
            |other| *other <= now,
            || until,
            |known| *known = until.max(*known),
        );
        let ended = self.shard(id).lock().remove(&id);
        // Woken without the lock: a waker may run anything.
        for waiter in ended.into_iter().flat_map(|flight| flight.waiters) {
            if let Some(waker) = waiter.waker {
                waker.wake();
            }
        }
    }
}

/// One request's part in a flight.
struct Pass {
    inner: Arc<Inner>,
    id: u64,
    flight: u64,
    number: u64,
}

impl Pass {
    /// Looks where the flight stands; `None` if it has ended.
    fn with<R>(&self, act: impl FnOnce(&mut Flight) -> R) -> Option<R> {
        let mut flights = self.inner.shard(self.id).lock();
        flights
            .get_mut(&self.id)
            .filter(|it| it.number == self.flight)
            .map(act)
    }

    /// Steps out: if it was the first, the next one is.
    fn leave(&self) {
        let mut flights = self.inner.shard(self.id).lock();
        let Some(flight) = flights
            .get_mut(&self.id)
            .filter(|it| it.number == self.flight)
        else {
            return;
        };
        if flight.first != self.number {
            let place = flight
                .waiters
                .iter()
                .position(|it| it.number == self.number);
            let gone = place.and_then(|place| flight.waiters.remove(place));
            // A waker may own a task, and so run anything when it is dropped.
            drop(flights);
            drop(gone);
            return;
        }
        let Some(next) = flight.waiters.pop_front() else {
            flights.remove(&self.id);
            return;
        };
        flight.first = next.number;
        drop(flights);
        if let Some(waker) = next.waker {
            waker.wake();
        }
    }
}

/// Held by the first request until its answer begins. Dropped before, the next one goes.
#[must_use]
pub struct Ticket {
    pass: Option<Pass>,
}

impl Ticket {
    /// Says that the answer has begun: everybody else may go.
    pub fn warmed(mut self, now: Moment) {
        if let Some(pass) = self.pass.take() {
            pass.inner.warmed(pass.id, now);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(pass) = &self.pass {
            pass.leave();
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

/// What became of waiting.
#[derive(Debug)]
#[must_use]
pub enum Turn {
    /// The prefix is warm: go.
    Go,
    /// The first one failed: go first now.
    First(Ticket),
}

/// Waits for the first request. Cancel-safe: dropped, its place is free.
#[must_use]
pub struct Waiting {
    pass: Option<Pass>,
    deadline: Moment,
}

impl Waiting {
    /// Returns when to stop waiting and go.
    pub const fn deadline(&self) -> Moment {
        self.deadline
    }
}

impl Future for Waiting {
    type Output = Turn;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Turn> {
        let Some(pass) = &self.pass else {
            // Polled after it was ready: it may go.
            return Poll::Ready(Turn::Go);
        };
        let waker = context.waker().clone();
        let state = pass.with(|flight| {
            let mut waiters = flight.waiters.iter_mut();
            let place = waiters.find(|waiter| waiter.number == pass.number);
            let before = place.and_then(|waiter| waiter.waker.replace(waker));
            (flight.first == pass.number, before)
        });
        match state.map(|(is_first, _)| is_first) {
            Some(false) => Poll::Pending,
            Some(true) => Poll::Ready(Turn::First(Ticket {
                pass: self.pass.take(),
            })),
            None => {
                self.pass = None;
                Poll::Ready(Turn::Go)
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(pass) = &self.pass {
            pass.leave();
        }
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
