//! Work that no request waits for, on a thread of its own.
//!
//! In: futures that go on for ever. Out: nothing; they are dropped when the relay stops.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Work that goes on until the relay stops.
#[derive(Default)]
pub struct Background(Vec<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Background").field(&self.0.len()).finish()
    }
}

impl Background {
    /// Adds some work.
    pub fn add(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.push(Box::pin(work));
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Works until it is told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        for work in self.0 {
            let stop = stop.clone();
            tasks.spawn(async move { stop.run_until_cancelled(work).await });
        }
        tasks.close();
        tasks.wait().await;
    }
}
