//! What all calls share: the relay's state, what is remembered of it, and where changes go.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use relay_api::v1;
use relay_config::{Faults, Format, NewKey, Override, Plan};
use relay_core::affinity::key::SessionKey;
use relay_proxy::{Witness, clock};
use tonic::Status;

use crate::audit::{Audit, AuditSink};
use crate::consequence;
use crate::events::Events;
use crate::ledger::{Books, Ledger, traffic::Window};
use crate::orders::{Order, Orders};
use crate::pulse::Pulse;
use crate::refusal;
use crate::situation::Situation;
use crate::tell::{self, Place};
use crate::watch::Watch;

/// How long a state that was worked out is told to others who ask.
const FRESH: Duration = Duration::from_millis(80);

/// Between two looks at circuits and keys.
const BEAT: Duration = Duration::from_secs(1);

/// Checks the text of a configuration.
pub type Check = Arc<dyn Fn(&str, Format) -> Result<Plan, Faults> + Send + Sync>;

/// What a manager is made of.
#[expect(missing_debug_implementations, reason = "a snapshot holds secrets")]
pub struct ManagerOptions {
    /// Who knows the state of the relay.
    pub witness: Witness,
    /// What is remembered of ended requests.
    pub ledger: Arc<Ledger>,
    /// What happened beside them.
    pub events: Arc<Events>,
    /// What is in force.
    pub situation: Situation,
    /// Where changes go.
    pub orders: Orders,
    /// How the text of a configuration is checked.
    pub check: Check,
    /// The history's file, where there is one.
    pub history: Option<PathBuf>,
    /// Who keeps what was changed, where somebody does.
    pub audits: Option<Arc<dyn AuditSink>>,
    /// The version of the relay.
    pub version: &'static str,
}

/// What all calls share.
#[expect(missing_debug_implementations, reason = "a snapshot holds secrets")]
pub struct Manager {
    options: ManagerOptions,
    situation: Mutex<Arc<Situation>>,
    watch: Watch,
    started: Duration,
    instance: String,
    stats: Mutex<HashMap<Window, (Instant, v1::Stats)>>,
}

impl Manager {
    /// Begins.
    pub fn new(options: ManagerOptions) -> Arc<Self> {
        let started = clock::unix();
        let instance = format!("{:x}-{:x}", started.as_nanos(), std::process::id());
        let situation = Mutex::new(Arc::new(options.situation.clone()));
        Arc::new(Self {
            options,
            situation,
            watch: Watch::default(),
            started,
            instance,
            stats: Mutex::default(),
        })
    }

    /// Takes what is in force from now on.
    pub fn situate(&self, situation: Situation) {
        let named = |name: &str| {
            let plans = situation.plan.providers.iter();
            plans
                .flat_map(relay_config::ProviderPlan::variants)
                .any(|it| it.plan.name == name)
        };
        self.books().retain_providers(named);
        *self.situation.lock() = Arc::new(situation);
        self.stats.lock().clear();
    }

    /// Looks at requests, circuits and keys as long as it is not dropped.
    pub(crate) async fn run(&self) {
        let pulse = async {
            let mut pulse = Pulse::default();
            loop {
                pulse.look(self.witness(), self.ledger(), self.events());
                tokio::time::sleep(BEAT).await;
            }
        };
        tokio::join!(self.watch.run(self.witness(), self.ledger()), pulse);
    }

    pub(crate) fn situation(&self) -> Arc<Situation> {
        Arc::clone(&self.situation.lock())
    }

    pub(crate) fn witness(&self) -> &Witness {
        &self.options.witness
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.options.ledger
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.ledger().books()
    }

    pub(crate) fn events(&self) -> &Events {
        &self.options.events
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    pub(crate) fn history(&self) -> Option<&PathBuf> {
        self.options.history.as_ref()
    }

    pub(crate) fn version(&self) -> &'static str {
        self.options.version
    }

    pub(crate) fn started(&self) -> Duration {
        self.started
    }

    /// Names this run of the relay.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    /// Looks at everything at once.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Place<'_>) -> T) -> T {
        let situation = self.situation();
        let books = self.books();
        look(&Place::new(self.witness(), &situation, &books))
    }

    /// Returns the state, which many may ask for at once.
    pub(crate) fn stats(&self, window: Window) -> v1::Stats {
        let now = clock::now();
        if let Some((at, stats)) = self.stats.lock().get(&window)
            && now.saturating_duration_since(*at) < FRESH
        {
            return stats.clone();
        }
        let stats = self.look(|place| tell::stats(place, window, self.started, self.version()));
        self.stats.lock().insert(window, (now, stats.clone()));
        stats
    }

    /// Checks the text of a configuration.
    pub(crate) fn check(&self, text: &str, format: Format) -> Result<Plan, Faults> {
        (self.options.check)(text, format)
    }

    /// Gives an order.
    pub(crate) fn orders(&self) -> &Orders {
        &self.options.orders
    }

    /// Ends the cooldown of a key, or closes the breaker of a provider.
    pub(crate) fn end_cooldown(
        &self,
        asked: &v1::EndCooldownRequest,
        by: &str,
    ) -> Result<v1::Change, Status> {
        let dry_run = asked.options.is_some_and(|it| it.dry_run);
        self.look(|place| {
            let fix = "cc-relay provider list names those that are on";
            let target = place.target(&asked.provider).map(|it| Arc::clone(it.0));
            let target =
                target.ok_or_else(|| refusal::missing("provider", &asked.provider, fix))?;
            let mut change = consequence::at_once(place);
            if asked.key.is_empty() {
                change.summary = format!("close the circuit of {}", asked.provider);
                consequence::add(
                    &mut change,
                    "then",
                    "it is given requests at once; it opens again if they fail",
                );
                if !dry_run {
                    target.station.breaker.close();
                }
            } else {
                let states = target.station.keys.states(place.now);
                let fix = format!("cc-relay key list {}", asked.provider);
                let key = states.iter().find(|key| *key.name == *asked.key);
                let key = key.ok_or_else(|| refusal::missing("key", &asked.key, &fix))?;
                change.summary = format!("end the cooldown of {}/{}", asked.provider, asked.key);
                consequence::add(
                    &mut change,
                    "then",
                    "it serves at once; its upstream may refuse it again",
                );
                if !dry_run {
                    target.station.keys.unpark(key.id);
                }
            }
            Ok(self.made(change, dry_run, by))
        })
    }

    /// Forgets where a session lives.
    pub(crate) fn unpin(
        &self,
        asked: &v1::UnpinSessionRequest,
        session: SessionKey,
        by: &str,
    ) -> Result<v1::Change, Status> {
        let dry_run = asked.options.is_some_and(|it| it.dry_run);
        self.look(|place| {
            let affinity = &place.witness.board().affinity;
            let states = affinity.sessions(place.now);
            let homes: Vec<_> = states.iter().filter(|it| it.session == session).collect();
            if homes.is_empty() {
                return Err(refusal::missing(
                    "pinned session",
                    &asked.id,
                    "cc-relay sessions",
                ));
            }
            let mut change = consequence::at_once(place);
            change.summary = format!("unpin session {}", asked.id);
            let text = consequence::cold(place, &homes);
            consequence::add(&mut change, "then", "its next request is placed anew");
            consequence::add(&mut change, "cache", &text);
            if !dry_run {
                affinity.unpin(session);
            }
            Ok(self.made(change, dry_run, by))
        })
    }

    /// Says what came of a change, in the log and to whoever keeps it.
    pub fn audit(&self, audit: &Audit) {
        audit.log();
        if let Some(sink) = &self.options.audits {
            sink.keep(audit);
        }
    }

    /// Says that a change was made, unless it was only asked about.
    fn made(&self, mut change: v1::Change, dry_run: bool, by: &str) -> v1::Change {
        change.applied = !dry_run;
        if !dry_run {
            self.audit(&Audit::made(by, &change.summary, &[]));
            self.stats.lock().clear();
        }
        change
    }

    /// Makes a change over the file's plan, or tells what it would do.
    pub(crate) async fn change(
        &self,
        change: Override,
        new: Option<&NewKey>,
        options: Option<v1::ChangeOptions>,
        by: &str,
    ) -> Result<v1::Change, Status> {
        let options = options.unwrap_or_default();
        let situation = self.situation();
        let after = situation
            .overrides
            .with(change.clone(), &situation.file_plan);
        let after = after.map_err(|error| refusal::change(&error))?;
        let after = after.lay_over(situation.file_plan.clone());
        let mut told = self.look(|place| consequence::of(place, &change, &after, options.persist));
        if options.dry_run {
            return Ok(told);
        }
        let order = if options.persist {
            let (text, revision) =
                consequence::persisted(&situation, &change, new, &self.options.check)?;
            Order::Write { text, revision }
        } else {
            Order::Override(change)
        };
        let applied = self.orders().give(order, by).await?;
        let applied = applied.map_err(|refused| refused.status())?;
        told.applied = true;
        told.config_digest = applied.to;
        Ok(told)
    }
}
