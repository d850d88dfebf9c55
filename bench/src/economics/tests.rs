//! The relations that must hold on a small day, exactly by its seed.
use super::*;

/// A small day with some pressure.
fn small(shape: Shape, affinity: bool) -> Tally {
    let kind = Kind {
        sessions: 16,
        hours: 2,
        ..LONG
    };
    let limits = Limits {
        requests: 60,
        input_tokens: 120_000,
        output_tokens: 20_000,
    };
    let setup = Setup {
        shape,
        keys: 4,
        affinity,
        max_wait: Duration::ZERO,
    };
    judge(kind, &setup, Some(limits), 7).unwrap()
}

#[test]
fn affinity_is_cheaper_than_taking_turns_and_nothing_is_lost() {
    let placed = small(Shape::Pool(Selection::Placed), true);
    let robin = small(Shape::Pool(Selection::RoundRobin), false);
    let (with, without) = (placed.dollars.unwrap(), robin.dollars.unwrap());
    assert!(
        with.as_dollars() * 1.5 < without.as_dollars(),
        "{with} against {without}"
    );
    assert_eq!((placed.lost, robin.lost), (0, 0));
    assert_eq!(placed.served, robin.served);
    assert_eq!(placed.waited.len(), robin.waited.len());
}

#[test]
fn a_session_stays_with_any_strategy() {
    let kept = small(Shape::Upstreams(Strategy::RoundRobin), true);
    let spread = small(Shape::Upstreams(Strategy::RoundRobin), false);
    assert!(kept.dollars.unwrap() < spread.dollars.unwrap());
    assert!(kept.read > spread.read);
}

#[test]
fn the_same_seed_gives_the_same_day() {
    let one = small(Shape::Pool(Selection::Random), true);
    let other = small(Shape::Pool(Selection::Random), true);
    assert_eq!(one.dollars, other.dollars);
    assert_eq!(one.counted, other.counted);
    assert_eq!(one.waited, other.waited);
}
