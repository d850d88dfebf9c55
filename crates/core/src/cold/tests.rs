//! One goes first; nobody is forgotten.

use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use proptest::prelude::*;

use super::*;
use crate::snapshot::TargetId;

const PREFIX: PrefixKey = PrefixKey(7);

fn at(milliseconds: u64) -> Moment {
    Moment::after_start(Duration::from_millis(milliseconds))
}

fn home(name: &str) -> Home {
    Home {
        target: TargetId::new(name),
        key: None,
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll(waiting: &mut Waiting, woken: &Arc<Woken>) -> Option<Turn> {
    let waker = Waker::from(Arc::clone(woken));
    match Pin::new(waiting).poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(turn) => Some(turn),
        Poll::Pending => None,
    }
}

fn first(entry: Entry) -> Ticket {
    let Entry::First(ticket) = entry else {
        panic!("{entry:?}");
    };
    ticket
}

fn wait(entry: Entry) -> Waiting {
    let Entry::Wait(waiting) = entry else {
        panic!("{entry:?}");
    };
    waiting
}

#[test]
fn the_others_go_when_the_first_answer_begins() {
    let guard = ColdGuard::new();
    let woken = Arc::new(Woken::default());
    let ticket = first(guard.enter(PREFIX, &home("a"), at(0)));
    let mut waiting: Vec<Waiting> = (0..3)
        .map(|_| wait(guard.enter(PREFIX, &home("a"), at(500))))
        .collect();
    assert_eq!(guard.waiting(), 3);
    assert_eq!(waiting[0].deadline(), at(2000));
    assert!(waiting.iter_mut().all(|it| poll(it, &woken).is_none()));
    ticket.warmed(at(900));
    assert_eq!(woken.0.load(Ordering::Relaxed), 3);
    assert!(
        waiting
            .iter_mut()
            .all(|it| matches!(poll(it, &woken), Some(Turn::Go)))
    );
    // Warm for five minutes from the last use.
    assert!(matches!(
        guard.enter(PREFIX, &home("a"), at(300_899)),
        Entry::Go
    ));
    guard.warmed(PREFIX, &home("a"), at(300_899));
    assert!(matches!(
        guard.enter(PREFIX, &home("a"), at(600_898)),
        Entry::Go
    ));
    drop(first(guard.enter(PREFIX, &home("a"), at(600_899))));
}

#[test]
fn other_prefixes_and_homes_do_not_wait() {
    let guard = ColdGuard::new();
    let _ticket = first(guard.enter(PREFIX, &home("a"), at(0)));
    drop(first(guard.enter(PREFIX, &home("b"), at(0))));
    drop(first(guard.enter(PrefixKey(8), &home("a"), at(0))));
}

#[test]
fn when_the_first_fails_the_next_goes() {
    let guard = ColdGuard::new();
    let (one, two) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
    let ticket = first(guard.enter(PREFIX, &home("a"), at(0)));
    let mut next = wait(guard.enter(PREFIX, &home("a"), at(0)));
    let mut last = wait(guard.enter(PREFIX, &home("a"), at(0)));
    assert!(poll(&mut next, &one).is_none() && poll(&mut last, &two).is_none());
    drop(ticket);
    assert_eq!(
        (one.0.load(Ordering::Relaxed), two.0.load(Ordering::Relaxed)),
        (1, 0)
    );
    let Some(Turn::First(ticket)) = poll(&mut next, &one) else {
        panic!("the next is first");
    };
    assert!(poll(&mut last, &two).is_none());
    ticket.warmed(at(10));
    assert!(matches!(poll(&mut last, &two), Some(Turn::Go)));
}

#[test]
fn whoever_leaves_frees_the_place() {
    let guard = ColdGuard::new();
    let woken = Arc::new(Woken::default());
    let ticket = first(guard.enter(PREFIX, &home("a"), at(0)));
    let chosen = wait(guard.enter(PREFIX, &home("a"), at(0)));
    let gone = wait(guard.enter(PREFIX, &home("a"), at(0)));
    let mut last = wait(guard.enter(PREFIX, &home("a"), at(0)));
    assert!(poll(&mut last, &woken).is_none());
    drop(gone);
    assert_eq!(guard.waiting(), 2);
    // Chosen, but gone before it knew.
    drop(ticket);
    drop(chosen);
    assert!(matches!(poll(&mut last, &woken), Some(Turn::First(_))));
    drop(last);
    drop(first(guard.enter(PREFIX, &home("a"), at(0))));
}

#[test]
fn nobody_waits_for_one_that_is_late() {
    let guard = ColdGuard::new();
    let woken = Arc::new(Woken::default());
    let _ticket = first(guard.enter(PREFIX, &home("a"), at(0)));
    let mut waiting = wait(guard.enter(PREFIX, &home("a"), at(1999)));
    assert!(matches!(
        guard.enter(PREFIX, &home("a"), at(2000)),
        Entry::Go
    ));
    // One that went without waiting had an answer: the others need not wait on.
    guard.warmed(PREFIX, &home("a"), at(2500));
    assert!(matches!(poll(&mut waiting, &woken), Some(Turn::Go)));
}

#[test]
fn where_there_is_no_room_requests_go() {
    let guard = ColdGuard::new();
    let tickets: Vec<Entry> = (0..20_000)
        .map(|number| guard.enter(PrefixKey(number), &home("a"), at(0)))
        .collect();
    let held = tickets
        .iter()
        .filter(|entry| matches!(entry, Entry::First(_)))
        .count();
    assert_eq!(held, SHARDS * MAX_FLIGHTS_PER_SHARD);
    drop(tickets);
    let _ticket = first(guard.enter(PREFIX, &home("a"), at(0)));
    let mut waiting = Vec::new();
    while let Entry::Wait(one) = guard.enter(PREFIX, &home("a"), at(0)) {
        waiting.push(one);
    }
    assert_eq!(waiting.len(), MAX_WAITERS);
}

proptest! {
    /// Whatever comes and goes: there is one ticket at most, and while anybody waits there is a
    /// ticket, or somebody was woken to take it.
    #[test]
    fn one_first_and_nobody_forgotten(events in prop::collection::vec((0_u8..6, any::<prop::sample::Index>()), 1..120)) {
        let guard = ColdGuard::new();
        let mut tickets: Vec<Ticket> = Vec::new();
        let mut waiting: Vec<(Waiting, Arc<Woken>)> = Vec::new();
        let mut now = 0;
        for (event, which) in events {
            match event {
                0..=2 => match guard.enter(PREFIX, &home("a"), at(now)) {
                    Entry::First(ticket) => tickets.push(ticket),
                    Entry::Wait(mut it) => {
                        let woken = Arc::new(Woken::default());
                        prop_assert!(poll(&mut it, &woken).is_none());
                        waiting.push((it, woken));
                    }
                    Entry::Go => prop_assert!(tickets.is_empty() && waiting.iter().all(|it| it.1.0.load(Ordering::Relaxed) > 0)),
                },
                3 => drop(tickets.pop()),
                4 if !waiting.is_empty() => drop(waiting.remove(which.index(waiting.len()))),
                5 => {
                    if let Some(ticket) = tickets.pop() {
                        ticket.warmed(at(now));
                        now += 300_000;
                    }
                }
                _ => {}
            }
            prop_assert!(tickets.len() <= 1);
            let mut stays = Vec::new();
            let mut somebody = !tickets.is_empty();
            for (mut it, woken) in waiting.drain(..) {
                if woken.0.load(Ordering::Relaxed) == 0 {
                    stays.push((it, woken));
                    continue;
                }
                if let Some(Turn::First(ticket)) = poll(&mut it, &woken) {
                    somebody = true;
                    tickets.push(ticket);
                }
            }
            waiting = stays;
            prop_assert!(tickets.len() <= 1 && (waiting.is_empty() || somebody));
        }
    }
}
