//! A place in JSON text, and the steps from there.
//!
//! In: bytes. Out: the ranges of strings and values. It must never recurse, nor read a value: what
//! is nested is stepped over by structure.

use std::ops::Range;

use super::members::Malformed;
use super::skip;

/// Where a walk stands.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

/// Whether an item was seen yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    First,
    Further,
    Ended,
}

impl<'a> Cursor<'a> {
    /// Starts behind `opening`, the first byte that is not white space.
    pub(super) fn inside(bytes: &'a [u8], opening: u8) -> Result<Self, Malformed> {
        let mut cursor = Self { bytes, at: 0 };
        cursor.expect(opening)?;
        Ok(cursor)
    }

    /// Steps over white space; returns the byte behind it.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at = self.at.saturating_add(1);
        }
        None
    }

    /// Steps over `wanted`.
    pub(super) fn expect(&mut self, wanted: u8) -> Result<(), Malformed> {
        if self.peek() != Some(wanted) {
            return Err(Malformed);
        }
        self.at = self.at.saturating_add(1);
        Ok(())
    }

    /// Steps over the closing bracket, behind which only white space may follow.
    pub(super) fn close(&mut self) -> Result<(), Malformed> {
        self.at = self.at.saturating_add(1);
        self.peek().is_none().then_some(()).ok_or(Malformed)
    }

    /// Steps over a string whose opening quote is here; returns what is between the quotes.
    pub(super) fn string(&mut self) -> Result<Range<usize>, Malformed> {
        let start = self.at.saturating_add(1);
        let end = skip::string(self.bytes, start).ok_or(Malformed)?;
        self.at = end.saturating_add(1);
        Ok(start..end)
    }

    /// Steps over one value.
    pub(super) fn value(&mut self) -> Result<Range<usize>, Malformed> {
        let first = self.peek().ok_or(Malformed)?;
        let start = self.at;
        match first {
            b'"' => {
                self.string()?;
            }
            b'{' | b'[' => self.at = skip::nested(self.bytes, start).ok_or(Malformed)?,
            b',' | b'}' | b']' | b':' => return Err(Malformed),
            _ => self.at = skip::scalar(self.bytes, start),
        }
        Ok(start..self.at)
    }
}
