//! Exact orders under seeds, and what every strategy must keep.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::models::Pattern;

fn ids(count: usize) -> Vec<TargetId> {
    (0..count)
        .map(|place| TargetId::new(format!("t{place}")))
        .collect()
}

fn contenders(ids: &[TargetId]) -> Vec<Contender<'_>> {
    let contender = |(place, id)| Contender {
        place,
        id,
        priority: 0,
        weight: 1,
        in_flight_tokens: 0,
        latency: None,
        cost: None,
    };
    ids.iter().enumerate().map(contender).collect()
}

fn weighted<'a>(ids: &'a [TargetId], weights: &[u32]) -> Vec<Contender<'a>> {
    let mut all = contenders(ids);
    for (contender, weight) in all.iter_mut().zip(weights) {
        contender.weight = *weight;
    }
    all
}

fn build(kind: Kind) -> Box<dyn Strategy> {
    kind.build(Vec::new(), None)
}

/// The first places of so many rankings.
fn firsts(strategy: &dyn Strategy, all: &[Contender<'_>], count: u64) -> Vec<usize> {
    let first = |seed| rank(strategy, None, &mut all.to_vec(), seed)[0];
    (0..count).map(first).collect()
}

#[test]
fn failover_goes_by_priority_then_by_the_file() {
    let ids = ids(4);
    let mut all = contenders(&ids);
    all[2].priority = 9;
    all[0].priority = -1;
    let ranking = rank(&Failover, None, &mut all, 7);
    assert_eq!(ranking.as_slice(), [2, 1, 3, 0]);
}

#[test]
fn round_robin_takes_turns() {
    let ids = ids(3);
    let strategy = build(Kind::RoundRobin);
    let all = contenders(&ids);
    assert_eq!(firsts(&*strategy, &all, 7), [0, 1, 2, 0, 1, 2, 0]);
    let ranking = rank(&*strategy, None, &mut all.clone(), 0);
    assert_eq!(ranking.as_slice(), [1, 2, 0], "the rest follows in turn");
}

#[test]
fn weighted_round_robin_is_nginxs_sequence() {
    let ids = ids(3);
    let strategy = build(Kind::WeightedRoundRobin);
    let all = weighted(&ids, &[5, 1, 1]);
    assert_eq!(firsts(&*strategy, &all, 7), [0, 0, 1, 0, 2, 0, 0]);
    assert_eq!(firsts(&*strategy, &all, 7), [0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn weights_survive_who_comes_and_goes() {
    let ids = ids(3);
    let strategy = build(Kind::WeightedRoundRobin);
    let all = weighted(&ids, &[1, 1, 1]);
    firsts(&*strategy, &all, 30);
    firsts(&*strategy, &all[1..], 31);
    let mut counts = [0; 3];
    for first in firsts(&*strategy, &all, 30) {
        counts[first] += 1;
    }
    assert!(
        counts.iter().all(|count| (9..=11).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn a_shuffled_deck_deals_everybody_once_before_anybody_twice() {
    let ids = ids(5);
    let strategy = build(Kind::Shuffle);
    let all = contenders(&ids);
    let dealt = firsts(&*strategy, &all, 50);
    for hand in dealt.chunks(5) {
        let mut hand = hand.to_vec();
        hand.sort_unstable();
        assert_eq!(hand, [0, 1, 2, 3, 4]);
    }
    assert_ne!(dealt[..5], dealt[5..10], "another deck is another order");
    let again = build(Kind::Shuffle);
    assert_eq!(firsts(&*again, &all, 50), dealt, "the seed decides");
}

#[test]
fn tiers_have_decks_of_their_own() {
    let ids = ids(4);
    let strategy = build(Kind::Shuffle);
    let mut all = contenders(&ids);
    all[0].priority = 1;
    all[1].priority = 1;
    let dealt = firsts(&*strategy, &all, 20);
    for hand in dealt.chunks(2) {
        assert_eq!(hand.iter().sum::<usize>(), 1, "{dealt:?}");
    }
}

#[test]
fn least_loaded_counts_tokens_by_weight() {
    let ids = ids(3);
    let mut all = weighted(&ids, &[1, 4, 1]);
    for (contender, tokens) in all.iter_mut().zip([100, 200, 90]) {
        contender.in_flight_tokens = tokens;
    }
    let ranking = rank(&*build(Kind::LeastLoaded), None, &mut all, 3);
    assert_eq!(ranking.as_slice(), [1, 2, 0]);
}

#[test]
fn cost_puts_the_unknown_last() {
    let ids = ids(3);
    let mut all = contenders(&ids);
    all[1].cost = Some(9);
    all[2].cost = Some(3);
    let ranking = rank(&*build(Kind::Cost), None, &mut all, 0);
    assert_eq!(ranking.as_slice(), [2, 1, 0]);
}

fn latency(milliseconds: u64, age: u64) -> Latency {
    Latency {
        estimate: Duration::from_millis(milliseconds),
        age: Duration::from_secs(age),
    }
}

#[test]
fn latency_prefers_the_quickest_and_looks_at_the_others_now_and_then() {
    let ids = ids(3);
    let mut all = contenders(&ids);
    for (contender, milliseconds) in all.iter_mut().zip([900, 100, 500]) {
        contender.latency = Some(latency(milliseconds, 1));
    }
    let strategy = build(Kind::Latency);
    let mut counts = [0_u32; 3];
    for first in firsts(&*strategy, &all, 3_000) {
        counts[first] += 1;
    }
    assert!((2_900..2_990).contains(&counts[1]), "{counts:?}");
    assert!(counts[0] > 5 && counts[2] > 5, "{counts:?}");
}

#[test]
fn a_target_whose_latency_is_stale_is_found_again() {
    let ids = ids(2);
    let mut all = contenders(&ids);
    all[0].latency = Some(latency(100, 1));
    all[1].latency = Some(latency(9_000, 61));
    let strategy = build(Kind::Latency);
    let found = firsts(&*strategy, &all, 100)
        .iter()
        .filter(|first| **first == 1)
        .count();
    assert!((10..50).contains(&found), "{found}");
}

#[test]
fn the_longest_matching_rule_says_who_comes_first() {
    let ids = ids(4);
    let rule = |pattern: &str, places: &[usize]| ModelRule {
        pattern: Pattern::new(pattern),
        targets: places.iter().map(|place| ids[*place].clone()).collect(),
    };
    let rules = vec![
        rule("*", &[3]),
        rule("claude-*", &[2]),
        rule("claude-opus-*", &[1, 2]),
        rule("claude-opus-5", &[0]),
    ];
    let strategy = Kind::Model.build(rules, Some(ids[2].clone()));
    let table: [(Option<&str>, [usize; 4]); 5] = [
        (Some("claude-opus-5-5"), [1, 2, 0, 3]),
        (Some("claude-opus-5"), [0, 2, 1, 3]),
        (Some("claude-haiku-5-5"), [2, 0, 1, 3]),
        (Some("glm-5"), [3, 2, 0, 1]),
        (None, [2, 0, 1, 3]),
    ];
    for (model, places) in table {
        let ranking = rank(&*strategy, model, &mut contenders(&ids), 0);
        assert_eq!(ranking.as_slice(), places, "{model:?}");
    }
}

#[test]
fn turns_are_fair_among_threads() {
    let ids = ids(4);
    for kind in [Kind::RoundRobin, Kind::WeightedRoundRobin, Kind::Shuffle] {
        let strategy = build(kind);
        let all = contenders(&ids);
        let hands: Vec<Vec<usize>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| firsts(&*strategy, &all, 500)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let mut counts: HashMap<usize, u32> = HashMap::new();
        for first in hands.into_iter().flatten() {
            *counts.entry(first).or_default() += 1;
        }
        assert!(
            counts.values().all(|count| *count == 1_000),
            "{kind:?} {counts:?}"
        );
    }
}

proptest! {
    /// Whatever is known about them: all contenders, each once, higher priorities first.
    #[test]
    fn a_ranking_loses_and_repeats_nobody(
        kinds in prop::sample::select(Kind::ALL.to_vec()),
        targets in prop::collection::vec((-2_i32..3, 1_u32..9, 0_u64..500, prop::option::of(0_u64..900), prop::option::of(0_u64..90), any::<bool>()), 1..12),
        seeds in prop::collection::vec(any::<u64>(), 1..20),
    ) {
        let ids = ids(targets.len());
        let rules = vec![ModelRule { pattern: Pattern::new("m*"), targets: vec![TargetId::new("t1"), TargetId::new("gone")] }];
        let strategy = kinds.build(rules, None);
        let mut all = contenders(&ids);
        for (contender, (priority, weight, tokens, millis, cost, _)) in all.iter_mut().zip(&targets) {
            contender.priority = *priority;
            contender.weight = *weight;
            contender.in_flight_tokens = *tokens;
            contender.latency = millis.map(|millis| latency(millis, millis / 10));
            contender.cost = *cost;
        }
        for seed in seeds {
            let mut here: Vec<_> = all.iter().zip(&targets).filter(|(_, target)| target.5 || seed % 2 == 0).map(|(it, _)| it.clone()).collect();
            let mut expected: Vec<usize> = here.iter().map(|it| it.place).collect();
            let mut ranking = rank(&*strategy, Some("m1"), &mut here, seed);
            if strategy.respects_priority() {
                let priorities: Vec<i32> = ranking.iter().map(|place| all[*place].priority).collect();
                prop_assert!(priorities.is_sorted_by(|one, other| one >= other));
            }
            ranking.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(ranking.as_slice(), expected);
        }
    }

    /// Over any window the turns differ from the weights by less than one turn each.
    #[test]
    fn weights_hold_over_any_window(weights in prop::collection::vec(1_u32..9, 2..6), from in 0_usize..50, length in 1_usize..100) {
        let ids = ids(weights.len());
        let strategy = build(Kind::WeightedRoundRobin);
        let all = weighted(&ids, &weights);
        let turns = firsts(&*strategy, &all, u64::try_from(from + length).unwrap());
        let sum: u32 = weights.iter().sum();
        for (place, weight) in weights.iter().enumerate() {
            let count = turns[from..].iter().filter(|turn| **turn == place).count();
            let expected = f64::from(*weight) * f64::from(u32::try_from(length).unwrap()) / f64::from(sum);
            let off = (f64::from(u32::try_from(count).unwrap()) - expected).abs();
            prop_assert!(off <= 2.0, "{place}: {count} of {expected}");
        }
    }
}
