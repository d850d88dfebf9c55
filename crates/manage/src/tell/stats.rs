//! The state of the whole relay as a message.

use std::sync::atomic::Ordering;
use std::time::Duration;

use relay_api::v1;
use relay_core::spend::Standing;

use super::{Place, count, keys, providers};
use crate::ledger::traffic::{Window, float};

/// Tells how the relay does.
pub(crate) fn stats(
    place: &Place<'_>,
    window: Window,
    started: Duration,
    version: &str,
) -> v1::Stats {
    let (counters, board) = (place.witness.counters(), place.witness.board());
    let providers = providers(place, window);
    let mut keys = keys(place, None);
    keys.sort_by_key(|key| key.capacity_percent);
    let (health, why) = health(&providers);
    let today = place.books.today.at(place.unix);
    let quarter = place.books.all(Window::Quarter, place.unix);
    let last = place.witness.reloads().last();
    let snapshot = &place.settings.snapshot;
    v1::Stats {
        health: health.into(),
        why,
        version: version.to_owned(),
        url: place.situation.url.clone(),
        uptime_s: place.unix.saturating_sub(started).as_secs(),
        strategy: snapshot.routing.kind.name().to_owned(),
        config_digest: snapshot.digest.to_string(),
        config_refused: last.refused.as_deref().map(ToOwned::to_owned),
        live: count(counters.live.load(Ordering::Relaxed)),
        connections: count(counters.connections.load(Ordering::Relaxed)),
        waiting: count(board.waiting.len()),
        sessions: count(board.affinity.len()),
        traffic: Some(place.books.all(window, place.unix)),
        providers,
        keys,
        cost_today_nano_usd: (today.requests > 0).then_some(today.cost),
        cost_today_is_partial: today.unpriced > 0,
        cache_read_percent: quarter
            .tokens
            .and_then(|tokens| cache_read_percent(&tokens)),
        budgets: board
            .spend
            .standings(place.unix)
            .iter()
            .map(|standing| budget(standing, place.unix))
            .collect(),
    }
}

fn health(providers: &[v1::ProviderStats]) -> (v1::Health, String) {
    let told = providers.iter().filter_map(|it| it.provider.as_ref());
    let on: Vec<&v1::Provider> = told
        .filter(|it| it.state() != v1::ProviderState::Off)
        .collect();
    let unwell: Vec<&&v1::Provider> = on
        .iter()
        .filter(|it| it.state() != v1::ProviderState::Up)
        .collect();
    let serves = |it: &&v1::Provider| {
        matches!(
            it.state(),
            v1::ProviderState::Up | v1::ProviderState::Slow | v1::ProviderState::Probing
        )
    };
    let why: Vec<String> = unwell
        .iter()
        .map(|it| format!("{}: {}", it.name, it.why))
        .collect();
    let why = why.join("; ");
    if unwell.is_empty() {
        (v1::Health::Healthy, why)
    } else if on.iter().any(serves) {
        (v1::Health::Degraded, why)
    } else {
        (v1::Health::Down, why)
    }
}

/// Returns the share of input tokens that were read from the cache.
fn cache_read_percent(tokens: &v1::Tokens) -> Option<f64> {
    let read = tokens.cache_read?;
    let kinds = [tokens.input, tokens.cache_write];
    let all = kinds.into_iter().flatten().fold(read, u64::saturating_add);
    (all > 0).then(|| float(read) * 100.0 / float(all))
}

fn budget(standing: &Standing, unix: Duration) -> v1::Budget {
    let budget = &standing.budget;
    v1::Budget {
        name: budget.name.to_string(),
        per: budget.per.name().to_owned(),
        period: budget.period.name().to_owned(),
        limit: budget.limit.to_string(),
        most: standing.most.to_string(),
        most_percent: u32::try_from(standing.most_ppm / 10_000).unwrap_or(u32::MAX),
        refusals: standing.refusals,
        anew_in_s: standing.until.saturating_sub(unix.as_secs()),
    }
}
