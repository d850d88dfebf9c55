//! CPU a request: 16 connections in a closed loop, at 2 KB and 200 KB.
//!
//! A plan comes in; CPU a request and requests a second go out. The count of requests is fixed,
//! so a slow machine makes a round longer and not the answer different.
use anyhow::Result;

use super::Plan;
use crate::{
    body,
    load::ClosedLoop,
    measure::Cpu,
    rounds::{self, Round},
    sheet::{Metric, Sheet, float},
    subject::{Kind, Subject},
};

const CONNECTIONS: usize = 16;

/// One size of request.
struct Size {
    bytes: usize,
    each: usize,
    cpu: Metric,
    rate: Option<Metric>,
}

/// Measures both sizes.
pub(crate) async fn run(plan: &Plan) -> Result<Sheet> {
    let mut subjects = plan.start_all()?;
    let small = Size {
        bytes: 2048,
        each: 1200 * plan.length,
        cpu: Metric::CpuSmall,
        rate: Some(Metric::RateSmall),
    };
    let large = Size {
        bytes: 200 * 1024,
        each: 160 * plan.length,
        cpu: Metric::CpuLarge,
        rate: None,
    };
    let mut sheet = Sheet::default();
    for size in [small, large] {
        let request = body::request(size.bytes, "json 1024");
        let what = format!("requests of {} bytes", size.bytes);
        let medians = rounds::collect(&what, plan.rounds, async || {
            let mut round = Round::default();
            for subject in &subjects {
                one(subject, &size, &request, &mut round).await?;
            }
            // Nobody always runs in the wake of the same neighbour.
            subjects.rotate_left(1);
            Ok(round)
        });
        sheet.absorb(medians.await?);
    }
    Ok(sheet)
}

async fn one(subject: &Subject, size: &Size, request: &[u8], round: &mut Round) -> Result<()> {
    let warm = ClosedLoop::open(subject.address, CONNECTIONS, request).await?;
    let before = Cpu::read(&subject.pids)?;
    let (_warm, took) = warm.run(size.each).await?;
    let spent = Cpu::read(&subject.pids)?.since(&before);
    let requests = float((CONNECTIONS * size.each) as u64);
    let rate = requests / took.as_secs_f64();
    if subject.kind == Kind::Direct {
        round.direct = rate;
    } else {
        round
            .cells
            .push((size.cpu, subject.kind, float(spent) / 1000.0 / requests));
    }
    round
        .cells
        .extend(size.rate.map(|metric| (metric, subject.kind, rate)));
    Ok(())
}
