//! Gathers records and sends them in batches, on a thread of its own.
//!
//! In: records from a bounded queue. Out: requests to the collector, one at a time. A batch that the
//! collector does not take for a while is tried again for a minute and then dropped; meanwhile the
//! queue fills, and what does not fit is dropped where it comes in.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use relay_core::record::RequestRecord;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::export::{Exporter, Refused};
use crate::span::{Attributes, spans};
use crate::wire::{ExportRequest, KeyValue, Resource, ResourceSpans, Scope, ScopeSpans};
use crate::{TracesOptions, TracesState};

/// Records of a batch at most.
const BATCH: usize = 256;

/// How long records may gather.
const GATHER: Duration = Duration::from_secs(1);

/// How long a batch is tried again.
const TRY_FOR: Duration = Duration::from_mins(1);

/// The first wait before it is, doubled each time.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the last batches may take when the relay stops.
const LAST: Duration = Duration::from_secs(2);

/// The least time between two complaints about the collector.
const QUIET: Duration = Duration::from_mins(1);

pub(crate) struct Worker {
    exporter: Exporter,
    state: Arc<TracesState>,
    resource: Vec<KeyValue>,
    version: &'static str,
    batch: Vec<Arc<RequestRecord>>,
    complained: Option<Instant>,
    /// Whether the last batch was not taken.
    failing: bool,
    /// Closed when the relay stops.
    end: watch::Receiver<()>,
    ending: bool,
}

/// Waits for the end.
async fn over(end: &mut watch::Receiver<()>) {
    while end.changed().await.is_ok() {}
}

impl Worker {
    pub(crate) fn new(
        exporter: Exporter,
        options: &TracesOptions,
        state: Arc<TracesState>,
        end: watch::Receiver<()>,
    ) -> Self {
        let mut resource = Attributes::default();
        resource.text("service.name", &options.service_name);
        resource.text("service.version", options.version);
        Self {
            exporter,
            state,
            resource: resource.0,
            version: options.version,
            batch: Vec::new(),
            complained: None,
            failing: false,
            end,
            ending: false,
        }
    }

    /// Works until the end is said, then sends what is left, as far as there is time.
    pub(crate) async fn run(mut self, mut records: mpsc::Receiver<Arc<RequestRecord>>) {
        let mut end = self.end.clone();
        let too_late = async {
            over(&mut end).await;
            sleep(LAST).await;
        };
        tokio::select! {
            () = self.work(&mut records) => return,
            () = too_late => {}
        }
        let left = self.batch.len().saturating_add(records.len());
        self.drop_all(left);
        warn!(
            requests = left,
            "traces: dropped at the end, as the collector does not take them"
        );
    }

    async fn work(&mut self, records: &mut mpsc::Receiver<Arc<RequestRecord>>) {
        while self.gather(records).await {
            self.deliver().await;
        }
        records.close();
        loop {
            while self.batch.len() < BATCH
                && let Ok(record) = records.try_recv()
            {
                self.batch.push(record);
            }
            if self.batch.is_empty() {
                return;
            }
            self.deliver().await;
        }
    }

    /// Fills a batch; tells whether there will be more.
    async fn gather(&mut self, records: &mut mpsc::Receiver<Arc<RequestRecord>>) -> bool {
        if self.ending {
            return false;
        }
        tokio::select! {
            record = records.recv() => match record {
                Some(record) => self.batch.push(record),
                None => return false,
            },
            () = over(&mut self.end) => {
                self.ending = true;
                return false;
            }
        }
        let mut gathered = std::pin::pin!(sleep(GATHER));
        while self.batch.len() < BATCH && !self.ending {
            tokio::select! {
                record = records.recv() => match record {
                    Some(record) => self.batch.push(record),
                    None => return true,
                },
                () = over(&mut self.end) => self.ending = true,
                () = &mut gathered => return true,
            }
        }
        true
    }

    /// Sends the batch until it is taken, or given up.
    async fn deliver(&mut self) {
        let message = self.message();
        let (began, mut pause) = (Instant::now(), PAUSE);
        loop {
            match self.exporter.send(&message).await {
                Ok(rejected) => return self.taken(rejected),
                Err(refused) => {
                    let again = refused.is_passing && began.elapsed() < TRY_FOR;
                    self.complain(&refused);
                    if !again {
                        return self.drop_all(self.batch.len());
                    }
                }
            }
            self.pause(pause).await;
            pause = pause.saturating_mul(2);
        }
    }

    /// Waits before a batch is tried again; the end cuts it short once.
    async fn pause(&mut self, pause: Duration) {
        if self.ending {
            sleep(LAST / 4).await;
        } else {
            self.ending = timeout(pause, over(&mut self.end)).await.is_ok();
        }
    }

    fn taken(&mut self, rejected: Option<Box<str>>) {
        let count = u64::try_from(self.batch.len()).unwrap_or(u64::MAX);
        self.state.sent.fetch_add(count, Ordering::Relaxed);
        self.batch.clear();
        if let Some(why) = rejected {
            let is_passing = false;
            return self.complain(&Refused { why, is_passing });
        }
        if std::mem::take(&mut self.failing) {
            info!("traces: the collector takes them again");
        }
    }

    fn drop_all(&mut self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.state.dropped.fetch_add(count, Ordering::Relaxed);
        self.batch.clear();
    }

    fn complain(&mut self, refused: &Refused) {
        self.failing = true;
        if self.complained.is_some_and(|at| at.elapsed() < QUIET) {
            return;
        }
        self.complained = Some(Instant::now());
        let dropped = self.state.dropped.load(Ordering::Relaxed);
        warn!(why = %refused.why, dropped, "traces: the collector does not take them");
    }

    fn message(&self) -> ExportRequest {
        let mut all = Vec::new();
        for record in &self.batch {
            spans(record, &mut all);
        }
        let scope = Scope {
            name: "cc-relay".to_owned(),
            version: self.version.to_owned(),
        };
        let scope_spans = vec![ScopeSpans {
            scope: Some(scope),
            spans: all,
        }];
        let resource = Some(Resource {
            attributes: self.resource.clone(),
        });
        ExportRequest {
            resource_spans: vec![ResourceSpans {
                resource,
                scope_spans,
            }],
        }
    }
}
