//! Every change, and every one refused: who asked, what for, what it was and what it became.
//!
//! In: what came of a change. Out: a line of the log, and the same to whoever keeps it.

use std::time::Duration;

use relay_proxy::clock;
use tracing::{info, warn};

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// When, since the Unix epoch.
    pub at: Duration,
    /// Who asked for it.
    pub by: String,
    /// What was asked for, in a few words.
    pub what: String,
    /// Each setting with what it was and what it became, without credentials.
    pub changes: Vec<String>,
    /// Why it was refused; `None` where it was made.
    pub refused: Option<String>,
}

/// Keeps what came of changes.
pub trait AuditSink: Send + Sync {
    /// Keeps one. It may wait a moment: no request waits for it.
    fn keep(&self, audit: &Audit);
}

impl Audit {
    /// A change that was made now.
    pub fn made(by: &str, what: &str, changes: &[String]) -> Self {
        Self {
            at: clock::unix(),
            by: by.to_owned(),
            what: what.to_owned(),
            changes: changes.to_vec(),
            refused: None,
        }
    }

    /// A change that was refused now.
    pub fn refused(by: &str, what: &str, why: String) -> Self {
        Self {
            refused: Some(why),
            ..Self::made(by, what, &[])
        }
    }

    /// Writes it to the log.
    pub(crate) fn log(&self) {
        let (by, what) = (&self.by, &self.what);
        match &self.refused {
            None if self.changes.is_empty() => info!(%by, %what, "manage.change"),
            None => {
                let changes = self.changes.join("; ");
                info!(%by, %what, %changes, "manage.change");
            }
            Some(why) => warn!(%by, %what, %why, "manage.refused"),
        }
    }
}
