//! Questions before something changes, and what is to be read at once.
//!
//! Enter in a question keeps things as they are: what changes something is a key of its own, or a
//! name that is typed.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of all that a terminal can say, few things mean something"
)]

use crossterm::event::KeyCode;
use relay_api::v1;

use super::line::LONGEST;
use super::{Todo, Wish};

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

/// Takes a key in a dialog; returns what remains of it, and what is to be done.
pub(super) fn answer(mut dialog: Dialog, code: KeyCode) -> (Option<Dialog>, Option<Todo>) {
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
        Dialog::Refused { faults, .. } => match code {
            KeyCode::Enter | KeyCode::Char('q') => return (None, None),
            KeyCode::Char('y') => {
                let faults: Vec<String> = faults.iter().map(said).collect();
                let todo = Todo::Copy(faults.join("\n"));
                return (Some(dialog), Some(todo));
            }
            _ => {}
        },
    }
    (Some(dialog), None)
}

/// Writes a fault as compilers do, so that an editor finds its place.
fn said(fault: &v1::Fault) -> String {
    let (file, line, column) = (&fault.file, fault.line, fault.column);
    let help = if fault.help.is_empty() {
        String::new()
    } else {
        format!(" ({})", fault.help)
    };
    format!("{file}:{line}:{column}: {}{help}", fault.message)
}
