//! The elements of one JSON array, by position.
//!
//! In: the bytes of an array. Out: the range of each element, in order. It must never recurse.

use std::ops::Range;

use super::cursor::{Cursor, State};
use super::members::Malformed;

/// Iterates over the elements of one array. After an error it ends.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    cursor: Cursor<'a>,
    state: State,
}

impl<'a> Elements<'a> {
    /// Starts at the opening bracket.
    ///
    /// # Errors
    /// [`Malformed`] if the first byte that is not white space is no `[`.
    pub fn of(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self {
            cursor: Cursor::inside(bytes, b'[')?,
            state: State::First,
        })
    }

    fn step(&mut self) -> Result<Option<Range<usize>>, Malformed> {
        match (self.state, self.cursor.peek()) {
            (State::First | State::Further, Some(b']')) => {
                return self.cursor.close().map(|()| None);
            }
            (State::Further, _) => self.cursor.expect(b',')?,
            (State::First | State::Ended, _) => {}
        }
        let value = self.cursor.value()?;
        self.state = State::Further;
        Ok(Some(value))
    }
}

impl Iterator for Elements<'_> {
    type Item = Result<Range<usize>, Malformed>;

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
