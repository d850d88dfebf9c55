//! Rush: 16 streams whose events come without a gap.
//!
//! A plan comes in; events delivered a second and the proxy's CPU an event go out. The mock writes
//! each event by itself, so what a proxy gathers into one write it gathers from what waits.
use anyhow::Result;

use super::Plan;
use crate::{
    body, clock, load,
    measure::Cpu,
    rounds::{self, Round},
    sheet::{Metric, Sheet, float},
    subject::{Kind, Subject},
};

const STREAMS: usize = 16;

/// Measures both.
pub(crate) async fn run(plan: &Plan) -> Result<Sheet> {
    let mut subjects = plan.start_all()?;
    let each = 10_000 * plan.length;
    // Held open, so that no end of a stream falls into the time.
    let request = body::request(2048, &format!("paced {each} 0 0 hold"));
    let medians = rounds::collect("events without a gap", plan.rounds, async || {
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

/// The opening of the streams is counted too: less than a hundredth of the whole.
async fn one(subject: &Subject, each: usize, request: &[u8], round: &mut Round) -> Result<()> {
    let before = Cpu::read(&subject.pids)?;
    let begun = clock::now();
    load::rush(subject.address, STREAMS, each, request).await?;
    let took = begun.elapsed();
    let spent = Cpu::read(&subject.pids)?.since(&before);
    let events = float((STREAMS * each) as u64);
    let rate = events / took.as_secs_f64();
    if subject.kind == Kind::Direct {
        round.direct = rate;
    } else {
        let cpu = float(spent) / 1000.0 / events;
        round.cells.push((Metric::CpuRush, subject.kind, cpu));
    }
    round.cells.push((Metric::RateRush, subject.kind, rate));
    Ok(())
}
