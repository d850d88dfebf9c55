//! The gate: the metrics that are exact enough to fail a build on, in under three minutes.
//!
//! A plan comes in; a list of failures goes out, empty when all is well. Timings are judged only
//! as CPU ratios within one run, and those with a quarter of slack.
use anyhow::Result;

use crate::{
    report::number,
    scenarios::{Plan, disconnect, events, memory, requests, start, syscalls},
    sheet::{Goal, Metric, Sheet, Verdict},
    subject::Kind,
};

/// How far a CPU ratio may exceed its goal.
const CPU_SLACK: f64 = 1.25;

/// Measures what the gate judges.
pub(crate) async fn measure(plan: &Plan) -> Result<Sheet> {
    let alone = Plan {
        kinds: vec![Kind::Relay],
        ..plan.clone()
    };
    let mut sheet = start::run(&alone)?;
    sheet.absorb(disconnect::run(&alone).await?);
    sheet.absorb(syscalls::run(&alone).await?);
    memory::idle(&alone.launcher.start(Kind::Relay)?, &mut sheet).await?;
    sheet.absorb(requests::run(plan).await?);
    sheet.absorb(events::run(plan).await?);
    Ok(sheet)
}

/// Returns one line for every goal of the gate that was missed.
pub(crate) fn failures(sheet: &Sheet) -> Vec<String> {
    let mut failures = Vec::new();
    for verdict in sheet.verdicts() {
        let Some(slack) = slack(&verdict) else {
            continue;
        };
        if !verdict.met(slack) {
            let (Goal::AtMost(limit) | Goal::Times(limit, _)) = verdict.goal;
            let against = match verdict.goal {
                Goal::AtMost(_) => String::new(),
                Goal::Times(_, other) => format!(" times {}", other.name()),
            };
            failures.push(format!(
                "{}: {}{against}, the gate is {}",
                verdict.metric.title(),
                number(verdict.reached),
                number(limit * slack)
            ));
        }
    }
    failures
}

/// Returns how much a goal is widened here; nothing for one that the gate does not judge.
fn slack(verdict: &Verdict) -> Option<f64> {
    match verdict.metric {
        Metric::CpuSmall | Metric::CpuLarge | Metric::CpuEvent => Some(CPU_SLACK),
        Metric::RecvEvent
        | Metric::SendEvent
        | Metric::FutexEvent
        | Metric::IdleStream
        | Metric::Fresh
        | Metric::ColdStart
        | Metric::Leftover => Some(1.0),
        Metric::RateSmall
        | Metric::AddedSmall
        | Metric::AddedLarge
        | Metric::AddedHuge
        | Metric::EventP50
        | Metric::EventP99
        | Metric::FramesP50
        | Metric::FramesP99
        | Metric::FramesCpu
        | Metric::ObservedSmall
        | Metric::ObservedLarge
        | Metric::ObservedEvent
        | Metric::WatchedCpu
        | Metric::WatchedEvent
        | Metric::Order
        | Metric::RateRush
        | Metric::CpuRush
        | Metric::CallsEvent
        | Metric::IdleStreamMany
        | Metric::Drained => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_has_slack_and_leftovers_have_none() {
        let mut sheet = Sheet::default();
        sheet.set(Metric::CpuLarge, Kind::Relay, 124.0);
        sheet.set_ratio(Metric::CpuLarge, Kind::Nginx, 1.24);
        sheet.set(Metric::Leftover, Kind::Relay, 0.0);
        assert!(failures(&sheet).is_empty());
        sheet.set_ratio(Metric::CpuLarge, Kind::Nginx, 1.26);
        sheet.set(Metric::Leftover, Kind::Relay, 1.0);
        assert_eq!(failures(&sheet).len(), 2);
    }
}
