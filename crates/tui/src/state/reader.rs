//! A text that is read over a view, such as a request as JSON.

/// Columns that it is scrolled by at once.
const STEP: usize = 8;
/// Lines that are kept of it.
const MOST: usize = 10_000;

/// The text, and which part of it is on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
    pub(crate) top: usize,
    pub(crate) shift: usize,
}

impl Reader {
    pub(super) fn new(title: String, text: &str) -> Self {
        let mut lines: Vec<String> = text.lines().take(MOST).map(ToOwned::to_owned).collect();
        if text.lines().nth(MOST).is_some() {
            lines.push("… and more".to_owned());
        }
        Self {
            title,
            lines,
            top: 0,
            shift: 0,
        }
    }

    pub(super) fn text(&self) -> String {
        self.lines.join("\n")
    }

    /// Goes so many lines on or back.
    pub(super) fn step(&mut self, by: isize) {
        let last = self.lines.len().saturating_sub(1);
        self.top = self.top.saturating_add_signed(by).min(last);
    }

    pub(super) fn side(&mut self, right: bool) {
        self.shift = shifted(self.shift, right, &self.lines);
    }
}

/// Returns by how much lines are scrolled aside next: never past the longest.
pub(super) fn shifted(shift: usize, right: bool, lines: &[String]) -> usize {
    let longest = lines.iter().map(|line| line.chars().count()).max();
    if right {
        let last = longest.unwrap_or(0).saturating_sub(STEP);
        shift.saturating_add(STEP).min(last)
    } else {
        shift.saturating_sub(STEP)
    }
}
