//! Each transition in made-up time, and what no interleaving may break.

use proptest::prelude::*;

use super::*;

const OPTIONS: BreakerOptions = BreakerOptions {
    failure_threshold: 3,
    failure_rate_percent: 50,
    window: Duration::from_secs(10),
    min_requests: 10,
    open_duration: Duration::from_secs(30),
    half_open_probes: 2,
};

fn at(seconds: u64) -> Moment {
    Moment::after_start(Duration::from_secs(seconds))
}

fn attempt(breaker: &Arc<Breaker>, verdict: Verdict, now: Moment) {
    breaker.admit(now).unwrap().record(verdict, now, 0);
}

/// Opens at `now` by failures in a row.
fn opened(now: Moment) -> Arc<Breaker> {
    let breaker = Breaker::new(OPTIONS);
    for _ in 0..3 {
        attempt(&breaker, Verdict::Failure, now);
    }
    breaker
}

fn open_until(breaker: &Breaker, now: Moment) -> Duration {
    let BreakerState::Open { until } = breaker.state(now) else {
        panic!("not open")
    };
    until.since(now)
}

#[test]
fn opens_after_failures_in_a_row() {
    let breaker = Breaker::new(OPTIONS);
    for verdict in [
        Verdict::Failure,
        Verdict::Failure,
        Verdict::Success,
        Verdict::Failure,
    ] {
        attempt(&breaker, verdict, at(1));
    }
    assert_eq!(breaker.state(at(1)), BreakerState::Closed);
    attempt(&breaker, Verdict::Failure, at(1));
    assert_eq!(breaker.health(at(1)), Health::Degraded);
    attempt(&breaker, Verdict::Failure, at(1));
    assert!(breaker.admit(at(1)).is_none());
    assert_eq!(breaker.health(at(1)), Health::Down);
}

#[test]
fn opens_by_the_share_of_failures_in_the_window() {
    let breaker = Breaker::new(OPTIONS);
    for second in 0..4 {
        attempt(&breaker, Verdict::Failure, at(second));
        attempt(&breaker, Verdict::Success, at(second));
    }
    assert_eq!(
        breaker.state(at(4)),
        BreakerState::Closed,
        "too few to tell"
    );
    attempt(&breaker, Verdict::Success, at(4));
    attempt(&breaker, Verdict::Failure, at(4));
    assert!(matches!(breaker.state(at(4)), BreakerState::Open { .. }));

    let slow = Breaker::new(OPTIONS);
    for second in (0..60).step_by(3) {
        attempt(&slow, Verdict::Failure, at(second));
        attempt(&slow, Verdict::Success, at(second));
    }
    assert_eq!(
        slow.state(at(60)),
        BreakerState::Closed,
        "never enough in a window"
    );
}

#[test]
fn half_open_admits_few_and_closes_after_as_many_successes() {
    let breaker = opened(at(0));
    assert!(breaker.admit(at(26)).is_none());
    let first = breaker.admit(at(34)).unwrap();
    let second = breaker.admit(at(34)).unwrap();
    assert!(breaker.admit(at(34)).is_none());
    drop(first);
    let third = breaker
        .admit(at(34))
        .expect("a client that left gives its place back");
    second.record(Verdict::Success, at(35), 0);
    assert_eq!(breaker.state(at(35)), BreakerState::HalfOpen);
    third.record(Verdict::Success, at(35), 0);
    assert_eq!(breaker.state(at(35)), BreakerState::Closed);
    assert_eq!(breaker.health(at(35)), Health::Healthy);
}

#[test]
fn opens_for_longer_each_time_and_never_at_the_same_instant() {
    let breaker = opened(at(0));
    let mut now = at(0);
    let mut lengths = vec![open_until(&breaker, now).as_secs_f64()];
    for seed in 1..6 {
        now = now.plus(open_until(&breaker, now));
        breaker
            .admit(now)
            .unwrap()
            .record(Verdict::Failure, now, seed);
        lengths.push(open_until(&breaker, now).as_secs_f64());
    }
    for (length, nominal) in lengths.iter().zip([30.0, 60.0, 120.0, 240.0, 240.0, 240.0]) {
        assert!((0.9..=1.1).contains(&(length / nominal)), "{lengths:?}");
    }
    assert!((lengths[4] - lengths[5]).abs() > 0.001, "{lengths:?}");
}

#[test]
fn a_late_result_decides_nothing() {
    let breaker = Breaker::new(OPTIONS);
    let late = breaker.admit(at(0)).unwrap();
    let later = breaker.admit(at(0)).unwrap();
    for _ in 0..3 {
        attempt(&breaker, Verdict::Failure, at(0));
    }
    late.record(Verdict::Success, at(1), 0);
    assert!(matches!(breaker.state(at(1)), BreakerState::Open { .. }));
    assert_eq!(breaker.state(at(40)), BreakerState::HalfOpen);
    later.record(Verdict::Failure, at(40), 0);
    assert_eq!(breaker.state(at(40)), BreakerState::HalfOpen);
}

#[test]
fn a_free_probe_ends_the_open_time_and_no_more() {
    let breaker = opened(at(0));
    breaker.probed(Verdict::Failure, at(1), 0);
    assert!(open_until(&breaker, at(1)) > Duration::from_secs(50));
    breaker.probed(Verdict::Success, at(2), 0);
    assert_eq!(breaker.state(at(2)), BreakerState::HalfOpen);
    breaker.probed(Verdict::Success, at(3), 0);
    assert_eq!(
        breaker.state(at(3)),
        BreakerState::HalfOpen,
        "requests close it"
    );
}

#[test]
fn who_has_nowhere_else_to_go_passes_and_reopens_the_way() {
    let breaker = opened(at(0));
    breaker
        .admit_anyway(at(1))
        .record(Verdict::Failure, at(1), 0);
    assert!(breaker.admit(at(1)).is_none());
    breaker
        .admit_anyway(at(1))
        .record(Verdict::Success, at(1), 0);
    assert_eq!(breaker.state(at(1)), BreakerState::HalfOpen);
}

proptest! {
    /// However attempts, results and departures interleave: never more probes than allowed, and
    /// no place is lost.
    #[test]
    fn no_interleaving_leaks_a_place(steps in prop::collection::vec((0_u8..5, 0_u64..20), 1..200)) {
        let breaker = opened(at(0));
        let mut now = at(0);
        let mut held: Vec<Permit> = Vec::new();
        for (step, later) in steps {
            now = now.plus(Duration::from_secs(later));
            match step {
                0 | 1 => held.extend(breaker.admit(now)),
                2 => if let Some(permit) = held.pop() { permit.record(Verdict::Success, now, later) },
                3 => if let Some(permit) = held.pop() { permit.record(Verdict::Failure, now, later) },
                _ => drop(held.pop()),
            }
            let probes = held.iter().filter(|permit| permit.probes && permit.generation == breaker.0.lock().generation).count();
            if breaker.state(now) == BreakerState::HalfOpen {
                prop_assert!(probes <= 2);
            }
        }
        held.clear();
        now = now.plus(Duration::from_hours(1));
        let again: Vec<_> = (0..2).map_while(|_| breaker.admit(now)).collect();
        prop_assert_eq!(again.len(), 2);
    }
}
