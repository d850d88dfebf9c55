//! What the relay is set to, at one moment. A request keeps the snapshot that it began with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::credential::AuthPolicy;
use crate::models::{ModelMap, Pattern};
use crate::price::Seller;
use crate::provider::Provider;
use crate::refusal::Trigger;
use crate::request::{ModelName, Timeouts};
use crate::station::Station;
use crate::strategy::{Kind, Strategy};

/// The name of a target, as the config file says it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TargetId(Arc<str>);

impl TargetId {
    /// Takes a name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an upstream is, as traces tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Whose interface it has: `gen_ai.provider.name` of the semantic conventions.
    pub vendor: &'static str,
    /// Its host.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
}

/// An upstream that can take a request.
#[expect(missing_debug_implementations, reason = "its keys are secrets")]
pub struct Target {
    /// Its name.
    pub id: TargetId,
    /// Its dialect.
    pub provider: Box<dyn Provider>,
    /// Whose models it serves. Thinking of another vendor's models means nothing to it.
    pub vendor: Arc<str>,
    /// Who sells its tokens.
    pub seller: Arc<Seller>,
    /// Where it is.
    pub origin: Arc<Origin>,
    /// Higher ones are asked first, under strategies that respect it.
    pub priority: i32,
    /// Its share, under strategies that weigh.
    pub weight: u32,
    /// The models it serves; empty for all.
    pub models: Vec<Pattern>,
    /// Which names of models its interface knows at all; `None` for any.
    pub knows: Option<fn(&str) -> bool>,
    /// The target that it stands in for: it is asked right behind that one, where that one has the
    /// model.
    pub behind: Option<TargetId>,
    /// Names it has for models.
    pub model_mapping: ModelMap,
    /// Longest body it takes, in bytes.
    pub max_body_bytes: usize,
    /// Whether a client's own credential may go there.
    pub accepts_client_credential: bool,
    /// What is known about it.
    pub station: Arc<Station>,
}

impl Target {
    /// Returns the name under which it is asked for a model, or `None` if it does not serve it.
    pub fn name_of<'a>(&'a self, asked: &'a ModelName) -> Option<&'a ModelName> {
        let name = self.model_mapping.find(asked.as_str());
        let listed = |name: &ModelName| self.models.iter().any(|it| it.matches(name.as_str()));
        let serves = self.models.is_empty() || listed(asked) || name.is_some_and(listed);
        let name = name.unwrap_or(asked);
        let known = self.knows.is_none_or(|knows| knows(name.as_str()));
        (serves && known).then_some(name)
    }
}

/// Which setbacks make a request move on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Triggers {
    /// [`Trigger::RateLimited`].
    pub rate_limited: bool,
    /// [`Trigger::Overloaded`].
    pub overloaded: bool,
    /// [`Trigger::ServerError`].
    pub server_error: bool,
    /// [`Trigger::Timeout`].
    pub timeout: bool,
    /// [`Trigger::Connection`].
    pub connection: bool,
    /// [`Trigger::Auth`].
    pub auth: bool,
    /// [`Trigger::ModelNotFound`].
    pub model_not_found: bool,
}

impl Triggers {
    /// Tells whether one is switched on.
    pub const fn allow(self, trigger: Trigger) -> bool {
        match trigger {
            Trigger::RateLimited => self.rate_limited,
            Trigger::Overloaded => self.overloaded,
            Trigger::ServerError => self.server_error,
            Trigger::Timeout => self.timeout,
            Trigger::Connection => self.connection,
            Trigger::Auth => self.auth,
            Trigger::ModelNotFound => self.model_not_found,
        }
    }
}

/// How a request finds its target.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Routing {
    /// The name of the strategy.
    pub kind: Kind,
    /// The order of candidates.
    pub strategy: Box<dyn Strategy>,
    /// Names of models, before a target's own.
    pub model_mapping: ModelMap,
    /// Attempts a request, the first included.
    pub max_attempts: usize,
    /// Attempts at once.
    pub race: usize,
    /// Attempts beyond the first, in percent of requests.
    pub retry_budget_percent: u32,
    /// After this time no further attempt begins; `None` for no bound.
    pub failover_timeout: Option<Duration>,
    /// How long an answer is held after `message_start`; zero until its first content.
    pub commit_hold: Duration,
    /// What makes a request move on.
    pub triggers: Triggers,
    /// How long a request may wait for capacity; zero for not at all.
    pub max_wait: Duration,
    /// Whether a client whose own credential is refused falls back on the relay's keys.
    pub spill: bool,
    /// Whether thinking of another vendor's model is taken out.
    pub strip_foreign_thinking: bool,
    /// Whether answers name the model as the client asked for it.
    pub keep_model_alias: bool,
    /// Whether upstreams are asked for their lists of models.
    pub model_lists: bool,
    /// Whether answers say how they came about.
    pub debug: bool,
    /// Where requests go that name no model.
    pub default_target: Option<TargetId>,
    /// Whether sessions stay where their prompt cache is.
    pub affinity: bool,
}

/// Sizes beyond which a request is refused.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest body of a buffered endpoint, in bytes.
    pub max_body_bytes: usize,
    /// Longest body that streams through (batches, files), in bytes.
    pub max_passthrough_bytes: u64,
    /// Most requests under way at once.
    pub max_concurrent: usize,
    /// Bytes of each body that the history keeps; 0 where it keeps none.
    pub kept_body_bytes: usize,
}

/// Everything that decides about a request.
#[expect(missing_debug_implementations, reason = "it holds secrets")]
pub struct Snapshot {
    /// Who is let in.
    pub auth: AuthPolicy,
    /// Where requests can go, in the order of the config file. Never empty.
    pub targets: Vec<Arc<Target>>,
    /// How one is found.
    pub routing: Routing,
    /// Sizes.
    pub limits: Limits,
    /// Times.
    pub timeouts: Timeouts,
    /// Names the configuration: the start of its digest.
    pub digest: Arc<str>,
}
