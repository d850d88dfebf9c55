//! Colours by what they mean, and the signs of terminals that have only ASCII.
//!
//! A colour never stands alone: a sign and a word stand beside it. By default the sixteen colours of
//! the terminal are used, so that its own theme decides what they look like; the two palettes of exact
//! colours are for terminals whose sixteen are hard to read.

use ratatui::style::{Color, Modifier, Style};

/// How it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Which colours there are; bold and reverse stay without any.
    pub palette: Palette,
    /// Whether only ASCII is drawn.
    pub ascii: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            palette: Palette::Terminal,
            ascii: false,
        }
    }
}

/// Which colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Palette {
    /// None.
    Plain,
    /// The terminal's own sixteen.
    Terminal,
    /// Exact ones, to be read on a dark ground.
    Dark,
    /// Exact ones, to be read on a light ground.
    Light,
}

impl Palette {
    /// Each with its name.
    pub const ALL: [(&'static str, Self); 4] = [
        ("plain", Self::Plain),
        ("terminal", Self::Terminal),
        ("dark", Self::Dark),
        ("light", Self::Light),
    ];

    /// Returns the one of a name.
    pub fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, palette)| palette)
    }

    /// Returns what a hue looks like; `None` for the colour of the text.
    const fn color(self, hue: &Hue) -> Option<Color> {
        match self {
            Self::Plain => None,
            Self::Terminal => Some(hue.terminal),
            Self::Dark => Some(hue.dark),
            Self::Light => Some(hue.light),
        }
    }
}

/// A colour on each ground. The exact ones have a contrast of 4.5 at least, as WCAG 2 counts it.
struct Hue {
    terminal: Color,
    dark: Color,
    light: Color,
}

const fn hue(terminal: Color, dark: u32, light: u32) -> Hue {
    Hue {
        terminal,
        dark: Color::from_u32(dark),
        light: Color::from_u32(light),
    }
}

const OK: Hue = hue(Color::Green, 0x007f_b77e, 0x002f_7d32);
const WARN: Hue = hue(Color::Yellow, 0x00d9_a441, 0x008a_5a00);
const BAD: Hue = hue(Color::Red, 0x00e8_838b, 0x00b3_261e);
const TRIAL: Hue = hue(Color::Cyan, 0x005f_b3b3, 0x0000_696b);
const OFF: Hue = hue(Color::DarkGray, 0x0098_9da6, 0x006b_7076);
const FOCUS: Hue = hue(Color::Blue, 0x0088_a4d4, 0x0036_57a0);

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
        let (style, hue) = match tone {
            Tone::Plain => return style,
            Tone::Strong => return strong,
            Tone::Ok => (style, OK),
            Tone::Warn => (style, WARN),
            Tone::Bad => (strong, BAD),
            Tone::Trial => (style, TRIAL),
            Tone::Off => (style, OFF),
            Tone::Focus => (strong, FOCUS),
        };
        let color = self.palette.color(&hue);
        color.map_or(style, |color| style.fg(color))
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
            "◷" | "…" => "~",
            "✔" => "v",
            "▸" | "→" => ">",
            "↻" => "r",
            "└" => "`",
            "├" => "|",
            "█" => "#",
            "░" => ".",
            "·" | "▾" => "-",
            "▒" => ":",
            _ => "?",
        }
    }

    /// Returns how a key is named.
    pub(crate) fn key(self, shown: &str) -> String {
        if !self.ascii {
            return shown.to_owned();
        }
        let named = [
            ("⏎", "Enter"),
            ("←", "Left"),
            ("→", "Right"),
            ("↑", "Up"),
            ("↓", "Down"),
        ];
        named
            .into_iter()
            .fold(shown.to_owned(), |text, (sign, name)| {
                text.replace(sign, name)
            })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The luminance of a colour, as WCAG 2.2 defines it.
    fn luminance(color: Color) -> f64 {
        let Color::Rgb(red, green, blue) = color else {
            panic!("{color} is no exact colour");
        };
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }

    #[test]
    fn exact_colours_can_be_read_on_their_ground() {
        let contrast = |one: Color, other: Color| {
            let (one, other) = (luminance(one), luminance(other));
            (one.max(other) + 0.05) / (one.min(other) + 0.05)
        };
        for hue in [OK, WARN, BAD, TRIAL, OFF, FOCUS] {
            for ground in [0x001e_1e1e, 0x0028_2c34] {
                let found = contrast(hue.dark, Color::from_u32(ground));
                assert!(found >= 4.5, "{} on {ground:x}: {found}", hue.dark);
            }
            for ground in [0x00ff_ffff, 0x00fd_f6e3] {
                let found = contrast(hue.light, Color::from_u32(ground));
                assert!(found >= 4.5, "{} on {ground:x}: {found}", hue.light);
            }
        }
    }
}
