//! Says a row as JSON, in a line, or all rows as a file: the names are those of the management API.
//!
//! In: the state. Out: text. What is not known is `null`. No field of the API holds a credential, a
//! prompt or an answer, so none can be here.

use std::time::Duration;

use relay_api::v1;
use serde_json::{Value, json};

use crate::state::{Branch, Place, State};

/// One thing, and what it is called.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) title: String,
    pub(crate) value: Value,
}

fn told(title: String, value: Value) -> Told {
    Told { title, value }
}

/// Returns what is selected.
pub(crate) fn selected(state: &State) -> Option<Told> {
    let place = state.place();
    match state.location() {
        Place::Providers => {
            let providers = state.providers();
            let it = *providers.get(place)?;
            let name = it.provider.as_ref().map_or("", |it| it.name.as_str());
            Some(told(format!("Provider {name}"), provider(it)))
        }
        Place::Recent | Place::Requests | Place::Request => {
            let it = state.chosen_request()?;
            Some(told(format!("Request {}", it.id), request(it)))
        }
        Place::Sessions => {
            let it = state.branch()?;
            let agent = it.agent.map_or_else(String::new, |agent| {
                let name = if agent.id.is_empty() {
                    "main"
                } else {
                    &agent.id
                };
                format!(", agent {name}")
            });
            Some(told(
                format!("Session {}{agent}", it.session.id),
                branch(&it),
            ))
        }
        Place::Keys => {
            let keys = state.keys();
            let it = *keys.get(place)?;
            Some(told(format!("Key {}/{}", it.provider, it.name), key(it)))
        }
        Place::Events => {
            let events = state.shown_events();
            let (_, it) = events.get(place)?;
            Some(told("Event".to_owned(), event(it)))
        }
        Place::Config => {
            let it = state.config.as_deref()?;
            // What is no JSON is shown as the text that it is.
            let settings = serde_json::from_str(&it.settings_json)
                .unwrap_or_else(|_| Value::from(it.settings_json.as_str()));
            Some(told("Settings in force".to_owned(), settings))
        }
        Place::Reader => None,
    }
}

/// Writes a value to be read.
pub(crate) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Writes what is known of a row in one line: `name=value`, as a log line has it.
pub(crate) fn in_a_line(value: &Value) -> String {
    let Some(fields) = value.as_object() else {
        return value.to_string();
    };
    let is_known = |value: &&Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(all) => !all.is_empty(),
        Value::Object(all) => !all.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    };
    let said = |(name, value): (&String, &Value)| {
        let bare = value.as_str().filter(|it| !it.contains([' ', '"', '=']));
        bare.map_or_else(
            || format!("{name}={value}"),
            |text| format!("{name}={text}"),
        )
    };
    let known = fields.iter().filter(|(_, value)| is_known(value));
    known.map(said).collect::<Vec<String>>().join(" ")
}

/// Returns the name of a file, and what is in the view: a row a line, or the text that it shows.
pub(crate) fn export(state: &State) -> (String, String) {
    let lines = |rows: Vec<Value>| {
        let rows: Vec<String> = rows.iter().map(Value::to_string).collect();
        ended(&rows)
    };
    let (what, kind, text) = match state.location() {
        Place::Providers => {
            let rows = state.providers().into_iter().map(provider);
            ("providers", "jsonl", lines(rows.collect()))
        }
        Place::Recent | Place::Requests => {
            let rows = state.shown_requests().into_iter().map(request);
            ("requests", "jsonl", lines(rows.collect()))
        }
        Place::Request => {
            let text = state.open_request().map(|it| pretty(&request(it)));
            let text = text.map_or_else(String::new, |text| format!("{text}\n"));
            ("request", "json", text)
        }
        Place::Sessions => {
            let tree = state.tree();
            let rows = tree.iter().filter(|it| it.agent.is_none()).map(branch);
            ("sessions", "jsonl", lines(rows.collect()))
        }
        Place::Keys => {
            let rows = state.keys().into_iter().map(key);
            ("keys", "jsonl", lines(rows.collect()))
        }
        Place::Events => {
            let rows = state.shown_events().into_iter().map(|it| event(it.1));
            ("events", "jsonl", lines(rows.collect()))
        }
        Place::Config => {
            let text = ended(&state.config_lines());
            ("config", "txt", text)
        }
        Place::Reader => ("", "", String::new()),
    };
    let at = stamp(state.now);
    (format!("cc-relay-{what}-{at}.{kind}"), text)
}

/// Writes lines, each with its end.
fn ended(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    format!("{}\n", lines.join("\n"))
}

/// Writes a time as a file's name can have it, UTC: `20261122T140212Z`.
fn stamp(unix: Duration) -> String {
    let seconds = i64::try_from(unix.as_secs()).unwrap_or_default();
    let at = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn tokens(it: Option<v1::Tokens>) -> Value {
    it.map_or(Value::Null, |it| {
        json!({
            "input": it.input,
            "cache_read": it.cache_read,
            "cache_write": it.cache_write,
            "output": it.output,
        })
    })
}

fn quantiles(it: Option<v1::Quantiles>) -> Value {
    it.map_or(
        Value::Null,
        |it| json!({"p50_us": it.p50_us, "p95_us": it.p95_us, "p99_us": it.p99_us}),
    )
}

fn word(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_ascii_lowercase()
}

fn provider(stats: &v1::ProviderStats) -> Value {
    let it = stats.provider.clone().unwrap_or_default();
    let traffic = stats.traffic.clone().unwrap_or_default();
    json!({
        "name": it.name,
        "type": it.r#type,
        "state": word(it.state().as_str_name(), "PROVIDER_STATE_"),
        "why": it.why,
        "enabled": it.enabled,
        "overridden": it.overridden,
        "vendor": it.vendor,
        "base_url": it.base_url,
        "keys_usable": it.keys_usable,
        "keys": it.keys,
        "priority": it.priority,
        "weight": it.weight,
        "models": it.models,
        "in_flight": it.in_flight,
        "in_flight_tokens": it.in_flight_tokens,
        "asked_again_in_ms": it.asked_again_in_ms,
        "lacks": it.lacks,
        "traffic": {
            "window_s": traffic.window_s,
            "requests": traffic.requests,
            "errors": traffic.errors,
            "hops": traffic.hops,
            "requests_per_minute": traffic.requests_per_minute,
            "time_to_first_event": quantiles(traffic.time_to_first_event),
            "duration": quantiles(traffic.duration),
            "tokens": tokens(traffic.tokens),
            "cost_nano_usd": traffic.cost_nano_usd,
            "unpriced": traffic.unpriced,
            "output_tokens_per_second": traffic.output_tokens_per_second,
        },
    })
}

fn request(it: &v1::Request) -> Value {
    let attempt = |it: &v1::Attempt| {
        json!({
            "provider": it.provider,
            "key": it.key,
            "status": it.status,
            "reason": it.reason,
            "began_us": it.began_us,
            "took_us": it.took_us,
        })
    };
    let attempts: Vec<Value> = it.attempts.iter().map(attempt).collect();
    json!({
        "id": it.id,
        "started_unix_ms": it.started_unix_ms,
        "phase": word(it.phase().as_str_name(), "PHASE_"),
        "method": it.method,
        "path": it.path,
        "model": it.model,
        "response_model": it.response_model,
        "session": it.session,
        "agent": it.agent,
        "parent_agent": it.parent_agent,
        "client": it.client,
        "provider": it.provider,
        "key": it.key,
        "attempts": attempts,
        "status": it.status,
        "stream": it.stream,
        "sent_us": it.sent_us,
        "time_to_head_us": it.time_to_head_us,
        "time_to_first_event_us": it.time_to_first_event_us,
        "longest_gap_us": it.longest_gap_us,
        "silent_us": it.silent_us,
        "duration_us": it.duration_us,
        "overhead_us": it.overhead_us,
        "waited_us": it.waited_us,
        "request_bytes": it.request_bytes,
        "response_bytes": it.response_bytes,
        "events": it.events,
        "tokens": tokens(it.tokens),
        "cost_nano_usd": it.cost_nano_usd,
        "saved_nano_usd": it.saved_nano_usd,
        "moved_nano_usd": it.moved_nano_usd,
        "stop_reason": it.stop_reason,
        "outcome": it.outcome,
        "error_type": it.error_type,
        "affinity": it.affinity,
        "budget": it.budget,
        "upstream_request_id": it.upstream_request_id,
        "trace_id": it.trace_id,
        "thinking_removed": it.thinking_removed,
        "left_out": it.left_out,
    })
}

fn sums(it: Option<v1::Sums>) -> Value {
    it.map_or(Value::Null, |it| {
        json!({
            "requests": it.requests,
            "failed": it.failed,
            "unpriced": it.unpriced,
            "input": it.input,
            "cache_read": it.cache_read,
            "cache_write": it.cache_write,
            "output": it.output,
            "cost_nano_usd": it.cost_nano_usd,
            "saved_nano_usd": it.saved_nano_usd,
            "moves": it.moves,
            "moved_nano_usd": it.moved_nano_usd,
        })
    })
}

fn branch(it: &Branch<'_>) -> Value {
    let agent = |it: &v1::Agent| {
        json!({
            "id": it.id,
            "parent": it.parent,
            "model": it.model,
            "sums": sums(it.sums),
            "live": it.live,
            "first_unix_ms": it.first_unix_ms,
            "last_unix_ms": it.last_unix_ms,
        })
    };
    if let Some(it) = it.agent {
        return agent(it);
    }
    let session = it.session;
    let agents: Vec<Value> = session.agents.iter().map(agent).collect();
    json!({
        "id": session.id,
        "provider": session.provider,
        "key": session.key,
        "warm_for_ms": session.warm_for_ms,
        "first_unix_ms": session.first_unix_ms,
        "last_unix_ms": session.last_unix_ms,
        "sums": sums(session.sums),
        "agents": agents,
        "live": session.live,
        "moved": session.moved,
    })
}

fn key(it: &v1::Key) -> Value {
    let limits = |it: Option<v1::KeyLimits>| {
        it.map_or(
            Value::Null,
            |it| json!({"rpm": it.rpm, "tpm": it.tpm, "itpm": it.itpm, "otpm": it.otpm}),
        )
    };
    json!({
        "provider": it.provider,
        "name": it.name,
        "id": it.id,
        "last_four": it.last_four,
        "source": it.source,
        "state": word(it.state().as_str_name(), "KEY_STATE_"),
        "why": it.why,
        "cools_for_ms": it.cools_for_ms,
        "in_flight": it.in_flight,
        "limits": limits(it.limits),
        "used": limits(it.used),
        "capacity_percent": it.capacity_percent,
        "weight": it.weight,
        "priority": it.priority,
        "added": it.added,
        "organisation": it.organisation,
    })
}

fn event(it: &v1::Event) -> Value {
    let mut fields: Vec<(&String, &String)> = it.fields.iter().collect();
    fields.sort();
    let fields: serde_json::Map<String, Value> = fields
        .into_iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    json!({
        "unix_ms": it.unix_ms,
        "level": word(it.level().as_str_name(), "LEVEL_"),
        "name": it.name,
        "message": it.message,
        "fields": fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_the_time() {
        for (unix, name) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (951_868_800, "20000301T000000Z"),
            (1_795_356_132, "20261122T140212Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(stamp(Duration::from_secs(unix)), name);
        }
    }

    #[test]
    fn a_row_in_a_line_has_what_is_known() {
        let value = json!({"a": "b", "c": null, "d": "e f", "g": [], "h": 1, "i": ""});
        assert_eq!(in_a_line(&value), "a=b d=\"e f\" h=1");
    }
}
