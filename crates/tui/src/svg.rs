//! A screen as a picture: text stays text, and light or dark follow whoever looks at it.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// Width and height of a cell, in units of the picture.
const CELL: (usize, usize) = (9, 18);

/// A letter is as wide as its cell, whatever the font.
const ADJUST: &str = " lengthAdjust=\"spacingAndGlyphs\">";

const STYLE: &str = "text{font:15px ui-monospace,Menlo,Consolas,monospace}.b{font-weight:bold}\
.p{fill:#1f2328}.g{fill:#2f7d32}.y{fill:#8a5a00}.r{fill:#b3261e}.c{fill:#00696b}.o{fill:#6b7076}.f{fill:#3657a0}\
.bg{fill:#fff}.s{fill:#d7dee8}@media(prefers-color-scheme:dark){.p{fill:#d6d9de}.g{fill:#7fb77e}.y{fill:#d9a441}\
.r{fill:#e8838b}.c{fill:#5fb3b3}.o{fill:#989da6}.f{fill:#88a4d4}.bg{fill:#1e1e1e}.s{fill:#3a4250}}";

/// Draws a screen.
pub fn svg(buffer: &Buffer, title: &str) -> String {
    let area = buffer.area;
    let (width, height) = (
        usize::from(area.width) * CELL.0,
        usize::from(area.height) * CELL.1,
    );
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\"><title>{}</title><style>{STYLE}</style><rect class=\"bg\" width=\"100%\" height=\"100%\"/>\n",
        escaped(title)
    );
    for y in area.top()..area.bottom() {
        let cells: Vec<&Cell> = (area.left()..area.right())
            .filter_map(|x| buffer.cell((x, y)))
            .collect();
        let mut at = 0;
        while let Some(first) = cells.get(at) {
            let alike =
                |cell: &&&Cell| class(cell) == class(first) && is_turned(cell) == is_turned(first);
            let run: Vec<&str> = cells
                .iter()
                .skip(at)
                .take_while(alike)
                .map(|it| it.symbol())
                .collect();
            part(
                &mut out,
                (at, usize::from(y)),
                &run,
                (class(first), is_turned(first)),
            );
            at += run.len().max(1);
        }
    }
    out.push_str("</svg>\n");
    out
}

fn part(out: &mut String, (x, y): (usize, usize), run: &[&str], (class, turned): (String, bool)) {
    let (left, top) = (x * CELL.0, y * CELL.1);
    let width = run.len() * CELL.0;
    if turned {
        let place = format!(
            "x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{}\"",
            CELL.1
        );
        out.extend(["<rect class=\"s\" ", &place, "/>\n"]);
    }
    // Each word at its place: not every viewer keeps spaces.
    let mut at = 0;
    for word in run.split(|cell| cell.trim().is_empty()) {
        if !word.is_empty() {
            let left = left + at * CELL.0;
            let width = word.len() * CELL.0;
            let y = top + 14;
            let place = format!("class=\"{class}\" x=\"{left}\" y=\"{y}\" textLength=\"{width}\"");
            let text = escaped(&word.concat());
            out.extend(["<text ", &place, ADJUST, &text, "</text>\n"]);
        }
        at += word.len() + 1;
    }
}

fn is_turned(cell: &Cell) -> bool {
    cell.modifier.contains(Modifier::REVERSED)
}

fn class(cell: &Cell) -> String {
    let color = [
        (Color::Green, "g"),
        (Color::Yellow, "y"),
        (Color::Red, "r"),
        (Color::Cyan, "c"),
        (Color::DarkGray, "o"),
        (Color::Blue, "f"),
    ];
    let color = color
        .iter()
        .find(|(color, _)| *color == cell.fg)
        .map_or("p", |it| it.1);
    if cell.modifier.contains(Modifier::BOLD) {
        format!("{color} b")
    } else {
        color.to_owned()
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
