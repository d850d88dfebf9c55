//! The file of the history: its form, and what is done about one that is broken.
//!
//! In: a path. Out: an open database in the form of this version; one of an earlier form is brought
//! to it. It must never delete what it cannot read: such a file is set aside, and one of a later
//! version is left alone.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::StoreError;

/// The form that this version writes.
const VERSION: i64 = 4;

/// How long one waits for another process that has the file locked.
const BUSY: Duration = Duration::from_secs(2);

/// What makes each form out of the one before; the first out of nothing.
const STEPS: [&str; 4] = [FIRST, MORE, CHANGES, BODIES];

pub(crate) const FIRST: &str = "
CREATE TABLE request (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, name TEXT NOT NULL, model TEXT NOT NULL,
  provider TEXT NOT NULL, key TEXT NOT NULL, client TEXT NOT NULL, session TEXT NOT NULL,
  agent TEXT NOT NULL, status INTEGER, outcome TEXT NOT NULL, error TEXT, affinity TEXT,
  duration_us INTEGER NOT NULL, first_event_us INTEGER, input INTEGER, cache_read INTEGER,
  cache_write INTEGER, output INTEGER, cost INTEGER, attempts TEXT NOT NULL);
CREATE TABLE rollup (
  hour INTEGER NOT NULL, model TEXT NOT NULL, provider TEXT NOT NULL, key TEXT NOT NULL,
  client TEXT NOT NULL, requests INTEGER NOT NULL, failed INTEGER NOT NULL,
  unpriced INTEGER NOT NULL, input INTEGER NOT NULL, cache_read INTEGER NOT NULL,
  cache_write INTEGER NOT NULL, output INTEGER NOT NULL, cost INTEGER NOT NULL,
  saved INTEGER NOT NULL, moves INTEGER NOT NULL, moved INTEGER NOT NULL,
  PRIMARY KEY (hour, model, provider, key, client)) WITHOUT ROWID;
CREATE TABLE session (
  hour INTEGER NOT NULL, session TEXT NOT NULL, agent TEXT NOT NULL,
  requests INTEGER NOT NULL, failed INTEGER NOT NULL,
  unpriced INTEGER NOT NULL, input INTEGER NOT NULL, cache_read INTEGER NOT NULL,
  cache_write INTEGER NOT NULL, output INTEGER NOT NULL, cost INTEGER NOT NULL,
  saved INTEGER NOT NULL, moves INTEGER NOT NULL, moved INTEGER NOT NULL,
  PRIMARY KEY (hour, session, agent)) WITHOUT ROWID;
";

/// The form since which agents have parents, and attempts a beginning.
pub(crate) const SECOND: i64 = 2;

const MORE: &str = "
ALTER TABLE session ADD COLUMN parent TEXT NOT NULL DEFAULT '';
ALTER TABLE request ADD COLUMN began_us INTEGER;
";

/// The form since which changes are kept.
pub(crate) const THIRD: i64 = 3;

const CHANGES: &str = "
CREATE TABLE change (
  id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, by TEXT NOT NULL, what TEXT NOT NULL,
  changes TEXT NOT NULL, refused TEXT);
";

/// The form since which bodies are kept, and projects.
pub(crate) const FOURTH: i64 = 4;

const BODIES: &str = "
ALTER TABLE request ADD COLUMN project TEXT NOT NULL DEFAULT '';
ALTER TABLE session RENAME TO session_before;
CREATE TABLE session (
  hour INTEGER NOT NULL, session TEXT NOT NULL, agent TEXT NOT NULL, project TEXT NOT NULL,
  requests INTEGER NOT NULL, failed INTEGER NOT NULL,
  unpriced INTEGER NOT NULL, input INTEGER NOT NULL, cache_read INTEGER NOT NULL,
  cache_write INTEGER NOT NULL, output INTEGER NOT NULL, cost INTEGER NOT NULL,
  saved INTEGER NOT NULL, moves INTEGER NOT NULL, moved INTEGER NOT NULL,
  parent TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (hour, session, agent, project)) WITHOUT ROWID;
INSERT INTO session SELECT hour, session, agent, '', requests, failed, unpriced, input, cache_read,
  cache_write, output, cost, saved, moves, moved, parent FROM session_before;
DROP TABLE session_before;
CREATE TABLE chunk (
  id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, packed INTEGER NOT NULL, bytes BLOB NOT NULL);
CREATE TABLE link (
  id INTEGER PRIMARY KEY, chain BLOB NOT NULL UNIQUE, before INTEGER NOT NULL,
  chunk INTEGER NOT NULL);
CREATE TABLE body (
  request INTEGER PRIMARY KEY, asked INTEGER NOT NULL, asked_bytes INTEGER NOT NULL,
  asked_cut INTEGER NOT NULL, answered INTEGER NOT NULL, answered_bytes INTEGER NOT NULL,
  answered_cut INTEGER NOT NULL);
";

/// Opens the file for writing, and makes it where there is none. Only its owner may read it.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    match prepared(path) {
        Err(StoreError::Database(error)) if is_broken(&error) => {
            set_aside(path)?;
            prepared(path)
        }
        other => other,
    }
}

/// Opens the file for reading, while the relay may be writing it.
pub(crate) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    match version(&connection)? {
        later if later > VERSION => Err(StoreError::Newer(later)),
        _ => Ok(connection),
    }
}

/// Tells whether the file itself is at fault and not the disk.
pub(crate) fn is_broken(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Renames a broken file, with what belongs to it, so that a new one can begin.
pub(crate) fn set_aside(path: &Path) -> std::io::Result<()> {
    let aside = with(path, ".corrupt");
    fs::rename(path, &aside)?;
    for tail in ["-wal", "-shm"] {
        let from = with(path, tail);
        if from.exists() {
            fs::rename(from, with(&aside, tail))?;
        }
    }
    let (path, aside) = (path.display(), aside.display());
    tracing::warn!(%path, %aside, "history: the file is broken; it was set aside, and a new one begun");
    Ok(())
}

fn with(path: &Path, tail: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(tail);
    PathBuf::from(name)
}

fn prepared(path: &Path) -> Result<Connection, StoreError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)?;
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
         PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 4194304;",
    )?;
    prepare(&connection)?;
    Ok(connection)
}

/// Brings a database to the form of this version.
pub(crate) fn prepare(connection: &Connection) -> Result<(), StoreError> {
    let from = version(connection)?;
    if from > VERSION {
        return Err(StoreError::Newer(from));
    }
    let done = usize::try_from(from).unwrap_or(0);
    let steps: String = STEPS.iter().skip(done).copied().collect();
    if !steps.is_empty() {
        // All steps or none: a program that ends in between finds the form it knows.
        let steps = format!("BEGIN; {steps} PRAGMA user_version = {VERSION}; COMMIT;");
        connection.execute_batch(&steps)?;
    }
    Ok(())
}

pub(crate) fn version(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}
