//! What is counted for Prometheus: from records to the page that it reads.
//!
//! In: records, on the requests' path; questions over HTTP, on a thread that no request runs on.
//! Out: the page. It must never answer anything else than its one path.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use relay_config::MetricsPlan;
use relay_core::record::{Bodies, RequestRecord};
use relay_metrics::{Metrics, Scene, render};
use relay_proxy::{RecordSink, Witness, clock};
use relay_traces::TracesState;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::serve::VERSION;

/// Connections at once; one more waits.
const MOST_CONNECTIONS: usize = 16;

/// How long a question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Counts records.
#[derive(Debug)]
pub struct Counted(pub Arc<Metrics>);

impl RecordSink for Counted {
    fn record(&self, record: &Arc<RequestRecord>, _: Option<&Bodies>) {
        self.0.record(record);
    }
}

/// Everything that the page tells of.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "a snapshot holds secrets")]
pub struct Page {
    /// What was counted.
    pub metrics: Arc<Metrics>,
    /// Who knows the state of the relay.
    pub witness: Witness,
    /// Lines that the log had no room for.
    pub log_dropped: Arc<AtomicU64>,
    /// What became of traces, where they are sent.
    pub traces: Option<Arc<TracesState>>,
}

impl Page {
    fn text(&self) -> Option<String> {
        let witness = &self.witness;
        let (counters, board) = (witness.counters(), witness.board());
        let last = witness.reloads().last();
        let scene = Scene {
            snapshot: Arc::clone(&witness.settings().snapshot),
            now: witness.now(),
            live: counters.live.load(Ordering::Relaxed),
            connections: counters.connections.load(Ordering::Relaxed),
            sessions: board.affinity.len(),
            waiting: board.waiting.len(),
            budgets: board.spend.standings(clock::unix()),
            reloads: witness.reloads().counts(),
            reloaded_at: last.accepted_at,
            reload_refused: last.refused.is_some(),
            log_dropped: self.log_dropped.load(Ordering::Relaxed),
            traces: self.traces.as_ref().map(|traces| {
                let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
                (count(&traces.sent), count(&traces.dropped))
            }),
            version: VERSION,
        };
        render(&self.metrics, scene).ok()
    }

    fn answer(&self, path: &str, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let plain = |status: StatusCode, text: &'static str| {
            let mut response = Response::new(Full::from(text));
            *response.status_mut() = status;
            response
        };
        if request.uri().path() != path {
            return plain(StatusCode::NOT_FOUND, "not here\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only to be read\n");
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allowed);
            return response;
        }
        let Some(text) = self.text() else {
            return plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the page cannot be written\n",
            );
        };
        let mut response = Response::new(Full::from(text));
        let kind = HeaderValue::from_static(relay_metrics::CONTENT_TYPE);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}

/// Takes the address where the page is served.
///
/// # Errors
/// If it cannot be listened on.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves the page. Ends only when it is dropped.
pub async fn serve(page: Page, plan: MetricsPlan, listener: TcpListener) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return warn!(%error, "the page of metrics cannot be served"),
    };
    let path: Arc<str> = plan.endpoint.into();
    let tasks = TaskTracker::new();
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(seat) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                debug!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (page, path) = (page.clone(), Arc::clone(&path));
        tasks.spawn(async move {
            let answer = service_fn(move |request: Request<Incoming>| {
                let response = page.answer(&path, &request);
                async move { Ok::<_, Infallible>(response) }
            });
            let mut builder = http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE);
            let served = builder.serve_connection(TokioIo::new(stream), answer);
            if let Err(error) = served.await {
                debug!(%error, "a reader of metrics left");
            }
            drop(seat);
        });
    }
}
