//! Strategies: each an order of candidates, never a choice of one.
//!
//! In: the targets that can take a request, as [`Contender`]s, and what is asked. Out: a
//! [`Ranking`] of all of them. It must never lose or repeat one: whoever fails over walks the
//! ranking from its start, so failover is one loop whatever the strategy.
//!
//! Priorities come before every strategy but [`Kind::Model`]: targets of a lower priority are asked
//! only after those of a higher one.

mod by_cost;
mod by_latency;
mod by_model;
mod least_loaded;
mod round_robin;
mod shuffle;
mod weighted;

use std::cmp::Reverse;
use std::fmt;

use smallvec::SmallVec;

use crate::latency::Latency;
use crate::snapshot::TargetId;

pub use by_model::ModelRule;

/// What a strategy sees of a target.
#[derive(Debug, Clone)]
pub struct Contender<'a> {
    /// Its place in the snapshot.
    pub place: usize,
    /// Its name.
    pub id: &'a TargetId,
    /// Higher ones are asked first.
    pub priority: i32,
    /// Its share under strategies that weigh.
    pub weight: u32,
    /// Estimated tokens of the requests under way there.
    pub in_flight_tokens: u64,
    /// Its latency for the model asked for, if known.
    pub latency: Option<Latency>,
    /// Expected price of this request there in nano-dollars, if known.
    pub cost: Option<u64>,
}

/// Places of all contenders, best first.
pub type Ranking = SmallVec<[usize; 8]>;

/// One order of candidates. Shared by all threads.
pub trait Strategy: Send + Sync + fmt::Debug {
    /// Orders contenders of one priority, at least two of them. `asked` is the model's name.
    fn order(&self, asked: Option<&str>, contenders: &mut [Contender<'_>], seed: u64);

    /// Tells whether priorities split the contenders before they are ordered.
    fn respects_priority(&self) -> bool {
        true
    }
}

/// The strategies by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// By priority, then as in the config file.
    Failover,
    /// In turn.
    RoundRobin,
    /// In turn by weight, evenly spread.
    WeightedRoundRobin,
    /// A dealt deck: nobody twice before everybody once.
    Shuffle,
    /// Fewest tokens under way for its weight.
    LeastLoaded,
    /// By the model's name.
    Model,
    /// The cheapest for this request.
    Cost,
    /// The quickest to its first event.
    Latency,
}

impl Kind {
    /// Every strategy.
    pub const ALL: [Self; 8] = [
        Self::Failover,
        Self::RoundRobin,
        Self::WeightedRoundRobin,
        Self::Shuffle,
        Self::LeastLoaded,
        Self::Model,
        Self::Cost,
        Self::Latency,
    ];

    /// Returns the name used in config, headers and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::RoundRobin => "round_robin",
            Self::WeightedRoundRobin => "weighted_round_robin",
            Self::Shuffle => "shuffle",
            Self::LeastLoaded => "least_loaded",
            Self::Model => "model",
            Self::Cost => "cost",
            Self::Latency => "latency",
        }
    }

    /// Makes the strategy. `rules` and `default` serve [`Kind::Model`] alone.
    pub fn build(self, rules: Vec<ModelRule>, default: Option<TargetId>) -> Box<dyn Strategy> {
        match self {
            Self::Failover => Box::new(Failover),
            Self::RoundRobin => Box::new(round_robin::RoundRobin::default()),
            Self::WeightedRoundRobin => Box::new(weighted::Weighted::default()),
            Self::Shuffle => Box::new(shuffle::Shuffle::default()),
            Self::LeastLoaded => Box::new(least_loaded::LeastLoaded),
            Self::Model => Box::new(by_model::ByModel::new(rules, default)),
            Self::Cost => Box::new(by_cost::ByCost),
            Self::Latency => Box::new(by_latency::ByLatency),
        }
    }
}

/// Ranks contenders: by priority, and by the strategy where several share one.
pub fn rank(
    strategy: &dyn Strategy,
    asked: Option<&str>,
    contenders: &mut [Contender<'_>],
    seed: u64,
) -> Ranking {
    if strategy.respects_priority() {
        contenders.sort_by_key(|contender| Reverse(contender.priority));
        for tier in contenders.chunk_by_mut(|one, other| one.priority == other.priority) {
            if tier.len() > 1 {
                strategy.order(asked, tier, seed);
            }
        }
    } else {
        strategy.order(asked, contenders, seed);
    }
    contenders.iter().map(|contender| contender.place).collect()
}

/// By priority alone.
#[derive(Debug)]
struct Failover;

impl Strategy for Failover {
    fn order(&self, _asked: Option<&str>, _contenders: &mut [Contender<'_>], _seed: u64) {}
}

#[cfg(test)]
mod tests;
