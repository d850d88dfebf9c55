//! System calls an event, counted by `strace` while 50 streams carry a fixed number of events.
//!
//! A plan comes in; counts an event go out. The tracer attaches after the streams are open and
//! leaves before they close, so only events are counted. A stopped thread meets more events at
//! once than a free one, which makes waits cheaper but leaves receives and sends as they are.
use std::time::Duration;

use anyhow::Result;

use super::Plan;
use crate::{
    body, load,
    measure::Strace,
    sheet::{Metric, Sheet, float},
    subject::Subject,
};

const STREAMS: usize = 50;
const EACH: usize = 80;
const RECEIVE: [&str; 5] = ["read", "readv", "recvfrom", "recvmsg", "recvmmsg"];
const SEND: [&str; 5] = ["write", "writev", "sendto", "sendmsg", "sendmmsg"];

/// Counts for every proxy of the plan.
pub(crate) async fn run(plan: &Plan) -> Result<Sheet> {
    let mut sheet = Sheet::default();
    for kind in plan.proxies() {
        let subject = plan.launcher.start(kind)?;
        one(&subject, &mut sheet).await?;
    }
    Ok(sheet)
}

async fn one(subject: &Subject, sheet: &mut Sheet) -> Result<()> {
    let request = body::request(2048, &format!("paced {EACH} 50000 3000 hold"));
    let streams = load::open_streams(subject.address, STREAMS, &request).await?;
    let pid = std::process::id();
    let summary = std::env::temp_dir().join(format!("relay-bench-{pid}-strace"));
    let strace = Strace::attach(&subject.pids, &summary).await?;
    let patience = Duration::from_secs(30);
    let (_streams, _) = load::read_events(streams, EACH, patience).await?;
    let calls = strace.finish(&summary);
    std::fs::remove_file(&summary).unwrap_or_default();
    let calls = calls?;
    let events = float((STREAMS * EACH) as u64);
    let sum = |names: &[&str]| {
        let count: u64 = names.iter().filter_map(|name| calls.get(*name)).sum();
        float(count) / events
    };
    let kind = subject.kind;
    sheet.set(Metric::RecvEvent, kind, sum(&RECEIVE));
    sheet.set(Metric::SendEvent, kind, sum(&SEND));
    sheet.set(Metric::FutexEvent, kind, sum(&["futex"]));
    sheet.set(
        Metric::CallsEvent,
        kind,
        float(calls.values().sum()) / events,
    );
    Ok(())
}
