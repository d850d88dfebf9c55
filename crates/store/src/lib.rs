//! History and cost of requests, kept in an embedded database.
//!
//! In: records of ended requests, behind the path of requests, and what was changed by whom. Out: sums
//! by what one asks for, single requests, what was said in them where that is wanted, changes. It must
//! never make a request wait: the queue is bounded in number and bytes, what does not fit is dropped
//! and counted, and when the disk fails the relay goes on without it.

mod body;
mod changes;
mod chunk;
mod file;
mod requests;
mod row;
mod session;
mod sums;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use relay_core::record::{Bodies, RequestRecord};

pub use body::{KeptText, bodies};
pub use changes::{KeptChange, changes};
pub use requests::{Kept, KeptAttempt, Wanted, requests};
pub use session::{AgentSums, session};
pub use sums::{By, Sums, usage};

use writer::{Entry, Writer};

/// Records that wait to be written at most.
const QUEUE: usize = 8192;

/// Bytes of bodies that wait to be written at most.
const WAITING_BYTES: usize = 64 << 20;

/// What keeps the history from being read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A folder or a file cannot be made.
    #[error("cannot make the history's file")]
    File(#[from] std::io::Error),
    /// `SQLite` says no.
    #[error("the history's database fails")]
    Database(#[from] rusqlite::Error),
    /// A later version of the program wrote it.
    #[error(
        "the history is of form {0}, which this version does not know: use the version that wrote it"
    )]
    Newer(i64),
}

/// Where the history is and how much of it is kept.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The file.
    pub path: PathBuf,
    /// Bytes that the database may take.
    pub max_bytes: u64,
    /// How long anything is kept.
    pub max_age: Duration,
    /// Single requests that are kept.
    pub requests: u64,
}

/// What became of the records.
#[derive(Debug, Default)]
pub struct StoreState {
    /// Records that were not kept.
    pub lost: AtomicU64,
    /// Records that were kept without the bodies they had.
    pub bodiless: AtomicU64,
    /// Bytes of bodies that wait to be written.
    waiting_bytes: AtomicUsize,
    /// Whether the last write failed.
    pub failing: AtomicBool,
}

impl StoreState {
    /// Makes room for other bodies.
    fn written(&self, bytes: usize) {
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Where records come in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inlet {
    queue: SyncSender<Entry>,
    state: Arc<StoreState>,
}

impl Inlet {
    /// Takes a record, or drops and counts it where too many wait.
    /// The bodies beside it are dropped where too many bytes wait.
    pub fn take(&self, record: &Arc<RequestRecord>, bodies: Option<&Bodies>) {
        let entry = Entry::Record(Arc::clone(record), bodies.and_then(|it| self.admit(it)));
        match self.queue.try_send(entry) {
            Ok(()) => {}
            Err(TrySendError::Full(entry) | TrySendError::Disconnected(entry)) => {
                self.state.lost.fetch_add(1, Ordering::Relaxed);
                self.state.written(entry.waiting_bytes());
            }
        }
    }

    /// Takes bodies in, as far as there is room for them.
    fn admit(&self, bodies: &Bodies) -> Option<Bodies> {
        let (bytes, waiting) = (writer::size(bodies), &self.state.waiting_bytes);
        let before = waiting.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= WAITING_BYTES {
            return Some(bodies.clone());
        }
        self.state.written(bytes);
        self.state.bodiless.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// Takes a record, and waits for its place: not for what a request waits for.
    pub fn put(&self, record: Arc<RequestRecord>) {
        if self.queue.send(Entry::Record(record, None)).is_err() {
            self.state.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Inlet {
    /// Takes a change, and waits for its place: they are rare, and none may be lost.
    pub fn note(&self, change: KeptChange) {
        if self.queue.send(Entry::Change(Box::new(change))).is_err() {
            self.state.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A history that is being written. Dropped, it writes what it has and ends.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    inlet: Inlet,
    writer: Option<JoinHandle<()>>,
}

impl Store {
    /// Opens the history, or begins one. A file that is no database is set aside as `….corrupt`.
    ///
    /// # Errors
    /// [`StoreError`] says what keeps it from being written.
    pub fn open(options: StoreOptions) -> Result<Self, StoreError> {
        let connection = file::open(&options.path)?;
        let path = options.path.clone();
        let (queue, entries) = sync_channel(QUEUE);
        let state = Arc::new(StoreState::default());
        let writer = Writer::new(options, connection, Arc::clone(&state));
        let thread = std::thread::Builder::new().name("history".to_owned());
        let writer = thread.spawn(move || writer.run(&entries))?;
        Ok(Self {
            path,
            inlet: Inlet { queue, state },
            writer: Some(writer),
        })
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns where records go in.
    pub fn inlet(&self) -> Inlet {
        self.inlet.clone()
    }

    /// Returns what became of the records.
    pub fn state(&self) -> &StoreState {
        &self.inlet.state
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let Some(writer) = self.writer.take() else {
            return;
        };
        // A full queue is being emptied: this waits for its place.
        if self.inlet.queue.send(Entry::End).is_ok() && writer.join().is_err() {
            tracing::warn!("the thread of the history panicked");
        }
    }
}

#[cfg(test)]
mod tests;
