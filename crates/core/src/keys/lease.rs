//! Capacity of one key, reserved for one request.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::ModelClass;
use super::pool::{Booking, KeyPool};
use crate::credential::UpstreamCredential;
use crate::moment::Moment;
use crate::secret::KeyId;
use crate::usage::Usage;

/// A key for one request. Dropped, it is settled by what was seen: the client left.
#[expect(missing_debug_implementations, reason = "it holds a secret")]
pub struct Lease {
    pool: Arc<KeyPool>,
    name: Arc<str>,
    credential: UpstreamCredential,
    booking: Booking,
    /// Output that was seen.
    produced: u64,
    ended: bool,
}

impl Lease {
    pub(super) fn new(
        pool: Arc<KeyPool>,
        (name, credential): (Arc<str>, UpstreamCredential),
        booking: Booking,
    ) -> Self {
        Self {
            pool,
            name,
            credential,
            booking,
            produced: 0,
            ended: false,
        }
    }

    /// Returns the printable name of the key.
    pub const fn id(&self) -> KeyId {
        self.booking.key
    }

    /// Returns the key's name in the config file.
    pub fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Returns with what the upstream is asked.
    pub const fn credential(&self) -> &UpstreamCredential {
        &self.credential
    }

    /// Returns the class of the model that it is for.
    pub const fn class(&self) -> ModelClass {
        self.booking.class
    }

    /// Takes the head of the answer: it says what is left, and whose key this is.
    pub fn answered(&mut self, headers: &HeaderMap, status: u16, now: Moment, unix: Duration) {
        self.pool
            .answered(&mut self.booking, headers, status, (now, unix));
    }

    /// Takes the usage of `message_start`: the input, exactly.
    pub fn started(&mut self, usage: &Usage, now: Moment) {
        let written = usage.cache_creation_input_tokens.unwrap_or(0);
        let input = usage
            .input_tokens
            .map(|tokens| tokens.saturating_add(written));
        if let Some(input) = input {
            let output = self.booking.output;
            self.pool.correct(&mut self.booking, (input, output), now);
        }
        self.produced = self.produced.max(usage.output_tokens.unwrap_or(0));
    }

    /// Takes how much output was seen so far.
    pub fn produced(&mut self, output_tokens: u64) {
        self.produced = self.produced.max(output_tokens);
    }

    /// Ends it with what was really used.
    pub fn settle(mut self, usage: &Usage, now: Moment) {
        self.started(usage, now);
        self.end(Some(now));
    }

    /// Ends it without tokens: the request was refused. That it was made stays counted.
    pub fn refund(mut self, now: Moment) {
        self.ended = true;
        self.pool.refund(&mut self.booking, 1, now);
    }

    /// Ends it as if it had not been: the request was never sent, or does not count.
    pub fn cancel(mut self, now: Moment) {
        self.ended = true;
        self.pool.refund(&mut self.booking, 0, now);
    }

    fn end(&mut self, now: Option<Moment>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let input = self.booking.input;
        let now = now.unwrap_or(self.booking.seen);
        self.pool
            .correct(&mut self.booking, (input, self.produced), now);
        self.pool.close(&mut self.booking, now);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end(None);
    }
}
