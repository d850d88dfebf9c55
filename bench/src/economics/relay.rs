//! The relay that is judged: its snapshot and memory, as a config file would set them.
//!
//! In: how keys are arranged and chosen. Out: what a `Journey` starts from. Must never decide
//! anything itself.
use std::{sync::Arc, time::Duration};

use anyhow::Result;
use relay_core::{
    board::Board,
    breaker::BreakerOptions,
    credential::{Admission, AuthPolicy, OwnCredential, UpstreamCredential},
    error::RelayError,
    keys::{KeyLimits, KeyPool, KeySpec, Selection},
    models::ModelMap,
    price::Seller,
    provider::{Changes, Encoded, Provider},
    request::{Inbound, Timeouts},
    secret::{KeyId, Secret},
    snapshot::{Limits, Origin, Routing, Snapshot, Target, TargetId, Triggers},
    station::Station,
    strategy::Kind,
};

/// How keys are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One upstream with all keys, chosen so.
    Pool(Selection),
    /// An upstream for each key, chosen so.
    Upstreams(Kind),
}

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) shape: Shape,
    pub(crate) keys: usize,
    pub(crate) affinity: bool,
    /// `routing.max_wait_ms`.
    pub(crate) max_wait: Duration,
}

/// A relay.
pub(crate) struct Relay {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) board: Arc<Board>,
    /// The keys by number.
    pub(crate) keys: Vec<KeyId>,
}

/// Nothing goes over a wire here.
#[derive(Debug)]
struct Silent;

impl Provider for Silent {
    fn encode(
        &self,
        _request: Inbound,
        _credential: &UpstreamCredential,
        _changes: &Changes<'_>,
    ) -> Result<Encoded, RelayError> {
        Err(RelayError::Internal("nothing is sent here"))
    }
}

/// Says who asks: a client without a credential of its own.
pub(crate) fn admission() -> Admission {
    Admission {
        client: None,
        own: OwnCredential::default(),
        may_use_relay_keys: true,
    }
}

impl Relay {
    /// Starts without memory.
    pub(crate) fn new(setup: &Setup) -> Result<Self> {
        let spec = |number: usize| {
            let secret = Secret::new(format!("sk-not-a-real-key-{number}"));
            KeySpec {
                id: secret.id(),
                name: format!("key-{number}").into(),
                credential: UpstreamCredential::Relay(secret),
                weight: 1,
                priority: 0,
                limits: KeyLimits::default(),
            }
        };
        let specs: Vec<KeySpec> = (0..setup.keys).map(spec).collect();
        let keys = specs.iter().map(|spec| spec.id).collect();
        let (kind, targets) = match setup.shape {
            Shape::Pool(selection) => {
                let pool = KeyPool::new(specs, selection);
                (Kind::Failover, vec![target("anthropic", pool)])
            }
            Shape::Upstreams(kind) => {
                let one = |spec: KeySpec| {
                    let name = Arc::clone(&spec.name);
                    target(&name, KeyPool::new(vec![spec], Selection::Placed))
                };
                (kind, specs.into_iter().map(one).collect())
            }
        };
        Ok(Self {
            snapshot: Arc::new(Snapshot {
                auth: AuthPolicy::default(),
                targets,
                routing: routing(setup, kind),
                limits: Limits {
                    max_body_bytes: usize::MAX,
                    max_passthrough_bytes: u64::MAX,
                    max_concurrent: usize::MAX,
                    kept_body_bytes: 0,
                },
                timeouts: Timeouts {
                    stream_first_byte: Duration::MAX,
                    first_byte: Duration::MAX,
                    gap: Duration::MAX,
                    body_read: Duration::MAX,
                },
                digest: "bench".into(),
            }),
            board: Arc::new(Board::new(100_000, 10_000)?),
            keys,
        })
    }
}

/// The rest is as a config file that says nothing about it.
fn routing(setup: &Setup, kind: Kind) -> Routing {
    Routing {
        kind,
        strategy: kind.build(Vec::new(), None),
        model_mapping: ModelMap::default(),
        max_attempts: 3,
        race: 1,
        retry_budget_percent: 20,
        failover_timeout: None,
        commit_hold: Duration::ZERO,
        triggers: Triggers {
            rate_limited: true,
            overloaded: true,
            server_error: true,
            timeout: true,
            connection: true,
            auth: true,
            model_not_found: true,
        },
        max_wait: setup.max_wait,
        spill: false,
        strip_foreign_thinking: false,
        keep_model_alias: false,
        model_lists: false,
        debug: false,
        default_target: None,
        affinity: setup.affinity,
    }
}

fn target(name: &str, keys: Arc<KeyPool>) -> Arc<Target> {
    let options = BreakerOptions {
        failure_threshold: 5,
        failure_rate_percent: 50,
        window: Duration::from_secs(10),
        min_requests: 20,
        open_duration: Duration::from_secs(30),
        half_open_probes: 1,
    };
    Arc::new(Target {
        id: TargetId::new(name),
        provider: Box::new(Silent),
        vendor: "anthropic".into(),
        seller: Arc::new(Seller::at_list_price("anthropic")),
        origin: Arc::new(Origin {
            vendor: "anthropic",
            host: "127.0.0.1".into(),
            port: 443,
        }),
        priority: 0,
        weight: 1,
        models: Vec::new(),
        knows: None,
        behind: None,
        model_mapping: ModelMap::default(),
        max_body_bytes: usize::MAX,
        accepts_client_credential: false,
        station: Station::new(keys, options),
    })
}
