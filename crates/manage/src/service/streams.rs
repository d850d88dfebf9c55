//! Streams: pulled by the subscriber, at its own pace.
//!
//! In: what the relay knows, and what was told of requests. Out: messages with a sequence number,
//! one a second at least. A subscriber that is too slow misses what the bounded buffer does not
//! hold, and is told how much. Nothing waits for it.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::Stream;
use futures_util::stream::unfold;
use relay_api::v1;
use relay_proxy::clock;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tonic::Status;

use crate::ledger::{millis, traffic::Window};
use crate::manager::Manager;
use crate::tell::{ended, underway};
use crate::watch::{LOOK, News};

/// A stream of messages.
pub(crate) type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// How long a stream may be silent.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Requests of which it is remembered when they were told of last.
const PACED: usize = 4_096;

/// Numbers the messages of one stream.
struct Marks {
    manager: Arc<Manager>,
    sequence: u64,
}

impl Marks {
    fn new(manager: &Arc<Manager>) -> Self {
        Self {
            manager: Arc::clone(manager),
            sequence: 0,
        }
    }

    fn next(&mut self, missed: u64) -> v1::Mark {
        self.sequence = self.sequence.saturating_add(1);
        v1::Mark {
            sequence: self.sequence,
            instance_id: self.manager.instance().to_owned(),
            sent_unix_ms: millis(clock::unix()),
            missed,
        }
    }
}

/// Sends the state again and again.
pub(crate) fn stats(
    manager: &Arc<Manager>,
    every: Duration,
    window: Window,
) -> Messages<v1::StreamStatsResponse> {
    let mut beat = interval(every.min(HEARTBEAT));
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let begin = (Marks::new(manager), beat, None);
    Box::pin(unfold(
        begin,
        move |(mut marks, mut beat, mut due)| async move {
            let now = beat.tick().await;
            let stats = due.is_none_or(|due| now >= due).then(|| {
                due = now.checked_add(every);
                marks.manager.stats(window)
            });
            let message = v1::StreamStatsResponse {
                mark: Some(marks.next(0)),
                stats,
            };
            Some((Ok(message), (marks, beat, due)))
        },
    ))
}

/// Which requests a subscriber wants.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) provider: String,
    pub(crate) session: String,
    pub(crate) outcome: String,
}

impl Filter {
    fn admits(&self, request: &v1::Request) -> bool {
        let is = |wanted: &String, found: &String| wanted.is_empty() || wanted == found;
        let went = request.provider == self.provider
            || request
                .attempts
                .iter()
                .any(|attempt| attempt.provider == self.provider);
        (self.provider.is_empty() || went)
            && is(&self.session, &request.session)
            && is(&self.outcome, &request.outcome)
    }
}

/// What one subscriber to requests has.
struct Subscriber {
    marks: Marks,
    filter: Filter,
    every: Duration,
    kept: VecDeque<v1::Request>,
    news: broadcast::Receiver<Arc<News>>,
    missed: u64,
    told: HashMap<u64, Instant>,
    pace: Pace,
}

/// Messages a second that a subscriber wants at most.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    most: u32,
    /// When the present second began, and how many there were in it.
    now: Option<(Instant, u32)>,
}

impl Pace {
    /// Begins; 0 for as many as there are.
    pub(crate) fn of(most: u32) -> Self {
        Self { most, now: None }
    }

    /// Counts a message; tells whether there is room for it.
    fn admits(&mut self, at: Instant) -> bool {
        let present = self
            .now
            .filter(|(began, _)| at.saturating_duration_since(*began) < HEARTBEAT);
        let (began, count) = present.unwrap_or((at, 0));
        let fits = self.most == 0 || count < self.most;
        self.now = Some((began, count.saturating_add(u32::from(fits))));
        fits
    }
}

impl Subscriber {
    /// Waits for the next thing to tell; `None` for nothing within a second.
    async fn next(&mut self) -> Option<(v1::RequestChange, v1::Request)> {
        if let Some(request) = self.kept.pop_front() {
            return Some((v1::RequestChange::Kept, request));
        }
        let silence = sleep(HEARTBEAT);
        tokio::pin!(silence);
        loop {
            let news = tokio::select! {
                news = self.news.recv() => news,
                () = &mut silence => return None,
            };
            match news {
                Ok(news) if self.wants(&news) => {
                    if self.pace.admits(clock::now()) {
                        return Some((news.change, (*news.request).clone()));
                    }
                    self.missed = self.missed.saturating_add(1);
                }
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => self.missed = self.missed.saturating_add(missed),
                // The relay is stopping: the connection will say so.
                Err(RecvError::Closed) => return std::future::pending().await,
            }
        }
    }

    fn wants(&mut self, news: &News) -> bool {
        if !self.filter.admits(&news.request) {
            return false;
        }
        let now = clock::now();
        if news.change == v1::RequestChange::Ended {
            self.told.remove(&news.number);
            return true;
        }
        let is_due = self
            .told
            .get(&news.number)
            .is_none_or(|at| now >= at.checked_add(self.every).unwrap_or(now));
        if news.change == v1::RequestChange::Progressed && !is_due {
            return false;
        }
        if self.told.len() >= PACED {
            self.told.clear();
        }
        self.told.insert(news.number, now);
        true
    }
}

/// Sends what happens to requests.
pub(crate) fn requests(
    manager: &Arc<Manager>,
    filter: Filter,
    (every, pace): (Duration, Pace),
    backlog: usize,
) -> Messages<v1::StreamRequestsResponse> {
    // Before the look at what is there, so that nothing falls between.
    let news = manager
        .watch()
        .subscribe(manager.witness(), manager.ledger());
    let mut kept: VecDeque<v1::Request> = VecDeque::new();
    {
        let books = manager.ledger().books();
        for (_, record) in books.last.iter().rev() {
            if kept.len() >= backlog {
                break;
            }
            let request = ended(record);
            if filter.admits(&request) {
                kept.push_front(request);
            }
        }
    }
    if filter.outcome.is_empty() {
        let open = manager.witness().underway();
        kept.extend(
            open.iter()
                .map(underway)
                .filter(|request| filter.admits(request)),
        );
    }
    let subscriber = Subscriber {
        marks: Marks::new(manager),
        filter,
        every,
        kept,
        news,
        missed: 0,
        told: HashMap::new(),
        pace,
    };
    Box::pin(unfold(subscriber, |mut subscriber| async move {
        let (change, request) = subscriber.next().await.unzip();
        let missed = std::mem::take(&mut subscriber.missed);
        let message = v1::StreamRequestsResponse {
            mark: Some(subscriber.marks.next(missed)),
            change: change.unwrap_or_default().into(),
            request,
        };
        Some((Ok(message), subscriber))
    }))
}

/// Sends events: those there were, then a message without one, then those that come.
pub(crate) fn events(
    manager: &Arc<Manager>,
    least: v1::Level,
    backlog: u64,
) -> Messages<v1::StreamEventsResponse> {
    let mut watcher = Watcher {
        marks: Marks::new(manager),
        least,
        from: manager.events().next().saturating_sub(backlog),
        waiting: VecDeque::new(),
        missed: 0,
        has_caught_up: false,
    };
    watcher.look();
    // What was asked for beyond what there ever was is not missed.
    watcher.missed = 0;
    Box::pin(unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await;
        let missed = std::mem::take(&mut watcher.missed);
        let message = v1::StreamEventsResponse {
            mark: Some(watcher.marks.next(missed)),
            event: event.map(|event| (*event).clone()),
        };
        Some((Ok(message), watcher))
    }))
}

/// Who is told of events.
struct Watcher {
    marks: Marks,
    least: v1::Level,
    /// The number of the next one to look for.
    from: u64,
    waiting: VecDeque<Arc<v1::Event>>,
    missed: u64,
    /// Whether it was told that there are no more for now. On a busy relay there is always another, and
    /// who wants the past alone would wait for ever.
    has_caught_up: bool,
}

impl Watcher {
    fn look(&mut self) {
        let (new, gone) = self.marks.manager.events().since(self.from);
        let count = u64::try_from(new.len()).unwrap_or(u64::MAX);
        self.from = self.from.saturating_add(gone).saturating_add(count);
        self.missed = self.missed.saturating_add(gone);
        let least = self.least;
        self.waiting
            .extend(new.into_iter().filter(|event| event.level() >= least));
    }

    /// Returns the next one, or `None` when there is none for now.
    async fn next(&mut self) -> Option<Arc<v1::Event>> {
        let mut silent = Duration::ZERO;
        while self.waiting.is_empty() && self.has_caught_up && silent < HEARTBEAT {
            self.look();
            if self.waiting.is_empty() {
                sleep(LOOK).await;
                silent = silent.saturating_add(LOOK);
            }
        }
        let event = self.waiting.pop_front();
        self.has_caught_up |= event.is_none();
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_lets_so_many_through_in_a_second() {
        let start = clock::now();
        let mut pace = Pace::of(2);
        let mut at = |milliseconds| pace.admits(start + Duration::from_millis(milliseconds));
        let admitted = [0, 1, 2, 999, 1_000, 1_001, 1_002].map(&mut at);
        assert_eq!(admitted, [true, true, false, false, true, true, false]);
        let mut all = Pace::of(0);
        assert!((0..10_000).all(|_| all.admits(start)));
    }
}
