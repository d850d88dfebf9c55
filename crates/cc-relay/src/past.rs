//! What was spent before the relay started, as the history kept it.
//!
//! In: the history's file. Out: sums by subject since a full hour. It must never keep the relay from
//! starting: a history that cannot be read is said, and the budgets begin with nothing.

use std::path::PathBuf;

use relay_core::price::Money;
use relay_core::spend::{Past, Per, Sum};
use relay_store::{By, Sums, usage};
use tracing::error;

/// The history as a past.
#[derive(Debug)]
pub struct Kept(pub PathBuf);

impl Past for Kept {
    fn sums(&self, per: Per, since: u64) -> Vec<(String, Sum)> {
        let by = match per {
            // All of them together are all there is.
            Per::ClientKey | Per::All => By::Client,
            Per::Session => By::Session,
            Per::Provider => By::Provider,
        };
        let sum = |sums: Sums| {
            let kinds = [sums.cache_read, sums.cache_write, sums.output];
            let tokens = kinds.into_iter().fold(sums.input, u64::saturating_add);
            let money = Money::nano_dollars(sums.cost);
            (sums.name, Sum { money, tokens })
        };
        match usage(&self.0, by, since) {
            // The costliest come last, so that they are forgotten last where they are too many.
            Ok(sums) => sums.into_iter().rev().map(sum).collect(),
            Err(error) => {
                let path = self.0.display();
                error!(%path, %error, "budgets begin with nothing: the history cannot be read");
                Vec::new()
            }
        }
    }
}
