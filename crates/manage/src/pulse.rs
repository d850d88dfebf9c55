//! Says what changes by itself: circuits that open and close, keys that cool, requests that went on.
//!
//! In: the state of the relay and what has ended, once a second. Out: events. Circuits and keys are
//! told in the log too; requests have a line of their own there. What opens and closes between two
//! looks is not told: the metrics count it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use relay_api::v1;
use relay_core::breaker::BreakerState;
use relay_core::moment::Moment;
use relay_core::record::RequestRecord;
use relay_core::snapshot::Target;
use relay_proxy::Witness;
use tracing::{info, warn};

use crate::events::Events;
use crate::ledger::{Ledger, millis};

/// What was told last.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    circuits: HashMap<String, Circuit>,
    /// Keys that cool, by provider and name.
    cooling: HashSet<(String, String)>,
    next: u64,
}

/// How a circuit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Circuit {
    #[default]
    Closed,
    HalfOpen,
    Open,
}

impl Pulse {
    /// Looks once.
    pub(crate) fn look(&mut self, witness: &Witness, ledger: &Ledger, events: &Events) {
        let settings = witness.settings();
        let now = witness.now();
        let targets = &settings.snapshot.targets;
        self.circuits
            .retain(|name, _| targets.iter().any(|it| it.id.as_str() == name));
        self.cooling
            .retain(|(name, _)| targets.iter().any(|it| it.id.as_str() == name));
        for target in targets {
            self.circuit(target, now);
            self.keys(target, now);
        }
        let (over, next) = ledger.books().since(self.next);
        self.next = next;
        for record in over {
            for event in told(&record) {
                events.push(event);
            }
        }
    }

    fn circuit(&mut self, target: &Target, now: Moment) {
        let provider = target.id.as_str();
        let state = target.station.breaker.state(now);
        let is = match state {
            BreakerState::Closed => Circuit::Closed,
            BreakerState::HalfOpen => Circuit::HalfOpen,
            BreakerState::Open { .. } => Circuit::Open,
        };
        let was = self
            .circuits
            .insert(provider.to_owned(), is)
            .unwrap_or_default();
        if was == is {
            return;
        }
        match state {
            BreakerState::Open { until } => {
                let tried_in_s = until.since(now).as_secs();
                warn!(provider, tried_in_s, "circuit.open");
            }
            BreakerState::HalfOpen => info!(provider, "circuit.probing"),
            BreakerState::Closed => info!(provider, "circuit.closed"),
        }
    }

    fn keys(&mut self, target: &Target, now: Moment) {
        let provider = target.id.as_str();
        for state in target.station.keys.states(now) {
            let (key, place) = (&*state.name, (provider.to_owned(), state.name.to_string()));
            match (state.parked_until, self.cooling.contains(&place)) {
                (Some(until), false) => {
                    let for_s = until.since(now).as_secs();
                    let why = state.parked_for;
                    info!(provider, key, why, for_s, "key.cools");
                    self.cooling.insert(place);
                }
                (None, true) => {
                    info!(provider, key, "key.serves");
                    self.cooling.remove(&place);
                }
                (Some(_), true) | (None, false) => {}
            }
        }
    }
}

/// Tells of a request what is not as it should be: that it went on, or that its session moved.
fn told(record: &Arc<RequestRecord>) -> Vec<v1::Event> {
    let ended = millis(record.started.saturating_add(record.duration));
    let event = |name: &str, level: v1::Level, message: String| v1::Event {
        unix_ms: ended,
        level: level.into(),
        name: name.to_owned(),
        message,
        fields: HashMap::from([("request".to_owned(), record.request_id.to_string())]),
    };
    let to = record.target.as_ref().map_or("", |target| target.as_str());
    let mut events = Vec::new();
    for attempt in &record.attempts {
        let from = attempt.key.as_ref().map_or_else(
            || attempt.target.to_string(),
            |key| format!("{}/{}", attempt.target, key.name),
        );
        let status = attempt
            .status
            .map_or_else(String::new, |status| format!(" {status}"));
        let then = if record.answered {
            format!("{to} answered")
        } else {
            "nobody answered".to_owned()
        };
        let message = format!(
            "request.hop {} {from}{status} {}: {then}",
            record.request_id, attempt.reason
        );
        events.push(event("request.hop", v1::Level::Info, message));
    }
    if let (Some("moved"), Some(session)) = (record.affinity, &record.session) {
        let cost = record
            .moved
            .map_or_else(String::new, |cost| format!(", cost {cost}"));
        let message = format!("session.moved {} to {to}{cost}", session.as_str());
        events.push(event("session.moved", v1::Level::Info, message));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay_core::record::Attempt;
    use relay_core::request::SessionId;
    use relay_core::snapshot::{Origin, TargetId};
    use std::time::Duration;

    #[test]
    fn a_hop_and_a_move_are_told_and_a_plain_request_is_not() {
        let begun = || {
            RequestRecord::begun(
                "r-1".into(),
                http::Method::POST,
                "/",
                Duration::from_secs(1),
            )
        };
        assert!(told(&Arc::new(begun())).is_empty());
        let attempt = Attempt {
            target: TargetId::new("first"),
            key: None,
            status: Some(529),
            reason: "overloaded",
            began: Duration::ZERO,
            took: Duration::ZERO,
            span: None,
            origin: Arc::new(Origin {
                vendor: "anthropic",
                host: "h".into(),
                port: 1,
            }),
        };
        let record = RequestRecord {
            attempts: vec![attempt],
            target: Some(TargetId::new("second")),
            answered: true,
            affinity: Some("moved"),
            session: SessionId::new("s-1"),
            ..begun()
        };
        let messages: Vec<String> = told(&Arc::new(record))
            .into_iter()
            .map(|it| it.message)
            .collect();
        assert_eq!(
            messages,
            [
                "request.hop r-1 first 529 overloaded: second answered",
                "session.moved s-1 to second"
            ]
        );
    }
}
