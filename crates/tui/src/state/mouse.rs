//! What the mouse does: a click selects, the wheel scrolls, and nothing is ever changed by either.

use ratatui::layout::Rect;

use super::{Place, State, Todo};

/// What can be pointed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// A view's name.
    View(usize),
    /// A row of a list.
    Row(Place, usize),
}

/// Where it is on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) area: Rect,
    pub(crate) target: Target,
}

/// All that can be pointed at, the uppermost last.
pub(crate) type Hits = Vec<Hit>;

impl State {
    /// Takes a turn of the wheel.
    pub fn wheel(&mut self, down: bool) {
        if self.dialog.is_none() && self.help.is_none() {
            self.step(if down { 1 } else { -1 });
        }
    }

    /// Takes a click.
    pub(crate) fn click(&mut self, x: u16, y: u16, hits: &[Hit]) -> Vec<Todo> {
        if self.dialog.is_some()
            || self.help.is_some()
            || self.reader.is_some()
            || self.input.is_some()
        {
            return Vec::new();
        }
        let under = hits.iter().rfind(|hit| hit.area.contains((x, y).into()));
        match under.map(|hit| hit.target) {
            Some(Target::View(view)) => self.view_at(view),
            Some(Target::Row(place, row)) => {
                if matches!(place, Place::Providers | Place::Recent) {
                    self.lower = place == Place::Recent;
                } else if place != self.location() {
                    return Vec::new();
                }
                self.selected = self.rows().get(row).cloned();
                Vec::new()
            }
            None => Vec::new(),
        }
    }
}
