//! What the ways to choose a key cost: days of Claude Code, replayed in made-up time.
//!
//! In: seeds. Out: tables on the terminal and between the markers of docs/economics.md. Must never
//! reach a network or a clock: the same seed gives the same tables on every machine.
mod day;
mod page;
mod relay;
mod replay;
mod tally;
#[cfg(test)]
mod tests;
mod world;

use std::{io::Write as _, path::Path, time::Duration};

use anyhow::Result;
use relay_core::{keys::Selection, strategy::Kind as Strategy};
use relay_sim::Limits;

use self::{
    day::{Kind, LONG, SHORT},
    page::Page,
    relay::{Relay, Setup, Shape},
    tally::Tally,
    world::{Outage, World},
};

/// The first of the days' seeds.
const SEED: u64 = 2026;
/// Days that are replayed; each is judged by itself, and money is summed.
const DAYS: u64 = 10;
/// The number of keys on which all ways are compared.
const KEYS: usize = 4;

/// Every way to choose among the keys of one upstream, with its name in a config file.
const SELECTIONS: [Selection; 5] = [
    Selection::Placed,
    Selection::LeastLoaded,
    Selection::Weighted,
    Selection::RoundRobin,
    Selection::Random,
];

/// Every strategy but that by the model's name: there is one model.
const STRATEGIES: [Strategy; 7] = [
    Strategy::Failover,
    Strategy::RoundRobin,
    Strategy::WeightedRoundRobin,
    Strategy::Shuffle,
    Strategy::LeastLoaded,
    Strategy::Cost,
    Strategy::Latency,
];

/// What all keys of a day together may use in a minute: the day fits, but not every minute of it.
fn limits(kind: Kind, keys: usize) -> Limits {
    let keys = u64::try_from(keys).unwrap_or(1).max(1);
    let (requests, input, output) = if kind.turns == LONG.turns {
        (400, 800_000, 80_000)
    } else {
        (300, 240_000, 50_000)
    };
    Limits {
        requests: requests / keys,
        input_tokens: input / keys,
        output_tokens: output / keys,
    }
}

/// Replays one day.
fn judge(kind: Kind, setup: &Setup, limits: Option<Limits>, seed: u64) -> Result<Tally> {
    let relay = Relay::new(setup)?;
    // A key that is refused, or an upstream that fails.
    let status = match setup.shape {
        Shape::Pool(_) => 401,
        Shape::Upstreams(_) => 502,
    };
    let hour = Duration::from_hours(1);
    let outage = limits.filter(|_| setup.keys > 1).map(|_| Outage {
        key: 0,
        from: hour,
        until: hour.saturating_add(Duration::from_mins(10)),
        status,
    });
    let world = World::new(setup.keys, limits, outage);
    let day = day::day(kind, seed);
    Ok(replay::replay(&day, &relay, world, seed))
}

/// Returns what is compared: one key without limits first, the ideal.
fn setups() -> Vec<(Setup, bool)> {
    let setup = |shape, keys, affinity| Setup {
        shape,
        keys,
        affinity,
        max_wait: Duration::ZERO,
    };
    let placed = Shape::Pool(Selection::Placed);
    let robin = Shape::Pool(Selection::RoundRobin);
    let mut all = vec![(setup(placed, 1, true), false)];
    for selection in SELECTIONS {
        all.push((setup(Shape::Pool(selection), KEYS, true), true));
        // Without sessions, `placed` is `least_loaded`.
        if selection != Selection::Placed {
            all.push((setup(Shape::Pool(selection), KEYS, false), true));
        }
    }
    for strategy in STRATEGIES {
        for affinity in [true, false] {
            all.push((setup(Shape::Upstreams(strategy), KEYS, affinity), true));
        }
    }
    let patient = Setup {
        max_wait: Duration::from_secs(20),
        ..setup(placed, KEYS, true)
    };
    all.push((patient, true));
    for keys in [1, 2, 8] {
        all.push((setup(placed, keys, true), true));
        all.push((setup(robin, keys, false), true));
    }
    all
}

/// Replays all, prints the tables, and writes them into docs/economics.md unless `quick`.
pub(crate) fn run(quick: bool, repository: &Path) -> Result<()> {
    let mut page = Page::new()?;
    for kind in [LONG, SHORT] {
        page.begin(kind);
        for (setup, is_limited) in setups() {
            let limits = is_limited.then(|| limits(kind, setup.keys));
            let days: Result<Vec<Tally>> = (0..if quick { 1 } else { DAYS })
                .map(|day| judge(kind, &setup, limits, SEED.saturating_add(day)))
                .collect();
            page.row(&setup, is_limited, &days?);
        }
    }
    let text = page.text();
    writeln!(std::io::stdout(), "{text}")?;
    if !quick {
        page::write(&repository.join("docs/economics.md"), &text)?;
    }
    Ok(())
}
