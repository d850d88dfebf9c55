//! Answers to questions about one thing.

use std::sync::Arc;

use relay_api::v1;
use tonic::{Code, Status};

use super::arguments::{by, no_provider, window};
use crate::manager::Manager;
use crate::refusal::{missing, refuse};
use crate::tell;

pub(super) fn request(manager: &Arc<Manager>, id: &str) -> Result<v1::GetRequestResponse, Status> {
    let open = manager.witness().underway();
    let open = open.iter().rev().find(|it| *it.record.request_id == *id);
    let request = open.map(tell::underway).or_else(|| {
        let books = manager.books();
        let mut last = books.last.iter().rev();
        last.find(|(_, it)| *it.request_id == *id)
            .map(|(_, it)| tell::ended(it))
    });
    let fix = "it may have ended too long ago: cc-relay request ID reads the history";
    let request = request.ok_or_else(|| missing("request", id, fix))?;
    Ok(v1::GetRequestResponse {
        request: Some(request),
    })
}

pub(super) fn provider_health(
    manager: &Arc<Manager>,
    asked: &v1::GetProviderHealthRequest,
) -> Result<v1::GetProviderHealthResponse, Status> {
    let window = window(asked.window_s)?;
    let name = &asked.name;
    let told = manager.look(|place| {
        let stats = tell::provider(place, name, window)?;
        let probes = place.target(name).map(|it| it.0.station.probes.counts());
        let [answered, failed] = probes.unwrap_or_default();
        Some(v1::GetProviderHealthResponse {
            stats: Some(stats),
            keys: tell::keys(place, Some(name)),
            probes_answered: answered,
            probes_failed: failed,
        })
    });
    told.ok_or_else(|| no_provider(name))
}

pub(super) fn key_usage(
    manager: &Arc<Manager>,
    asked: &v1::GetKeyUsageRequest,
) -> Result<v1::GetKeyUsageResponse, Status> {
    let window = window(asked.window_s)?;
    known(manager, &asked.provider)?;
    let told = manager.look(|place| {
        let keys = tell::keys(place, Some(&asked.provider));
        let key = keys.into_iter().find(|key| key.name == asked.name)?;
        let books = place.books;
        Some(v1::GetKeyUsageResponse {
            key: Some(key),
            traffic: Some(books.key(&asked.provider, &asked.name, window, place.unix)),
        })
    });
    let fix = format!("cc-relay key list {}", asked.provider);
    told.ok_or_else(|| missing("key", &asked.name, &fix))
}

pub(super) fn keys(manager: &Arc<Manager>, provider: &str) -> Result<v1::ListKeysResponse, Status> {
    let only = (!provider.is_empty()).then_some(provider);
    if let Some(name) = only {
        known(manager, name)?;
    }
    let keys = manager.look(|place| tell::keys(place, only));
    Ok(v1::ListKeysResponse { keys })
}

pub(super) async fn usage(
    manager: &Arc<Manager>,
    asked: v1::GetUsageRequest,
) -> Result<v1::GetUsageResponse, Status> {
    let Some(path) = manager.history().cloned() else {
        let fix = "history.enabled: true in the configuration, or cc-relay serve --history";
        return Err(refuse(
            Code::FailedPrecondition,
            "NO_HISTORY",
            "no history is kept",
            fix,
        ));
    };
    let by = by(asked.by());
    let since = asked.since_unix_ms / 1_000;
    let read = tokio::task::spawn_blocking(move || relay_store::usage(&path, by, since)).await;
    let read = read.map_err(|error| Status::internal(error.to_string()))?;
    let rows = read.map_err(|error| {
        let fix = "the log says more; the file may be on a disk that fails";
        refuse(
            Code::Unavailable,
            "HISTORY_UNREADABLE",
            error.to_string(),
            fix,
        )
    })?;
    let rows = rows.into_iter().map(usage_row).collect();
    Ok(v1::GetUsageResponse { rows })
}

/// Refuses a provider that the configuration does not name.
fn known(manager: &Arc<Manager>, name: &str) -> Result<(), Status> {
    let situation = manager.situation();
    let known = situation
        .plan
        .providers
        .iter()
        .any(|plan| plan.name == name);
    known.then_some(()).ok_or_else(|| no_provider(name))
}

fn usage_row(sums: relay_store::Sums) -> v1::UsageRow {
    v1::UsageRow {
        name: sums.name,
        sums: Some(v1::Sums {
            requests: sums.requests,
            failed: sums.failed,
            unpriced: sums.unpriced,
            input: sums.input,
            cache_read: sums.cache_read,
            cache_write: sums.cache_write,
            output: sums.output,
            cost_nano_usd: sums.cost,
            saved_nano_usd: sums.saved,
            moves: sums.moves,
            moved_nano_usd: sums.moved,
        }),
    }
}
