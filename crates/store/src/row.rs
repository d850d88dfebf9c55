//! A record as rows: the request itself, and what it adds to the sums.
//!
//! In: a record. Out: inserts. It must never take unknown for zero in a request's own row; sums
//! count what is unknown apart.

use std::time::Duration;

use relay_core::price::Money;
use relay_core::record::{Outcome, RequestRecord};
use relay_core::request::{ModelName, SessionId};
use relay_core::snapshot::TargetId;
use rusqlite::types::Value;
use rusqlite::{Transaction, params_from_iter};

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

/// Writes a record into all tables.
pub(crate) fn write(
    to: &Transaction<'_>,
    record: &RequestRecord,
    keeps_requests: bool,
) -> rusqlite::Result<()> {
    let model = record.response_model.as_deref();
    let model = name(model.or(record.model.as_ref().map(ModelName::as_str)));
    let provider = name(record.target.as_ref().map(TargetId::as_str));
    let key = name(record.key.as_ref().map(|key| &*key.name));
    let client = name(record.client.as_deref());
    let session = name(record.session.as_ref().map(SessionId::as_str));
    let agent = name(record.agent.as_deref());
    let ended = record.started.saturating_add(record.duration).as_secs();
    let hour = Value::from(int(ended / HOUR));
    let added = added(record);
    let route = [model, provider, key, client];
    let parent = name(record.parent_agent.as_deref());
    let whose = [session, agent];
    let group = std::iter::once(hour.clone()).chain(route.clone());
    add(to, "rollup", group.collect(), added, None)?;
    let group = std::iter::once(hour).chain(whose.clone());
    add(to, "session", group.collect(), added, Some(parent))?;
    if keeps_requests {
        let names = route.into_iter().chain(whose);
        request(to, record, ended, names)?;
    }
    Ok(())
}

/// Adds to the sums of a group.
fn add(
    to: &Transaction<'_>,
    table: &str,
    mut row: Vec<Value>,
    added: Added,
    parent: Option<Value>,
) -> rusqlite::Result<()> {
    row.extend(added.map(Value::from));
    row.extend(parent);
    let places = vec!["?"; row.len()].join(",");
    let insert = format!("INSERT INTO {table} VALUES ({places}) {ADD}");
    to.prepare_cached(&insert)?.execute(params_from_iter(row))?;
    Ok(())
}

/// Writes the row of the request itself.
fn request(
    to: &Transaction<'_>,
    record: &RequestRecord,
    ended: u64,
    names: impl Iterator<Item = Value>,
) -> rusqlite::Result<()> {
    let usage = &record.usage;
    let mut row = vec![
        Value::Null,
        int(ended).into(),
        name(Some(&record.request_id)),
    ];
    row.extend(names);
    row.extend([
        record.status.map(i64::from).into(),
        Value::from(record.outcome.name().to_owned()),
        record.error_type.as_deref().map(str::to_owned).into(),
        record.affinity.map(str::to_owned).into(),
        micros(record.duration).into(),
        record.time_to_first_event.map(micros).into(),
        usage.input_tokens.map(int).into(),
        usage.cache_read_input_tokens.map(int).into(),
        usage.cache_creation_input_tokens.map(int).into(),
        usage.output_tokens.map(int).into(),
        record.cost.map(nano).into(),
        Value::from(attempts(record)),
    ]);
    let places = vec!["?"; row.len()].join(",");
    let insert = format!("INSERT INTO request VALUES ({places})");
    to.prepare_cached(&insert)?.execute(params_from_iter(row))?;
    Ok(())
}

/// Returns the attempts that failed as JSON.
fn attempts(record: &RequestRecord) -> String {
    let attempts: Vec<KeptAttempt> = record
        .attempts
        .iter()
        .map(|attempt| KeptAttempt {
            provider: attempt.target.as_str().to_owned(),
            key: attempt.key.as_ref().map(|key| key.name.to_string()),
            status: attempt.status,
            reason: attempt.reason.to_owned(),
            took_us: u64::try_from(attempt.took.as_micros()).unwrap_or(u64::MAX),
        })
        .collect();
    // Names and numbers: this cannot fail.
    serde_json::to_string(&attempts).unwrap_or_default()
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

fn name(text: Option<&str>) -> Value {
    let text = text.unwrap_or_default();
    Value::Text(text.chars().take(NAME).collect())
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
