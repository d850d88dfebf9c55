//! What is kept of requests and their cost, and how much of it.
//!
//! In: its raw form, held to its bounds already. Out: its plan.

use std::path::PathBuf;
use std::time::Duration;

use super::Check;
use crate::plan::HistoryPlan;
use crate::raw;

impl Check<'_, '_> {
    /// Makes the plan of a history. Budgets need one.
    pub(super) fn history(&mut self, raw: raw::History, needed: bool) -> HistoryPlan {
        let base = HistoryPlan::default();
        let days = |days: u64| Duration::from_hours(days.saturating_mul(24));
        let keeps_bodies = raw.bodies.unwrap_or(false);
        let most = raw.max_body_bytes.and_then(|it| usize::try_from(it).ok());
        let plan = HistoryPlan {
            enabled: raw
                .enabled
                .unwrap_or(needed || keeps_bodies || base.enabled),
            file: raw.file.map(PathBuf::from),
            max_bytes: raw.max_bytes.unwrap_or(base.max_bytes),
            max_age: raw.max_days.map_or(base.max_age, days),
            requests: raw.requests.unwrap_or(base.requests),
            bodies: keeps_bodies,
            max_body_bytes: most.unwrap_or(base.max_body_bytes),
        };
        if keeps_bodies && plan.requests == 0 {
            let message = "bodies are kept with their requests, and none are kept";
            let help = "raise `history.requests`, or remove `history.bodies`";
            let at = ("history.requests", "config::conflict");
            self.fault(at.0, at.1, message.to_owned(), "no request is kept", help);
        }
        if keeps_bodies && !plan.enabled {
            let message = "bodies are kept in the history, and it is switched off";
            let help = "remove `history.enabled: false`, or `history.bodies`";
            let at = ("history.enabled", "config::conflict");
            self.fault(at.0, at.1, message.to_owned(), "switched off", help);
        }
        plan
    }
}
