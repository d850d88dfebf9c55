//! Makes a relay from a plan. The only place that names every kind of provider.
//!
//! In: a checked [`Plan`]. Out: a snapshot, a connector for each target, and the server's options.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use http::Uri;
use relay_config::{
    AffinityMode, AuthPlan, BreakerPlan, CredentialHeader, HttpVersion, KeyPlan, LoggingPlan, Plan,
    ProviderKind, ProviderPlan, ProxyPlan, RoutingPlan, SelectionPlan, StrategyPlan,
};
use relay_core::board::Board;
use relay_core::breaker::BreakerOptions;
use relay_core::credential::{self, AuthPolicy, Client, UpstreamCredential};
use relay_core::keys::{KeyLimits, KeyPool, KeySpec, Selection};
use relay_core::models::{ModelMap, Pattern};
use relay_core::provider::Provider;
use relay_core::request::{ModelName, Timeouts};
use relay_core::snapshot::{Limits, Routing, Snapshot, Target, TargetId, Triggers};
use relay_core::station::Station;
use relay_core::strategy::{Kind, ModelRule};
use relay_providers::compatible::{Compatible, ROWS};
use relay_proxy::{
    self as proxy, Connector, ConnectorOptions, ExhibitOptions, Probing, ProxyChoice,
};

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
    for provider in plan.providers.iter().filter(|provider| provider.enabled) {
        let base = base_url(provider)?;
        let keys = keys(provider, &plan.routing);
        let station = Station::new(keys, options);
        targets.push(Arc::new(target(provider, &base, plan, station)));
        connectors.push(Arc::new(connector(provider, &base)?));
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

fn base_url(provider: &ProviderPlan) -> anyhow::Result<Uri> {
    provider
        .base_url
        .parse()
        .with_context(|| format!("base_url of {}", provider.name))
}

fn target(provider: &ProviderPlan, base: &Uri, plan: &Plan, station: Arc<Station>) -> Target {
    Target {
        id: TargetId::new(provider.name.as_str()),
        provider: dialect(provider, base),
        vendor: provider.vendor.as_str().into(),
        priority: provider.priority,
        weight: provider.weight,
        models: provider.models.iter().map(|it| Pattern::new(it)).collect(),
        model_mapping: model_map(&provider.model_mapping),
        max_body_bytes: provider
            .max_body_bytes
            .unwrap_or(plan.server.max_body_bytes),
        accepts_client_credential: provider.accepts_client_credential,
        station,
    }
}

fn model_map(pairs: &[(String, String)]) -> ModelMap {
    let pair = |(from, to): &(String, String)| (Pattern::new(from), ModelName::new(to.as_str()));
    ModelMap::new(pairs.iter().map(pair))
}

fn keys(provider: &ProviderPlan, routing: &RoutingPlan) -> Arc<KeyPool> {
    let spec = |key: &KeyPlan| KeySpec {
        id: key.secret.id(),
        name: key.name.as_str().into(),
        credential: UpstreamCredential::Relay(key.secret.clone()),
        weight: key.weight,
        priority: key.priority,
        limits: KeyLimits {
            rpm: key.limits.rpm,
            tpm: key.limits.tpm,
            itpm: key.limits.itpm,
            otpm: key.limits.otpm,
        },
    };
    let used = if provider.pooling.enabled {
        provider.keys.len()
    } else {
        1
    };
    let specs = provider.keys.iter().take(used).map(spec).collect();
    let selection = match provider.pooling.strategy {
        Some(SelectionPlan::Weighted) => Selection::Weighted,
        Some(SelectionPlan::RoundRobin) => Selection::RoundRobin,
        Some(SelectionPlan::Random) => Selection::Random,
        Some(SelectionPlan::LeastLoaded) => Selection::LeastLoaded,
        // Where sessions are kept, their hash places them; what has no session goes where there is
        // most room.
        None if routing.affinity.mode == AffinityMode::Off => Selection::LeastLoaded,
        None => Selection::Placed,
    };
    KeyPool::new(specs, selection)
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

fn dialect(provider: &ProviderPlan, base: &Uri) -> Box<dyn Provider> {
    match provider.kind {
        ProviderKind::Anthropic => Box::new(Compatible::of(&ROWS[0], base.path())),
    }
}

fn connector(provider: &ProviderPlan, base: &Uri) -> anyhow::Result<Connector> {
    let authority = base
        .authority()
        .ok_or_else(|| anyhow!("base_url without a host"))?
        .clone();
    let options = ConnectorOptions {
        tls: base.scheme_str() == Some("https"),
        authority,
        ca_file: provider.ca_file.clone(),
        proxy: match &provider.proxy {
            ProxyPlan::FromEnvironment => ProxyChoice::FromEnvironment,
            ProxyPlan::None => ProxyChoice::None,
            ProxyPlan::Url(url) => ProxyChoice::Url(url.as_str().into()),
        },
        http_version: match provider.http_version {
            HttpVersion::Auto => proxy::HttpVersion::Auto,
            HttpVersion::Http1 => proxy::HttpVersion::Http1,
            HttpVersion::Http2 => proxy::HttpVersion::Http2,
        },
        connect_timeout: provider.connect_timeout,
        prewarm: provider.prewarm,
        max_idle: provider.max_idle_connections,
        idle_timeout: provider.idle_timeout,
    };
    Connector::new(options).with_context(|| format!("provider {}", provider.name))
}
