//! Budgets by table and by property.

use proptest::prelude::*;

use super::*;

const HOUR: u64 = 3600;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn budget(name: &str, per: Per, tokens: u64) -> Budget {
    Budget {
        name: name.into(),
        per,
        only: None,
        limit: Limit::Tokens(tokens),
        period: Period::Hour,
        warn_percent: 80,
    }
}

fn books(budgets: Vec<Budget>) -> Spend {
    let books = Spend::default();
    books.set(budgets, HashMap::new(), at(0));
    books
}

fn tokens(tokens: u64) -> Sum {
    Sum {
        tokens,
        money: Money::ZERO,
    }
}

fn of_client(client: &str, count: u64) -> Spent<'_> {
    Spent {
        client: Some(client),
        sum: tokens(count),
        ..Spent::default()
    }
}

#[test]
fn a_budget_warns_refuses_and_begins_anew() {
    let books = books(vec![budget("team", Per::ClientKey, 100)]);
    assert_eq!(books.charge(&of_client("ana", 79), at(1)), []);
    let notices = books.charge(&of_client("ana", 1), at(2));
    assert!(
        matches!(&notices[..], [Notice::Near { percent: 80, subject, .. }] if &**subject == "ana")
    );
    assert_eq!(books.charge(&of_client("ana", 19), at(3)), []);
    assert!(books.admit(Some("ana"), None, at(4)).is_ok());
    assert_eq!(books.charge(&of_client("ana", 1), at(4)), []);
    let refused = books.admit(Some("ana"), None, at(5)).unwrap_err();
    assert_eq!((refused.until, refused.wait), (HOUR, at(HOUR - 5)));
    assert_eq!(
        refused.to_string(),
        "the budget team is spent: 100 tokens of 100 tokens a hour, client key ana; \
         it begins anew at 1970-01-01 01:00 UTC"
    );
    assert!(books.admit(Some("bo"), None, at(5)).is_ok());
    assert!(books.admit(None, None, at(5)).is_ok());
    assert!(books.admit(Some("ana"), None, at(HOUR)).is_ok());
    let late = books.charge(&of_client("ana", 500), at(HOUR - 1));
    assert_eq!(late, [], "what ended before counts no more");
    assert!(books.admit(Some("ana"), None, at(HOUR)).is_ok());
}

#[test]
fn each_kind_of_subject_has_its_own_books() {
    let mut only = budget("bo", Per::ClientKey, 5);
    only.only = Some("bo".into());
    let books = books(vec![
        only,
        budget("sessions", Per::Session, 10),
        budget("all", Per::All, 20),
    ]);
    let charge = |client, session, count| {
        let spent = Spent {
            client,
            session,
            sum: tokens(count),
            ..Spent::default()
        };
        drop(books.charge(&spent, at(1)));
    };
    let by = |client, session| {
        let refused = books.admit(client, session, at(2)).err();
        refused.map(|refused| refused.budget.name.to_string())
    };
    charge(Some("ana"), Some("s"), 10);
    assert_eq!(by(Some("ana"), Some("s")).as_deref(), Some("sessions"));
    assert_eq!(by(Some("ana"), None), None);
    charge(Some("bo"), None, 5);
    assert_eq!(by(Some("bo"), None).as_deref(), Some("bo"));
    assert_eq!(by(Some("ana"), None), None);
    charge(None, None, 5);
    assert_eq!(by(Some("ana"), None).as_deref(), Some("all"));
}

#[test]
fn who_stands_in_spends_what_its_provider_has() {
    let (mantle, invoke) = (TargetId::new("aws"), TargetId::new("aws/invoke"));
    let books = Spend::default();
    let principals = HashMap::from([(invoke.clone(), mantle.clone())]);
    books.set(vec![budget("aws", Per::Provider, 10)], principals, at(0));
    let spent = Spent {
        target: Some(&invoke),
        sum: tokens(10),
        ..Spent::default()
    };
    books.charge(&spent, at(1));
    assert!(books.shuts(&mantle, at(1)).is_some());
    assert!(books.shuts(&invoke, at(1)).is_some());
    assert!(books.shuts(&TargetId::new("other"), at(1)).is_none());
    assert!(books.admit(Some("aws"), None, at(1)).is_ok());
}

#[test]
fn an_unknown_price_counts_nothing_and_is_told_once() {
    let mut dollars = budget("dollars", Per::All, 0);
    dollars.limit = Limit::Money(Money::nano_dollars(5_000_000_000));
    let books = books(vec![dollars]);
    let unpriced = Spent {
        sum: tokens(1_000),
        unpriced: true,
        ..Spent::default()
    };
    assert!(matches!(
        &books.charge(&unpriced, at(1))[..],
        [Notice::Unpriced(_)]
    ));
    assert_eq!(books.charge(&unpriced, at(1)), []);
    assert_eq!(books.standings(at(1))[0].most, Limit::Money(Money::ZERO));
    assert_eq!(books.charge(&unpriced, at(HOUR)).len(), 1);
}

#[test]
fn other_limits_hold_at_once_for_what_was_spent() {
    let books = books(vec![budget("all", Per::All, 100)]);
    books.charge(&of_client("ana", 100), at(1));
    assert!(books.admit(None, None, at(1)).is_err());
    books.set(vec![budget("all", Per::All, 200)], HashMap::new(), at(2));
    assert!(books.admit(None, None, at(2)).is_ok());
    assert_eq!(books.standings(at(2))[0].most_ppm, 500_000);
    let near = books.charge(&of_client("ana", 70), at(3));
    assert_eq!(near.len(), 1, "a limit that was raised is neared once more");
    books.set(Vec::new(), HashMap::new(), at(4));
    assert!(books.admit(None, None, at(4)).is_ok());
}

struct Before;

impl Past for Before {
    fn sums(&self, per: Per, since: u64) -> Vec<(String, Sum)> {
        assert_eq!((per, since), (Per::ClientKey, HOUR));
        let sums = [("ana", 60), ("bo", 5)];
        sums.map(|(name, count)| (name.to_owned(), tokens(count)))
            .into()
    }
}

#[test]
fn a_budget_begins_with_its_past_but_once() {
    let books = Spend::default();
    books.remember(Arc::new(Before));
    let set = |limit| {
        let budgets = vec![budget("team", Per::ClientKey, limit)];
        books.set(budgets, HashMap::new(), at(HOUR + 5));
    };
    set(60);
    assert!(books.admit(Some("ana"), None, at(HOUR + 6)).is_err());
    assert!(books.admit(Some("bo"), None, at(HOUR + 6)).is_ok());
    set(61);
    assert!(books.admit(Some("ana"), None, at(HOUR + 6)).is_ok());
}

#[test]
fn subjects_are_bounded_and_the_longest_unused_go() {
    let books = books(vec![budget("sessions", Per::Session, 1)]);
    for count in 0..MOST_SUBJECTS * 2 {
        let name = count.to_string();
        let spent = Spent {
            session: Some(&name),
            sum: tokens(1),
            ..Spent::default()
        };
        books.charge(&spent, at(1));
    }
    assert!(books.standings(at(1))[0].subjects <= MOST_SUBJECTS);
    let last = (MOST_SUBJECTS * 2 - 1).to_string();
    assert!(books.admit(None, Some(&last), at(1)).is_err());
    assert!(books.admit(None, Some("0"), at(1)).is_ok());
}

proptest! {
    /// Whatever comes in whatever order of time: a request is refused if, and only if, what ended
    /// in the present period reaches the limit.
    #[test]
    fn refused_if_and_only_if_the_period_is_spent(
        steps in prop::collection::vec((0_u64..900, 0_u64..40, any::<bool>()), 0..200),
        limit in 1_u64..200,
    ) {
        let books = books(vec![budget("team", Per::ClientKey, limit)]);
        let (mut now, mut ledger) = (0, Vec::new());
        for (later, count, ana) in steps {
            now += later;
            let client = if ana { "ana" } else { "bo" };
            let start = now - now % HOUR;
            let sum: u64 = ledger
                .iter()
                .filter(|(ended, of, _)| *ended >= start && *of == client)
                .map(|(_, _, count)| *count)
                .sum();
            let admitted = books.admit(Some(client), None, at(now));
            prop_assert_eq!(admitted.is_err(), sum >= limit);
            if let Err(refused) = admitted {
                prop_assert_eq!(refused.spent, Limit::Tokens(sum));
                prop_assert_eq!(at(now) + refused.wait, at(start + HOUR));
            }
            books.charge(&of_client(client, count), at(now));
            ledger.push((now, client, count));
        }
    }

    /// A warning comes once a period and subject, and never before its share.
    #[test]
    fn warned_once_a_period(counts in prop::collection::vec(0_u64..30, 0..60), limit in 1_u64..300) {
        let books = books(vec![budget("all", Per::All, limit)]);
        let (mut sum, mut warned) = (0, 0);
        for count in counts {
            sum += count;
            let near = books.charge(&of_client("", count), at(1)).len();
            warned += near;
            prop_assert!(near == 0 || sum * 100 / limit >= 80);
        }
        prop_assert_eq!(warned, usize::from(sum > 0 && sum * 100 / limit >= 80));
    }
}
