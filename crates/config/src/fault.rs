//! Faults: what is wrong in a file, where, and what to do.
//!
//! In: a code, words, and a span of the unexpanded text. Out: a rendering for a terminal and a
//! serialisable record. A shown line is masked before it gets here; a fault must never hold a
//! credential, not even unprinted.

use serde::Serialize;

/// One thing wrong in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// A stable name, such as `config::unknown_key`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1. Zero where the fault is the file itself.
    pub line: usize,
    /// The column in characters, from 1. Zero where the fault is the file itself.
    pub column: usize,
    /// The place in the configuration, such as `providers[0].keys[1].key`.
    pub path: String,
    /// The lines shown, masked.
    #[serde(skip)]
    pub snippet: Vec<SnippetLine>,
    /// What stands beside the carets.
    #[serde(skip)]
    pub label: String,
    /// What to do about it.
    pub help: String,
}

/// A shown line and the part of it that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnippetLine {
    /// The line's number, from 1.
    pub number: usize,
    /// Its text, masked.
    pub text: String,
    /// Characters before the first caret.
    pub caret: usize,
    /// How many carets. At least one.
    pub width: usize,
}

/// Every fault of a configuration, sorted by position. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Faults(Vec<Fault>);

/// How wide a line of help may be.
const HELP_WIDTH: usize = 74;
const RED: &str = "\u{1b}[1;31m";
const BLUE: &str = "\u{1b}[1;34m";
const BOLD: &str = "\u{1b}[1m";
const RESET: &str = "\u{1b}[0m";

impl Faults {
    /// Sorts faults by position, or returns `None` if there are none.
    pub(crate) fn new(mut faults: Vec<Fault>) -> Option<Self> {
        faults.sort_by(|a, b| (a.line, a.column, a.code).cmp(&(b.line, b.column, b.code)));
        faults.dedup();
        (!faults.is_empty()).then_some(Self(faults))
    }

    /// Wraps the only fault there is.
    pub(crate) fn one(fault: Fault) -> Self {
        Self(vec![fault])
    }

    /// Returns the faults in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }

    /// Returns how many there are: one or more.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Renders every fault for a terminal, in ASCII, with colours if asked.
    pub fn render(&self, color: bool) -> String {
        let mut out = String::new();
        for fault in &self.0 {
            fault.render_into(&mut out, color);
        }
        out
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Faults {}

impl Fault {
    fn render_into(&self, out: &mut String, color: bool) {
        let paint = |code: &'static str| if color { code } else { "" };
        let (red, blue, bold, reset) = (paint(RED), paint(BLUE), paint(BOLD), paint(RESET));
        let width = self.line.to_string().len().max(2);
        let gutter = " ".repeat(width);
        // Writing to a String cannot fail, so the results carry nothing.
        let mut line = |text: String| {
            out.push_str(&text);
            out.push('\n');
        };
        line(format!(
            "{red}error[{}]{reset}: {bold}{}{reset}",
            self.code, self.message
        ));
        let mut place = self.file.clone();
        if self.line > 0 {
            place = format!("{place}:{}:{}", self.line, self.column);
        }
        if !self.path.is_empty() {
            place = format!("{place} at {}", self.path);
        }
        line(format!("{gutter}{blue}-->{reset} {place}"));
        if !self.snippet.is_empty() {
            line(format!("{gutter} {blue}|{reset}"));
        }
        for shown in &self.snippet {
            let text = &shown.text;
            line(format!("{blue}{:>width$} |{reset} {text}", shown.number));
            let (space, carets) = (" ".repeat(shown.caret), "^".repeat(shown.width));
            let label = format!(
                "{gutter} {blue}|{reset} {space}{red}{carets} {}",
                self.label
            );
            line(format!("{}{reset}", label.trim_end()));
        }
        for (index, help) in wrapped(&self.help).enumerate() {
            let mark = if index == 0 { "=" } else { " " };
            line(format!("{gutter} {blue}{mark}{reset} {help}"));
        }
    }
}

/// Breaks a text between words so that a line fits a terminal of 80 columns.
fn wrapped(text: &str) -> impl Iterator<Item = String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len().saturating_add(word.len()) < HELP_WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.into_iter()
}
