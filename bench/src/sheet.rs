//! Metrics, their goals, and the sheet that holds what was measured.
//!
//! Values come in by metric and subject; medians, ratios and verdicts go out. The goals of the
//! project stand here and nowhere else. Must never invent a value: what was not measured is absent.
use std::collections::BTreeMap;

use crate::subject::Kind;

/// A quantity that is measured for each subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    /// CPU a request of 2 KB, 16 connections, microseconds.
    CpuSmall,
    /// CPU a request of 200 KB, 16 connections, microseconds.
    CpuLarge,
    /// Requests a second at 2 KB, 16 connections.
    RateSmall,
    /// Added median latency at 2 KB, microseconds.
    AddedSmall,
    /// Added median latency at 200 KB, microseconds.
    AddedLarge,
    /// Added median latency at 2 MB, microseconds.
    AddedHuge,
    /// Median latency an event, 200 paced streams, microseconds.
    EventP50,
    /// 99th percentile of the latency an event, microseconds.
    EventP99,
    /// CPU an event, microseconds.
    CpuEvent,
    /// Median latency that the relay adds to an event of Bedrock, as a multiple of what it adds to
    /// one that passes as it is.
    FramesP50,
    /// The same of the 99th percentile.
    FramesP99,
    /// CPU an event of Bedrock, as a multiple of one that passes as it is.
    FramesCpu,
    /// CPU a request of 2 KB with everything that can be seen, as a multiple of without.
    ObservedSmall,
    /// The same of 200 KB.
    ObservedLarge,
    /// The 99th percentile of an event's latency with it, as a multiple of without.
    ObservedEvent,
    /// CPU a request at 2 KB beside a dashboard, as a multiple of that beside nobody.
    WatchedCpu,
    /// The 99th percentile of an event's latency beside a thousand subscribers, likewise.
    WatchedEvent,
    /// Milliseconds from an order over the management API to its being in force, the longest of a round.
    Order,
    /// Events delivered a second, 16 streams without a gap.
    RateRush,
    /// CPU an event of those, microseconds.
    CpuRush,
    /// Calls that receive, an event.
    RecvEvent,
    /// Calls that send, an event.
    SendEvent,
    /// Futex calls, an event.
    FutexEvent,
    /// All system calls, an event.
    CallsEvent,
    /// Memory a stream with 2,000 idle streams open, kilobytes.
    IdleStream,
    /// Memory a stream with up to 8,000 idle streams open, kilobytes.
    IdleStreamMany,
    /// Resident memory after start, megabytes.
    Fresh,
    /// Resident memory some time after 2,000 streams have closed, megabytes.
    Drained,
    /// Exec to first answer, milliseconds.
    ColdStart,
    /// Upstream streams left one second after 50 clients vanished.
    Leftover,
}

/// What a metric of cc-relay is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// At most this value.
    AtMost(f64),
    /// At most this many times the value of that subject in the same run.
    Times(f64, Kind),
}

/// The goals, in the order of the table.
pub(crate) const GOALS: [(Metric, Goal); 24] = [
    (Metric::CpuSmall, Goal::Times(1.3, Kind::Hyper)),
    (Metric::CpuSmall, Goal::Times(1.25, Kind::NginxChecked)),
    (Metric::CpuLarge, Goal::Times(1.0, Kind::Nginx)),
    (Metric::AddedSmall, Goal::Times(1.5, Kind::Nginx)),
    (Metric::AddedLarge, Goal::Times(0.8, Kind::Nginx)),
    (Metric::AddedHuge, Goal::Times(1.2, Kind::Nginx)),
    (Metric::EventP50, Goal::Times(1.1, Kind::Nginx)),
    (Metric::EventP99, Goal::Times(1.2, Kind::Nginx)),
    (Metric::CpuEvent, Goal::Times(1.0, Kind::Hyper)),
    (Metric::FramesP50, Goal::AtMost(1.5)),
    (Metric::ObservedSmall, Goal::AtMost(1.05)),
    (Metric::ObservedLarge, Goal::AtMost(1.05)),
    (Metric::WatchedCpu, Goal::AtMost(1.05)),
    (Metric::WatchedEvent, Goal::AtMost(1.1)),
    (Metric::Order, Goal::AtMost(50.0)),
    (Metric::RecvEvent, Goal::AtMost(1.05)),
    (Metric::SendEvent, Goal::AtMost(1.05)),
    (Metric::FutexEvent, Goal::AtMost(0.1)),
    (Metric::IdleStream, Goal::AtMost(20.0)),
    (Metric::IdleStreamMany, Goal::AtMost(20.0)),
    (Metric::Fresh, Goal::AtMost(10.0)),
    (Metric::Drained, Goal::AtMost(20.0)),
    (Metric::ColdStart, Goal::AtMost(10.0)),
    (Metric::Leftover, Goal::AtMost(0.0)),
];

/// Every metric, in the order of the table.
pub(crate) const METRICS: [Metric; 30] = [
    Metric::CpuSmall,
    Metric::CpuLarge,
    Metric::RateSmall,
    Metric::AddedSmall,
    Metric::AddedLarge,
    Metric::AddedHuge,
    Metric::EventP50,
    Metric::EventP99,
    Metric::CpuEvent,
    Metric::FramesP50,
    Metric::FramesP99,
    Metric::FramesCpu,
    Metric::ObservedSmall,
    Metric::ObservedLarge,
    Metric::ObservedEvent,
    Metric::WatchedCpu,
    Metric::WatchedEvent,
    Metric::Order,
    Metric::RateRush,
    Metric::CpuRush,
    Metric::RecvEvent,
    Metric::SendEvent,
    Metric::FutexEvent,
    Metric::CallsEvent,
    Metric::IdleStream,
    Metric::IdleStreamMany,
    Metric::Fresh,
    Metric::Drained,
    Metric::ColdStart,
    Metric::Leftover,
];

impl Metric {
    /// Returns the title in tables, with the unit.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::CpuSmall => "CPU a request, 2 KB (µs)",
            Self::CpuLarge => "CPU a request, 200 KB (µs)",
            Self::RateSmall => "requests a second, 2 KB, 16 connections",
            Self::AddedSmall => "added p50, 2 KB (µs)",
            Self::AddedLarge => "added p50, 200 KB (µs)",
            Self::AddedHuge => "added p50, 2 MB (µs)",
            Self::EventP50 => "event latency p50, 200 streams (µs)",
            Self::EventP99 => "event latency p99, 200 streams (µs)",
            Self::CpuEvent => "CPU an event (µs)",
            Self::FramesP50 => "added latency p50 an event of Bedrock (× plain)",
            Self::FramesP99 => "added latency p99 an event of Bedrock (× plain)",
            Self::FramesCpu => "CPU an event of Bedrock (× plain)",
            Self::ObservedSmall => "CPU a request, 2 KB, everything on (× off)",
            Self::ObservedLarge => "CPU a request, 200 KB, everything on (× off)",
            Self::ObservedEvent => "event latency p99, everything on (× off)",
            Self::WatchedCpu => "CPU a request, 2 KB, beside a dashboard (× nobody)",
            Self::WatchedEvent => "event latency p99, beside 1,000 subscribers (× nobody)",
            Self::Order => "order to effect, longest of 20 (ms)",
            Self::RateRush => "events a second with no delay, 16 streams",
            Self::CpuRush => "CPU an event with no delay (µs)",
            Self::RecvEvent => "receive calls an event",
            Self::SendEvent => "send calls an event",
            Self::FutexEvent => "futex calls an event",
            Self::CallsEvent => "all system calls an event",
            Self::IdleStream => "memory an idle stream, 2,000 open (kB)",
            Self::IdleStreamMany => "memory an idle stream, 8,000 open (kB)",
            Self::Fresh => "resident memory, fresh (MB)",
            Self::Drained => "resident memory after 2,000 streams closed (MB)",
            Self::ColdStart => "cold start (ms)",
            Self::Leftover => "upstream streams left 1 s after 50 clients vanished",
        }
    }
}

/// Medians by metric and subject.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sheet {
    cells: BTreeMap<(Metric, Kind), f64>,
    ratios: BTreeMap<(Metric, Kind), f64>,
    /// Remarks that a reader of the numbers must know.
    pub(crate) notes: Vec<String>,
}

/// A goal with what was measured against it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    /// Which quantity.
    pub(crate) metric: Metric,
    /// What it is held against.
    pub(crate) goal: Goal,
    /// Value of cc-relay, or its ratio to the other subject.
    pub(crate) reached: f64,
}

impl Verdict {
    /// Whether the goal is met when it is widened by `slack` (1.0 is none).
    pub(crate) fn met(&self, slack: f64) -> bool {
        let (Goal::AtMost(limit) | Goal::Times(limit, _)) = self.goal;
        self.reached <= limit * slack
    }
}

impl Sheet {
    /// Sets a value.
    pub(crate) fn set(&mut self, metric: Metric, kind: Kind, value: f64) {
        self.cells.insert((metric, kind), value);
    }

    /// Sets the ratio of cc-relay to another subject.
    pub(crate) fn set_ratio(&mut self, metric: Metric, other: Kind, ratio: f64) {
        self.ratios.insert((metric, other), ratio);
    }

    /// Returns a value that was measured.
    pub(crate) fn get(&self, metric: Metric, kind: Kind) -> Option<f64> {
        self.cells.get(&(metric, kind)).copied()
    }

    /// Takes over everything that another sheet holds.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.cells.extend(other.cells);
        self.ratios.extend(other.ratios);
        self.notes.extend(other.notes);
    }

    /// Returns every goal for which both sides were measured.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for (metric, goal) in GOALS {
            let Some(own) = self.get(metric, Kind::Relay) else {
                continue;
            };
            let reached = match goal {
                Goal::AtMost(_) => Some(own),
                Goal::Times(_, other) => self.ratios.get(&(metric, other)).copied(),
            };
            verdicts.extend(reached.map(|reached| Verdict {
                metric,
                goal,
                reached,
            }));
        }
        verdicts
    }
}

/// Returns the median, zero of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2).copied().unwrap_or(0.0);
    let lower = values
        .get(values.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(upper);
    f64::midpoint(lower, upper)
}

/// Returns the exact percentile of all samples (`permille` 500 is the median), in microseconds.
pub(crate) fn percentile_micros(nanos: &mut [u64], permille: usize) -> f64 {
    nanos.sort_unstable();
    let at = nanos.len().saturating_mul(permille) / 1000;
    nanos
        .get(at.min(nanos.len().saturating_sub(1)))
        .copied()
        .map_or(0.0, float)
        / 1000.0
}

/// Returns a count as a float.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts and nanoseconds here stay below 2^52"
)]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles_are_exact() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        let mut nanos: Vec<u64> = (1..=1000).rev().map(|n| n * 1000).collect();
        assert!((percentile_micros(&mut nanos, 500) - 501.0).abs() < 1e-9);
        assert!((percentile_micros(&mut nanos, 990) - 991.0).abs() < 1e-9);
        assert!((percentile_micros(&mut nanos, 1000) - 1000.0).abs() < 1e-9);
        assert!(median(Vec::new()).abs() < 1e-9);
    }

    #[test]
    fn a_goal_is_judged_in_its_own_terms_and_only_when_measured() {
        let mut sheet = Sheet::default();
        sheet.set(Metric::CpuLarge, Kind::Relay, 50.0);
        assert!(sheet.verdicts().is_empty());
        sheet.set_ratio(Metric::CpuLarge, Kind::Nginx, 1.2);
        sheet.set(Metric::Leftover, Kind::Relay, 1.0);
        let verdicts = sheet.verdicts();
        assert_eq!(verdicts.len(), 2);
        assert!(!verdicts[0].met(1.0) && verdicts[0].met(1.25));
        assert!(!verdicts[1].met(1.25));
    }
}
