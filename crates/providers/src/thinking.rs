//! Takes the thinking out of a conversation that goes to another vendor.
//!
//! In: a body and where its `messages` stand. Out: edits that cut each `thinking` and
//! `redacted_thinking` block of an assistant's message, with one comma. An upstream refuses thinking
//! that another vendor signed, with a 400 that comes back with every turn. It must never touch
//! anything else: not the text beside it, not white space, not a user's message, and nothing at all
//! in a body that it cannot read.
//!
//! A message of nothing but thinking keeps one block of text, [`STAND_IN`], since an upstream refuses
//! empty content and empty text alike, and a message left out would put two of the user's in a row.

use std::ops::Range;

use bytes::Bytes;
use memchr::memchr;
use relay_core::scan::{Elements, member, member_span};

use crate::splice::Edit;

/// What stands for the content of a message that was all thinking.
pub const STAND_IN: &[u8] = br#"{"type":"text","text":"(thinking removed)"}"#;

/// Returns the edits that remove all thinking, in order, and how many blocks that are; `None` if there
/// is none, or `messages` is not an array of objects by structure.
pub fn strip_thinking(body: &Bytes, messages: Range<usize>) -> Option<(Vec<Edit>, usize)> {
    let text = body.get(messages.clone())?;
    let mut edits = Vec::new();
    let mut removed: usize = 0;
    for message in Elements::of(text).ok()? {
        let message = within(&messages, &message.ok()?);
        let Some(content) = assistant_content(body, &message) else {
            continue;
        };
        let blocks = blocks(body, &content)?;
        removed = removed.saturating_add(blocks.iter().filter(|block| block.thinks).count());
        cut(body, &blocks, &mut edits)?;
    }
    (removed > 0).then_some((edits, removed))
}

/// One element of a content array.
struct Block {
    range: Range<usize>,
    thinks: bool,
}

/// Moves a range that counts from the start of `outer`.
fn within(outer: &Range<usize>, inner: &Range<usize>) -> Range<usize> {
    let shift = |at: usize| outer.start.saturating_add(at);
    shift(inner.start)..shift(inner.end)
}

/// Returns where the content array of an assistant's message stands.
fn assistant_content(body: &[u8], message: &Range<usize>) -> Option<Range<usize>> {
    let text = body.get(message.clone())?;
    if !is_text(member(text, b"role")?, "assistant") {
        return None;
    }
    let content = member_span(text, b"content")?;
    let is_array = text.get(content.start) == Some(&b'[');
    is_array.then(|| within(message, &content))
}

fn blocks(body: &[u8], content: &Range<usize>) -> Option<Vec<Block>> {
    let text = body.get(content.clone())?;
    let mut blocks = Vec::new();
    for element in Elements::of(text).ok()? {
        let range = within(content, &element.ok()?);
        let kind = member(body.get(range.clone())?, b"type").unwrap_or_default();
        let thinks = is_text(kind, "thinking") || is_text(kind, "redacted_thinking");
        blocks.push(Block { range, thinks });
    }
    Some(blocks)
}

/// Tells whether a JSON value is this string, however it is escaped.
fn is_text(value: &[u8], wanted: &str) -> bool {
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    inner.is_some_and(|inner| {
        inner == wanted.as_bytes()
            || (inner.contains(&b'\\')
                && serde_json::from_slice::<String>(value).is_ok_and(|text| text == wanted))
    })
}

/// Cuts the thinking out of one array. A block goes with the comma behind it; those at the end of the
/// array go with the comma before.
fn cut(body: &[u8], blocks: &[Block], edits: &mut Vec<Edit>) -> Option<()> {
    let Some(last_kept) = blocks.iter().rposition(|block| !block.thinks) else {
        edits.extend(stand_in(blocks));
        return Some(());
    };
    for (place, block) in blocks.iter().enumerate().filter(|(_, block)| block.thinks) {
        let Range { start, end } = block.range;
        let range = if place < last_kept {
            let next = blocks.get(place.checked_add(1)?)?.range.start;
            start..comma(body, end..next)?.checked_add(1)?
        } else {
            let before = blocks.get(place.checked_sub(1)?)?.range.end;
            comma(body, before..start)?..end
        };
        let with = Vec::new();
        edits.push(Edit { range, with });
    }
    Some(())
}

/// Replaces all blocks of an array; `None` if it has none.
fn stand_in(blocks: &[Block]) -> Option<Edit> {
    let range = blocks.first()?.range.start..blocks.last()?.range.end;
    let with = STAND_IN.to_vec();
    Some(Edit { range, with })
}

/// Finds the comma between two elements.
fn comma(body: &[u8], between: Range<usize>) -> Option<usize> {
    let at = memchr(b',', body.get(between.clone())?)?;
    between.start.checked_add(at)
}

#[cfg(test)]
mod tests;
