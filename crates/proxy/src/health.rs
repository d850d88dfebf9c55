//! The state of the relay as `/health` tells it, and its settings as `/config` does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use relay_core::breaker::Health as TargetHealth;
use relay_core::keys::KeyState;
use relay_core::moment::Moment;
use relay_core::snapshot::Target;
use relay_core::spend::Standing;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::clock;
use crate::pool::Pool;
use crate::worker::Worker;

#[derive(Serialize)]
struct Health<'a> {
    status: &'a str,
    version: &'a str,
    uptime_s: u64,
    config: &'a str,
    /// Times that another configuration was put in force, and that one was refused.
    reloads: u64,
    reloads_refused: u64,
    /// Why the last one was refused; absent if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    config_refused: Option<&'a str>,
    /// Requests under way.
    live: usize,
    connections: usize,
    requests: u64,
    failed: u64,
    /// Times that an upstream was asked again without what it could not take.
    left_out: u64,
    strategy: &'a str,
    /// Sessions whose home is known.
    sessions: usize,
    /// Requests that wait for capacity.
    waiting: usize,
    upstreams: Vec<Upstream<'a>>,
    budgets: Vec<BudgetState>,
}

/// How a budget stands. It names nobody.
#[derive(Serialize)]
struct BudgetState {
    name: String,
    per: &'static str,
    period: &'static str,
    /// As people read it: dollars or tokens.
    limit: String,
    /// What the one that has spent most has spent.
    most: String,
    most_percent: u64,
    /// Those who have spent something, and those who have spent all.
    subjects: usize,
    spent_subjects: usize,
    /// Requests refused since the start.
    refusals: u64,
    /// When it begins anew.
    anew_in_s: u64,
}

impl BudgetState {
    fn of(standing: &Standing, unix_seconds: u64) -> Self {
        let budget = &standing.budget;
        Self {
            name: budget.name.to_string(),
            per: budget.per.name(),
            period: budget.period.name(),
            limit: budget.limit.to_string(),
            most: standing.most.to_string(),
            most_percent: standing.most_ppm / 10_000,
            subjects: standing.subjects,
            spent_subjects: standing.exhausted,
            refusals: standing.refusals,
            anew_in_s: standing.until.saturating_sub(unix_seconds),
        }
    }
}

#[derive(Serialize)]
struct Upstream<'a> {
    name: &'a str,
    url: String,
    /// `up`, `degraded` or `down`.
    state: &'a str,
    in_flight_tokens: u64,
    keys: Vec<Key>,
    lacks: Vec<Lacks>,
}

/// What an upstream has refused to take, for a model.
#[derive(Serialize)]
struct Lacks {
    model: String,
    capability: String,
    /// How long that is believed.
    for_s: u64,
}

/// A key, by its digest: never by itself.
#[derive(Serialize)]
struct Key {
    name: String,
    id: String,
    in_flight: u64,
    capacity_percent: u8,
    /// How long it is left alone.
    cools_for_s: Option<u64>,
}

impl Key {
    fn of(state: &KeyState, now: Moment) -> Self {
        Self {
            name: state.name.to_string(),
            id: state.id.to_string(),
            in_flight: state.in_flight,
            capacity_percent: state.capacity_percent,
            cools_for_s: state.parked_until.map(|until| until.since(now).as_secs()),
        }
    }
}

impl<'a> Upstream<'a> {
    fn of(target: &'a Target, pool: &Pool, now: Moment) -> Self {
        let connects = pool.connector().failures() == 0;
        let station = &target.station;
        Self {
            name: target.id.as_str(),
            url: pool.connector().url(),
            state: match station.health(now) {
                TargetHealth::Healthy if connects => "up",
                TargetHealth::Degraded if connects => "degraded",
                TargetHealth::Healthy | TargetHealth::Degraded | TargetHealth::Down => "down",
            },
            in_flight_tokens: station.in_flight_tokens(),
            keys: station
                .keys
                .states(now)
                .iter()
                .map(|key| Key::of(key, now))
                .collect(),
            lacks: station
                .lacking
                .list(now)
                .iter()
                .map(|lack| Lacks {
                    model: lack.model.to_string(),
                    capability: lack.capability.to_string(),
                    for_s: lack.until.since(now).as_secs(),
                })
                .collect(),
        }
    }
}

/// Returns the state as JSON.
pub(crate) fn health(worker: &Worker) -> String {
    let view = worker.view();
    let snapshot = view.snapshot();
    let shared = &worker.shared;
    let now = shared.clock.now();
    let counters = &shared.counters;
    let (reloads, reloads_refused) = shared.reloads.counts();
    let last = shared.reloads.last();
    let targets = snapshot.targets.iter().zip(&view.pools);
    let unix = clock::unix();
    let standings = shared.board.spend.standings(unix);
    let health = Health {
        status: if worker.is_draining() {
            "draining"
        } else {
            "ok"
        },
        version: worker.version,
        uptime_s: worker.started.elapsed().as_secs(),
        config: &snapshot.digest,
        reloads,
        reloads_refused,
        config_refused: last.refused.as_deref(),
        live: counters.live.load(Ordering::Relaxed),
        connections: counters.connections.load(Ordering::Relaxed),
        requests: counters.requests.load(Ordering::Relaxed),
        failed: counters.failed.load(Ordering::Relaxed),
        left_out: counters.left_out.load(Ordering::Relaxed),
        strategy: snapshot.routing.kind.name(),
        sessions: shared.board.affinity.len(),
        waiting: shared.board.waiting.len(),
        upstreams: targets
            .map(|(target, pool)| Upstream::of(target, pool, now))
            .collect(),
        budgets: standings
            .iter()
            .map(|standing| BudgetState::of(standing, unix.as_secs()))
            .collect(),
    };
    serde_json::to_string(&health).unwrap_or_default()
}

/// Settings in force, and how many sessions live where.
#[derive(Serialize)]
struct Config<'a> {
    digest: &'a str,
    settings: &'a RawValue,
    homes: Vec<Home>,
}

/// Sessions that live at one place.
#[derive(Serialize)]
struct Home {
    provider: String,
    /// The start of the SHA-256 of the relay's key; absent where clients bring their own credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    sessions: usize,
}

/// Returns the settings in force as JSON.
pub(crate) fn config(worker: &Worker) -> String {
    let view = worker.view();
    let shared = &worker.shared;
    let mut homes: BTreeMap<(String, Option<String>), usize> = BTreeMap::new();
    for state in shared.board.affinity.sessions(shared.clock.now()) {
        let key = state.home.key.map(|key| key.to_string());
        let count = homes.entry((state.home.target.to_string(), key));
        *count.or_default() += 1;
    }
    let home = |((provider, key), sessions)| Home {
        provider,
        key,
        sessions,
    };
    let Ok(settings) = serde_json::from_str(&view.settings.shown) else {
        return "{}".to_owned();
    };
    let config = Config {
        digest: &view.snapshot().digest,
        settings,
        homes: homes.into_iter().map(home).collect(),
    };
    serde_json::to_string(&config).unwrap_or_default()
}

/// One provider, without any secret.
#[derive(Serialize)]
struct Provider<'a> {
    name: &'a str,
    vendor: &'a str,
    base_url: String,
    /// The models that the file names for it; empty for all.
    models: Vec<&'a str>,
    /// Whether it may be chosen.
    active: bool,
    priority: i32,
    weight: u32,
}

/// Returns the providers as JSON, in the order of the file.
pub(crate) fn providers(worker: &Worker) -> String {
    let view = worker.view();
    let now = worker.shared.clock.now();
    let targets = view.snapshot().targets.iter().zip(&view.pools);
    let provider = |(target, pool): (&'_ Arc<Target>, &Arc<Pool>)| -> serde_json::Value {
        let shown = Provider {
            name: target.id.as_str(),
            vendor: &target.vendor,
            base_url: pool.connector().url(),
            models: target.models.iter().filter_map(|it| it.literal()).collect(),
            active: target.station.health(now) != TargetHealth::Down,
            priority: target.priority,
            weight: target.weight,
        };
        serde_json::to_value(shown).unwrap_or_default()
    };
    let data: Vec<serde_json::Value> = targets.map(provider).collect();
    serde_json::json!({ "object": "list", "data": data }).to_string()
}
