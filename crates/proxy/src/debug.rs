//! Headers that say how an answer came about, where `routing.debug` asks for them.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use relay_core::snapshot::Snapshot;

use crate::finish::Exchange;

/// Returns the headers; none where they are switched off. They name keys by their digests alone.
pub(crate) fn told(snapshot: &Snapshot, exchange: &Exchange) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(record) = exchange.record().filter(|_| snapshot.routing.debug) else {
        return headers;
    };
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
    let now = exchange.now();
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
