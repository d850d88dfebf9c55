//! What is known and shown, and what a key does to it.
//!
//! In: updates from the link, keys, the time. Out: another state, and what is to be done beyond it.
//! Everything that is kept is bounded. It must never read a clock or speak with anybody.

mod filter;
mod input;

use std::collections::VecDeque;
use std::time::Duration;

use relay_api::v1;

use crate::theme::Palette;

pub(crate) use filter::{matches, row_of};
pub(crate) use input::{Dialog, Input, InputKind};

/// Requests and events that are kept.
const KEPT: usize = 1_000;
/// How long a note is shown.
const NOTE: Duration = Duration::from_secs(4);

/// The views, in the order of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum View {
    #[default]
    Overview,
    Sessions,
    Requests,
    Keys,
    Events,
    Config,
}

impl View {
    pub(crate) const ALL: [Self; 6] = [
        Self::Overview,
        Self::Sessions,
        Self::Requests,
        Self::Keys,
        Self::Events,
        Self::Config,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Sessions => "Sessions",
            Self::Requests => "Requests",
            Self::Keys => "Keys",
            Self::Events => "Events",
            Self::Config => "Config",
        }
    }
}

/// How the relay is reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Link {
    /// Not yet.
    #[default]
    Dialing,
    /// It answers.
    Live,
    /// It has not said anything for a while.
    Stale {
        /// Since when, as time since the Unix epoch.
        since: Duration,
    },
    /// It does not answer.
    Lost {
        /// Since when.
        since: Duration,
        /// When it is tried again; `None` for not by itself.
        next: Option<Duration>,
        /// Why, in words.
        why: String,
    },
}

/// What is to be changed in the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A provider is switched.
    Provider {
        /// Its name.
        name: String,
        /// On or off.
        enabled: bool,
    },
    /// A key is switched.
    Key {
        /// Whose.
        provider: String,
        /// Its name.
        name: String,
        /// On or off.
        enabled: bool,
    },
    /// A cooldown ends, or a circuit closes.
    Reset {
        /// Whose.
        provider: String,
        /// Which key; empty for the circuit.
        key: String,
    },
    /// Another strategy.
    Route(String),
    /// A session's home is forgotten.
    Unpin(String),
}

/// What is to be done beyond the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Todo {
    /// Ask what would follow.
    Consider(Wish),
    /// Do it.
    Make(Wish),
    /// Have the configuration read again.
    Reload,
    /// Ask for the sessions.
    Sessions,
    /// Ask for the configuration.
    Config,
    /// Ask for the strategies.
    Strategies,
    /// Try to reach the relay now.
    Dial,
    /// Have rates of so many seconds.
    Window(u32),
    /// Put a text where the terminal pastes from.
    Copy(String),
    /// Draw in other colours.
    Theme(Palette),
    /// End.
    Quit,
}

/// What the link tells.
#[derive(Debug, Clone)]
pub enum Update {
    /// How the relay is reached.
    Link(Link),
    /// The state of the relay, and the name of its run.
    Stats(Box<v1::Stats>, String),
    /// Something happened to a request.
    Request(Box<v1::Request>),
    /// An event.
    Event(v1::Event),
    /// The sessions.
    Sessions(Vec<v1::Session>),
    /// The configuration.
    Config(Box<v1::GetConfigResponse>),
    /// All strategies.
    Strategies(v1::GetRoutingStrategyResponse),
    /// What would follow from a wish.
    Considered(Wish, v1::Change),
    /// What came of something: well or not, in words.
    Done(Result<String, String>),
    /// What came of a reload.
    Reloaded(v1::ReloadConfigResponse),
}

/// A note at the lower edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) text: String,
    pub(crate) good: bool,
    pub(crate) until: Duration,
}

/// Everything that is shown.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub(crate) now: Duration,
    pub(crate) link: Link,
    pub(crate) stats: Option<Box<v1::Stats>>,
    pub(crate) instance: String,
    pub(crate) requests: VecDeque<v1::Request>,
    pub(crate) events: VecDeque<v1::Event>,
    pub(crate) sessions: Vec<v1::Session>,
    pub(crate) config: Option<Box<v1::GetConfigResponse>>,
    pub(crate) view: View,
    /// In the overview: whether the keys go to the requests.
    pub(crate) lower: bool,
    /// The row, by its name, so that it stays selected when rows move.
    pub(crate) selected: Option<String>,
    pub(crate) opened: Option<String>,
    pub(crate) filter: String,
    pub(crate) input: Option<Input>,
    pub(crate) dialog: Option<Dialog>,
    pub(crate) help: bool,
    /// Requests that wait while the lists are paused.
    pub(crate) held: Option<Vec<v1::Request>>,
    pub(crate) note: Option<Note>,
}

impl State {
    /// Takes the time.
    pub fn tick(&mut self, now: Duration) {
        self.now = now;
        if self.note.as_ref().is_some_and(|note| note.until <= now) {
            self.note = None;
        }
    }

    /// Takes an update; returns what is to be done.
    pub fn apply(&mut self, update: Update) -> Vec<Todo> {
        match update {
            Update::Link(link) => {
                let was_lost = matches!(self.link, Link::Lost { .. });
                self.link = link;
                if was_lost && self.link == Link::Live {
                    self.say(Ok("the relay answers again".to_owned()));
                }
            }
            Update::Stats(stats, instance) => {
                if !self.instance.is_empty() && self.instance != instance {
                    self.requests.clear();
                    self.say(Ok("the relay was started again".to_owned()));
                }
                self.instance = instance;
                self.stats = Some(stats);
                self.link = Link::Live;
            }
            Update::Request(request) => match &mut self.held {
                Some(held) if held.len() < KEPT => held.push(*request),
                Some(_) => {}
                None => self.keep(*request),
            },
            Update::Event(event) => {
                if self.events.len() >= KEPT {
                    self.events.pop_back();
                }
                self.events.push_front(event);
            }
            Update::Sessions(sessions) => self.sessions = sessions,
            Update::Config(config) => self.config = Some(config),
            Update::Strategies(told) => self.dialog = Some(Dialog::route(&told)),
            Update::Considered(wish, change) => self.dialog = Some(Dialog::confirm(wish, change)),
            Update::Done(outcome) => self.say(outcome),
            Update::Reloaded(reloaded) => {
                if reloaded.faults.is_empty() {
                    let what = if reloaded.changes.is_empty() {
                        "nothing is otherwise".to_owned()
                    } else {
                        reloaded.changes.join(", ")
                    };
                    self.say(Ok(format!(
                        "reload {} -> {}: {what}",
                        reloaded.from, reloaded.to
                    )));
                } else {
                    self.dialog = Some(Dialog::Refused {
                        from: reloaded.from,
                        faults: reloaded.faults,
                    });
                }
            }
        }
        Vec::new()
    }

    /// Takes a request in the place of what was known of it.
    fn keep(&mut self, request: v1::Request) {
        let same = |it: &&mut v1::Request| {
            it.id == request.id && it.started_unix_ms == request.started_unix_ms
        };
        if let Some(known) = self.requests.iter_mut().find(same) {
            *known = request;
            return;
        }
        if self.requests.len() >= KEPT {
            self.requests.pop_back();
        }
        self.requests.push_front(request);
    }

    pub(crate) fn say(&mut self, outcome: Result<String, String>) {
        let good = outcome.is_ok();
        let text = outcome.unwrap_or_else(|why| why);
        let until = self
            .now
            .saturating_add(if good { NOTE } else { NOTE.saturating_mul(3) });
        self.note = Some(Note { text, good, until });
    }

    /// Goes on with the lists, or holds them.
    pub(crate) fn pause(&mut self) {
        match self.held.take() {
            None => self.held = Some(Vec::new()),
            Some(held) => {
                for request in held {
                    self.keep(request);
                }
            }
        }
    }

    /// Returns the requests that the filter lets through, the newest first.
    pub(crate) fn shown_requests(&self) -> Vec<&v1::Request> {
        self.requests
            .iter()
            .filter(|it| matches(&self.filter, it))
            .collect()
    }

    pub(crate) fn providers(&self) -> Vec<&v1::ProviderStats> {
        self.stats
            .as_ref()
            .map_or_else(Vec::new, |stats| stats.providers.iter().collect())
    }

    /// Returns keys by provider, as the file has them.
    pub(crate) fn keys(&self) -> Vec<&v1::Key> {
        let Some(stats) = &self.stats else {
            return Vec::new();
        };
        let mut keys: Vec<&v1::Key> = stats.keys.iter().collect();
        keys.sort_by(|one, two| (&one.provider, &one.name).cmp(&(&two.provider, &two.name)));
        keys
    }

    /// Returns the names of the rows that can be selected here.
    pub(crate) fn rows(&self) -> Vec<String> {
        match self.view {
            View::Overview if !self.lower => {
                let named = self
                    .providers()
                    .into_iter()
                    .filter_map(|it| it.provider.as_ref());
                named.map(|it| it.name.clone()).collect()
            }
            View::Overview | View::Requests => {
                self.shown_requests().iter().map(|it| row_of(it)).collect()
            }
            View::Sessions => self.sessions.iter().map(|it| it.id.clone()).collect(),
            View::Keys => self
                .keys()
                .iter()
                .map(|it| format!("{}/{}", it.provider, it.name))
                .collect(),
            View::Events => (0..self.events.len()).map(|it| it.to_string()).collect(),
            View::Config => self
                .config_lines()
                .iter()
                .enumerate()
                .map(|(it, _)| it.to_string())
                .collect(),
        }
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
        let rows = self.rows();
        let found = self
            .selected
            .as_ref()
            .and_then(|name| rows.iter().position(|row| row == name));
        found.unwrap_or(0)
    }

    /// Returns the request that is open.
    pub(crate) fn open_request(&self) -> Option<&v1::Request> {
        let name = self.opened.as_ref()?;
        self.requests.iter().find(|it| row_of(it) == *name)
    }
}
