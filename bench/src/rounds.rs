//! Rounds: every subject in turn, again and again, so that all of them see the same machine.
//!
//! A way to run one round comes in; a sheet of medians goes out. A round counts only if `direct`
//! stayed near its median, since that is the part no proxy can change. Must never drop a round
//! for what a proxy did in it.
use std::collections::BTreeMap;

use anyhow::Result;

use crate::{
    sheet::{Metric, Sheet, median},
    subject::Kind,
};

/// How far `direct` may stray from its median in a round that counts.
const STEADY: f64 = 0.15;

/// What one round measured.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// Any measure of `direct`; only its steadiness matters.
    pub(crate) direct: f64,
    /// The values of the subjects.
    pub(crate) cells: Vec<(Metric, Kind, f64)>,
}

/// Runs until `want` rounds are steady, at most twice as many; returns the medians of the steady.
pub(crate) async fn collect(
    what: &str,
    want: usize,
    mut run: impl AsyncFnMut() -> Result<Round>,
) -> Result<Sheet> {
    let mut rounds = Vec::new();
    while rounds.len() < want * 2 {
        rounds.push(run().await?);
        if rounds.len() >= want && steady(&rounds).len() >= want {
            break;
        }
    }
    let kept = steady(&rounds);
    let mut sheet = medians(&kept);
    let (counted, ran) = (kept.len(), rounds.len());
    if counted < want {
        sheet.notes.push(format!(
            "{what}: only {counted} of {ran} rounds were steady"
        ));
    }
    Ok(sheet)
}

fn steady(rounds: &[Round]) -> Vec<&Round> {
    let middle = median(rounds.iter().map(|round| round.direct).collect());
    rounds
        .iter()
        .filter(|round| (round.direct - middle).abs() <= middle * STEADY)
        .collect()
}

fn medians(rounds: &[&Round]) -> Sheet {
    let mut values: BTreeMap<(Metric, Kind), Vec<f64>> = BTreeMap::new();
    for (metric, kind, value) in rounds.iter().flat_map(|round| &round.cells) {
        values.entry((*metric, *kind)).or_default().push(*value);
    }
    let mut sheet = Sheet::default();
    for ((metric, kind), values) in values {
        sheet.set(metric, kind, median(values));
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(direct: f64, cpu: f64) -> Round {
        Round {
            direct,
            cells: vec![(Metric::CpuSmall, Kind::Relay, cpu)],
        }
    }

    #[test]
    fn a_round_with_an_unsteady_direct_does_not_count() {
        let rounds = [round(100.0, 10.0), round(101.0, 12.0), round(130.0, 99.0)];
        let sheet = medians(&steady(&rounds));
        let found = sheet.get(Metric::CpuSmall, Kind::Relay).unwrap();
        assert!((found - 11.0).abs() < 1e-9);
    }
}
