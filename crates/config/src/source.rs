//! A text by lines: from a byte to a line, a column and a shown snippet.
//!
//! In: the unexpanded text, a span in it, words. Out: a [`Fault`] with its line masked. It must
//! never show a line without asking `mask.rs` what to hide.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::fault::{Fault, SnippetLine};
use crate::mask::{self, MASK, Masks};

/// How much of a long line is shown.
const MAX_SHOWN: usize = 120;

/// A text and what may be shown of it.
pub(crate) struct Source<'a> {
    name: &'a str,
    text: &'a str,
    starts: Vec<usize>,
    view: View<'a>,
}

/// How to decide what to hide.
enum View<'a> {
    /// The text could not be read: only known words are shown.
    Blind(&'a BTreeSet<String>),
    /// The tree says.
    Tree(Masks),
}

/// The words of a fault.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) path: String,
    pub(crate) label: String,
    pub(crate) help: String,
}

impl<'a> Source<'a> {
    /// Takes a text that could not be read.
    pub(crate) fn blind(name: &'a str, text: &'a str, known: &'a BTreeSet<String>) -> Self {
        Self {
            name,
            text,
            starts: starts(text),
            view: View::Blind(known),
        }
    }

    /// Takes a text that was read.
    pub(crate) fn masked(name: &'a str, text: &'a str, masks: Masks) -> Self {
        Self {
            name,
            text,
            starts: starts(text),
            view: View::Tree(masks),
        }
    }

    /// Returns the text within a span.
    pub(crate) fn slice(&self, span: Range<usize>) -> &'a str {
        self.text.get(span).unwrap_or_default()
    }

    /// Makes a fault at a span.
    pub(crate) fn fault(&self, span: &Range<usize>, words: Words) -> Fault {
        let at = self.boundary(span.start);
        let number = self.starts.partition_point(|start| *start <= at).max(1);
        let start = self
            .starts
            .get(number.saturating_sub(1))
            .copied()
            .unwrap_or(0);
        let rest = self.text.get(start..).unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default();
        let before = self.text.get(start..at).unwrap_or_default();
        let hidden = match &self.view {
            View::Blind(known) => mask::blind(line, known),
            View::Tree(masks) => masks.on(line, start),
        };
        let hidden = mask::merged(hidden);
        let from = at.saturating_sub(start);
        let to = span
            .end
            .saturating_sub(start)
            .clamp(from, line.len().max(from));
        Fault {
            code: words.code,
            message: words.message,
            file: self.name.to_owned(),
            line: number,
            column: before.chars().count().saturating_add(1),
            path: words.path,
            snippet: vec![shown(number, line, &(from..to), &hidden)],
            label: words.label,
            help: words.help,
        }
    }

    /// Returns the nearest place at or before `at` where a character begins.
    fn boundary(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at = at.saturating_sub(1);
        }
        at
    }
}

fn starts(text: &str) -> Vec<usize> {
    let after = text.match_indices('\n').map(|(at, _)| at.saturating_add(1));
    std::iter::once(0).chain(after).collect()
}

/// Draws a line with its hidden parts (merged) replaced, and finds the carets in the result.
fn shown(number: usize, line: &str, span: &Range<usize>, hidden: &[Range<usize>]) -> SnippetLine {
    let mut cells: Vec<char> = Vec::new();
    let (mut caret, mut end, mut was_hidden) = (None, None, false);
    for (at, character) in line.char_indices() {
        let is_hidden = mask::covers(hidden, at);
        let masked = was_hidden && is_hidden;
        if at >= span.start && caret.is_none() {
            // Inside a hidden part the carets stand under the mask.
            let back = if masked { MASK.len() } else { 0 };
            caret = Some(cells.len().saturating_sub(back));
        }
        if at >= span.end && end.is_none() {
            end = Some(cells.len());
        }
        if is_hidden && !was_hidden {
            cells.extend(MASK.chars());
        } else if !is_hidden {
            cells.push(printable(character));
        }
        was_hidden = is_hidden;
    }
    let caret = caret.unwrap_or(cells.len());
    let width = end.unwrap_or(cells.len()).saturating_sub(caret).max(1);
    window(number, &cells, caret, width)
}

/// Cuts a long line down to the part around the carets.
fn window(number: usize, cells: &[char], caret: usize, width: usize) -> SnippetLine {
    if cells.len() <= MAX_SHOWN {
        let text = cells.iter().collect::<String>().trim_end().to_owned();
        return SnippetLine {
            number,
            text,
            caret,
            width,
        };
    }
    let skip = caret.saturating_sub(MAX_SHOWN / 2);
    let text: String = cells.iter().skip(skip).take(MAX_SHOWN).collect();
    let (lead, caret) = match skip {
        0 => ("", caret),
        _ => ("...", caret.saturating_sub(skip).saturating_add(3)),
    };
    let room = MAX_SHOWN.saturating_add(3).saturating_sub(caret).max(1);
    SnippetLine {
        number,
        text: format!("{lead}{text}..."),
        caret,
        width: width.min(room),
    }
}

/// Replaces what could move a terminal's cursor or colour it.
fn printable(character: char) -> char {
    match character {
        '\t' => ' ',
        c if c.is_control() => '?',
        c => c,
    }
}
