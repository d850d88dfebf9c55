//! The management API of the running relay: where it is, and how its changes are carried out.
//!
//! In: orders, one after the other, on the thread that also follows the configuration's file. Out:
//! the change in force, and what came of it; every change with its author in the log. A change is
//! made whole or not at all: a file that was written and cannot be put in force is written back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use relay_api::Address;
use relay_config::{Format, GrpcListen, GrpcPlan, Override, Plan};
use relay_manage::{
    Applied, Asked, Audit, AuditSink, Events, Ledger, Listen, Manager, ManagerOptions, Order,
    Orders, Refused, Running, Situation, Sockets, Today, replace, revision, summary,
};
use relay_proxy::clock;
use relay_store::By;
use tokio::sync::mpsc::Receiver;
use tracing::{info, warn};

use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log::Log;
use crate::reload::{Reloader, Unapplied};
use crate::serve::{Live, VERSION};

/// What the management API is told and asked with, from before the relay runs on.
#[derive(Debug, Default)]
pub struct Watched {
    /// What it remembers of requests.
    pub ledger: Arc<Ledger>,
    /// What happened beside them.
    pub events: Arc<Events>,
}

impl Watched {
    /// Begins with what today has cost so far, where a history knows.
    pub fn new(history: Option<&Path>) -> Self {
        let today = history.map_or_else(Today::default, today);
        Self {
            ledger: Arc::new(Ledger::new(today)),
            events: Arc::default(),
        }
    }
}

/// Sums what today has cost before the relay started.
fn today(history: &Path) -> Today {
    let day = clock::unix().as_secs() / 86_400;
    let begun = Today {
        day,
        ..Today::default()
    };
    match relay_store::usage(history, By::Day, day.saturating_mul(86_400)) {
        Ok(days) => days.last().map_or(begun, |sums| Today {
            cost: sums.cost,
            unpriced: sums.unpriced,
            requests: sums.requests,
            ..begun
        }),
        Err(error) => {
            warn!(%error, "today's cost begins with nothing: the history cannot be read");
            begun
        }
    }
}

/// The management API as it is served. Dropped, it ends.
#[expect(missing_debug_implementations, reason = "a snapshot holds secrets")]
pub struct Management {
    manager: Arc<Manager>,
    orders: Receiver<Asked>,
    address: String,
    _running: Running,
}

/// Everything that the management API is made of.
#[expect(missing_debug_implementations, reason = "plans hold secrets")]
pub struct Parts<'a> {
    /// The relay.
    pub live: &'a Live,
    /// Who follows its file.
    pub reloader: &'a Reloader,
    /// The environment: its variables, and where sockets go.
    pub env: &'a Environment,
    /// What it was told before.
    pub watched: Watched,
    /// The history's file, where there is one.
    pub history: Option<PathBuf>,
    /// Who keeps what was changed, where somebody does.
    pub audits: Option<Arc<dyn AuditSink>>,
}

impl Management {
    /// Serves the API, where the file wants it. A socket that nobody named and that cannot be had
    /// keeps no relay from running.
    ///
    /// # Errors
    /// A [`Failure`] if a socket that the file names cannot be had.
    pub fn start(parts: Parts<'_>) -> Result<Option<Self>, Failure> {
        let plan = parts.live.plan().grpc.clone();
        if !plan.enabled {
            return Ok(None);
        }
        let port = parts.live.server().address().port();
        let sockets = match sockets(&plan, parts.env, port) {
            Ok(sockets) => sockets,
            Err(why) if plan == GrpcPlan::default() => {
                warn!(%why, "the management API is not there: the relay runs on without it");
                parts.watched.ledger.close();
                return Ok(None);
            }
            Err(why) => {
                let help = "choose another grpc.listen, or grpc.enabled: false";
                return Err(Failure::new(Exit::TryLater, "grpc", why).help(help));
            }
        };
        let addresses = sockets.addresses();
        let (orders, asked) = Orders::new();
        let env = parts.env.clone();
        let name = parts.reloader.file().display().to_string();
        let check =
            move |text: &str, format: Format| relay_config::parse(&name, text, format, &env);
        let manager = Manager::new(ManagerOptions {
            witness: parts.live.server().witness(),
            ledger: parts.watched.ledger,
            events: parts.watched.events,
            situation: situation(parts.live, parts.reloader),
            orders,
            check: Arc::new(check),
            history: parts.history,
            audits: parts.audits,
            version: VERSION,
        });
        let running = Running::start(&manager, &plan, sockets).map_err(|error| {
            Failure::new(Exit::Failed, "grpc", format!("management API: {error}"))
        })?;
        info!(at = addresses.join(", "), "manage.start");
        let scheme = if plan.tls.is_some() { "https://" } else { "" };
        let first = addresses.first().map(String::as_str).unwrap_or_default();
        Ok(Some(Self {
            manager,
            orders: asked,
            address: if first.starts_with("unix:") {
                first.to_owned()
            } else {
                format!("{scheme}{first}")
            },
            _running: running,
        }))
    }

    /// Returns where it is asked, as `--manage` takes it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits for the next order.
    pub async fn next(&mut self) -> Asked {
        match self.orders.recv().await {
            Some(asked) => asked,
            // The manager holds the other end as long as this is there.
            None => std::future::pending().await,
        }
    }

    /// Tells those who ask what is in force now.
    pub fn situate(&self, live: &Live, reloader: &Reloader) {
        self.manager.situate(situation(live, reloader));
    }

    /// Carries an order out, and answers it.
    pub async fn carry_out(
        &self,
        asked: Asked,
        (live, reloader, log): (&mut Live, &mut Reloader, &Log),
    ) {
        let before = live.plan().clone();
        let what = what(&asked.order);
        let done = match asked.order {
            Order::Override(change) => change_over(live, change),
            Order::Reload => reload(live, reloader, log).await,
            Order::Write { text, revision } => {
                write(live, (reloader, log), (&text, &revision)).await
            }
        };
        let outcome = done.map(|pending| applied(&before, live.plan(), &pending));
        self.manager.audit(&match &outcome {
            Ok(applied) => Audit::made(&asked.by, &what, &applied.changes),
            Err(refused) => Audit::refused(&asked.by, &what, refused.to_string()),
        });
        self.situate(live, reloader);
        // Whoever asked may have left.
        drop(asked.answer.send(outcome));
    }
}

/// Waits for the next order where there is a management API, and for ever elsewhere.
pub async fn next(management: &mut Option<Management>) -> Asked {
    match management {
        Some(management) => management.next().await,
        None => std::future::pending().await,
    }
}

fn what(order: &Order) -> String {
    match order {
        Order::Override(change) => summary(change),
        Order::Reload => "reload the configuration".to_owned(),
        Order::Write { .. } => "write the configuration".to_owned(),
    }
}

fn situation(live: &Live, reloader: &Reloader) -> Situation {
    let (file_plan, overrides) = live.origin();
    let scheme = if live.plan().server.tls.is_some() {
        "https"
    } else {
        "http"
    };
    Situation {
        plan: live.plan().clone(),
        file_plan: file_plan.clone(),
        overrides: overrides.clone(),
        file: reloader.file().to_owned(),
        url: format!("{scheme}://{}", live.server().address()),
    }
}

fn applied(before: &Plan, now: &Plan, pending: &[&str]) -> Applied {
    let changes = relay_config::diff(before, now);
    Applied {
        from: before.digest.clone(),
        to: now.digest.clone(),
        changes: changes.iter().map(ToString::to_string).collect(),
        pending: pending.iter().map(|key| (*key).to_owned()).collect(),
    }
}

type Done = Result<Vec<&'static str>, Refused>;

fn change_over(live: &mut Live, change: Override) -> Done {
    let (file_plan, overrides) = live.origin();
    let next = overrides
        .with(change, file_plan)
        .map_err(Refused::Override)?;
    live.change(next).map_err(|failure| failed(&failure))?;
    Ok(Vec::new())
}

async fn reload(live: &mut Live, reloader: &mut Reloader, log: &Log) -> Done {
    let outcome = reloader.reload(live, log, false).await;
    outcome.map_err(|unapplied| match unapplied {
        Unapplied::Faults(faults) => Refused::Faults(faults),
        Unapplied::Failure(failure) => failed(&failure),
    })
}

async fn write(
    live: &mut Live,
    (reloader, log): (&mut Reloader, &Log),
    (text, expected): (&str, &str),
) -> Done {
    let file = reloader.file().to_owned();
    let cannot = |error: std::io::Error| {
        let message = format!("cannot write {}: {error}", file.display());
        Refused::Failed(
            message,
            "check the rights of the file and its folder".to_owned(),
        )
    };
    let original = std::fs::read_to_string(&file).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            Refused::NoFile
        } else {
            cannot(error)
        }
    })?;
    if revision(&original) != expected {
        return Err(Refused::Stale);
    }
    replace(&file, text).map_err(cannot)?;
    let outcome = reload(live, reloader, log).await;
    if outcome.is_err() {
        replace(&file, &original).map_err(cannot)?;
        // Reads what stands there again, so that the fault is not told of any longer.
        reload(live, reloader, log).await?;
    }
    outcome
}

fn failed(failure: &Failure) -> Refused {
    let help = failure
        .help_text()
        .unwrap_or("the log says more")
        .to_owned();
    Refused::Failed(failure.message().to_owned(), help)
}

fn sockets(plan: &GrpcPlan, env: &Environment, port: u16) -> Result<Sockets, String> {
    let listen = match &plan.listen {
        GrpcListen::Tcp(address) => Listen::Tcp(*address),
        GrpcListen::Unix(path) => Listen::Unix(path.clone()),
        GrpcListen::Beside => match Address::beside(&env.runtime_dir(), port) {
            Some(Address::Unix(path)) => Listen::Unix(path),
            Some(Address::Tcp(_) | Address::Tls(_)) | None => {
                let folder = env.runtime_dir();
                return Err(format!(
                    "{} is too long for a socket's path",
                    folder.display()
                ));
            }
        },
    };
    Sockets::take(Some(&listen), plan.web_listen).map_err(|error| error.to_string())
}
