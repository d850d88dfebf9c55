//! Writes into a buffer: runs of text within a width, frames, columns. What does not fit is cut and
//! marked so, and nothing is written outside.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::state::{Hit, Hits, Target};
use crate::theme::{Look, Tone};

/// Text of one tone.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) text: String,
    pub(super) tone: Tone,
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

/// What writes.
pub(super) struct Pen<'a> {
    buffer: &'a mut Buffer,
    look: Look,
    area: Rect,
    hits: Hits,
}

impl<'a> Pen<'a> {
    pub(super) fn new(buffer: &'a mut Buffer, look: Look, area: Rect) -> Self {
        Self {
            buffer,
            look,
            area,
            hits: Hits::new(),
        }
    }

    /// Returns what can be pointed at.
    pub(super) fn into_hits(self) -> Hits {
        self.hits
    }

    pub(super) fn hit(&mut self, area: Rect, target: Target) {
        self.hits.push(Hit { area, target });
    }

    pub(super) fn area(&self) -> Rect {
        self.area
    }

    pub(super) fn look(&self) -> Look {
        self.look
    }

    /// Writes runs, one behind the other, within a width; what is cut off is marked.
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
            let is_cut = text.width() > room;
            let (next, _) = self.buffer.set_stringn(at, y, text, room, style);
            at = next.min(end);
            if is_cut {
                let mark = self.look.sign("…");
                let last = end.saturating_sub(1);
                if last >= x {
                    self.buffer.set_stringn(last, y, mark, 1, style);
                }
                return;
            }
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
            let title = ended(title, inner.saturating_sub(4), self.look);
            format!(" {} ", title.trim_end())
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
}

/// Takes out what a terminal would carry out: names and texts come from others.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

/// Brings a text to a width: cut in the middle where it is too long.
pub(super) fn fit(text: &str, width: usize, right: bool, look: Look) -> String {
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
        format!("{head}{}{tail}", look.sign("…"))
    };
    let space = " ".repeat(width.saturating_sub(whole.width()));
    format!("{whole}{space}")
}

/// Brings a sentence to a width: what is too long is cut at its end.
pub(super) fn ended(text: &str, width: usize, look: Look) -> String {
    let text = printable(text);
    if text.width() <= width {
        return fit(&text, width, false, look);
    }
    let head = take(text.chars(), width.saturating_sub(1));
    let whole = if width == 0 {
        String::new()
    } else {
        format!("{head}{}", look.sign("…"))
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
        let look = Look::default();
        let fit = |text, width, right| fit(text, width, right, look);
        assert_eq!(fit("ab", 4, false), "ab  ");
        assert_eq!(fit("ab", 4, true), "  ab");
        assert_eq!(fit("abcdefgh", 5, false), "ab…gh");
        assert_eq!(fit("日本語の名前", 7, false).width(), 7);
        assert_eq!(fit("a\u{1b}[31mb", 6, false), "a[31mb");
        assert_eq!(fit("abc", 0, false), "");
        assert_eq!(ended("abcdefgh", 5, look), "abcd…");
        assert_eq!(ended("日本語の名前", 6, look), "日本… ");
        assert_eq!(ended("abc", 0, look), "");
    }
}
