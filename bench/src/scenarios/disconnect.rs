//! Clients that vanish: 50 streams are open, all clients go, the mock is asked one second later.
//!
//! A plan comes in; the number of upstream streams that still run goes out. Each of them would be
//! paid for. Half of the streams speak and half are silent, since a proxy that learns of the end
//! only by writing never learns of it on a silent stream.
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::sleep;

use super::Plan;
use crate::{
    body,
    load::{self, Connection},
    sheet::{Metric, Sheet},
    subject::{Kind, Subject},
};

/// Counts for every proxy of the plan.
pub(crate) async fn run(plan: &Plan) -> Result<Sheet> {
    let mut sheet = Sheet::default();
    let mut mock = Connection::open(plan.launcher.mock).await?;
    for kind in plan.proxies() {
        let subject = plan.launcher.start(kind)?;
        let before = open_streams(&mut mock).await?;
        anyhow::ensure!(
            before < 0.5,
            "{before} streams of another subject are still open"
        );
        sheet.set(Metric::Leftover, kind, one(&subject, &mut mock).await?);
        settle(subject, &mut mock, kind).await?;
    }
    Ok(sheet)
}

async fn one(subject: &Subject, mock: &mut Connection) -> Result<f64> {
    let mut streams = Vec::new();
    for answer in ["paced 0 0 0 hold", "paced 1000 50000 0 hold"] {
        let request = body::request(2048, answer);
        streams.extend(load::open_streams(subject.address, 25, &request).await?);
    }
    let open = open_streams(mock).await?;
    anyhow::ensure!(open > 49.5, "only {open} of 50 streams reached the mock");
    drop(streams);
    sleep(Duration::from_secs(1)).await;
    open_streams(mock).await
}

/// Stops the subject and waits until the mock has seen it.
async fn settle(subject: Subject, mock: &mut Connection, kind: Kind) -> Result<()> {
    drop(subject);
    for _ in 0..100 {
        if open_streams(mock).await? < 0.5 {
            return Ok(());
        }
        sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("streams of {} outlived it", kind.name())
}

async fn open_streams(mock: &mut Connection) -> Result<f64> {
    mock.get("/bench/streams")
        .await?
        .trim()
        .parse()
        .context("count of streams")
}
