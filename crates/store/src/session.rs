//! One session with its agents.
//!
//! In: the file, which the relay may be writing, and a session. Out: what each of its agents used,
//! and who started it. It reads sums alone, never single requests.

use std::path::Path;

use serde::Serialize;

use crate::sums::{Sums, sums};
use crate::{StoreError, file};

/// What an agent used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentSums {
    /// The session.
    pub session: String,
    /// The agent that started it; empty for those of the main conversation.
    pub parent: String,
    /// Its sums under its name; the main conversation's is empty.
    #[serde(flatten)]
    pub sums: Sums,
}

/// Returns the agents of the sessions whose name begins so, session by session, the costliest first.
///
/// # Errors
/// If the file is not there or cannot be read.
pub fn session(path: &Path, name: &str) -> Result<Vec<AgentSums>, StoreError> {
    let connection = file::open_to_read(path)?;
    // A file of an earlier form, which no relay has opened since.
    let has_parents = file::version(&connection)? >= file::SECOND;
    let parent = if has_parents { "max(parent)" } else { "''" };
    let mut query = connection.prepare(&format!(
        "SELECT agent, sum(requests), sum(failed), sum(unpriced), sum(input), sum(cache_read),
         sum(cache_write), sum(output), sum(cost), sum(saved), sum(moves), sum(moved),
         session, {parent}
         FROM session WHERE session != '' AND substr(session, 1, length(?1)) = ?1
         GROUP BY session, agent ORDER BY session, 9 DESC, agent"
    ))?;
    let rows = query.query_map([name], |row| {
        Ok(AgentSums {
            sums: sums(row)?,
            session: row.get(12)?,
            parent: row.get(13)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
