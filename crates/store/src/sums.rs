//! What was used and what it cost, summed by what one asks for.
//!
//! In: the file, which the relay may be writing. Out: sums, the costliest first or by time. It reads
//! rollups alone, never single requests, so that it answers at once however many there were.

use std::path::Path;

use rusqlite::Row;
use serde::Serialize;

use crate::{StoreError, file};

/// What to sum by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The model that answered.
    Model,
    /// The upstream.
    Provider,
    /// The relay's key.
    Key,
    /// The client's key.
    Client,
    /// The session.
    Session,
    /// The agent within its session.
    Agent,
    /// The project, as far as clients tell it.
    Project,
    /// The day, UTC.
    Day,
    /// The hour, UTC.
    Hour,
}

/// The sessions' sums, each with the project that any request of its session told: some requests of
/// Claude Code's do not, as those that name a conversation.
const PROJECTS: &str =
    "(SELECT it.hour, it.requests, it.failed, it.unpriced, it.input, it.cache_read,
  it.cache_write, it.output, it.cost, it.saved, it.moves, it.moved,
  coalesce(nullif(it.project, ''), told.project, '') AS project
  FROM session AS it LEFT JOIN (
    SELECT session, max(project) AS project FROM session
    WHERE session != '' AND project != '' GROUP BY session) AS told ON told.session = it.session)";

/// The sums of one group. Money is in billionths of a dollar.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// What it is the sum of; empty where that was unknown.
    pub name: String,
    /// Requests.
    pub requests: u64,
    /// Of these, failed ones.
    pub failed: u64,
    /// Answered ones whose cost is unknown: it is in no sum.
    pub unpriced: u64,
    /// Fresh input tokens.
    pub input: u64,
    /// Tokens read from the cache.
    pub cache_read: u64,
    /// Tokens written to the cache.
    pub cache_write: u64,
    /// Tokens produced.
    pub output: u64,
    /// The known cost.
    pub cost: u64,
    /// What reads of the cache saved.
    pub saved: u64,
    /// Requests that another upstream than their session's home served.
    pub moves: u64,
    /// What it cost to write warm prefixes again because of that.
    pub moved: u64,
}

impl Sums {
    /// Adds another group; the name stays.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.requests, other.requests),
            (&mut self.failed, other.failed),
            (&mut self.unpriced, other.unpriced),
            (&mut self.input, other.input),
            (&mut self.cache_read, other.cache_read),
            (&mut self.cache_write, other.cache_write),
            (&mut self.output, other.output),
            (&mut self.cost, other.cost),
            (&mut self.saved, other.saved),
            (&mut self.moves, other.moves),
            (&mut self.moved, other.moved),
        ];
        for (sum, more) in pairs {
            *sum = sum.saturating_add(more);
        }
    }
}

/// Sums what ended in or after the hour of `since`, in seconds of the Unix epoch.
///
/// # Errors
/// If the file is not there or cannot be read.
pub fn usage(path: &Path, by: By, since: u64) -> Result<Vec<Sums>, StoreError> {
    let connection = file::open_to_read(path)?;
    let (table, name) = match by {
        By::Model => ("rollup", "model"),
        By::Provider => ("rollup", "provider"),
        By::Key => ("rollup", "key"),
        By::Client => ("rollup", "client"),
        By::Session => ("session", "session"),
        By::Agent => ("session", "agent"),
        // A file of an earlier form, which no relay has opened since, knows none.
        By::Project if file::version(&connection)? < file::FOURTH => ("session", "''"),
        By::Project => (PROJECTS, "project"),
        By::Day => ("rollup", "strftime('%Y-%m-%d', hour * 3600, 'unixepoch')"),
        By::Hour => (
            "rollup",
            "strftime('%Y-%m-%dT%H:00Z', hour * 3600, 'unixepoch')",
        ),
    };
    let order = match by {
        By::Day | By::Hour => "1",
        By::Model | By::Provider | By::Key | By::Client | By::Session | By::Agent | By::Project => {
            "9 DESC, 1"
        }
    };
    let mut query = connection.prepare(&format!(
        "SELECT {name}, sum(requests), sum(failed), sum(unpriced), sum(input), sum(cache_read),
         sum(cache_write), sum(output), sum(cost), sum(saved), sum(moves), sum(moved)
         FROM {table} WHERE hour >= ? GROUP BY 1 ORDER BY {order}"
    ))?;
    let since = i64::try_from(since / 3600).unwrap_or(i64::MAX);
    let rows = query.query_map([since], sums)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn sums(row: &Row<'_>) -> rusqlite::Result<Sums> {
    let number = |at: usize| -> rusqlite::Result<u64> {
        Ok(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0))
    };
    Ok(Sums {
        name: row.get(0)?,
        requests: number(1)?,
        failed: number(2)?,
        unpriced: number(3)?,
        input: number(4)?,
        cache_read: number(5)?,
        cache_write: number(6)?,
        output: number(7)?,
        cost: number(8)?,
        saved: number(9)?,
        moves: number(10)?,
        moved: number(11)?,
    })
}
