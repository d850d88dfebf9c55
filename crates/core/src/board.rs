//! What the relay knows beyond single targets: shared by all requests, outliving every snapshot.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::affinity::Affinity;
use crate::budget::RetryBudget;
use crate::catalog::Catalog;
use crate::cold::ColdGuard;
use crate::estimate::Estimator;
use crate::price::{PriceFault, Prices};
use crate::spend::Spend;
use crate::waiting::WaitingRoom;

/// The relay's memory.
#[derive(Debug)]
pub struct Board {
    /// Where sessions live.
    pub affinity: Affinity,
    /// Which prefixes are being written to a cache right now.
    pub cold: ColdGuard,
    /// Requests that wait for capacity.
    pub waiting: WaitingRoom,
    /// Tokens from bytes.
    pub estimator: Estimator,
    /// What upstreams list of their models.
    pub catalog: Catalog,
    prices: RwLock<Arc<Prices>>,
    /// Attempts beyond the first.
    pub budget: RetryBudget,
    /// Budgets, and what was spent of them.
    pub spend: Spend,
}

impl Board {
    /// Starts without memory.
    ///
    /// # Errors
    /// [`PriceFault`] if the built-in prices cannot be read, which a test rules out.
    pub fn new(max_sessions: usize, max_waiting: usize) -> Result<Self, PriceFault> {
        Ok(Self {
            affinity: Affinity::new(max_sessions),
            cold: ColdGuard::new(),
            waiting: WaitingRoom::new(max_waiting),
            estimator: Estimator::new(max_sessions),
            catalog: Catalog::default(),
            prices: RwLock::new(Arc::new(Prices::built_in()?)),
            budget: RetryBudget::default(),
            spend: Spend::default(),
        })
    }

    /// Returns what tokens cost.
    pub fn prices(&self) -> Arc<Prices> {
        Arc::clone(&self.prices.read())
    }

    /// Has tokens cost something else from now on.
    pub fn set_prices(&self, prices: Prices) {
        *self.prices.write() = Arc::new(prices);
    }

    /// Takes other bounds; what is known stays.
    pub fn resize(&self, max_sessions: usize, max_waiting: usize) {
        self.affinity.resize(max_sessions);
        self.estimator.resize(max_sessions);
        self.waiting.resize(max_waiting);
    }
}
