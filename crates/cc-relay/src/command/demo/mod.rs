//! `demo`: a made-up upstream and a relay in this process, with real streams through real sockets.
//!
//! In: how long. Out: a line for each request, and at the end whether every byte was right. It needs
//! no account, speaks to loopback only, and writes nothing.

mod client;
mod show;
mod turns;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use relay_config::{Plan, ProxyPlan};
use relay_core::record::{Bodies, RequestRecord};
use relay_proxy::RecordSink;
use relay_sim::{Recorded, Script, Sim};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use self::client::Verdict;
use self::show::Totals;
use self::turns::{ALL_KINDS, TURN, Turn};
use crate::cli::DemoArgs;
use crate::clock;
use crate::command::{Context, block_on};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::serve::Live;

/// The usual time between two turns; a short demo is faster, so that it shows every kind.
const PACE: Duration = Duration::from_millis(300);
/// How long turns that are under way may take at the end.
const PATIENCE: Duration = Duration::from_secs(10);
/// Records that wait to be shown; more are not shown.
const RECORDS: usize = 1024;

/// Hands the relay's records to the screen. A slow screen loses lines, never time on the path.
struct Records(mpsc::Sender<Arc<RequestRecord>>);

impl RecordSink for Records {
    fn record(&self, record: &Arc<RequestRecord>, _: Option<&Bodies>) {
        // Full means that nobody reads as fast; the summary does not depend on it.
        drop(self.0.try_send(Arc::clone(record)));
    }
}

/// What the upstream saw of each turn's request: the SHA-256 of its body.
type Seen = Arc<Mutex<HashMap<u64, [u8; 32]>>>;

/// Runs the demo.
///
/// # Errors
/// When the relay or the made-up upstream cannot start.
pub fn run(context: &mut Context, arguments: &DemoArgs) -> Result<Exit, Failure> {
    block_on(play(context, arguments))?
}

async fn play(context: &mut Context, arguments: &DemoArgs) -> Result<Exit, Failure> {
    let seen = Seen::default();
    let sim = upstream(Arc::clone(&seen)).await?;
    let (sender, records) = mpsc::channel(RECORDS);
    let plan = plan(&sim, arguments.listen);
    let live = Live::start(plan, Arc::new(Records(sender)))?;
    let mut stage = Stage {
        relay: live.server().address(),
        started: since_epoch(),
        records,
        tasks: TaskTracker::new(),
        totals: Arc::new(Mutex::new(Totals::default())),
    };
    let url = format!("http://{}", stage.relay);
    if context.out.is_json() {
        context.out.data(json!({ "url": url }), &[])?;
    } else {
        for line in show::head(&url) {
            context.out.line(&line)?;
        }
    }
    let sent = stage.perform(context, arguments.duration).await?;
    stage.finish(context).await?;
    // Stopping waits on this thread's upstream, so it waits elsewhere.
    let stopped = stage
        .tasks
        .spawn_blocking(move || live.stop(Duration::from_secs(1)));
    let stopped = stopped.await;
    sim.stop().await;
    stopped.map_err(|_| Failure::new(Exit::Failed, "demo", "the relay did not stop"))?;
    let mut totals = *stage.totals.lock();
    totals.requests_changed = changed(&seen, sent);
    if context.out.is_json() {
        context.out.data(totals.to_json(), &[])?;
    } else {
        for line in totals.lines(context.env.ascii_only()) {
            context.out.line(&line)?;
        }
    }
    Ok(if totals.is_sound() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// The running demo.
struct Stage {
    relay: SocketAddr,
    /// Since the Unix epoch.
    started: Duration,
    records: mpsc::Receiver<Arc<RequestRecord>>,
    tasks: TaskTracker,
    totals: Arc<Mutex<Totals>>,
}

impl Stage {
    /// Sends turns and shows records until the time is over or ctrl-c; returns how many turns.
    async fn perform(
        &mut self,
        context: &mut Context,
        limit: Option<Duration>,
    ) -> Result<u64, Failure> {
        let pace = limit
            .and_then(|limit| limit.checked_div(15))
            .map_or(PACE, |pace| pace.min(PACE));
        // An interval of zero is none.
        let mut pace = tokio::time::interval(pace.max(Duration::from_millis(1)));
        let end = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(end);
        let interrupt = tokio::signal::ctrl_c();
        tokio::pin!(interrupt);
        let mut number = 0_u64;
        loop {
            tokio::select! {
                biased;
                _signal = &mut interrupt => return Ok(number),
                () = &mut end => {
                    // However short the time or busy the machine: every kind is shown.
                    while number < ALL_KINDS {
                        self.send(Turn::new(number));
                        number = number.saturating_add(1);
                    }
                    return Ok(number);
                }
                _tick = pace.tick() => {
                    self.send(Turn::new(number));
                    number = number.saturating_add(1);
                }
                Some(record) = self.records.recv() => self.show(context, &record)?,
            }
        }
    }

    fn send(&self, turn: Turn) {
        let (relay, totals) = (self.relay, Arc::clone(&self.totals));
        self.tasks.spawn(async move {
            let verdict = tokio::time::timeout(PATIENCE, client::send(relay, turn)).await;
            totals.lock().add(verdict.unwrap_or(Verdict::Different));
        });
    }

    /// Lets the turns under way end and shows what is left.
    async fn finish(&mut self, context: &mut Context) -> Result<(), Failure> {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
        while let Ok(record) = self.records.try_recv() {
            self.show(context, &record)?;
        }
        Ok(())
    }

    fn show(&self, context: &mut Context, record: &RequestRecord) -> Result<(), Failure> {
        if context.out.is_json() {
            return context.out.data(show::to_json(record), &[]);
        }
        context
            .out
            .line(&show::line(record, self.started, context.env.ascii_only()))
    }
}

/// Starts the made-up upstream, which answers a turn by its number.
async fn upstream(seen: Seen) -> Result<Sim, Failure> {
    let sim = Sim::builder().start().await.map_err(|error| {
        Failure::new(
            Exit::Failed,
            "demo",
            format!("cannot start the made-up upstream: {error:#}"),
        )
    })?;
    sim.route(move |request: &Recorded| {
        let turn = Turn::new(request.header(TURN)?.parse().ok()?);
        seen.lock()
            .insert(turn.number, Sha256::digest(&request.body).into());
        Some(turn.script())
    });
    sim.set_default(Script::text(
        "This is the cc-relay demo: the answer is made up, the way it took is real.",
    ));
    Ok(sim)
}

fn plan(sim: &Sim, listen: SocketAddr) -> Plan {
    let mut plan = Plan::transparent();
    plan.server.listen = listen;
    for provider in &mut plan.providers {
        provider.base_url = sim.base_url();
        provider.proxy = ProxyPlan::None;
    }
    plan
}

/// Counts the turns whose request did not reach the upstream as it was sent.
fn changed(seen: &Seen, sent: u64) -> u64 {
    let seen = seen.lock();
    let wrong = (0..sent).filter(|number| {
        let body: [u8; 32] = Sha256::digest(Turn::new(*number).body()).into();
        seen.get(number) != Some(&body)
    });
    wrong.count() as u64
}

fn since_epoch() -> Duration {
    Duration::try_from(clock::now().duration_since(jiff::Timestamp::UNIX_EPOCH)).unwrap_or_default()
}
