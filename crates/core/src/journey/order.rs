//! The order in which candidates are asked: the strategy's, and the session's home before all.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{EXPECTED_OUTPUT_TOKENS, Errand, Nowhere};
use crate::affinity::key::SessionKey;
use crate::affinity::{Binding, Home};
use crate::board::Board;
use crate::moment::Moment;
use crate::price::Day;
use crate::snapshot::{Snapshot, Target};
use crate::strategy::{Contender, Kind, Ranking, rank};

/// Orders the candidates: those that serve the model and take the body, by strategy; the session's
/// home before all, its guest behind it, then those of the same vendor where thinking is at stake.
pub(super) fn order(
    snapshot: &Snapshot,
    board: &Board,
    errand: &Errand,
    (binding, homes): (Option<&Binding>, &[Home]),
    input_tokens: u64,
    (now, seed): (Moment, u64),
) -> Result<Ranking, Nowhere> {
    let mut nowhere = Nowhere::UnknownModel;
    let mut contenders: SmallVec<[Contender<'_>; 8]> = SmallVec::new();
    // Those that stand right behind another: by their place and its.
    let mut second: SmallVec<[(usize, usize); 4]> = SmallVec::new();
    let kind = snapshot.routing.kind;
    for (place, target) in snapshot.targets.iter().enumerate() {
        let Some(model) = target.name_of(&errand.model) else {
            continue;
        };
        if errand.body_bytes > target.max_body_bytes {
            let limit_bytes = u64::try_from(target.max_body_bytes).unwrap_or(u64::MAX);
            nowhere = nowhere.or_too_long(limit_bytes);
            continue;
        }
        let is_principal = |it: &&Contender<'_>| target.behind.as_ref() == Some(it.id);
        if let Some(principal) = contenders.iter().find(is_principal) {
            second.push((place, principal.place));
            continue;
        }
        let station = &target.station;
        let cost = || {
            let is_home = binding.filter(|binding| binding.home.target == target.id);
            let cached = is_home.map_or(0, |binding| binding.prefix_tokens.min(input_tokens));
            let fresh = input_tokens.saturating_sub(cached);
            let (prices, name) = (board.prices(), model.as_str());
            let tariff = prices.of(&target.seller, name, name, Day::of(errand.arrived_unix))?;
            let cost = tariff.expected(fresh, cached, EXPECTED_OUTPUT_TOKENS);
            Some(cost.as_nano_dollars())
        };
        contenders.push(Contender {
            place,
            id: &target.id,
            priority: target.priority,
            weight: target.weight,
            in_flight_tokens: station.in_flight_tokens(),
            latency: (kind == Kind::Latency)
                .then(|| station.latencies.of(model.as_str(), now))
                .flatten(),
            cost: (kind == Kind::Cost).then(cost).flatten(),
        });
    }
    if contenders.is_empty() {
        return Err(nowhere);
    }
    let strategy = &*snapshot.routing.strategy;
    let mut order = rank(strategy, Some(errand.model.as_str()), &mut contenders, seed);
    put_behind(&mut order, &second);
    order.sort_by_key(|place| {
        let target = snapshot.targets.get(*place);
        let is = |home: &Home| target.is_some_and(|target| target.id == home.target);
        let is_foreign = |target: &Arc<Target>| {
            binding.is_some_and(|binding| binding.is_foreign_to(&target.vendor))
        };
        match homes.iter().position(is) {
            Some(first) => first,
            None if target.is_some_and(is_foreign) => homes.len().saturating_add(1),
            None => homes.len(),
        }
    });
    Ok(order)
}

/// Puts places right behind others.
fn put_behind(order: &mut Ranking, pairs: &[(usize, usize)]) {
    for (place, principal) in pairs {
        let at = order.iter().position(|it| it == principal);
        order.insert(at.map_or(order.len(), |at| at.saturating_add(1)), *place);
    }
}

/// Returns where a session's cache is, or where its first request was sent just now.
pub(super) fn homes(
    board: &Board,
    session: Option<SessionKey>,
    model: &str,
    binding: Option<&Binding>,
    now: Moment,
) -> SmallVec<[Home; 2]> {
    match (binding, session) {
        (Some(binding), _) => {
            let homes = [Some(&binding.home), binding.guest.as_ref()];
            homes.into_iter().flatten().cloned().collect()
        }
        (None, Some(session)) => {
            let placement = board.affinity.placement(session, model, now);
            placement.into_iter().collect()
        }
        (None, None) => SmallVec::new(),
    }
}
