//! The members of one JSON object, by position.
//!
//! In: the bytes of an object. Out: the range of each key and value, in order. It must never
//! recurse: nesting is a counter, so 40 KB of `[` cost no stack.

use std::borrow::Cow;
use std::ops::Range;

use super::skip;

/// The bytes are not one JSON object by structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is not a JSON object")]
pub struct Malformed;

/// One member of an object: where its key stands (without the quotes), and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The key as written, without its quotes.
    pub key: Range<usize>,
    /// The value as written, quotes or brackets included, surrounding white space excluded.
    pub value: Range<usize>,
}

impl Member {
    /// Returns the key, unescaped where it has escapes.
    pub fn key<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let raw = bytes.get(self.key.clone()).unwrap_or_default();
        if !raw.contains(&b'\\') {
            return Cow::Borrowed(raw);
        }
        let quoted = bytes.get(self.key.start.saturating_sub(1)..self.key.end.saturating_add(1));
        let text = quoted.and_then(|text| serde_json::from_slice::<String>(text).ok());
        text.map_or(Cow::Borrowed(raw), |text| Cow::Owned(text.into_bytes()))
    }

    /// Returns the value as written.
    pub fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.value.clone()).unwrap_or_default()
    }
}

/// Iterates over the members of one object. After an error it ends.
#[derive(Debug)]
pub struct Members<'a> {
    bytes: &'a [u8],
    at: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    First,
    Further,
    Ended,
}

impl<'a> Members<'a> {
    /// Starts at the opening brace.
    ///
    /// # Errors
    /// [`Malformed`] if the first byte that is not white space is no `{`.
    pub fn of(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut members = Self {
            bytes,
            at: 0,
            state: State::First,
        };
        members.expect(b'{')?;
        Ok(members)
    }

    fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at = self.at.saturating_add(1);
        }
        None
    }

    fn expect(&mut self, wanted: u8) -> Result<(), Malformed> {
        if self.peek() != Some(wanted) {
            return Err(Malformed);
        }
        self.at = self.at.saturating_add(1);
        Ok(())
    }

    /// Steps over a string whose opening quote is at `self.at`; returns what is between the quotes.
    fn string(&mut self) -> Result<Range<usize>, Malformed> {
        let start = self.at.saturating_add(1);
        let end = skip::string(self.bytes, start).ok_or(Malformed)?;
        self.at = end.saturating_add(1);
        Ok(start..end)
    }

    fn value(&mut self) -> Result<Range<usize>, Malformed> {
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

    fn step(&mut self) -> Result<Option<Member>, Malformed> {
        match (self.state, self.peek()) {
            (State::First | State::Further, Some(b'}')) => {
                self.at = self.at.saturating_add(1);
                // Only white space may follow the object.
                return if self.peek().is_none() {
                    Ok(None)
                } else {
                    Err(Malformed)
                };
            }
            (State::Further, _) => self.expect(b',')?,
            (State::First | State::Ended, _) => {}
        }
        if self.peek() != Some(b'"') {
            return Err(Malformed);
        }
        let key = self.string()?;
        self.expect(b':')?;
        let value = self.value()?;
        self.state = State::Further;
        Ok(Some(Member { key, value }))
    }
}

impl Iterator for Members<'_> {
    type Item = Result<Member, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Ended {
            return None;
        }
        let step = self.step();
        if !matches!(step, Ok(Some(_))) {
            self.state = State::Ended;
        }
        step.transpose()
    }
}
