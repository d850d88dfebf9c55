//! People who watch: a dashboard and a thousand programs that want the state each second, against
//! nobody.
//!
//! A plan comes in; what a relay takes while it is watched as a multiple of what it takes while nobody
//! looks goes out: CPU a request beside one dashboard, and the latency of an event beside a thousand
//! subscribers; and how long it takes until an order is in force. Those who watch share the machine with the relay: what they take themselves is in the
//! latencies too.
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use relay_api::{Address, Connection, Credentials, connect, v1};
use tokio::task::JoinSet;

use super::{
    Plan,
    observed::{both, events, requests},
};
use crate::{
    body, clock,
    rounds::{self, Bounds, Round},
    sheet::{Metric, Sheet},
    subject::{Kind, Subject},
};

/// Connections of those who want the state, and how many want it over each.
const CROWD: (usize, usize) = (20, 50);

/// Times that the strategy is changed and changed back in a round.
const ORDERS: usize = 10;

/// Measures both.
pub(crate) async fn run(plan: &Plan) -> Result<Sheet> {
    let off = plan.launcher.start(Kind::Relay)?;
    let one = plan.launcher.start(Kind::Relay)?;
    let many = plan.launcher.start(Kind::Relay)?;
    let dashboard = Watchers::default();
    dashboard.clone().dashboard(&one).await?;
    let crowd = Watchers::default();
    for _ in 0..CROWD.0 {
        crowd.clone().stats(&many, CROWD.1).await?;
    }
    let small = body::request(2048, "json 1024");
    let each = 20 * plan.length;
    let streams = body::request(2048, &format!("paced {each} 50000 500 hold"));
    let mut turn = false;
    let bounds = Bounds {
        want: plan.rounds.want * 2,
        ..plan.rounds
    };
    let medians = rounds::collect("watched", bounds, async || {
        turn = !turn;
        let mut round = Round {
            direct: 1.0,
            ..Round::default()
        };
        let count = 1200 * plan.length;
        let (mine, other) = both(turn, &off, &one, async |it| {
            requests(it, &small, count).await
        })
        .await?;
        round
            .cells
            .push((Metric::WatchedCpu, Kind::Relay, mine / other));
        let (mine, other) = both(turn, &off, &many, async |it| {
            events(it, &streams, each).await
        })
        .await?;
        round
            .cells
            .push((Metric::WatchedEvent, Kind::Relay, mine / other));
        let order = (Metric::Order, Kind::Relay, orders(&one).await?);
        round.cells.push(order);
        Ok(round)
    })
    .await?;
    dashboard.saw("the dashboard", 1)?;
    crowd.saw("a subscriber", CROWD.0 * CROWD.1)?;
    Ok(medians)
}

/// Returns the longest time in milliseconds from an order, as a dashboard gives it at a key, to the
/// answer that it is in force: the strategy is changed and changed back.
async fn orders(relay: &Subject) -> Result<f64> {
    let mut api = dial(relay).await?;
    let mut longest = Duration::ZERO;
    for strategy in ["round_robin", "failover"].repeat(ORDERS) {
        let asked = v1::SetRoutingStrategyRequest {
            strategy: strategy.to_owned(),
            options: None,
        };
        let begun = clock::now();
        api.set_routing_strategy(asked).await?;
        longest = longest.max(begun.elapsed());
    }
    Ok(longest.as_secs_f64() * 1000.0)
}

/// Those who watch, and what they have been told.
#[derive(Clone, Default)]
struct Watchers {
    tasks: Arc<parking_lot::Mutex<JoinSet<Result<()>>>>,
    told: Arc<AtomicU64>,
}

impl Watchers {
    /// What `cc-relay tui` asks for.
    async fn dashboard(self, relay: &Subject) -> Result<()> {
        let mut api = dial(relay).await?;
        self.clone().stats(relay, 1).await?;
        let asked = v1::StreamRequestsRequest {
            max_per_second: 3_000,
            ..v1::StreamRequestsRequest::default()
        };
        let mut requests = api.stream_requests(asked).await?.into_inner();
        let asked = v1::StreamEventsRequest::default();
        let mut events = api.stream_events(asked).await?.into_inner();
        let mut tasks = self.tasks.lock();
        tasks.spawn(async move {
            while requests.message().await?.is_some() {}
            Ok(())
        });
        tasks.spawn(async move {
            while events.message().await?.is_some() {}
            Ok(())
        });
        Ok(())
    }

    /// So many who want the state each second, over one connection.
    async fn stats(self, relay: &Subject, count: usize) -> Result<()> {
        let api = dial(relay).await?;
        for _ in 0..count {
            let mut api = api.clone();
            let asked = v1::StreamStatsRequest::default();
            let mut stream = api.stream_stats(asked).await?.into_inner();
            let told = Arc::clone(&self.told);
            self.tasks.lock().spawn(async move {
                while stream.message().await?.is_some() {
                    told.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        Ok(())
    }

    /// Holds that they were told all the while: who sees nothing costs nothing.
    fn saw(&self, who: &str, count: usize) -> Result<()> {
        let told = self.told.load(Ordering::Relaxed);
        let least = 2 * u64::try_from(count)?;
        ensure!(
            told >= least,
            "{who} was told {told} times, {least} at least"
        );
        let ended = self.tasks.lock().try_join_next();
        ensure!(ended.is_none(), "{who} was cut off: {ended:?}");
        Ok(())
    }
}

async fn dial(relay: &Subject) -> Result<Connection> {
    let sockets = relay.folder.join("cc-relay/run");
    let address = Address::beside(&sockets, relay.address.port());
    let address = address.context("the management API's socket has too long a path")?;
    let patience = Duration::from_secs(10);
    let nobody = Credentials::default();
    let api = tokio::time::timeout(patience, connect(&address, &nobody));
    Ok(api.await??)
}
