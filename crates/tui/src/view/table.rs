//! Tables: which columns there is room for, which rows are on the screen, which one is selected.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr as _;

use super::pen::{Pen, Run, ended, fit};
use crate::state::{Place, Target};
use crate::theme::Tone;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) head: &'static str,
    pub(super) width: usize,
    /// Numbers stand at the right.
    right: bool,
    /// What is cut of names is their middle, of sentences their end.
    is_prose: bool,
    /// Takes what room is left over.
    grows: bool,
    /// Where there is no room, the column with the lowest rank goes first; those of [`STAYS`] never.
    rank: u8,
}

/// The rank of columns that are always drawn.
const STAYS: u8 = u8::MAX;
/// Names are not made shorter than that.
const NARROW: usize = 6;

impl Column {
    pub(super) const fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }

    pub(super) const fn grow(self) -> Self {
        Self {
            grows: true,
            ..self
        }
    }

    /// Tells whether it can be made shorter: a number is nothing without its end, a state without
    /// its word.
    const fn is_name(&self) -> bool {
        !self.right && !self.is_prose
    }

    pub(super) const fn prose(self) -> Self {
        Self {
            is_prose: true,
            ..self
        }
    }
}

pub(super) const fn left(head: &'static str, width: usize) -> Column {
    Column {
        head,
        width,
        right: false,
        is_prose: false,
        grows: false,
        rank: STAYS,
    }
}

pub(super) const fn right(head: &'static str, width: usize) -> Column {
    Column {
        right: true,
        ..left(head, width)
    }
}

/// Returns the columns that there is room for, by their places, as wide as they are drawn.
fn fitting(columns: &[Column], width: u16) -> Vec<(usize, Column)> {
    // Two columns of space before each, one behind the last.
    let room = usize::from(width).saturating_sub(1);
    let taken = |kept: &[(usize, Column)]| -> usize {
        kept.iter().map(|it| it.1.width.saturating_add(2)).sum()
    };
    let mut kept: Vec<(usize, Column)> = (0..).zip(columns.iter().copied()).collect();
    while taken(&kept) > room {
        let lowest = kept.iter().map(|it| it.1.rank).min().unwrap_or(STAYS);
        if lowest < STAYS {
            // Of equals the last one.
            if let Some(gone) = kept.iter().rposition(|it| it.1.rank == lowest) {
                kept.remove(gone);
            }
            continue;
        }
        let names = kept
            .iter_mut()
            .filter(|it| it.1.is_name() && it.1.width > NARROW);
        let Some((_, widest)) = names.max_by_key(|it| it.1.width) else {
            break;
        };
        widest.width = widest.width.saturating_sub(1);
    }
    let spare = room.saturating_sub(taken(&kept));
    if let Some((_, column)) = kept.iter_mut().find(|it| it.1.grows) {
        column.width = column.width.saturating_add(spare);
    }
    kept
}

/// Returns how wide a column is drawn; 0 where there is no room for it.
pub(super) fn width_of(columns: &[Column], width: u16, place: usize) -> usize {
    let kept = fitting(columns, width).into_iter();
    kept.filter(|it| it.0 == place).map(|it| it.1.width).sum()
}

/// What a table has: a row with one cell in a table with more columns is a remark on the row above.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) columns: &'a [Column],
    pub(super) rows: &'a [Vec<Run>],
    /// Which row is selected, remarks not counted.
    pub(super) selected: Option<usize>,
    /// Where it is, for what points at its rows.
    pub(super) place: Place,
}

impl Table<'_> {
    fn is_remark(&self, row: &[Run]) -> bool {
        row.len() == 1 && self.columns.len() > 1
    }

    /// Returns each row with its number, if it is none of the remarks.
    fn numbered(&self) -> Vec<(Option<usize>, &[Run])> {
        let mut next = 0_usize;
        let mut rows = Vec::new();
        for row in self.rows {
            let number = (!self.is_remark(row)).then_some(next);
            next = next.saturating_add(number.map_or(0, |_| 1));
            rows.push((number, row.as_slice()));
        }
        rows
    }
}

impl Pen<'_> {
    /// Writes a table's rows: those around the selected one, which is marked. Where there are more,
    /// the frame below says which these are.
    pub(super) fn table(&mut self, area: Rect, table: &Table<'_>) {
        let columns = fitting(table.columns, area.width);
        let has_heads = table.columns.iter().any(|it| !it.head.is_empty());
        let above = u16::from(has_heads);
        if has_heads {
            let heads = table.columns.iter();
            let heads: Vec<Run> = heads.map(|it| Run::new(it.head, Tone::Off)).collect();
            self.row((area.x, area.y, area.width), &columns, &heads);
        }
        let rows = table.numbered();
        let room = usize::from(area.height.saturating_sub(above));
        let is_here = |row: &(Option<usize>, &[Run])| row.0.is_some() && row.0 == table.selected;
        let chosen = rows.iter().position(is_here);
        let first = chosen.unwrap_or(0).saturating_add(1).saturating_sub(room);
        let shown = rows.iter().skip(first).take(room);
        let mut seen = (usize::MAX, 0);
        for (offset, row) in (above..).zip(shown) {
            let y = area.y.saturating_add(offset);
            let Some(number) = row.0 else {
                self.remark((area.x, y, area.width), row.1);
                continue;
            };
            seen = (seen.0.min(number), number);
            self.row((area.x, y, area.width), &columns, row.1);
            let whole = Rect::new(area.x, y, area.width, 1);
            self.hit(whole, Target::Row(table.place, number));
            if is_here(row) {
                self.select(area.x, y, area.width);
                let mark = self.look().sign("▸");
                self.line(area.x, y, 1, &[Run::plain(mark)]);
                self.select(area.x, y, 1);
            }
        }
        if rows.len() > room && seen.0 <= seen.1 {
            let of = rows.iter().filter(|row| row.0.is_some()).count();
            let (from, to) = (seen.0.saturating_add(1), seen.1.saturating_add(1));
            self.foot(area, &format!(" {from}-{to} of {of} "));
        }
    }

    /// Writes into the lower edge of the frame around a part, at the right.
    pub(super) fn foot(&mut self, area: Rect, text: &str) {
        let width = u16::try_from(text.width()).unwrap_or(u16::MAX);
        let x = area.right().saturating_sub(width.saturating_add(1));
        if x > area.x {
            self.line(x, area.bottom(), width, &[Run::new(text, Tone::Off)]);
        }
    }

    fn remark(&mut self, (x, y, width): (u16, u16, u16), cells: &[Run]) {
        let x = x.saturating_add(2);
        self.line(x, y, width.saturating_sub(3), cells);
    }

    fn row(&mut self, (x, y, width): (u16, u16, u16), columns: &[(usize, Column)], cells: &[Run]) {
        let mut at = x.saturating_add(2);
        let end = x.saturating_add(width);
        for (place, column) in columns {
            let Some(cell) = cells.get(*place) else {
                continue;
            };
            let text = if column.is_prose {
                ended(&cell.text, column.width, self.look())
            } else {
                fit(&cell.text, column.width, column.right, self.look())
            };
            let room = end.saturating_sub(at);
            self.line(at, y, room, &[Run::new(&text, cell.tone)]);
            let step = u16::try_from(column.width.saturating_add(2)).unwrap_or(u16::MAX);
            at = at.saturating_add(step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_go_by_rank_then_names_shrink_then_one_grows() {
        let columns = [
            left("NAME", 20),
            right("A", 5).rank(1),
            right("B", 5),
            left("WHY", 10).grow(),
        ];
        let widths = |width| -> Vec<(usize, usize)> {
            let kept = fitting(&columns, width).into_iter();
            kept.map(|(place, column)| (place, column.width)).collect()
        };
        assert_eq!(widths(60), [(0, 20), (1, 5), (2, 5), (3, 21)]);
        assert_eq!(widths(49), [(0, 20), (1, 5), (2, 5), (3, 10)]);
        assert_eq!(widths(42), [(0, 20), (2, 5), (3, 10)]);
        assert_eq!(widths(32), [(0, 10), (2, 5), (3, 10)]);
        assert_eq!(widths(4), [(0, 6), (2, 5), (3, 6)]);
    }
}
