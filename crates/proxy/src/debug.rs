//! Headers that say how an answer came about, where `routing.debug` asks for them.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use relay_core::moment::Moment;
use relay_core::record::RequestRecord;
use relay_core::snapshot::Snapshot;

use crate::finish::Exchange;

/// Returns the headers; none where they are switched off. They name keys by their digests alone.
pub(crate) fn told(snapshot: &Snapshot, exchange: &Exchange) -> HeaderMap {
    if !snapshot.routing.debug {
        return HeaderMap::new();
    }
    let headers = exchange.look(|record| of(snapshot, record, exchange.now()));
    headers.unwrap_or_default()
}

fn of(snapshot: &Snapshot, record: &RequestRecord, now: Moment) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut tell = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    tell("x-cc-relay-strategy", snapshot.routing.kind.name());
    let answered = usize::from(record.time_to_head.is_some());
    let attempts = record.attempts.len().saturating_add(answered);
    tell("x-cc-relay-attempts", &attempts.to_string());
    if let Some(affinity) = record.affinity {
        tell("x-cc-relay-affinity", affinity);
    }
    let Some(id) = &record.target else {
        return headers;
    };
    tell("x-cc-relay-provider", id.as_str());
    let Some(target) = snapshot.targets.iter().find(|target| target.id == *id) else {
        return headers;
    };
    tell("x-cc-relay-health", target.station.health(now).name());
    if let Some(key) = &record.key {
        tell("x-cc-relay-key-id", key.id.as_str());
        let states = target.station.keys.states(now);
        if let Some(state) = states.iter().find(|state| state.id == key.id) {
            tell(
                "x-cc-relay-key-capacity",
                &format!("{}%", state.capacity_percent),
            );
        }
    }
    headers
}
