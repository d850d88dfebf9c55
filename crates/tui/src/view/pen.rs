//! Writes into a buffer: runs of text within a width, frames, columns. What does not fit is cut, and
//! nothing is written outside.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::theme::{Look, Tone};

/// Text of one tone.
#[derive(Debug, Clone)]
pub(super) struct Run {
    text: String,
    tone: Tone,
}

impl Run {
    pub(super) fn new(text: &str, tone: Tone) -> Self {
        Self {
            text: text.to_owned(),
            tone,
        }
    }

    pub(super) fn plain(text: &str) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) head: &'static str,
    pub(super) width: usize,
    /// Numbers stand at the right.
    pub(super) right: bool,
    /// Where there is no room, the column with the lowest rank goes first; those of [`STAYS`] never.
    pub(super) rank: u8,
}

/// The rank of columns that are always drawn.
pub(super) const STAYS: u8 = u8::MAX;

impl Column {
    pub(super) const fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }
}

pub(super) const fn left(head: &'static str, width: usize) -> Column {
    Column {
        head,
        width,
        right: false,
        rank: STAYS,
    }
}

pub(super) const fn right(head: &'static str, width: usize) -> Column {
    Column {
        right: true,
        ..left(head, width)
    }
}

/// Returns the places of the columns that there is room for.
fn places(columns: &[Column], width: u16) -> Vec<usize> {
    let mut places: Vec<usize> = (0..columns.len()).collect();
    let of = |place: &usize| columns.get(*place);
    loop {
        let widths = places
            .iter()
            .filter_map(of)
            .map(|it| it.width.saturating_add(2));
        let lowest = places.iter().filter_map(of).map(|it| it.rank).min();
        if widths.sum::<usize>() <= usize::from(width) || lowest == Some(STAYS) {
            return places;
        }
        // Of equals the last one.
        let Some(gone) = places
            .iter()
            .rposition(|it| of(it).map(|it| it.rank) == lowest)
        else {
            return places;
        };
        places.remove(gone);
    }
}

/// What writes.
pub(super) struct Pen<'a> {
    buffer: &'a mut Buffer,
    look: Look,
    area: Rect,
}

impl<'a> Pen<'a> {
    pub(super) fn new(buffer: &'a mut Buffer, look: Look, area: Rect) -> Self {
        Self { buffer, look, area }
    }

    pub(super) fn area(&self) -> Rect {
        self.area
    }

    pub(super) fn look(&self) -> Look {
        self.look
    }

    /// Writes runs, one behind the other, within a width.
    pub(super) fn line(&mut self, x: u16, y: u16, width: u16, runs: &[Run]) {
        if y >= self.area.bottom() || x >= self.area.right() {
            return;
        }
        let end = x.saturating_add(width).min(self.area.right());
        let mut at = x;
        for run in runs {
            let room = usize::from(end.saturating_sub(at));
            let text = printable(&run.text);
            let style = self.look.style(run.tone);
            let (next, _) = self.buffer.set_stringn(at, y, text, room, style);
            at = next.min(end);
        }
    }

    /// Turns a row around: it is selected.
    pub(super) fn select(&mut self, x: u16, y: u16, width: u16) {
        let row = Rect::new(x, y, width, 1).intersection(self.area);
        self.buffer.set_style(
            row,
            ratatui::style::Style::new().add_modifier(Modifier::REVERSED),
        );
    }

    /// Takes everything out of a part.
    pub(super) fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                }
            }
        }
    }

    /// Draws a frame with a title at the left and a word at the right; returns what is inside.
    pub(super) fn frame(&mut self, area: Rect, title: &str, aside: &str, focus: bool) -> Rect {
        let area = area.intersection(self.area);
        if area.width < 4 || area.height < 2 {
            return Rect::new(area.x, area.y, 0, 0);
        }
        let signs = if self.look.ascii {
            ["+", "-", "+", "|", "+", "+"]
        } else {
            ["╭", "─", "╮", "│", "╰", "╯"]
        };
        let [corner, line, end, side, low, last] = signs;
        let tone = if focus { Tone::Focus } else { Tone::Plain };
        let inner = usize::from(area.width).saturating_sub(2);
        let title = if title.is_empty() {
            String::new()
        } else {
            format!(" {title} ")
        };
        let aside = if aside.is_empty() {
            String::new()
        } else {
            format!(" {aside} ")
        };
        let used = title
            .width()
            .saturating_add(aside.width())
            .saturating_add(2);
        let aside = if used > inner { String::new() } else { aside };
        let fill = inner
            .saturating_sub(title.width())
            .saturating_sub(aside.width())
            .saturating_sub(2);
        let top = [corner, line, &title, &line.repeat(fill), &aside, line, end].concat();
        self.line(area.x, area.y, area.width, &[Run::new(&top, tone)]);
        let bottom = area.bottom().saturating_sub(1);
        for y in area.y.saturating_add(1)..bottom {
            self.line(area.x, y, 1, &[Run::new(side, tone)]);
            self.line(
                area.right().saturating_sub(1),
                y,
                1,
                &[Run::new(side, tone)],
            );
        }
        let foot = [low, &line.repeat(inner), last].concat();
        self.line(area.x, bottom, area.width, &[Run::new(&foot, tone)]);
        Rect::new(
            area.x.saturating_add(1),
            area.y.saturating_add(1),
            area.width.saturating_sub(2),
            area.height.saturating_sub(2),
        )
    }

    /// Writes a table's rows: those around the selected one, which is marked.
    pub(super) fn table(
        &mut self,
        area: Rect,
        columns: &[Column],
        rows: &[Vec<Run>],
        selected: Option<usize>,
    ) {
        let places = places(columns, area.width);
        let has_heads = columns.iter().any(|it| !it.head.is_empty());
        let above = u16::from(has_heads);
        if has_heads {
            let heads: Vec<Run> = columns
                .iter()
                .map(|it| Run::new(it.head, Tone::Off))
                .collect();
            self.row((area.x, area.y, area.width), columns, &places, &heads);
        }
        let room = usize::from(area.height.saturating_sub(above));
        let first = selected.unwrap_or(0).saturating_add(1).saturating_sub(room);
        for (offset, (place, row)) in (above..).zip(rows.iter().enumerate().skip(first).take(room))
        {
            let y = area.y.saturating_add(offset);
            self.row((area.x, y, area.width), columns, &places, row);
            if selected == Some(place) {
                self.select(area.x, y, area.width);
                let mark = self.look.sign("▸");
                self.line(area.x, y, 1, &[Run::plain(mark)]);
                self.select(area.x, y, 1);
            }
        }
    }

    fn row(
        &mut self,
        (x, y, width): (u16, u16, u16),
        columns: &[Column],
        places: &[usize],
        cells: &[Run],
    ) {
        let mut at = x.saturating_add(2);
        let end = x.saturating_add(width);
        if let [only] = cells {
            // One remark beneath a row, as long as it is.
            return self.line(at, y, end.saturating_sub(at), std::slice::from_ref(only));
        }
        for place in places {
            let (Some(column), Some(cell)) = (columns.get(*place), cells.get(*place)) else {
                continue;
            };
            let text = fit(&cell.text, column.width, column.right);
            let room = end.saturating_sub(at);
            self.line(at, y, room, &[Run::new(&text, cell.tone)]);
            let step = u16::try_from(column.width.saturating_add(2)).unwrap_or(u16::MAX);
            at = at.saturating_add(step);
        }
    }
}

/// Takes out what a terminal would carry out: names and texts come from others.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

/// Brings a text to a width: cut in the middle where it is too long.
pub(super) fn fit(text: &str, width: usize, right: bool) -> String {
    let text = printable(text);
    let taken = text.width();
    if taken <= width {
        let space = " ".repeat(width.saturating_sub(taken));
        return if right {
            format!("{space}{text}")
        } else {
            format!("{text}{space}")
        };
    }
    let head = take(text.chars(), width.saturating_sub(1).div_ceil(2));
    let tail: String = take(text.chars().rev(), width.saturating_sub(1) / 2)
        .chars()
        .rev()
        .collect();
    let whole = if width == 0 {
        String::new()
    } else {
        format!("{head}~{tail}")
    };
    let space = " ".repeat(width.saturating_sub(whole.width()));
    format!("{whole}{space}")
}

fn take(letters: impl Iterator<Item = char>, width: usize) -> String {
    let mut taken = 0_usize;
    let mut out = String::new();
    for letter in letters {
        taken = taken.saturating_add(letter.width().unwrap_or(0));
        if taken > width {
            break;
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_fits_and_says_where_it_was_cut() {
        assert_eq!(fit("ab", 4, false), "ab  ");
        assert_eq!(fit("ab", 4, true), "  ab");
        assert_eq!(fit("abcdefgh", 5, false), "ab~gh");
        assert_eq!(fit("日本語の名前", 7, false).width(), 7);
        assert_eq!(fit("a\u{1b}[31mb", 6, false), "a[31mb");
        assert_eq!(fit("abc", 0, false), "");
    }
}
