//! Keys and what they do: one table for what is done, the footer, the help and the documentation.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of all that a terminal can say, few things mean something"
)]

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    View(usize),
    Panel,
    Open,
    Back,
    Filter,
    Command,
    Pause,
    Window,
    Copy,
    Enable,
    Disable,
    Reset,
    Unpin,
    Route,
    Reload,
    Previous,
    Next,
    Help,
    Quit,
}

/// One row of the table.
pub(crate) struct Key {
    pub(crate) codes: &'static [KeyCode],
    pub(crate) shown: &'static str,
    pub(crate) action: Action,
    pub(crate) does: &'static str,
}

const fn key(
    codes: &'static [KeyCode],
    shown: &'static str,
    action: Action,
    does: &'static str,
) -> Key {
    Key {
        codes,
        shown,
        action,
        does,
    }
}

use KeyCode::Char;

/// All of them.
pub(crate) const KEYS: &[Key] = &[
    key(&[KeyCode::Up, Char('k')], "↑ k", Action::Up, "row up"),
    key(&[KeyCode::Down, Char('j')], "↓ j", Action::Down, "row down"),
    key(&[KeyCode::PageUp], "PgUp", Action::PageUp, "page up"),
    key(&[KeyCode::PageDown], "PgDn", Action::PageDown, "page down"),
    key(&[KeyCode::Home, Char('g')], "g", Action::First, "first row"),
    key(&[KeyCode::End, Char('G')], "G", Action::Last, "last row"),
    key(&[Char('1')], "1", Action::View(0), "overview"),
    key(&[Char('2')], "2", Action::View(1), "sessions"),
    key(&[Char('3')], "3", Action::View(2), "requests"),
    key(&[Char('4')], "4", Action::View(3), "keys"),
    key(&[Char('5')], "5", Action::View(4), "events"),
    key(&[Char('6')], "6", Action::View(5), "configuration"),
    key(&[KeyCode::Tab], "Tab", Action::Panel, "next panel"),
    key(&[KeyCode::Enter], "⏎", Action::Open, "open"),
    key(&[KeyCode::Esc], "esc", Action::Back, "one level back"),
    key(&[Char('[')], "[", Action::Previous, "previous request"),
    key(&[Char(']')], "]", Action::Next, "next request"),
    key(&[Char('/')], "/", Action::Filter, "filter"),
    key(&[Char(':')], ":", Action::Command, "command"),
    key(&[Char(' ')], "space", Action::Pause, "pause lists"),
    key(
        &[Char('t')],
        "t",
        Action::Window,
        "rates of 1 min, 5 min, 15 min, 1 h",
    ),
    key(&[Char('y')], "y", Action::Copy, "copy the row's name"),
    key(&[Char('e')], "e", Action::Enable, "enable (asks)"),
    key(&[Char('d')], "d", Action::Disable, "disable (asks)"),
    key(
        &[Char('x')],
        "x",
        Action::Reset,
        "end cooldown, close circuit (asks)",
    ),
    key(&[Char('u')], "u", Action::Unpin, "unpin session (asks)"),
    key(&[Char('r')], "r", Action::Route, "change routing (asks)"),
    key(
        &[Char('R')],
        "R",
        Action::Reload,
        "reload the configuration",
    ),
    key(&[Char('?')], "?", Action::Help, "help"),
    key(
        &[Char('q')],
        "q",
        Action::Quit,
        "quit (the relay keeps running)",
    ),
];

/// Returns what a key does outside of dialogs and lines that are typed.
pub(crate) fn action(event: KeyEvent) -> Option<Action> {
    if event.modifiers.contains(KeyModifiers::CONTROL) {
        return match event.code {
            Char('c') => Some(Action::Quit),
            Char('d') => Some(Action::PageDown),
            Char('u') => Some(Action::PageUp),
            _ => None,
        };
    }
    KEYS.iter()
        .find(|key| key.codes.contains(&event.code))
        .map(|key| key.action)
}

/// Returns how a key is shown.
pub(crate) fn shown(action: Action) -> &'static str {
    KEYS.iter()
        .find(|key| key.action == action)
        .map_or("", |key| key.shown)
}

/// Returns the table for the documentation, as Markdown.
pub fn reference() -> String {
    let row = |key: &Key| format!("| `{}` | {} |\n", key.shown, key.does);
    let rows: String = KEYS.iter().map(row).collect();
    format!("| key | does |\n|---|---|\n{rows}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things() {
        let mut seen = Vec::new();
        for code in KEYS.iter().flat_map(|key| key.codes) {
            assert!(!seen.contains(code), "{code:?}");
            seen.push(*code);
        }
    }
}
