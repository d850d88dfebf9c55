//! A request as a message.

use relay_api::v1;
use relay_core::project::ProjectName;
use relay_core::record::{Attempt, RequestRecord};
use relay_core::request::{ModelName, SessionId};
use relay_core::snapshot::TargetId;
use relay_core::usage::Usage;
use relay_proxy::Glance;

use super::{count, micros};
use crate::ledger::millis;

/// Tells of a request that has ended.
pub(crate) fn ended(record: &RequestRecord) -> v1::Request {
    let mut request = told(record);
    request.set_phase(v1::Phase::Ended);
    record.outcome.name().clone_into(&mut request.outcome);
    request
}

/// Tells of a request under way.
pub(crate) fn underway(glance: &Glance) -> v1::Request {
    let record = &glance.record;
    let mut request = told(record);
    let has_begun = record.response_bytes > 0 || record.status.is_some();
    request.set_phase(match (&record.last, has_begun) {
        (_, true) => v1::Phase::Streaming,
        (Some(_), false) => v1::Phase::Sent,
        (None, false) => v1::Phase::Waiting,
    });
    request.silent_us = glance.silent.map(micros);
    request
}

fn told(record: &RequestRecord) -> v1::Request {
    let name = |name: Option<&str>| name.unwrap_or_default().to_owned();
    let text = |text: &Option<Box<str>>| name(text.as_deref());
    let money =
        |it: Option<relay_core::price::Money>| it.map(relay_core::price::Money::as_nano_dollars);
    let trace_id = record
        .trace
        .map_or_else(String::new, |trace| trace.id.to_string());
    v1::Request {
        id: record.request_id.to_string(),
        started_unix_ms: millis(record.started),
        phase: 0,
        method: record.method.to_string(),
        path: record.path.to_string(),
        model: name(record.model.as_ref().map(ModelName::as_str)),
        response_model: text(&record.response_model),
        session: name(record.session.as_ref().map(SessionId::as_str)),
        agent: text(&record.agent),
        parent_agent: text(&record.parent_agent),
        client: name(record.client.as_deref()),
        provider: name(record.target.as_ref().map(TargetId::as_str)),
        key: name(record.key.as_ref().map(|key| &*key.name)),
        attempts: record.attempts.iter().map(attempt).collect(),
        status: record.status.map(u32::from),
        stream: record.stream,
        sent_us: record.last.as_ref().map(|last| micros(last.began)),
        time_to_head_us: record.time_to_head.map(micros),
        time_to_first_event_us: record.time_to_first_event.map(micros),
        longest_gap_us: record.longest_gap.map(micros),
        silent_us: None,
        duration_us: micros(record.duration),
        overhead_us: micros(record.overhead),
        waited_us: micros(record.waited),
        request_bytes: record.request_bytes,
        response_bytes: record.response_bytes,
        events: record.events,
        tokens: Some(tokens(&record.usage)),
        cost_nano_usd: money(record.cost),
        saved_nano_usd: money(record.saved),
        moved_nano_usd: money(record.moved),
        stop_reason: text(&record.stop_reason),
        outcome: String::new(),
        error_type: text(&record.error_type),
        affinity: name(record.affinity),
        budget: name(record.budget.as_deref()),
        upstream_request_id: text(&record.upstream_request_id),
        trace_id,
        thinking_removed: count(record.thinking_removed),
        project: name(record.project.as_ref().map(ProjectName::as_str)),
        left_out: record.left_out.iter().map(ToString::to_string).collect(),
    }
}

fn tokens(usage: &Usage) -> v1::Tokens {
    v1::Tokens {
        input: usage.input_tokens,
        cache_read: usage.cache_read_input_tokens,
        cache_write: usage.cache_creation_input_tokens,
        output: usage.output_tokens,
    }
}

fn attempt(attempt: &Attempt) -> v1::Attempt {
    v1::Attempt {
        provider: attempt.target.to_string(),
        key: attempt
            .key
            .as_ref()
            .map_or_else(String::new, |key| key.name.to_string()),
        status: attempt.status.map(u32::from),
        reason: attempt.reason.to_owned(),
        began_us: micros(attempt.began),
        took_us: micros(attempt.took),
    }
}
