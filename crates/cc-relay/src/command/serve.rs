//! `serve`: runs the relay until it is told to stop.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use relay_config::{KeyPlan, Plan, ProviderPlan};
use relay_proxy::Server;
use relay_store::{Store, StoreError, StoreOptions};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::banner::{self, Banner};
use crate::cli::ServeArgs;
use crate::command::{Context, config};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log::Log;
use crate::serve::{VERSION, start};
use crate::sink::{History, Sinks};

/// Runs `serve`.
///
/// # Errors
/// Whatever keeps the relay from starting. Once it runs, it ends well.
pub fn run(context: &mut Context, arguments: &ServeArgs) -> Result<Exit, Failure> {
    let mut plan = config::load(context)?;
    if let Some(listen) = arguments.listen {
        plan.server.listen = listen;
    }
    let log = Log::open(&plan.logging)
        .map_err(|error| Failure::new(Exit::CannotWrite, "log", format!("log file: {error}")))?;
    let mut sinks = Sinks::default().with(log.sink());
    let history = arguments.history.as_deref().map(|file| {
        let path = Some(file)
            .filter(|file| !file.is_empty())
            .map(PathBuf::from);
        Store::open(history_at(path.unwrap_or_else(|| context.env.history())))
    });
    if let Some(Ok(store)) = &history {
        sinks = sinks.with(Arc::new(History(store.inlet())));
    }
    let server = start(&plan, Arc::new(sinks))?;
    if let Err(error) = log.subscribe() {
        context
            .out
            .note(&format!("the relay's own events are not logged: {error}"));
    }
    if let Some(Err(error)) = &history {
        let why = chain(error);
        warn!(%why, "history: cannot be kept; the relay runs on without it");
    }
    say_hello(context, &plan, &server);
    let drain = plan.server.drain_timeout;
    let cut_off = super::block_on(run_until_stopped(server, drain))?.map_err(|error| {
        let message = format!("cannot wait for signals: {error}");
        Failure::new(Exit::Failed, "signals", message)
    })?;
    if cut_off > 0 {
        warn!(
            requests = cut_off,
            "cut off: still running at the end of the drain"
        );
    }
    // Before the log: it may have something to say.
    drop(history);
    log.close();
    Ok(Exit::Done)
}

/// Returns a history's bounds: 256 MiB, 90 days, 100,000 single requests.
fn history_at(path: PathBuf) -> StoreOptions {
    StoreOptions {
        path,
        max_bytes: 256 << 20,
        max_age: Duration::from_hours(90 * 24),
        requests: 100_000,
    }
}

/// Returns an error with its causes.
fn chain(error: &StoreError) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

/// Waits for SIGTERM or SIGINT, then for what runs to finish. A second signal ends that wait.
/// Returns the number of requests that were cut off.
async fn run_until_stopped(server: Server, drain: Duration) -> std::io::Result<usize> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!(drain_s = drain.as_secs(), "relay.stop");
    let hurry = server.hurry();
    let mut stopping = tokio::task::spawn_blocking(move || server.stop(drain));
    let stopped = tokio::select! {
        stopped = &mut stopping => stopped,
        _ = terminate.recv() => {
            hurry.now();
            stopping.await
        }
        _ = interrupt.recv() => {
            hurry.now();
            stopping.await
        }
    };
    stopped.map_err(std::io::Error::other)
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
