//! What lies over a view: questions, a refused configuration, the help.

use ratatui::layout::Rect;
use relay_api::v1;
use unicode_width::UnicodeWidthStr as _;

use super::detail::wrapped;
use super::lists::shifted;
use super::pen::{Pen, Run, ended, fit};
use crate::keys::{Group, told};
use crate::state::{Dialog, Place, Reader};
use crate::theme::{Look, Tone};

/// Columns of a dialog, where there are as many.
const WIDTH: u16 = 78;

/// Draws a dialog in the middle.
pub(super) fn draw(dialog: &Dialog, pen: &mut Pen<'_>, area: Rect) {
    let width = usize::from(area.width.min(WIDTH)).saturating_sub(3);
    let (title, lines) = match dialog {
        Dialog::Confirm {
            change,
            name,
            typed,
            ..
        } => confirm(change, name.as_deref(), typed, width),
        Dialog::Route { names, place } => route(names, *place, pen.look()),
        Dialog::Refused { from, faults } => refused(from, faults, width),
    };
    boxed(pen, area, &title, &lines, WIDTH);
}

type Lines = Vec<Vec<Run>>;

fn confirm(change: &v1::Change, name: Option<&str>, typed: &str, width: usize) -> (String, Lines) {
    let mut lines = vec![Vec::new()];
    for effect in &change.effects {
        let mut topic = effect.topic.as_str();
        for text in wrapped(&effect.text, width.saturating_sub(10)) {
            let before = format!("  {topic:<7} ");
            lines.push(vec![Run::new(&before, Tone::Off), Run::plain(&text)]);
            topic = "";
        }
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

fn refused(from: &str, faults: &[v1::Fault], width: usize) -> (String, Lines) {
    let mut lines = vec![Vec::new()];
    for fault in faults {
        let mut place = format!("{}:{}", fault.line, fault.column);
        for text in wrapped(&fault.message, width.saturating_sub(11)) {
            let before = format!("  {place:<8} ");
            lines.push(vec![
                Run::new(&before, Tone::Off),
                Run::new(&text, Tone::Bad),
            ]);
            place = String::new();
        }
        for text in wrapped(&fault.help, width.saturating_sub(11)) {
            lines.push(vec![Run::plain(&format!("  {:<8} {text}", ""))]);
        }
    }
    lines.push(Vec::new());
    lines.push(vec![Run::plain("  y copies   esc closes")]);
    (format!("Reload refused: {from} stays in force"), lines)
}

/// Says why the relay does not answer this viewer, and what to do: it is not asked again by itself.
pub(super) fn turned_away(why: &str, pen: &mut Pen<'_>, area: Rect) {
    let width = usize::from(area.width.min(WIDTH)).saturating_sub(5);
    let mut lines = vec![Vec::new()];
    for text in wrapped(why, width) {
        lines.push(vec![Run::plain(&format!("  {text}"))]);
    }
    lines.push(Vec::new());
    lines.push(vec![Run::new("  r  try again      q  quit", Tone::Strong)]);
    boxed(pen, area, "The relay refuses this viewer", &lines, WIDTH);
}

/// Draws a text that is read over a view.
pub(super) fn reader(reader: &Reader, pen: &mut Pen<'_>, area: Rect) {
    pen.clear(area);
    let inside = pen.frame(area, &reader.title, "esc closes", true);
    let room = usize::from(inside.height);
    let last = reader.lines.len().saturating_sub(room);
    let first = reader.top.min(last);
    for (line, y) in reader
        .lines
        .iter()
        .skip(first)
        .zip(inside.top()..inside.bottom())
    {
        let text = shifted(line, reader.shift);
        let x = inside.x.saturating_add(1);
        pen.line(x, y, inside.width.saturating_sub(2), &[Run::plain(&text)]);
    }
    if last > 0 {
        let (from, to) = (first.saturating_add(1), first.saturating_add(room));
        pen.foot(inside, &format!(" {from}-{to} of {} ", reader.lines.len()));
    }
}

/// Columns of one row of the help.
const ENTRY: usize = 37;

/// Draws what the keys do at a place, group by group, in as many columns as there is room for.
pub(super) fn help(place: Place, top: usize, pen: &mut Pen<'_>, area: Rect) {
    let look = pen.look();
    let mut entries: Vec<Vec<Run>> = Vec::new();
    for (group, title) in Group::ALL {
        let keys = told(place, group);
        if keys.is_empty() {
            continue;
        }
        if !entries.is_empty() {
            entries.push(Vec::new());
        }
        entries.push(vec![Run::new(&format!("  {title}"), Tone::Off)]);
        entries.extend(keys.into_iter().map(|(shown, does)| {
            let shown = fit(&look.key(shown), 8, false, look);
            vec![
                Run::new(&format!("  {shown} "), Tone::Strong),
                Run::plain(does),
            ]
        }));
    }
    // A frame, and the legend below an empty line.
    let room = usize::from(area.height).saturating_sub(4).max(1);
    let most = (usize::from(area.width).saturating_sub(3) / ENTRY).max(1);
    let columns = entries.len().div_ceil(room).clamp(1, most);
    let rows = entries.len().div_ceil(columns);
    let mut lines: Vec<Vec<Run>> = Vec::new();
    for row in 0..rows {
        let mut line = Vec::new();
        for column in 0..columns {
            let entry = entries.get(column.saturating_mul(rows).saturating_add(row));
            line.extend(column_of(entry.map_or(&[], Vec::as_slice), ENTRY, look));
        }
        lines.push(line);
    }
    let last = rows.saturating_sub(room);
    let first = top.min(last);
    let mut shown: Vec<Vec<Run>> = lines.into_iter().skip(first).take(room).collect();
    shown.push(Vec::new());
    shown.push(vec![Run::plain(&legend(look))]);
    let title = format!("Help {} {}", look.sign("·"), named(place));
    let width = columns.saturating_mul(ENTRY).saturating_add(3).max(60);
    let inside = boxed(
        pen,
        area,
        &title,
        &shown,
        u16::try_from(width).unwrap_or(u16::MAX),
    );
    if last > 0 {
        let (from, to) = (first.saturating_add(1), first.saturating_add(room));
        pen.foot(inside, &format!(" {from}-{to} of {rows} "));
    }
}

/// Brings an entry to the width of its column.
fn column_of(entry: &[Run], width: usize, look: Look) -> Vec<Run> {
    let mut left = width;
    let mut out = Vec::new();
    for (place, run) in entry.iter().enumerate() {
        let is_last = place.saturating_add(1) == entry.len();
        let taken = if is_last {
            left.saturating_sub(1)
        } else {
            run.text.width().min(left)
        };
        out.push(Run::new(&ended(&run.text, taken, look), run.tone));
        left = left.saturating_sub(taken);
    }
    out.push(Run::plain(&" ".repeat(left)));
    out
}

fn legend(look: Look) -> String {
    let words = [
        ("●", "up"),
        ("▲", "slow"),
        ("◐", "probing"),
        ("✖", "open"),
        ("◷", "cools"),
        ("○", "off"),
    ];
    let words = words.map(|(sign, word)| format!("{} {word}", look.sign(sign)));
    format!("  {}", words.join("  "))
}

const fn named(place: Place) -> &'static str {
    match place {
        Place::Providers => "Overview, providers",
        Place::Recent => "Overview, requests",
        Place::Sessions => "Sessions",
        Place::Requests => "Requests",
        Place::Request => "Request",
        Place::Keys => "Keys",
        Place::Events => "Events",
        Place::Config => "Configuration",
        Place::Reader => "Text",
    }
}

fn boxed(pen: &mut Pen<'_>, area: Rect, title: &str, lines: &[Vec<Run>], width: u16) -> Rect {
    let height = u16::try_from(lines.len())
        .unwrap_or(u16::MAX)
        .saturating_add(2)
        .min(area.height);
    let width = area.width.min(width);
    let x = area.x.saturating_add(area.width.saturating_sub(width) / 2);
    let y = area
        .y
        .saturating_add(area.height.saturating_sub(height) / 2);
    let place = Rect::new(x, y, width, height);
    pen.clear(place);
    let inside = pen.frame(place, title, "", true);
    let room = inside.width.saturating_sub(1);
    for (line, y) in lines.iter().zip(inside.top()..inside.bottom()) {
        pen.line(inside.x, y, room, line);
    }
    let more = lines.len().saturating_sub(usize::from(inside.height));
    if more > 0 {
        pen.foot(inside, &format!(" {more} more "));
    }
    inside
}
