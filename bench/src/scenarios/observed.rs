//! Everything that can be seen, on against off: metrics that are scraped each second, and the history.
//!
//! A plan comes in; what a request takes with all of it as a multiple of what it takes without goes
//! out: CPU at 2 KB and 200 KB, and the 99th percentile of the latency of an event.
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use super::Plan;
use crate::{
    body,
    load::{self, ClosedLoop},
    measure::Cpu,
    rounds::{self, Bounds, Round},
    sheet::{Metric, Sheet, float, percentile_micros},
    subject::{Kind, Subject},
};

const CONNECTIONS: usize = 16;

const STREAMS: usize = 200;

/// Measures both.
pub(crate) async fn run(plan: &Plan) -> Result<Sheet> {
    let (off, on) = (
        plan.launcher.start(Kind::Relay)?,
        plan.launcher.start(Kind::Observed)?,
    );
    let scraper = Scraper::start(on.metrics.context("no address of metrics")?);
    let small = body::request(2048, "json 1024");
    let large = body::request(200 * 1024, "json 1024");
    let each = 20 * plan.length;
    let streams = body::request(2048, &format!("paced {each} 50000 500 hold"));
    let mut turn = false;
    // Ratios near one: more rounds than others need.
    let bounds = Bounds {
        want: plan.rounds.want * 2,
        ..plan.rounds
    };
    let medians = rounds::collect("everything on", bounds, async || {
        turn = !turn;
        let mut round = Round {
            direct: 1.0,
            ..Round::default()
        };
        for (metric, request, count) in [
            (Metric::ObservedSmall, &small, 1200 * plan.length),
            (Metric::ObservedLarge, &large, 160 * plan.length),
        ] {
            let (mine, other) = both(turn, &off, &on, async |it| {
                requests(it, request, count).await
            })
            .await?;
            round.cells.push((metric, Kind::Relay, mine / other));
        }
        let (mine, other) =
            both(turn, &off, &on, async |it| events(it, &streams, each).await).await?;
        round
            .cells
            .push((Metric::ObservedEvent, Kind::Relay, mine / other));
        Ok(round)
    });
    let medians = medians.await;
    scraper.stop()?;
    medians
}

/// Measures one after the other, neither always first; returns what is on before what is off.
pub(super) async fn both(
    turn: bool,
    off: &Subject,
    on: &Subject,
    one: impl AsyncFn(&Subject) -> Result<f64>,
) -> Result<(f64, f64)> {
    if turn {
        let on = one(on).await?;
        return Ok((on, one(off).await?.max(1e-9)));
    }
    let off = one(off).await?.max(1e-9);
    Ok((one(on).await?, off))
}

/// Returns the CPU a request in microseconds.
pub(super) async fn requests(subject: &Subject, request: &[u8], each: usize) -> Result<f64> {
    let warm = ClosedLoop::open(subject.address, CONNECTIONS, request).await?;
    let before = Cpu::read(&subject.pids)?;
    let (_warm, _took) = warm.run(each).await?;
    // What is written behind the path counts too.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let spent = Cpu::read(&subject.pids)?.since(&before);
    Ok(float(spent) / 1000.0 / float((CONNECTIONS * each) as u64))
}

/// Returns the 99th percentile of an event's latency in microseconds.
pub(super) async fn events(subject: &Subject, request: &[u8], each: usize) -> Result<f64> {
    let streams = load::open_streams(subject.address, STREAMS, request).await?;
    let patience = Duration::from_millis(50 * each as u64) + Duration::from_secs(10);
    let (_streams, mut nanos) = load::read_events(streams, each, patience).await?;
    Ok(percentile_micros(&mut nanos, 990))
}

/// Asks for the metrics each second, as Prometheus would more rarely.
struct Scraper {
    ends: Arc<AtomicBool>,
    thread: thread::JoinHandle<Result<u64>>,
}

impl Scraper {
    fn start(address: SocketAddr) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&ends);
        let thread = thread::spawn(move || {
            let mut pages = 0;
            while !asked.load(Ordering::Relaxed) {
                let mut stream = TcpStream::connect(address)?;
                stream.write_all(
                    b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n",
                )?;
                let mut page = String::new();
                stream.read_to_string(&mut page)?;
                ensure!(page.starts_with("HTTP/1.1 200"), "no metrics: {page}");
                pages += 1;
                thread::sleep(Duration::from_secs(1));
            }
            Ok(pages)
        });
        Self { ends, thread }
    }

    fn stop(self) -> Result<()> {
        self.ends.store(true, Ordering::Relaxed);
        let pages = self.thread.join();
        let pages = pages.map_err(|_| anyhow::anyhow!("the scraper panicked"))??;
        ensure!(pages > 0, "nobody asked for the metrics");
        Ok(())
    }
}
