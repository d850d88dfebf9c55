//! The members of one JSON object, by position.
//!
//! In: the bytes of an object. Out: the range of each key and value, in order. It must never
//! recurse: nesting is a counter, so 40 KB of `[` cost no stack.

use std::borrow::Cow;
use std::ops::Range;

use super::cursor::{Cursor, State};

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
#[derive(Debug, Clone)]
pub struct Members<'a> {
    cursor: Cursor<'a>,
    state: State,
}

impl<'a> Members<'a> {
    /// Starts at the opening brace.
    ///
    /// # Errors
    /// [`Malformed`] if the first byte that is not white space is no `{`.
    pub fn of(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self {
            cursor: Cursor::inside(bytes, b'{')?,
            state: State::First,
        })
    }

    fn step(&mut self) -> Result<Option<Member>, Malformed> {
        match (self.state, self.cursor.peek()) {
            (State::First | State::Further, Some(b'}')) => {
                return self.cursor.close().map(|()| None);
            }
            (State::Further, _) => self.cursor.expect(b',')?,
            (State::First | State::Ended, _) => {}
        }
        if self.cursor.peek() != Some(b'"') {
            return Err(Malformed);
        }
        let key = self.cursor.string()?;
        self.cursor.expect(b':')?;
        let value = self.cursor.value()?;
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

/// Returns where the value of the last member of this name stands, as an upstream's parser would
/// read it; `None` if there is none or the bytes are not one object.
pub fn member_span(object: &[u8], name: &[u8]) -> Option<Range<usize>> {
    let mut found = None;
    for member in Members::of(object).ok()? {
        let member = member.ok()?;
        if member.key(object).as_ref() == name {
            found = Some(member.value);
        }
    }
    found
}

/// Returns the value of the last member of this name, as [`member_span`] finds it.
pub fn member<'a>(object: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    member_span(object, name).and_then(|span| object.get(span))
}
