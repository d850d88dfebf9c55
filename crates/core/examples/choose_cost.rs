//! Prints what choosing a target and a key costs.
//!
//! `cargo run --release -p relay-core --example choose_cost`
#![expect(clippy::print_stdout, reason = "an example prints")]
#![expect(clippy::disallowed_methods, reason = "an example measures time")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use relay_core::affinity::key::{PrefixKey, SessionKey};
use relay_core::board::Board;
use relay_core::breaker::BreakerOptions;
use relay_core::credential::{Admission, AuthPolicy, OwnCredential, UpstreamCredential};
use relay_core::error::RelayError;
use relay_core::journey::{Errand, Journey, Step};
use relay_core::keys::{Ask, KeyLimits, KeyPool, KeySpec, ModelClass, Parked, Selection};
use relay_core::models::ModelMap;
use relay_core::moment::Moment;
use relay_core::price::Seller;
use relay_core::provider::{Changes, Encoded, Provider};
use relay_core::request::{Endpoint, Inbound, ModelName, Timeouts};
use relay_core::secret::Secret;
use relay_core::snapshot::{Limits, Origin, Routing, Snapshot, Target, TargetId, Triggers};
use relay_core::station::Station;
use relay_core::strategy::Kind;

const MODEL: &str = "claude-opus-5-5";

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

fn specs(count: usize) -> Vec<KeySpec> {
    let limits = KeyLimits {
        rpm: Some(1_000_000),
        tpm: None,
        itpm: Some(u64::MAX / 2),
        otpm: Some(u64::MAX / 2),
    };
    let spec = |number: usize| {
        let secret = Secret::new(format!("sk-not-a-real-key-{number}"));
        KeySpec {
            id: secret.id(),
            name: format!("key-{number}").into(),
            credential: UpstreamCredential::Relay(secret),
            weight: 1,
            priority: 0,
            limits,
        }
    };
    (0..count).map(spec).collect()
}

/// The best of many rounds, in nanoseconds.
fn measure(name: &str, rounds: u64, mut work: impl FnMut(u64)) {
    let mut best = f64::MAX;
    for round in 0..rounds {
        let start = Instant::now();
        for step in 0..20 {
            work(round * 20 + step);
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / 20.0);
    }
    println!("{name:<64} {best:>10.0} ns");
}

fn target(number: usize) -> Arc<Target> {
    let options = BreakerOptions {
        failure_threshold: 5,
        failure_rate_percent: 50,
        window: Duration::from_secs(10),
        min_requests: 20,
        open_duration: Duration::from_secs(30),
        half_open_probes: 1,
    };
    Arc::new(Target {
        id: TargetId::new(format!("target-{number}")),
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
        station: Station::new(KeyPool::new(specs(64), Selection::Placed), options),
    })
}

fn snapshot(kind: Kind) -> Arc<Snapshot> {
    let triggers = Triggers {
        rate_limited: true,
        overloaded: true,
        server_error: true,
        timeout: true,
        connection: true,
        auth: true,
        model_not_found: true,
    };
    Arc::new(Snapshot {
        auth: AuthPolicy::default(),
        targets: (0..8).map(target).collect(),
        routing: Routing {
            kind,
            strategy: kind.build(Vec::new(), None),
            model_mapping: ModelMap::default(),
            max_attempts: 3,
            race: 1,
            retry_budget_percent: 20,
            failover_timeout: None,
            commit_hold: Duration::ZERO,
            triggers,
            max_wait: Duration::ZERO,
            spill: false,
            strip_foreign_thinking: true,
            keep_model_alias: false,
            model_lists: false,
            debug: false,
            default_target: None,
            affinity: true,
        },
        limits: Limits {
            max_body_bytes: usize::MAX,
            max_passthrough_bytes: u64::MAX,
            kept_body_bytes: 0,
            max_concurrent: usize::MAX,
        },
        timeouts: Timeouts {
            stream_first_byte: Duration::MAX,
            first_byte: Duration::MAX,
            gap: Duration::MAX,
            body_read: Duration::MAX,
        },
        digest: "example".into(),
    })
}

fn of_journeys() {
    println!("plan, next and give back: 8 targets with 64 keys each");
    for kind in Kind::ALL {
        let snapshot = snapshot(kind);
        let Ok(board) = Board::new(10_000, 100).map(Arc::new) else {
            return;
        };
        let errand = Errand {
            endpoint: Endpoint::Messages,
            model: ModelName::new(MODEL),
            session: Some(SessionKey(0)),
            prefix: Some(PrefixKey(1)),
            body_bytes: 100_000,
            countable_bytes: 100_000,
            max_tokens: Some(32_000),
            admission: Admission {
                client: None,
                own: OwnCredential::default(),
                may_use_relay_keys: true,
            },
            arrived: Moment::START,
            arrived_unix: Duration::ZERO,
        };
        measure(kind.name(), 500, |step| {
            let now = Moment::after_start(Duration::from_millis(step));
            let errand = Errand {
                session: Some(SessionKey(step % 100)),
                ..errand.clone()
            };
            let (snapshot, board) = (Arc::clone(&snapshot), Arc::clone(&board));
            if let Ok(mut journey) = Journey::plan(snapshot, board, errand, now, step)
                && let Step::Go(leg) = journey.next(now, step)
            {
                leg.receipt.never_sent(now);
            }
        });
    }
}

fn of_pools() {
    let selections = [
        Selection::Placed,
        Selection::LeastLoaded,
        Selection::Weighted,
        Selection::RoundRobin,
        Selection::Random,
    ];
    println!("lease and give back, by free keys; and the refusal of a pool that is spent");
    for count in [1, 64, 1_000, 10_000] {
        for selection in selections {
            let specs = specs(count);
            let pool = KeyPool::new(specs.clone(), selection);
            let lease = |step: u64| {
                let now = Moment::after_start(Duration::from_millis(step));
                if let Ok(lease) = pool.lease(&ask(1_000, step), now, step) {
                    lease.cancel(now);
                }
            };
            measure(&format!("{count} keys, {selection:?}"), 100, lease);
            // All but one are left alone: the hardest to find.
            let hour = Moment::after_start(Duration::from_hours(1));
            for spec in specs.iter().skip(1) {
                pool.park(spec.id, Parked::Key("invalid_key"), hour);
            }
            measure(
                &format!("{count} keys, {selection:?}, one is free"),
                20,
                lease,
            );
            if let Some(spec) = specs.first() {
                pool.park(spec.id, Parked::Key("invalid_key"), hour);
            }
            let refused = |step| {
                let now = Moment::START;
                black_box(pool.lease(&ask(1_000, step), now, step).is_err());
            };
            measure(
                &format!("{count} keys, {selection:?}, none is"),
                20,
                refused,
            );
        }
    }
}

/// Keys of 100,000 input tokens a minute.
fn small_keys(count: usize) -> Vec<KeySpec> {
    let limits = KeyLimits {
        itpm: Some(100_000),
        ..KeyLimits::default()
    };
    let keys = specs(count).into_iter();
    keys.map(|spec| KeySpec { limits, ..spec }).collect()
}

fn ask(input_tokens: u64, step: u64) -> Ask<'static> {
    Ask {
        class: ModelClass::of(MODEL),
        input_tokens,
        cached_tokens: 0,
        output_tokens: 100,
        home: None,
        guest: None,
        place: Some(relay_core::chance::mix(step)),
        without: &[],
        anyway: false,
    }
}

/// The refusals that are hardest to find.
fn of_refusals() {
    println!("refusals where each key has a little less left than is asked");
    for count in [64, 1_000, 10_000] {
        let specs = small_keys(count);
        let home = specs.first().map(|spec| spec.id);
        let pool = KeyPool::new(specs, Selection::Placed);
        let lease = |step| pool.lease(&ask(95_000, step), Moment::START, step).ok();
        let held: Vec<_> = (0..).map_while(lease).collect();
        measure(&format!("{count} keys"), 20, |step| {
            black_box(pool.lease(&ask(8_000, step), Moment::START, step).is_err());
        });
        let name = format!("{count} keys, the prompt nearly cached at a spent home");
        measure(&name, 20, |step| {
            let ask = Ask {
                cached_tokens: 94_000,
                home,
                ..ask(100_000, step)
            };
            black_box(pool.lease(&ask, Moment::START, step).is_err());
        });
        drop(held);
    }
}

/// Keys that turn out to be of one organisation, one by one.
fn of_learning() {
    println!("lease and first answer: the mean of all keys");
    let mut headers = http::HeaderMap::new();
    let organisation = http::HeaderValue::from_static("one");
    headers.insert("anthropic-organization-id", organisation);
    for count in [64_u32, 1_000, 10_000] {
        let pool = KeyPool::new(small_keys(count as usize), Selection::Placed);
        let start = Instant::now();
        let lease = |step| {
            let mut lease = pool.lease(&ask(95_000, step), Moment::START, step).ok()?;
            lease.answered(&headers, 200, Moment::START, Duration::ZERO);
            Some(lease)
        };
        let held: Vec<_> = (0..u64::from(count)).map_while(lease).collect();
        let mean = start.elapsed().as_secs_f64() * 1e9 / f64::from(count);
        println!("{:<64} {mean:>10.0} ns", format!("{count} keys"));
        drop(held);
    }
}

fn main() {
    of_journeys();
    of_pools();
    of_refusals();
    of_learning();
}
