//! Keys and what they do: one table for what is done, the footer, the help and the documentation.
//!
//! Longer than 400 lines because it is one table.
//!
//! A key means one thing at one place; where it means nothing, that is said.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::state::Place;

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Up,
    Down,
    HalfUp,
    HalfDown,
    PageUp,
    PageDown,
    First,
    Last,
    Left,
    Right,
    View(usize),
    Panel,
    Open,
    Back,
    Previous,
    Next,
    Filter,
    Match,
    MatchBack,
    Sort,
    Reverse,
    Command,
    Pause,
    Follow,
    Window,
    Zoom,
    Copy,
    CopyRow,
    Json,
    Export,
    Enable,
    Disable,
    Reset,
    Unpin,
    Route,
    Reload,
    Help,
    Redraw,
    Suspend,
    Quit,
}

/// What it has to do with, in the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Move,
    See,
    Change,
    Other,
}

impl Group {
    pub(crate) const ALL: [(Self, &'static str); 4] = [
        (Self::Move, "MOVE"),
        (Self::See, "SEE"),
        (Self::Change, "CHANGE (asks first)"),
        (Self::Other, "OTHER"),
    ];
}

/// A key as the terminal tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    /// By itself.
    Key(KeyCode),
    /// A letter with Control.
    Ctrl(char),
}

impl Code {
    fn of(event: KeyEvent) -> Self {
        let is_control = event.modifiers.contains(KeyModifiers::CONTROL);
        if let (true, KeyCode::Char(letter)) = (is_control, event.code) {
            return Self::Ctrl(letter);
        }
        Self::Key(event.code)
    }
}

/// One row of the table.
struct Key {
    codes: &'static [Code],
    shown: &'static str,
    action: Action,
    does: &'static str,
    /// The same in the footer, where there is little room.
    short: &'static str,
    group: Group,
    /// Where it means something.
    places: &'static [Place],
}

const fn key(
    codes: &'static [Code],
    (shown, short, does): (&'static str, &'static str, &'static str),
    action: Action,
    group: Group,
    places: &'static [Place],
) -> Key {
    Key {
        codes,
        shown,
        action,
        does,
        short,
        group,
        places,
    }
}

const fn char(letter: char) -> Code {
    Code::Key(KeyCode::Char(letter))
}

use Code::Ctrl;
use Group::{Change, Move, Other, See};

/// Everywhere.
const ALL: &[Place] = &Place::ALL;
/// In the views, and not in what is read over them.
const VIEWS: &[Place] = &[
    Place::Providers,
    Place::Recent,
    Place::Sessions,
    Place::Requests,
    Place::Request,
    Place::Keys,
    Place::Events,
    Place::Config,
];
/// Lists that can be sorted.
const SORTED: &[Place] = &[
    Place::Providers,
    Place::Recent,
    Place::Sessions,
    Place::Requests,
    Place::Keys,
];
/// Lists to which rows come by themselves.
const GROWING: &[Place] = &[Place::Recent, Place::Requests, Place::Events];
const SWITCHED: &[Place] = &[Place::Providers, Place::Keys];

/// All of them.
const KEYS: &[Key] = &[
    key(
        &[Code::Key(KeyCode::Up), char('k')],
        ("↑ k", "up", "row up"),
        Action::Up,
        Move,
        ALL,
    ),
    key(
        &[Code::Key(KeyCode::Down), char('j')],
        ("↓ j", "down", "row down"),
        Action::Down,
        Move,
        ALL,
    ),
    key(
        &[Ctrl('u')],
        ("ctrl-u", "half page up", "half a page up"),
        Action::HalfUp,
        Move,
        ALL,
    ),
    key(
        &[Ctrl('d')],
        ("ctrl-d", "half page down", "half a page down"),
        Action::HalfDown,
        Move,
        ALL,
    ),
    key(
        &[Code::Key(KeyCode::PageUp), Ctrl('b')],
        ("PgUp", "page up", "page up"),
        Action::PageUp,
        Move,
        ALL,
    ),
    key(
        &[Code::Key(KeyCode::PageDown), Ctrl('f')],
        ("PgDn", "page down", "page down"),
        Action::PageDown,
        Move,
        ALL,
    ),
    key(
        &[Code::Key(KeyCode::Home), char('g')],
        ("g Home", "first", "first row"),
        Action::First,
        Move,
        ALL,
    ),
    key(
        &[Code::Key(KeyCode::End), char('G')],
        ("G End", "last", "last row"),
        Action::Last,
        Move,
        ALL,
    ),
    key(
        &[Code::Key(KeyCode::Left), char('h')],
        ("← h", "fold", "fold, other side, scroll left"),
        Action::Left,
        Move,
        ALL,
    ),
    key(
        &[Code::Key(KeyCode::Right), char('l')],
        ("→ l", "unfold", "unfold, other side, scroll right"),
        Action::Right,
        Move,
        ALL,
    ),
    key(
        &[Code::Key(KeyCode::Tab), Code::Key(KeyCode::BackTab)],
        ("Tab", "next panel", "next panel"),
        Action::Panel,
        Move,
        &[Place::Providers, Place::Recent],
    ),
    key(
        &[char('[')],
        ("[", "newer", "newer request"),
        Action::Previous,
        Move,
        &[Place::Request],
    ),
    key(
        &[char(']')],
        ("]", "older", "older request"),
        Action::Next,
        Move,
        &[Place::Request],
    ),
    key(
        &[char('1')],
        ("1", "overview", "overview"),
        Action::View(0),
        See,
        VIEWS,
    ),
    key(
        &[char('2')],
        ("2", "sessions", "sessions"),
        Action::View(1),
        See,
        VIEWS,
    ),
    key(
        &[char('3')],
        ("3", "requests", "requests"),
        Action::View(2),
        See,
        VIEWS,
    ),
    key(
        &[char('4')],
        ("4", "keys", "keys"),
        Action::View(3),
        See,
        VIEWS,
    ),
    key(
        &[char('5')],
        ("5", "events", "events"),
        Action::View(4),
        See,
        VIEWS,
    ),
    key(
        &[char('6')],
        ("6", "configuration", "configuration"),
        Action::View(5),
        See,
        VIEWS,
    ),
    key(
        &[Code::Key(KeyCode::Enter)],
        ("⏎", "open", "open"),
        Action::Open,
        See,
        &[
            Place::Providers,
            Place::Recent,
            Place::Sessions,
            Place::Requests,
            Place::Keys,
            Place::Events,
        ],
    ),
    key(
        &[Code::Key(KeyCode::Esc)],
        ("esc", "back", "one level back"),
        Action::Back,
        See,
        ALL,
    ),
    key(
        &[char('/')],
        ("/", "filter", "filter"),
        Action::Filter,
        See,
        VIEWS,
    ),
    key(
        &[char('n')],
        ("n", "next match", "next match"),
        Action::Match,
        See,
        VIEWS,
    ),
    key(
        &[char('N')],
        ("N", "match before", "match before"),
        Action::MatchBack,
        See,
        VIEWS,
    ),
    key(
        &[char('s')],
        ("s", "sort", "sort by the next column"),
        Action::Sort,
        See,
        SORTED,
    ),
    key(
        &[char('S')],
        ("S", "reverse", "reverse the order"),
        Action::Reverse,
        See,
        SORTED,
    ),
    key(
        &[char(' ')],
        ("space", "pause", "pause lists, go on"),
        Action::Pause,
        See,
        VIEWS,
    ),
    key(
        &[char('f')],
        ("f", "follow", "follow the newest row"),
        Action::Follow,
        See,
        GROWING,
    ),
    key(
        &[char('t')],
        ("t", "window", "rates: 1, 5, 15 min, 1 h"),
        Action::Window,
        See,
        VIEWS,
    ),
    key(
        &[char('z')],
        ("z", "full panel", "full-screen panel"),
        Action::Zoom,
        See,
        VIEWS,
    ),
    key(
        &[char('J')],
        ("J", "JSON", "selected row as JSON"),
        Action::Json,
        See,
        VIEWS,
    ),
    key(
        &[char('e')],
        ("e", "enable", "enable"),
        Action::Enable,
        Change,
        SWITCHED,
    ),
    key(
        &[char('d')],
        ("d", "disable", "disable"),
        Action::Disable,
        Change,
        SWITCHED,
    ),
    key(
        &[char('x')],
        ("x", "end cooldown", "end cooldown, circuit"),
        Action::Reset,
        Change,
        SWITCHED,
    ),
    key(
        &[char('u')],
        ("u", "unpin", "unpin session"),
        Action::Unpin,
        Change,
        &[Place::Sessions],
    ),
    key(
        &[char('r')],
        ("r", "routing", "change routing"),
        Action::Route,
        Change,
        VIEWS,
    ),
    key(
        &[char('R')],
        ("R", "reload", "reload the configuration"),
        Action::Reload,
        Other,
        VIEWS,
    ),
    key(
        &[char('y')],
        ("y", "copy", "copy the name"),
        Action::Copy,
        Other,
        ALL,
    ),
    key(
        &[char('Y')],
        ("Y", "copy row", "copy the whole row"),
        Action::CopyRow,
        Other,
        VIEWS,
    ),
    key(
        &[char('E')],
        ("E", "export", "export the view to a file"),
        Action::Export,
        Other,
        VIEWS,
    ),
    key(
        &[char(':')],
        (":", "command", "command, Tab completes"),
        Action::Command,
        Other,
        VIEWS,
    ),
    key(
        &[char('?')],
        ("?", "help", "help for this view"),
        Action::Help,
        Other,
        VIEWS,
    ),
    key(
        &[Ctrl('l')],
        ("ctrl-l", "redraw", "redraw"),
        Action::Redraw,
        Other,
        ALL,
    ),
    key(
        &[Ctrl('z')],
        ("ctrl-z", "suspend", "suspend (fg goes on)"),
        Action::Suspend,
        Other,
        ALL,
    ),
    key(
        &[char('q'), Ctrl('c')],
        ("q", "quit", "quit (the relay runs on)"),
        Action::Quit,
        Other,
        ALL,
    ),
];

/// Keys that the help tells together, by how they are shown: what is told of them as one.
const TOGETHER: &[(&[&str], &str, &str)] = &[
    (&["↑ k", "↓ j"], "↑↓ k j", "row"),
    (&["ctrl-u", "ctrl-d"], "ctrl-u d", "half a page"),
    (&["PgUp", "PgDn"], "PgUp Dn", "page"),
    (&["g Home", "G End"], "g G", "first, last row"),
    (&["← h", "→ l"], "←→ h l", "fold, other side, scroll"),
    (&["[", "]"], "[ ]", "newer, older request"),
    (&["1", "2", "3", "4", "5", "6"], "1-6", "view"),
    (&["n", "N"], "n N", "next match, before"),
    (&["s", "S"], "s S", "sort, reverse"),
    (&["e", "d"], "e d", "enable, disable"),
    (&["y", "Y"], "y Y", "copy name, whole row"),
];

/// Returns what the help tells of a place in one group: a key or more, and what they do.
pub(crate) fn told(place: Place, group: Group) -> Vec<(&'static str, &'static str)> {
    let mut told = Vec::new();
    for key in keys_at(place).filter(|key| key.group == group) {
        let together = TOGETHER.iter().find(|it| it.0.contains(&key.shown));
        let row = together.map_or((key.shown, key.does), |it| (it.1, it.2));
        if !told.contains(&row) {
            told.push(row);
        }
    }
    told
}

/// What a key means somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Does(Action),
    /// It means something at other places alone.
    Elsewhere,
}

/// Returns what a key means at a place, outside of dialogs and lines that are typed.
pub(crate) fn meaning(event: KeyEvent, place: Place) -> Option<Meaning> {
    let code = Code::of(event);
    let mut known = KEYS
        .iter()
        .filter(|key| key.codes.contains(&code))
        .peekable();
    known.peek()?;
    let here = known.find(|key| key.places.contains(&place));
    Some(here.map_or(Meaning::Elsewhere, |key| Meaning::Does(key.action)))
}

/// Returns the keys that mean something at a place.
fn keys_at(place: Place) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.places.contains(&place))
}

/// Returns the keys that matter most at a place, in their order, and what each does in a word.
#[expect(clippy::too_many_lines, reason = "a list for each place")]
pub(crate) fn footer(place: Place) -> impl Iterator<Item = (&'static str, &'static str)> {
    use Action as A;
    let actions: &[Action] = match place {
        Place::Providers => &[
            A::Open,
            A::Disable,
            A::Enable,
            A::Reset,
            A::Route,
            A::Panel,
            A::Sort,
            A::Window,
            A::Zoom,
        ],
        Place::Recent => &[
            A::Open,
            A::Filter,
            A::Pause,
            A::Panel,
            A::Follow,
            A::Sort,
            A::Json,
            A::Zoom,
        ],
        Place::Requests => &[
            A::Open,
            A::Filter,
            A::Pause,
            A::Follow,
            A::Sort,
            A::Json,
            A::Export,
        ],
        Place::Request => &[A::Back, A::Previous, A::Next, A::Copy, A::Json],
        Place::Sessions => &[
            A::Open,
            A::Left,
            A::Unpin,
            A::Sort,
            A::Filter,
            A::Json,
            A::Export,
        ],
        Place::Keys => &[
            A::Enable,
            A::Disable,
            A::Reset,
            A::Copy,
            A::Sort,
            A::Filter,
            A::Json,
        ],
        Place::Events => &[A::Follow, A::Filter, A::Open, A::Json, A::Export],
        Place::Config => &[A::Reload, A::Filter, A::Match, A::Json, A::Export],
        Place::Reader => &[A::Back, A::Down, A::HalfDown, A::Copy],
    };
    let last: &[Action] = if place == Place::Reader {
        &[]
    } else {
        &[A::Command, A::Help, A::Quit]
    };
    let keys = actions
        .iter()
        .chain(last)
        .filter_map(move |action| keys_at(place).find(|key| key.action == *action));
    keys.map(|key| (key.shown, key.short))
}

/// Returns the table for the documentation, as Markdown.
pub fn reference() -> String {
    let row = |key: &Key| {
        let asks = if key.group == Change { " (asks)" } else { "" };
        format!("| `{}` | {}{asks} |\n", key.shown, key.does)
    };
    let rows: String = KEYS.iter().map(row).collect();
    format!("| key | does |\n|---|---|\n{rows}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things_at_one_place() {
        for place in Place::ALL {
            let mut seen = Vec::new();
            for code in keys_at(place).flat_map(|key| key.codes) {
                assert!(!seen.contains(code), "{code:?} at {place:?}");
                seen.push(*code);
            }
        }
    }

    #[test]
    fn what_is_told_together_is_there() {
        for name in TOGETHER.iter().flat_map(|it| it.0) {
            assert!(KEYS.iter().any(|key| key.shown == *name), "{name}");
        }
    }

    #[test]
    fn what_a_footer_names_works_there_and_every_key_works_somewhere() {
        for place in Place::ALL {
            assert!(footer(place).count() >= 4, "{place:?}");
        }
        for key in KEYS {
            assert!(
                !key.places.is_empty() && !key.does.is_empty(),
                "{}",
                key.shown
            );
        }
    }
}
