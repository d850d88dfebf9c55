//! What is shown where, what the link tells, and what is to be done.

use std::time::Duration;

use relay_api::v1;

use crate::theme::Palette;

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

    /// Where it stands among all.
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Overview => 0,
            Self::Sessions => 1,
            Self::Requests => 2,
            Self::Keys => 3,
            Self::Events => 4,
            Self::Config => 5,
        }
    }

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

/// Where the keys go: the views, their panels, and what is read over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Providers,
    /// The requests of the overview.
    Recent,
    Sessions,
    Requests,
    /// One request, opened.
    Request,
    Keys,
    Events,
    Config,
    /// A text that is read over a view.
    Reader,
}

impl Place {
    pub(crate) const ALL: [Self; 9] = [
        Self::Providers,
        Self::Recent,
        Self::Sessions,
        Self::Requests,
        Self::Request,
        Self::Keys,
        Self::Events,
        Self::Config,
        Self::Reader,
    ];
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
    /// Write a text to a file that is not there yet.
    Export {
        /// The file's name, in the current folder.
        name: String,
        /// What is written.
        text: String,
    },
    /// Draw everything once more.
    Redraw,
    /// Stop this process until it is told to go on.
    Suspend,
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
