//! Work that no request waits for, on a thread of its own.
//!
//! In: futures, at any time. Out: nothing; they are dropped when the relay stops. Whoever adds one
//! that is to end earlier gives it the means for that.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where work is added. Cheap to clone.
#[derive(Clone)]
pub struct Background(mpsc::UnboundedSender<Work>);

/// The work that was added; the server does it.
pub struct Works(mpsc::UnboundedReceiver<Work>);

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Background")
    }
}

impl fmt::Debug for Works {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Works")
    }
}

impl Background {
    /// Returns where work is added, and what is to be done.
    pub fn new() -> (Self, Works) {
        let (inlet, outlet) = mpsc::unbounded_channel();
        (Self(inlet), Works(outlet))
    }

    /// Adds some work. After the relay has stopped, nobody does it any more.
    pub fn add(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.0.send(Box::pin(work)));
    }
}

impl Works {
    /// Works until it is told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        while let Some(Some(work)) = stop.run_until_cancelled(self.0.recv()).await {
            let stop = stop.clone();
            tasks.spawn(async move { stop.run_until_cancelled(work).await });
        }
        tasks.close();
        tasks.wait().await;
    }
}
