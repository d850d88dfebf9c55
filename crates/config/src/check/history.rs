//! What is kept of requests and their cost, and how much of it.
//!
//! In: its raw form, held to its bounds already. Out: its plan.

use std::path::PathBuf;
use std::time::Duration;

use crate::plan::HistoryPlan;
use crate::raw;

/// Makes the plan of a history. Budgets need one.
pub(super) fn plan(raw: raw::History, needed: bool) -> HistoryPlan {
    let base = HistoryPlan::default();
    let days = |days: u64| Duration::from_hours(days.saturating_mul(24));
    HistoryPlan {
        enabled: raw.enabled.unwrap_or(needed || base.enabled),
        file: raw.file.map(PathBuf::from),
        max_bytes: raw.max_bytes.unwrap_or(base.max_bytes),
        max_age: raw.max_days.map_or(base.max_age, days),
        requests: raw.requests.unwrap_or(base.requests),
    }
}
