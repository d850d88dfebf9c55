//! Who gets a turn, when, and that nobody is forgotten.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use proptest::prelude::*;

use super::*;

const fn at(milliseconds: u64) -> Moment {
    Moment::after_start(Duration::from_millis(milliseconds))
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A request that waits, as an executor sees it.
struct Task {
    name: u64,
    flag: Arc<Flag>,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

/// What there is to be had, by kind, and who had it.
#[derive(Default)]
struct Store {
    capacity: [u32; 2],
    served: Vec<u64>,
    tries: u32,
}

struct World {
    room: WaitingRoom,
    tasks: Vec<Task>,
    store: Rc<RefCell<Store>>,
}

impl World {
    fn new() -> Self {
        Self {
            room: WaitingRoom::new(100),
            tasks: Vec::new(),
            store: Rc::default(),
        }
    }

    /// Joins as `name`, wanting capacity of the kind `name % 2`.
    fn join(&mut self, name: u64, session: u64, warm: bool, now: u64) {
        let mut place = self.room.join(SessionKey(session), warm, at(now)).unwrap();
        let store = Rc::clone(&self.store);
        let future = Box::pin(async move {
            loop {
                place.turn().await;
                let mut store = store.borrow_mut();
                store.tries += 1;
                let kind = usize::from(name % 2 == 1);
                if store.capacity[kind] > 0 {
                    store.capacity[kind] -= 1;
                    store.served.push(name);
                    return;
                }
            }
        });
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        self.tasks.push(Task { name, flag, future });
        self.run();
    }

    /// Gives capacity of one kind.
    fn give(&mut self, kind: usize, capacity: u32, now: u64) {
        self.store.borrow_mut().capacity[kind] += capacity;
        self.room.notify(at(now));
        self.run();
    }

    fn leave(&mut self, name: u64) {
        self.tasks.retain(|task| task.name != name);
        self.run();
    }

    /// Polls whoever was woken, until nobody is.
    fn run(&mut self) {
        let woken = |task: &Task| task.flag.0.swap(false, Ordering::Relaxed);
        while let Some(index) = self.tasks.iter().position(woken) {
            let task = &mut self.tasks[index];
            let waker = Waker::from(Arc::clone(&task.flag));
            let poll = task.future.as_mut().poll(&mut Context::from_waker(&waker));
            if poll.is_ready() {
                drop(self.tasks.remove(index));
            }
        }
    }

    fn served(&self) -> Vec<u64> {
        self.store.borrow().served.clone()
    }
}

#[test]
fn sessions_take_turns_and_each_is_first_come_first_served() {
    let mut world = World::new();
    for (name, session) in [(2, 1), (4, 1), (6, 1), (8, 2), (10, 2), (12, 3)] {
        world.join(name, session, true, 0);
    }
    for _ in 0..6 {
        world.give(0, 1, 10);
    }
    assert_eq!(world.served(), [2, 8, 12, 4, 10, 6]);
    assert!(world.room.is_empty());
}

#[test]
fn one_notice_serves_as_many_as_there_is_for() {
    let mut world = World::new();
    for name in [2, 4, 6, 8] {
        world.join(name, name, true, 0);
    }
    world.give(0, 3, 10);
    assert_eq!(world.served(), [2, 4, 6]);
    assert_eq!(world.room.len(), 1);
}

#[test]
fn warm_sessions_come_first_until_cold_ones_have_waited_enough() {
    let mut world = World::new();
    world.join(2, 1, false, 0);
    world.join(4, 2, true, 0);
    world.join(6, 3, true, 0);
    world.give(0, 1, 999);
    assert_eq!(world.served(), [4]);
    world.give(0, 1, 1000);
    assert_eq!(world.served(), [4, 2]);
    world.give(0, 1, 1001);
    assert_eq!(world.served(), [4, 2, 6]);
}

#[test]
fn who_finds_nothing_does_not_keep_others_from_finding_something() {
    let mut world = World::new();
    // The first wants one kind, the second another, even in the same session.
    world.join(2, 1, true, 0);
    world.join(3, 1, true, 0);
    world.give(1, 1, 10);
    assert_eq!(world.served(), [3]);
    world.join(5, 1, true, 20);
    world.give(0, 1, 30);
    assert_eq!(world.served(), [3, 2]);
}

#[test]
fn a_failed_try_keeps_the_place() {
    let mut world = World::new();
    world.join(2, 1, true, 0);
    world.join(4, 2, true, 0);
    world.give(0, 0, 10);
    world.give(0, 0, 20);
    let tries = world.store.borrow().tries;
    assert_eq!(tries, 2 + 2 * 2, "one at joining, and one with each notice");
    world.give(0, 1, 30);
    assert_eq!(world.served(), [2]);
}

#[test]
fn capacity_that_came_back_just_before_joining_is_found() {
    let mut world = World::new();
    world.give(0, 1, 0);
    world.join(2, 1, true, 0);
    assert_eq!(world.served(), [2]);
}

#[test]
fn the_room_has_a_size() {
    let room = WaitingRoom::new(1);
    let place = room.join(SessionKey(1), true, at(0)).unwrap();
    let full = room.join(SessionKey(2), true, at(0)).unwrap_err();
    assert_eq!(
        full.to_string(),
        "the waiting room is full: 1 requests wait already"
    );
    drop(place);
    assert!(room.join(SessionKey(2), true, at(0)).is_ok());
    assert!(room.is_empty() && room.inner.state.lock().seats.is_empty());
}

#[test]
fn a_turn_that_nobody_takes_goes_on() {
    let room = WaitingRoom::new(10);
    let poll = |turn: &mut NextTurn<'_>, flag: &Arc<Flag>| {
        let waker = Waker::from(Arc::clone(flag));
        Pin::new(turn)
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
    };
    let flag = || Arc::new(Flag(AtomicBool::new(false)));
    let (one, two) = (flag(), flag());
    let mut first = room.join(SessionKey(1), true, at(0)).unwrap();
    let mut second = room.join(SessionKey(2), true, at(0)).unwrap();
    assert!(poll(&mut first.turn(), &one));
    let mut next = second.turn();
    assert!(!poll(&mut next, &two), "the first is trying");
    let mut again = first.turn();
    assert!(
        two.0.swap(false, Ordering::Relaxed),
        "it failed, so the second is woken"
    );
    assert!(!poll(&mut again, &one));
    // The second has the turn, stops listening, and the turn goes on with the next notice.
    drop(next);
    room.notify(at(1));
    assert!(one.0.load(Ordering::Relaxed));
    assert!(poll(&mut again, &one));
    drop(again);
    // Gone in the middle of its try: the second may.
    let mut next = second.turn();
    assert!(!poll(&mut next, &two));
    drop(first);
    assert!(two.0.load(Ordering::Relaxed));
    assert!(poll(&mut next, &two));
}

proptest! {
    /// Whatever comes, goes and is given: nobody waits for capacity that is there, and none is
    /// given out twice.
    #[test]
    fn nothing_is_lost(events in prop::collection::vec((0_u8..4, 0_u64..5, any::<bool>(), 0_u64..700), 1..120)) {
        let mut world = World::new();
        let mut given = [0; 2];
        let (mut now, mut name) = (0, 0);
        for (event, number, warm, later) in events {
            now += later;
            match event {
                0 | 1 => {
                    name += 1;
                    world.join(name, number, warm, now);
                }
                2 => {
                    let kind = usize::from(warm);
                    given[kind] += u32::try_from(number).unwrap();
                    world.give(kind, u32::try_from(number).unwrap(), now);
                }
                _ => world.leave(name.saturating_sub(number)),
            }
            let store = world.store.borrow();
            for kind in [0, 1] {
                let served = store.served.iter().filter(|it| **it % 2 == kind).count();
                let kind = usize::try_from(kind).unwrap();
                prop_assert_eq!(u32::try_from(served).unwrap() + store.capacity[kind], given[kind]);
                let waits = world.tasks.iter().any(|task| usize::from(task.name % 2 == 1) == kind);
                prop_assert!(!waits || store.capacity[kind] == 0, "capacity lies about while one waits");
            }
            prop_assert_eq!(world.room.len(), world.tasks.len());
        }
        world.tasks.clear();
        prop_assert!(world.room.inner.state.lock().seats.is_empty());
    }

    /// However many warm requests stream in: once a cold one has waited long enough, it is served
    /// before any session gets capacity twice.
    #[test]
    fn cold_sessions_do_not_starve(before in prop::collection::vec(0_u64..6, 0..20), after in prop::collection::vec(0_u64..12, 12..30)) {
        let mut world = World::new();
        let mut name = 2;
        for session in before {
            name += 2;
            world.join(name, session, true, 0);
        }
        world.join(2, 99, false, 0);
        let mut seen = HashSet::new();
        for (step, session) in (0_u64..).zip(after) {
            name += 2;
            world.join(name, session, true, 1000 + step);
            let served = world.served().len();
            world.give(0, 1, 1000 + step);
            let served = world.served()[served];
            if served == 2 {
                return Ok(());
            }
            seen.insert(served);
            prop_assert!(seen.len() <= 6, "only the sessions that were there before it");
        }
        prop_assert!(false, "it was never served");
    }
}
