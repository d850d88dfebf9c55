//! What the sim saw: requests, how each exchange ended, and counts.
//! In: facts from the drivers; out: [`Recorded`], [`Stats`] and a wake-up for those who wait.
//! Must never change an answer.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock;
use crate::grammar::hex;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It has not.
    Pending,
    /// The whole answer was written.
    Complete,
    /// The client left first.
    ClientGone {
        /// Events written whole before that.
        events_sent: u64,
    },
    /// The sim broke it off, by script or by `kill`.
    Aborted,
}

/// The end of an exchange, known later than its request.
#[derive(Debug)]
pub(crate) struct End {
    state: Mutex<(Outcome, Option<Duration>)>,
}

/// A request as it was received.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The request's number, from 1.
    pub id: u64,
    /// The method.
    pub method: String,
    /// The path and query, as sent.
    pub path_and_query: String,
    /// The HTTP version.
    pub version: Version,
    /// The headers in order with repeats. HTTP/1.1 keeps order and case exactly; on HTTP/2 repeats
    /// of a name stand together and `:authority` is given as `host`.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; empty for a path whose uploads are only counted and hashed.
    pub body: Bytes,
    /// The body's length in bytes.
    pub body_bytes: u64,
    /// The connection's number, from 1.
    pub connection: u64,
    /// Whether it came over TLS.
    pub tls: bool,
    /// The protocol chosen by ALPN.
    pub alpn: Option<String>,
    /// When its body was complete, since the sim started.
    pub at: Duration,
    pub(crate) digest: Option<[u8; 32]>,
    pub(crate) end: Arc<End>,
}

impl Recorded {
    /// Returns the first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_all(name).into_iter().next()
    }

    /// Returns all headers of this name that are UTF-8, in order.
    pub fn header_all(&self, name: &str) -> Vec<&str> {
        let named = self
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named
            .filter_map(|(_, value)| std::str::from_utf8(value).ok())
            .collect()
    }

    /// Returns the path without the query.
    pub fn path(&self) -> &str {
        self.path_and_query
            .split_once('?')
            .map_or(self.path_and_query.as_str(), |(path, _)| path)
    }

    /// Returns the body as JSON, `Null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Returns the body's SHA-256 in hex.
    pub fn body_sha256(&self) -> String {
        match &self.digest {
            Some(digest) => hex(digest),
            None => hex(&Sha256::digest(&self.body)),
        }
    }

    /// Returns how the exchange ended.
    pub fn outcome(&self) -> Outcome {
        self.end.state.lock().0
    }

    /// Returns when the exchange ended, since the sim started.
    pub fn ended_at(&self) -> Option<Duration> {
        self.end.state.lock().1
    }

    /// Returns the record as one JSON object; `text` says whether the body's text is in it.
    pub(crate) fn to_json(&self, text: bool) -> Value {
        let headers: Vec<Value> = self
            .headers
            .iter()
            .map(|(name, value)| json!([name, String::from_utf8_lossy(value)]))
            .collect();
        let mut out = json!({
            "id": self.id,
            "method": self.method,
            "path_and_query": self.path_and_query,
            "version": format!("{:?}", self.version),
            "headers": headers,
            "body_bytes": self.body_bytes,
            "body_sha256": self.body_sha256(),
            "connection": self.connection,
            "tls": self.tls,
            "alpn": self.alpn,
            "at_ms": millis(self.at),
            "ended_at_ms": self.ended_at().map(millis),
            "end": self.outcome(),
        });
        if text && let Some(object) = out.as_object_mut() {
            object.insert(
                "body".to_owned(),
                String::from_utf8_lossy(&self.body).into(),
            );
        }
        out
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Counts since the start, and what is open now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Connections accepted.
    pub connections_opened: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// Exchanges under way now.
    pub streams_open: u64,
    /// Requests received whole.
    pub requests: u64,
    /// Exchanges that the client left.
    pub client_gone: u64,
    /// Events (or whole bodies) written.
    pub events_sent: u64,
}

#[derive(Debug, Default)]
struct Log {
    kept: VecDeque<Recorded>,
    body_bytes: u64,
}

/// The book that all drivers write in.
pub(crate) struct Book {
    started: Instant,
    stats: Mutex<Stats>,
    events_sent: AtomicU64,
    ids: AtomicU64,
    log: Mutex<Log>,
    keep: usize,
    changed: Notify,
    /// Set when the sim itself tears everything down, so that cut exchanges are not the client's.
    killed: AtomicBool,
    sink: Option<Mutex<Box<dyn Write + Send>>>,
}

/// Bodies kept at most, in bytes; the oldest records go first.
const KEPT_BODY_BYTES: u64 = 256 << 20;

impl Book {
    pub(crate) fn new(keep: usize, sink: Option<Box<dyn Write + Send>>) -> Self {
        Self {
            started: clock::now(),
            stats: Mutex::default(),
            events_sent: AtomicU64::new(0),
            ids: AtomicU64::new(0),
            log: Mutex::default(),
            keep,
            changed: Notify::new(),
            killed: AtomicBool::new(false),
            sink: sink.map(Mutex::new),
        }
    }

    pub(crate) fn age(&self) -> Duration {
        clock::now().saturating_duration_since(self.started)
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    pub(crate) fn stats(&self) -> Stats {
        let events_sent = self.events_sent.load(Ordering::Acquire);
        Stats {
            events_sent,
            ..*self.stats.lock()
        }
    }

    pub(crate) fn change(&self, edit: impl FnOnce(&mut Stats)) {
        edit(&mut self.stats.lock());
        self.changed.notify_waiters();
    }

    pub(crate) fn set_killed(&self) {
        self.killed.store(true, Ordering::Release);
    }

    /// Waits until the counts satisfy `wanted`.
    pub(crate) async fn wait(&self, wanted: impl Fn(&Stats) -> bool) -> Stats {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let stats = self.stats();
            if wanted(&stats) {
                return stats;
            }
            changed.await;
        }
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.log.lock().kept.iter().cloned().collect()
    }

    pub(crate) fn take_requests(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.log.lock()).kept.into()
    }

    fn keep(&self, request: Recorded) {
        let mut log = self.log.lock();
        log.body_bytes = log.body_bytes.saturating_add(request.body.len() as u64);
        log.kept.push_back(request);
        while log.kept.len() > self.keep || (log.body_bytes > KEPT_BODY_BYTES && log.kept.len() > 1)
        {
            let dropped = log.kept.pop_front().map_or(0, |old| old.body.len() as u64);
            log.body_bytes = log.body_bytes.saturating_sub(dropped);
        }
    }
}

/// An exchange under way. Dropped without [`Exchange::finish`] it means that the client left.
pub(crate) struct Exchange {
    book: Arc<Book>,
    request: Option<Recorded>,
    events_sent: u64,
    finished: bool,
    /// False for control requests, which leave no trace.
    counted: bool,
}

impl Exchange {
    /// Opens an exchange when its head has been read.
    pub(crate) fn open(book: Arc<Book>, counted: bool) -> Self {
        if counted {
            book.change(|stats| stats.streams_open = stats.streams_open.saturating_add(1));
        }
        Self {
            book,
            request: None,
            events_sent: 0,
            finished: false,
            counted,
        }
    }

    /// Notes the whole request.
    pub(crate) fn received(&mut self, request: &Recorded) {
        self.request = Some(request.clone());
        self.book.keep(request.clone());
        self.book
            .change(|stats| stats.requests = stats.requests.saturating_add(1));
    }

    /// Notes events written.
    pub(crate) fn sent(&mut self, events: u64) {
        if events > 0 && self.counted {
            self.events_sent = self.events_sent.saturating_add(events);
            self.book.events_sent.fetch_add(events, Ordering::Release);
            self.book.changed.notify_waiters();
        }
    }

    /// Closes the exchange.
    pub(crate) fn finish(mut self, outcome: Outcome) {
        self.close(outcome);
    }

    fn close(&mut self, outcome: Outcome) {
        self.finished = true;
        if !self.counted {
            return;
        }
        if let Some(request) = &self.request {
            *request.end.state.lock() = (outcome, Some(self.book.age()));
            if let Some(sink) = &self.book.sink {
                // A full disk must not change an answer; the record then lacks a line.
                drop(writeln!(sink.lock(), "{}", request.to_json(true)));
            }
        }
        self.book.change(|stats| {
            stats.streams_open = stats.streams_open.saturating_sub(1);
            if matches!(outcome, Outcome::ClientGone { .. }) {
                stats.client_gone = stats.client_gone.saturating_add(1);
            }
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.finished {
            let killed = self.book.killed.load(Ordering::Acquire);
            let gone = Outcome::ClientGone {
                events_sent: self.events_sent,
            };
            self.close(if killed { Outcome::Aborted } else { gone });
        }
    }
}

impl End {
    pub(crate) fn pending() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new((Outcome::Pending, None)),
        })
    }
}
