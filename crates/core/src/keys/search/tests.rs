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
                rpm: Some(1 + u64::try_from(number % 2).unwrap()),
                itpm: number.is_multiple_of(5).then_some(3_000),
                ..KeyLimits::default()
            },
        }
    };
    (0..KEYS).map(spec).collect()
}

/// What happens to a pool.
#[derive(Debug, Clone)]
enum Event {
    /// So many requests of a size come, each of a session.
    Lease(u8, u8),
    /// A lease ends: settled, refunded, cancelled or dropped.
    End(usize, u8),
    /// An answer names an organisation, and what is left of its requests.
    Answer(usize, u8, u8),
    Park(usize, bool, u16),
    Unpark(usize),
    Later(u16),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (any::<u8>(), any::<u8>()).prop_map(|(count, size)| Event::Lease(count, size)),
        2 => (any::<usize>(), any::<u8>()).prop_map(|(which, how)| Event::End(which, how)),
        2 => (any::<usize>(), any::<u8>(), any::<u8>()).prop_map(|(which, org, left)| Event::Answer(which, org, left)),
        2 => (any::<usize>(), any::<bool>(), any::<u16>()).prop_map(|(key, class, long)| Event::Park(key, class, long)),
        1 => any::<usize>().prop_map(Event::Unpark),
        2 => any::<u16>().prop_map(Event::Later),
    ]
}

fn ask(size: u8, session: u64) -> Ask<'static> {
    let sizes = [(0, 0), (100, 50), (900, 100), (2_500, 1_000)];
    let (input_tokens, output_tokens) = sizes[usize::from(size) % sizes.len()];
    Ask {
        class: ModelClass::of(["claude-opus-5-5", "claude-haiku-5-5"][usize::from(size / 4) % 2]),
        input_tokens,
        cached_tokens: 0,
        output_tokens,
        home: None,
        guest: None,
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
    fn lease(&mut self, size: u8) -> Result<(), TestCaseError> {
        self.seed += 1;
        let (ask, now) = (ask(size, self.seed), at(self.now));
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
                let higher = before[..KEYS / 2].iter().any(|fits| *fits);
                prop_assert!(
                    !higher || place < KEYS / 2,
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
                prop_assert_eq!(told, soonest);
            }
        }
        Ok(())
    }

    fn happens(&mut self, event: &Event) -> Result<(), TestCaseError> {
        let now = at(self.now);
        match *event {
            Event::Lease(count, size) => {
                for _ in 0..count % 40 {
                    self.lease(size)?;
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
            Event::Answer(which, organisation, left) if !self.held.is_empty() => {
                let at = which % self.held.len();
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
                self.held[at].answered(&lines, 200, now, UNIX);
            }
            Event::Park(key, class, long) => {
                let what = if class {
                    Parked::Forbidden(ModelClass::of("claude-opus-5-5"))
                } else {
                    Parked::Key
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
        events in prop::collection::vec(event(), 1..60),
        selection in prop_oneof![
            Just(Selection::Placed),
            Just(Selection::LeastLoaded),
            Just(Selection::Weighted),
            Just(Selection::RoundRobin),
            Just(Selection::Random),
        ],
    ) {
        let mut world = World::new(selection);
        for event in &events {
            world.happens(event)?;
        }
        for size in 0..8 {
            world.lease(size)?;
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
                world.pool.park(*id, Parked::Key, hour);
            }
        }
        let mut counts = [0; 3];
        for step in 0..60 {
            let lease = world.pool.lease(&ask(0, step), at(0), step).ok().unwrap();
            let place = world.ids.iter().position(|id| *id == lease.id()).unwrap();
            counts[free.iter().position(|it| *it == place).unwrap()] += 1;
            lease.cancel(at(0));
        }
        assert_eq!(counts, want, "{selection:?}");
    }
}
