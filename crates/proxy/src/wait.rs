//! Waits: for capacity, where the config allows it, and for a prompt cache to be written once
//! instead of by many at a time.
//!
//! Both are bounded in number and time, and whoever leaves frees its place.

use std::time::Duration;

use relay_core::affinity::key::SessionKey;
use relay_core::cold::{Entry, Turn, Waiting};
use relay_core::error::RelayError;
use relay_core::journey::Leg;
use relay_core::moment::Moment;
use relay_core::request::Endpoint;
use relay_core::waiting::Place;
use tokio::time::{sleep_until, timeout, timeout_at};

use crate::travel::Travel;

/// How often a place is tried whose capacity nobody can foretell.
const BLIND_RETRY: Duration = Duration::from_secs(1);

/// Waits until it is this request's turn to try again. `room` keeps its place between tries.
pub(crate) async fn for_room(
    room: &mut Option<Place>,
    travel: &mut Travel<'_>,
    until: Option<Moment>,
) -> Result<(), RelayError> {
    let (shared, max_wait) = (&travel.worker.shared, travel.snapshot.routing.max_wait);
    let (clock, waiting) = (&shared.clock, &shared.board.waiting);
    let errand = travel.journey.errand();
    let now = clock.now();
    let spent = RelayError::AllSpent {
        retry_after: until.map(|until| until.since(now)),
    };
    let deadline = errand.arrived.plus(max_wait);
    if deadline <= now || until.is_some_and(|until| until > deadline) {
        return Err(spent);
    }
    let place = if let Some(place) = room {
        place
    } else {
        let binding = travel.journey.binding();
        let warm = binding.is_some_and(|binding| binding.is_warm(now));
        // Without a session each request is one of its own.
        let session = errand.session.unwrap_or_else(|| SessionKey(clock.seed()));
        match waiting.join(session, warm, now) {
            Ok(place) => room.insert(place),
            Err(_full) => return Err(spent),
        }
    };
    loop {
        let now = clock.now();
        if now >= deadline {
            return Err(spent);
        }
        // What comes back by time alone tells nobody: each waiter looks after its own moment.
        let next = until
            .filter(|until| *until > now)
            .unwrap_or_else(|| now.plus(BLIND_RETRY));
        let next = clock.instant(next.min(deadline));
        if timeout_at(next.into(), place.turn()).await.is_ok() {
            break;
        }
        waiting.notify(clock.now());
    }
    let waited = clock.now().since(now);
    travel
        .exchange
        .note(|record| record.waited = record.waited.saturating_add(waited));
    Ok(())
}

/// Waits until the session's home has room again, which routing found worth it.
pub(crate) async fn for_home(travel: &mut Travel<'_>, until: Moment) {
    let clock = &travel.worker.shared.clock;
    let began = clock.now();
    sleep_until(clock.instant(until).into()).await;
    let waited = clock.now().since(began);
    travel
        .exchange
        .note(|record| record.waited = record.waited.saturating_add(waited));
}

/// Tells whether others wait already: whoever comes then takes a place behind them.
pub(crate) fn is_line(travel: &Travel<'_>) -> bool {
    let waits = !travel.snapshot.routing.max_wait.is_zero();
    waits && !travel.worker.shared.board.waiting.is_empty()
}

/// Takes a place behind those who wait already, so that nobody overtakes them.
pub(crate) async fn in_line(travel: &Travel<'_>) -> Result<Place, RelayError> {
    let shared = &travel.worker.shared;
    let max_wait = travel.snapshot.routing.max_wait;
    let errand = travel.journey.errand();
    let now = shared.clock.now();
    let binding = travel.journey.binding();
    let warm = binding.is_some_and(|binding| binding.is_warm(now));
    let session = errand
        .session
        .unwrap_or_else(|| SessionKey(shared.clock.seed()));
    let full = RelayError::AllSpent {
        retry_after: travel.journey.free_at(now).map(|at| at.since(now)),
    };
    let joined = shared.board.waiting.join(session, warm, now);
    let mut place = joined.map_err(|_| full.clone())?;
    match timeout(max_wait, place.turn()).await {
        Ok(()) => Ok(place),
        Err(_) => Err(full),
    }
}

/// Lets one request of many write a prefix that none has written yet: returns the wait of all
/// others, which ends when its answer begins. They then read what it wrote.
pub(crate) fn prefix(travel: &Travel<'_>, leg: &mut Leg) -> Option<Waiting> {
    let (errand, shared) = (travel.journey.errand(), &travel.worker.shared);
    let prefix = errand
        .prefix
        .filter(|_| errand.endpoint == Endpoint::Messages)?;
    let now = shared.clock.now();
    match shared.board.cold.enter(prefix, leg.receipt.home(), now) {
        Entry::Go => None,
        Entry::First(ticket) => {
            leg.receipt.lead(ticket);
            None
        }
        Entry::Wait(waiting) => Some(waiting),
    }
}

/// Waits for the first request to be answered, or for its place if it failed.
pub(crate) async fn for_prefix(travel: &Travel<'_>, leg: &mut Leg, waiting: Waiting) {
    let patience = waiting.deadline().since(travel.worker.shared.clock.now());
    if let Ok(Turn::First(ticket)) = timeout(patience, waiting).await {
        leg.receipt.lead(ticket);
    }
}
