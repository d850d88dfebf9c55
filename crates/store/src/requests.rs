//! Single requests, as they were kept.
//!
//! In: the file, which the relay may be writing, and which requests are meant. Out: the requests,
//! the oldest first, each with the attempts that failed before it was answered.

use std::path::Path;

use rusqlite::Row;
use serde::{Deserialize, Serialize};

use crate::{StoreError, file};

/// Which requests are meant; of those that fit, the last.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Requests at most.
    pub limit: u32,
    /// Of this session alone.
    pub session: Option<String>,
    /// The one of this name alone, or whose name begins so.
    pub name: Option<String>,
    /// Kept after the one of this number.
    pub after: i64,
}

/// An attempt that failed before the client saw anything of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAttempt {
    /// Where it went.
    pub provider: String,
    /// With which of the relay's keys.
    pub key: Option<String>,
    /// The status that refused it.
    pub status: Option<u16>,
    /// Why the request moved on.
    pub reason: String,
    /// Microseconds from the request's first byte to sending. `None` where an earlier version kept it.
    #[serde(default)]
    pub began_us: Option<u64>,
    /// Microseconds from sending to refusal.
    pub took_us: u64,
}

/// One request. Names that were unknown are empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Its number: larger for later ones.
    pub number: i64,
    /// When it ended, in seconds of the Unix epoch.
    pub at: u64,
    /// Its name, as in the log and in the answer's `x-cc-relay-request-id`.
    pub name: String,
    /// The model that answered, or else the one asked for.
    pub model: String,
    /// The upstream.
    pub provider: String,
    /// The relay's key.
    pub key: String,
    /// The client's key.
    pub client: String,
    /// The session.
    pub session: String,
    /// The agent within it.
    pub agent: String,
    /// The project, as far as the client told it.
    pub project: String,
    /// The status that the client got.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: String,
    /// What went wrong.
    pub error: Option<String>,
    /// What became of the session's home.
    pub affinity: Option<String>,
    /// Microseconds from its first byte to the answer's last.
    pub duration_us: u64,
    /// Microseconds from its last byte to the answer's first.
    pub first_event_us: Option<u64>,
    /// Fresh input tokens.
    pub input: Option<u64>,
    /// Tokens read from the cache.
    pub cache_read: Option<u64>,
    /// Tokens written to the cache.
    pub cache_write: Option<u64>,
    /// Tokens produced.
    pub output: Option<u64>,
    /// The cost in billionths of a dollar.
    pub cost: Option<u64>,
    /// Microseconds from its first byte to sending the attempt that was answered.
    pub began_us: Option<u64>,
    /// What failed before.
    pub attempts: Vec<KeptAttempt>,
}

/// Returns the requests that are meant, the oldest first.
///
/// # Errors
/// If the file is not there or cannot be read.
pub fn requests(path: &Path, wanted: &Wanted) -> Result<Vec<Kept>, StoreError> {
    let connection = file::open_to_read(path)?;
    let knows = file::version(&connection)? >= file::SECOND;
    let began = if knows { "began_us" } else { "NULL" };
    let has_projects = file::version(&connection)? >= file::FOURTH;
    let project = if has_projects { "project" } else { "''" };
    let mut query = connection.prepare(&format!(
        "SELECT id, at, name, model, provider, key, client, session, agent, status, outcome, error,
         affinity, duration_us, first_event_us, input, cache_read, cache_write, output, cost, attempts,
         {began}, {project}
         FROM request WHERE id > ?1 AND (?2 IS NULL OR session = ?2)
         AND (?3 IS NULL OR substr(name, 1, length(?3)) = ?3) ORDER BY id DESC LIMIT ?4"
    ))?;
    let rows = query.query_map(
        (wanted.after, &wanted.session, &wanted.name, wanted.limit),
        kept,
    )?;
    let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
    rows.reverse();
    Ok(rows)
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let number = |at: usize| -> rusqlite::Result<Option<u64>> {
        let value: Option<i64> = row.get(at)?;
        Ok(value.and_then(|value| u64::try_from(value).ok()))
    };
    let attempts: String = row.get(20)?;
    Ok(Kept {
        number: row.get(0)?,
        at: number(1)?.unwrap_or(0),
        name: row.get(2)?,
        model: row.get(3)?,
        provider: row.get(4)?,
        key: row.get(5)?,
        client: row.get(6)?,
        session: row.get(7)?,
        agent: row.get(8)?,
        project: row.get(22)?,
        status: row.get(9)?,
        outcome: row.get(10)?,
        error: row.get(11)?,
        affinity: row.get(12)?,
        duration_us: number(13)?.unwrap_or(0),
        first_event_us: number(14)?,
        input: number(15)?,
        cache_read: number(16)?,
        cache_write: number(17)?,
        output: number(18)?,
        cost: number(19)?,
        began_us: number(21)?,
        // It is this crate's own writing.
        attempts: serde_json::from_str(&attempts).unwrap_or_default(),
    })
}
