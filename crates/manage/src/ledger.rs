//! What the management API remembers of ended requests.
//!
//! In: records, on the request's path: they are put aside, and nobody is woken for them. Out: the
//! last requests, sessions, rates and today's cost, worked out when somebody asks. Everything in it
//! is bounded.

mod histogram;
mod sessions;
pub(crate) mod traffic;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use relay_api::v1;
use relay_core::price::Money;
use relay_core::record::{Bodies, RequestRecord};
use relay_proxy::RecordSink;

pub(crate) use sessions::{MOST as MOST_SESSIONS, Session, Sessions, millis};
use traffic::{Traffic, Window, unpriced};

/// Records that wait to be looked at; further ones are counted and dropped.
const INBOX: usize = 65_536;
/// Ended requests that are kept.
pub(crate) const KEPT: usize = 1_000;
/// Keys whose traffic is known; the one unused for longest makes room.
const MOST_KEYS: usize = 256;
const DAY_S: u64 = 86_400;

/// What the management API remembers.
#[derive(Debug, Default)]
pub struct Ledger {
    inbox: Mutex<Vec<Arc<RequestRecord>>>,
    missed: AtomicU64,
    /// Nobody will ever look.
    closed: AtomicBool,
    books: Mutex<Books>,
}

impl RecordSink for Ledger {
    fn record(&self, record: &Arc<RequestRecord>, _: Option<&Bodies>) {
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let mut inbox = self.inbox.lock();
        if inbox.len() < INBOX {
            inbox.push(Arc::clone(record));
        } else {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Ledger {
    /// Begins with what today has cost before the relay started.
    pub fn new(today: Today) -> Self {
        let books = Books {
            today,
            ..Books::default()
        };
        Self {
            books: Mutex::new(books),
            ..Self::default()
        }
    }

    /// Takes nothing any more: there is nobody to look.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.inbox.lock().clear();
    }

    /// Enters what has ended since it was last asked, and returns all.
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        let ended = std::mem::take(&mut *self.inbox.lock());
        let mut books = self.books.lock();
        for record in ended {
            books.enter(record);
        }
        let missed = self.missed.swap(0, Ordering::Relaxed);
        if missed > 0 {
            tracing::warn!(
                requests = missed,
                "the management API missed requests: it was too busy"
            );
        }
        books
    }
}

/// What a day, UTC, has cost so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Today {
    /// Days since the Unix epoch.
    pub day: u64,
    /// The known cost, in billionths of a dollar.
    pub cost: u64,
    /// Answered requests without a known price.
    pub unpriced: u64,
    /// Requests of which anything is known.
    pub requests: u64,
}

impl Today {
    fn add(&mut self, record: &RequestRecord, ended: Duration) {
        let day = ended.as_secs() / DAY_S;
        if day != self.day {
            *self = Self {
                day,
                ..Self::default()
            };
        }
        let cost = record.cost.map_or(0, Money::as_nano_dollars);
        self.cost = self.cost.saturating_add(cost);
        self.unpriced = self.unpriced.saturating_add(u64::from(unpriced(record)));
        self.requests = self.requests.saturating_add(1);
    }

    /// Returns the same, if it is still that day.
    pub(crate) fn at(self, unix: Duration) -> Self {
        let day = unix.as_secs() / DAY_S;
        if day == self.day {
            self
        } else {
            Self {
                day,
                ..Self::default()
            }
        }
    }
}

/// What was entered.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// The last ones, the newest at the end, each with its number.
    pub(crate) last: VecDeque<(u64, Arc<RequestRecord>)>,
    next: u64,
    pub(crate) sessions: Sessions,
    pub(crate) today: Today,
    all: Traffic,
    providers: HashMap<Box<str>, Traffic>,
    /// By provider and name.
    keys: HashMap<(Box<str>, Box<str>), Traffic>,
}

impl Books {
    fn enter(&mut self, record: Arc<RequestRecord>) {
        let ended = record.started.saturating_add(record.duration);
        let second = ended.as_secs();
        self.all.add(&record, second);
        if let Some(target) = &record.target {
            let provider = self.providers.entry(target.as_str().into()).or_default();
            provider.add(&record, second);
            if let Some(key) = &record.key {
                self.add_key(
                    (target.as_str().into(), (*key.name).into()),
                    &record,
                    second,
                );
            }
        }
        self.sessions.add(&record, ended);
        self.today.add(&record, ended);
        if self.last.len() >= KEPT {
            self.last.pop_front();
        }
        self.last.push_back((self.next, record));
        self.next = self.next.saturating_add(1);
    }

    fn add_key(&mut self, name: (Box<str>, Box<str>), record: &RequestRecord, second: u64) {
        if !self.keys.contains_key(&name) && self.keys.len() >= MOST_KEYS {
            let oldest = self.keys.values().map(|traffic| traffic.last_s).min();
            self.keys
                .retain(|_, traffic| Some(traffic.last_s) != oldest);
        }
        self.keys.entry(name).or_default().add(record, second);
    }

    /// Returns the number that the next one will have.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Returns those from this number on that are still kept, and the number of the next one.
    pub(crate) fn since(&self, number: u64) -> (Vec<Arc<RequestRecord>>, u64) {
        let new = self.last.iter().filter(|(it, _)| *it >= number);
        (
            new.map(|(_, record)| Arc::clone(record)).collect(),
            self.next,
        )
    }

    /// Sums all.
    pub(crate) fn all(&self, window: Window, now: Duration) -> v1::Traffic {
        self.all.sum(window, now.as_secs())
    }

    /// Sums what one provider answered.
    pub(crate) fn provider(&self, name: &str, window: Window, now: Duration) -> v1::Traffic {
        sum(self.providers.get(name), window, now)
    }

    /// Sums what was answered with one key.
    pub(crate) fn key(
        &self,
        provider: &str,
        key: &str,
        window: Window,
        now: Duration,
    ) -> v1::Traffic {
        sum(self.keys.get(&(provider.into(), key.into())), window, now)
    }

    /// Forgets providers that the configuration does not name any more.
    pub(crate) fn retain_providers(&mut self, named: impl Fn(&str) -> bool) {
        self.providers.retain(|name, _| named(name));
    }
}

fn sum(traffic: Option<&Traffic>, window: Window, now: Duration) -> v1::Traffic {
    let none = Traffic::default();
    traffic.unwrap_or(&none).sum(window, now.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_requests_are_kept_and_no_more() {
        let ledger = Ledger::default();
        for number in 0..KEPT + 5 {
            let begun = RequestRecord::begun(
                number.to_string().into(),
                http::Method::POST,
                "/",
                Duration::from_secs(1),
            );
            ledger.record(&Arc::new(begun), None);
        }
        let books = ledger.books();
        let ends = (books.last.front().unwrap(), books.last.back().unwrap());
        assert_eq!(
            (books.last.len(), ends.0.0, &*ends.0.1.request_id),
            (KEPT, 5, "5")
        );
        assert_eq!(ends.1.0, books.next() - 1);
    }

    #[test]
    fn what_is_closed_keeps_nothing() {
        let ledger = Ledger::default();
        let begun = || RequestRecord::begun("r".into(), http::Method::POST, "/", Duration::ZERO);
        ledger.record(&Arc::new(begun()), None);
        ledger.close();
        ledger.record(&Arc::new(begun()), None);
        assert!(ledger.books().last.is_empty());
    }

    #[test]
    fn tomorrow_begins_with_nothing() {
        let today = Today {
            day: 3,
            cost: 7,
            unpriced: 1,
            requests: 2,
        };
        assert_eq!(today.at(Duration::from_secs(3 * DAY_S + 1)).cost, 7);
        assert_eq!(today.at(Duration::from_secs(4 * DAY_S)).cost, 0);
    }
}
