//! What was said comes out as it went in, and a conversation takes what it is long.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use relay_core::record::RequestRecord;

use super::*;
use crate::{Inlet, Store, StoreOptions, Wanted, requests};

fn options(path: &Path) -> StoreOptions {
    StoreOptions {
        path: path.to_owned(),
        max_bytes: 64 << 20,
        max_age: Duration::from_hours(24),
        requests: 1000,
    }
}

fn body(text: impl Into<Bytes>) -> KeptBody {
    KeptBody::of(&text.into(), usize::MAX)
}

fn take(inlet: &Inlet, second: u64, request: KeptBody, response: KeptBody) {
    let record = RequestRecord {
        endpoint: "messages",
        ..RequestRecord::begun(
            format!("req_{second}").into(),
            http::Method::POST,
            "/v1/messages",
            Duration::from_secs(second),
        )
    };
    inlet.take(&Arc::new(record), Some(&Bodies { request, response }));
}

fn number(path: &Path, name: &str) -> i64 {
    let wanted = Wanted {
        limit: 1,
        name: Some(name.to_owned()),
        ..Wanted::default()
    };
    requests(path, &wanted).unwrap()[0].number
}

fn count(path: &Path, table: &str) -> i64 {
    let connection = file::open_to_read(path).unwrap();
    let query = format!("SELECT count(*) FROM {table}");
    connection.query_row(&query, [], |row| row.get(0)).unwrap()
}

/// Text that no compressor makes much shorter.
fn noise(seed: u64, length: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'a' + u8::try_from(state % 26).unwrap())
    };
    (0..length).map(|_| letter()).collect()
}

/// A conversation as Claude Code sends it: all turns so far, the last with a cache breakpoint.
fn conversation(turns: u64) -> String {
    let message = |turn: u64| {
        let (role, mark) = match (turn % 2, turn + 1 == turns) {
            (0, true) => ("user", r#","cache_control":{"type":"ephemeral"}"#),
            (0, false) => ("user", ""),
            _ => ("assistant", ""),
        };
        let text = noise(turn + 1, 2_000);
        format!(r#"{{"role":"{role}","content":[{{"type":"text","text":"{text}"{mark}}}]}}"#)
    };
    let messages: Vec<String> = (0..turns).map(message).collect();
    let tools = noise(0, 20_000);
    format!(
        r#"{{"model":"m","messages":[{}],"tools":[{{"name":"t","description":"{tools}"}}],"stream":true}}"#,
        messages.join(",")
    )
}

#[test]
fn a_conversation_takes_what_it_is_long_however_often_it_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let size = |turns: u64| {
        let path = folder.path().join(format!("{turns}.db"));
        let store = Store::open(options(&path)).unwrap();
        for turn in 0..turns {
            let asked = conversation(2 * turn + 1);
            take(&store.inlet(), turn, body(asked), body("event: ping\n\n"));
        }
        drop(store);
        let last = number(&path, &format!("req_{}", turns - 1));
        let [asked, answered] = bodies(&path, last).unwrap().unwrap();
        assert!(asked.bytes == conversation(2 * turns - 1).into_bytes());
        assert_eq!(answered.bytes, b"event: ping\n\n");
        fs::metadata(&path).unwrap().len()
    };
    // What was sent grows by the square, and 16 times as far as 4 times as many turns.
    let (some, more) = (size(40), size(160));
    assert!(more < 5 * some, "{some} {more}");
}

#[test]
fn what_is_too_long_is_cut_and_credentials_are_masked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let store = Store::open(options(&path)).unwrap();
    let asked: Bytes = r#"{"system":"use sk-ant-api03-AbC_1 for it"}"#.into();
    let answered: Bytes = "event: ping\n\nevent: ping\n\n".into();
    take(
        &store.inlet(),
        1,
        body(asked.clone()),
        KeptBody::of(&answered, 13),
    );
    drop(store);
    let raw = fs::read(&path).unwrap();
    assert!(!raw.windows(5).any(|it| it == b"AbC_1"));
    let [first, second] = bodies(&path, number(&path, "req_1")).unwrap().unwrap();
    assert_eq!(first.bytes, br#"{"system":"use sk-(masked) for it"}"#);
    assert_eq!(
        (first.whole_bytes, first.is_cut),
        (asked.len() as u64, false)
    );
    assert_eq!(second.bytes, b"event: ping\n\n");
    assert_eq!((second.whole_bytes, second.is_cut), (26, true));
}

#[test]
fn what_nobody_has_any_more_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let few = StoreOptions {
        requests: 2,
        ..options(&path)
    };
    let store = Store::open(few.clone()).unwrap();
    for turn in 0..10 {
        take(
            &store.inlet(),
            turn,
            body(conversation(2 * turn + 1)),
            body(noise(turn + 99, 50)),
        );
    }
    drop(store);
    // The next start looks at the bounds with its first batch.
    let store = Store::open(few).unwrap();
    take(&store.inlet(), 10, body("{}"), body("ok"));
    drop(store);
    assert_eq!(count(&path, "body"), 2);
    let chunks = count(&path, "chunk");
    let [asked, _] = bodies(&path, number(&path, "req_9")).unwrap().unwrap();
    assert!(asked.bytes == conversation(19).into_bytes());
    assert!(bodies(&path, number(&path, "req_10")).unwrap().is_some());
    // All that the last two have, and no answer of those before.
    let texts = chunk_texts(&path);
    assert_eq!(texts.len(), usize::try_from(chunks).unwrap());
    assert!(texts.contains(&noise(9 + 99, 50)));
    assert!((0..9).all(|turn| !texts.contains(&noise(turn + 99, 50))));
}

fn chunk_texts(path: &Path) -> Vec<String> {
    let connection = file::open_to_read(path).unwrap();
    let mut query = connection
        .prepare("SELECT packed, bytes FROM chunk")
        .unwrap();
    let texts = query.query_map([], |row| {
        Ok((row.get::<_, bool>(0)?, row.get::<_, Vec<u8>>(1)?))
    });
    let text = |(packed, bytes): (bool, Vec<u8>)| {
        let bytes = if packed {
            zstd::stream::decode_all(&*bytes).unwrap()
        } else {
            bytes
        };
        String::from_utf8(bytes).unwrap()
    };
    texts.unwrap().map(|it| text(it.unwrap())).collect()
}

#[test]
fn bodies_keep_the_file_within_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let small = StoreOptions {
        max_bytes: 1 << 20,
        ..options(&path)
    };
    let store = Store::open(small).unwrap();
    for turn in 0..60 {
        take(
            &store.inlet(),
            turn,
            body(noise(turn + 1, 100_000)),
            body("ok"),
        );
    }
    drop(store);
    let size = fs::metadata(&path).unwrap().len();
    assert!(size <= 1 << 20, "{size}");
    // The requests themselves stay, and the last has what was said in it.
    assert_eq!(count(&path, "request"), 60);
    let [asked, _] = bodies(&path, number(&path, "req_59")).unwrap().unwrap();
    assert_eq!(asked.bytes, noise(60, 100_000).into_bytes());
}

#[test]
fn more_than_can_wait_is_dropped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(&folder.path().join("relay.db"))).unwrap();
    let inlet = store.inlet();
    let large = body(vec![b'x'; crate::WAITING_BYTES]);
    take(&inlet, 1, large, body("x"));
    let state = store.state();
    assert_eq!(state.bodiless.load(std::sync::atomic::Ordering::Relaxed), 1);
    let room = body(vec![b'x'; crate::WAITING_BYTES - 1]);
    take(&inlet, 2, room, body("x"));
    assert_eq!(state.bodiless.load(std::sync::atomic::Ordering::Relaxed), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_come_out_as_they_went_in(all in prop::collection::vec(
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..700),
            "\\{\"messages\":\\[(\\{\"content\":\\[(\"[a-z]{0,300}\",?){0,4}\\]\\},?){0,4}\\]\\}"
                .prop_map(String::into_bytes),
        ],
        1..6,
    )) {
        let mut connection = Connection::open_in_memory().unwrap();
        file::prepare(&connection).unwrap();
        let links: Vec<i64> = {
            let transaction = connection.transaction().unwrap();
            let links = all.iter().map(|it| chain(&transaction, &body(it.clone())).unwrap());
            let links = links.collect();
            transaction.commit().unwrap();
            links
        };
        for (link, bytes) in links.into_iter().zip(&all) {
            let kept = text(&connection, (link, 0, false)).unwrap();
            prop_assert_eq!(&*kept.bytes, &*masked(bytes));
        }
    }
}
