//! The rules of a pool as tables, and what no order of events may break.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::{Just, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

use proptest::strategy::Strategy as _;

use super::*;
use crate::credential::UpstreamCredential;
use crate::secret::Secret;
use crate::usage::Usage;

const UNIX: Duration = Duration::from_hours(498_720);

fn at(milliseconds: u64) -> Moment {
    Moment::after_start(Duration::from_millis(milliseconds))
}

fn spec(name: &str) -> KeySpec {
    let secret = Secret::new(format!("sk-ant-fake-{name}"));
    KeySpec {
        id: secret.id(),
        name: name.into(),
        credential: UpstreamCredential::Relay(secret),
        weight: 1,
        priority: 0,
        limits: KeyLimits::default(),
    }
}

fn specs(count: usize) -> Vec<KeySpec> {
    (0..count).map(|place| spec(&format!("k{place}"))).collect()
}

fn limited(count: usize, limits: KeyLimits) -> Vec<KeySpec> {
    let limit = |mut spec: KeySpec| {
        spec.limits = limits;
        spec
    };
    specs(count).into_iter().map(limit).collect()
}

fn ask(input_tokens: u64, output_tokens: u64) -> Ask<'static> {
    Ask {
        class: ModelClass::of("claude-opus-5-5"),
        input_tokens,
        cached_tokens: 0,
        output_tokens,
        home: None,
        guest: None,
        place: None,
        without: &[],
        anyway: false,
    }
}

fn usage(input: u64, output: u64) -> Usage {
    Usage {
        input_tokens: Some(input),
        output_tokens: Some(output),
        ..Usage::default()
    }
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&'static str, &str)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )
    };
    lines.iter().map(line).collect()
}

fn until(denied: Denied) -> Option<Moment> {
    match denied {
        Denied::Spent { until } | Denied::Refused { until } => until,
        Denied::Empty => None,
    }
}

/// Who gets so many leases that are each settled at once.
fn names(pool: &Arc<KeyPool>, count: u64) -> Vec<Arc<str>> {
    let name = |seed| {
        let lease = pool.lease(&ask(10, 10), at(seed), seed).ok().unwrap();
        let name = lease.name();
        lease.settle(&usage(10, 10), at(seed));
        name
    };
    (0..count).map(name).collect()
}

fn counts(pool: &Arc<KeyPool>, count: u64) -> Vec<usize> {
    let names = names(pool, count);
    let states = pool.states(at(count));
    let of = |state: &KeyState| names.iter().filter(|name| **name == state.name).count();
    states.iter().map(of).collect()
}

#[test]
fn a_key_at_its_limit_is_passed_over_and_the_wait_is_true() {
    let rpm = KeyLimits {
        rpm: Some(2),
        ..KeyLimits::default()
    };
    let pool = KeyPool::new(limited(2, rpm), Selection::LeastLoaded);
    for step in 0..4 {
        pool.lease(&ask(1, 1), at(step * 1_000), 0)
            .ok()
            .unwrap()
            .settle(&usage(1, 1), at(5_000));
    }
    let denied = pool.lease(&ask(1, 1), at(6_000), 0).err().unwrap();
    let free = until(denied).unwrap();
    assert_eq!(
        free,
        at(61_000),
        "the first request is out of the window by then"
    );
    assert!(pool.lease(&ask(1, 1), at(60_900), 0).is_err());
    assert!(pool.lease(&ask(1, 1), free, 0).is_ok());
}

#[test]
fn each_limit_counts_its_own_tokens() {
    let limits = |tpm, itpm, otpm| KeyLimits {
        rpm: None,
        tpm,
        itpm,
        otpm,
    };
    let table = [
        (limits(Some(111), None, None), ask(60, 50), false),
        (limits(Some(112), None, None), ask(60, 50), true),
        (limits(None, Some(61), None), ask(60, 500), true),
        (limits(None, Some(60), None), ask(60, 0), false),
        (limits(None, None, Some(51)), ask(600, 50), true),
        (limits(None, None, Some(50)), ask(0, 50), false),
    ];
    for (limits, ask, fits) in table {
        let pool = KeyPool::new(limited(1, limits), Selection::LeastLoaded);
        // Alone, even what is above the limit is served: else it never could be.
        let small = Ask {
            input_tokens: 1,
            output_tokens: 1,
            ..ask
        };
        let held = pool.lease(&small, at(0), 0);
        assert_eq!(pool.lease(&ask, at(0), 0).is_ok(), fits, "{limits:?}");
        drop(held);
    }
}

#[test]
fn estimates_are_corrected_settled_and_refunded() {
    let limits = KeyLimits {
        itpm: Some(1_000),
        otpm: Some(100),
        ..KeyLimits::default()
    };
    let pool = KeyPool::new(limited(1, limits), Selection::LeastLoaded);
    let used = |now| {
        let used = pool.states(now).remove(0).used;
        (used.itpm.unwrap(), used.otpm.unwrap())
    };
    let mut lease = pool.lease(&ask(500, 50), at(0), 0).ok().unwrap();
    assert_eq!(used(at(0)), (500, 50));
    let start = Usage {
        cache_creation_input_tokens: Some(20),
        cache_read_input_tokens: Some(9_000),
        ..usage(100, 1)
    };
    lease.started(&start, at(10));
    assert_eq!(
        used(at(10)),
        (120, 50),
        "what the cache gave does not count"
    );
    lease.settle(
        &Usage {
            output_tokens: Some(70),
            ..start
        },
        at(20),
    );
    assert_eq!(used(at(20)), (120, 70));
    pool.lease(&ask(500, 20), at(30), 0)
        .ok()
        .unwrap()
        .refund(at(40));
    assert_eq!(used(at(40)), (120, 70));
    let mut left = pool.lease(&ask(500, 20), at(50), 0).ok().unwrap();
    left.produced(3);
    drop(left);
    assert_eq!(
        used(at(60)),
        (620, 73),
        "a client that left has used its input"
    );
    assert_eq!(used(at(62_000)), (0, 0));
    assert_eq!(pool.states(at(0)).remove(0).in_flight, 0);
}

#[test]
fn a_lower_priority_serves_only_when_no_higher_one_can() {
    let mut specs = specs(2);
    specs[1].priority = 1;
    specs[1].limits.rpm = Some(1);
    let pool = KeyPool::new(specs, Selection::RoundRobin);
    let names = names(&pool, 3);
    assert_eq!(
        names.iter().map(|it| &**it).collect::<Vec<_>>(),
        ["k1", "k0", "k0"]
    );
}

#[test]
fn turns_are_fair_and_weights_hold() {
    assert_eq!(
        counts(&KeyPool::new(specs(3), Selection::RoundRobin), 31),
        [11, 10, 10]
    );
    assert_eq!(
        counts(&KeyPool::new(specs(3), Selection::LeastLoaded), 30),
        [10, 10, 10]
    );
    let mut heavy = specs(3);
    heavy[0].weight = 4;
    let weighted = counts(&KeyPool::new(heavy.clone(), Selection::Weighted), 600);
    assert!(
        (398..=402).contains(&weighted[0]) && (98..=102).contains(&weighted[1]),
        "{weighted:?}"
    );
    let random = counts(&KeyPool::new(heavy, Selection::Random), 6_000);
    assert!((3_800..4_200).contains(&random[0]), "{random:?}");
}

#[test]
fn a_session_goes_home_then_to_who_shares_its_cache_then_its_organisation() {
    let pool = KeyPool::new(specs(6), Selection::RoundRobin);
    let ids: Vec<KeyId> = pool.states(at(0)).iter().map(|state| state.id).collect();
    let lines = |organisation, workspace| {
        headers(&[
            ("anthropic-organization-id", organisation),
            ("anthropic-workspace-id", workspace),
        ])
    };
    let accounts = [
        ("a", "1"),
        ("b", "9"),
        ("a", "2"),
        ("b", "8"),
        ("a", "1"),
        ("c", "7"),
    ];
    for (organisation, workspace) in accounts {
        let mut lease = pool.lease(&ask(1, 1), at(0), 0).ok().unwrap();
        lease.answered(&lines(organisation, workspace), 200, at(0), UNIX);
        lease.refund(at(0));
    }
    let mut gone: Vec<KeyId> = Vec::new();
    for expected in [0, 4, 2] {
        let near = Ask {
            home: Some(ids[0]),
            without: &gone,
            ..ask(1, 1)
        };
        let lease = pool.lease(&near, at(1), 0).ok().unwrap();
        assert_eq!(lease.id(), ids[expected]);
        gone.push(lease.id());
    }
    assert_eq!(pool.organisation_of(ids[3]).as_deref(), Some("b"));
}

#[test]
fn keys_of_one_organisation_share_what_the_upstream_says() {
    let pool = KeyPool::new(specs(3), Selection::RoundRobin);
    let spent = headers(&[
        ("anthropic-organization-id", "org"),
        ("anthropic-ratelimit-input-tokens-limit", "60000"),
        ("anthropic-ratelimit-input-tokens-remaining", "0"),
    ]);
    let own = headers(&[("anthropic-organization-id", "org")]);
    let mut one = pool.lease(&ask(10, 1), at(0), 0).ok().unwrap();
    let mut other = pool.lease(&ask(10, 1), at(0), 0).ok().unwrap();
    one.answered(&own, 200, at(0), UNIX);
    other.answered(&spent, 200, at(0), UNIX);
    drop((one, other));
    let names = names(&pool, 2);
    assert!(
        names.iter().all(|name| &**name == "k2"),
        "its organisation is another: {names:?}"
    );
    let without: Vec<KeyId> = pool.states(at(0)).iter().skip(2).map(|it| it.id).collect();
    let rest = Ask {
        without: &without,
        ..ask(5_000, 1)
    };
    assert_eq!(
        pool.lease(&rest, at(0), 0).err().and_then(until),
        Some(at(5_000))
    );
    let elsewhere = Ask {
        class: ModelClass::of("claude-haiku-5-5"),
        ..rest
    };
    assert!(
        pool.lease(&elsewhere, at(0), 0).is_ok(),
        "another class has limits of its own"
    );
}

#[test]
fn who_is_parked_serves_again_in_time_or_when_it_was_seen_to_work() {
    let pool = KeyPool::new(specs(1), Selection::LeastLoaded);
    let id = pool.states(at(0))[0].id;
    let class = ModelClass::of("claude-opus-5-5");
    for what in [Parked::Key("invalid_key"), Parked::Class(class)] {
        pool.park(id, what, at(9_000));
        assert_eq!(
            pool.lease(&ask(1, 1), at(1), 0).err().and_then(until),
            Some(at(9_000))
        );
        assert!(pool.lease(&ask(1, 1), at(9_000), 0).is_ok());
        pool.unpark(id);
        assert!(pool.lease(&ask(1, 1), at(2), 0).is_ok());
    }
    pool.park(
        id,
        Parked::Class(ModelClass::of("claude-haiku-5-5")),
        at(9_000),
    );
    assert!(pool.lease(&ask(1, 1), at(3), 0).is_ok());
}

#[test]
fn a_refused_key_serves_who_has_nowhere_else_to_go_and_a_spent_one_does_not() {
    let class = ModelClass::of("claude-opus-5-5");
    for what in [Parked::Key("invalid_key"), Parked::Forbidden(class)] {
        let pool = KeyPool::new(specs(1), Selection::LeastLoaded);
        let id = pool.states(at(0))[0].id;
        pool.park(id, what, at(9_000));
        let denied = pool.lease(&ask(1, 1), at(1), 0).err();
        assert_eq!(
            denied,
            Some(Denied::Refused {
                until: Some(at(9_000))
            })
        );
        let anyway = Ask {
            anyway: true,
            ..ask(1, 1)
        };
        assert!(pool.lease(&anyway, at(1), 0).is_ok());
        pool.park(id, Parked::Class(class), at(9_000));
        assert!(pool.lease(&anyway, at(1), 0).is_err());
    }
}

#[test]
fn keys_that_stay_keep_what_they_used() {
    let rpm = KeyLimits {
        rpm: Some(1),
        ..KeyLimits::default()
    };
    let pool = KeyPool::new(limited(2, rpm), Selection::RoundRobin);
    let held = [
        pool.lease(&ask(1, 1), at(0), 0).ok().unwrap(),
        pool.lease(&ask(1, 1), at(0), 0).ok().unwrap(),
    ];
    let mut changed = limited(2, rpm);
    changed.remove(0);
    let mut added = spec("new");
    added.limits = rpm;
    changed.push(added);
    pool.update(changed, Selection::RoundRobin);
    assert_eq!(
        &*pool.lease(&ask(1, 1), at(1), 0).ok().unwrap().name(),
        "new"
    );
    assert!(pool.lease(&ask(1, 1), at(1), 0).is_err());
    drop(held);
    assert!(pool.states(at(1)).iter().all(|state| state.in_flight == 0));
}

#[test]
fn sessions_spread_and_stay_when_keys_come_and_go() {
    let pool = KeyPool::new(specs(8), Selection::Placed);
    let home = |pool: &Arc<KeyPool>, session: u64| {
        let placed = Ask {
            place: Some(crate::chance::mix(session)),
            ..ask(0, 0)
        };
        pool.lease(&placed, at(0), 0).ok().unwrap().name()
    };
    let before: Vec<_> = (0..800).map(|session| home(&pool, session)).collect();
    let again = KeyPool::new(specs(8), Selection::Placed);
    assert!(
        (0..800).all(|session| home(&again, session) == before[usize::try_from(session).unwrap()])
    );
    for state in pool.states(at(0)) {
        let count = before.iter().filter(|name| **name == state.name).count();
        assert!((65..=140).contains(&count), "{} {count}", state.name);
    }
    pool.update(specs(9), Selection::Placed);
    let moved = (0..800)
        .filter(|session| home(&pool, *session) != before[usize::try_from(*session).unwrap()]);
    let moved = moved.count();
    assert!((40..140).contains(&moved), "about a ninth: {moved}");
}

#[test]
fn no_key_carries_much_more_than_its_share() {
    let pool = KeyPool::new(specs(4), Selection::Placed);
    let mut carried = std::collections::HashMap::<KeyId, u64>::new();
    // Few long sessions: the worst case of hashing.
    let mut turns: Vec<(u64, u64, u64)> = (0..24_u64)
        .flat_map(|session| (0..50).map(move |turn| (session * 300 + turn * 20, session, turn)))
        .collect();
    turns.sort_unstable();
    let mut homes = std::collections::HashMap::<u64, KeyId>::new();
    for (second, session, turn) in turns {
        let now = at(second * 1_000);
        let placed = Ask {
            home: homes.get(&session).copied(),
            place: Some(crate::chance::mix(session)),
            ..ask(1_000 + turn * 100, 200)
        };
        let lease = pool.lease(&placed, now, turn).ok().unwrap();
        homes.insert(session, lease.id());
        *carried.entry(lease.id()).or_default() += placed.input_tokens;
        lease.settle(&usage(placed.input_tokens, 200), now);
    }
    let mean = carried.values().sum::<u64>() / 4;
    let most = carried.values().max().copied().unwrap();
    assert!(most * 100 <= mean * 125, "{most} of {mean}");
}

#[test]
fn threads_share_fairly_and_leave_nothing_behind() {
    let limits = KeyLimits {
        rpm: Some(100_000),
        tpm: Some(10_000_000),
        ..KeyLimits::default()
    };
    let pool = KeyPool::new(limited(4, limits), Selection::RoundRobin);
    let served: Vec<Arc<str>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| names(&pool, 500))).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    for state in pool.states(at(600)) {
        assert_eq!(
            served.iter().filter(|name| **name == state.name).count(),
            1_000
        );
        assert_eq!((state.in_flight, state.used.tpm), (0, Some(20_000)));
    }
}

#[derive(Debug, Clone)]
enum Event {
    Lease(u64, u64),
    Start(u64),
    Produce(u64),
    Settle(u64, u64),
    Refund,
    Leave,
}

fn event() -> impl proptest::strategy::Strategy<Value = Event> {
    prop_oneof![
        (1_u64..60, 0_u64..30).prop_map(|(input, output)| Event::Lease(input, output)),
        (1_u64..40).prop_map(Event::Start),
        (1_u64..40).prop_map(Event::Produce),
        (1_u64..40, 0_u64..40).prop_map(|(input, output)| Event::Settle(input, output)),
        Just(Event::Refund),
        Just(Event::Leave),
    ]
}

proptest! {
    /// Whatever the order of events: a minute after the last lease has ended nothing is used, and
    /// none counts as under way.
    #[test]
    fn no_order_of_events_loses_capacity(
        steps in prop::collection::vec((event(), 0_u64..5_000, any::<prop::sample::Index>()), 1..120),
        told in any::<bool>(),
    ) {
        let limits = KeyLimits { rpm: Some(20), tpm: Some(300), itpm: Some(200), otpm: Some(150) };
        let pool = KeyPool::new(limited(2, limits), Selection::LeastLoaded);
        let truth = headers(&[("anthropic-ratelimit-requests-limit", "50"), ("anthropic-ratelimit-requests-remaining", "40")]);
        let mut leases: Vec<Lease> = Vec::new();
        let mut now = 0;
        for (event, later, which) in steps {
            now += later;
            if let Event::Lease(input, output) = event {
                leases.extend(pool.lease(&ask(input, output), at(now), now));
                continue;
            }
            if leases.is_empty() {
                continue;
            }
            let mut lease = leases.swap_remove(which.index(leases.len()));
            match event {
                Event::Start(input) => {
                    if told { lease.answered(&truth, 200, at(now), UNIX); }
                    lease.started(&usage(input, 1), at(now));
                    leases.push(lease);
                }
                Event::Produce(output) => { lease.produced(output); leases.push(lease); }
                Event::Settle(input, output) => lease.settle(&usage(input, output), at(now)),
                Event::Refund => lease.refund(at(now)),
                Event::Leave | Event::Lease(..) => drop(lease),
            }
        }
        leases.clear();
        now += 130_000;
        let free = pool.lease(&ask(200, 100), at(now), 0);
        prop_assert!(free.is_ok());
        drop(free);
        for state in pool.states(at(now + 62_000)) {
            prop_assert_eq!(state.in_flight, 0);
            prop_assert_eq!(state.used, KeyLimits { rpm: Some(0), tpm: Some(0), itpm: Some(0), otpm: Some(0) });
        }
    }

    /// What is admitted by true estimates is never above a limit in any minute.
    #[test]
    fn no_minute_exceeds_a_limit(steps in prop::collection::vec((1_u64..80, 0_u64..20, 0_u64..9_000, any::<bool>()), 1..150)) {
        let limits = KeyLimits { rpm: Some(10), tpm: Some(300), itpm: Some(250), otpm: Some(90) };
        let pool = KeyPool::new(limited(1, limits), Selection::LeastLoaded);
        let mut admitted: Vec<(u64, u64, u64)> = Vec::new();
        let mut now = 0;
        for (input, output, later, refunded) in steps {
            now += later;
            let Ok(lease) = pool.lease(&ask(input, output), at(now), 0) else { continue };
            if refunded {
                lease.cancel(at(now));
                continue;
            }
            lease.settle(&usage(input, output), at(now));
            admitted.push((now, input, output));
            let minute = admitted.iter().filter(|(then, ..)| now - then < 60_000);
            let (mut requests, mut inputs, mut outputs) = (0, 0, 0);
            for (_, input, output) in minute {
                requests += 1;
                inputs += input;
                outputs += output;
            }
            prop_assert!(requests <= 10 && inputs <= 250 && outputs <= 90 && inputs + outputs <= 300);
        }
    }
}

#[test]
fn only_who_holds_the_cache_is_asked_for_the_rest_alone() {
    let limits = KeyLimits {
        itpm: Some(10_000),
        ..KeyLimits::default()
    };
    let pool = KeyPool::new(limited(3, limits), Selection::RoundRobin);
    let ids: Vec<KeyId> = pool.states(at(0)).iter().map(|state| state.id).collect();
    let warm = Ask {
        cached_tokens: 8_000,
        home: Some(ids[0]),
        guest: Some(ids[2]),
        ..ask(9_000, 1)
    };
    let used = |place: usize| pool.states(at(0))[place].used.itpm.unwrap_or(0);
    for expected in 1..=10 {
        drop(pool.lease(&warm, at(0), 0).ok().unwrap());
        assert_eq!(used(0), expected * 1_000);
    }
    assert_eq!(pool.home_at(&warm, at(0)), Some(at(61_000)));
    drop(pool.lease(&warm, at(0), 0).ok().unwrap());
    assert_eq!((used(1), used(2)), (0, 1_000), "its guest, before others");
    let homeless = Ask {
        guest: None,
        ..warm
    };
    drop(pool.lease(&homeless, at(0), 0).ok().unwrap());
    assert_eq!(used(1), 9_000, "another has to count it all");
}

#[test]
fn sessions_of_one_prefix_share_keys_as_far_as_the_bound_allows() {
    let pool = KeyPool::new(specs(4), Selection::Placed);
    let place = Ask {
        place: Some(7),
        ..ask(0, 0)
    };
    let mut counts = std::collections::HashMap::<KeyId, u64>::new();
    for _ in 0..40 {
        *counts
            .entry(pool.lease(&place, at(0), 0).ok().unwrap().id())
            .or_default() += 1;
    }
    let mut counts: Vec<u64> = counts.into_values().collect();
    counts.sort_unstable();
    assert_eq!(counts, [2, 12, 13, 13], "none above 1.25 of the mean");
}

#[test]
fn a_parked_key_says_why_and_a_shorter_wait_does_not_change_it() {
    let pool = KeyPool::new(specs(1), Selection::LeastLoaded);
    let state = |now| pool.states(at(now)).remove(0);
    assert_eq!((state(0).parked_until, state(0).parked_for), (None, ""));
    let id = state(0).id;
    pool.park(id, Parked::Key("invalid_key"), at(9_000));
    pool.park(id, Parked::Key("account_spent"), at(5_000));
    assert_eq!(
        (state(1).parked_until, state(1).parked_for),
        (Some(at(9_000)), "invalid_key")
    );
}
