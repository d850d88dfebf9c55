//! What was spent of one budget, by each subject, in the present period.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::{Budget, Exhausted, Limit, Notice, Spent, Standing, Sum};

/// Subjects of one budget that are told apart.
pub const MOST_SUBJECTS: usize = 10_000;

/// The books of one budget.
pub(super) struct Tally {
    pub(super) budget: Arc<Budget>,
    pub(super) refusals: u64,
    warnings: u64,
    /// The present period, in seconds of the Unix epoch.
    period: Range<u64>,
    accounts: HashMap<Box<str>, Account>,
    /// Charges so far: who was charged last has the highest.
    stamp: u64,
    said_unpriced: bool,
}

/// What one subject has spent.
#[derive(Default)]
struct Account {
    sum: Sum,
    stamp: u64,
    /// It was told of.
    near: bool,
}

impl Tally {
    pub(super) fn new(budget: Arc<Budget>, now: u64) -> Self {
        Self {
            period: budget.period.around(now),
            budget,
            refusals: 0,
            warnings: 0,
            accounts: HashMap::new(),
            stamp: 0,
            said_unpriced: false,
        }
    }

    /// Tells whether what was counted for this budget is what would have been for another.
    pub(super) fn goes_on_as(&self, other: &Budget) -> bool {
        let own = &*self.budget;
        own.name == other.name
            && own.per == other.per
            && own.only == other.only
            && own.period == other.period
    }

    /// Takes another limit: who is not near that one is told of it once more.
    pub(super) fn hold_to(&mut self, budget: Budget) {
        for account in self.accounts.values_mut() {
            account.near &= percent(account.sum, budget.limit) >= budget.warn_percent;
        }
        self.budget = Arc::new(budget);
    }

    /// Begins another period, where the present is not in this one.
    fn turn(&mut self, now: u64) {
        if !self.period.contains(&now) {
            self.period = self.budget.period.around(now);
            self.accounts.clear();
            self.said_unpriced = false;
        }
    }

    /// Returns the subject, if the budget is for it.
    fn held<'a>(&self, subject: Option<&'a str>) -> Option<&'a str> {
        let only = self.budget.only.as_deref();
        subject.filter(|subject| only.is_none_or(|only| only == *subject))
    }

    /// Tells whether a subject has spent its budget.
    pub(super) fn exhausted(&mut self, subject: Option<&str>, now: Duration) -> Option<Exhausted> {
        let subject = self.held(subject)?;
        self.turn(now.as_secs());
        let sum = self.accounts.get(subject)?.sum;
        let limit = self.budget.limit;
        if percent(sum, limit) < 100 {
            return None;
        }
        Some(Exhausted {
            budget: Arc::clone(&self.budget),
            subject: subject.into(),
            spent: of_kind(sum, limit),
            until: self.period.end,
            wait: Duration::from_secs(self.period.end).saturating_sub(now),
        })
    }

    /// Counts what was spent. What ended before this period is not counted any more.
    pub(super) fn charge(&mut self, spent: &Spent<'_>, ended: u64) -> [Option<Notice>; 2] {
        let subject = self.held(spent.subject(self.budget.per));
        let (Some(subject), true) = (subject, ended >= self.period.start) else {
            return [None, None];
        };
        self.turn(ended);
        let budget = &self.budget;
        let in_money = matches!(budget.limit, Limit::Money(_));
        let unpriced = spent.unpriced && in_money && !self.said_unpriced;
        self.said_unpriced |= unpriced;
        let unpriced = unpriced.then(|| Notice::Unpriced(Arc::clone(budget)));
        if spent.sum == Sum::default() {
            return [None, unpriced];
        }
        self.make_room(subject);
        self.stamp = self.stamp.saturating_add(1);
        let account = self.accounts.entry(subject.into()).or_default();
        account.stamp = self.stamp;
        account.sum = account.sum.plus(spent.sum);
        let percent = percent(account.sum, self.budget.limit);
        let is_near = percent >= self.budget.warn_percent;
        let is_news = is_near && !account.near;
        account.near |= is_near;
        self.warnings = self.warnings.saturating_add(u64::from(is_news));
        let near = is_news.then(|| Notice::Near {
            budget: Arc::clone(&self.budget),
            subject: subject.into(),
            percent,
        });
        [near, unpriced]
    }

    /// Forgets an eighth of the subjects, the longest unused, where there is no room for another.
    fn make_room(&mut self, subject: &str) {
        if self.accounts.len() < MOST_SUBJECTS || self.accounts.contains_key(subject) {
            return;
        }
        let mut stamps: Vec<u64> = self.accounts.values().map(|it| it.stamp).collect();
        let (_, last, _) = stamps.select_nth_unstable(MOST_SUBJECTS / 8);
        let last = *last;
        self.accounts.retain(|_, account| account.stamp > last);
    }

    pub(super) fn standing(&mut self, now: u64) -> Standing {
        self.turn(now);
        let limit = self.budget.limit;
        let sums = || self.accounts.values().map(|account| account.sum);
        let most = sums().max_by_key(|sum| share(*sum, limit, 1_000_000));
        let most = most.unwrap_or_default();
        Standing {
            budget: Arc::clone(&self.budget),
            subjects: self.accounts.len(),
            exhausted: sums().filter(|sum| percent(*sum, limit) >= 100).count(),
            most: of_kind(most, limit),
            most_ppm: share(most, limit, 1_000_000),
            until: self.period.end,
            warnings: self.warnings,
            refusals: self.refusals,
        }
    }
}

/// Returns what a limit counts of a sum.
fn of_kind(sum: Sum, limit: Limit) -> Limit {
    match limit {
        Limit::Money(_) => Limit::Money(sum.money),
        Limit::Tokens(_) => Limit::Tokens(sum.tokens),
    }
}

/// Returns a sum in so many parts of the limit, rounded down. Of a limit of nothing all is spent.
fn share(sum: Sum, limit: Limit, parts: u64) -> u64 {
    let (spent, limit) = match limit {
        Limit::Money(limit) => (sum.money.as_nano_dollars(), limit.as_nano_dollars()),
        Limit::Tokens(limit) => (sum.tokens, limit),
    };
    let share = (u128::from(spent) * u128::from(parts)).checked_div(u128::from(limit));
    u64::try_from(share.unwrap_or(u128::from(parts))).unwrap_or(u64::MAX)
}

fn percent(sum: Sum, limit: Limit) -> u64 {
    share(sum, limit, 100)
}
