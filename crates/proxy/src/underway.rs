//! Requests under way, for whoever looks.
//!
//! In: the records of requests that have begun and not ended, shared with those who write them. Out:
//! copies of them. A look must never keep a request waiting for longer than it takes to copy one
//! record, and it leaves nothing behind.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use relay_core::record::RequestRecord;
use relay_core::snapshot::TargetId;

use crate::clock;

/// Parts of the list, so that workers seldom meet.
const SHARDS: usize = 16;

/// A request under way, as it is at one moment.
#[derive(Debug)]
pub struct Glance {
    /// What is known so far: its duration is that until now.
    pub record: RequestRecord,
    /// How long its answer has been silent; `None` before its first byte.
    pub silent: Option<Duration>,
}

/// A record that is being written, and may be looked at.
#[derive(Debug)]
pub(crate) struct Open {
    number: u64,
    began: Instant,
    page: Mutex<Page>,
}

#[derive(Debug)]
struct Page {
    /// Absent once the request has ended.
    record: Option<Box<RequestRecord>>,
    passed_at: Option<Instant>,
}

impl Open {
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Reads or writes the record, unless it was taken.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut RequestRecord) -> T) -> Option<T> {
        self.page.lock().record.as_deref_mut().map(work)
    }

    /// As [`Self::with`], where bytes have passed just now.
    pub(crate) fn pass(&self, now: Instant, work: impl FnOnce(&mut RequestRecord)) {
        let mut page = self.page.lock();
        page.passed_at = Some(now);
        if let Some(record) = page.record.as_deref_mut() {
            work(record);
        }
    }

    fn glance(&self, now: Instant) -> Option<Glance> {
        let page = self.page.lock();
        let mut record = page.record.as_deref()?.clone();
        let passed_at = page.passed_at;
        drop(page);
        record.duration = now.saturating_duration_since(self.began);
        // What a log line may show is nobody else's.
        record.exhibit = None;
        Some(Glance {
            record,
            silent: passed_at.map(|at| now.saturating_duration_since(at)),
        })
    }
}

/// All requests under way.
#[derive(Debug, Default)]
pub(crate) struct Underway {
    next: AtomicU64,
    shards: [Mutex<HashMap<u64, Arc<Open>>>; SHARDS],
}

impl Underway {
    /// Takes a request that begins.
    pub(crate) fn open(&self, mut record: Box<RequestRecord>) -> Arc<Open> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        record.number = number;
        let open = Arc::new(Open {
            number,
            began: clock::now(),
            page: Mutex::new(Page {
                record: Some(record),
                passed_at: None,
            }),
        });
        if let Some(shard) = self.shard(number) {
            shard.lock().insert(number, Arc::clone(&open));
        }
        open
    }

    /// Lets go of a request that ends; returns its record, once.
    pub(crate) fn close(&self, open: &Open) -> Option<Box<RequestRecord>> {
        let record = open.page.lock().record.take()?;
        if let Some(shard) = self.shard(open.number) {
            shard.lock().remove(&open.number);
        }
        Some(record)
    }

    /// Looks at all of them, the oldest first.
    pub(crate) fn glances(&self) -> Vec<Glance> {
        let mut open: Vec<Arc<Open>> = Vec::new();
        for shard in &self.shards {
            open.extend(shard.lock().values().map(Arc::clone));
        }
        open.sort_unstable_by_key(|it| it.number);
        let now = clock::now();
        open.iter().filter_map(|it| it.glance(now)).collect()
    }

    /// Counts them by the target where each is.
    pub(crate) fn by_target(&self) -> HashMap<TargetId, usize> {
        let mut counts = HashMap::new();
        for shard in &self.shards {
            for open in shard.lock().values() {
                if let Some(Some(target)) = open.with(|record| record.target.clone()) {
                    let count: &mut usize = counts.entry(target).or_default();
                    *count = count.saturating_add(1);
                }
            }
        }
        counts
    }

    fn shard(&self, number: u64) -> Option<&Mutex<HashMap<u64, Arc<Open>>>> {
        let count = u64::try_from(SHARDS).unwrap_or(1);
        self.shards
            .get(usize::try_from(number % count).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(name: &str) -> Box<RequestRecord> {
        let started = Duration::from_secs(1);
        Box::new(RequestRecord::begun(
            name.into(),
            http::Method::POST,
            "/",
            started,
        ))
    }

    #[test]
    fn what_is_under_way_is_seen_until_it_ends() {
        let underway = Underway::default();
        let one = underway.open(begun("one"));
        let two = underway.open(begun("two"));
        assert_eq!(one.with(|record| record.events = 3), Some(()));
        two.pass(clock::now(), |record| record.response_bytes = 9);
        let seen = underway.glances();
        let told: Vec<(&str, u64, bool)> = seen
            .iter()
            .map(|it| {
                (
                    &*it.record.request_id,
                    it.record.events,
                    it.silent.is_some(),
                )
            })
            .collect();
        assert_eq!(told, [("one", 3, false), ("two", 0, true)]);
        assert_eq!(underway.close(&one).unwrap().events, 3);
        assert!(underway.close(&one).is_none(), "a record is taken once");
        assert_eq!(underway.glances().len(), 1);
        assert!(underway.close(&two).is_some());
        assert!(underway.glances().is_empty());
    }
}
