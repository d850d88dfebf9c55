//! What lies over a view: questions, a refused configuration, the help.

use ratatui::layout::Rect;
use relay_api::v1;

use super::pen::{Pen, Run};
use crate::keys::KEYS;
use crate::state::Dialog;
use crate::theme::{Look, Tone};

/// Draws a dialog in the middle.
pub(super) fn draw(dialog: &Dialog, pen: &mut Pen<'_>, area: Rect) {
    let (title, lines) = match dialog {
        Dialog::Confirm {
            change,
            name,
            typed,
            ..
        } => confirm(change, name.as_deref(), typed),
        Dialog::Route { names, place } => route(names, *place, pen.look()),
        Dialog::Refused { from, faults } => refused(from, faults),
    };
    boxed(pen, area, &title, &lines);
}

type Lines = Vec<Vec<Run>>;

fn confirm(change: &v1::Change, name: Option<&str>, typed: &str) -> (String, Lines) {
    let mut lines = vec![Vec::new()];
    for effect in &change.effects {
        let topic = format!("  {:<7}", effect.topic);
        lines.push(vec![Run::new(&topic, Tone::Off), Run::plain(&effect.text)]);
    }
    lines.push(Vec::new());
    if let Some(name) = name {
        lines.push(vec![Run::new("  Much depends on it.", Tone::Bad)]);
        lines.push(vec![
            Run::plain(&format!("  Type {name} and Enter to go on:  ")),
            Run::new(&format!("{typed}_"), Tone::Strong),
        ]);
        lines.push(vec![Run::plain("  esc keeps it")]);
    } else {
        lines.push(vec![
            Run::new("      [ Keep ]", Tone::Focus),
            Run::plain("        y  go on"),
        ]);
    }
    (format!("{}?", change.summary), lines)
}

fn route(names: &[(String, String)], place: usize, look: Look) -> (String, Lines) {
    let mut lines = vec![Vec::new()];
    for (index, (name, does)) in names.iter().enumerate() {
        let here = index == place;
        let mark = if here { look.sign("▸") } else { " " };
        let tone = if here { Tone::Focus } else { Tone::Plain };
        lines.push(vec![
            Run::new(&format!(" {mark} {name:<21}"), tone),
            Run::plain(does),
        ]);
    }
    lines.push(Vec::new());
    let keys = "  Enter asks what would follow   esc keeps it";
    lines.push(vec![Run::plain(keys)]);
    ("Route by".to_owned(), lines)
}

fn refused(from: &str, faults: &[v1::Fault]) -> (String, Lines) {
    let mut lines = vec![Vec::new()];
    for fault in faults {
        let place = format!("  {}:{}  ", fault.line, fault.column);
        lines.push(vec![
            Run::new(&place, Tone::Off),
            Run::new(&fault.message, Tone::Bad),
        ]);
        lines.push(vec![Run::plain(&format!("        {}", fault.help))]);
    }
    lines.push(Vec::new());
    lines.push(vec![Run::plain("  esc closes")]);
    (format!("Reload refused: {from} stays in force"), lines)
}

/// Draws what the keys do.
pub(super) fn help(pen: &mut Pen<'_>, area: Rect) {
    let half = KEYS.len().div_ceil(2);
    let (first, second) = KEYS.split_at_checked(half).unwrap_or((KEYS, &[]));
    let ascii = pen.look().ascii;
    let key = |it: &crate::keys::Key| {
        let shown = if ascii {
            it.shown
                .replace('⏎', "Enter")
                .replace('↑', "Up")
                .replace('↓', "Down")
        } else {
            it.shown.to_owned()
        };
        [
            Run::new(&format!("  {shown:<7}"), Tone::Strong),
            Run::plain(&format!("{:<27}", it.does)),
        ]
    };
    let mut lines = vec![Vec::new()];
    for (index, left) in first.iter().enumerate() {
        let mut line = key(left).to_vec();
        line.extend(second.get(index).map(key).into_iter().flatten());
        lines.push(line);
    }
    lines.push(Vec::new());
    let words = ["● up", "▲ slow", "◐ probing", "✖ open", "◷ cools", "○ off"];
    let signs = words.iter().filter_map(|it| it.split_once(' '));
    let legend: Vec<String> = signs
        .map(|(sign, word)| format!("{} {word}", pen.look().sign(sign_of(sign))))
        .collect();
    lines.push(vec![Run::plain(&format!("  {}", legend.join("  ")))]);
    boxed(pen, area, "Help", &lines);
}

fn sign_of(sign: &str) -> &'static str {
    ["●", "▲", "◐", "✖", "◷", "○"]
        .into_iter()
        .find(|it| *it == sign)
        .unwrap_or("●")
}

fn boxed(pen: &mut Pen<'_>, area: Rect, title: &str, lines: &[Vec<Run>]) {
    let height = u16::try_from(lines.len())
        .unwrap_or(u16::MAX)
        .saturating_add(2)
        .min(area.height);
    let width = area.width.min(78);
    let x = area.x.saturating_add(area.width.saturating_sub(width) / 2);
    let y = area
        .y
        .saturating_add(area.height.saturating_sub(height) / 2);
    let place = Rect::new(x, y, width, height);
    pen.clear(place);
    let inside = pen.frame(place, title, "", true);
    for (line, y) in lines.iter().zip(inside.top()..inside.bottom()) {
        pen.line(inside.x, y, inside.width, line);
    }
}
