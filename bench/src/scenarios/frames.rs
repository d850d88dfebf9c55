//! Events of Bedrock: frames that are decoded, beside events that pass as they are.
//!
//! A plan comes in; what the relay adds to an event of one kind as a multiple of what it adds to
//! one of the other goes out. Both are added to the same floor: the client at the mock, without
//! frames, since no client reads these.
use anyhow::Result;

use super::Plan;
use crate::{
    body, load,
    measure::Cpu,
    rounds::{self, Round},
    sheet::{Metric, Sheet, float, percentile_micros},
    subject::{Kind, Subject},
};
use std::time::Duration;

const STREAMS: usize = 200;

/// What one subject took in one round, in microseconds.
struct Taken {
    p50: f64,
    p99: f64,
    cpu: f64,
}

/// Measures both.
pub(crate) async fn run(plan: &Plan) -> Result<Sheet> {
    let start = |kind| plan.launcher.start(kind);
    let direct = start(Kind::Direct)?;
    let (passed, framed) = (start(Kind::Relay)?, start(Kind::Bedrock)?);
    let each = 20 * plan.length;
    let request = body::request(2048, &format!("paced {each} 50000 500 hold"));
    let mut turn = false;
    let medians = rounds::collect("frames", plan.rounds, async || {
        let floor = one(&direct, each, &request).await?;
        // Neither always runs first.
        turn = !turn;
        let (ours, theirs) = if turn {
            let ours = one(&passed, each, &request).await?;
            (ours, one(&framed, each, &request).await?)
        } else {
            let theirs = one(&framed, each, &request).await?;
            (one(&passed, each, &request).await?, theirs)
        };
        let mut round = Round {
            direct: floor.p50,
            ..Round::default()
        };
        let times = |theirs: f64, ours: f64| theirs / ours.max(1e-9);
        for (metric, value) in [
            (
                Metric::FramesP50,
                times(theirs.p50 - floor.p50, ours.p50 - floor.p50),
            ),
            (
                Metric::FramesP99,
                times(theirs.p99 - floor.p99, ours.p99 - floor.p99),
            ),
            (Metric::FramesCpu, times(theirs.cpu, ours.cpu)),
        ] {
            round.cells.push((metric, Kind::Relay, value));
        }
        Ok(round)
    });
    medians.await
}

async fn one(subject: &Subject, each: usize, request: &[u8]) -> Result<Taken> {
    let streams = load::open_streams(subject.address, STREAMS, request).await?;
    let before = Cpu::read(&subject.pids)?;
    let patience = Duration::from_millis(50 * each as u64) + Duration::from_secs(10);
    let (_streams, mut nanos) = load::read_events(streams, each, patience).await?;
    let spent = Cpu::read(&subject.pids)?.since(&before);
    Ok(Taken {
        p50: percentile_micros(&mut nanos, 500),
        p99: percentile_micros(&mut nanos, 990),
        cpu: float(spent) / 1000.0 / float((STREAMS * each) as u64),
    })
}
