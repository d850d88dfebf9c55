//! What was changed while the relay ran, and by whom.
//!
//! In: the file, which the relay may be writing. Out: the changes, the oldest first.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use serde::Serialize;

use crate::{StoreError, file};

/// Changes that are kept at most.
const MOST: i64 = 10_000;

/// Bytes that are kept of a text at most.
const LONGEST: usize = 16 * 1024;

/// A change, or one that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptChange {
    /// When, in milliseconds of the Unix epoch.
    pub at_ms: u64,
    /// Who asked for it.
    pub by: String,
    /// What was asked for, in a few words.
    pub what: String,
    /// Each setting with what it was and what it became, without credentials.
    pub changes: String,
    /// Why it was refused; `None` where it was made.
    pub refused: Option<String>,
}

/// Returns the last changes, at most so many.
///
/// # Errors
/// If the file is not there or cannot be read.
pub fn changes(path: &Path, limit: u32) -> Result<Vec<KeptChange>, StoreError> {
    let connection = file::open_to_read(path)?;
    // A file of an earlier form, which no relay has opened since.
    if file::version(&connection)? < file::THIRD {
        return Ok(Vec::new());
    }
    let mut query = connection.prepare(
        "SELECT at_ms, by, what, changes, refused FROM
         (SELECT * FROM change ORDER BY id DESC LIMIT ?1) ORDER BY id",
    )?;
    let rows = query.query_map([limit], |row| {
        Ok(KeptChange {
            at_ms: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
            by: row.get(1)?,
            what: row.get(2)?,
            changes: row.get(3)?,
            refused: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Writes a change.
pub(crate) fn write(connection: &Connection, change: &KeptChange) -> rusqlite::Result<()> {
    let at = i64::try_from(change.at_ms).unwrap_or(i64::MAX);
    connection.execute(
        "INSERT INTO change (at_ms, by, what, changes, refused) VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            at,
            cut(&change.by),
            cut(&change.what),
            cut(&change.changes),
            change.refused.as_deref().map(cut),
        ),
    )?;
    Ok(())
}

/// Deletes what is too old or too much.
pub(crate) fn bound(connection: &Connection, oldest: Duration) -> rusqlite::Result<()> {
    let oldest = i64::try_from(oldest.as_millis()).unwrap_or(i64::MAX);
    connection.execute(
        "DELETE FROM change WHERE at_ms < ?1 OR id <= (SELECT max(id) FROM change) - ?2",
        [oldest, MOST],
    )?;
    Ok(())
}

fn cut(text: &str) -> &str {
    let end = (0..=LONGEST.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}
