//! A record as rows: the request itself, and what it adds to the sums.
//!
//! In: a record. Out: inserts. It must never take unknown for zero in a request's own row; sums
//! count what is unknown apart.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use relay_core::price::Money;
use relay_core::project::ProjectName;
use relay_core::record::{Outcome, RequestRecord};
use relay_core::request::{ModelName, SessionId};
use relay_core::snapshot::TargetId;
use rusqlite::types::Null;
use rusqlite::{Statement, ToSql, Transaction};

use crate::requests::KeptAttempt;

/// Letters of a name that are kept: models and agents are the word of clients.
const NAME: usize = 128;

const HOUR: u64 = 3600;

/// What a request adds, in the order of the columns.
type Added = [i64; 11];

/// What happens where the group is there already.
const ADD: &str = "ON CONFLICT DO UPDATE SET requests=requests+excluded.requests,
  failed=failed+excluded.failed, unpriced=unpriced+excluded.unpriced,
  input=input+excluded.input, cache_read=cache_read+excluded.cache_read,
  cache_write=cache_write+excluded.cache_write, output=output+excluded.output,
  cost=cost+excluded.cost, saved=saved+excluded.saved, moves=moves+excluded.moves,
  moved=moved+excluded.moved";

/// What the records of a batch add, by group: each group is written once. Names are those of the
/// records themselves.
#[derive(Debug, Default)]
pub(crate) struct Sums<'a> {
    /// By hour, model, provider, key and client.
    rollups: HashMap<(u64, [&'a str; 4]), Added>,
    /// By hour, session, agent and project; with the agent's parent.
    sessions: HashMap<(u64, [&'a str; 3]), (Added, &'a str)>,
}

impl<'a> Sums<'a> {
    /// Adds a record, and writes its own row where these are kept; returns that one's number.
    pub(crate) fn take(
        &mut self,
        to: &Transaction<'_>,
        record: &'a RequestRecord,
        keeps_requests: bool,
    ) -> rusqlite::Result<Option<i64>> {
        let model = record.response_model.as_deref();
        let model = name(model.or(record.model.as_ref().map(ModelName::as_str)));
        let provider = name(record.target.as_ref().map(TargetId::as_str));
        let key = name(record.key.as_ref().map(|key| &*key.name));
        let client = name(record.client.as_deref());
        let session = name(record.session.as_ref().map(SessionId::as_str));
        let agent = name(record.agent.as_deref());
        let project = name(record.project.as_ref().map(ProjectName::as_str));
        let ended = record.started.saturating_add(record.duration).as_secs();
        let (route, whose) = ([model, provider, key, client], [session, agent, project]);
        let mut number = None;
        if keeps_requests {
            request(to, record, ended, (&route, &whose))?;
            number = Some(to.last_insert_rowid());
        }
        let (hour, more) = (ended / HOUR, added(record));
        add(self.rollups.entry((hour, route)).or_default(), more);
        let parent = || ([0; 11], name(record.parent_agent.as_deref()));
        let session = self.sessions.entry((hour, whose));
        add(&mut session.or_insert_with(parent).0, more);
        Ok(number)
    }

    /// Writes the sums.
    pub(crate) fn write(self, to: &Transaction<'_>) -> rusqlite::Result<()> {
        for ((hour, route), added) in self.rollups {
            upsert(to, ROLLUP, (hour, &route), added, None)?;
        }
        for ((hour, whose), (added, parent)) in self.sessions {
            upsert(to, SESSION, (hour, &whose), added, Some(parent))?;
        }
        Ok(())
    }
}

fn add(sums: &mut Added, more: Added) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum = sum.saturating_add(more);
    }
}

const ROLLUP: &str = "INSERT INTO rollup VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
const SESSION: &str = "INSERT INTO session VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";

/// Adds to the sums of a group.
fn upsert(
    to: &Transaction<'_>,
    insert: &str,
    (hour, group): (u64, &[&str]),
    added: Added,
    parent: Option<&str>,
) -> rusqlite::Result<()> {
    let mut statement = to.prepare_cached(&format!("{insert} {ADD}"))?;
    let mut row = Row::of(&mut statement);
    row.bind(int(hour))?;
    for name in group {
        row.bind(name)?;
    }
    for number in added {
        row.bind(number)?;
    }
    if let Some(parent) = parent {
        row.bind(parent)?;
    }
    row.write()
}

const REQUEST: &str = "INSERT INTO request VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";

/// Writes the row of the request itself.
fn request(
    to: &Transaction<'_>,
    record: &RequestRecord,
    ended: u64,
    (route, [session, agent, project]): (&[&str; 4], &[&str; 3]),
) -> rusqlite::Result<()> {
    let usage = &record.usage;
    let mut statement = to.prepare_cached(REQUEST)?;
    let mut row = Row::of(&mut statement);
    row.bind(Null)?;
    row.bind(int(ended))?;
    row.bind(name(Some(&record.request_id)))?;
    for name in route.iter().chain([session, agent]) {
        row.bind(name)?;
    }
    row.bind(record.status)?;
    row.bind(record.outcome.name())?;
    row.bind(record.error_type.as_deref())?;
    row.bind(record.affinity)?;
    row.bind(micros(record.duration))?;
    row.bind(record.time_to_first_event.map(micros))?;
    for tokens in [
        usage.input_tokens,
        usage.cache_read_input_tokens,
        usage.cache_creation_input_tokens,
        usage.output_tokens,
    ] {
        row.bind(tokens.map(int))?;
    }
    row.bind(record.cost.map(nano))?;
    row.bind(&*attempts(record))?;
    row.bind(record.last.as_ref().map(|last| micros(last.began)))?;
    row.bind(project)?;
    row.write()
}

/// One row on its way into a statement, column by column.
struct Row<'a, 'c> {
    statement: &'a mut Statement<'c>,
    column: usize,
}

impl<'a, 'c> Row<'a, 'c> {
    fn of(statement: &'a mut Statement<'c>) -> Self {
        Self {
            statement,
            column: 0,
        }
    }

    fn bind(&mut self, value: impl ToSql) -> rusqlite::Result<()> {
        self.column = self.column.saturating_add(1);
        self.statement.raw_bind_parameter(self.column, value)
    }

    fn write(self) -> rusqlite::Result<()> {
        self.statement.raw_execute().map(drop)
    }
}

/// Returns the attempts that failed as JSON.
fn attempts(record: &RequestRecord) -> Cow<'static, str> {
    if record.attempts.is_empty() {
        return "[]".into();
    }
    let attempts: Vec<KeptAttempt> = record
        .attempts
        .iter()
        .map(|attempt| KeptAttempt {
            provider: attempt.target.as_str().to_owned(),
            key: attempt.key.as_ref().map(|key| key.name.to_string()),
            status: attempt.status,
            reason: attempt.reason.to_owned(),
            began_us: u64::try_from(attempt.began.as_micros()).ok(),
            took_us: u64::try_from(attempt.took.as_micros()).unwrap_or(u64::MAX),
        })
        .collect();
    // Names and numbers: this cannot fail.
    serde_json::to_string(&attempts).unwrap_or_default().into()
}

fn added(record: &RequestRecord) -> Added {
    let usage = &record.usage;
    let answered = record
        .status
        .is_some_and(|status| (200..300).contains(&status));
    let broken = matches!(
        record.outcome,
        Outcome::ErrorEvent | Outcome::StreamCut | Outcome::Stalled
    );
    let gone = record.outcome == Outcome::ClientGone;
    let unpriced = answered && record.cost.is_none() && record.endpoint == "messages";
    [
        1,
        i64::from(!gone && (!answered || broken)),
        i64::from(unpriced),
        int(usage.input_tokens.unwrap_or(0)),
        int(usage.cache_read_input_tokens.unwrap_or(0)),
        int(usage.cache_creation_input_tokens.unwrap_or(0)),
        int(usage.output_tokens.unwrap_or(0)),
        record.cost.map_or(0, nano),
        record.saved.map_or(0, nano),
        i64::from(matches!(record.affinity, Some("moved" | "borrowed"))),
        record.moved.map_or(0, nano),
    ]
}

/// Returns the start of a name that is kept.
fn name(text: Option<&str>) -> &str {
    let text = text.unwrap_or_default();
    // A letter takes a byte or more: most names need no counting.
    if text.len() <= NAME {
        return text;
    }
    let end = text.char_indices().nth(NAME).map(|(at, _)| at);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn nano(money: Money) -> i64 {
    int(money.as_nano_dollars())
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
