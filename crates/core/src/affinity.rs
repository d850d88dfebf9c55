//! Where a session lives: which upstream, by which key, holds its prompt cache.
//!
//! In: who served a request and what was counted, and who could not. Out: the binding of a session,
//! and whether to borrow another home for a while or to move. It must never choose a target itself,
//! read a clock, or hold more than it was made for.
//!
//! A binding is warm while the upstream keeps the cache. A cold one stays as a preference: the
//! thinking in the conversation is of that vendor and organisation.

mod binding;
pub mod key;

use std::sync::Arc;
use std::time::Duration;

pub use binding::Binding;
use binding::Stage;

use crate::affinity::key::SessionKey;
use crate::bounded::Bounded;
use crate::chance;
use crate::moment::Moment;
use crate::price::{Money, Tariff};
use crate::secret::KeyId;
use crate::snapshot::TargetId;
use crate::usage::Usage;

/// Sessions that can be on their way to their first answer.
const MAX_PLACEMENTS: usize = 16 * 1024;
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
        /// [`Tariff::move_cost`].
        rewritten_tokens: u64,
    },
    /// Another served it and is its home from now on.
    Moved {
        /// As with a borrowed home; zero where the cache was cold anyway.
        rewritten_tokens: u64,
    },
}

impl Change {
    /// Returns the name used in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Renewed => "renewed",
            Self::Borrowed { .. } => "borrowed",
            Self::Moved { .. } => "moved",
        }
    }
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
    /// Where sessions without a binding were sent, before they are known to be served there.
    placements: Bounded<(Home, Moment)>,
}

impl Affinity {
    /// Makes room for so many bindings; the longest unused goes first.
    pub fn new(max_sessions: usize) -> Self {
        Self {
            bindings: Bounded::new(max_sessions),
            placements: Bounded::new(max_sessions.min(MAX_PLACEMENTS)),
        }
    }

    /// Makes room for more or fewer.
    pub fn resize(&self, max_sessions: usize) {
        self.bindings.resize(max_sessions);
        self.placements.resize(max_sessions.min(MAX_PLACEMENTS));
    }

    /// Notes where a session without a binding is about to be sent, and returns where it was sent
    /// before, if that was elsewhere: of requests that come at once the first decides. `again` says
    /// that it was sent there and failed.
    pub fn place(
        &self,
        session: SessionKey,
        model: &str,
        (home, again): (&Home, bool),
        now: Moment,
    ) -> Option<Home> {
        let until = now.plus(binding::FIVE_MINUTES);
        let before = self.placements.with_or(
            id(session, model),
            |(_, until)| *until <= now,
            || (home.clone(), until),
            |placement| {
                if again || placement.1 <= now {
                    *placement = (home.clone(), until);
                }
                placement.0.clone()
            },
        );
        before.filter(|before| before != home)
    }

    /// Returns where a session without a binding was sent.
    pub fn placement(&self, session: SessionKey, model: &str, now: Moment) -> Option<Home> {
        let (home, until) = self.placements.with(id(session, model), |it| it.clone())?;
        (now < until).then_some(home)
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

    /// Forgets where a session lives, with every model: its next request is placed anew. Whose
    /// thinking it holds is still known. Returns how many bindings it had. Walks all bindings.
    pub fn unpin(&self, session: SessionKey) -> usize {
        let mut count = 0_usize;
        self.bindings.for_each(|binding| {
            if binding.is_of(session) {
                count = count.saturating_add(1);
                binding.warm_until = Moment::START;
                binding.stage = Stage::Leaving;
                binding.guest = None;
            }
        });
        count
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
    tariff: Option<&Tariff<'_>>,
    now: Moment,
) -> bool {
    let Some(binding) = binding.filter(|it| it.is_warm(now.plus(wait))) else {
        return false;
    };
    let Some(tariff) = tariff else {
        return false;
    };
    let saved = tariff.move_cost(binding.prefix_tokens, binding.one_hour);
    let second = u128::from(VALUE_OF_A_SECOND.as_nano_dollars());
    let price = wait.as_nanos().saturating_mul(second) / 1_000_000_000;
    wait <= LONGEST_WAIT && price < u128::from(saved.as_nano_dollars())
}

#[cfg(test)]
mod tests;
