//! The rows of each list: which there are, how they are named, which is selected.

use relay_api::v1;

use super::filter::{self, Facts};
use super::sort::List;
use super::{Place, State};

/// Stands between the names of a session and its agent: in neither.
const BETWEEN: char = '\u{1f}';

/// Names a request among all.
pub(crate) fn row_of(request: &v1::Request) -> String {
    format!("{}@{}", request.id, request.started_unix_ms)
}

/// Names a key among all.
pub(super) fn key_name(key: &v1::Key) -> String {
    format!("{}/{}", key.provider, key.name)
}

/// A row of the sessions: a session, or an agent of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Branch<'a> {
    pub(crate) session: &'a v1::Session,
    pub(crate) agent: Option<&'a v1::Agent>,
    /// Whether no agent of the session comes below.
    pub(crate) is_last: bool,
    /// Whether its agents are shown; `None` where there are none to show.
    pub(crate) is_open: Option<bool>,
}

impl Branch<'_> {
    fn name(&self) -> String {
        let id = &self.session.id;
        self.agent
            .map_or_else(|| id.clone(), |agent| format!("{id}{BETWEEN}{}", agent.id))
    }
}

impl State {
    /// Returns the requests that the filter lets through.
    pub(crate) fn shown_requests(&self) -> Vec<&v1::Request> {
        let filter = self.filter();
        let requests = self.requests.iter();
        let found = requests.filter(|it| filter::matches(filter, &request(it)));
        self.in_order(List::Requests, found.collect(), |it| row_of(it))
    }

    pub(crate) fn providers(&self) -> Vec<&v1::ProviderStats> {
        let all = self.stats.iter().flat_map(|stats| &stats.providers);
        self.in_order(List::Providers, all.collect(), |it| {
            it.provider
                .as_ref()
                .map_or_else(String::new, |it| it.name.clone())
        })
    }

    /// Returns the keys that the filter lets through, by provider.
    pub(crate) fn keys(&self) -> Vec<&v1::Key> {
        let all = self.stats.iter().flat_map(|stats| &stats.keys);
        let filter = self.filter();
        let mut keys: Vec<&v1::Key> = all.filter(|it| filter::matches(filter, &key(it))).collect();
        keys.sort_by(|one, two| (&one.provider, &one.name).cmp(&(&two.provider, &two.name)));
        self.in_order(List::Keys, keys, |it| key_name(it))
    }

    /// Returns the events that the filter lets through with their names, the newest first.
    pub(crate) fn shown_events(&self) -> Vec<(u64, &v1::Event)> {
        let names = (0..=self.events_seen).rev();
        let filter = self.filter();
        let found = names
            .zip(&self.events)
            .filter(|(_, it)| filter::matches(filter, &event(it)));
        found.collect()
    }

    /// Returns the sessions that the filter lets through, with the agents of those that are open.
    pub(crate) fn tree(&self) -> Vec<Branch<'_>> {
        let filter = self.filter();
        let sessions = self.sessions.iter();
        let found = sessions.filter(|it| filter::matches(filter, &session(it)));
        let sessions = self.in_order(List::Sessions, found.collect(), |it| it.id.clone());
        let mut rows = Vec::new();
        for session in sessions {
            // One agent is the session itself.
            let has_agents = session.agents.len() > 1;
            let is_open = has_agents.then(|| !self.folded.contains(&session.id));
            rows.push(Branch {
                session,
                agent: None,
                is_last: false,
                is_open,
            });
            if is_open != Some(true) {
                continue;
            }
            let last = session.agents.len().saturating_sub(1);
            rows.extend((0..).zip(&session.agents).map(|(place, agent)| Branch {
                session,
                agent: Some(agent),
                is_last: place == last,
                is_open: None,
            }));
        }
        rows
    }

    /// Returns the session or agent that is selected.
    pub(crate) fn branch(&self) -> Option<Branch<'_>> {
        self.tree().get(self.place()).copied()
    }

    /// Shows the agents of the selected session, or does not.
    pub(super) fn fold(&mut self, open: bool) {
        let Some(id) = self.branch().map(|it| it.session.id.clone()) else {
            return;
        };
        if open {
            self.folded.remove(&id);
        } else {
            self.selected = Some(id.clone());
            self.folded.insert(id);
        }
    }

    /// Returns the names of the rows that can be selected here.
    pub(crate) fn rows(&self) -> Vec<String> {
        match self.place_in_view() {
            Place::Providers => {
                let named = self.providers().into_iter();
                let named = named.filter_map(|it| it.provider.as_ref());
                named.map(|it| it.name.clone()).collect()
            }
            Place::Recent | Place::Requests | Place::Request => {
                self.shown_requests().iter().map(|it| row_of(it)).collect()
            }
            Place::Sessions => self.tree().iter().map(Branch::name).collect(),
            Place::Keys => self.keys().iter().map(|it| key_name(it)).collect(),
            Place::Events => {
                let events = self.shown_events();
                events.iter().map(|(name, _)| name.to_string()).collect()
            }
            Place::Config => (0..self.config_lines().len())
                .map(|it| it.to_string())
                .collect(),
            Place::Reader => Vec::new(),
        }
    }

    /// Returns the name of the selected row.
    pub(crate) fn row(&self) -> Option<String> {
        self.rows().get(self.place()).cloned()
    }

    pub(crate) fn config_lines(&self) -> Vec<String> {
        let Some(config) = &self.config else {
            return Vec::new();
        };
        let mut lines: Vec<String> = Vec::new();
        if let Some(refused) = &config.refused {
            lines.push(format!(
                "! refused, the one before stays in force: {refused}"
            ));
        }
        lines.extend(
            config
                .overrides
                .iter()
                .map(|it| format!("! changed while it runs: {it}")),
        );
        if config.text.is_empty() {
            lines.push("no file: every client's own credential is passed on".to_owned());
        }
        lines.extend(config.text.lines().map(ToOwned::to_owned));
        lines
    }

    /// Returns the place of the selected row: the first one where none is.
    pub(crate) fn place(&self) -> usize {
        let Some(name) = &self.selected else { return 0 };
        let rows = self.rows();
        rows.iter().position(|row| row == name).unwrap_or(0)
    }

    /// Returns the request that is open.
    pub(crate) fn open_request(&self) -> Option<&v1::Request> {
        let name = self.opened.as_ref()?;
        self.requests.iter().find(|it| row_of(it) == *name)
    }

    /// Returns the request that is selected or open.
    pub(crate) fn chosen_request(&self) -> Option<&v1::Request> {
        let selected = || self.shown_requests().get(self.place()).copied();
        self.open_request().or_else(selected)
    }

    /// Says what is wrong with the filter.
    pub(crate) fn filter_fault(&self) -> Option<String> {
        filter::fault(self.filter())
    }

    /// Goes to the next row that the filter finds, or the one before: past the end to the start.
    pub(super) fn go_to_match(&mut self, forward: bool) {
        let filter = self.filter().to_lowercase();
        if filter.is_empty() {
            self.say(Err("nothing is looked for: / says what".to_owned()));
            return;
        }
        let rows = self.rows();
        let is_match: Vec<bool> = if self.location() == Place::Config {
            let lines = self.config_lines();
            let found = lines.iter().map(|it| it.to_lowercase().contains(&filter));
            found.collect()
        } else {
            vec![true; rows.len()]
        };
        let here = self.place();
        let found = |place: &usize| is_match.get(*place) == Some(&true);
        let after = here.saturating_add(1)..rows.len();
        let next = if forward {
            after.chain(0..here).find(found)
        } else {
            (0..here).rev().chain(after.rev()).find(found)
        };
        match next.and_then(|place| rows.get(place)) {
            Some(row) => self.selected = Some(row.clone()),
            None if is_match.get(here) == Some(&true) => {}
            None => self.say(Err(format!("nothing here has {filter}"))),
        }
    }
}

/// Brings a count into the numbers that are compared; what is seen of it is exact.
fn near(count: u64, unit: f64) -> f64 {
    let (high, low) = (count / 1_000_000, count % 1_000_000);
    let part = |it: u64| u32::try_from(it).map_or(f64::MAX, f64::from);
    (part(high) * 1_000_000.0 + part(low)) / unit
}

fn request(it: &v1::Request) -> Facts<'_> {
    Facts {
        texts: vec![
            ("id", &it.id),
            ("provider", &it.provider),
            ("model", &it.model),
            ("session", &it.session),
            ("agent", &it.agent),
            ("key", &it.key),
            ("outcome", &it.outcome),
            ("error", &it.error_type),
        ],
        numbers: vec![
            ("status", it.status.map(f64::from)),
            ("slow", Some(near(it.duration_us, 1e6))),
            ("ttfe", it.time_to_first_event_us.map(|it| near(it, 1e6))),
            ("cost", it.cost_nano_usd.map(|it| near(it, 1e9))),
        ],
        marks: vec![("hop", !it.attempts.is_empty())],
    }
}

fn session(it: &v1::Session) -> Facts<'_> {
    let mut texts: Vec<(&'static str, &str)> = vec![
        ("session", &it.id),
        ("provider", &it.provider),
        ("key", &it.key),
    ];
    for agent in &it.agents {
        texts.extend([("agent", agent.id.as_str()), ("model", &agent.model)]);
    }
    let cost = it.sums.map(|it| near(it.cost_nano_usd, 1e9));
    Facts {
        texts,
        numbers: vec![("cost", cost)],
        marks: vec![("hop", !it.moved.is_empty())],
    }
}

fn key(it: &v1::Key) -> Facts<'_> {
    let state = match it.state() {
        v1::KeyState::Ok => "ok",
        v1::KeyState::Cooling => "cool",
        v1::KeyState::Off => "off",
        v1::KeyState::Unspecified => "",
    };
    Facts {
        texts: vec![
            ("provider", &it.provider),
            ("key", &it.name),
            ("state", state),
            ("why", &it.why),
        ],
        ..Facts::default()
    }
}

fn event(it: &v1::Event) -> Facts<'_> {
    let level = match it.level() {
        v1::Level::Error => "error",
        v1::Level::Warn => "warn",
        v1::Level::Info => "info",
        v1::Level::Debug | v1::Level::Unspecified => "debug",
    };
    let mut texts: Vec<(&'static str, &str)> =
        vec![("name", &it.name), ("level", level), ("what", &it.message)];
    for name in ["provider", "key", "session", "model", "agent"] {
        texts.extend(it.fields.get(name).map(|it| (name, it.as_str())));
    }
    texts.extend(it.fields.values().map(|it| ("field", it.as_str())));
    Facts {
        texts,
        ..Facts::default()
    }
}
