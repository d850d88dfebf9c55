//! Changes that callers ask for, on their way to whoever carries them out.
//!
//! In: an order and who gave it. Out: what came of it. One is carried out after the other, by the
//! thread that also follows the configuration's file, so that no two changes meet.

use std::fmt;

use relay_config::{Faults, Override, OverrideError};
use tokio::sync::{mpsc, oneshot};
use tonic::{Code, Status};

use crate::refusal::{self, refuse};

/// Orders that wait at most.
const WAITING: usize = 16;

/// A change to what is in force.
#[derive(Debug)]
pub enum Order {
    /// Lay this over the file's plan.
    Override(Override),
    /// Read the file again.
    Reload,
    /// Write the file and put it in force, if it still is what this revision names.
    Write {
        /// The whole text.
        text: String,
        /// The revision that it was made from.
        revision: String,
    },
}

/// What came of an order.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// The digest of the configuration before.
    pub from: String,
    /// The digest now.
    pub to: String,
    /// What it changed.
    pub changes: Vec<String>,
    /// Settings that take a restart.
    pub pending: Vec<String>,
}

/// Why an order was not carried out: nothing has changed.
#[derive(Debug)]
pub enum Refused {
    /// It cannot be laid over the plan.
    Override(OverrideError),
    /// The file has faults.
    Faults(Faults),
    /// The file is another one than the caller has seen.
    Stale,
    /// There is no file.
    NoFile,
    /// It cannot be put in force or written: why, and what to do.
    Failed(String, String),
}

impl fmt::Display for Refused {
    /// Without any secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Override(error) => error.fmt(f),
            Self::Faults(faults) => {
                let first = faults.iter().next();
                let first = first.map_or("", |fault| fault.message.as_str());
                write!(f, "the configuration has faults: {first}")
            }
            Self::Stale => f.write_str("the file was changed by somebody else"),
            Self::NoFile => f.write_str("the relay runs without a configuration's file"),
            Self::Failed(message, _) => f.write_str(message),
        }
    }
}

impl Refused {
    /// Returns it as a status. Faults are told otherwise where a response has room for them.
    pub(crate) fn status(&self) -> Status {
        let (code, reason, fix) = match self {
            Self::Override(error) => return refusal::change(error),
            Self::Faults(_) => (
                Code::FailedPrecondition,
                "CONFIG_INVALID",
                "cc-relay config validate tells each",
            ),
            Self::Stale => (
                Code::Aborted,
                "REVISION_CHANGED",
                "get it again, and make the change in that",
            ),
            Self::NoFile => (
                Code::FailedPrecondition,
                "NO_FILE",
                "write one with cc-relay config init, or leave out persist",
            ),
            Self::Failed(_, fix) => (Code::FailedPrecondition, "NOT_APPLIED", fix.as_str()),
        };
        refuse(code, reason, self.to_string(), fix)
    }
}

/// An order that waits to be carried out.
#[derive(Debug)]
pub struct Asked {
    /// What.
    pub order: Order,
    /// Who asked.
    pub by: String,
    /// Where the outcome goes.
    pub answer: oneshot::Sender<Result<Applied, Refused>>,
}

/// Where orders are given. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Orders(mpsc::Sender<Asked>);

impl Orders {
    /// Returns where orders are given, and where they are taken.
    pub fn new() -> (Self, mpsc::Receiver<Asked>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Gives an order and waits for what comes of it.
    ///
    /// # Errors
    /// A status where nobody takes orders any more.
    pub(crate) async fn give(
        &self,
        order: Order,
        by: &str,
    ) -> Result<Result<Applied, Refused>, Status> {
        let stopping = || {
            refuse(
                Code::Unavailable,
                "STOPPING",
                "the relay is stopping",
                "try again when it runs",
            )
        };
        let (answer, outcome) = oneshot::channel();
        let by = by.to_owned();
        self.0
            .send(Asked { order, by, answer })
            .await
            .map_err(|_| stopping())?;
        outcome.await.map_err(|_| stopping())
    }
}
