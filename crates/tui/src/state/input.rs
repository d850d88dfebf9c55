//! What keys do: in the views, in lines that are typed, in dialogs.
//!
//! Enter in a question keeps things as they are: what changes something is a key of its own, or a
//! name that is typed.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of all that a terminal can say, few things mean something"
)]

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use relay_api::v1;

use super::{Link, State, Todo, View, Wish};
use crate::keys::{Action, action};
use crate::theme::Palette;

/// Rows of a page.
const PAGE: isize = 10;
/// Seconds that rates can be of.
const WINDOWS: [u32; 4] = [60, 300, 900, 3_600];
/// Letters of a line at most.
const LONGEST: usize = 200;

/// A line that is being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) kind: InputKind,
    pub(crate) text: String,
}

/// What it is typed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InputKind {
    Filter,
    Command,
}

/// A question, or something to be read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Dialog {
    /// A change, with what follows from it. Where much depends on it a name is typed.
    Confirm {
        wish: Wish,
        change: v1::Change,
        name: Option<String>,
        typed: String,
    },
    /// Which strategy.
    Route {
        names: Vec<(String, String)>,
        place: usize,
    },
    /// A configuration that was refused.
    Refused {
        from: String,
        faults: Vec<v1::Fault>,
    },
}

impl Dialog {
    pub(super) fn confirm(wish: Wish, change: v1::Change) -> Self {
        let subject = match &wish {
            Wish::Provider { name, .. }
            | Wish::Key { name, .. }
            | Wish::Route(name)
            | Wish::Unpin(name) => name,
            Wish::Reset { provider, .. } => provider,
        };
        let name = change.severe.then(|| subject.clone());
        Self::Confirm {
            wish,
            change,
            name,
            typed: String::new(),
        }
    }

    pub(super) fn route(told: &v1::GetRoutingStrategyResponse) -> Self {
        let names = told.strategies.iter();
        let names = names.map(|it| (it.name.clone(), it.description.clone()));
        let here = |it: &v1::Strategy| it.name == told.strategy;
        Self::Route {
            names: names.collect(),
            place: told.strategies.iter().position(here).unwrap_or(0),
        }
    }
}

impl State {
    /// Takes a key; returns what is to be done.
    pub fn key(&mut self, event: KeyEvent) -> Vec<Todo> {
        if self.dialog.is_some() {
            return self.in_dialog(event);
        }
        if is_stop(event) {
            return vec![Todo::Quit];
        }
        if self.input.is_some() {
            return self.in_line(event.code);
        }
        if self.help {
            self.help = false;
            return Vec::new();
        }
        action(event).map_or_else(Vec::new, |action| self.act(action))
    }

    /// Takes a turn of the wheel.
    pub fn wheel(&mut self, down: bool) {
        if self.dialog.is_none() {
            self.step(if down { 1 } else { -1 });
        }
    }

    fn act(&mut self, action: Action) -> Vec<Todo> {
        match action {
            Action::Up => self.step(-1),
            Action::Down => self.step(1),
            Action::PageUp => self.step(-PAGE),
            Action::PageDown => self.step(PAGE),
            Action::First => self.step(isize::MIN),
            Action::Last => self.step(isize::MAX),
            Action::View(place) => {
                return self.show(View::ALL.get(place).copied().unwrap_or_default());
            }
            Action::Panel => {
                self.lower = !self.lower;
                self.selected = None;
            }
            Action::Open => return self.open(),
            Action::Back => self.back(),
            Action::Previous => self.walk(-1),
            Action::Next => self.walk(1),
            Action::Filter => self.begin(InputKind::Filter, self.filter.clone()),
            Action::Command => self.begin(InputKind::Command, String::new()),
            Action::Pause => self.pause(),
            Action::Window => return vec![Todo::Window(self.next_window())],
            Action::Copy => return self.copy().into_iter().collect(),
            Action::Help => self.help = true,
            Action::Quit => return vec![Todo::Quit],
            Action::Route if matches!(self.link, Link::Lost { .. }) => return vec![Todo::Dial],
            Action::Enable
            | Action::Disable
            | Action::Reset
            | Action::Unpin
            | Action::Route
            | Action::Reload => return self.change(action),
        }
        Vec::new()
    }

    fn begin(&mut self, kind: InputKind, text: String) {
        self.input = Some(Input { kind, text });
    }

    fn show(&mut self, view: View) -> Vec<Todo> {
        self.view = view;
        self.selected = None;
        self.opened = None;
        match view {
            View::Sessions => vec![Todo::Sessions],
            View::Config => vec![Todo::Config],
            View::Overview | View::Requests | View::Keys | View::Events => Vec::new(),
        }
    }

    fn step(&mut self, by: isize) {
        let rows = self.rows();
        let last = rows.len().saturating_sub(1);
        let place = self.place().saturating_add_signed(by).min(last);
        self.selected = rows.get(place).cloned();
    }

    /// Goes to another request; one that is open is followed by that.
    fn walk(&mut self, by: isize) {
        self.step(by);
        if self.opened.is_some() {
            self.opened.clone_from(&self.selected);
        }
    }

    fn open(&mut self) -> Vec<Todo> {
        let row = self.rows().get(self.place()).cloned();
        match self.view {
            View::Overview if !self.lower => return self.show(View::Keys),
            View::Overview | View::Requests => {
                self.view = View::Requests;
                self.selected.clone_from(&row);
                self.opened = row;
            }
            View::Sessions => {
                self.filter = row.map_or_else(String::new, |name| format!("session:{name}"));
                return self.show(View::Requests);
            }
            View::Keys | View::Events | View::Config => {}
        }
        Vec::new()
    }

    /// Returns the span of the rates that comes after the one that is shown.
    fn next_window(&self) -> u32 {
        let traffic = self.stats.as_ref().and_then(|it| it.traffic.as_ref());
        let shown = traffic.map_or(0, |it| it.window_s);
        let longer = WINDOWS.into_iter().find(|window| *window > shown);
        longer.unwrap_or(WINDOWS[0])
    }

    fn copy(&mut self) -> Option<Todo> {
        let row = self.rows().get(self.place())?.clone();
        self.say(Ok(format!("copied {row}")));
        Some(Todo::Copy(row))
    }

    /// One level back, and never out.
    fn back(&mut self) {
        if self.opened.take().is_some() {
            return;
        }
        if self.filter.is_empty() {
            self.view = View::Overview;
        }
        self.filter.clear();
    }

    /// Asks what a change would do; without the relay nothing can be changed.
    fn change(&mut self, action: Action) -> Vec<Todo> {
        if self.link != Link::Live {
            self.say(Err(
                "the relay does not answer: nothing can be changed".to_owned()
            ));
            return Vec::new();
        }
        match action {
            Action::Reload => return vec![Todo::Reload],
            Action::Route => return vec![Todo::Strategies],
            _ => {}
        }
        let Some(wish) = self.wish(action) else {
            self.say(Err(
                "nothing here can be changed so: ? shows the keys".to_owned()
            ));
            return Vec::new();
        };
        vec![Todo::Consider(wish)]
    }

    fn wish(&self, action: Action) -> Option<Wish> {
        let row = self.rows().get(self.place())?.clone();
        let enabled = action == Action::Enable;
        let switches = matches!(action, Action::Enable | Action::Disable);
        match self.view {
            View::Sessions if action == Action::Unpin => Some(Wish::Unpin(row)),
            View::Overview if !self.lower && switches => {
                Some(Wish::Provider { name: row, enabled })
            }
            View::Overview if !self.lower && action == Action::Reset => Some(Wish::Reset {
                provider: row,
                key: String::new(),
            }),
            View::Keys => {
                let (provider, name) = row.split_once('/')?;
                let (provider, name) = (provider.to_owned(), name.to_owned());
                if switches {
                    return Some(Wish::Key {
                        provider,
                        name,
                        enabled,
                    });
                }
                (action == Action::Reset).then_some(Wish::Reset {
                    provider,
                    key: name,
                })
            }
            View::Overview | View::Sessions | View::Requests | View::Events | View::Config => None,
        }
    }

    fn in_line(&mut self, code: KeyCode) -> Vec<Todo> {
        let Some(mut input) = self.input.take() else {
            return Vec::new();
        };
        match code {
            KeyCode::Char(letter) if input.text.len() < LONGEST => input.text.push(letter),
            KeyCode::Backspace => {
                input.text.pop();
            }
            KeyCode::Esc => {
                if input.kind == InputKind::Filter {
                    self.filter.clear();
                }
                return Vec::new();
            }
            KeyCode::Enter if input.kind == InputKind::Command => return self.command(&input.text),
            KeyCode::Enter => return Vec::new(),
            _ => {}
        }
        if input.kind == InputKind::Filter {
            self.filter.clone_from(&input.text);
        }
        self.input = Some(input);
        Vec::new()
    }

    /// Carries out a line behind `:`.
    fn command(&mut self, text: &str) -> Vec<Todo> {
        let text = text.trim();
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let named = |view: &View| view.name().eq_ignore_ascii_case(word);
        if let Some(view) = View::ALL.into_iter().find(named) {
            return self.show(view);
        }
        match word {
            "providers" => return self.show(View::Overview),
            "filter" => rest.clone_into(&mut self.filter),
            "reload" => return self.change(Action::Reload),
            "routing" => return self.change(Action::Route),
            "theme" => {
                if let Some(palette) = Palette::named(rest.trim()) {
                    return vec![Todo::Theme(palette)];
                }
                let all = Palette::ALL.map(|(name, _)| name).join(" ");
                self.say(Err(format!("no theme `{rest}`: {all}")));
            }
            "q" | "quit" => return vec![Todo::Quit],
            "" => {}
            other => {
                let all =
                    "overview sessions requests keys events config filter routing reload theme q";
                self.say(Err(format!("no command `{other}`: {all}")));
            }
        }
        Vec::new()
    }

    fn in_dialog(&mut self, event: KeyEvent) -> Vec<Todo> {
        let Some(dialog) = self.dialog.take() else {
            return Vec::new();
        };
        if event.code == KeyCode::Esc || is_stop(event) {
            return Vec::new();
        }
        let (dialog, todo) = answer(dialog, event.code);
        self.dialog = dialog;
        todo.into_iter().collect()
    }
}

fn is_stop(event: KeyEvent) -> bool {
    event.modifiers.contains(KeyModifiers::CONTROL) && event.code == KeyCode::Char('c')
}

/// Takes a key in a dialog; returns what remains of it, and what is to be done.
fn answer(mut dialog: Dialog, code: KeyCode) -> (Option<Dialog>, Option<Todo>) {
    match &mut dialog {
        Dialog::Confirm {
            wish, name: None, ..
        } => match code {
            KeyCode::Char('y') => return (None, Some(Todo::Make(wish.clone()))),
            KeyCode::Enter | KeyCode::Char('n' | 'q') => return (None, None),
            _ => {}
        },
        Dialog::Confirm {
            wish,
            name: Some(name),
            typed,
            ..
        } => match code {
            KeyCode::Char(letter) if typed.len() < LONGEST => typed.push(letter),
            KeyCode::Backspace => {
                typed.pop();
            }
            KeyCode::Enter => {
                let is_meant = typed == name;
                return (None, is_meant.then(|| Todo::Make(wish.clone())));
            }
            _ => {}
        },
        Dialog::Route { names, place } => match code {
            KeyCode::Up | KeyCode::Char('k') => *place = place.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => {
                *place = place.saturating_add(1).min(names.len().saturating_sub(1));
            }
            KeyCode::Enter => {
                let name = names.get(*place).map(|(name, _)| name.clone());
                return (None, name.map(|name| Todo::Consider(Wish::Route(name))));
            }
            _ => {}
        },
        Dialog::Refused { .. } => {
            if matches!(code, KeyCode::Enter | KeyCode::Char('q')) {
                return (None, None);
            }
        }
    }
    (Some(dialog), None)
}
