//! Colours by what they mean, and the signs of terminals that have only ASCII.
//!
//! A colour never stands alone: a sign and a word stand beside it. The sixteen colours of the
//! terminal are used, so that its own theme decides what they look like.

use ratatui::style::{Color, Modifier, Style};

/// How it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether there are colours; bold and reverse stay without.
    pub color: bool,
    /// Whether only ASCII is drawn.
    pub ascii: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            color: true,
            ascii: false,
        }
    }
}

/// What something means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Ok,
    Warn,
    Bad,
    Trial,
    Off,
    Focus,
}

impl Look {
    pub(crate) fn style(self, tone: Tone) -> Style {
        let style = Style::new();
        let strong = style.add_modifier(Modifier::BOLD);
        let (style, color) = match tone {
            Tone::Plain => return style,
            Tone::Strong => return strong,
            Tone::Ok => (style, Color::Green),
            Tone::Warn => (style, Color::Yellow),
            Tone::Bad => (strong, Color::Red),
            Tone::Trial => (style, Color::Cyan),
            Tone::Off => (style, Color::DarkGray),
            Tone::Focus => (strong, Color::Blue),
        };
        if self.color { style.fg(color) } else { style }
    }

    /// Returns a sign, or what stands for it in ASCII.
    pub(crate) fn sign(self, sign: &'static str) -> &'static str {
        if !self.ascii {
            return sign;
        }
        match sign {
            "●" => "*",
            "▲" => "^",
            "✖" => "X",
            "◐" => "@",
            "○" => "o",
            "◷" => "~",
            "✔" => "v",
            "▸" | "→" => ">",
            "↻" => "r",
            "└" => "`",
            "├" => "|",
            "█" => "#",
            "░" => ".",
            "·" => "-",
            _ => "?",
        }
    }

    /// Draws a row of numbers as bars of eight heights.
    pub(crate) fn spark(self, values: &[u32], width: usize) -> String {
        let bars = if self.ascii {
            [" ", ".", ":", "-", "=", "+", "*", "#"]
        } else {
            ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
        };
        let per = values.len().div_ceil(width.max(1)).max(1);
        let sums: Vec<u64> = values
            .chunks(per)
            .map(|part| part.iter().map(|it| u64::from(*it)).sum())
            .collect();
        let most = sums.iter().copied().max().unwrap_or(0);
        let bar = |sum: &u64| {
            let grade = if most == 0 {
                0
            } else {
                sum.saturating_mul(7).div_ceil(most)
            };
            usize::try_from(grade)
                .ok()
                .and_then(|it| bars.get(it))
                .copied()
                .unwrap_or(" ")
        };
        sums.iter().map(bar).collect()
    }

    /// Draws how much of something is used.
    pub(crate) fn gauge(self, used: u64, limit: u64, width: usize) -> String {
        let cells = u64::try_from(width).unwrap_or(0);
        let full = used
            .min(limit)
            .saturating_mul(cells)
            .checked_div(limit)
            .unwrap_or(0);
        let full = usize::try_from(full).unwrap_or(0).min(width);
        let empty = width.saturating_sub(full);
        format!(
            "{}{}",
            self.sign("█").repeat(full),
            self.sign("░").repeat(empty)
        )
    }
}
