//! Rounds: every subject in turn, again and again, so that all of them see the same machine.
//!
//! A way to run one round comes in; a sheet of medians goes out. A round counts only if `direct`
//! stayed near its median, since that is the part no proxy can change. Must never drop a round
//! for what a proxy did in it.
use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;

use crate::{
    clock,
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

/// How many rounds to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Rounds that have to count.
    pub(crate) want: usize,
    /// No round begins after this time, once three have run.
    pub(crate) limit: Duration,
}

/// Runs until enough rounds are steady, at most twice as many and no longer than the limit;
/// returns the medians of the steady.
pub(crate) async fn collect(
    what: &str,
    bounds: Bounds,
    mut run: impl AsyncFnMut() -> Result<Round>,
) -> Result<Sheet> {
    let Bounds { want, limit } = bounds;
    let begun = clock::now();
    let mut rounds = Vec::new();
    while rounds.len() < want * 2 && (rounds.len() < 3 || begun.elapsed() < limit) {
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
    for ((metric, other), ratios) in ratios(rounds) {
        sheet.set_ratio(metric, other, median(ratios));
    }
    sheet
}

/// Returns cc-relay's ratios to the others, each within one round: the machine drifts between
/// rounds, and that drift must not enter a ratio.
fn ratios(rounds: &[&Round]) -> BTreeMap<(Metric, Kind), Vec<f64>> {
    let mut ratios: BTreeMap<(Metric, Kind), Vec<f64>> = BTreeMap::new();
    for round in rounds {
        for (metric, _, own) in round
            .cells
            .iter()
            .filter(|(_, kind, _)| *kind == Kind::Relay)
        {
            for (_, other, value) in round.cells.iter().filter(|(of, _, _)| of == metric) {
                // Below a microsecond nothing was added: such a denominator says nothing.
                if *other != Kind::Relay && *value >= 1.0 {
                    ratios
                        .entry((*metric, *other))
                        .or_default()
                        .push(own / value);
                }
            }
        }
    }
    ratios
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

    #[test]
    fn a_ratio_is_taken_within_a_round() {
        let pair = |own, other| Round {
            direct: 1.0,
            cells: vec![
                (Metric::CpuLarge, Kind::Relay, own),
                (Metric::CpuLarge, Kind::Nginx, other),
            ],
        };
        // The machine was three times slower in the second round; the ratio was 1.5 in each.
        let rounds = [pair(15.0, 10.0), pair(45.0, 30.0), pair(16.5, 11.0)];
        let sheet = medians(&rounds.iter().collect::<Vec<_>>());
        let verdict = sheet.verdicts()[0];
        assert!((verdict.reached - 1.5).abs() < 1e-9);
    }
}
