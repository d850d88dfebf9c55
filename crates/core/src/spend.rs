//! Budgets: what may be spent in a period, by whom, and what has been.
//!
//! In: the cost and tokens of each request at its end, and the present time. Out: whether one more
//! request may be made, and what somebody should hear of. It must never count an unknown price as
//! anything but nothing, nor let the next period pay for this one.
//!
//! Requests under way are not counted before they end: those that run when a budget runs out may go
//! beyond it. Of each budget at most [`MOST_SUBJECTS`] are told apart; beyond that the longest
//! unused are forgotten, and begin anew.

mod period;
mod tally;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use crate::price::Money;
use crate::record::RequestRecord;
use crate::request::SessionId;
use crate::snapshot::TargetId;

pub use period::Period;
pub use tally::MOST_SUBJECTS;
use tally::Tally;

/// Whose spending is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// Each client key's; all clients without one count as one.
    ClientKey,
    /// Each session's; requests without one are in none.
    Session,
    /// Each provider's.
    Provider,
    /// Everybody's together.
    All,
}

impl Per {
    /// Returns the name used in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientKey => "client_key",
            Self::Session => "session",
            Self::Provider => "provider",
            Self::All => "all",
        }
    }
}

/// How much may be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// So many dollars at list prices.
    Money(Money),
    /// So many tokens: input, cached or not, and output.
    Tokens(u64),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Money(money) => write!(f, "{money}"),
            Self::Tokens(tokens) => write!(f, "{tokens} tokens"),
        }
    }
}

/// One budget, as the configuration says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Its name, unique among them.
    pub name: Arc<str>,
    /// Whose spending it bounds.
    pub per: Per,
    /// The one client key or provider that it is for; all if none.
    pub only: Option<Box<str>>,
    /// How much each of them may spend in a period.
    pub limit: Limit,
    /// When it begins anew.
    pub period: Period,
    /// From this share of the limit on, in percent, somebody hears of it.
    pub warn_percent: u64,
}

/// What was spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// The known cost.
    pub money: Money,
    /// Tokens of every kind.
    pub tokens: u64,
}

impl Sum {
    fn plus(self, other: Self) -> Self {
        Self {
            money: self.money.plus(other.money),
            tokens: self.tokens.saturating_add(other.tokens),
        }
    }
}

/// What one request spent, and for whom.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent<'a> {
    /// The client key.
    pub client: Option<&'a str>,
    /// The session.
    pub session: Option<&'a str>,
    /// The upstream.
    pub target: Option<&'a TargetId>,
    /// How much.
    pub sum: Sum,
    /// It was answered, and its cost is not known.
    pub unpriced: bool,
}

impl<'a> Spent<'a> {
    /// Returns whose spending it is, of those that a budget tells apart; `None` for nobody's.
    fn subject(&self, per: Per) -> Option<&'a str> {
        match per {
            Per::ClientKey => Some(self.client.unwrap_or_default()),
            Per::Session => self.session,
            Per::Provider => self.target.map(TargetId::as_str),
            Per::All => Some(""),
        }
    }

    /// Reads a record.
    pub fn of(record: &'a RequestRecord) -> Self {
        let answered = record
            .status
            .is_some_and(|status| (200..300).contains(&status));
        let usage = &record.usage;
        let tokens = usage.total_input_tokens().unwrap_or(0);
        Self {
            client: record.client.as_deref(),
            session: record.session.as_ref().map(SessionId::as_str),
            target: record.target.as_ref(),
            sum: Sum {
                money: record.cost.unwrap_or_default(),
                tokens: tokens.saturating_add(usage.output_tokens.unwrap_or(0)),
            },
            unpriced: answered && record.cost.is_none() && record.endpoint == "messages",
        }
    }
}

/// A budget that is spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhausted {
    /// Which.
    pub budget: Arc<Budget>,
    /// Whose.
    pub subject: Box<str>,
    /// What was spent of it.
    pub spent: Limit,
    /// When it begins anew, in seconds of the Unix epoch.
    pub until: u64,
    /// How long that is from now.
    pub wait: Duration,
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { budget, spent, .. } = self;
        let (name, limit, period) = (&budget.name, budget.limit, budget.period.name());
        write!(
            f,
            "the budget {name} is spent: {spent} of {limit} a {period}"
        )?;
        let subject = &self.subject;
        match budget.per {
            Per::ClientKey if subject.is_empty() => write!(f, ", clients without a key")?,
            Per::ClientKey => write!(f, ", client key {subject}")?,
            Per::Session => write!(f, ", this session")?,
            Per::Provider => write!(f, ", provider {subject}")?,
            Per::All => {}
        }
        write!(f, "; it begins anew at {}", period::shown(self.until))
    }
}

/// What somebody should hear of, once a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A budget is nearly spent, or is spent.
    Near {
        /// Which.
        budget: Arc<Budget>,
        /// Whose.
        subject: Box<str>,
        /// The share of the limit.
        percent: u64,
    },
    /// A budget in dollars does not count a request, as its price is not known.
    Unpriced(Arc<Budget>),
}

/// How a budget stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Which.
    pub budget: Arc<Budget>,
    /// Those who have spent something of theirs.
    pub subjects: usize,
    /// Of these, those who have spent all of it.
    pub exhausted: usize,
    /// What the one that has spent most has spent.
    pub most: Limit,
    /// The same in millionths of the limit.
    pub most_ppm: u64,
    /// When it begins anew, in seconds of the Unix epoch.
    pub until: u64,
    /// Warnings since the start.
    pub warnings: u64,
    /// Requests refused since the start.
    pub refusals: u64,
}

/// Knows what was spent before the start.
pub trait Past: Send + Sync {
    /// Returns what was spent since a full hour, in seconds of the Unix epoch, by the subject's
    /// name: for providers that of the upstream, for a budget of all any names.
    fn sums(&self, per: Per, since: u64) -> Vec<(String, Sum)>;
}

/// All budgets, and what was spent of them.
#[derive(Default)]
pub struct Spend {
    /// Whether there are any: most relays have none, and ask for no lock.
    any: AtomicBool,
    past: RwLock<Option<Arc<dyn Past>>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Upstreams that stand in for another: what they spend, that one's provider spends.
    principals: HashMap<TargetId, TargetId>,
    tallies: Vec<Tally>,
}

impl fmt::Debug for Spend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spend")
            .field("any", &self.any)
            .finish_non_exhaustive()
    }
}

impl Spend {
    /// Takes what budgets begin with that are not known yet.
    pub fn remember(&self, past: Arc<dyn Past>) {
        *self.past.write() = Some(past);
    }

    /// Puts other budgets in force. What was spent of one that goes on by name, for the same
    /// subjects and the same period, goes on; what others begin with, the past says.
    pub fn set(
        &self,
        budgets: Vec<Budget>,
        principals: HashMap<TargetId, TargetId>,
        now: Duration,
    ) {
        let goes_on = |budget: &Budget| {
            let state = self.state.lock();
            state.tallies.iter().any(|tally| tally.goes_on_as(budget))
        };
        // The past is read before anybody has to wait for it.
        let begun: Vec<Tally> = budgets
            .iter()
            .filter(|budget| !goes_on(budget))
            .map(|budget| self.begun(&principals, budget, now.as_secs()))
            .collect();
        let mut state = self.state.lock();
        state.principals = principals;
        let mut known = std::mem::take(&mut state.tallies);
        known.extend(begun);
        for budget in budgets {
            if let Some(at) = known.iter().position(|tally| tally.goes_on_as(&budget)) {
                let mut tally = known.swap_remove(at);
                tally.hold_to(budget);
                state.tallies.push(tally);
            }
        }
        self.any.store(!state.tallies.is_empty(), Ordering::Relaxed);
    }

    /// Returns the tally of a budget that begins, with what was spent of it already.
    fn begun(&self, principals: &HashMap<TargetId, TargetId>, budget: &Budget, now: u64) -> Tally {
        let mut tally = Tally::new(Arc::new(budget.clone()), now);
        let past = self.past.read().clone();
        let since = budget.period.around(now).start;
        let sums = past.map(|past| past.sums(budget.per, since));
        for (name, sum) in sums.into_iter().flatten() {
            let target = TargetId::new(name.as_str());
            let spent = Spent {
                client: Some(&name),
                session: Some(name.as_str()).filter(|name| !name.is_empty()),
                target: Some(principals.get(&target).unwrap_or(&target)),
                sum,
                unpriced: false,
            };
            // What was near then was told of then.
            tally.charge(&spent, now);
        }
        tally
    }

    /// Lets a client's request pass, as far as the budgets of its key, its session and all say so.
    ///
    /// # Errors
    /// [`Exhausted`]: of several that are spent, the one that begins anew last.
    pub fn admit(
        &self,
        client: Option<&str>,
        session: Option<&str>,
        now: Duration,
    ) -> Result<(), Exhausted> {
        let spent = Spent {
            client,
            session,
            ..Spent::default()
        };
        self.last_spent(&spent, now).map_or(Ok(()), Err)
    }

    /// Returns the budget that keeps an upstream from being asked.
    pub fn shuts(&self, target: &TargetId, now: Duration) -> Option<Exhausted> {
        if !self.any.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.state.lock();
        let State {
            principals,
            tallies,
        } = &mut *state;
        let target = principals.get(target).unwrap_or(target);
        let providers = tallies
            .iter_mut()
            .filter(|tally| tally.budget.per == Per::Provider);
        let spent = providers.filter_map(|tally| tally.exhausted(Some(target.as_str()), now));
        spent.max_by_key(|spent| spent.until)
    }

    fn last_spent(&self, asker: &Spent<'_>, now: Duration) -> Option<Exhausted> {
        if !self.any.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.state.lock();
        let spent = state.tallies.iter_mut().filter_map(|tally| {
            let subject = asker.subject(tally.budget.per);
            tally.exhausted(subject, now)
        });
        spent.max_by_key(|spent| spent.until)
    }

    /// Counts what a request spent, at the time of its end.
    pub fn charge(&self, spent: &Spent<'_>, ended: Duration) -> Vec<Notice> {
        if !self.any.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut state = self.state.lock();
        let State {
            principals,
            tallies,
        } = &mut *state;
        let target = spent.target.map(|it| principals.get(it).unwrap_or(it));
        let spent = Spent { target, ..*spent };
        let ended = ended.as_secs();
        let charged = tallies.iter_mut().map(|tally| tally.charge(&spent, ended));
        charged.flatten().flatten().collect()
    }

    /// Counts a request that was refused.
    pub fn refused(&self, budget: &Budget) {
        let mut state = self.state.lock();
        let mut tallies = state.tallies.iter_mut();
        if let Some(tally) = tallies.find(|tally| tally.budget.name == budget.name) {
            tally.refusals = tally.refusals.saturating_add(1);
        }
    }

    /// Returns how each budget stands, in the order of the configuration.
    pub fn standings(&self, now: Duration) -> Vec<Standing> {
        let mut state = self.state.lock();
        let tallies = state.tallies.iter_mut();
        tallies.map(|tally| tally.standing(now.as_secs())).collect()
    }
}

#[cfg(test)]
mod tests;
