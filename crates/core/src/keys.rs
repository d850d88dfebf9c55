//! The relay's own keys for one target, and what each may still use.
//!
//! In: what a request will need. Out: a [`Lease`] on a key, or when it pays to ask again. It must
//! never let a key above a limit in any minute, lose capacity by the order in which leases end, or
//! print a secret. What an upstream says about its limits counts for more than what was counted
//! here.
//!
//! Keys of one organisation share its limits, and those of one workspace its prompt cache; both are
//! learned from the answers.

mod books;
mod choice;
mod class;
mod field;
mod key;
mod ledger;
mod lease;
mod pool;
mod search;
mod select;
mod tree;
mod window;

use std::sync::Arc;
use std::time::Duration;

use crate::credential::UpstreamCredential;
use crate::moment::Moment;
use crate::secret::KeyId;

pub use class::ModelClass;
pub use lease::Lease;
pub use pool::KeyPool;

/// A key as the config file says it.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "it holds a secret")]
pub struct KeySpec {
    /// Its printable name.
    pub id: KeyId,
    /// Its name in the file.
    pub name: Arc<str>,
    /// What it stands for: a key, an identity, or nothing where no credential is asked for.
    pub credential: UpstreamCredential,
    /// Its share of requests, at least 1.
    pub weight: u32,
    /// Lower ones serve only when no higher one can.
    pub priority: i32,
    /// What it may use within a minute.
    pub limits: KeyLimits,
}

/// What a key may use within any minute. `None` is no limit of ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyLimits {
    /// Requests.
    pub rpm: Option<u64>,
    /// Tokens, input and output together.
    pub tpm: Option<u64>,
    /// Input tokens; cache reads do not count.
    pub itpm: Option<u64>,
    /// Output tokens.
    pub otpm: Option<u64>,
}

/// How a key is chosen for a request without a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Selection {
    /// By the hash of its session, spread so that none carries much more than its share; without a
    /// session as [`Self::LeastLoaded`].
    Placed,
    /// The one with the most room under its tightest limit.
    LeastLoaded,
    /// In turn, by weight.
    Weighted,
    /// In turn.
    RoundRobin,
    /// By chance, by weight.
    Random,
}

/// What a request needs of a pool.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The class of its model.
    pub class: ModelClass,
    /// Estimate of the input that counts where nothing of it is cached.
    pub input_tokens: u64,
    /// Of the input, what `home`, keys of its workspace and `guest` read from their cache.
    pub cached_tokens: u64,
    /// Estimate of the output.
    pub output_tokens: u64,
    /// The key whose cache it needs: taken if it can serve, else one of the same workspace, else
    /// of the same organisation.
    pub home: Option<KeyId>,
    /// The key that served it last while its home could not, if that still holds a cache.
    pub guest: Option<KeyId>,
    /// Where it is placed: the hash of its prefix, or of its session.
    pub place: Option<u64>,
    /// Keys that have refused it.
    pub without: &'a [KeyId],
    /// Whether a key that was refused serves all the same: there is nobody else.
    pub anyway: bool,
}

/// Why no key was leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// There is none, or each has refused the request.
    Empty,
    /// Each is at a limit.
    Spent {
        /// When the first can serve.
        until: Option<Moment>,
    },
    /// Each that has room is left alone, since the upstream refused it: not for a limit.
    Refused {
        /// When the first is asked again.
        until: Option<Moment>,
    },
}

/// What is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parked {
    /// The key: it was refused, for this reason, as a ruling is named.
    Key(&'static str),
    /// Its organisation, for models of this class: they are at a limit.
    Class(ModelClass),
    /// The key, for models of this class: they were refused.
    Forbidden(ModelClass),
}

/// A key as `status` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// Its printable name.
    pub id: KeyId,
    /// Its name in the file.
    pub name: Arc<str>,
    /// Requests under way.
    pub in_flight: u64,
    /// What it may use.
    pub limits: KeyLimits,
    /// What was used within the last minute, as far as limits are set.
    pub used: KeyLimits,
    /// Until when it is left alone.
    pub parked_until: Option<Moment>,
    /// Why it was last left alone by itself, as a ruling is named; empty if it never was.
    pub parked_for: &'static str,
    /// When what was issued to it ends, as time since the Unix epoch; `None` where nothing ends.
    pub expires: Option<Duration>,
    /// Percent of its tightest limit that are left; 100 where none is known.
    pub capacity_percent: u8,
    /// Its organisation, once an answer named it.
    pub organisation: Option<Arc<str>>,
    /// Its workspace, once an answer named it.
    pub workspace: Option<Arc<str>>,
}

#[cfg(test)]
mod tests;
