//! The waiting room: where requests wait for capacity, fairly.
//!
//! In: who waits, and that capacity may be there. Out: turns to try, one at a time. It must never
//! know what capacity is, lose a wake-up, starve a cold session, or hold more than it was made for.
//!
//! A *turn* is the right to try. After a notice everybody who waits gets one, in order, until each has
//! tried: a request that finds nothing for its model does not keep the next one from finding something
//! for another. Who found something leaves; who did not keeps its place.
//!
//! The order: sessions in rotation, first come first served within one; whoever found capacity goes
//! to the back. Sessions with a warm cache come before cold ones, since their wait is worth money,
//! but a cold one counts as warm once it has waited for [`COLD_PATIENCE`]: from then on only those
//! sessions come before it that have gone without capacity for as long.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;

use crate::affinity::key::SessionKey;
use crate::moment::Moment;

/// After so long a cold session is ranked like a warm one.
pub const COLD_PATIENCE: Duration = Duration::from_secs(1);

/// Everybody who waits.
#[derive(Clone)]
pub struct WaitingRoom {
    inner: Arc<Inner>,
}

struct Inner {
    capacity: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    /// In order of arrival, so by number.
    waiters: Vec<Waiter>,
    seats: HashMap<SessionKey, Seat>,
    next_number: u64,
    next_position: u64,
    /// Counts the notices. Who has tried since the last one is not asked again.
    round: u64,
    turn: Option<Turn>,
    now: Moment,
}

struct Waiter {
    number: u64,
    session: SessionKey,
    warm: bool,
    joined: Moment,
    tried: u64,
    /// Who listens for a turn; `None` while it does something else.
    waker: Option<Waker>,
}

/// The place of a session in the rotation.
struct Seat {
    position: u64,
    waiters: usize,
}

#[derive(Clone, Copy)]
struct Turn {
    number: u64,
    round: u64,
    taken: bool,
}

/// Nobody more can wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the waiting room is full: {capacity} requests wait already")]
pub struct Full {
    /// How many it holds.
    pub capacity: usize,
}

impl WaitingRoom {
    /// Makes room for so many.
    pub fn new(capacity: usize) -> Self {
        let state = State {
            waiters: Vec::new(),
            seats: HashMap::new(),
            next_number: 0,
            next_position: 0,
            round: 1,
            turn: None,
            now: Moment::START,
        };
        Self {
            inner: Arc::new(Inner {
                capacity: AtomicUsize::new(capacity),
                state: Mutex::new(state),
            }),
        }
    }

    /// Makes room for more or fewer; nobody who waits already is sent away.
    pub fn resize(&self, capacity: usize) {
        self.inner.capacity.store(capacity, Ordering::Relaxed);
    }

    /// Takes a place. The first turn comes at once, or after the one that is under way: capacity may
    /// have come back between the caller's last try and now.
    ///
    /// # Errors
    /// [`Full`].
    pub fn join(&self, session: SessionKey, warm: bool, now: Moment) -> Result<Place, Full> {
        let capacity = self.inner.capacity.load(Ordering::Relaxed);
        let mut state = self.inner.state.lock();
        if state.waiters.len() >= capacity {
            return Err(Full { capacity });
        }
        state.now = state.now.max(now);
        let number = state.next_number;
        state.next_number = number.saturating_add(1);
        let position = state.new_position();
        let new = Seat {
            position,
            waiters: 0,
        };
        let seat = state.seats.entry(session).or_insert(new);
        seat.waiters = seat.waiters.saturating_add(1);
        state.waiters.push(Waiter {
            number,
            session,
            warm,
            joined: now,
            tried: 0,
            waker: None,
        });
        Ok(Place {
            inner: Arc::clone(&self.inner),
            number,
        })
    }

    /// Says that capacity may be there: something was given back, or a limit was lifted. What comes
    /// back by time alone needs a timer of the caller's, which calls this.
    pub fn notify(&self, now: Moment) {
        let mut state = self.inner.state.lock();
        state.now = state.now.max(now);
        state.round = state.round.saturating_add(1);
        let next = state.hand_on();
        drop(state);
        wake(next);
    }

    /// Returns how many wait.
    pub fn len(&self) -> usize {
        self.inner.state.lock().waiters.len()
    }

    /// Tells whether nobody waits. While somebody does, a request that comes in should join rather
    /// than try first: else it overtakes them all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for WaitingRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingRoom")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Wakes without the lock: a waker may run anything.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl State {
    fn new_position(&mut self) -> u64 {
        self.next_position = self.next_position.saturating_add(1);
        self.next_position
    }

    fn waiter(&mut self, number: u64) -> Option<&mut Waiter> {
        let place = self.place(number)?;
        self.waiters.get_mut(place)
    }

    fn place(&self, number: u64) -> Option<usize> {
        self.waiters
            .binary_search_by_key(&number, |waiter| waiter.number)
            .ok()
    }

    /// Gives the turn to the next one, if nobody has it; returns whom to wake. Looks at everybody:
    /// some microseconds for a thousand.
    #[must_use]
    fn hand_on(&mut self) -> Option<Waker> {
        if self.turn.is_some() {
            return None;
        }
        let rank = |waiter: &Waiter| {
            let patient = waiter.warm || self.now.since(waiter.joined) >= COLD_PATIENCE;
            let seat = self.seats.get(&waiter.session);
            (!patient, seat.map(|seat| seat.position), waiter.number)
        };
        let waits = |waiter: &&Waiter| waiter.tried < self.round && waiter.waker.is_some();
        let next = self
            .waiters
            .iter()
            .filter(waits)
            .min_by_key(|waiter| rank(waiter))?;
        self.turn = Some(Turn {
            number: next.number,
            round: self.round,
            taken: false,
        });
        next.waker.clone()
    }

    /// Takes the turn back from whom it was given to; tells whether it had been taken.
    fn take_back(&mut self, number: u64) -> Option<Turn> {
        self.turn.take_if(|turn| turn.number == number)
    }

    /// Lets a waiter go; one that had its turn found capacity, so its session goes to the back.
    fn leave(&mut self, number: u64, had_turn: bool) -> Option<Waiter> {
        let place = self.place(number)?;
        let waiter = self.waiters.remove(place);
        let position = self.new_position();
        if let Some(seat) = self.seats.get_mut(&waiter.session) {
            seat.waiters = seat.waiters.saturating_sub(1);
            if had_turn {
                seat.position = position;
            }
            if seat.waiters == 0 {
                self.seats.remove(&waiter.session);
            }
        }
        Some(waiter)
    }
}

/// A place in the waiting room. Dropped, it is free, and the next one gets the turn: drop it as soon
/// as a try succeeded.
#[must_use]
pub struct Place {
    inner: Arc<Inner>,
    number: u64,
}

impl Place {
    /// Waits for the next turn to try. Asked for again, it says that the last try failed: the place
    /// is kept, and the turn goes on. A try should be short, since nobody else can try meanwhile.
    ///
    /// Cancel-safe: if what it returns is dropped, the place is kept, without a turn.
    pub fn turn(&mut self) -> NextTurn<'_> {
        let mut state = self.inner.state.lock();
        let mut next = None;
        if let Some(turn) = state.take_back(self.number) {
            if let Some(waiter) = state.waiter(self.number).filter(|_| turn.taken) {
                waiter.tried = turn.round;
            }
            next = state.hand_on();
        }
        drop(state);
        wake(next);
        NextTurn { place: self }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.inner.state.lock();
        let turn = state.take_back(self.number);
        let gone = state.leave(self.number, turn.is_some_and(|turn| turn.taken));
        let next = state.hand_on();
        drop(state);
        drop(gone);
        wake(next);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// Resolves when it is this one's turn to try.
#[derive(Debug)]
#[must_use]
pub struct NextTurn<'a> {
    place: &'a Place,
}

impl Future for NextTurn<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let number = self.place.number;
        let waker = context.waker().clone();
        let mut state = self.place.inner.state.lock();
        let before = state
            .waiter(number)
            .and_then(|waiter| waiter.waker.replace(waker));
        let next = state.hand_on();
        let is_mine = state.turn.as_mut().filter(|turn| turn.number == number);
        let poll = match is_mine {
            Some(turn) => {
                turn.taken = true;
                Poll::Ready(())
            }
            None => Poll::Pending,
        };
        let silent = state.waiter(number).filter(|_| poll.is_ready());
        let heard = silent.and_then(|waiter| waiter.waker.take());
        drop(state);
        drop((before, heard));
        if poll.is_pending() {
            wake(next);
        }
        poll
    }
}

impl Drop for NextTurn<'_> {
    fn drop(&mut self) {
        let number = self.place.number;
        let mut state = self.place.inner.state.lock();
        let waker = state.waiter(number).and_then(|waiter| waiter.waker.take());
        let is_given = state
            .turn
            .is_some_and(|turn| turn.number == number && !turn.taken);
        let next = if is_given {
            state.turn = None;
            state.hand_on()
        } else {
            None
        };
        drop(state);
        drop(waker);
        wake(next);
    }
}

#[cfg(test)]
mod tests;
