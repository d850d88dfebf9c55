//! Makes a relay from a plan.
//!
//! In: a checked [`Plan`]. Out: a snapshot, a connector for each target, and the server's options.

pub(crate) mod upstream;

use std::sync::Arc;

use relay_config::{
    AffinityMode, AuthPlan, BreakerPlan, CredentialHeader, LoggingPlan, Plan, RoutingPlan,
    StrategyPlan,
};
use relay_core::board::Board;
use relay_core::breaker::BreakerOptions;
use relay_core::credential::{self, AuthPolicy, Client};
use relay_core::models::{ModelMap, Pattern};
use relay_core::request::{ModelName, Timeouts};
use relay_core::snapshot::{Limits, Routing, Snapshot, Target, TargetId, Triggers};
use relay_core::strategy::{Kind, ModelRule};
use relay_proxy::{Background, Connector, ExhibitOptions, Probing};

use upstream::upstream;

/// The parts of a relay.
#[expect(missing_debug_implementations, reason = "a snapshot holds secrets")]
pub struct Assembled {
    /// What the relay remembers.
    pub board: Arc<Board>,
    /// How upstreams are probed.
    pub probing: Option<Probing>,
    /// What decides about requests.
    pub snapshot: Snapshot,
    /// How each target is reached, in the snapshot's order.
    pub connectors: Vec<Arc<Connector>>,
    /// What keeps credentials fresh.
    pub background: Background,
    /// What the log keeps beyond the record.
    pub exhibit: ExhibitOptions,
}

/// Assembles the parts.
///
/// # Errors
/// If a URL cannot be used after all, or a proxy cannot be understood.
pub fn assemble(plan: &Plan) -> anyhow::Result<Assembled> {
    let mut targets = Vec::new();
    let mut connectors = Vec::new();
    let options = breaker(&plan.health.breaker);
    let mut background = Background::default();
    for provider in plan.providers.iter().filter(|provider| provider.enabled) {
        let upstream = upstream(provider, plan, options, &mut background)?;
        targets.push(Arc::new(upstream.target));
        connectors.push(Arc::new(upstream.connector));
    }
    let server = &plan.server;
    let routing = &plan.routing;
    let board = Board::new(routing.affinity.max_sessions, routing.max_waiting)?;
    let snapshot = Snapshot {
        auth: auth(&server.auth),
        routing: snapshot_routing(routing, &targets),
        targets,
        limits: Limits {
            max_body_bytes: server.max_body_bytes,
            max_passthrough_bytes: server.max_passthrough_bytes,
            max_concurrent: server.max_concurrent,
        },
        timeouts: Timeouts {
            stream_first_byte: server.stream_first_byte_timeout,
            first_byte: server.timeout,
            gap: server.stream_gap_timeout,
            body_read: server.body_read_timeout,
        },
        digest: plan.digest.as_str().into(),
    };
    let check = plan.health.check;
    Ok(Assembled {
        board: Arc::new(board),
        probing: check.enabled.then_some(Probing {
            interval: check.interval,
            timeout: check.timeout,
        }),
        snapshot,
        connectors,
        background,
        exhibit: exhibit(&plan.logging),
    })
}

fn exhibit(plan: &LoggingPlan) -> ExhibitOptions {
    let debug = &plan.debug_options;
    ExhibitOptions {
        headers: debug.log_headers,
        body_bytes: if debug.log_bodies {
            debug.max_body_log_bytes
        } else {
            0
        },
        connection: debug.log_connection,
    }
}

fn auth(plan: &AuthPlan) -> AuthPolicy {
    let client = |key: &relay_config::ClientKey| Client {
        name: key.name.as_str().into(),
        digest: key.secret.digest(),
        header: match key.header {
            CredentialHeader::Any if plan.allow_bearer => credential::CredentialHeader::Any,
            CredentialHeader::Any | CredentialHeader::ApiKey => {
                credential::CredentialHeader::ApiKey
            }
            CredentialHeader::Bearer => credential::CredentialHeader::Bearer,
        },
    };
    AuthPolicy {
        clients: plan.client_keys.iter().map(client).collect(),
        allow_subscription: plan.allow_subscription,
    }
}

pub(super) fn model_map(pairs: &[(String, String)]) -> ModelMap {
    let pair = |(from, to): &(String, String)| (Pattern::new(from), ModelName::new(to.as_str()));
    ModelMap::new(pairs.iter().map(pair))
}

fn breaker(plan: &BreakerPlan) -> BreakerOptions {
    BreakerOptions {
        failure_threshold: plan.failure_threshold,
        failure_rate_percent: plan.failure_rate_percent,
        window: plan.window,
        min_requests: plan.min_requests,
        open_duration: plan.open_duration,
        half_open_probes: plan.half_open_probes,
    }
}

fn snapshot_routing(plan: &RoutingPlan, targets: &[Arc<Target>]) -> Routing {
    let kind = strategy(plan.strategy);
    let id = |name: &String| TargetId::new(name.as_str());
    let rule = |rule: &relay_config::ModelRule| ModelRule {
        pattern: Pattern::new(&rule.pattern),
        targets: rule.providers.iter().map(id).collect(),
    };
    let default_target = plan.default_provider.as_ref().map(id);
    let homes: usize = targets.iter().map(|it| it.station.keys.len().max(1)).sum();
    let triggers = plan.triggers;
    Routing {
        kind,
        strategy: kind.build(
            plan.models.iter().map(rule).collect(),
            default_target.clone(),
        ),
        model_mapping: model_map(&plan.model_mapping),
        max_attempts: usize::try_from(plan.max_attempts).unwrap_or(usize::MAX),
        race: usize::try_from(plan.race).unwrap_or(1),
        retry_budget_percent: plan.retry_budget_percent,
        failover_timeout: plan.failover_timeout,
        commit_hold: plan.commit_hold,
        triggers: Triggers {
            rate_limited: triggers.rate_limited,
            overloaded: triggers.overloaded,
            server_error: triggers.server_error,
            timeout: triggers.timeout,
            connection: triggers.connection,
            auth: triggers.auth,
            model_not_found: triggers.model_not_found,
        },
        max_wait: plan.max_wait,
        spill: plan.spill,
        strip_foreign_thinking: plan.strip_foreign_thinking,
        keep_model_alias: plan.keep_model_alias,
        debug: plan.debug,
        default_target,
        affinity: match plan.affinity.mode {
            AffinityMode::Auto => homes > 1,
            AffinityMode::On => true,
            AffinityMode::Off => false,
        },
    }
}

fn strategy(plan: StrategyPlan) -> Kind {
    match plan {
        StrategyPlan::Failover => Kind::Failover,
        StrategyPlan::RoundRobin => Kind::RoundRobin,
        StrategyPlan::WeightedRoundRobin => Kind::WeightedRoundRobin,
        StrategyPlan::Shuffle => Kind::Shuffle,
        StrategyPlan::LeastLoaded => Kind::LeastLoaded,
        StrategyPlan::Model => Kind::Model,
        StrategyPlan::Cost => Kind::Cost,
        StrategyPlan::Latency => Kind::Latency,
    }
}
