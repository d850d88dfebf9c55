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
        let mut batch = Vec::new();
        while let Ok(first) = entries.recv() {
            let mut last = gather(first, &mut batch);
            while !last && batch.len() < BATCH {
                match entries.try_recv() {
                    Ok(entry) => last = gather(entry, &mut batch),
                    Err(_) => break,
                }
            }
            self.put(&batch);
            let full = batch.len() >= BATCH;
            batch.clear();
            if last {
                return;
            }
            if !full {
                std::thread::sleep(GATHER);
            }
        }
    }

    pub(crate) fn put(&mut self, batch: &[Arc<RequestRecord>]) {
        let Some(last) = batch.last() else {
            return;
        };
        let now = last.started.saturating_add(last.duration).as_secs();
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

    fn try_put(&mut self, batch: &[Arc<RequestRecord>], now: u64) -> Result<(), StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => file::open(&self.options.path)?,
        };
        let transaction = connection.transaction()?;
        let mut sums = row::Sums::default();
        for record in batch.iter().filter(|record| !record.endpoint.is_empty()) {
            sums.take(&transaction, record, self.options.requests > 0)?;
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

/// Adds a record to the batch; tells whether it is the sign to end.
fn gather(entry: Entry, batch: &mut Vec<Arc<RequestRecord>>) -> bool {
    match entry {
        Entry::Record(record) => {
            batch.push(record);
            false
        }
        Entry::End => true,
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
