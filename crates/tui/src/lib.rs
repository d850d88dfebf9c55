//! The terminal dashboard: what a running relay does, and changing it by a key.
//!
//! In: the relay's management API, keys. Out: a screen. It knows the relay by its API alone, and
//! whatever becomes of it changes nothing there. `state` is what is known and what a key does to it,
//! `view` draws that and nothing else, `link` speaks with the relay; `run` joins them. Neither
//! `state` nor `view` reads a clock.

mod clipboard;
mod demo;
mod keys;
mod link;
mod run;
mod state;
mod svg;
mod tell;
mod theme;
mod view;

pub use demo::demo;
pub use keys::reference;
pub use run::{Options, TuiError, run};
pub use state::State;
pub use svg::svg;
pub use theme::{Look, Palette};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr as _;

/// Draws a state once.
pub fn draw(state: &State, look: Look, width: u16, height: u16) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    view::draw(state, look, area, &mut buffer);
    buffer
}

/// Returns the text of a screen, a line a row.
pub fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut out = String::new();
    for y in area.top()..area.bottom() {
        let mut line = String::new();
        let mut x = area.left();
        while let Some(cell) = buffer.cell((x, y)) {
            let symbol = cell.symbol();
            line.push_str(symbol);
            // A wide letter covers the cell behind it too.
            let width = u16::try_from(symbol.width()).unwrap_or(1).max(1);
            x = x.saturating_add(width);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests;
