//! A large pool against a walk over all of its keys, through any history.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::super::{
    Ask, Denied, KeyLimits, KeyPool, KeySpec, Lease, ModelClass, Parked, Selection,
};
use crate::credential::UpstreamCredential;
use crate::moment::Moment;
use crate::secret::{KeyId, Secret};
use crate::usage::Usage;

/// Enough keys for a field in each of two tiers.
const KEYS: usize = 150;
const UNIX: Duration = Duration::from_hours(498_720);

fn at(milliseconds: u64) -> Moment {
    Moment::after_start(Duration::from_millis(milliseconds))
}

fn specs() -> Vec<KeySpec> {
    let spec = |number: usize| {
        let secret = Secret::new(format!("sk-ant-fake-{number}"));
        KeySpec {
            id: secret.id(),
            name: format!("k{number}").into(),
            credential: UpstreamCredential::Relay(secret),
            weight: u32::try_from(1 + number % 3).unwrap(),
            priority: i32::from(number < KEYS / 2),
            limits: KeyLimits {
                rpm: [None, Some(1), Some(2)][number % 3],
                itpm: Some(3_000),
                ..KeyLimits::default()
            },
        }
    };
    (0..KEYS).map(spec).collect()
}

/// What happens to a pool.
#[derive(Debug, Clone)]
enum Event {
    /// So many requests of a size come, each of a session; some have a home.
    Lease(u8, u8, Near),
    /// A lease ends: settled, refunded, cancelled or dropped.
    End(usize, u8),
    /// Answers to so many name an organisation, and what is left of its requests.
    Answer(usize, u8, u8, usize),
    Park(usize, bool, u16),
    Unpark(usize),
    Later(u16),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (any::<u8>(), any::<u8>(), near()).prop_map(|(count, size, near)| Event::Lease(count, size, near)),
        2 => (any::<usize>(), any::<u8>()).prop_map(|(which, how)| Event::End(which, how)),
        2 => (any::<usize>(), any::<u8>(), any::<u8>(), 1_usize..40)
            .prop_map(|(which, org, left, count)| Event::Answer(which, org, left, count)),
        2 => (any::<usize>(), any::<bool>(), any::<u16>()).prop_map(|(key, class, long)| Event::Park(key, class, long)),
        1 => any::<usize>().prop_map(Event::Unpark),
        2 => any::<u16>().prop_map(Event::Later),
    ]
}

/// Where a request comes from: its home and guest, by place, the first beyond the keys gone since;
/// and how many of sixteen parts of it are cached there.
#[derive(Debug, Clone, Copy, Default)]
struct Near {
    home: Option<usize>,
    guest: Option<usize>,
    cached: u64,
}

fn near() -> impl Strategy<Value = Near> {
    let key = || prop::option::of(0..=KEYS);
    (key(), key(), 0_u64..=16).prop_map(|(home, guest, cached)| Near {
        home,
        guest,
        cached,
    })
}

fn id(place: usize) -> KeyId {
    Secret::new(format!("sk-ant-fake-{place}")).id()
}

fn ask(size: u8, near: Near, session: u64) -> Ask<'static> {
    let sizes = [(0, 0), (100, 50), (900, 100), (2_500, 1_000)];
    let (input_tokens, output_tokens) = sizes[usize::from(size) % sizes.len()];
    // Not all of a grade are of one size.
    let input_tokens = input_tokens + input_tokens / 8 * (session % 3);
    Ask {
        class: ModelClass::of(["claude-opus-5-5", "claude-haiku-5-5"][usize::from(size / 4) % 2]),
        input_tokens,
        cached_tokens: input_tokens * near.cached / 16,
        output_tokens,
        home: near.home.map(id),
        guest: near.guest.map(id),
        place: Some(crate::chance::mix(session)),
        without: &[],
        anyway: false,
    }
}

/// When the first of all keys can serve, by looking at each.
fn walk(pool: &Arc<KeyPool>, ask: &Ask<'_>, now: Moment) -> Option<Moment> {
    let mut inner = pool.inner();
    (0..KEYS)
        .filter_map(|place| inner.fits_at(place, ask, now))
        .min()
}

fn fits(pool: &Arc<KeyPool>, id: KeyId, ask: &Ask<'_>, now: Moment) -> bool {
    let mut inner = pool.inner();
    let place = inner.places[&id];
    inner.fits_at(place, ask, now) == Some(now)
}

fn headers(lines: &[(&'static str, String)]) -> HeaderMap {
    let line = |(name, value): &(&'static str, String)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )
    };
    lines.iter().map(line).collect()
}

struct World {
    pool: Arc<KeyPool>,
    ids: Vec<KeyId>,
    held: Vec<Lease>,
    now: u64,
    seed: u64,
}

impl World {
    fn new(selection: Selection) -> Self {
        let specs = specs();
        Self {
            ids: specs.iter().map(|spec| spec.id).collect(),
            pool: KeyPool::new(specs, selection),
            held: Vec::new(),
            now: 0,
            seed: 0,
        }
    }

    /// Leases, and holds the outcome against the walk.
    fn lease(&mut self, size: u8, near: Near) -> Result<(), TestCaseError> {
        self.seed += 1;
        let (ask, now) = (ask(size, near, self.seed), at(self.now));
        let soonest = walk(&self.pool, &ask, now);
        let before: Vec<bool> = self
            .ids
            .iter()
            .map(|id| fits(&self.pool, *id, &ask, now))
            .collect();
        let by_force = walk(
            &self.pool,
            &Ask {
                anyway: true,
                ..ask
            },
            now,
        );
        match self.pool.lease(&ask, now, self.seed) {
            Ok(lease) => {
                let place = self.ids.iter().position(|id| *id == lease.id()).unwrap();
                prop_assert!(before[place], "a key that could not serve");
                let at_home = near
                    .home
                    .is_some_and(|home| before.get(home) == Some(&true));
                prop_assert!(!at_home || Some(place) == near.home, "away from home");
                let higher = before[..KEYS / 2].iter().any(|fits| *fits);
                prop_assert!(
                    !higher || place < KEYS / 2 || near.home.or(near.guest).is_some(),
                    "a lower one before a higher one"
                );
                self.held.push(lease);
            }
            Err(denied) => {
                prop_assert!(soonest.is_none_or(|at| at > now), "somebody could serve");
                let told = match denied {
                    Denied::Spent { until } => {
                        prop_assert!(by_force != Some(now));
                        until
                    }
                    Denied::Refused { until } => {
                        prop_assert_eq!(by_force, Some(now));
                        until
                    }
                    Denied::Empty => None,
                };
                let told = told.map(Moment::since_start);
                let soonest = soonest.map(Moment::since_start);
                prop_assert_eq!(told.is_some(), soonest.is_some());
                let off = told
                    .unwrap_or_default()
                    .abs_diff(soonest.unwrap_or_default());
                prop_assert!(off <= Duration::from_micros(1), "{told:?} {soonest:?}");
            }
        }
        Ok(())
    }

    fn happens(&mut self, event: &Event) -> Result<(), TestCaseError> {
        let now = at(self.now);
        match *event {
            Event::Lease(count, size, near) => {
                for _ in 0..=count % 4 {
                    self.lease(size, near)?;
                }
            }
            Event::End(which, how) if !self.held.is_empty() => {
                let lease = self.held.swap_remove(which % self.held.len());
                let usage = Usage {
                    input_tokens: Some(u64::from(how)),
                    output_tokens: Some(1),
                    ..Usage::default()
                };
                match how % 4 {
                    0 => lease.settle(&usage, now),
                    1 => lease.refund(now),
                    2 => lease.cancel(now),
                    _ => drop(lease),
                }
            }
            Event::Answer(which, organisation, left, count) if !self.held.is_empty() => {
                let lines = headers(&[
                    (
                        "anthropic-organization-id",
                        format!("org-{}", organisation % 6),
                    ),
                    ("anthropic-workspace-id", format!("w-{}", organisation % 3)),
                    ("anthropic-ratelimit-requests-limit", "60".to_owned()),
                    (
                        "anthropic-ratelimit-requests-remaining",
                        (left % 61).to_string(),
                    ),
                ]);
                for step in 0..count {
                    let at = which.wrapping_add(step) % self.held.len();
                    self.held[at].answered(&lines, 200, now, UNIX);
                }
            }
            Event::Park(key, class, long) => {
                let what = if class {
                    Parked::Forbidden(ModelClass::of("claude-opus-5-5"))
                } else {
                    Parked::Key("invalid_key")
                };
                // Many at once, so that most are left alone.
                for key in 0..=key % 60 {
                    let until = now.plus(Duration::from_millis(u64::from(long)));
                    self.pool.park(self.ids[(key * 7) % KEYS], what, until);
                }
            }
            Event::Unpark(key) => self.pool.unpark(self.ids[key % KEYS]),
            Event::Later(milliseconds) => self.now += u64::from(milliseconds),
            Event::End(..) | Event::Answer(..) => {}
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_large_pool_refuses_nobody_whom_a_walk_would_serve(
        (first, near) in (prop_oneof![Just(0), Just(300)], near()),
        events in prop::collection::vec(event(), 1..80),
        selection in prop_oneof![
            Just(Selection::Placed),
            Just(Selection::LeastLoaded),
            Just(Selection::Weighted),
            Just(Selection::RoundRobin),
            Just(Selection::Random),
        ],
    ) {
        let mut world = World::new(selection);
        for _ in 0..first {
            world.seed += 1;
            let lease = world.pool.lease(&ask(2, near, world.seed), at(0), world.seed);
            world.held.extend(lease);
        }
        for event in &events {
            world.happens(event)?;
            // Something is known of most keys.
            world.lease(2, near)?;
        }
    }
}

#[test]
fn the_few_that_are_left_take_turns() {
    // Their weights are 1, 2 and 2.
    for (selection, want) in [
        (Selection::RoundRobin, [20, 20, 20]),
        (Selection::Weighted, [12, 24, 24]),
    ] {
        let world = World::new(selection);
        let hour = at(3_600_000);
        let free = [3, 40, 70];
        for (place, id) in world.ids.iter().enumerate() {
            if !free.contains(&place) {
                world.pool.park(*id, Parked::Key("invalid_key"), hour);
            }
        }
        let mut counts = [0; 3];
        for step in 0..60 {
            let lease = world
                .pool
                .lease(&ask(0, Near::default(), step), at(0), step)
                .ok()
                .unwrap();
            let place = world.ids.iter().position(|id| *id == lease.id()).unwrap();
            counts[free.iter().position(|it| *it == place).unwrap()] += 1;
            lease.cancel(at(0));
        }
        assert_eq!(counts, want, "{selection:?}");
    }
}

impl World {
    /// A pool whose keys have 500 tokens of input left each. It tries those first that stand first.
    fn nearly_spent() -> Self {
        let unlimited = |spec: KeySpec| KeySpec {
            limits: KeyLimits {
                itpm: Some(3_000),
                ..KeyLimits::default()
            },
            ..spec
        };
        let mut world = Self::new(Selection::RoundRobin);
        let specs = specs().into_iter().map(unlimited).collect();
        world.pool.update(specs, Selection::RoundRobin);
        for step in 0..KEYS {
            let ask = Ask {
                input_tokens: 2_500,
                ..ask(0, Near::default(), 0)
            };
            let lease = world.pool.lease(&ask, at(0), step as u64).ok();
            world.held.push(lease.unwrap());
        }
        world
    }

    /// Who serves a request of 3,000 tokens, all but so many of them cached.
    fn serves(&self, (home, guest): (Option<usize>, Option<usize>), rest: u64) -> Option<usize> {
        let ask = Ask {
            input_tokens: 3_000,
            cached_tokens: 3_000 - rest,
            home: home.map(id),
            guest: guest.map(id),
            ..ask(0, Near::default(), 7)
        };
        let lease = self.pool.lease(&ask, at(1), 0).ok()?;
        let place = self.ids.iter().position(|id| *id == lease.id());
        lease.cancel(at(1));
        place
    }

    /// The key at a place is answered.
    fn answer(&mut self, place: usize, lines: &[(&'static str, String)]) {
        let mut held = self.held.iter_mut();
        let lease = held.find(|lease| lease.id() == self.ids[place]).unwrap();
        lease.answered(&headers(lines), 200, at(1), UNIX);
    }
}

fn owner(organisation: &str, workspace: &str) -> [(&'static str, String); 2] {
    [
        ("anthropic-organization-id", organisation.to_owned()),
        ("anthropic-workspace-id", workspace.to_owned()),
    ]
}

#[test]
fn who_has_the_prefix_cached_is_found_among_any_number_who_would_need_all_of_it() {
    const GONE: usize = KEYS;
    let mut world = World::nearly_spent();
    assert_eq!(world.serves((None, None), 0), None, "known of all now");
    assert_eq!(world.serves((Some(10), None), 400), Some(10));
    assert_eq!(world.serves((Some(GONE), Some(30)), 400), Some(30));
    assert_eq!(world.serves((None, Some(30)), 400), Some(30));
    assert_eq!(world.serves((Some(10), Some(30)), 600), None);
    // The home is left alone: its workspace serves, as soon as it is known.
    world
        .pool
        .park(id(10), Parked::Key("invalid_key"), at(60_000));
    assert_eq!(world.serves((Some(10), None), 400), None);
    world.answer(10, &owner("org", "w-1"));
    for place in 20..40 {
        world.answer(place, &owner("org", "w-2"));
    }
    assert_eq!(world.serves((Some(10), None), 400), None);
    world.answer(25, &owner("org", "w-1"));
    assert_eq!(world.serves((Some(10), None), 400), Some(25));
    // So many are learned that all are laid out anew.
    for place in 0..KEYS {
        let workspace = ["w-1", "w-2"][usize::from(place != 10 && place != 120)];
        world.answer(place, &owner("org", workspace));
    }
    assert_eq!(
        world.serves((Some(10), None), 600),
        None,
        "known of all anew"
    );
    assert_eq!(world.serves((Some(10), None), 400), Some(120));
    world.answer(120, &owner("org", "w-2"));
    assert_eq!(world.serves((Some(10), None), 400), None);
    world.answer(140, &owner("org", "w-1"));
    assert_eq!(world.serves((Some(10), None), 400), Some(140));
}

#[test]
fn an_organisation_whose_limits_are_learned_anew_serves_again() {
    const LAST: usize = 60;
    let world = World::new(Selection::RoundRobin);
    let minute = at(60_000);
    let lease = |size| {
        let ask = ask(size, Near::default(), 0);
        world.pool.lease(&ask, at(1), 0).ok()
    };
    let left = |count: u64| {
        headers(&[
            ("anthropic-ratelimit-requests-limit", "60".to_owned()),
            ("anthropic-ratelimit-requests-remaining", count.to_string()),
        ])
    };
    let org = headers(&owner("org", "w"));
    let [opus, haiku] = [0, 4];
    // Each of the first tier once, in their order. But for the last, all are of an organisation that
    // has no room for these models; most are left alone besides, all those that are tried first.
    let mut leases: Vec<_> = (0..KEYS / 2).map(|_| lease(haiku).unwrap()).collect();
    for (place, lease) in leases.iter_mut().enumerate() {
        if place != LAST {
            lease.answered(&org, 200, at(1), UNIX);
        }
    }
    for place in (0..KEYS).filter(|place| !(40..=LAST).contains(place)) {
        world
            .pool
            .park(id(place), Parked::Key("invalid_key"), minute);
    }
    let mut first = leases.swap_remove(0);
    for lease in leases {
        lease.refund(at(1));
    }
    first.answered(&left(0), 200, at(1), UNIX);
    let mut opus = std::iter::repeat_with(|| lease(opus).unwrap());
    let mut opus = opus.find(|lease| lease.id() == id(LAST)).unwrap();
    let mut haiku_of_last = lease(haiku).unwrap();
    assert_eq!(haiku_of_last.id(), id(LAST));
    haiku_of_last.answered(&left(60), 200, at(1), UNIX);
    world
        .pool
        .park(id(LAST), Parked::Key("invalid_key"), minute);
    assert!(lease(haiku).is_none(), "known of all now");
    // The last belongs to them, as the answer to a request for the first models says.
    opus.answered(&org, 200, at(1), UNIX);
    assert!(lease(haiku).is_some());
}
