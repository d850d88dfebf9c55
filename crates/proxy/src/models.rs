//! The list of models: answered here where there is more than one upstream, or one without a list.
//!
//! In: what upstreams list, asked for in the background, and the request. Out: a page of the union.
//! It must never ask an upstream while a client waits. A single upstream that has a list answers
//! for itself, with the client's own credential.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use relay_core::catalog::Page;
use relay_core::error::RelayError;
use relay_core::provider::Changes;
use relay_core::request::{Endpoint, Facts, Inbound};
use relay_core::snapshot::{Snapshot, Target};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::debug;

use crate::body::{RequestBody, ResponseBody};
use crate::pool::Pool;
use crate::worker::Worker;

/// How often upstreams are asked for their lists.
const REFRESH: Duration = Duration::from_hours(1);

/// How often those are that gave none.
const RETRY: Duration = Duration::from_mins(5);

/// How long an upstream may take for its list.
const PATIENCE: Duration = Duration::from_secs(15);

/// The longest list that is read, in bytes.
const LONGEST: usize = 4 << 20;

/// What upstreams are asked for: all of it.
const QUESTION: &str = "/v1/models?limit=1000";

/// Tells whether the relay answers, and not its only upstream.
pub(crate) fn answers(snapshot: &Snapshot) -> bool {
    match snapshot.targets.as_slice() {
        [only] => !only.provider.has(Endpoint::Models),
        _ => true,
    }
}

/// Answers a request for the list, or for one model.
pub(crate) fn answer(
    worker: &Worker,
    snapshot: &Snapshot,
    path_and_query: &str,
) -> Result<Response<ResponseBody>, RelayError> {
    let board = &worker.shared.board;
    let (path, query) = path_and_query
        .split_once('?')
        .unwrap_or((path_and_query, ""));
    let body = if let Some(id) = path.strip_prefix("/v1/models/") {
        let found = board.catalog.find(snapshot, &board.prices(), id);
        found.ok_or_else(|| RelayError::UnknownModel(id.into()))?
    } else {
        let page = Page::read(query).map_err(RelayError::BadQuery)?;
        board.catalog.page(snapshot, &board.prices(), &page)
    };
    Ok(json(&body))
}

fn json(body: &Value) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Own(body.to_string().into()));
    *response.status_mut() = StatusCode::OK;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Asks upstreams for their lists: at the start, with each change of the settings, and now and then.
/// Ends only when it is dropped.
pub(crate) async fn refresh(worker: Arc<Worker>, mut changed: watch::Receiver<()>) {
    loop {
        let view = worker.view();
        let snapshot = view.snapshot();
        let catalog = &worker.shared.board.catalog;
        catalog.retain(snapshot);
        let mut missing = false;
        if snapshot.routing.model_lists && answers(snapshot) {
            for (target, pool) in snapshot.targets.iter().zip(&view.pools) {
                if !target.provider.has(Endpoint::Models) {
                    continue;
                }
                let list = timeout(PATIENCE, ask(target, pool)).await.ok().flatten();
                let kept = list.is_some_and(|list| catalog.keep(&target.id, &list));
                debug!(target_id = %target.id, kept, "asked for its models");
                missing |= !kept;
            }
        }
        drop(view);
        let wait = if missing { RETRY } else { REFRESH };
        if let Ok(Err(_closed)) = timeout(wait, changed.changed()).await {
            return std::future::pending().await;
        }
    }
}

/// Asks one upstream, with the first of the relay's keys for it.
async fn ask(target: &Target, pool: &Arc<Pool>) -> Option<bytes::Bytes> {
    let (credential, _) = target.station.keys.first()?;
    let credential = credential.in_force()?;
    let head = Request::get(QUESTION)
        .header("anthropic-version", "2023-06-01")
        .header(header::ACCEPT, "application/json")
        .header(
            header::USER_AGENT,
            concat!("cc-relay/", env!("CARGO_PKG_VERSION")),
        );
    let (head, ()) = head.body(()).ok()?.into_parts();
    let inbound = Inbound {
        head,
        endpoint: Endpoint::Models,
        path_and_query: QUESTION.into(),
        body: bytes::Bytes::new(),
        facts: Facts::default(),
    };
    let provider = &target.provider;
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
    let sent = pool.send(request).await.ok()?;
    if sent.response.status() != StatusCode::OK {
        return None;
    }
    let body = Limited::new(sent.response.into_body(), LONGEST);
    let body = body.collect().await.ok()?.to_bytes();
    sent.lease.finish();
    Some(body)
}
