//! Traces of requests, sent by OTLP to a collector of OpenTelemetry.
//!
//! In: records of ended requests, behind the path of requests. Out: their spans, in batches. It must
//! never make a request wait, nor tell a prompt or a credential: the queue is bounded, what does not
//! fit is dropped and counted, and a collector that is away is said in the log once a minute at most.

mod export;
mod span;
mod wire;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use http::{HeaderMap, Uri};
use relay_core::record::RequestRecord;
use relay_core::trace::Trace;
use rustls::ClientConfig;
use tokio::sync::{mpsc, watch};

use export::Exporter;
use worker::Worker;

/// Records that wait to be sent at most.
const QUEUE: usize = 2048;

/// What keeps traces from being sent at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TracesError {
    /// The thread or its runtime cannot be made.
    #[error("cannot make the thread of the traces")]
    Thread(#[source] std::io::Error),
    /// The collector's address cannot be used.
    #[error("the collector's address cannot be used")]
    Endpoint(#[source] http::Error),
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP, as protobuf.
    Http,
}

/// Who gets the traces.
#[derive(Debug, Clone)]
pub struct TracesOptions {
    /// The collector.
    pub endpoint: Uri,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Whom it is trusted by, over https.
    pub tls: ClientConfig,
    /// What it wants to be told besides. Values that are secret are marked so.
    pub headers: HeaderMap,
    /// The name under which the relay is shown.
    pub service_name: String,
    /// The version of the relay.
    pub version: &'static str,
}

/// What became of the requests whose spans were to be sent.
#[derive(Debug, Default)]
pub struct TracesState {
    /// Requests whose spans the collector has.
    pub sent: AtomicU64,
    /// Requests whose spans were dropped.
    pub dropped: AtomicU64,
}

/// Where records come in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inlet {
    queue: mpsc::Sender<Arc<RequestRecord>>,
    state: Arc<TracesState>,
}

impl Inlet {
    /// Takes a record that belongs to a trace, or drops and counts it where too many wait.
    pub fn take(&self, record: &Arc<RequestRecord>) {
        if !record.trace.as_ref().is_some_and(Trace::is_recorded) {
            return;
        }
        if self.queue.try_send(Arc::clone(record)).is_err() {
            self.state.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Traces that are being sent. Dropped, it sends what it has, for two seconds at most, and ends.
#[derive(Debug)]
pub struct Traces {
    inlet: Inlet,
    end: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Traces {
    /// Begins to send. Whether the collector is there shows with the first batch.
    ///
    /// # Errors
    /// [`TracesError`] says what keeps it from that.
    pub fn start(options: &TracesOptions) -> Result<Self, TracesError> {
        let exporter = Exporter::new(options)?;
        let state = Arc::new(TracesState::default());
        let (queue, records) = mpsc::channel(QUEUE);
        let (end, ended) = watch::channel(());
        let worker = Worker::new(exporter, options, Arc::clone(&state), ended);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(TracesError::Thread)?;
        let run = move || {
            runtime.block_on(worker.run(records));
            // A name lookup that hangs is not waited for.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("traces".to_owned());
        let thread = thread.spawn(run).map_err(TracesError::Thread)?;
        Ok(Self {
            inlet: Inlet { queue, state },
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// Returns where records go in.
    pub fn inlet(&self) -> Inlet {
        self.inlet.clone()
    }

    /// Returns what became of the records.
    pub fn state(&self) -> Arc<TracesState> {
        Arc::clone(&self.inlet.state)
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        // Closed, it says the end.
        drop(self.end.take());
        let thread = self.thread.take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::warn!("the thread of the traces panicked");
        }
    }
}

#[cfg(test)]
mod tests;
