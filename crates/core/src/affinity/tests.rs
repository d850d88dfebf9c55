//! Lives of sessions: at home, borrowed, moved, forgotten.

use proptest::prelude::*;

use super::binding::BORROWED_TURNS;
use super::*;
use crate::price::{Day, Prices, Seller};

const SESSION: SessionKey = SessionKey(1);
const MODEL: &str = "claude-opus-5-5";

fn at(seconds: u64) -> Moment {
    Moment::after_start(Duration::from_secs(seconds))
}

fn home(name: &str) -> Home {
    Home {
        target: TargetId::new(name),
        key: None,
    }
}

/// Read, written for five minutes, written for an hour.
fn usage(read: u64, five: u64, hour: u64) -> Usage {
    Usage {
        cache_read_input_tokens: Some(read),
        cache_creation_input_tokens: Some(five + hour),
        cache_write_5m_tokens: Some(five),
        cache_write_1h_tokens: Some(hour),
        ..Usage::default()
    }
}

fn serve(affinity: &Affinity, name: &str, usage: Usage, seconds: u64) -> Change {
    let served = Served {
        home: &home(name),
        usage: &usage,
        vendor: &"anthropic".into(),
        organisation: None,
    };
    affinity.served(SESSION, MODEL, served, at(seconds))
}

fn find(affinity: &Affinity, seconds: u64) -> Binding {
    affinity.find(SESSION, MODEL, at(seconds)).unwrap()
}

fn warm_until(affinity: &Affinity) -> u64 {
    find(affinity, 0).warm_until.since_start().as_secs()
}

fn away(affinity: &Affinity, until: Option<u64>, seconds: u64) -> Advice {
    affinity.unavailable(SESSION, MODEL, until.map(at), at(seconds))
}

#[test]
fn a_binding_lives_as_long_as_its_cache() {
    for (turns, until) in [
        // Written for five minutes; each use renews it.
        (vec![(usage(0, 900, 0), 10)], 310),
        (vec![(usage(0, 900, 0), 10), (usage(900, 0, 0), 200)], 500),
        // For an hour, remembered over turns that only read.
        (vec![(usage(0, 0, 900), 10)], 3610),
        (vec![(usage(0, 0, 900), 10), (usage(900, 0, 0), 200)], 3800),
        (vec![(usage(0, 10, 900), 10)], 3610),
        // A later write for five minutes does not shorten what was written for an hour.
        (vec![(usage(0, 0, 900), 10), (usage(900, 50, 0), 200)], 3610),
        // Below the least cacheable prefix: five minutes all the same, each time.
        (vec![(Usage::default(), 10)], 310),
        (vec![(Usage::default(), 10), (usage(0, 0, 0), 200)], 500),
        // A turn that touched no cache does not renew one.
        (vec![(usage(0, 900, 0), 10), (usage(0, 0, 0), 200)], 310),
        // An answer that comes in late does not shorten it.
        (vec![(usage(0, 900, 0), 200), (usage(900, 0, 0), 10)], 500),
    ] {
        let affinity = Affinity::new(10);
        for (number, (usage, seconds)) in turns.iter().enumerate() {
            let change = serve(&affinity, "a", *usage, *seconds);
            let expected = if number == 0 {
                Change::Bound
            } else {
                Change::Renewed
            };
            assert_eq!(change, expected);
        }
        assert_eq!(warm_until(&affinity), until, "{turns:?}");
    }
}

#[test]
fn caches_never_cross_models() {
    let affinity = Affinity::new(10);
    serve(&affinity, "a", usage(0, 900, 0), 0);
    assert!(affinity.find(SESSION, "claude-haiku-5-5", at(1)).is_none());
    assert!(affinity.find(SessionKey(2), MODEL, at(1)).is_none());
}

#[test]
fn a_short_absence_is_borrowed_and_ends_at_home() {
    let affinity = Affinity::new(10);
    serve(&affinity, "a", usage(0, 1000, 0), 0);
    assert_eq!(
        away(&affinity, Some(60), 10),
        Advice::Borrow { guest: None }
    );
    assert_eq!(
        serve(&affinity, "b", usage(0, 1100, 0), 11),
        Change::Borrowed {
            rewritten_tokens: 1000
        }
    );
    // All further requests to the same guest, which has the prefix by now.
    assert_eq!(
        away(&affinity, Some(60), 20),
        Advice::Borrow {
            guest: Some(home("b"))
        }
    );
    assert_eq!(
        serve(&affinity, "b", usage(1100, 50, 0), 21),
        Change::Borrowed {
            rewritten_tokens: 50
        }
    );
    assert_eq!(affinity.sessions(at(30))[0].guest, Some(home("b")));
    let binding = find(&affinity, 61);
    assert_eq!(binding.home, home("a"));
    assert!(binding.is_warm(at(61)));
    assert_eq!(
        serve(&affinity, "a", usage(1000, 200, 0), 61),
        Change::Renewed
    );
    assert_eq!(affinity.sessions(at(62))[0].guest, None);
    // Away once more: the guest is still warm, until it is not.
    assert_eq!(
        away(&affinity, Some(70), 65),
        Advice::Borrow {
            guest: Some(home("b"))
        }
    );
    assert_eq!(
        away(&affinity, Some(350), 330),
        Advice::Borrow { guest: None }
    );
}

#[test]
fn a_long_absence_moves() {
    let affinity = Affinity::new(10);
    for (until, advice) in [
        (Some(299), Advice::Borrow { guest: None }),
        (Some(300), Advice::Move),
        (None, Advice::Move),
    ] {
        serve(&affinity, "a", usage(0, 1000, 0), 0);
        assert_eq!(away(&affinity, until, 10), advice, "{until:?}");
    }
    assert_eq!(
        serve(&affinity, "b", usage(0, 1200, 0), 11),
        Change::Moved {
            rewritten_tokens: 1000
        }
    );
    let binding = find(&affinity, 12);
    assert_eq!((binding.home, binding.guest), (home("b"), None));
    assert_eq!((binding.warm_until, binding.prefix_tokens), (at(311), 1200));
    assert_eq!(
        affinity.unavailable(SessionKey(9), MODEL, Some(at(9)), at(1)),
        Advice::Move
    );
}

#[test]
fn a_home_that_is_back_before_the_move_keeps_its_session() {
    let affinity = Affinity::new(10);
    serve(&affinity, "a", usage(0, 1000, 0), 0);
    assert_eq!(away(&affinity, None, 10), Advice::Move);
    assert_eq!(
        serve(&affinity, "a", usage(1000, 0, 0), 20),
        Change::Renewed
    );
    assert!(matches!(
        serve(&affinity, "b", usage(0, 1000, 0), 30),
        Change::Borrowed { .. }
    ));
}

#[test]
fn a_cold_session_moves_for_nothing() {
    let affinity = Affinity::new(10);
    serve(&affinity, "a", usage(0, 1000, 0), 0);
    assert!(!find(&affinity, 300).is_warm(at(300)));
    assert_eq!(
        serve(&affinity, "b", usage(0, 1000, 0), 300),
        Change::Moved {
            rewritten_tokens: 0
        }
    );
}

#[test]
fn a_long_stay_with_a_guest_is_a_move() {
    let affinity = Affinity::new(10);
    serve(&affinity, "a", usage(0, 0, 1000), 0);
    for turn in 0..BORROWED_TURNS {
        let change = serve(&affinity, "b", usage(1000, 10, 0), 10 + u64::from(turn));
        assert!(matches!(change, Change::Borrowed { .. }), "{turn}");
    }
    assert!(matches!(
        serve(&affinity, "b", usage(1000, 10, 0), 60),
        Change::Moved { .. }
    ));
    assert_eq!(find(&affinity, 61).home, home("b"));
}

#[test]
fn whose_thinking_a_conversation_holds_is_remembered() {
    let affinity = Affinity::new(10);
    let serve = |name: &str, vendor: &str, organisation: Option<&str>| {
        let organisation: Option<Arc<str>> = organisation.map(Arc::from);
        let served = Served {
            home: &home(name),
            usage: &usage(0, 1000, 0),
            vendor: &vendor.into(),
            organisation: organisation.as_ref(),
        };
        affinity.served(SESSION, MODEL, served, at(0));
        let binding = find(&affinity, 1);
        let organisation = binding.organisation.map(|it| it.to_string());
        (
            binding.vendor.to_string(),
            organisation,
            binding.mixed_vendors,
        )
    };
    let known = |vendor: &str, organisation: Option<&str>, mixed| {
        (vendor.to_owned(), organisation.map(str::to_owned), mixed)
    };
    assert_eq!(
        serve("a", "anthropic", Some("o")),
        known("anthropic", Some("o"), false)
    );
    assert_eq!(
        serve("a", "anthropic", None),
        known("anthropic", Some("o"), false)
    );
    assert_eq!(serve("b", "zai", None), known("zai", None, true));
    assert_eq!(
        serve("a", "anthropic", Some("p")),
        known("anthropic", Some("p"), true)
    );
}

#[test]
fn a_dropped_home_is_left() {
    let affinity = Affinity::new(10);
    serve(&affinity, "a", usage(0, 1000, 0), 0);
    serve(&affinity, "b", usage(0, 1000, 0), 1);
    affinity.drop_home(&home("b"));
    assert_eq!(find(&affinity, 2).guest, None);
    affinity.drop_home(&home("a"));
    assert!(!find(&affinity, 2).is_warm(at(2)));
    assert_eq!(
        serve(&affinity, "c", usage(0, 9, 0), 2),
        Change::Moved {
            rewritten_tokens: 0
        }
    );
}

#[test]
fn prefixes_fade_and_sessions_are_forgotten() {
    let affinity = Affinity::new(10);
    serve(&affinity, "a", usage(0, 160_000, 0), 0);
    serve(&affinity, "a", usage(20_000, 0, 0), 1);
    assert_eq!(find(&affinity, 1).prefix_tokens, 140_000);
    assert!(affinity.find(SESSION, MODEL, at(86_400)).is_some());
    assert!(affinity.find(SESSION, MODEL, at(86_401)).is_none());
    assert!(affinity.sessions(at(86_401)).is_empty());
    assert_eq!(serve(&affinity, "b", usage(9, 0, 0), 86_401), Change::Bound);
}

#[test]
fn a_wait_must_be_worth_it() {
    let prices = Prices::built_in().unwrap();
    let seller = Seller::at_list_price("anthropic");
    let affinity = Affinity::new(10);
    for (tokens, hour, model, milliseconds, worth) in [
        // Moving 20,000 tokens of Opus costs 9.6 cents: worth 4.8 seconds.
        (20_000, false, MODEL, 4_799, true),
        (20_000, false, MODEL, 4_800, false),
        (20_000, true, MODEL, 7_799, true),
        (20_000, true, MODEL, 7_800, false),
        (150_000, false, MODEL, 10_000, true),
        (150_000, false, MODEL, 10_001, false),
        (20_000, false, "claude-haiku-5-5", 1_000, false),
        (20_000, false, "glm-of-mine", 1, false),
        (0, false, MODEL, 0, false),
    ] {
        let (five, hour) = if hour { (0, tokens) } else { (tokens, 0) };
        let served = Served {
            home: &home("a"),
            usage: &usage(0, five, hour),
            vendor: &"v".into(),
            organisation: None,
        };
        let session = SessionKey(tokens + hour + milliseconds);
        affinity.served(session, model, served, at(0));
        let binding = affinity.find(session, model, at(1));
        let wait = Duration::from_millis(milliseconds);
        let tariff = prices.of(&seller, model, model, Day::default());
        let found = worth_waiting(binding.as_ref(), wait, tariff.as_ref(), at(1));
        assert_eq!(found, worth, "{tokens} {model} {milliseconds}");
        let late = worth_waiting(binding.as_ref(), wait, tariff.as_ref(), at(3_600));
        assert!(!late, "cold by then");
    }
    let tariff = prices.of(&seller, MODEL, MODEL, Day::default());
    assert!(!worth_waiting(None, Duration::ZERO, tariff.as_ref(), at(1)));
}

proptest! {
    /// Whatever happens: the bound holds, a warm home that served last is found, and each change
    /// says the truth.
    #[test]
    fn any_history_is_consistent(events in prop::collection::vec(
        (0_u64..6, 0_u8..3, 0_u64..2000, 0_u64..2000, 0_u64..2000, any::<bool>()), 1..200)) {
        let affinity = Affinity::new(4);
        let mut now = 0;
        for (session, name, read, five, later, leaves) in events {
            now += later;
            let session = SessionKey(session);
            let before = affinity.find(session, MODEL, at(now));
            if leaves {
                affinity.unavailable(session, MODEL, Some(at(now + later)), at(now));
            }
            let here = home(&name.to_string());
            let served = Served { home: &here, usage: &usage(read, five, 0), vendor: &"v".into(), organisation: None };
            let change = affinity.served(session, MODEL, served, at(now));
            let after = affinity.find(session, MODEL, at(now)).unwrap();
            prop_assert!(affinity.len() <= 4);
            match change {
                Change::Bound => prop_assert!(before.is_none() && after.home == here),
                Change::Renewed => prop_assert_eq!(before.unwrap().home, here),
                Change::Borrowed { rewritten_tokens } => {
                    let before = before.unwrap();
                    prop_assert!(before.home == after.home && before.home != here && before.is_warm(at(now)));
                    prop_assert!(after.guest == Some(here) && rewritten_tokens <= before.prefix_tokens.min(five));
                }
                Change::Moved { rewritten_tokens } => {
                    let before = before.unwrap();
                    prop_assert!(before.home != here && after.home == here && after.guest.is_none());
                    prop_assert!(rewritten_tokens == 0 || before.is_warm(at(now)));
                }
            }
            prop_assert!(after.is_warm(at(now)) || (read + five == 0));
        }
    }
}
