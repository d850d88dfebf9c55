//! `serve`: runs the relay until it is told to stop.

mod dashboard;
mod history;

use std::cell::Cell;
use std::io::{IsTerminal as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use relay_config::{KeyPlan, MetricsPlan, Plan, ProviderPlan};
use relay_core::board::Board;
use relay_manage::AuditSink;
use relay_metrics::Metrics;
use relay_proxy::{RecordSink, Server};
use relay_traces::{Traces, TracesState};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use crate::banner::{self, Banner};
use crate::cli::ServeArgs;
use crate::command::{Context, config};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log::Log;
use crate::manage::{self, Management, Parts, Watched};
use crate::metrics::{self, Counted, Page};
use crate::past::Kept;
use crate::reload::Reloader;
use crate::serve::{Live, VERSION, board};
use crate::sink::{History, Sinks, Traced};
use crate::traces;
use dashboard::Dashboard;

/// Runs `serve`.
///
/// # Errors
/// Whatever keeps the relay from starting. Once it runs, it ends well.
pub fn run(context: &mut Context, arguments: &ServeArgs) -> Result<Exit, Failure> {
    super::block_on(serve(context, arguments))?
}

async fn serve(context: &mut Context, arguments: &ServeArgs) -> Result<Exit, Failure> {
    // First of all: a signal that nobody waits for yet would end the process.
    let signals = Signals::new()?;
    let mut reloader = reloader(context, arguments.listen);
    let plan = reloader
        .read()
        .map_err(|faults| config::invalid(&faults, 0))?;
    let log = Log::open(&plan.logging)
        .map_err(|error| Failure::new(Exit::CannotWrite, "log", format!("log file: {error}")))?;
    let board = board(&plan)?;
    let mut sinks = Sinks::default().with(log.sink());
    let history = history::open(context, arguments, &plan.history);
    if let Some(Ok(store)) = &history {
        sinks = sinks.with(Arc::new(History(store.inlet())));
        let past = Kept(store.path().to_owned());
        board.spend.remember(Arc::new(past));
    }
    let kept = history.as_ref().and_then(|it| it.as_ref().ok());
    let past = kept.map(|store| store.path().to_owned());
    let audits = kept.map(|store| Arc::new(History(store.inlet())) as Arc<dyn AuditSink>);
    let watched = Watched::new(past.as_deref());
    if plan.grpc.enabled {
        sinks = sinks.with(Arc::clone(&watched.ledger) as Arc<dyn RecordSink>);
    }
    let traces = traces::start(&plan.traces)?;
    if let Some(traces) = &traces {
        sinks = sinks.with(Arc::new(Traced(traces.inlet())));
    }
    let metrics = measured(&plan.metrics, &board)?;
    if let Some((_, metrics)) = &metrics {
        sinks = sinks.with(Arc::new(Counted(Arc::clone(metrics))));
    }
    // Before anything begins that may have something to say.
    if let Err(error) = log.subscribe(Arc::clone(&watched.events)) {
        let note = format!("the relay's own events are not logged: {error}");
        context.out.note(&note);
    }
    let live = Live::with(plan, board, Arc::new(sinks))?;
    let management = Management::start(Parts {
        live: &live,
        reloader: &reloader,
        env: &context.env,
        watched,
        history: past,
        audits,
    })?;
    let sent = traces.as_ref().map(Traces::state);
    let metrics_url = metrics.map(|metrics| publish(metrics, &live, &log, sent));
    if let Some(Err(why)) = &history {
        warn!(%why, "history: cannot be kept; the relay runs on without it");
    }
    say_hello(context, live.plan(), live.server());
    if let Some(url) = metrics_url {
        info!(%url, "metrics.start");
    }
    let dashboard = Dashboard::new(arguments.tui, context, (management.as_ref(), &log))?;
    run_until_stopped((live, reloader, management), &log, (signals, dashboard)).await?;
    // Before the log: they may have something to say.
    drop(traces);
    drop(history);
    log.close();
    Ok(Exit::Done)
}

/// What counts, and where it will be read.
type Measured = (TcpListener, Arc<Metrics>);

/// Begins to count, where the file wants it. The address is taken before anything runs: a port that
/// is in use is said at once.
fn measured(plan: &MetricsPlan, board: &Arc<Board>) -> Result<Option<Measured>, Failure> {
    if !plan.enabled {
        return Ok(None);
    }
    let metrics = Arc::new(Metrics::new(Arc::clone(board)));
    Ok(Some((listen(plan)?, metrics)))
}

/// Serves the page of metrics; returns its URL.
fn publish(
    (listener, metrics): Measured,
    live: &Live,
    log: &Log,
    traces: Option<Arc<TracesState>>,
) -> String {
    let plan = &live.plan().metrics;
    let address = listener.local_addr().unwrap_or(plan.listen);
    let url = format!("http://{address}{}", plan.endpoint);
    let page = Page {
        metrics,
        witness: live.server().witness(),
        log_dropped: log.dropped(),
        traces,
    };
    live.beside(metrics::serve(page, plan.clone(), listener));
    url
}

/// Takes the address where metrics are read.
fn listen(plan: &MetricsPlan) -> Result<TcpListener, Failure> {
    metrics::listen(plan.listen).map_err(|error| {
        let message = format!("metrics cannot be served at {}: {error}", plan.listen);
        Failure::new(Exit::TryLater, "metrics", message)
            .help("choose another metrics.prometheus_listen, or metrics.enabled: false")
    })
}

/// Returns what follows the files of the configuration.
fn reloader(context: &Context, listen: Option<SocketAddr>) -> Reloader {
    let (file, named) = config::file(context);
    let (path, env) = (file.clone(), context.env.clone());
    // A file that was there and is gone is a fault: without it everybody would be let in.
    let expected = Cell::new(named);
    let load = move || {
        let mut plan = if expected.get() || path.exists() {
            relay_config::load(&path, &env)?
        } else {
            Plan::transparent()
        };
        expected.set(expected.get() || plan.source.is_some());
        if let Some(listen) = listen {
            plan.server.listen = listen;
        }
        Ok(plan)
    };
    Reloader::new(Box::new(load), file)
}

/// The signals that mean something to a relay.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    /// It was started from a terminal.
    attended: bool,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let wait = |kind| {
            signal(kind).map_err(|error| {
                let message = format!("cannot wait for signals: {error}");
                Failure::new(Exit::Failed, "signals", message)
            })
        };
        Ok(Self {
            terminate: wait(SignalKind::terminate())?,
            interrupt: wait(SignalKind::interrupt())?,
            hang_up: wait(SignalKind::hangup())?,
            attended: std::io::stderr().is_terminal(),
        })
    }

    /// Waits for the next wish. A terminal that is closed wishes the relay to stop, as it always
    /// does; elsewhere the same signal is the wish to read the configuration again.
    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hang_up.recv() => if self.attended && !std::io::stderr().is_terminal() {
                Wish::Stop
            } else {
                Wish::Reload
            },
        }
    }

    async fn stop(&mut self) {
        while self.next().await != Wish::Stop {}
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Stop,
    Reload,
}

/// Follows the configuration until it is told to stop, then waits for what runs to finish. A second
/// signal ends that wait.
async fn run_until_stopped(
    (mut live, mut reloader, mut management): (Live, Reloader, Option<Management>),
    log: &Log,
    (mut signals, mut dashboard): (Signals, Dashboard),
) -> Result<(), Failure> {
    loop {
        let hasty = tokio::select! {
            wish = signals.next() => match wish {
                Wish::Stop => break,
                Wish::Reload => false,
            },
            () = reloader.changed() => true,
            () = dashboard.closed(log) => continue,
            asked = manage::next(&mut management) => {
                if let Some(management) = &management {
                    management.carry_out(asked, (&mut live, &mut reloader, log)).await;
                }
                continue;
            }
        };
        // What came of it is logged.
        drop(reloader.reload(&mut live, log, hasty).await);
        if let Some(management) = &management {
            management.situate(&live, &reloader);
        }
    }
    dashboard.close(log).await;
    let drain = live.plan().server.drain_timeout;
    info!(drain_s = drain.as_secs(), "relay.stop");
    let hurry = live.server().hurry();
    let mut stopping = tokio::task::spawn_blocking(move || live.stop(drain));
    let stopped = tokio::select! {
        stopped = &mut stopping => stopped,
        () = signals.stop() => {
            hurry.now();
            stopping.await
        }
    };
    let cut_off = stopped.map_err(|error| Failure::new(Exit::Failed, "stop", error.to_string()))?;
    if cut_off > 0 {
        warn!(
            requests = cut_off,
            "cut off: still running at the end of the drain"
        );
    }
    Ok(())
}

fn say_hello(context: &Context, plan: &Plan, server: &Server) {
    let scheme = if plan.server.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let url = format!("{scheme}://{}", server.address());
    for warning in &plan.warnings {
        warn!(fix = %warning.fix, "{}", warning.message);
    }
    let source = plan.source.as_ref().map(|path| context.env.show_path(path));
    info!(version = VERSION, %url, config = source.as_deref().unwrap_or("none"), digest = %plan.digest, "relay.start");
    if !std::io::stderr().is_terminal() {
        return;
    }
    let banner = Banner {
        version: VERSION.to_owned(),
        config: source.map(|path| (path, plan.digest.clone())),
        url,
        providers: plan.providers.iter().map(provider).collect(),
        warnings: plan.warnings.iter().map(warning).collect(),
        claude_settings: None,
        ascii: context.env.ascii_only(),
    };
    let mut stderr = anstream::stderr().lock();
    // Nobody is left to tell that standard error is closed.
    drop(stderr.write_all(banner.render(true).as_bytes()));
}

fn warning(warning: &relay_config::Warning) -> banner::Warning {
    banner::Warning {
        message: warning.message.clone(),
        fix: warning.fix.clone(),
    }
}

fn provider(plan: &ProviderPlan) -> banner::Provider {
    let shown = |key: &KeyPlan| match key.secret.last_four() {
        Some(last) => format!("{} …{last}", key.name),
        None => key.name.clone(),
    };
    let keys: Vec<String> = plan.keys.iter().map(shown).collect();
    let credentials = match keys.len() {
        0 => "credentials: whatever the client sends".to_owned(),
        1 => format!("1 key   {}", keys.join(", ")),
        count => format!("{count} keys  {}", keys.join(", ")),
    };
    let models = plan
        .model_mapping
        .iter()
        .map(|(from, to)| format!("{from} → {to}"));
    banner::Provider {
        name: plan.name.clone(),
        credentials,
        models: models.collect::<Vec<_>>().join(", "),
        enabled: plan.enabled,
    }
}
