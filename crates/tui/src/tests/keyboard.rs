//! What keys and the mouse do, each told by what is then on the screen or is to be done.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use relay_api::v1;

use super::{press, screen};
use crate::state::{Hit, State, Target, Todo, Update, View};
use crate::{Look, demo, view};

fn control(state: &mut State, letter: char) -> Vec<Todo> {
    state.key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL))
}

fn numbered(count: u64) -> State {
    let mut state = demo();
    for number in 0..count {
        state.apply(Update::Request(Box::new(v1::Request {
            id: format!("n{number}"),
            started_unix_ms: number,
            duration_us: number * 1_000_000,
            ..v1::Request::default()
        })));
    }
    state
}

fn chosen(state: &State) -> String {
    state.chosen_request().unwrap().id.clone()
}

#[test]
fn a_list_is_sorted_and_the_selection_stays_with_its_row() {
    let mut state = numbered(0);
    press(&mut state, "3jj");
    let before = state.selected.clone();
    assert!(screen(&state, 80, 24).contains("by time"));
    press(&mut state, "s");
    assert!(screen(&state, 80, 24).contains("by total"));
    assert_eq!(state.selected, before);
    let totals = |state: &State| -> Vec<u64> {
        let shown = state.shown_requests();
        shown.iter().map(|it| it.duration_us).collect()
    };
    let sorted = totals(&state);
    assert!(sorted.is_sorted_by(|one, two| one >= two), "{sorted:?}");
    press(&mut state, "S");
    assert!(screen(&state, 80, 24).contains("by total, reversed"));
    assert!(totals(&state).is_sorted());
    assert_eq!(state.selected, before);
    // What is not known stands last, in both directions.
    press(&mut state, "ss");
    assert!(screen(&state, 80, 24).contains("by cost"));
    for _ in 0..2 {
        let shown = state.shown_requests();
        assert!(shown.last().unwrap().cost_nano_usd.is_none());
        press(&mut state, "S");
    }
}

#[test]
fn a_sorted_list_is_brought_into_order_every_two_seconds_and_not_before() {
    let mut state = demo();
    press(&mut state, "3s");
    let slowest = v1::Request {
        id: "slowest".into(),
        duration_us: u64::MAX,
        ..v1::Request::default()
    };
    state.apply(Update::Request(Box::new(slowest)));
    assert_eq!(state.shown_requests().last().unwrap().id, "slowest");
    let now = state.now;
    state.tick(now + Duration::from_millis(1_900));
    assert_eq!(state.shown_requests().last().unwrap().id, "slowest");
    state.tick(now + Duration::from_secs(2));
    assert_eq!(state.shown_requests()[0].id, "slowest");
}

#[test]
fn every_list_has_orders_and_events_have_none() {
    for (keys, orders) in [
        (
            "",
            vec!["by rate", "by errors", "by TTFE", "by cost", "by name"],
        ),
        (
            "2",
            vec!["by cost", "by requests", "by cache", "by age", "by name"],
        ),
        ("4", vec!["by use", "by wait", "by name"]),
    ] {
        let mut state = demo();
        press(&mut state, keys);
        for order in orders {
            press(&mut state, "s");
            assert!(screen(&state, 80, 24).contains(order), "{order}");
        }
    }
    let mut state = demo();
    press(&mut state, "5s");
    assert!(screen(&state, 80, 24).contains("nothing here can be changed so"));
}

#[test]
fn pages_are_as_long_as_the_screen() {
    let mut state = numbered(100);
    state.sized(26);
    press(&mut state, "3");
    control(&mut state, 'd');
    assert_eq!(state.place(), 10);
    control(&mut state, 'u');
    assert_eq!(state.place(), 0);
    state.key(KeyEvent::new(KeyCode::PageDown, KeyModifiers::NONE));
    assert_eq!(state.place(), 20);
    press(&mut state, "G");
    assert_eq!(state.place(), 103);
    assert_eq!(control(&mut state, 'd'), [], "it never ends anything");
}

#[test]
fn the_newest_is_followed_until_a_row_is_chosen() {
    let mut state = numbered(3);
    press(&mut state, "3");
    assert_eq!(chosen(&state), "n2");
    press(&mut state, "f");
    let more = numbered(5).requests[0].clone();
    state.apply(Update::Request(Box::new(more.clone())));
    assert_eq!(chosen(&state), "n2", "held where it was");
    press(&mut state, "f");
    assert_eq!(chosen(&state), "n4");
    press(&mut state, "j");
    assert!(screen(&state, 80, 24).contains("follow off"));
}

#[test]
fn agents_fold_into_their_session() {
    let mut state = demo();
    press(&mut state, "2jj");
    assert_eq!(state.tree().len(), 6);
    press(&mut state, "←");
    assert_eq!(state.tree().len(), 3);
    assert_eq!(state.selected.as_deref(), Some("4f1c"));
    assert!(screen(&state, 80, 24).contains("3 agents"));
    press(&mut state, "→jj");
    assert_eq!(state.branch().unwrap().agent.unwrap().id, "a1");
    // An agent is no pin of its own, and its requests are those of its session.
    let unpin = press(&mut state, "u");
    assert!(
        format!("{unpin:?}").contains("Unpin(\"4f1c\")"),
        "{unpin:?}"
    );
    press(&mut state, "\n");
    assert_eq!(state.filter(), "session:4f1c agent:a1");
    assert_eq!(state.shown_requests().len(), 2);
}

#[test]
fn a_match_is_gone_to_and_the_last_is_followed_by_the_first() {
    let mut state = demo();
    press(&mut state, "6/name\n");
    press(&mut state, "n");
    let first = state.place();
    press(&mut state, "n");
    let second = state.place();
    assert!(second > first, "{first} {second}");
    press(&mut state, "N");
    assert_eq!(state.place(), first);
    press(&mut state, "nnn");
    assert!(state.place() >= first);
    press(&mut state, "\u{1b}n");
    assert!(screen(&state, 80, 24).contains("nothing is looked for"));
    press(&mut state, "/nowhere\nn");
    assert!(screen(&state, 80, 24).contains("nothing here has nowhere"));
}

#[test]
fn filters_are_those_of_their_view() {
    let mut state = demo();
    press(&mut state, "3/status>=400\n");
    assert_eq!(state.shown_requests().len(), 1);
    press(&mut state, "4");
    assert_eq!(state.keys().len(), 4);
    press(&mut state, "/provider:zai\n");
    assert_eq!(state.keys().len(), 2);
    press(&mut state, "3");
    assert_eq!(state.filter(), "status>=400");
    press(&mut state, "5/level:warn\n");
    assert_eq!(state.shown_events().len(), 3);
    press(&mut state, "2/hop:yes\n");
    assert_eq!(state.tree().len(), 1);
}

#[test]
fn an_events_subject_is_opened() {
    for (event, view, shown) in [
        ("key.cools", View::Keys, "zai \u{b7} k2"),
        ("circuit.open", View::Overview, "\u{25b8} bedrock-eu"),
        ("config.refused", View::Config, "[6 Config]"),
    ] {
        let mut state = demo();
        press(&mut state, &format!("5/name:{event}\n\n"));
        assert_eq!(state.view, view, "{event}");
        let drawn = screen(&state, 80, 24);
        assert!(drawn.contains(shown), "{event}\n{drawn}");
    }
}

#[test]
fn what_is_selected_is_read_as_json_and_copied() {
    let mut state = demo();
    press(&mut state, "3jjJ");
    let shown = screen(&state, 140, 60);
    assert!(shown.contains("\"id\": \"req_01JD8Q\""), "{shown}");
    assert!(shown.contains("\"status\": 429"), "{shown}");
    let Some(Todo::Copy(copied)) = press(&mut state, "y").pop() else {
        panic!("nothing is copied");
    };
    let value: serde_json::Value = serde_json::from_str(&copied).unwrap();
    assert_eq!(value["cost_nano_usd"], 55_500_000);
    assert_eq!(value["moved_nano_usd"], serde_json::Value::Null);
    // q closes what is read, and not the dashboard.
    assert_eq!(press(&mut state, "q"), []);
    assert!(state.reader.is_none());
    assert_eq!(press(&mut state, "y"), [Todo::Copy("req_01JD8Q".into())]);
    let Some(Todo::Copy(row)) = press(&mut state, "Y").pop() else {
        panic!("nothing is copied");
    };
    assert!(row.contains("model=claude-sonnet-5"), "{row}");
    assert!(!row.contains("null"), "{row}");
    for keys in ["J", "2J", "4J", "5J", "6J"] {
        let mut state = demo();
        press(&mut state, keys);
        assert!(state.reader.is_some(), "{keys}");
    }
}

#[test]
fn a_view_is_exported_a_row_a_line_as_it_is_filtered() {
    let mut state = demo();
    let Some(Todo::Export { name, text }) = press(&mut state, "3/zai\nE").pop() else {
        panic!("nothing is exported");
    };
    assert_eq!(name, "cc-relay-requests-20261122T140212Z.jsonl");
    let rows: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["provider"], "zai");
    for keys in ["E", "2E", "4E", "5E", "6E", "3\nE"] {
        let todo = press(&mut demo(), keys).pop();
        assert!(matches!(todo, Some(Todo::Export { .. })), "{keys}");
    }
    assert_eq!(press(&mut demo(), "3/nobody\nE"), []);
}

#[test]
fn commands_do_what_their_names_say_and_tab_completes_them() {
    for (typed, todo) in [
        (":window 15m\n", Todo::Window(900)),
        (":win\t1h\n", Todo::Window(3_600)),
        (":rel\t\n", Todo::Reload),
        (":rou\t\n", Todo::Strategies),
        (":theme li\t\n", Todo::Theme(crate::Palette::Light)),
    ] {
        assert_eq!(press(&mut demo(), typed), [todo], "{typed}");
    }
    let mut state = demo();
    press(&mut state, ":k\tz\t\n");
    assert_eq!((state.view, state.filter()), (View::Keys, "provider:zai"));
    press(&mut state, ":filter k1\n");
    assert_eq!(state.keys().len(), 1);
    press(&mut state, ":window 7m\n");
    assert!(screen(&state, 80, 24).contains("no window `7m`"));
    press(&mut state, ":nonsense\n");
    assert!(screen(&state, 80, 24).contains("no command `nonsense`"));
    for (name, _) in crate::state::COMMANDS {
        let mut state = demo();
        press(&mut state, &format!(":{name} x\n"));
        let shown = screen(&state, 80, 24);
        assert!(!shown.contains("no command"), "{name}");
    }
}

#[test]
fn the_window_goes_around_those_that_the_relay_has() {
    let mut state = demo();
    for seconds in [300, 900, 3_600, 60] {
        assert_eq!(press(&mut state, "t"), [Todo::Window(seconds)]);
        let mut known = state.stats.clone().unwrap();
        known.traffic.as_mut().unwrap().window_s = seconds;
        state.apply(Update::Stats(known, "demo".into()));
    }
    assert!(screen(&state, 80, 24).contains("LAST 60 s"));
}

#[test]
fn the_terminals_own_keys_are_known() {
    let mut state = demo();
    assert_eq!(control(&mut state, 'l'), [Todo::Redraw]);
    assert_eq!(control(&mut state, 'z'), [Todo::Suspend]);
    assert_eq!(control(&mut state, 'c'), [Todo::Quit]);
}

#[test]
fn a_click_selects_and_never_changes_anything() {
    let mut state = demo();
    let area = ratatui::layout::Rect::new(0, 0, 80, 24);
    let hits = |state: &State| {
        let mut buffer = ratatui::buffer::Buffer::empty(area);
        view::draw(state, Look::default(), area, &mut buffer)
    };
    let at = |hits: &[Hit], target: Target| {
        let hit = hits.iter().find(|hit| hit.target == target).unwrap();
        (hit.area.x, hit.area.y)
    };
    let all = hits(&state);
    let (x, y) = at(&all, Target::Row(crate::state::Place::Providers, 1));
    assert_eq!(state.click(x, y, &all), []);
    assert_eq!(state.selected.as_deref(), Some("zai"));
    let (x, y) = at(&all, Target::Row(crate::state::Place::Recent, 2));
    state.click(x, y, &all);
    assert_eq!((state.lower, chosen(&state)), (true, "req_01JD8Q".into()));
    let (x, y) = at(&all, Target::View(3));
    assert_eq!(state.click(x, y, &all), []);
    assert_eq!(state.view, View::Keys);
    // Wherever one clicks, nothing is asked of the relay but to tell what it knows.
    for keys in ["", "2", "3", "3\n", "4", "5", "6", "?", "3J", ":", "jd"] {
        let mut state = demo();
        press(&mut state, keys);
        let all = hits(&state);
        for y in 0..24 {
            for x in 0..80 {
                let mut state = state.clone();
                for todo in state.click(x, y, &all) {
                    assert!(matches!(todo, Todo::Sessions | Todo::Config), "{todo:?}");
                }
            }
        }
    }
}

#[test]
fn a_long_request_is_scrolled_and_the_next_begins_at_its_top() {
    let mut state = demo();
    state.sized(16);
    press(&mut state, "3jj\n");
    let top = screen(&state, 60, 16);
    press(&mut state, "jjjjjjjjjjjj");
    let end = screen(&state, 60, 16);
    assert!(end.contains("waiting"), "{end}");
    assert_ne!(top, end);
    press(&mut state, "[");
    assert_eq!((state.scroll, chosen(&state)), (0, "req_01JD8S".into()));
}

#[test]
fn what_is_paused_is_bounded_and_keeps_the_newest() {
    let mut state = demo();
    press(&mut state, "3 ");
    for number in 0..3_000_u64 {
        state.apply(Update::Request(Box::new(v1::Request {
            id: number.to_string(),
            started_unix_ms: number,
            ..v1::Request::default()
        })));
    }
    press(&mut state, " ");
    assert_eq!(state.requests.len(), 1_000);
    assert_eq!(state.requests[0].id, "2999");
}
