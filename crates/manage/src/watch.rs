//! Looks at the requests again and again, while somebody wants to know.
//!
//! In: requests under way, and those that have ended. Out: what happened to each since the look
//! before, once for all subscribers: that it began, went on to another candidate, passed bytes,
//! ended. One that lived between two looks is told of all the same, step by step.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use relay_api::v1;
use relay_core::record::RequestRecord;
use relay_proxy::{Glance, Witness};
use tokio::sync::{Notify, broadcast};

use crate::ledger::Ledger;
use crate::tell::{ended, underway};

/// Between two looks.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// The same while nobody wants to know.
const IDLE: Duration = Duration::from_secs(1);

/// Changes that a subscriber can be behind.
const BUFFER: usize = 4_096;

/// Something that happened to a request.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) change: v1::RequestChange,
    /// Tells the request from all others.
    pub(crate) number: u64,
    pub(crate) request: Arc<v1::Request>,
}

/// Where subscribers come in.
#[derive(Debug)]
pub(crate) struct Watch {
    news: broadcast::Sender<Arc<News>>,
    /// What subscribers know, while there are any.
    seen: Mutex<Option<Seen>>,
    /// Somebody has subscribed.
    woken: Notify,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            news: broadcast::Sender::new(BUFFER),
            seen: Mutex::default(),
            woken: Notify::new(),
        }
    }
}

/// What was told of a request that is under way.
#[derive(Debug, Default, Clone, Copy)]
struct Told {
    hops: usize,
    bytes: u64,
}

impl Watch {
    /// Begins to tell of what happens from now on.
    pub(crate) fn subscribe(
        &self,
        witness: &Witness,
        ledger: &Ledger,
    ) -> broadcast::Receiver<Arc<News>> {
        let mut seen = self.seen.lock();
        let news = self.news.subscribe();
        if seen.is_none() {
            // In this order: what ends in between is told of twice rather than never.
            let next = ledger.books().next();
            *seen = Some(Seen::begin(&witness.underway(), next));
            self.woken.notify_one();
        }
        news
    }

    fn tell(&self, change: v1::RequestChange, number: u64, request: &Arc<v1::Request>) {
        let news = News {
            change,
            number,
            request: Arc::clone(request),
        };
        // Nobody may be left to hear of it.
        drop(self.news.send(Arc::new(news)));
    }

    /// Looks as long as it is not dropped.
    pub(crate) async fn run(&self, witness: &Witness, ledger: &Ledger) {
        let mut pause = IDLE;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.woken.notified() => {}
            }
            let mut seen = self.seen.lock();
            if self.news.receiver_count() == 0 {
                *seen = None;
            }
            pause = if seen.is_some() { LOOK } else { IDLE };
            if let Some(seen) = seen.as_mut() {
                // In this order, so that what ends in between is told of as ended, and last.
                let open = witness.underway();
                let (over, next) = ledger.books().since(seen.next);
                seen.next = next;
                seen.look(self, &open, &over);
            }
        }
    }
}

/// What subscribers know.
#[derive(Debug)]
struct Seen {
    open: HashMap<u64, Told>,
    next: u64,
}

impl Seen {
    fn begin(open: &[Glance], next: u64) -> Self {
        let told = |glance: &Glance| {
            let record = &glance.record;
            let told = Told {
                hops: record.attempts.len(),
                bytes: record.response_bytes,
            };
            (record.number, told)
        };
        Self {
            open: open.iter().map(told).collect(),
            next,
        }
    }

    fn look(&mut self, watch: &Watch, open: &[Glance], over: &[Arc<RequestRecord>]) {
        use v1::RequestChange::{Ended, Progressed};
        for glance in open {
            let record = &glance.record;
            let request = Arc::new(underway(glance));
            let before = self.steps(watch, record, &request);
            if record.response_bytes > before.bytes {
                watch.tell(Progressed, record.number, &request);
            }
        }
        for record in over {
            let request = Arc::new(ended(record));
            self.steps(watch, record, &request);
            watch.tell(Ended, record.number, &request);
            self.open.remove(&record.number);
        }
    }

    /// Tells what is new of a request before its bytes; returns what was known.
    fn steps(&mut self, watch: &Watch, record: &RequestRecord, request: &Arc<v1::Request>) -> Told {
        let now = Told {
            hops: record.attempts.len(),
            bytes: record.response_bytes,
        };
        let before = self.open.insert(record.number, now);
        if before.is_none() {
            watch.tell(v1::RequestChange::Started, record.number, request);
        }
        let before = before.unwrap_or_default();
        for _ in before.hops..now.hops {
            watch.tell(v1::RequestChange::Hopped, record.number, request);
        }
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay_core::record::{Attempt, Outcome};
    use relay_core::snapshot::{Origin, TargetId};

    fn record(number: u64, hops: usize, bytes: u64) -> RequestRecord {
        let attempt = Attempt {
            target: TargetId::new("a"),
            key: None,
            status: Some(529),
            reason: "overloaded",
            began: Duration::ZERO,
            took: Duration::ZERO,
            span: None,
            origin: Arc::new(Origin {
                vendor: "anthropic",
                host: "h".into(),
                port: 1,
            }),
        };
        RequestRecord {
            number,
            attempts: vec![attempt; hops],
            response_bytes: bytes,
            outcome: Outcome::Complete,
            ..RequestRecord::begun("r".into(), http::Method::POST, "/", Duration::ZERO)
        }
    }

    fn open(number: u64, hops: usize, bytes: u64) -> Glance {
        Glance {
            record: record(number, hops, bytes),
            silent: None,
        }
    }

    #[test]
    fn each_step_is_told_once_and_in_order() {
        use v1::RequestChange::{Ended, Hopped, Progressed, Started};
        let watch = Watch::default();
        let mut told = watch.news.subscribe();
        let mut seen = Seen::begin(&[open(1, 0, 0)], 0);
        seen.look(&watch, &[open(1, 1, 0), open(2, 0, 0)], &[]);
        seen.look(&watch, &[open(1, 1, 9), open(2, 0, 0)], &[]);
        seen.look(
            &watch,
            &[open(2, 0, 0)],
            &[Arc::new(record(1, 1, 12)), Arc::new(record(3, 2, 5))],
        );
        let mut steps = Vec::new();
        while let Ok(news) = told.try_recv() {
            steps.push((news.number, news.change));
        }
        let expected = [
            (1, Hopped),
            (2, Started),
            (1, Progressed),
            (1, Ended),
            (3, Started),
            (3, Hopped),
            (3, Hopped),
            (3, Ended),
        ];
        assert_eq!(steps, expected);
        assert_eq!(seen.open.len(), 1, "what has ended is forgotten");
    }
}
