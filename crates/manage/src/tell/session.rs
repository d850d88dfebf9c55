//! Sessions as messages: what they used, and where they live.

use std::collections::HashMap;
use std::time::Duration;

use relay_api::v1;
use relay_core::affinity::SessionState;
use relay_core::affinity::key::SessionKey;
use relay_core::request::SessionId;

use super::Place;
use crate::ledger::{Session, millis};

/// Tells of the sessions that were used last.
pub(crate) fn sessions(place: &Place<'_>, limit: usize) -> Vec<v1::Session> {
    let states = place.witness.board().affinity.sessions(place.now);
    // The last used model comes first, and counts.
    let mut homes: HashMap<SessionKey, &SessionState> = HashMap::new();
    for state in &states {
        homes.entry(state.session).or_insert(state);
    }
    let mut live: HashMap<(String, String), u32> = HashMap::new();
    for glance in place.witness.underway() {
        let record = glance.record;
        if let Some(session) = record.session {
            let agent = record.agent.as_deref().unwrap_or_default().to_owned();
            let count = live
                .entry((session.as_str().to_owned(), agent))
                .or_default();
            *count = count.saturating_add(1);
        }
    }
    let list = place.books.sessions.list(limit);
    let told = list.into_iter().map(|(name, session)| {
        let key = SessionId::new(name).map(|id| SessionKey::of(&id));
        let home = key.and_then(|key| homes.get(&key).copied());
        of(place, (name, session), home, &live)
    });
    told.collect()
}

fn of(
    place: &Place<'_>,
    (name, session): (&str, &Session),
    home: Option<&SessionState>,
    live: &HashMap<(String, String), u32>,
) -> v1::Session {
    let mut agents = session.agents.clone();
    for agent in &mut agents {
        let key = (name.to_owned(), agent.id.clone());
        agent.live = live.get(&key).copied().unwrap_or(0);
    }
    let mut told = v1::Session {
        id: name.to_owned(),
        provider: session.provider.clone(),
        key: session.key.clone(),
        warm_for_ms: None,
        first_unix_ms: millis(session.first),
        last_unix_ms: millis(session.last),
        sums: Some(session.sums),
        live: agents
            .iter()
            .fold(0, |sum, agent| sum.saturating_add(agent.live)),
        agents,
        moved: session.moved.clone(),
        project: session.project.clone(),
    };
    if let Some(home) = home {
        told.provider = home.home.target.to_string();
        told.key = key_name(place, home).unwrap_or_default();
        told.warm_for_ms = (home.warm_for > Duration::ZERO).then(|| millis(home.warm_for));
    }
    told
}

/// Returns how the file calls the key of a home.
fn key_name(place: &Place<'_>, home: &SessionState) -> Option<String> {
    let id = home.home.key?;
    let plans = place.situation.plan.providers.iter();
    let mut keys = plans
        .filter(|plan| plan.name == home.home.target.as_str())
        .flat_map(|plan| &plan.keys);
    keys.find(|key| key.secret.id() == id)
        .map(|key| key.name.clone())
}
