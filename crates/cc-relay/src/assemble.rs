//! Makes a relay's settings from a plan.
//!
//! In: a checked [`Plan`], and what goes on from the plan before. Out: settings, in two steps: all
//! that can fail is done by [`assemble`], which changes nothing; [`Assembled::commit`] cannot fail.

pub(crate) mod dialect;
mod memory;
pub(crate) mod upstream;

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use relay_config::{
    AffinityMode, AuthPlan, BreakerPlan, CredentialHeader, LoggingPlan, Plan, RoutingPlan,
    StrategyPlan,
};
use relay_core::breaker::BreakerOptions;
use relay_core::credential::{self, AuthPolicy, Client};
use relay_core::models::{ModelMap, Pattern};
use relay_core::price::Prices;
use relay_core::request::{ModelName, Timeouts};
use relay_core::snapshot::{Limits, Routing, Snapshot, Target, TargetId, Triggers};
use relay_core::spend::Budget;
use relay_core::strategy::{Kind, ModelRule};
use relay_proxy::{ExhibitOptions, Probing, Settings, clock};

pub use memory::Memory;
use upstream::{Upstream, place, upstream};

/// Settings that could be put in force.
#[expect(missing_debug_implementations, reason = "a snapshot holds secrets")]
pub struct Assembled {
    upstreams: Vec<Upstream>,
    breaker: BreakerOptions,
    sessions: usize,
    waiting: usize,
    prices: Prices,
    budgets: Vec<Budget>,
    /// Upstreams that are switched off, with their place: what is known of them is kept.
    resting: Vec<(String, String)>,
    /// Upstreams that stand in for another, and for which.
    principals: HashMap<TargetId, TargetId>,
    settings: Settings,
}

impl Assembled {
    /// Tells everybody who goes on from the plan before what is different now, lets go of those who
    /// do not, and returns the settings.
    pub fn commit(self, memory: &mut Memory) -> Settings {
        memory.board.resize(self.sessions, self.waiting);
        memory.board.set_prices(self.prices);
        let spend = &memory.board.spend;
        spend.set(self.budgets, self.principals, clock::unix());
        let mut upstreams = HashMap::new();
        for upstream in self.upstreams {
            let (name, kept) = upstream.commit(self.breaker, &memory.background);
            upstreams.insert(name, kept);
        }
        for (name, place) in self.resting {
            if let Some(kept) = memory.take(&name, &place) {
                upstreams.insert(name.into(), kept);
            }
        }
        memory.upstreams = upstreams;
        self.settings
    }
}

/// Assembles settings. `tls` is what clients are served with.
///
/// # Errors
/// If a URL cannot be used after all, or a proxy cannot be understood.
pub fn assemble(
    plan: &Plan,
    tls: Option<Arc<rustls::ServerConfig>>,
    memory: &Memory,
) -> anyhow::Result<Assembled> {
    let breaker = breaker(&plan.health.breaker);
    let enabled = plan.providers.iter().filter(|provider| provider.enabled);
    let upstreams = enabled
        .flat_map(relay_config::ProviderPlan::variants)
        .map(|variant| upstream(&variant, plan, breaker, memory))
        .collect::<anyhow::Result<Vec<Upstream>>>()?;
    let targets: Vec<Arc<Target>> = upstreams.iter().map(|it| Arc::clone(&it.target)).collect();
    let connectors = upstreams.iter().map(Upstream::connector).collect();
    let homes = upstreams.iter().map(|it| it.keys().max(1)).sum();
    let principal = |it: &Arc<Target>| Some((it.id.clone(), it.behind.clone()?));
    let principals = targets.iter().filter_map(principal).collect();
    let server = &plan.server;
    let routing = &plan.routing;
    let snapshot = Snapshot {
        auth: auth(&server.auth),
        routing: snapshot_routing(routing, &targets, homes),
        targets,
        limits: Limits {
            max_body_bytes: server.max_body_bytes,
            max_passthrough_bytes: server.max_passthrough_bytes,
            kept_body_bytes: if plan.history.bodies {
                plan.history.max_body_bytes
            } else {
                0
            },
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
    let settings = Settings {
        snapshot: Arc::new(snapshot),
        connectors,
        probing: check.enabled.then_some(Probing {
            interval: check.interval,
            timeout: check.timeout,
        }),
        exhibit: exhibit(&plan.logging),
        tls,
        enable_http2: server.enable_http2,
        shown: serde_json::to_string(&relay_config::settings(plan))?.into(),
        max_connections: server.max_connections,
    };
    Ok(Assembled {
        resting: resting(plan),
        upstreams,
        breaker,
        sessions: routing.affinity.max_sessions,
        waiting: routing.max_waiting,
        prices: prices(plan)?,
        budgets: plan.budgets.clone(),
        principals,
        settings,
    })
}

/// Returns the upstreams that are switched off, with their place.
fn resting(plan: &Plan) -> Vec<(String, String)> {
    let disabled = plan.providers.iter().filter(|provider| !provider.enabled);
    let named = |variant: relay_config::Variant| {
        let place = place(&variant.plan);
        (variant.plan.name, place)
    };
    let variants = disabled.flat_map(relay_config::ProviderPlan::variants);
    variants.map(named).collect()
}

/// Returns what tokens cost: by the user's own list, else by that of the program.
pub(crate) fn prices(plan: &Plan) -> anyhow::Result<Prices> {
    let built_in = Prices::built_in()?;
    let Some(file) = &plan.price_file else {
        return Ok(built_in);
    };
    let said = || format!("prices.list {}", file.display());
    let own = std::fs::read_to_string(file).with_context(said)?;
    let own = Prices::read(&own).with_context(said)?;
    Ok(built_in.overridden_by(own))
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

fn snapshot_routing(plan: &RoutingPlan, targets: &[Arc<Target>], homes: usize) -> Routing {
    let kind = strategy(plan.strategy);
    let id = |name: &String| TargetId::new(name.as_str());
    // Who stands in for a provider goes where it goes.
    let with_stand_ins = |name: &String| {
        let id = id(name);
        let behind = targets
            .iter()
            .filter(|it| it.behind.as_ref() == Some(&id))
            .map(|it| it.id.clone());
        let behind: Vec<TargetId> = behind.collect();
        std::iter::once(id).chain(behind)
    };
    let rule = |rule: &relay_config::ModelRule| ModelRule {
        pattern: Pattern::new(&rule.pattern),
        targets: rule.providers.iter().flat_map(with_stand_ins).collect(),
    };
    let default_target = plan.default_provider.as_ref().map(id);
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
        model_lists: plan.model_lists,
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
