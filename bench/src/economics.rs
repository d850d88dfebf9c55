//! What the ways to choose a key cost: days of Claude Code, replayed in made-up time.
//!
//! In: a seed. Out: tables on the terminal and between the markers of docs/economics.md. Must never
//! reach a network or a clock: the same seed gives the same tables on every machine.
mod day;
mod relay;
mod replay;
mod tally;
mod world;

use std::{io::Write as _, path::Path, time::Duration};

use anyhow::Result;
use relay_core::keys::Selection;
use relay_sim::Limits;

use self::{
    day::{Kind, LONG, SHORT},
    relay::{Relay, Setup, Shape},
    tally::Tally,
    world::{Outage, World},
};

const SEED: u64 = 2026;

/// What all keys of a day together may use in a minute.
fn limits(kind: Kind, keys: usize) -> Limits {
    let keys = u64::try_from(keys).unwrap_or(1).max(1);
    let _ = kind;
    Limits {
        requests: 800 / keys,
        input_tokens: 1_600_000 / keys,
        output_tokens: 320_000 / keys,
    }
}

/// Replays one day.
fn judge(kind: Kind, setup: &Setup, limits: Option<Limits>) -> Result<Tally> {
    let relay = Relay::new(setup)?;
    let status = match setup.shape {
        Shape::Pool(_) => 401,
        Shape::Upstreams(_) => 502,
    };
    let hour = Duration::from_hours(1);
    let outage = limits.filter(|_| setup.keys > 1).map(|_| Outage {
        key: 0,
        from: hour,
        until: hour + Duration::from_mins(10),
        status,
    });
    let world = World::new(setup.keys, limits, outage);
    Ok(replay::replay(&day::day(kind, SEED), &relay, world, SEED))
}

/// Runs all and prints them.
pub(crate) fn run(quick: bool, _repository: &Path) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for mut kind in [LONG, SHORT] {
        if quick {
            kind.sessions /= 4;
        }
        let setup = |shape, keys, affinity| Setup {
            shape,
            keys,
            affinity,
            max_wait: Duration::ZERO,
        };
        let placed = Shape::Pool(Selection::Placed);
        let robin = Shape::Pool(Selection::RoundRobin);
        let mut ideal = None;
        for (name, setup, limits) in [
            ("ideal", setup(placed, 1, true), None),
            ("placed", setup(placed, 4, true), Some(limits(kind, 4))),
            ("round robin, no affinity", setup(robin, 4, false), Some(limits(kind, 4))),
        ] {
            let tally = judge(kind, &setup, limits)?;
            let dollars = tally.dollars.unwrap_or_default().as_dollars();
            let ideal = *ideal.get_or_insert(dollars);
            writeln!(
                out,
                "{} {name}: ${dollars:.2} x{:.3} read {:.2}% hottest {:.2}/{:.2} 429 {} failed {} setbacks {} lost {} moves {} {} p50 {:?} p95 {:?} served {}",
                kind.name,
                dollars / ideal,
                tally.read_share(),
                Tally::hottest(&tally.counted),
                Tally::hottest(&tally.carried),
                tally.limited, tally.failed, tally.setbacks, tally.lost, tally.moves, tally.moved,
                tally.waited(50), tally.waited(95), tally.served,
            )?;
        }
    }
    Ok(())
}
