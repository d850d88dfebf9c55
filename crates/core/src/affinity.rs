//! Where a session lives: which upstream, by which key, holds its prompt cache.
//!
//! In: who served a request and what was counted, and who could not. Out: the binding of a session,
//! and whether to borrow another home for a while or to move. It must never choose a target itself,
//! read a clock, or hold more than it was made for.
//!
//! A binding is warm while the upstream keeps the cache. A cold one stays as a preference: the
//! thinking in the conversation is of that vendor and organisation.

pub mod key;

use std::sync::Arc;
use std::time::Duration;

use crate::affinity::key::SessionKey;
use crate::bounded::Bounded;
use crate::chance;
use crate::moment::Moment;
use crate::price::{Money, Prices};
use crate::secret::KeyId;
use crate::snapshot::TargetId;
use crate::usage::Usage;

/// How long an upstream keeps a prefix after its last use
/// (<https://platform.claude.com/docs/en/build-with-claude/prompt-caching>, read 2026-11-22).
const FIVE_MINUTES: Duration = Duration::from_mins(5);
/// The same where it was written with `"ttl":"1h"`.
const ONE_HOUR: Duration = Duration::from_hours(1);
/// How long a cold binding that nobody uses is remembered.
const KEPT_COLD: Duration = Duration::from_hours(24);
/// After so many turns in a row elsewhere the home's cache is out of reach, warm or not: an upstream
/// looks back 20 blocks from a breakpoint for a prefix it knows, and a turn adds about three
/// (thinking, tool use, tool result).
const BORROWED_TURNS: u32 = 6;
/// What a second of waiting is worth: 72 dollars an hour, about what a developer's time costs.
const VALUE_OF_A_SECOND: Money = Money::nano_dollars(20_000_000);
/// The longest wait that can be worth it, whatever it saves.
pub const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A place that holds prompt caches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Home {
    /// The upstream.
    pub target: TargetId,
    /// The relay's key for it; `None` for the client's own credential.
    pub key: Option<KeyId>,
}

impl Home {
    /// Returns a hash that tells homes apart.
    pub(crate) fn id(&self) -> u64 {
        let key = self
            .key
            .map_or(0, |key| chance::hash(key.as_str().as_bytes()));
        chance::pair(chance::hash(self.target.as_str().as_bytes()), key)
    }
}

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
    stage: Stage,
}

/// Where a binding is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Being made.
    New,
    /// At home.
    Settled,
    /// Whoever serves next is its home.
    Leaving,
}

/// Who served a request.
#[derive(Debug, Clone, Copy)]
pub struct Served<'a> {
    /// Where.
    pub home: &'a Home,
    /// What was counted there.
    pub usage: &'a Usage,
    /// The vendor of the model, for example `anthropic`.
    pub vendor: &'a Arc<str>,
    /// The organisation, where the answer named it.
    pub organisation: Option<&'a Arc<str>>,
}

/// What a served request did to the binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The session is bound from now on.
    Bound,
    /// Its home served it.
    Renewed,
    /// Another served it, and the binding stays.
    Borrowed {
        /// Tokens that were in the home's warm cache and were written once more: at the price of
        /// [`Prices::move_cost`].
        rewritten_tokens: u64,
    },
    /// Another served it and is its home from now on.
    Moved {
        /// As with a borrowed home; zero where the cache was cold anyway.
        rewritten_tokens: u64,
    },
}

/// What to do while the home cannot serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advice {
    /// Ask another for the time being, this one first: it may have the prefix since the last time.
    Borrow {
        /// Who was asked last, if its cache is still warm.
        guest: Option<Home>,
    },
    /// Find a new home: the cache will be cold when the old one is back, or there is none.
    Move,
}

/// One binding as status shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionState {
    /// The session.
    pub session: SessionKey,
    /// The model asked for.
    pub model: Arc<str>,
    /// Where it lives.
    pub home: Home,
    /// Where it is served while its home is away.
    pub guest: Option<Home>,
    /// How long its cache stays warm; zero if it is cold.
    pub warm_for: Duration,
    /// How long it has not been served.
    pub idle: Duration,
    /// About how many tokens are cached.
    pub prefix_tokens: u64,
    /// Whether they were written for an hour.
    pub one_hour: bool,
}

/// The bindings of all sessions.
#[derive(Debug)]
pub struct Affinity {
    bindings: Bounded<Binding>,
}

impl Affinity {
    /// Makes room for so many bindings; the longest unused goes first.
    pub fn new(max_sessions: usize) -> Self {
        Self {
            bindings: Bounded::new(max_sessions),
        }
    }

    /// Returns where a session lives, warm or cold. Bindings are by model, since caches are.
    pub fn find(&self, session: SessionKey, model: &str, now: Moment) -> Option<Binding> {
        let binding = self.bindings.with(id(session, model), |it| it.clone())?;
        (!binding.is_forgotten(now)).then_some(binding)
    }

    /// Takes that a request was served. `now` is best the moment at which the answer began: the life
    /// of the cache counts from there.
    pub fn served(
        &self,
        session: SessionKey,
        model: &str,
        served: Served<'_>,
        now: Moment,
    ) -> Change {
        let change = self.bindings.with_or(
            id(session, model),
            |other| other.is_forgotten(now),
            || Binding::new(session, model, served, now),
            |binding| {
                if binding.is_forgotten(now) {
                    *binding = Binding::new(session, model, served, now);
                }
                binding.served(served, now)
            },
        );
        // There is a place for every key.
        change.unwrap_or(Change::Bound)
    }

    /// Takes that the home of a session cannot serve it: until then, or, with `None`, for good.
    pub fn unavailable(
        &self,
        session: SessionKey,
        model: &str,
        until: Option<Moment>,
        now: Moment,
    ) -> Advice {
        let advice = self.bindings.with(id(session, model), |binding| {
            if until.is_none_or(|back| now.max(back) >= binding.warm_until) {
                binding.stage = Stage::Leaving;
                return Advice::Move;
            }
            binding.stage = Stage::Settled;
            Advice::Borrow {
                guest: binding.warm_guest(now).cloned(),
            }
        });
        advice.unwrap_or(Advice::Move)
    }

    /// Takes that a home is gone for good. Sessions that lived there are cold, and move with their
    /// next request; whose thinking they hold is still known. Walks all bindings.
    pub fn drop_home(&self, home: &Home) {
        self.bindings.for_each(|binding| {
            if binding.home == *home {
                binding.warm_until = Moment::START;
                binding.stage = Stage::Leaving;
            }
            if binding.guest.as_ref() == Some(home) {
                binding.guest = None;
            }
        });
    }

    /// Returns how many bindings there are, cold ones included.
    pub fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns all bindings for status, the last used first.
    pub fn sessions(&self, now: Moment) -> Vec<SessionState> {
        let mut sessions = Vec::new();
        self.bindings.for_each(|binding| {
            if !binding.is_forgotten(now) {
                sessions.push(binding.state(now));
            }
        });
        sessions.sort_by_key(|state| state.idle);
        sessions
    }
}

fn id(session: SessionKey, model: &str) -> u64 {
    chance::pair(session.0, chance::hash(model.as_bytes()))
}

/// Tells whether a warm session should wait so long for its home: while the wait is worth less than
/// rewriting the prefix elsewhere, at most [`LONGEST_WAIT`], and not beyond the life of its cache. A
/// cold one never waits, nor does one whose model has no known price.
pub fn worth_waiting(
    binding: Option<&Binding>,
    wait: Duration,
    model: &str,
    prices: &Prices,
    now: Moment,
) -> bool {
    let Some(binding) = binding.filter(|it| it.is_warm(now.plus(wait))) else {
        return false;
    };
    let Some(saved) = prices.move_cost(model, binding.prefix_tokens, binding.one_hour) else {
        return false;
    };
    let second = u128::from(VALUE_OF_A_SECOND.as_nano_dollars());
    let price = wait.as_nanos().saturating_mul(second) / 1_000_000_000;
    wait <= LONGEST_WAIT && price < u128::from(saved.as_nano_dollars())
}

impl Binding {
    fn new(session: SessionKey, model: &str, served: Served<'_>, now: Moment) -> Self {
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

    /// Tells whether the home still holds the cache.
    pub fn is_warm(&self, now: Moment) -> bool {
        now < self.warm_until
    }

    /// Returns the guest home, if it still holds a cache of this session.
    pub fn warm_guest(&self, now: Moment) -> Option<&Home> {
        self.guest.as_ref().filter(|_| now < self.guest_warm_until)
    }

    fn is_forgotten(&self, now: Moment) -> bool {
        !self.is_warm(now) && now.since(self.last_used) >= KEPT_COLD
    }

    fn served(&mut self, served: Served<'_>, now: Moment) -> Change {
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

    fn state(&self, now: Moment) -> SessionState {
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

#[cfg(test)]
mod tests;
