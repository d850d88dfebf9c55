//! What happens beside single requests, for whoever watches.
//!
//! In: the relay's own events, from any thread. Out: the last of them. Nobody is woken for one: it
//! is found at the next look.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use relay_api::v1;

/// Events that are kept.
pub(crate) const KEPT: usize = 1_000;

/// The last events.
#[derive(Debug, Default)]
pub struct Events(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<v1::Event>>,
    /// The number of the next one.
    next: u64,
}

impl Events {
    /// Keeps an event.
    pub fn push(&self, event: v1::Event) {
        let mut ring = self.0.lock();
        if ring.events.len() >= KEPT {
            ring.events.pop_front();
        }
        ring.events.push_back(Arc::new(event));
        ring.next = ring.next.saturating_add(1);
    }

    /// Returns the number that the next one will have.
    pub(crate) fn next(&self) -> u64 {
        self.0.lock().next
    }

    /// Returns those from this number on that are still kept, and how many of them are not.
    pub(crate) fn since(&self, number: u64) -> (Vec<Arc<v1::Event>>, u64) {
        let ring = self.0.lock();
        let kept = u64::try_from(ring.events.len()).unwrap_or(u64::MAX);
        let oldest = ring.next.saturating_sub(kept);
        let skip = usize::try_from(number.saturating_sub(oldest)).unwrap_or(usize::MAX);
        let events = ring.events.iter().skip(skip).map(Arc::clone).collect();
        (events, oldest.saturating_sub(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_counted() {
        let events = Events::default();
        for number in 0..KEPT + 3 {
            events.push(v1::Event {
                name: number.to_string(),
                ..v1::Event::default()
            });
        }
        let (kept, gone) = events.since(1);
        assert_eq!((kept.len(), kept[0].name.as_str(), gone), (KEPT, "3", 2));
        let (kept, gone) = events.since(events.next() - 1);
        assert_eq!((kept.len(), kept[0].name.as_str(), gone), (1, "1002", 0));
        assert!(events.since(events.next()).0.is_empty());
    }
}
