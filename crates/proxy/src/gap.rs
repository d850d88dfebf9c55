//! Watches for silence.
//!
//! In: each sign of life. Out: whether there was none for too long. The timer is set anew only when
//! it goes off, not with each sign: an event costs no more than reading the clock.

use std::pin::Pin;
use std::task::Context;
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

use crate::clock;

/// The time since something last came.
#[derive(Debug)]
pub(crate) struct Gap {
    limit: Duration,
    last: Instant,
    /// The longest between two signs.
    longest: Option<Duration>,
    touched: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Gap {
    /// Begins now.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            last: clock::now(),
            longest: None,
            touched: false,
            timer: None,
        }
    }

    /// Notes a sign of life.
    pub(crate) fn touch(&mut self) {
        let now = clock::now();
        if std::mem::replace(&mut self.touched, true) {
            let silence = now.saturating_duration_since(self.last);
            self.longest = self.longest.max(Some(silence));
        }
        self.last = now;
    }

    /// Returns the longest time between two signs of life; `None` with less than two.
    pub(crate) fn longest(&self) -> Option<Duration> {
        self.longest
    }

    /// Tells whether the limit is exceeded; wakes the task when it will be.
    pub(crate) fn poll_exceeded(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let due = self.last.checked_add(self.limit).unwrap_or(self.last);
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(sleep_until(due.into())));
            if timer.as_mut().poll(cx).is_pending() {
                return false;
            }
            if clock::now() >= due {
                return true;
            }
            timer.as_mut().reset(due.into());
        }
    }
}
