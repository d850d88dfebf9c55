//! Added latency: one request at a time, each proxied one paired with a direct one beside it.
//!
//! A plan comes in; the median of the differences goes out, at 2 KB, 200 KB and 2 MB. Pairs a few
//! milliseconds apart see the same machine, which averages over minutes do not.
use anyhow::Result;

use super::Plan;
use crate::{
    body, clock,
    load::Connection,
    rounds::{self, Round},
    sheet::{Metric, Sheet, median},
    subject::Kind,
};

/// Measures the three sizes.
pub(crate) async fn run(plan: &Plan) -> Result<Sheet> {
    let subjects = plan.start_all()?;
    let mut sheet = Sheet::default();
    for (bytes, pairs, metric) in [
        (2048, 200, Metric::AddedSmall),
        (200 * 1024, 100, Metric::AddedLarge),
        (2 * 1024 * 1024, 15, Metric::AddedHuge),
    ] {
        let request = body::request(bytes, "json 1024");
        let mut connections = Vec::new();
        for subject in &subjects {
            let mut connection = Connection::open(subject.address).await?;
            connection.exchange(&request).await?;
            connections.push((subject.kind, connection));
        }
        let what = format!("added latency at {bytes} bytes");
        let medians = rounds::collect(&what, plan.rounds, async || {
            pairs_of(&mut connections, &request, pairs * plan.length, metric).await
        });
        sheet.absorb(medians.await?);
    }
    Ok(sheet)
}

async fn pairs_of(
    connections: &mut [(Kind, Connection)],
    request: &[u8],
    pairs: usize,
    metric: Metric,
) -> Result<Round> {
    let mut directs = Vec::with_capacity(pairs);
    let mut added: Vec<Vec<f64>> = connections.iter().map(|_| Vec::new()).collect();
    for _ in 0..pairs {
        let mut direct = 0.0;
        for ((kind, connection), differences) in connections.iter_mut().zip(&mut added) {
            let begun = clock::now();
            connection.exchange(request).await?;
            let micros = begun.elapsed().as_secs_f64() * 1e6;
            if *kind == Kind::Direct {
                direct = micros;
                directs.push(micros);
            } else {
                differences.push(micros - direct);
            }
        }
    }
    let mut round = Round {
        direct: median(directs),
        cells: Vec::new(),
    };
    for ((kind, _), differences) in connections.iter().zip(added) {
        if *kind != Kind::Direct {
            round.cells.push((metric, *kind, median(differences)));
        }
    }
    Ok(round)
}
