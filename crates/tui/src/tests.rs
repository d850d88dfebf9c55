//! What is on the screen, and what keys do to it.

mod keyboard;
mod screens;

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use relay_api::v1;

use crate::state::{Link, State, Todo, Update, Wish};
use crate::{Look, Palette, demo, draw, text};

fn press(state: &mut State, keys: &str) -> Vec<Todo> {
    let code = |letter: char| match letter {
        '\n' => KeyCode::Enter,
        '\u{1b}' => KeyCode::Esc,
        '\t' => KeyCode::Tab,
        '\u{8}' => KeyCode::Backspace,
        '←' => KeyCode::Left,
        '→' => KeyCode::Right,
        other => KeyCode::Char(other),
    };
    let keys = keys
        .chars()
        .map(|letter| KeyEvent::new(code(letter), KeyModifiers::NONE));
    keys.flat_map(|key| state.key(key)).collect()
}

fn screen(state: &State, width: u16, height: u16) -> String {
    text(&draw(state, Look::default(), width, height))
}

/// Holds a screen against the one that was kept under this name.
fn snapshot(name: &str, screen: &str) {
    insta::assert_snapshot!(name.to_owned(), screen);
}

/// Draws a state in each size that people have.
fn snapshots(name: &str, state: &State) {
    for (width, height) in [(80, 24), (140, 40), (60, 16)] {
        let name = format!("{name}_{width}x{height}");
        snapshot(&name, &screen(state, width, height));
    }
}

#[test]
fn every_view() {
    for (keys, name) in [
        ("", "overview"),
        ("\t", "overview_requests"),
        ("2", "sessions"),
        ("3", "requests"),
        ("3\n", "request_live"),
        ("3jj\n", "request_hops"),
        ("4", "keys"),
        ("5", "events"),
        ("6", "config"),
        ("?", "help"),
        ("/zai", "filter"),
        ("3/nothing\n", "filtered_none"),
    ] {
        let mut state = demo();
        press(&mut state, keys);
        snapshots(name, &state);
    }
}

#[test]
fn every_dialog() {
    let mut state = demo();
    let wish = Wish::Provider {
        name: "zai".into(),
        enabled: false,
    };
    state.apply(Update::Considered(wish.clone(), demo::change()));
    snapshots("confirm", &state);
    let mut severe = demo::change();
    severe.severe = true;
    state.apply(Update::Considered(wish, severe));
    press(&mut state, "za");
    snapshots("confirm_typed", &state);
    state.apply(Update::Strategies(demo::strategies()));
    press(&mut state, "j");
    snapshots("route", &state);
    let fault = v1::Fault {
        message: "unknown strategy `failovr`".into(),
        help: "did you mean `failover`?".into(),
        line: 14,
        column: 13,
        ..v1::Fault::default()
    };
    let refused = v1::ReloadConfigResponse {
        from: "b01d77".into(),
        faults: vec![fault],
        ..v1::ReloadConfigResponse::default()
    };
    state.apply(Update::Reloaded(refused));
    snapshots("reload_refused", &state);
}

#[test]
fn every_link() {
    let mut state = State::default();
    snapshots("link_dialing", &state);
    state = demo();
    let since = state.now.saturating_sub(Duration::from_secs(4));
    state.apply(Update::Link(Link::Stale { since }));
    snapshots("link_stale", &state);
    let next = Some(state.now.saturating_add(Duration::from_secs(4)));
    state.apply(Update::Link(Link::Lost {
        since,
        next,
        why: "nobody answers".into(),
    }));
    snapshots("link_lost", &state);
    assert_eq!(
        press(&mut state, "d"),
        [],
        "nothing is changed without the relay"
    );
    assert_eq!(press(&mut state, "r"), [Todo::Dial]);
}

#[test]
fn without_colours_or_signs_it_reads_the_same() {
    let look = Look {
        palette: Palette::Plain,
        ascii: true,
    };
    for keys in ["", "2", "3jj\n", "4", "5", "6", "?"] {
        let mut state = demo();
        press(&mut state, keys);
        let buffer = draw(&state, look, 80, 24);
        let shown = text(&buffer);
        assert!(shown.is_ascii(), "{shown}");
        assert!(
            buffer
                .content
                .iter()
                .all(|cell| cell.fg == ratatui::style::Color::Reset)
        );
    }
    insta::assert_snapshot!("overview_ascii", text(&draw(&demo(), look, 80, 24)));
}

#[test]
fn a_change_is_asked_about_and_enter_keeps_things_as_they_are() {
    let mut state = demo();
    let wish = Wish::Provider {
        name: "zai".into(),
        enabled: false,
    };
    assert_eq!(press(&mut state, "jd"), [Todo::Consider(wish.clone())]);
    state.apply(Update::Considered(wish.clone(), demo::change()));
    assert_eq!(press(&mut state, "\n"), []);
    assert!(state.dialog.is_none());
    state.apply(Update::Considered(wish.clone(), demo::change()));
    assert_eq!(press(&mut state, "y"), [Todo::Make(wish.clone())]);
    // Where much depends on it, a `y` is a letter of a name.
    let mut severe = demo::change();
    severe.severe = true;
    for (typed, todo) in [
        ("y\n", None),
        ("zai\n", Some(Todo::Make(wish.clone()))),
        ("zai\u{1b}", None),
    ] {
        state.apply(Update::Considered(wish.clone(), severe.clone()));
        assert_eq!(
            press(&mut state, typed).into_iter().next(),
            todo,
            "{typed:?}"
        );
        assert!(state.dialog.is_none());
    }
}

#[test]
fn each_change_has_its_key_and_its_place() {
    let key = |name: &str, enabled| Wish::Key {
        provider: "anthropic".into(),
        name: name.into(),
        enabled,
    };
    for (keys, todo) in [
        ("4d", Todo::Consider(key("main", false))),
        ("4je", Todo::Consider(key("team", true))),
        (
            "x",
            Todo::Consider(Wish::Reset {
                provider: "anthropic".into(),
                key: String::new(),
            }),
        ),
        (
            "4jjjx",
            Todo::Consider(Wish::Reset {
                provider: "zai".into(),
                key: "k2".into(),
            }),
        ),
        ("r", Todo::Strategies),
        ("R", Todo::Reload),
        (":quit\n", Todo::Quit),
        ("q", Todo::Quit),
    ] {
        assert_eq!(press(&mut demo(), keys).last(), Some(&todo), "{keys}");
    }
    assert_eq!(
        press(&mut demo(), "2u").last(),
        Some(&Todo::Consider(Wish::Unpin("4f1c".into())))
    );
    let mut state = demo();
    assert_eq!(press(&mut state, "5d"), []);
    assert!(screen(&state, 80, 24).contains("nothing here can be changed so"));
}

#[test]
fn the_selected_row_stays_selected_when_rows_come() {
    let mut state = demo();
    press(&mut state, "3j");
    let before = state.selected.clone();
    let new = v1::Request {
        id: "new".into(),
        started_unix_ms: 1,
        ..v1::Request::default()
    };
    state.apply(Update::Request(Box::new(new)));
    assert_eq!((state.place(), &state.selected), (2, &before));
}

#[test]
fn paused_lists_hold_what_comes_and_lose_nothing() {
    let mut state = demo();
    press(&mut state, "3 ");
    let before = state.requests.len();
    for number in 0..3_u64 {
        let new = v1::Request {
            id: format!("n{number}"),
            started_unix_ms: number,
            ..v1::Request::default()
        };
        state.apply(Update::Request(Box::new(new)));
    }
    assert!(screen(&state, 80, 24).contains("paused, 3 new"));
    assert_eq!(state.requests.len(), before);
    press(&mut state, " ");
    assert_eq!(state.requests.len(), before + 3);
}

#[test]
fn another_run_of_the_relay_is_told_and_its_requests_are_its_own() {
    let mut state = demo();
    let same = state.stats.clone().unwrap();
    state.apply(Update::Stats(same, "another".into()));
    assert!(state.requests.is_empty());
    assert!(screen(&state, 80, 24).contains("the relay was started again"));
}

#[test]
fn everything_is_bounded() {
    let mut state = demo();
    for number in 0..3_000_u64 {
        let request = v1::Request {
            id: number.to_string(),
            started_unix_ms: number,
            ..v1::Request::default()
        };
        state.apply(Update::Request(Box::new(request)));
        state.apply(Update::Event(v1::Event::default()));
    }
    assert_eq!((state.requests.len(), state.events.len()), (1_000, 1_000));
}

#[test]
fn the_page_of_the_documentation_has_every_key() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tui.md");
    let page = std::fs::read_to_string(path).unwrap();
    let table = crate::reference();
    if std::env::var_os("CC_RELAY_WRITE_DOCS").is_some() {
        let (before, rest) = page.split_once("| key | does |").unwrap();
        let (_, after) = rest.split_once("\n\n").unwrap();
        let written = format!("{before}{table}\n{after}");
        std::fs::write(path, written).unwrap();
        return;
    }
    assert!(page.contains(&table), "{table}");
}

#[test]
fn its_pictures_are_those_of_the_documentation() {
    for (width, height) in [(80, 24), (140, 40)] {
        let picture = crate::svg(
            &draw(&demo(), Look::default(), width, height),
            "The terminal dashboard of cc-relay",
        );
        let path = format!(
            "{}/../../docs/assets/tui-{width}x{height}.svg",
            env!("CARGO_MANIFEST_DIR")
        );
        if std::env::var_os("CC_RELAY_WRITE_DOCS").is_some() {
            std::fs::write(&path, picture).unwrap();
            continue;
        }
        let kept = std::fs::read_to_string(&path).unwrap();
        assert!(
            kept == picture,
            "{path} is not what is drawn: CC_RELAY_WRITE_DOCS=1 cargo test -p relay-tui"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_draws_at_any_size_after_any_keys(
        width in 1_u16..180,
        height in 1_u16..60,
        keys in "[1-6jkgGed?rRuxpq :/<>=←→\n\t\u{1b}a-zA-Z]{0,24}",
        ascii in any::<bool>(),
    ) {
        let mut state = demo();
        press(&mut state, &keys);
        let palette = if ascii { Palette::Plain } else { Palette::Light };
        let look = Look { palette, ascii };
        let first = draw(&state, look, width, height);
        let shown = text(&first);
        prop_assert!(!shown.contains("sk-ant"));
        prop_assert_eq!(first, draw(&state, look, width, height));
    }

    #[test]
    fn a_name_from_elsewhere_cannot_steer_the_terminal(name in "[\u{0}-\u{ff}]{0,40}") {
        let mut state = demo();
        let request = v1::Request { id: name.clone(), model: name.clone(), provider: name.clone(), ..v1::Request::default() };
        state.apply(Update::Request(Box::new(request)));
        state.apply(Update::Event(v1::Event { message: name, ..v1::Event::default() }));
        for view in ["3", "5"] {
            press(&mut state, view);
            let buffer = draw(&state, Look::default(), 100, 30);
            for cell in &buffer.content {
                prop_assert!(!cell.symbol().chars().any(char::is_control));
            }
        }
    }
}

#[test]
fn a_theme_changes_colours_and_nothing_else() {
    let mut state = demo();
    let usual = draw(&state, Look::default(), 140, 40);
    let mut colours = Vec::new();
    for (name, palette) in Palette::ALL {
        let todo = press(&mut state, &format!(":theme {name}\n"));
        assert_eq!(todo, [Todo::Theme(palette)]);
        let look = Look {
            palette,
            ascii: false,
        };
        let buffer = draw(&state, look, 140, 40);
        assert_eq!(text(&buffer), text(&usual));
        let mut used: Vec<_> = buffer.content.iter().map(|cell| cell.fg).collect();
        used.sort_by_key(ToString::to_string);
        used.dedup();
        colours.push(used);
    }
    assert_eq!(colours[0].len(), 1, "the colour of the text alone");
    assert!(
        colours[1..].iter().all(|used| used.len() >= 5),
        "{colours:?}"
    );
    assert_ne!(colours[2], colours[3]);
    assert_eq!(press(&mut state, ":theme pink\n"), []);
    assert!(text(&draw(&state, Look::default(), 140, 40)).contains("no theme `pink`"));
}

/// Looks at one screen: what is cut of it, and what stands behind each sign.
fn is_whole(shown: &str) {
    let letters: Vec<char> = shown.chars().collect();
    let is_cut = |near: &&[char]| near.contains(&'…') && near.iter().any(char::is_ascii_digit);
    if let Some(cut) = letters.windows(2).find(is_cut) {
        // The last four of a key are all that is told of it.
        let is_key = shown.contains("…10d2") || shown.contains("…20d2");
        assert!(is_key, "{cut:?}\n{shown}");
    }
    let signs = [
        ("● ", ["up", "ok", "healthy", "info"].as_slice()),
        ("▲ ", &["slow", "degraded", "warn"]),
        ("✖ ", &["open", "upstream 4xx", "error"]),
        ("○ ", &["off"]),
    ];
    for (sign, words) in signs {
        for behind in shown.split(sign).skip(1) {
            let is_named = words.iter().any(|word| behind.starts_with(word));
            assert!(is_named, "{sign}\n{shown}");
        }
    }
}

#[test]
fn no_number_is_cut_and_each_state_has_its_word_at_any_width() {
    // Events are sentences, and cut at their end.
    for keys in ["", "\ts", "2", "2jh", "3", "4"] {
        let mut state = demo();
        press(&mut state, keys);
        for width in 60..=200 {
            is_whole(&screen(&state, width, 16));
        }
        for height in [17, 24, 33, 40, 60] {
            for width in [60, 79, 80, 100, 119, 120, 136, 140, 199] {
                is_whole(&screen(&state, width, height));
            }
        }
    }
}
