//! Free questions to upstreams that are in trouble, so that they are found again without a request
//! having to fail.
//!
//! In: the snapshot. Out: breakers that open early, keys that serve again. It must never ask
//! anything that is paid for, nor an upstream that takes requests: these tell more.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, StatusCode, header};
use relay_core::breaker::{BreakerState, Verdict};
use relay_core::chance::fraction;
use relay_core::credential::{OwnCredential, UpstreamCredential};
use relay_core::provider::Changes;
use relay_core::request::{Endpoint, Facts, Inbound};
use relay_core::snapshot::Target;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::body::RequestBody;
use crate::pool::Pool;
use crate::worker::Worker;

/// How upstreams are asked.
#[derive(Debug, Clone, Copy)]
pub struct Probing {
    /// From one question to the next.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// How far the interval is spread, to either side.
const JITTER: f64 = 0.1;

/// Asks again and again. Ends only when it is dropped.
pub(crate) async fn probe(worker: Arc<Worker>, mut changed: watch::Receiver<()>) {
    loop {
        let Some(probing) = worker.view().settings.probing else {
            if changed.changed().await.is_err() {
                return std::future::pending().await;
            }
            continue;
        };
        let spread = 1.0 - JITTER + 2.0 * JITTER * fraction(worker.shared.clock.seed());
        let wait = Duration::try_from_secs_f64(probing.interval.as_secs_f64() * spread);
        sleep(wait.unwrap_or(probing.interval)).await;
        let view = worker.view();
        for (target, pool) in view.snapshot().targets.iter().zip(&view.pools) {
            ask(&worker, target, pool, probing.timeout).await;
        }
    }
}

/// Asks one target, if it is in trouble: once for its breaker, and once for each of its keys that
/// is left alone.
async fn ask(worker: &Worker, target: &Target, pool: &Arc<Pool>, patience: Duration) {
    if target.provider.probe().is_none() {
        // Nothing there is free: the requests themselves find out.
        return;
    }
    let clock = &worker.shared.clock;
    let station = &target.station;
    for (id, credential) in station.keys.parked(clock.now()) {
        let status = question(target, pool, &credential, patience).await;
        debug!(target_id = %target.id, key_id = %id, ?status, "asked with a key that was left alone");
        let works = status.is_some_and(|status| status.is_success());
        station.probes.count(works);
        if works {
            station.keys.unpark(id);
            worker.shared.board.waiting.notify(clock.now());
        }
    }
    if !matches!(
        station.breaker.state(clock.now()),
        BreakerState::Open { .. }
    ) {
        return;
    }
    let credential = match station.keys.first() {
        Some((credential, _)) => credential,
        None => UpstreamCredential::Client(OwnCredential::default()),
    };
    let status = question(target, pool, &credential, patience).await;
    debug!(target_id = %target.id, ?status, "asked a target whose breaker is open");
    // Whatever it says of the credential: it answers.
    let answers = status.is_some_and(|status| !status.is_server_error());
    station.probes.count(answers);
    let verdict = if answers {
        Verdict::Success
    } else {
        Verdict::Failure
    };
    station.breaker.probed(verdict, clock.now(), clock.seed());
}

/// Asks, and returns the status of the answer, if one came in time.
async fn question(
    target: &Target,
    pool: &Arc<Pool>,
    credential: &UpstreamCredential,
    patience: Duration,
) -> Option<StatusCode> {
    let question = target.provider.probe()?;
    let head = Request::get(question)
        .header("anthropic-version", "2023-06-01")
        .header(header::ACCEPT, "application/json")
        .header(
            header::USER_AGENT,
            concat!("cc-relay/", env!("CARGO_PKG_VERSION")),
        )
        .body(());
    let (head, ()) = head.ok()?.into_parts();
    let inbound = Inbound {
        head,
        endpoint: Endpoint::Models,
        path_and_query: question.into(),
        body: bytes::Bytes::new(),
        facts: Facts::default(),
    };
    let provider = &target.provider;
    let credential = credential.in_force()?;
    let mut encoded = provider
        .encode(inbound, &credential, &Changes::default())
        .ok()?;
    provider
        .sign(&mut encoded, &credential, crate::clock::unix())
        .ok()?;
    let mut request = Request::new(RequestBody::Whole(encoded.body.into()));
    *request.method_mut() = Method::GET;
    *request.uri_mut() = encoded.path_and_query.parse().ok()?;
    *request.headers_mut() = encoded.headers;
    match timeout(patience, pool.send(request)).await {
        Ok(Ok(sent)) => Some(sent.response.status()),
        Ok(Err(error)) => {
            debug!(%error, "no answer");
            None
        }
        Err(_) => None,
    }
}
