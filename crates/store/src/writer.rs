//! The thread that writes the history, in batches, and keeps it within its bounds.
//!
//! In: records from the queue. Out: rows, and warnings where they cannot be written. It tells time
//! by the records alone. It must never give up: a disk that is well again is written again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use relay_core::error::chain;
use relay_core::record::{Bodies, RequestRecord};
use rusqlite::Connection;

use crate::changes::{self, KeptChange};
use crate::{StoreError, StoreOptions, StoreState, body, file, row};

/// Records of one transaction at most.
const BATCH: usize = 2048;

/// How long records gather before they are written.
const GATHER: Duration = Duration::from_millis(100);

/// Seconds between two warnings.
const QUIET: u64 = 60;

/// Records between two looks at the bounds.
const LOOK: usize = 4096;

/// The part of what the file may take that bodies bring between two looks, at most.
const LOOK_PART: u64 = 16;

/// Something for the thread.
#[derive(Debug)]
pub(crate) enum Entry {
    /// To be kept, with what was said.
    Record(Arc<RequestRecord>, Option<Bodies>),
    /// To be kept too; rare.
    Change(Box<KeptChange>),
    /// Nothing more comes.
    End,
}

impl Entry {
    /// Returns the bytes of bodies that it holds.
    pub(crate) fn waiting_bytes(&self) -> usize {
        match self {
            Self::Record(_, bodies) => bodies.as_ref().map_or(0, size),
            Self::Change(_) | Self::End => 0,
        }
    }
}

/// Returns the bytes of bodies that are kept.
pub(crate) fn size(bodies: &Bodies) -> usize {
    let (asked, answered) = (bodies.request.start.len(), bodies.response.start.len());
    asked.saturating_add(answered)
}

/// The writing end.
pub(crate) struct Writer {
    options: StoreOptions,
    /// None while the file cannot be opened.
    connection: Option<Connection>,
    state: Arc<StoreState>,
    /// Lost records and bodies that were told of.
    told: (u64, u64),
    warned_at: u64,
    since_look: usize,
    /// Bytes of bodies since then.
    bytes_since_look: u64,
}

impl Writer {
    pub(crate) fn new(
        options: StoreOptions,
        connection: Connection,
        state: Arc<StoreState>,
    ) -> Self {
        Self {
            options,
            connection: Some(connection),
            state,
            told: (0, 0),
            warned_at: 0,
            // The first batch looks too: the bounds may have been lowered.
            since_look: LOOK,
            bytes_since_look: 0,
        }
    }

    pub(crate) fn run(mut self, entries: &Receiver<Entry>) {
        let mut batch = Batch::default();
        while let Ok(first) = entries.recv() {
            let mut last = batch.gather(first);
            while !last && batch.len() < BATCH {
                match entries.try_recv() {
                    Ok(entry) => last = batch.gather(entry),
                    Err(_) => break,
                }
            }
            self.put(&batch);
            self.state.written(batch.body_bytes());
            let full = batch.len() >= BATCH;
            batch = Batch::default();
            if last {
                return;
            }
            if !full {
                std::thread::sleep(GATHER);
            }
        }
    }

    pub(crate) fn put(&mut self, batch: &Batch) {
        let Some(now) = batch.now() else {
            return;
        };
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        match self.try_put(batch, now) {
            Ok(()) => {
                if self.state.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("history: written again");
                }
            }
            Err(error) => {
                self.state.lost.fetch_add(count, Ordering::Relaxed);
                self.state.failing.store(true, Ordering::Relaxed);
                self.mend(&error);
                self.warn(now, Some(&error));
            }
        }
        self.warn(now, None);
    }

    /// Says, once a minute at most, that records were lost.
    fn warn(&mut self, now: u64, error: Option<&StoreError>) {
        let lost = self.state.lost.load(Ordering::Relaxed);
        let bodiless = self.state.bodiless.load(Ordering::Relaxed);
        if (lost, bodiless) == self.told || now < self.warned_at.saturating_add(QUIET) {
            return;
        }
        let records = lost.saturating_sub(self.told.0);
        let bodies = bodiless.saturating_sub(self.told.1);
        let (path, why) = (self.options.path.display(), error.map(|error| chain(error)));
        let why = why.as_deref().unwrap_or("more came than could be written");
        tracing::warn!(records, bodies, %path, why, "history: not all was kept");
        (self.told, self.warned_at) = ((lost, bodiless), now);
    }

    /// Lets go of a file that failed; the next batch opens it anew.
    fn mend(&mut self, error: &StoreError) {
        self.connection = None;
        if let StoreError::Database(error) = error
            && file::is_broken(error)
            && let Err(error) = file::set_aside(&self.options.path)
        {
            tracing::warn!(%error, "history: the broken file cannot be set aside");
        }
    }

    fn try_put(&mut self, batch: &Batch, now: u64) -> Result<(), StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => file::open(&self.options.path)?,
        };
        let transaction = connection.transaction()?;
        let mut sums = row::Sums::default();
        let of_models = |(record, _): &&Recorded| !record.endpoint.is_empty();
        for (record, bodies) in batch.records.iter().filter(of_models) {
            let number = sums.take(&transaction, record, self.options.requests > 0)?;
            if let (Some(number), Some(bodies)) = (number, bodies) {
                body::write(&transaction, number, bodies)?;
            }
        }
        for change in &batch.changes {
            changes::write(&transaction, change)?;
        }
        sums.write(&transaction)?;
        transaction.commit()?;
        self.since_look = self.since_look.saturating_add(batch.len());
        let bytes = u64::try_from(batch.body_bytes()).unwrap_or(u64::MAX);
        self.bytes_since_look = self.bytes_since_look.saturating_add(bytes);
        let most = self.options.max_bytes / LOOK_PART;
        if self.since_look >= LOOK || self.bytes_since_look > most {
            (self.since_look, self.bytes_since_look) = (0, 0);
            // The records are safe already.
            if let Err(error) = bound(&connection, &self.options, now) {
                tracing::warn!(%error, "history: what is too old or too much cannot be deleted");
            }
        }
        self.connection = Some(connection);
        Ok(())
    }
}

/// A record, and what was said.
pub(crate) type Recorded = (Arc<RequestRecord>, Option<Bodies>);

/// What is written at once.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) records: Vec<Recorded>,
    pub(crate) changes: Vec<KeptChange>,
}

impl Batch {
    fn len(&self) -> usize {
        self.records.len().saturating_add(self.changes.len())
    }

    fn body_bytes(&self) -> usize {
        let sizes = self
            .records
            .iter()
            .filter_map(|(_, bodies)| bodies.as_ref());
        sizes.map(size).sum()
    }

    /// Returns the time of the last that came, in seconds of the Unix epoch.
    fn now(&self) -> Option<u64> {
        let ended = |(it, _): &Recorded| it.started.saturating_add(it.duration).as_secs();
        let record = self.records.last().map(ended);
        let change = self.changes.last().map(|it| it.at_ms / 1000);
        record.max(change)
    }

    /// Adds an entry; tells whether it is the sign to end.
    fn gather(&mut self, entry: Entry) -> bool {
        match entry {
            Entry::Record(record, bodies) => self.records.push((record, bodies)),
            Entry::Change(change) => self.changes.push(*change),
            Entry::End => return true,
        }
        false
    }
}

/// Deletes what is too old, too many or too large, the oldest first: what was said before single
/// requests, these before sums.
fn bound(connection: &Connection, options: &StoreOptions, now: u64) -> rusqlite::Result<()> {
    let oldest = now.saturating_sub(options.max_age.as_secs());
    let int = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    // They come in the order in which they ended: the first that is young enough ends the search.
    connection.execute(
        "DELETE FROM request WHERE id < ifnull(
         (SELECT id FROM request WHERE at >= ? ORDER BY id LIMIT 1), 9223372036854775807)",
        [int(oldest)],
    )?;
    for table in ["rollup", "session"] {
        let delete = format!("DELETE FROM {table} WHERE hour < ?");
        connection.execute(&delete, [int(oldest / 3600)])?;
    }
    connection.execute(
        "DELETE FROM request WHERE id <= (SELECT max(id) FROM request) - ?",
        [int(options.requests)],
    )?;
    changes::bound(connection, Duration::from_secs(oldest))?;
    body::follow(connection)?;
    // The log beside the file needs its part.
    let most = options.max_bytes.saturating_sub(options.max_bytes / 8);
    while int(most) < used(connection)? && body::thin(connection)? {}
    for table in ["request", "session", "rollup"] {
        while int(most) < used(connection)? {
            let key = if table == "request" { "id" } else { "hour" };
            let delete = format!(
                "DELETE FROM {table} WHERE {key} <= (SELECT min({key}) + (max({key}) - min({key})) / 8 FROM {table})"
            );
            if connection.execute(&delete, [])? == 0 {
                break;
            }
        }
    }
    let mut vacuum = connection.prepare("PRAGMA incremental_vacuum")?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// Returns the bytes of the pages that hold something.
fn used(connection: &Connection) -> rusqlite::Result<i64> {
    let of = |pragma: &str| {
        connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0))
    };
    let pages = of("page_count")?.saturating_sub(of("freelist_count")?);
    Ok(pages.saturating_mul(of("page_size")?))
}
