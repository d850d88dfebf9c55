//! Who waits: for a prefix that another request writes, and for room at a key.
//!
//! In: that something happened. Out: requests that go on. Must never let one wait beyond what the
//! relay's configuration allows.
use std::time::Duration;

use relay_core::moment::Moment;

use super::{Replay, Spent, client, events::Event, moment};

impl Replay<'_> {
    pub(super) fn wait_or_refuse(&mut self, number: usize, until: Option<Moment>, now: Duration) {
        if self.may_wait(number, until, now) {
            self.waiting.push_back(number);
            self.wake_at(until, now);
        } else {
            self.spent(number, until, now);
        }
    }

    fn may_wait(&self, number: usize, until: Option<Moment>, now: Duration) -> bool {
        let journey = self.requests.get(number).and_then(|it| it.journey.as_ref());
        let Some(journey) = journey else { return false };
        let max_wait = self.relay.snapshot.routing.max_wait;
        let deadline = journey.errand().arrived.plus(max_wait);
        moment(now) < deadline && until.is_none_or(|until| until <= deadline)
    }

    fn wake_at(&mut self, until: Option<Moment>, now: Duration) {
        let blind = now.saturating_add(Duration::from_secs(1));
        let soon = now.saturating_add(Duration::from_millis(1));
        let at = until.map_or(blind, Moment::since_start).max(soon);
        if self.look_at.is_none_or(|next| at < next) {
            self.look_at = Some(at);
            self.events.push(at, Event::Room);
        }
    }

    /// Those who waited for a prefix go as soon as it is warm, or the first one failed.
    pub(super) fn look_at_cold(&mut self, now: Duration) {
        for number in std::mem::take(&mut self.cold) {
            let Some(request) = self.requests.get_mut(number) else {
                continue;
            };
            let Some(waiting) = request.cold.take() else {
                continue;
            };
            match client::poll(waiting) {
                Ok(ticket) => {
                    if let (Some(ticket), Some(leg)) = (ticket, &mut request.leg) {
                        leg.receipt.lead(ticket);
                    }
                    self.send(number, now);
                }
                Err(waiting) => {
                    request.cold = Some(waiting);
                    self.cold.push(number);
                }
            }
        }
    }

    pub(super) fn leave_cold(&mut self, number: usize, now: Duration) {
        let request = self.requests.get_mut(number);
        if request.and_then(|request| request.cold.take()).is_some() {
            self.send(number, now);
        }
    }

    /// Those who wait for capacity try in order; what is not for the one may be for the next.
    pub(super) fn look_at_waiting(&mut self, now: Duration) {
        for number in std::mem::take(&mut self.waiting) {
            if let Err(Spent(until)) = self.go_on(number, now) {
                self.wait_or_refuse(number, until, now);
            }
        }
    }
}
