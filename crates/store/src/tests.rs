//! What goes in comes out as sums, within bounds, whatever becomes of the file.

use std::fs;
use std::path::Path;

use relay_core::price::Money;
use relay_core::record::{Observation, Outcome};
use relay_core::request::{ModelName, SessionId};
use relay_core::snapshot::TargetId;
use relay_core::usage::Usage;

use super::*;
use crate::writer::Batch;

const DAY: u64 = 86_400;

fn record(second: u64, model: &str, cost: Option<u64>) -> RequestRecord {
    RequestRecord {
        endpoint: "messages",
        client: Some("laptop".into()),
        target: Some(TargetId::new("anthropic")),
        model: Some(ModelName::new(model)),
        answered: true,
        session: SessionId::new("4f1c"),
        stream: true,
        status: Some(200),
        usage: Usage {
            input_tokens: Some(10),
            output_tokens: Some(5),
            ..Usage::default()
        },
        cost: cost.map(Money::nano_dollars),
        outcome: Outcome::Complete,
        observation: Observation::Read,
        ..RequestRecord::begun(
            "req_1".into(),
            http::Method::POST,
            "/v1/messages",
            Duration::from_secs(second),
        )
    }
}

fn options(path: &Path) -> StoreOptions {
    StoreOptions {
        path: path.to_owned(),
        max_bytes: 64 << 20,
        max_age: Duration::from_secs(90 * DAY),
        requests: 1000,
    }
}

/// Writes records and ends, so that all are in the file.
fn write(options: StoreOptions, records: impl IntoIterator<Item = RequestRecord>) -> u64 {
    let store = Store::open(options).unwrap();
    let inlet = store.inlet();
    for record in records {
        inlet.put(Arc::new(record));
    }
    let state = Arc::clone(&inlet.state);
    drop(store);
    state.lost.load(Ordering::Relaxed)
}

fn requests(path: &Path) -> i64 {
    let connection = file::open_to_read(path).unwrap();
    let count = connection.query_row("SELECT count(*) FROM request", [], |row| row.get(0));
    count.unwrap()
}

#[test]
fn sums_survive_a_restart_and_unknown_is_counted_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/relay.db");
    write(
        options(&path),
        [record(DAY, "opus", Some(7)), record(DAY, "glm", None)],
    );
    let mut failed = record(2 * DAY, "opus", None);
    failed.status = Some(529);
    let mut left = record(2 * DAY, "opus", Some(4));
    left.outcome = Outcome::ClientGone;
    write(options(&path), [failed, left]);
    let models = usage(&path, By::Model, 0).unwrap();
    let facts = |sums: &Sums| {
        (
            sums.name.clone(),
            sums.requests,
            sums.failed,
            sums.unpriced,
            sums.cost,
        )
    };
    let facts: Vec<_> = models.iter().map(facts).collect();
    assert_eq!(
        facts,
        [
            ("opus".to_owned(), 3, 1, 0, 11),
            ("glm".to_owned(), 1, 0, 1, 0)
        ]
    );
    assert_eq!(
        models.first().map(|sums| (sums.input, sums.output)),
        Some((30, 15))
    );
    let days = usage(&path, By::Day, 2 * DAY).unwrap();
    let days: Vec<_> = days
        .iter()
        .map(|sums| (&*sums.name, sums.requests))
        .collect();
    assert_eq!(days, [("1970-01-03", 2)]);
    for by in [
        By::Provider,
        By::Key,
        By::Client,
        By::Session,
        By::Agent,
        By::Project,
        By::Hour,
    ] {
        let all = usage(&path, by, 0).unwrap();
        assert_eq!(all.iter().map(|sums| sums.cost).sum::<u64>(), 11, "{by:?}");
    }
}

#[test]
fn what_is_read_while_it_is_written_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let store = Store::open(options(&path)).unwrap();
    assert!(usage(&path, By::Model, 0).unwrap().is_empty());
    store
        .inlet()
        .take(&Arc::new(record(DAY, "opus", Some(7))), None);
    let seen = usage(&path, By::Model, 0).unwrap();
    assert!(seen.iter().all(|sums| sums.cost == 7));
    drop(store);
    assert_eq!(usage(&path, By::Model, 0).unwrap().len(), 1);
}

#[test]
fn single_requests_are_bounded_and_sums_remain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    write(
        options(&path),
        (0..3000).map(|_| record(DAY, "opus", Some(1))),
    );
    // The bounds are looked at with the first batch after a start.
    write(options(&path), [record(DAY, "opus", Some(1))]);
    assert_eq!(requests(&path), 1000);
    let sums = usage(&path, By::Model, 0).unwrap();
    assert_eq!(sums.first().map(|sums| sums.requests), Some(3001));
}

#[test]
fn what_is_too_old_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    write(options(&path), [record(DAY, "opus", Some(1))]);
    write(options(&path), [record(200 * DAY, "opus", Some(2))]);
    let sums = usage(&path, By::Model, 0).unwrap();
    assert_eq!(sums.first().map(|sums| sums.cost), Some(2));
    assert_eq!(requests(&path), 1);
}

#[test]
fn the_file_stays_within_its_cap() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let many = StoreOptions {
        requests: 100_000,
        ..options(&path)
    };
    write(
        many.clone(),
        (0..12_000).map(|_| record(DAY, "opus", Some(1))),
    );
    let before = fs::metadata(&path).unwrap().len();
    assert!(before > 1 << 19, "{before}");
    let small = StoreOptions {
        max_bytes: 1 << 19,
        ..many
    };
    write(small, [record(DAY, "opus", Some(1))]);
    let after = fs::metadata(&path).unwrap().len();
    assert!(after <= 1 << 19, "{after}");
    let sums = usage(&path, By::Model, 0).unwrap();
    assert_eq!(sums.first().map(|sums| sums.requests), Some(12_001));
}

#[test]
fn a_broken_file_is_set_aside_and_a_later_one_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    fs::write(&path, [b'x'; 9000]).unwrap();
    write(options(&path), [record(DAY, "opus", Some(3))]);
    assert_eq!(usage(&path, By::Model, 0).unwrap().len(), 1);
    let aside = folder.path().join("relay.db.corrupt");
    assert_eq!(fs::read(aside).unwrap(), [b'x'; 9000]);

    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    assert!(matches!(
        usage(&path, By::Model, 0),
        Err(StoreError::Newer(99))
    ));
    assert!(matches!(
        Store::open(options(&path)),
        Err(StoreError::Newer(99))
    ));
}

#[test]
fn a_failing_disk_is_counted_and_written_again_once_it_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let state = Arc::new(StoreState::default());
    let connection = file::open(&path).unwrap();
    connection
        .execute_batch("ALTER TABLE rollup RENAME TO elsewhere")
        .unwrap();
    let mut writer = Writer::new(options(&path), connection, Arc::clone(&state));
    writer.put(&batch(record(DAY, "opus", Some(1))));
    assert_eq!(state.lost.load(Ordering::Relaxed), 1);
    assert!(state.failing.load(Ordering::Relaxed));
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch("ALTER TABLE elsewhere RENAME TO rollup")
        .unwrap();
    writer.put(&batch(record(DAY, "opus", Some(2))));
    assert!(!state.failing.load(Ordering::Relaxed));
    drop(writer);
    let sums = usage(&path, By::Model, 0).unwrap();
    assert_eq!(
        sums.first().map(|sums| (sums.requests, sums.cost)),
        Some((1, 2))
    );
}

#[test]
fn a_file_of_the_first_form_goes_on_in_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(file::FIRST).unwrap();
    old.execute_batch(
        "INSERT INTO session VALUES (24, '4f1c', 'a', 3, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0);
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(old);
    let before = session(&path, "4f").unwrap();
    let last = Wanted {
        limit: 9,
        ..Wanted::default()
    };
    assert!(crate::requests(&path, &last).unwrap().is_empty());
    let mut one = record(DAY, "opus", Some(7));
    one.agent = Some("b".into());
    one.parent_agent = Some("a".into());
    assert_eq!(write(options(&path), [one]), 0);
    let after = session(&path, "4f").unwrap();
    let [new, old] = <[AgentSums; 2]>::try_from(after).unwrap();
    assert_eq!(old, before[0], "what was there");
    assert_eq!((new.sums.name.as_str(), new.parent.as_str()), ("b", "a"));
    assert_eq!(before[0].sums.requests, 3);
    assert!(session(&path, "5").unwrap().is_empty());
}

fn batch(record: RequestRecord) -> Batch {
    Batch {
        records: vec![(Arc::new(record), None)],
        ..Batch::default()
    }
}

#[test]
fn changes_are_kept_in_order_and_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let change = |number: u64, refused: Option<&str>| KeptChange {
        at_ms: DAY * 1000 + number,
        by: "ana (pid 7)".to_owned(),
        what: "disable zai".to_owned(),
        changes: format!("providers[zai].enabled true -> false {number}"),
        refused: refused.map(str::to_owned),
    };
    let store = Store::open(options(&path)).unwrap();
    let mut long = change(0, None);
    long.changes = "\u{20ac}".repeat(9_000);
    store.inlet().note(long);
    for number in 1..10_100 {
        store.inlet().note(change(number, None));
    }
    store
        .inlet()
        .note(change(10_100, Some("it is the only one")));
    drop(store);
    let last = changes(&path, 2).unwrap();
    assert_eq!(
        last,
        [
            change(10_099, None),
            change(10_100, Some("it is the only one"))
        ]
    );
    let all = changes(&path, u32::MAX).unwrap();
    assert!(all[0].changes.len() <= 16 * 1024);
    // They are bounded at the next look, with the records.
    let writer = write(
        options(&path),
        (0..5_000).map(|_| record(DAY, "opus", Some(1))),
    );
    assert_eq!(writer, 0);
    assert_eq!(changes(&path, u32::MAX).unwrap().len(), 10_000);
}
