//! Keeps one credential fresh: asks its source ahead of time, again after a failure, and at once
//! when somebody was refused.
//!
//! In: a source, wake-ups. Out: the credential in force, and the outcome of each question for
//! whoever waits. It must never ask twice at a time or more than once a second, drop a credential
//! that still holds, or hand out one that has ended.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::FutureExt as _;
use relay_core::identity::{Identity, Issued, IssuedForm, NotIssued, Renewal};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber as _;
use tracing::{Dispatch, debug, info, warn};

use crate::clock::{self, Clock};
use crate::schedule;
use crate::source::{Answer, Ask, Failure, Life, Why};

#[cfg(test)]
mod tests;

/// A timer stands still while a machine sleeps, so that the clock is looked at this often.
const LOOK: Duration = Duration::from_mins(1);

/// What came of a question; `None` before the first.
type Told = Option<Result<Arc<Issued>, NotIssued>>;

/// What a request reads.
struct Kept {
    name: Box<str>,
    clock: Clock,
    current: ArcSwapOption<Issued>,
    wake: Notify,
    /// The youngest generation that somebody cannot use.
    refused: AtomicU64,
    told: watch::Receiver<Told>,
    /// How long a renewal may take.
    patience: Duration,
}

/// Asks the source whenever it must, until it is told to stop.
pub struct Keeper {
    kept: Arc<Kept>,
    told: watch::Sender<Told>,
    source: Box<dyn Ask>,
    generation: u64,
    /// When it was first seen, since the Unix epoch.
    since: Duration,
    /// Questions in a row that brought nothing new when something was due.
    failures: u32,
    failing: bool,
    watched: bool,
}

/// When to ask next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// At this time since the Unix epoch.
    At(Duration),
    /// After this time.
    After(Duration),
    /// When somebody wants it.
    Wanted,
}

/// Makes what a request reads and what keeps it fresh.
pub(crate) fn pair(name: &str, source: Box<dyn Ask>, clock: Clock) -> (Arc<dyn Identity>, Keeper) {
    let (sender, receiver) = watch::channel(None);
    let kept = Arc::new(Kept {
        name: name.into(),
        clock,
        current: ArcSwapOption::empty(),
        wake: Notify::new(),
        refused: AtomicU64::new(0),
        told: receiver,
        // A question that has just begun to wait for its second, and all its time.
        patience: source.bound() + 2 * schedule::FIRST,
    });
    let identity: Arc<dyn Identity> = Arc::<Kept>::clone(&kept);
    let keeper = Keeper {
        kept,
        told: sender,
        source,
        generation: 0,
        since: Duration::ZERO,
        failures: 0,
        failing: false,
        watched: false,
    };
    (identity, keeper)
}

impl Kept {
    fn not_issued(&self, why: impl fmt::Display) -> NotIssued {
        NotIssued(format!("identity {}: {why}", self.name).into())
    }

    async fn newer(&self, generation: u64) -> Result<Arc<Issued>, NotIssued> {
        let mut told = self.told.clone();
        // What is told from here on counts; what was told before is in `current`.
        told.mark_unchanged();
        if let Some(issued) = self.current().filter(|it| it.generation > generation) {
            return Ok(issued);
        }
        self.refused.fetch_max(generation, Ordering::Relaxed);
        self.wake.notify_one();
        match timeout(self.patience, told.changed()).await {
            Err(_elapsed) => {
                return Err(self.not_issued("nobody answered in time: is its keeper running?"));
            }
            Ok(Err(_closed)) => return Err(self.not_issued("the relay is stopping")),
            Ok(Ok(())) => {}
        }
        let outcome = told.borrow().clone();
        match outcome {
            Some(Ok(issued)) if issued.generation > generation => Ok(issued),
            Some(Ok(_same)) => Err(self.not_issued(
                "was asked for another credential and gave the same: the upstream refuses what \
                 this identity has; check its permissions",
            )),
            Some(Err(error)) => Err(error),
            None => Err(self.not_issued("was not asked")),
        }
    }
}

/// What only the keeper does.
impl Kept {
    /// Waits until it is time, or somebody wakes it who holds nothing newer.
    async fn wait(&self, next: Next) -> Why {
        let mut due = std::pin::pin!(self.due(next));
        loop {
            tokio::select! {
                () = self.wake.notified() => {}
                () = &mut due => return Why::Due,
            }
            match self.current() {
                None => return Why::Due,
                Some(held) if held.generation <= self.refused.load(Ordering::Relaxed) => {
                    return Why::Refused;
                }
                // Issued between its question and its waking.
                Some(_newer) => {}
            }
        }
    }

    async fn due(&self, next: Next) {
        match next {
            Next::Wanted => std::future::pending().await,
            Next::After(delay) => sleep(delay.saturating_sub(schedule::FIRST)).await,
            Next::At(time) => loop {
                let left = time.saturating_sub(self.clock.unix());
                if left.is_zero() {
                    return;
                }
                sleep(left.min(LOOK)).await;
            },
        }
    }
}

impl Identity for Kept {
    fn name(&self) -> &str {
        &self.name
    }

    fn current(&self) -> Option<Arc<Issued>> {
        let issued = self.current.load_full()?;
        match issued.expires {
            Some(end) if end <= self.clock.unix() => None,
            Some(_) | None => Some(issued),
        }
    }

    fn renew(&self, generation: u64) -> Renewal<'_> {
        Box::pin(self.newer(generation))
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper")
            .field("name", &self.kept.name)
            .field("generation", &self.generation)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

impl Keeper {
    /// Asks at once, and then whenever it must, until `stop` is cancelled. A question under way is
    /// dropped then; who waits is told.
    pub async fn run(mut self, stop: CancellationToken) {
        // `None` when stopped; the loop itself never ends.
        let _: Option<()> = stop.run_until_cancelled(self.keep()).await;
    }

    async fn keep(&mut self) {
        let mut why = Why::Due;
        loop {
            let next = self.question(why).await;
            sleep(schedule::FIRST).await;
            why = self.kept.wait(next).await;
        }
    }

    /// Asks once and tells the outcome.
    async fn question(&mut self, why: Why) -> Next {
        let bound = self.source.bound();
        // The SDKs say nothing meanwhile: AWS's would show the metadata server's token at `trace`,
        // and what went wrong is said once, below.
        let asked = self.source.ask(why).with_subscriber(Dispatch::none());
        // A panic of an SDK's must not end the keeper: nobody would ask again.
        let asked = AssertUnwindSafe(asked).catch_unwind();
        let answer = match timeout(bound, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_panic)) => Err(Failure(
                "the vendor's SDK panicked: please report it with the lines above".into(),
            )),
            Err(_elapsed) => Err(Failure(format!("no answer within {} s", bound.as_secs()))),
        };
        let (outcome, next) = match answer.and_then(|answer| self.still_holds(answer)) {
            Ok(answer) => self.accept(answer),
            Err(failure) => self.failed(why, &failure),
        };
        // Whoever woke the keeper until here learns this outcome. The wake-up is taken back before
        // it is told: in the other order one that comes between would be lost.
        std::pin::pin!(self.kept.wake.notified()).enable();
        self.told.send_replace(Some(outcome));
        next
    }

    fn still_holds(&self, answer: Answer) -> Result<Answer, Failure> {
        match answer.life {
            Life::Until(end) if end <= self.kept.clock.unix() => Err(Failure(
                "was given a credential that has already ended: check this machine's clock, or \
                 sign in again"
                    .into(),
            )),
            Life::Until(_) | Life::Endless | Life::Watched(_) => Ok(answer),
        }
    }

    fn accept(&mut self, answer: Answer) -> (Result<Arc<Issued>, NotIssued>, Next) {
        let expires = match answer.life {
            Life::Until(end) => Some(end),
            Life::Endless | Life::Watched(_) => None,
        };
        self.watched = matches!(answer.life, Life::Watched(_));
        let now = self.kept.clock.unix();
        let held = self.kept.current.load_full();
        let known = held.filter(|it| same(&it.form, &answer.form));
        let again = known.is_some();
        let issued = match known {
            // The same as before: nothing new to whoever holds it.
            Some(held) if held.expires == expires => held,
            known => {
                if known.is_none() {
                    self.generation = self.generation.saturating_add(1);
                    self.since = now;
                }
                Arc::new(Issued {
                    form: answer.form,
                    generation: self.generation,
                    expires,
                })
            }
        };
        self.kept.current.store(Some(Arc::clone(&issued)));
        let next = match answer.life {
            Life::Endless => Next::Wanted,
            Life::Watched(every) => Next::After(every),
            Life::Until(end) => {
                let due = schedule::ahead(self.since, end, clock::seed());
                if again && due <= now.saturating_add(schedule::FIRST) {
                    // Asked ahead, and its source has no newer one yet.
                    return (Ok(issued), self.later());
                }
                Next::At(due)
            }
        };
        if self.failing {
            info!(identity = %self.kept.name, "credential issued again");
        } else if !again {
            debug!(identity = %self.kept.name, generation = self.generation, "credential issued");
        }
        self.failures = 0;
        self.failing = false;
        (Ok(issued), next)
    }

    fn failed(&mut self, why: Why, failure: &Failure) -> (Result<Arc<Issued>, NotIssued>, Next) {
        if self.watched && why == Why::Due {
            // Its SDK replaces it ahead of time, and fails only when it has ended.
            self.kept.current.store(None);
        }
        let holds = self.kept.current().is_some();
        warn!(identity = %self.kept.name, holds, error = %failure, "no credential issued");
        self.failing = true;
        let next = self.later();
        (Err(self.kept.not_issued(failure)), next)
    }

    fn later(&mut self) -> Next {
        self.failures = self.failures.saturating_add(1);
        Next::After(schedule::backoff(self.failures, clock::seed()))
    }
}

/// Tells whether two credentials are one.
fn same(one: &IssuedForm, other: &IssuedForm) -> bool {
    match (one, other) {
        (
            IssuedForm::Bearer {
                token,
                quota_project,
            },
            IssuedForm::Bearer {
                token: other_token,
                quota_project: other_project,
            },
        ) => token.digest().matches(&other_token.digest()) && quota_project == other_project,
        (
            IssuedForm::Aws {
                access_key_id,
                secret_access_key,
                session_token,
            },
            IssuedForm::Aws {
                access_key_id: other_id,
                secret_access_key: other_key,
                session_token: other_session,
            },
        ) => {
            let session = match (session_token, other_session) {
                (Some(mine), Some(theirs)) => mine.digest().matches(&theirs.digest()),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            access_key_id == other_id
                && secret_access_key.digest().matches(&other_key.digest())
                && session
        }
        (IssuedForm::Bearer { .. }, IssuedForm::Aws { .. })
        | (IssuedForm::Aws { .. }, IssuedForm::Bearer { .. }) => false,
    }
}
