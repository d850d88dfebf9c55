//! The thread that writes the history, in batches, and keeps it within its bounds.
//!
//! In: records from the queue. Out: rows, and warnings where they cannot be written. It tells time
//! by the records alone. It must never give up: a disk that is well again is written again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use relay_core::error::chain;
use relay_core::record::RequestRecord;
use rusqlite::Connection;

use crate::changes::{self, KeptChange};
use crate::{StoreError, StoreOptions, StoreState, file, row};

/// Records of one transaction at most.
const BATCH: usize = 2048;

/// How long records gather before they are written.
const GATHER: Duration = Duration::from_millis(100);

/// Seconds between two warnings.
const QUIET: u64 = 60;

/// Records between two looks at the bounds.
const LOOK: usize = 4096;

/// Something for the thread.
#[derive(Debug)]
pub(crate) enum Entry {
    /// To be kept.
    Record(Arc<RequestRecord>),
    /// To be kept too; rare.
    Change(Box<KeptChange>),
    /// Nothing more comes.
    End,
}

/// The writing end.
pub(crate) struct Writer {
    options: StoreOptions,
    /// None while the file cannot be opened.
    connection: Option<Connection>,
    state: Arc<StoreState>,
    /// Lost records that were told of.
    told: u64,
    warned_at: u64,
    since_look: usize,
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
            told: 0,
            warned_at: 0,
            // The first batch looks too: the bounds may have been lowered.
            since_look: LOOK,
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
        if lost == self.told || now < self.warned_at.saturating_add(QUIET) {
            return;
        }
        let records = lost.saturating_sub(self.told);
        let (path, why) = (self.options.path.display(), error.map(|error| chain(error)));
        let why = why.as_deref().unwrap_or("more came than could be written");
        tracing::warn!(records, %path, why, "history: records were not kept");
        (self.told, self.warned_at) = (lost, now);
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
        let of_models = |record: &&Arc<RequestRecord>| !record.endpoint.is_empty();
        for record in batch.records.iter().filter(of_models) {
            sums.take(&transaction, record, self.options.requests > 0)?;
        }
        for change in &batch.changes {
            changes::write(&transaction, change)?;
        }
        sums.write(&transaction)?;
        transaction.commit()?;
        self.since_look = self.since_look.saturating_add(batch.len());
        if self.since_look >= LOOK {
            self.since_look = 0;
            // The records are safe already.
            if let Err(error) = bound(&connection, &self.options, now) {
                tracing::warn!(%error, "history: what is too old or too much cannot be deleted");
            }
        }
        self.connection = Some(connection);
        Ok(())
    }
}

/// What is written at once.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) records: Vec<Arc<RequestRecord>>,
    pub(crate) changes: Vec<KeptChange>,
}

impl Batch {
    fn len(&self) -> usize {
        self.records.len().saturating_add(self.changes.len())
    }

    /// Returns the time of the last that came, in seconds of the Unix epoch.
    fn now(&self) -> Option<u64> {
        let ended = |it: &Arc<RequestRecord>| it.started.saturating_add(it.duration).as_secs();
        let record = self.records.last().map(ended);
        let change = self.changes.last().map(|it| it.at_ms / 1000);
        record.max(change)
    }

    /// Adds an entry; tells whether it is the sign to end.
    fn gather(&mut self, entry: Entry) -> bool {
        match entry {
            Entry::Record(record) => self.records.push(record),
            Entry::Change(change) => self.changes.push(*change),
            Entry::End => return true,
        }
        false
    }
}

/// Deletes what is too old, too many or too large, the oldest first: single requests before sums.
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
    // The log beside the file needs its part.
    let most = options.max_bytes.saturating_sub(options.max_bytes / 8);
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
