//! Memory: fresh, with idle streams open, and after they have closed.
//!
//! A plan comes in; megabytes and kilobytes a stream go out. Every subject is a fresh process
//! here. A stream is idle after its first events, as one is while the model thinks.
use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::Plan;
use crate::{
    body, load,
    measure::resident_bytes,
    sheet::{Metric, Sheet, float},
    subject::{Kind, Launcher, Subject},
};

const STREAMS: usize = 2000;

/// Measures every proxy of the plan.
pub(crate) async fn run(plan: &Plan) -> Result<Sheet> {
    let mut sheet = Sheet::default();
    let mut subjects = Vec::new();
    for kind in plan.proxies() {
        let subject = plan.launcher.start(kind)?;
        idle(&subject, &mut sheet).await?;
        subjects.push(subject);
    }
    if plan.drain_seconds > 0 {
        sleep(Duration::from_secs(plan.drain_seconds)).await;
        for subject in &subjects {
            sheet.set(
                Metric::Drained,
                subject.kind,
                megabytes(resident_bytes(&subject.pids)?),
            );
        }
        sheet
            .notes
            .push(format!("memory read again after {} s", plan.drain_seconds));
    }
    drop(subjects);
    if plan.many_streams > STREAMS {
        for kind in plan.proxies() {
            let each = many(&plan.launcher, kind, plan.many_streams).await?;
            sheet.set(Metric::IdleStreamMany, kind, each);
        }
    }
    Ok(sheet)
}

/// Measures a fresh subject, then opens 2,000 streams, measures again, and closes them.
pub(crate) async fn idle(subject: &Subject, sheet: &mut Sheet) -> Result<()> {
    sleep(Duration::from_millis(500)).await;
    sheet.set(
        Metric::Fresh,
        subject.kind,
        megabytes(resident_bytes(&subject.pids)?),
    );
    let each = kilobytes_a_stream(subject, STREAMS).await?;
    sheet.set(Metric::IdleStream, subject.kind, each);
    Ok(())
}

async fn many(launcher: &Launcher, kind: Kind, count: usize) -> Result<f64> {
    let subject = launcher.start(kind)?;
    kilobytes_a_stream(&subject, count).await
}

async fn kilobytes_a_stream(subject: &Subject, count: usize) -> Result<f64> {
    let request = body::request(2048, "paced 0 0 0 hold");
    // What the first requests allocate once is not the price of a stream.
    let _warm = load::open_streams(subject.address, 20, &request).await?;
    let before = resident_bytes(&subject.pids)?;
    let streams = load::open_streams(subject.address, count, &request).await?;
    sleep(Duration::from_millis(500)).await;
    let after = resident_bytes(&subject.pids)?;
    drop(streams);
    Ok(float(after.saturating_sub(before)) / 1000.0 / float(count as u64))
}

fn megabytes(bytes: u64) -> f64 {
    float(bytes) / 1e6
}
