//! The binding of one session: how long its home stays warm, who is borrowed, when it moves.
//!
//! In: served requests and moments. Out: what changed. It must never look at another session.

use std::sync::Arc;
use std::time::Duration;

use super::key::SessionKey;
use super::{Change, Home, Served, SessionState};
use crate::moment::Moment;
use crate::usage::Usage;

/// How long an upstream keeps a prefix after its last use
/// (<https://platform.claude.com/docs/en/build-with-claude/prompt-caching>, read 2026-11-22).
pub(super) const FIVE_MINUTES: Duration = Duration::from_mins(5);
/// The same where it was written with `"ttl":"1h"`.
const ONE_HOUR: Duration = Duration::from_hours(1);
/// How long a cold binding that nobody uses is remembered.
const KEPT_COLD: Duration = Duration::from_hours(24);
/// After so many turns in a row elsewhere the home's cache is out of reach, warm or not: an upstream
/// looks back 20 blocks from a breakpoint for a prefix it knows, and a turn adds about three
/// (thinking, tool use, tool result).
pub(super) const BORROWED_TURNS: u32 = 6;

/// Where one session lives with one model.
#[derive(Debug, Clone)]
pub struct Binding {
    /// Where its cache is.
    pub home: Home,
    /// Where it was served last while the home was away.
    pub guest: Option<Home>,
    /// When the home's cache goes cold.
    pub warm_until: Moment,
    /// About how many tokens are cached there.
    pub prefix_tokens: u64,
    /// Whether the last write was for an hour.
    pub one_hour: bool,
    /// Whose model answered last.
    pub vendor: Arc<str>,
    /// For which organisation, if that is known.
    pub organisation: Option<Arc<str>>,
    /// Whether models of several vendors have answered: thinking of each may be in the conversation.
    pub mixed_vendors: bool,
    /// When it was served last.
    pub last_used: Moment,
    session: SessionKey,
    model: Arc<str>,
    guest_warm_until: Moment,
    guest_turns: u32,
    pub(super) stage: Stage,
}

/// Where a binding is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Being made.
    New,
    /// At home.
    Settled,
    /// Whoever serves next is its home.
    Leaving,
}

impl Binding {
    /// Tells whose it is.
    pub(super) fn is_of(&self, session: SessionKey) -> bool {
        self.session == session
    }

    pub(super) fn new(session: SessionKey, model: &str, served: Served<'_>, now: Moment) -> Self {
        Self {
            home: served.home.clone(),
            guest: None,
            warm_until: Moment::START,
            prefix_tokens: 0,
            one_hour: false,
            vendor: Arc::clone(served.vendor),
            organisation: served.organisation.cloned(),
            mixed_vendors: false,
            last_used: now,
            session,
            model: model.into(),
            guest_warm_until: Moment::START,
            guest_turns: 0,
            stage: Stage::New,
        }
    }

    /// Tells whether another vendor's thinking may be in the conversation.
    pub fn is_foreign_to(&self, vendor: &Arc<str>) -> bool {
        self.mixed_vendors || self.vendor != *vendor
    }

    /// Tells whether the home still holds the cache.
    pub fn is_warm(&self, now: Moment) -> bool {
        now < self.warm_until
    }

    /// Returns the guest home, if it still holds a cache of this session.
    pub fn warm_guest(&self, now: Moment) -> Option<&Home> {
        self.guest.as_ref().filter(|_| now < self.guest_warm_until)
    }

    pub(super) fn is_forgotten(&self, now: Moment) -> bool {
        !self.is_warm(now) && now.since(self.last_used) >= KEPT_COLD
    }

    pub(super) fn served(&mut self, served: Served<'_>, now: Moment) -> Change {
        self.last_used = self.last_used.max(now);
        self.mixed_vendors |= self.vendor != *served.vendor;
        if self.vendor != *served.vendor || served.organisation.is_some() {
            self.organisation = served.organisation.cloned();
        }
        self.vendor = Arc::clone(served.vendor);
        let cached = Cached::of(served.usage);
        if self.home == *served.home {
            self.guest_turns = 0;
            self.renew(&cached, now);
            let stage = std::mem::replace(&mut self.stage, Stage::Settled);
            return if stage == Stage::New {
                Change::Bound
            } else {
                Change::Renewed
            };
        }
        let same_guest = self.guest.as_ref() == Some(served.home);
        let turns = if same_guest { self.guest_turns } else { 0 };
        let was_warm = self.is_warm(now);
        if !was_warm || self.stage == Stage::Leaving || turns >= BORROWED_TURNS {
            let rewritten_tokens = self.rewritten(&cached, was_warm);
            self.move_to(served.home, &cached, now);
            return Change::Moved { rewritten_tokens };
        }
        self.guest = Some(served.home.clone());
        self.guest_turns = turns.saturating_add(1);
        self.guest_warm_until = now.plus(cached.life(self.one_hour));
        Change::Borrowed {
            rewritten_tokens: self.rewritten(&cached, was_warm),
        }
    }

    fn rewritten(&self, cached: &Cached, was_warm: bool) -> u64 {
        if was_warm {
            cached.written.min(self.prefix_tokens)
        } else {
            0
        }
    }

    fn move_to(&mut self, home: &Home, cached: &Cached, now: Moment) {
        self.home = home.clone();
        self.guest = None;
        self.guest_turns = 0;
        self.stage = Stage::Settled;
        self.warm_until = Moment::START;
        self.prefix_tokens = 0;
        self.renew(cached, now);
    }

    fn renew(&mut self, cached: &Cached, now: Moment) {
        self.one_hour = cached.one_hour.unwrap_or(self.one_hour);
        let tokens = cached.read.saturating_add(cached.written);
        if tokens > 0 || self.prefix_tokens == 0 {
            // What was written for an hour stays so, though a later turn writes for five minutes.
            let until = now.plus(cached.life(self.one_hour));
            self.warm_until = self.warm_until.max(until);
        }
        if tokens > 0 {
            // Subagents share session and model and have far shorter prefixes: the long one fades
            // rather than be forgotten with the next of them.
            let faded = self.prefix_tokens.saturating_sub(self.prefix_tokens / 8);
            self.prefix_tokens = tokens.max(faded);
        }
    }

    pub(super) fn state(&self, now: Moment) -> SessionState {
        let borrowed = self.warm_guest(now).filter(|_| self.guest_turns > 0);
        SessionState {
            session: self.session,
            model: Arc::clone(&self.model),
            home: self.home.clone(),
            guest: borrowed.cloned(),
            warm_for: self.warm_until.since(now),
            idle: now.since(self.last_used),
            prefix_tokens: self.prefix_tokens,
            one_hour: self.one_hour,
        }
    }
}

/// What a usage tells of the cache.
struct Cached {
    read: u64,
    written: u64,
    /// Whether it was written for an hour; `None` if it was not written, or the split is unknown.
    one_hour: Option<bool>,
}

impl Cached {
    fn of(usage: &Usage) -> Self {
        let hour = usage.cache_write_1h_tokens.unwrap_or(0);
        let five = usage.cache_write_5m_tokens.unwrap_or(0);
        let split = hour.saturating_add(five);
        Self {
            read: usage.cache_read_input_tokens.unwrap_or(0),
            written: usage.cache_creation_input_tokens.unwrap_or(split),
            one_hour: (split > 0).then_some(hour > 0),
        }
    }

    fn life(&self, remembered: bool) -> Duration {
        if self.one_hour.unwrap_or(remembered) {
            ONE_HOUR
        } else {
            FIVE_MINUTES
        }
    }
}
