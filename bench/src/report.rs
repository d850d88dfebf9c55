//! Tables: on the terminal, and between the markers of docs/performance.md.
//!
//! A sheet comes in; Markdown goes out. Must never touch a line outside the markers.
use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};

use crate::{
    sheet::{Goal, METRICS, Sheet},
    subject::Kind,
};

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

/// Returns every metric by subject as a Markdown table.
pub(crate) fn metrics(sheet: &Sheet, kinds: &[Kind]) -> String {
    let mut text = String::from("| |");
    for kind in kinds {
        line(&mut text, format_args!(" {} |", kind.name()));
    }
    text.push_str("\n|---|");
    text.push_str(&"--:|".repeat(kinds.len()));
    text.push('\n');
    for metric in METRICS {
        if kinds.iter().all(|kind| sheet.get(metric, *kind).is_none()) {
            continue;
        }
        line(&mut text, format_args!("| {} |", metric.title()));
        for kind in kinds {
            let cell = sheet
                .get(metric, *kind)
                .map_or_else(|| "–".to_owned(), number);
            line(&mut text, format_args!(" {cell} |"));
        }
        text.push('\n');
    }
    text
}

/// Returns the goals as a Markdown table, and the notes; nothing where nothing was judged.
pub(crate) fn goals(sheet: &Sheet) -> String {
    let mut text = String::new();
    let verdicts = sheet.verdicts();
    if !verdicts.is_empty() {
        text.push_str("\n| cc-relay | goal | reached | |\n|---|---|--:|---|\n");
    }
    for verdict in verdicts {
        let goal = match verdict.goal {
            Goal::AtMost(limit) => format!("≤ {}", number(limit)),
            Goal::Times(limit, other) => format!("≤ {limit:.2} × {}", other.name()),
        };
        let mark = if verdict.met(1.0) {
            "met"
        } else {
            "**missed**"
        };
        let title = verdict.metric.title();
        let reached = match verdict.goal {
            Goal::AtMost(_) => number(verdict.reached),
            Goal::Times(..) => format!("{:.2} ×", verdict.reached),
        };
        line(
            &mut text,
            format_args!("| {title} | {goal} | {reached} | {mark} |\n"),
        );
    }
    for note in &sheet.notes {
        line(&mut text, format_args!("\nNote: {note}.\n"));
    }
    text
}

/// Replaces what stands between the markers of the page.
///
/// # Errors
/// When the page or a marker is missing.
pub(crate) fn write_page(page: &Path, text: &str) -> Result<()> {
    let old = fs::read_to_string(page).with_context(|| format!("reading {}", page.display()))?;
    let fresh = between_markers(&old, text)
        .with_context(|| format!("{} lacks the markers {BEGIN} and {END}", page.display()))?;
    fs::write(page, fresh).with_context(|| format!("writing {}", page.display()))
}

fn between_markers(old: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!(
        "{before}{BEGIN}\n{}\n{END}{after}",
        text.trim_end()
    ))
}

/// Returns a value with as many digits as mean something.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size < 0.005 => "0".to_owned(),
        _ => format!("{value:.2}"),
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    out.write_fmt(text).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::Metric;

    #[test]
    fn only_the_text_between_the_markers_changes() {
        let old = format!("# Speed\n{BEGIN}\nold\n{END}\ntail\n");
        let fresh = between_markers(&old, "new\n").unwrap();
        assert_eq!(fresh, format!("# Speed\n{BEGIN}\nnew\n{END}\ntail\n"));
        assert!(between_markers("no markers", "new").is_none());
    }

    #[test]
    fn a_missed_goal_is_said_plainly() {
        let mut sheet = Sheet::default();
        sheet.set(Metric::ColdStart, Kind::Relay, 12.0);
        let text = goals(&sheet);
        assert!(
            text.contains("| cold start (ms) | ≤ 10.0 | 12.0 | **missed** |"),
            "{text}"
        );
    }
}
