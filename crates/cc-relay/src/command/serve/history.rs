//! The history that a relay keeps.
//!
//! In: what the file and the command line say. Out: an open store, or why there is none: the relay
//! runs on without it.

use std::path::PathBuf;

use relay_config::HistoryPlan;
use relay_core::error::chain;
use relay_store::{Store, StoreOptions};

use crate::cli::ServeArgs;
use crate::command::Context;

/// Opens the history, if one is asked for. What the command line names comes before the file.
pub(super) fn open(
    context: &Context,
    arguments: &ServeArgs,
    plan: &HistoryPlan,
) -> Option<Result<Store, String>> {
    if !plan.enabled && arguments.history.is_none() {
        return None;
    }
    let named = arguments.history.as_deref();
    let named = named.filter(|file| !file.is_empty()).map(PathBuf::from);
    let path = named.or_else(|| plan.file.clone());
    let options = StoreOptions {
        path: path.unwrap_or_else(|| context.env.history()),
        max_bytes: plan.max_bytes,
        max_age: plan.max_age,
        requests: plan.requests,
    };
    Some(Store::open(options).map_err(|error| chain(&error)))
}
