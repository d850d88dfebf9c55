//! The keeper against a source that answers by a list, in made-up time: the wall clock and the
//! timers are both the runtime's, which stands still but for `advance` and sleeping.

use std::collections::VecDeque;

use parking_lot::Mutex;
use relay_core::secret::Secret;
use tokio::time::{Instant, advance};
use tokio_util::task::TaskTracker;

use super::*;
use crate::source::{Asked, BOUND};

/// The time at which each test begins.
const START: Duration = Duration::from_secs(1_000_000);

/// What the source does when asked.
enum Act {
    /// Issues `token` for a life.
    Issue(&'static str, Life),
    /// Issues for a life that begins now.
    Live(&'static str, Duration),
    Fail,
    Hang,
    Panic,
}

#[derive(Default)]
struct Script {
    acts: Mutex<VecDeque<Act>>,
    asked: Mutex<Vec<(Duration, Why)>>,
}

struct Listed(Arc<Script>, Clock);

impl Ask for Listed {
    fn ask(&mut self, why: Why) -> Asked<'_> {
        let now = self.1.unix();
        self.0.asked.lock().push((now.saturating_sub(START), why));
        let act = self.0.acts.lock().pop_front();
        Box::pin(async move {
            // As a real question does, it takes a moment.
            sleep(Duration::from_millis(10)).await;
            let (token, life) = match act {
                Some(Act::Issue(token, life)) => (token, life),
                Some(Act::Live(token, life)) => (token, Life::Until(now + life)),
                Some(Act::Fail) => return Err(Failure("it failed".into())),
                Some(Act::Hang) => std::future::pending().await,
                Some(Act::Panic) => panic!("as told"),
                None => panic!("asked once too often"),
            };
            Ok(Answer {
                form: IssuedForm::Bearer {
                    token: Secret::new(token),
                    quota_project: None,
                },
                life,
            })
        })
    }

    fn bound(&self) -> Duration {
        BOUND
    }
}

/// A keeper that runs, and what it is judged by.
struct Stage {
    identity: Arc<dyn Identity>,
    script: Arc<Script>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Stage {
    fn open(acts: impl IntoIterator<Item = Act>) -> Self {
        let begun = Instant::now();
        let clock = Clock::of(move || START + begun.elapsed());
        let script = Arc::new(Script::default());
        script.acts.lock().extend(acts);
        let source = Listed(Arc::clone(&script), clock.clone());
        let (identity, keeper) = pair("stage", Box::new(source), clock);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(keeper.run(stop.clone()));
        Self {
            identity,
            script,
            stop,
            tasks,
        }
    }

    /// Returns when and why the source was asked, in seconds since the start.
    fn asked(&self) -> Vec<(u64, Why)> {
        let asked = self.script.asked.lock();
        asked.iter().map(|(at, why)| (at.as_secs(), *why)).collect()
    }

    fn token(&self) -> Option<(String, u64)> {
        self.identity.current().map(|issued| match &issued.form {
            IssuedForm::Bearer { token, .. } => (token.expose().to_owned(), issued.generation),
            IssuedForm::Aws { .. } => panic!("no token"),
        })
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test(start_paused = true)]
async fn an_hour_is_replaced_five_minutes_ahead() {
    let stage = Stage::open([
        Act::Live("one", seconds(3_600)),
        Act::Live("two", seconds(3_600)),
    ]);
    assert_eq!(stage.identity.renew(0).await.unwrap().generation, 1);
    sleep(seconds(3_200)).await;
    assert_eq!(stage.token(), Some(("one".into(), 1)));
    sleep(seconds(110)).await;
    assert_eq!(stage.token(), Some(("two".into(), 2)));
    let asked = stage.asked();
    assert_eq!(asked.len(), 2);
    assert!((3_225..=3_300).contains(&asked[1].0), "{asked:?}");
    assert_eq!(asked[1].1, Why::Due);
}

#[tokio::test(start_paused = true)]
async fn an_endless_credential_is_asked_for_once() {
    let stage = Stage::open([Act::Issue("one", Life::Endless)]);
    assert!(stage.identity.current().is_none());
    stage.identity.renew(0).await.unwrap();
    sleep(seconds(1_000_000)).await;
    assert_eq!(stage.token(), Some(("one".into(), 1)));
    assert_eq!(stage.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_ahead_is_tried_again_with_growing_delays_while_the_old_one_holds() {
    let mut acts = vec![Act::Live("one", seconds(3_600))];
    acts.extend((0..7).map(|_| Act::Fail));
    acts.push(Act::Live("two", seconds(3_600)));
    let stage = Stage::open(acts);
    sleep(seconds(3_420)).await;
    assert_eq!(stage.token(), Some(("two".into(), 2)));
    let asked = stage.asked();
    assert_eq!(asked.len(), 9);
    for (place, longest) in [(2, 1), (3, 2), (4, 4), (5, 8), (6, 16), (7, 32), (8, 60)] {
        let delay = asked[place].0 - asked[place - 1].0;
        assert!(delay <= longest + 1, "{asked:?}");
        assert!(delay + 1 >= longest * 3 / 4, "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_is_not_handed_out_and_comes_back_with_a_new_one() {
    let mut acts = vec![Act::Live("one", seconds(10))];
    acts.extend((0..4).map(|_| Act::Fail));
    acts.push(Act::Live("two", seconds(3_600)));
    let stage = Stage::open(acts);
    sleep(seconds(9)).await;
    assert_eq!(stage.token(), Some(("one".into(), 1)));
    sleep(seconds(1)).await;
    assert_eq!(stage.token(), None);
    sleep(seconds(20)).await;
    assert_eq!(stage.token(), Some(("two".into(), 2)));
}

#[tokio::test(start_paused = true)]
async fn one_question_serves_all_who_wait() {
    let stage = Stage::open([
        Act::Live("one", seconds(3_600)),
        Act::Live("two", seconds(3_600)),
    ]);
    // The first question is under way, and these do not ask another.
    let firsts = (0..100).map(|_| stage.identity.renew(0));
    for issued in futures_util::future::join_all(firsts).await {
        assert_eq!(issued.unwrap().generation, 1);
    }
    let seconds_ = (0..100).map(|_| stage.identity.renew(1));
    for issued in futures_util::future::join_all(seconds_).await {
        assert_eq!(issued.unwrap().generation, 2);
    }
    // Who was refused with the first finds the second there.
    assert_eq!(stage.identity.renew(1).await.unwrap().generation, 2);
    sleep(seconds(60)).await;
    let whys: Vec<_> = stage.asked().into_iter().map(|(_, why)| why).collect();
    assert_eq!(whys, [Why::Due, Why::Refused]);
}

#[tokio::test(start_paused = true)]
async fn one_failure_is_told_to_all_who_wait() {
    let stage = Stage::open([Act::Fail, Act::Live("one", seconds(3_600))]);
    let all = (0..100).map(|_| stage.identity.renew(0));
    for issued in futures_util::future::join_all(all).await {
        let why = issued.err().unwrap().to_string();
        assert_eq!(why, "identity stage: it failed");
    }
    assert_eq!(stage.asked().len(), 1);
    assert_eq!(stage.identity.renew(0).await.unwrap().generation, 1);
    assert_eq!(stage.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn however_often_it_is_refused_it_asks_once_a_second() {
    let stage = Stage::open((0..11).map(|_| Act::Fail));
    let begun = Instant::now();
    for _ in 0..10 {
        assert!(stage.identity.renew(0).await.is_err());
    }
    assert!(begun.elapsed() >= seconds(9));
    assert_eq!(stage.asked().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn the_same_again_is_no_renewal_and_is_asked_for_again_later() {
    let stage = Stage::open([
        Act::Issue("one", Life::Until(START + seconds(3_600))),
        Act::Issue("one", Life::Until(START + seconds(3_600))),
        Act::Issue("one", Life::Until(START + seconds(3_600))),
        Act::Live("two", seconds(3_600)),
    ]);
    stage.identity.renew(0).await.unwrap();
    let why = stage.identity.renew(1).await.err().unwrap().to_string();
    assert!(why.contains("gave the same"), "{why}");
    assert_eq!(stage.token(), Some(("one".into(), 1)));
    // Ahead of its end the source has no newer one at first.
    sleep(seconds(3_400)).await;
    assert_eq!(stage.token(), Some(("two".into(), 2)));
    assert_eq!(stage.asked().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_question_without_an_answer_is_dropped_in_time() {
    let stage = Stage::open([Act::Hang, Act::Live("one", seconds(3_600))]);
    let begun = Instant::now();
    let why = stage.identity.renew(0).await.err().unwrap().to_string();
    assert_eq!(why, "identity stage: no answer within 10 s");
    assert!(begun.elapsed() < seconds(11));
    assert_eq!(stage.identity.renew(0).await.unwrap().generation, 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_source_is_a_failure_and_the_keeper_goes_on() {
    let stage = Stage::open([Act::Panic, Act::Live("one", seconds(3_600))]);
    let why = stage.identity.renew(0).await.err().unwrap().to_string();
    assert!(why.contains("SDK panicked"), "{why}");
    assert_eq!(stage.identity.renew(0).await.unwrap().generation, 1);
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_has_ended_when_it_comes_is_a_failure() {
    let stage = Stage::open([Act::Issue("old", Life::Until(START))]);
    let why = stage.identity.renew(0).await.err().unwrap().to_string();
    assert!(
        why.contains("already ended: check this machine's clock"),
        "{why}"
    );
    assert_eq!(stage.token(), None);
}

#[tokio::test(start_paused = true)]
async fn a_watched_credential_is_looked_at_and_ends_when_its_sdk_fails() {
    let watched = Life::Watched(seconds(10));
    let stage = Stage::open([
        Act::Issue("one", watched),
        Act::Issue("one", watched),
        Act::Issue("two", watched),
        Act::Fail,
        Act::Issue("three", watched),
        // A renewal that fails says nothing of the one in force.
        Act::Fail,
    ]);
    sleep(seconds(15)).await;
    assert_eq!(stage.token(), Some(("one".into(), 1)));
    sleep(seconds(10)).await;
    assert_eq!(stage.token(), Some(("two".into(), 2)));
    sleep(seconds(6)).await;
    assert_eq!(stage.token(), None);
    assert_eq!(stage.identity.renew(0).await.unwrap().generation, 3);
    assert!(stage.identity.renew(3).await.is_err());
    assert_eq!(stage.token(), Some(("three".into(), 3)));
    let whys: Vec<_> = stage.asked().into_iter().map(|(_, why)| why).collect();
    assert_eq!(whys[3..], [Why::Due, Why::Due, Why::Refused]);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_learns_that_it_stops() {
    let stage = Stage::open([Act::Hang]);
    let stop = async {
        sleep(seconds(1)).await;
        stage.stop.cancel();
        stage.tasks.close();
        stage.tasks.wait().await;
    };
    let (issued, ()) = tokio::join!(stage.identity.renew(0), stop);
    let why = issued.err().unwrap().to_string();
    assert_eq!(why, "identity stage: the relay is stopping");
}

#[tokio::test(start_paused = true)]
async fn without_a_running_keeper_a_renewal_ends_in_time() {
    let clock = Clock::of(|| START);
    let source = Listed(Arc::default(), clock.clone());
    let (identity, keeper) = pair("idle", Box::new(source), clock);
    let why = identity.renew(0).await.err().unwrap().to_string();
    assert!(why.contains("is its keeper running?"), "{why}");
    drop(keeper);
}

#[tokio::test(start_paused = true)]
async fn the_wall_clock_counts_where_timers_stood_still() {
    // The machine slept for two hours: its clock went on, its timers did not.
    let slept = Arc::new(Mutex::new(Duration::ZERO));
    let begun = Instant::now();
    let told = Arc::clone(&slept);
    let clock = Clock::of(move || START + begun.elapsed() + *told.lock());
    let script = Arc::new(Script::default());
    script.acts.lock().extend([
        Act::Live("one", seconds(3_600)),
        Act::Live("two", seconds(3_600)),
    ]);
    let source = Listed(Arc::clone(&script), clock.clone());
    let (identity, keeper) = pair("sleeper", Box::new(source), clock);
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    tasks.spawn(keeper.run(stop.clone()));
    identity.renew(0).await.unwrap();
    advance(seconds(30)).await;
    *slept.lock() = seconds(7_200);
    assert!(identity.current().is_none(), "it has ended");
    // Nobody asks; within a minute the clock is looked at.
    sleep(seconds(61)).await;
    assert_eq!(identity.current().unwrap().generation, 2);
    stop.cancel();
}
