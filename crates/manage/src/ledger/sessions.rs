//! Sessions that were seen lately, with their agents.
//!
//! In: records of ended requests. Out: sums by session and by agent. There are at most so many of
//! both; those unused for longest go first.

use std::collections::HashMap;
use std::time::Duration;

use relay_api::v1;
use relay_core::record::RequestRecord;

use super::traffic::{failed, unpriced};

/// Sessions that are known at most.
pub(crate) const MOST: usize = 10_000;
/// Agents of one session that are told apart; what further ones do counts for the session alone.
const MOST_AGENTS: usize = 256;

/// What is known of a session.
#[derive(Debug, Default)]
pub(crate) struct Session {
    pub(crate) first: Duration,
    pub(crate) last: Duration,
    pub(crate) provider: String,
    pub(crate) key: String,
    pub(crate) model: String,
    pub(crate) project: String,
    pub(crate) sums: v1::Sums,
    pub(crate) agents: Vec<v1::Agent>,
    /// How it moved last.
    pub(crate) moved: String,
}

/// All that were seen lately.
#[derive(Debug, Default)]
pub(crate) struct Sessions(HashMap<Box<str>, Session>);

impl Sessions {
    /// Takes a request that ended.
    pub(crate) fn add(&mut self, record: &RequestRecord, ended: Duration) {
        let Some(name) = &record.session else { return };
        if !self.0.contains_key(name.as_str()) && self.0.len() >= MOST {
            self.forget();
        }
        let session = self.0.entry(name.as_str().into()).or_default();
        if session.sums.requests == 0 {
            session.first = record.started;
        }
        session.last = ended;
        if let (true, Some(target)) = (record.answered, &record.target) {
            let moved = record.affinity == Some("moved");
            if moved && session.provider != target.as_str() {
                session.moved = move_of(&session.provider, record);
            }
            target.as_str().clone_into(&mut session.provider);
            session.key = record
                .key
                .as_ref()
                .map_or_else(String::new, |key| key.name.to_string());
        }
        if let Some(model) = &record.model {
            model.as_str().clone_into(&mut session.model);
        }
        if let Some(project) = &record.project {
            project.as_str().clone_into(&mut session.project);
        }
        add(&mut session.sums, record);
        session.add_agent(record, ended);
    }

    /// Forgets a sixteenth, those unused for longest.
    fn forget(&mut self) {
        let mut ages: Vec<Duration> = self.0.values().map(|session| session.last).collect();
        ages.sort_unstable();
        let Some(oldest) = ages.get(MOST / 16).copied() else {
            return;
        };
        self.0.retain(|_, session| session.last > oldest);
    }

    #[cfg(test)]
    fn get(&self, name: &str) -> Option<&Session> {
        self.0.get(name)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the last used first, at most so many.
    pub(crate) fn list(&self, limit: usize) -> Vec<(&str, &Session)> {
        let mut list: Vec<(&str, &Session)> = self
            .0
            .iter()
            .map(|(name, session)| (&**name, session))
            .collect();
        list.sort_unstable_by(|one, two| two.1.last.cmp(&one.1.last).then(one.0.cmp(two.0)));
        list.truncate(limit);
        list
    }
}

impl Session {
    fn add_agent(&mut self, record: &RequestRecord, ended: Duration) {
        let id = record.agent.as_deref().unwrap_or_default();
        let place = match self.agents.iter().position(|agent| agent.id == id) {
            Some(place) => place,
            None if self.agents.len() >= MOST_AGENTS => return,
            None => {
                self.agents.push(v1::Agent {
                    id: id.to_owned(),
                    parent: record
                        .parent_agent
                        .as_deref()
                        .unwrap_or_default()
                        .to_owned(),
                    first_unix_ms: millis(record.started),
                    ..v1::Agent::default()
                });
                self.agents.len().saturating_sub(1)
            }
        };
        let Some(agent) = self.agents.get_mut(place) else {
            return;
        };
        if let Some(model) = &record.model {
            model.as_str().clone_into(&mut agent.model);
        }
        agent.last_unix_ms = millis(ended);
        add(agent.sums.get_or_insert_default(), record);
    }
}

fn move_of(from: &str, record: &RequestRecord) -> String {
    let to = record.target.as_ref().map_or("", |target| target.as_str());
    let from = if from.is_empty() { "elsewhere" } else { from };
    let cost = record
        .moved
        .map_or_else(String::new, |cost| format!(", cost {cost}"));
    format!("{from} -> {to}{cost}")
}

fn add(sums: &mut v1::Sums, record: &RequestRecord) {
    let usage = &record.usage;
    let money = |it: Option<relay_core::price::Money>| {
        it.map_or(0, relay_core::price::Money::as_nano_dollars)
    };
    let moved = matches!(record.affinity, Some("moved" | "borrowed"));
    let pairs = [
        (&mut sums.requests, 1),
        (&mut sums.failed, u64::from(failed(record))),
        (&mut sums.unpriced, u64::from(unpriced(record))),
        (&mut sums.input, usage.input_tokens.unwrap_or(0)),
        (
            &mut sums.cache_read,
            usage.cache_read_input_tokens.unwrap_or(0),
        ),
        (
            &mut sums.cache_write,
            usage.cache_creation_input_tokens.unwrap_or(0),
        ),
        (&mut sums.output, usage.output_tokens.unwrap_or(0)),
        (&mut sums.cost_nano_usd, money(record.cost)),
        (&mut sums.saved_nano_usd, money(record.saved)),
        (&mut sums.moves, u64::from(moved)),
        (&mut sums.moved_nano_usd, money(record.moved)),
    ];
    for (sum, more) in pairs {
        *sum = sum.saturating_add(more);
    }
}

/// Returns whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay_core::request::SessionId;

    fn record(session: &str, agent: Option<&str>) -> RequestRecord {
        let begun =
            RequestRecord::begun("r".into(), http::Method::POST, "/", Duration::from_secs(5));
        RequestRecord {
            session: SessionId::new(session),
            agent: agent.map(Into::into),
            ..begun
        }
    }

    #[test]
    fn agents_stand_in_their_session() {
        let mut sessions = Sessions::default();
        sessions.add(&record("s", None), Duration::from_secs(6));
        sessions.add(&record("s", Some("a")), Duration::from_secs(7));
        sessions.add(&record("s", Some("a")), Duration::from_secs(8));
        sessions.add(&record("t", None), Duration::from_secs(9));
        let names: Vec<&str> = sessions.list(9).iter().map(|it| it.0).collect();
        assert_eq!(names, ["t", "s"]);
        let session = sessions.get("s").unwrap();
        let agents: Vec<(&str, u64)> = session
            .agents
            .iter()
            .map(|it| (it.id.as_str(), it.sums.unwrap().requests))
            .collect();
        assert_eq!(
            (session.sums.requests, agents),
            (3, vec![("", 1), ("a", 2)])
        );
    }

    #[test]
    fn there_are_never_more_than_so_many_and_the_newest_stay() {
        let mut sessions = Sessions::default();
        for number in 0..MOST + 10 {
            let ended = Duration::from_secs(u64::try_from(number).unwrap());
            sessions.add(&record(&format!("s{number}"), None), ended);
            assert!(sessions.len() <= MOST);
        }
        assert!(sessions.get("s0").is_none());
        assert!(sessions.get(&format!("s{}", MOST + 9)).is_some());
        for number in 0..MOST_AGENTS + 10 {
            sessions.add(
                &record("many", Some(&format!("a{number}"))),
                Duration::from_secs(99_999),
            );
        }
        assert_eq!(sessions.get("many").unwrap().agents.len(), MOST_AGENTS);
    }
}
