//! Events: 200 streams, each with an event every 50 ms, out of phase.
//!
//! A plan comes in; the latency from the mock's write to the client's read, and the proxy's CPU an
//! event, go out. Latency is that of the whole way; `direct` is its floor.
use std::time::Duration;

use anyhow::Result;

use super::Plan;
use crate::{
    body, load,
    measure::Cpu,
    rounds::{self, Round},
    sheet::{Metric, Sheet, float, percentile_micros},
    subject::{Kind, Subject},
};

const STREAMS: usize = 200;

/// Measures latency and CPU an event.
pub(crate) async fn run(plan: &Plan) -> Result<Sheet> {
    let mut subjects = plan.start_all()?;
    let each = 20 * plan.length;
    let request = body::request(2048, &format!("paced {each} 50000 500 hold"));
    let medians = rounds::collect("events", plan.rounds, async || {
        let mut round = Round::default();
        for subject in &subjects {
            one(subject, each, &request, &mut round).await?;
        }
        // Nobody always runs in the wake of the same neighbour.
        subjects.rotate_left(1);
        Ok(round)
    });
    medians.await
}

async fn one(subject: &Subject, each: usize, request: &[u8], round: &mut Round) -> Result<()> {
    let streams = load::open_streams(subject.address, STREAMS, request).await?;
    // The first events come half a second after the opening: nothing but events is counted.
    let before = Cpu::read(&subject.pids)?;
    let patience = Duration::from_millis(50 * each as u64) + Duration::from_secs(10);
    let (_streams, mut nanos) = load::read_events(streams, each, patience).await?;
    let spent = Cpu::read(&subject.pids)?.since(&before);
    let events = float((STREAMS * each) as u64);
    let middle = percentile_micros(&mut nanos, 500);
    if subject.kind == Kind::Direct {
        round.direct = middle;
    } else {
        round.cells.push((
            Metric::CpuEvent,
            subject.kind,
            float(spent) / 1000.0 / events,
        ));
    }
    round.cells.push((Metric::EventP50, subject.kind, middle));
    round.cells.push((
        Metric::EventP99,
        subject.kind,
        percentile_micros(&mut nanos, 990),
    ));
    Ok(())
}
