//! What is known and shown, and what a key does to it.
//!
//! In: updates from the link, keys, the time. Out: another state, and what is to be done beyond it.
//! Everything that is kept is bounded. It must never read a clock or speak with anybody.

mod change;
mod dialog;
mod filter;
mod input;
mod line;
mod lists;
mod mouse;
mod open;
mod reader;
mod sort;
mod steady;
mod take;
mod told;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use relay_api::v1;

pub(crate) use dialog::Dialog;
#[cfg(test)]
pub(crate) use line::COMMANDS;
pub(crate) use line::{Kind, Line};
pub(crate) use lists::{Branch, row_of};
pub(crate) use mouse::{Hit, Hits, Target};
pub(crate) use reader::Reader;
pub(crate) use sort::List;
use sort::{Order, Sort};
use steady::Steady;
pub(crate) use told::{Link, Place, Todo, Update, View, Wish};

/// Requests and events that are kept.
const KEPT: usize = 1_000;
/// How long a note is shown.
const NOTE: Duration = Duration::from_secs(4);
/// How long it is told that the relay was started again.
const RESTARTED: Duration = Duration::from_secs(30);
/// Between two times that a live list is brought into its order again.
const RESORT: Duration = Duration::from_secs(2);

/// A note at the lower edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) text: String,
    pub(crate) good: bool,
    pub(crate) until: Duration,
}

/// What waits while the lists are paused, the oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    pub(crate) requests: VecDeque<v1::Request>,
    pub(crate) events: VecDeque<v1::Event>,
}

/// Everything that is shown.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub(crate) now: Duration,
    pub(crate) link: Link,
    pub(crate) stats: Option<Box<v1::Stats>>,
    pub(crate) instance: String,
    /// When another run of the relay was met, if that is not long ago.
    pub(crate) restarted: Option<Duration>,
    pub(crate) requests: VecDeque<v1::Request>,
    pub(crate) events: VecDeque<v1::Event>,
    /// Events that ever came: names each.
    events_seen: u64,
    pub(crate) sessions: Vec<v1::Session>,
    pub(crate) config: Option<Box<v1::GetConfigResponse>>,
    pub(crate) view: View,
    /// In the overview: whether the keys go to the requests.
    pub(crate) lower: bool,
    /// The row, by its name, so that it stays selected when rows move.
    pub(crate) selected: Option<String>,
    pub(crate) opened: Option<String>,
    /// What is looked for, by view.
    filters: [String; View::ALL.len()],
    sorts: [Sort; sort::LISTS],
    orders: [Order; sort::LISTS],
    /// Sessions whose agents are not shown.
    folded: BTreeSet<String>,
    /// Columns that long lines are scrolled by.
    pub(crate) shift: usize,
    /// Lines that a request is scrolled by.
    pub(crate) scroll: usize,
    /// Whether the panel with the keys takes the whole screen.
    pub(crate) zoom: bool,
    /// Rows of the screen.
    height: u16,
    steady: Steady,
    pub(crate) input: Option<Line>,
    pub(crate) dialog: Option<Dialog>,
    pub(crate) reader: Option<Reader>,
    /// The help, and from which of its lines on it is shown.
    pub(crate) help: Option<usize>,
    /// What waits while the lists are paused.
    pub(crate) held: Option<Held>,
    pub(crate) note: Option<Note>,
}

impl State {
    /// Takes the time.
    pub fn tick(&mut self, now: Duration) {
        self.now = now;
        if self.note.as_ref().is_some_and(|note| note.until <= now) {
            self.note = None;
        }
        let is_old = |at: &Duration| now.saturating_sub(*at) >= RESTARTED;
        if self.restarted.as_ref().is_some_and(is_old) {
            self.restarted = None;
        }
        self.settle();
    }

    /// Takes the height of the screen: a page is as long.
    pub fn sized(&mut self, height: u16) {
        self.height = height;
    }

    /// Takes an update; returns what is to be done.
    pub fn apply(&mut self, update: Update) -> Vec<Todo> {
        match update {
            Update::Link(link) => self.linked(link),
            Update::Stats(stats, instance) => self.measured(stats, instance),
            Update::Request(request) => match &mut self.held {
                Some(held) => push_back(&mut held.requests, *request),
                None => self.keep(*request),
            },
            Update::Event(event) => match &mut self.held {
                Some(held) => push_back(&mut held.events, event),
                None => self.keep_event(event),
            },
            Update::Sessions(sessions) => {
                self.folded
                    .retain(|id| sessions.iter().any(|session| session.id == *id));
                self.sessions = sessions;
            }
            Update::Config(config) => self.config = Some(config),
            Update::Strategies(told) => self.dialog = Some(Dialog::route(&told)),
            Update::Considered(wish, change) => self.dialog = Some(Dialog::confirm(wish, change)),
            Update::Done(outcome) => self.say(outcome),
            Update::Reloaded(reloaded) => self.reloaded(reloaded),
        }
        self.settle();
        Vec::new()
    }

    fn linked(&mut self, link: Link) {
        let lost = match &self.link {
            Link::Lost { since, .. } => Some(*since),
            Link::Dialing | Link::Live | Link::Stale { .. } => None,
        };
        self.link = link;
        if self.link == Link::Live {
            self.is_back(lost);
        }
    }

    /// Tells that the relay answers again, where it did not.
    fn is_back(&mut self, lost: Option<Duration>) {
        let Some(since) = lost else { return };
        let missed = self.now.saturating_sub(since).as_secs();
        let said = format!("the relay answers again, {missed} s missed");
        self.keep_event(v1::Event {
            unix_ms: u64::try_from(self.now.as_millis()).unwrap_or(u64::MAX),
            level: v1::Level::Info.into(),
            name: "link.back".to_owned(),
            message: said.clone(),
            ..v1::Event::default()
        });
        self.say(Ok(said));
    }

    fn measured(&mut self, mut stats: Box<v1::Stats>, instance: String) {
        self.linked(Link::Live);
        if !self.instance.is_empty() && self.instance != instance {
            self.requests.clear();
            self.restarted = Some(self.now);
            self.say(Ok("the relay was started again".to_owned()));
        }
        self.instance = instance;
        self.steady.hold(&mut stats.providers, self.now);
        self.stats = Some(stats);
    }

    fn reloaded(&mut self, reloaded: v1::ReloadConfigResponse) {
        if !reloaded.faults.is_empty() {
            self.dialog = Some(Dialog::Refused {
                from: reloaded.from,
                faults: reloaded.faults,
            });
            return;
        }
        let what = if reloaded.changes.is_empty() {
            "nothing is otherwise".to_owned()
        } else {
            reloaded.changes.join(", ")
        };
        self.say(Ok(format!(
            "reload {} -> {}: {what}",
            reloaded.from, reloaded.to
        )));
    }

    /// Takes a request in the place of what was known of it.
    fn keep(&mut self, request: v1::Request) {
        // The time first: it tells nearly all of them apart, and names begin alike.
        let same = |it: &&mut v1::Request| {
            it.started_unix_ms == request.started_unix_ms && it.id == request.id
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

    fn keep_event(&mut self, event: v1::Event) {
        if self.events.len() >= KEPT {
            self.events.pop_back();
        }
        self.events.push_front(event);
        self.events_seen = self.events_seen.saturating_add(1);
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
        let Some(held) = self.held.take() else {
            self.held = Some(Held::default());
            return;
        };
        for request in held.requests {
            self.keep(request);
        }
        for event in held.events {
            self.keep_event(event);
        }
    }

    /// Returns where the keys go.
    pub(crate) fn location(&self) -> Place {
        if self.reader.is_some() {
            return Place::Reader;
        }
        self.place_in_view()
    }

    /// Returns the part of the view that the keys go to, when nothing is read over it.
    pub(crate) fn place_in_view(&self) -> Place {
        match self.view {
            View::Overview if self.lower => Place::Recent,
            View::Overview => Place::Providers,
            View::Sessions => Place::Sessions,
            View::Requests if self.opened.is_some() => Place::Request,
            View::Requests => Place::Requests,
            View::Keys => Place::Keys,
            View::Events => Place::Events,
            View::Config => Place::Config,
        }
    }

    /// Returns what is looked for in the view.
    pub(crate) fn filter(&self) -> &str {
        self.filters
            .get(self.view.index())
            .map_or("", String::as_str)
    }

    fn set_filter(&mut self, view: View, text: String) {
        if let Some(filter) = self.filters.get_mut(view.index()) {
            *filter = text;
        }
    }
}

/// Puts one more behind the others; the oldest goes where there are too many.
fn push_back<T>(waiting: &mut VecDeque<T>, one: T) {
    if waiting.len() >= KEPT {
        waiting.pop_front();
    }
    waiting.push_back(one);
}
