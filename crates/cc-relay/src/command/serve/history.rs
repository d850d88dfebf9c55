//! The history that `serve --history` keeps.
//!
//! In: the file, or none for the usual one. Out: an open store, or why there is none: the relay
//! runs on without it.

use std::path::PathBuf;
use std::time::Duration;

use relay_store::{Store, StoreError, StoreOptions};

use crate::cli::ServeArgs;
use crate::command::Context;

/// Opens the history, if one is asked for.
pub(super) fn open(context: &Context, arguments: &ServeArgs) -> Option<Result<Store, String>> {
    let file = arguments.history.as_deref()?;
    let path = Some(file).filter(|file| !file.is_empty());
    let path = path.map_or_else(|| context.env.history(), PathBuf::from);
    Some(Store::open(bounded(path)).map_err(|error| chain(&error)))
}

/// Returns a history's bounds: 256 MiB, 90 days, 100,000 single requests.
fn bounded(path: PathBuf) -> StoreOptions {
    StoreOptions {
        path,
        max_bytes: 256 << 20,
        max_age: Duration::from_hours(90 * 24),
        requests: 100_000,
    }
}

/// Returns an error with its causes.
fn chain(error: &StoreError) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
