//! Each state that a person may come to see, in each size that people have.

use std::time::Duration;

use relay_api::v1;

use super::{press, screen, snapshot, snapshots};
use crate::state::{Link, State, Todo, Update, Wish};
use crate::{Look, Palette, demo, draw, text};

fn stats(change: impl FnOnce(&mut v1::Stats)) -> State {
    let mut state = demo();
    let mut known = state.stats.clone().unwrap();
    change(&mut known);
    state.apply(Update::Stats(known, "demo".into()));
    state
}

fn provider(name: &str, state: v1::ProviderState, why: &str) -> v1::ProviderStats {
    v1::ProviderStats {
        provider: Some(v1::Provider {
            name: name.into(),
            state: state.into(),
            why: why.into(),
            keys: 1,
            keys_usable: 1,
            ..v1::Provider::default()
        }),
        traffic: Some(v1::Traffic {
            window_s: 60,
            requests: 7,
            requests_per_minute: 7.0,
            cost_nano_usd: 12_000_000,
            requests_by_part: (0..60).map(|it| it % 5).collect(),
            ..v1::Traffic::default()
        }),
    }
}

#[test]
fn overviews() {
    let nothing = v1::Stats {
        health: v1::Health::Healthy.into(),
        strategy: "failover".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        ..v1::Stats::default()
    };
    let mut empty = State::default();
    empty.apply(Update::Stats(Box::new(nothing), "demo".into()));
    snapshots("overview_empty", &empty);
    let one = stats(|it| it.providers.truncate(1));
    snapshots("overview_one_provider", &one);
    let nine = |it: &mut v1::Stats| {
        let up = v1::ProviderState::Up;
        it.providers = (1..=9)
            .map(|number| provider(&format!("provider-{number}"), up, ""))
            .collect();
    };
    let mut state = stats(nine);
    press(&mut state, "jjjjjjjj");
    snapshots("overview_nine_providers_scroll", &state);
    let open = stats(|it| {
        it.set_health(v1::Health::Down);
        for stats in &mut it.providers {
            let provider = stats.provider.as_mut().unwrap();
            provider.set_state(v1::ProviderState::Open);
            provider.why = "circuit open: tried again in 12 s".into();
            (provider.keys_usable, provider.keys) = (0, 2);
        }
    });
    snapshots("overview_all_open", &open);
    let unpriced = stats(|it| {
        it.cost_today_is_partial = true;
        for (place, stats) in it.providers.iter_mut().enumerate() {
            let traffic = stats.traffic.as_mut().unwrap();
            traffic.unpriced = if place == 0 { 3 } else { traffic.requests };
        }
    });
    snapshots("overview_unknown_price", &unpriced);
    snapshot("overview_200x60", &screen(&demo(), 200, 60));
    for (keys, name) in [("z", "providers"), ("\tz", "requests")] {
        let mut state = demo();
        press(&mut state, keys);
        snapshots(&format!("overview_zoom_{name}"), &state);
    }
}

/// Writes the styles of a screen: a line a run of cells that look alike.
fn styles(state: &State, look: Look) -> String {
    let buffer = draw(state, look, 80, 24);
    let mut out = text(&buffer);
    for y in 0..24 {
        let mut x = 0;
        while x < 80 {
            let style = buffer.cell((x, y)).unwrap().style();
            let start = x;
            let mut run = String::new();
            while x < 80 && buffer.cell((x, y)).unwrap().style() == style {
                run.push_str(buffer.cell((x, y)).unwrap().symbol());
                x += 1;
            }
            let (fg, modifiers) = (style.fg.unwrap_or_default(), style.add_modifier);
            if fg != ratatui::style::Color::Reset || !modifiers.is_empty() {
                let what = format!("{start:>2},{y:<2} {fg} {modifiers:?}");
                out.extend([&format!("{what:<28} "), run.trim_end(), "\n"]);
            }
        }
    }
    out
}

#[test]
fn overviews_in_colours_and_without() {
    let state = demo();
    for (palette, name) in [(Palette::Plain, "no_color"), (Palette::Light, "light")] {
        let look = Look {
            palette,
            ascii: false,
        };
        snapshot(&format!("overview_{name}"), &styles(&state, look));
    }
}

fn session(id: &str) -> v1::Session {
    v1::Session {
        id: id.into(),
        provider: "anthropic".into(),
        key: "team".into(),
        sums: Some(v1::Sums {
            requests: 3,
            ..v1::Sums::default()
        }),
        ..v1::Session::default()
    }
}

#[test]
fn sessions() {
    let mut state = demo();
    press(&mut state, "2j");
    snapshots("sessions_tree", &state);
    press(&mut state, "h");
    snapshots("sessions_folded", &state);
    press(&mut state, "j");
    snapshots("sessions_moved_cold", &state);
    state.apply(Update::Sessions(
        (0..200).map(|it| session(&format!("s{it:03}"))).collect(),
    ));
    press(&mut state, "jjjj");
    snapshots("sessions_200_sessions", &state);
    press(&mut state, "G");
    snapshots("sessions_200_sessions_end", &state);
    state.apply(Update::Sessions(Vec::new()));
    snapshots("sessions_none", &state);
}

fn request() -> v1::Request {
    let known = demo();
    let hopped = known.requests.iter().find(|it| it.id == "req_01JD8Q");
    v1::Request {
        id: "req_01JD9A".into(),
        ..hopped.unwrap().clone()
    }
}

fn attempt(provider: &str, key: &str, status: u32, reason: &str, began_us: u64) -> v1::Attempt {
    v1::Attempt {
        provider: provider.into(),
        key: key.into(),
        status: Some(status),
        reason: reason.into(),
        began_us,
        took_us: 420_000,
    }
}

fn opened(request: v1::Request) -> State {
    let mut state = demo();
    state.apply(Update::Request(Box::new(request)));
    press(&mut state, "3\n");
    state
}

#[test]
#[expect(clippy::too_many_lines, reason = "data")]
fn requests() {
    let one = v1::Request {
        attempts: Vec::new(),
        sent_us: Some(400),
        ..request()
    };
    snapshots("request_one_attempt", &opened(one.clone()));
    let silent = v1::Request {
        phase: v1::Phase::Streaming.into(),
        outcome: String::new(),
        stop_reason: String::new(),
        duration_us: 96_000_000,
        silent_us: Some(70_000_000),
        cost_nano_usd: None,
        ..one.clone()
    };
    snapshots("request_live_silent_70s", &opened(silent));
    let failed = v1::Request {
        attempts: vec![
            attempt("anthropic", "main", 429, "rate_limited", 400),
            attempt("anthropic", "team", 429, "rate_limited", 420_400),
            attempt("zai", "k1", 529, "overloaded", 840_400),
        ],
        provider: String::new(),
        key: String::new(),
        status: Some(529),
        outcome: "refused".into(),
        error_type: "overloaded".into(),
        duration_us: 1_260_400,
        sent_us: None,
        tokens: None,
        cost_nano_usd: None,
        saved_nano_usd: None,
        response_bytes: 120,
        events: 0,
        stop_reason: String::new(),
        affinity: String::new(),
        time_to_head_us: None,
        time_to_first_event_us: None,
        longest_gap_us: None,
        upstream_request_id: String::new(),
        ..request()
    };
    snapshots("request_failed_all", &opened(failed));
    let broken = v1::Request {
        outcome: "error_event".into(),
        error_type: "overloaded".into(),
        stop_reason: String::new(),
        ..one.clone()
    };
    snapshots("request_error_after_first_event", &opened(broken));
    let whole = v1::Request {
        stream: false,
        events: 0,
        longest_gap_us: None,
        ..one.clone()
    };
    snapshots("request_non_stream", &opened(whole));
    let gone = v1::Request {
        outcome: "client_gone".into(),
        stop_reason: String::new(),
        left_out: vec!["beta context-1m".into(), "field thinking.budget".into()],
        thinking_removed: 2,
        ..one
    };
    snapshots("request_cancelled_by_client", &opened(gone));
    let moved = v1::Request {
        provider: "zai".into(),
        key: "k1".into(),
        affinity: "moved".into(),
        moved_nano_usd: Some(110_000_000),
        ..request()
    };
    snapshots("request_moved", &opened(moved));
}

#[test]
fn keys() {
    let with = |change: fn(&mut v1::Key)| {
        let mut state = stats(|it| {
            let key = it.keys.iter_mut().find(|it| it.name == "k2").unwrap();
            change(key);
        });
        press(&mut state, "4G");
        state
    };
    let mut ok = demo();
    press(&mut ok, "4");
    snapshots("keys_ok", &ok);
    snapshots("keys_cool_key", &with(|_| {}));
    snapshots(
        "keys_bad",
        &with(|key| {
            key.set_state(v1::KeyState::Cooling);
            key.cools_for_ms = Some(3_600_000);
            key.why = "401 authentication_error: the key was refused; tried again in 1 h".into();
        }),
    );
    snapshots(
        "keys_expiring",
        &with(|key| {
            key.set_state(v1::KeyState::Ok);
            (key.cools_for_ms, key.why) = (None, "its credential expires in 41 m".into());
        }),
    );
    snapshots(
        "keys_no_limits_known",
        &with(|key| {
            key.set_state(v1::KeyState::Ok);
            (key.cools_for_ms, key.limits, key.used) = (None, None, None);
            key.why = String::new();
            key.capacity_percent = 100;
        }),
    );
}

#[test]
fn events() {
    let mut state = demo();
    press(&mut state, "5jj");
    snapshots("events_row", &state);
    press(&mut state, "f");
    snapshots("events_follow", &state);
    press(&mut state, " ");
    for number in 0..212_u64 {
        state.apply(Update::Event(v1::Event {
            unix_ms: number,
            ..v1::Event::default()
        }));
    }
    snapshots("events_paused", &state);
    press(&mut state, "/nobody\n");
    snapshots("events_filtered_none", &state);
}

#[test]
fn helps() {
    for (keys, name) in [
        ("", "overview"),
        ("2", "sessions"),
        ("3\n", "request"),
        ("4", "keys"),
        ("6", "config"),
    ] {
        let mut state = demo();
        press(&mut state, keys);
        press(&mut state, "?");
        snapshots(&format!("help_{name}"), &state);
    }
    let mut state = demo();
    press(&mut state, "?jjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjj");
    snapshot("help_end_60x16", &screen(&state, 60, 16));
}

#[test]
fn links() {
    let mut state = demo();
    state.apply(Update::Link(Link::Lost {
        since: state.now.saturating_sub(Duration::from_secs(2)),
        next: None,
        why: "this token is not one of grpc.tokens; cc-relay reads CC_RELAY_TOKEN, or --token-file"
            .into(),
    }));
    snapshots("link_auth_refused", &state);
    let mut state = demo();
    let known = state.stats.clone().unwrap();
    state.apply(Update::Stats(known, "another".into()));
    let later = state.now.saturating_add(Duration::from_secs(5));
    state.tick(later);
    snapshots("link_restarted", &state);
    let mut state = demo();
    let mut known = state.stats.clone().unwrap();
    known.version = "9.9.9".into();
    known.config_refused = Some("config.yaml:14: unknown strategy".into());
    state.apply(Update::Stats(known, "demo".into()));
    snapshots("link_newer", &state);
}

#[test]
fn questions() {
    let effect = |topic: &str, text: &str| v1::Effect {
        topic: topic.into(),
        text: text.into(),
    };
    for (name, wish, summary, text) in [
        (
            "unpin",
            Wish::Unpin("4f1c".into()),
            "unpin session 4f1c",
            "the next request is placed anew; a cache that is warm for another 4 m would be left behind, about $0.4200 to write it once more",
        ),
        (
            "routing",
            Wish::Route("round_robin".into()),
            "route by round_robin",
            "sessions stay where their cache is; what is placed anew goes to each provider in turn",
        ),
    ] {
        let change = v1::Change {
            summary: summary.into(),
            effects: vec![
                effect("then", text),
                effect("until", "the relay is started again, or it is undone"),
            ],
            ..v1::Change::default()
        };
        let mut state = demo();
        state.apply(Update::Considered(wish, change));
        snapshots(&format!("confirm_{name}"), &state);
    }
}

#[test]
fn reloads() {
    let reloaded = |faults: Vec<v1::Fault>| v1::ReloadConfigResponse {
        from: "9f2c1a".into(),
        to: "b01d77".into(),
        changes: vec![
            "+providers[zai].keys[k3]".into(),
            "weight zai 1 -> 3".into(),
        ],
        faults,
        ..v1::ReloadConfigResponse::default()
    };
    let mut state = demo();
    state.apply(Update::Reloaded(reloaded(Vec::new())));
    snapshots("reload_ok", &state);
    let fault = |line, message: &str, help: &str| v1::Fault {
        line,
        column: 13,
        message: message.into(),
        help: help.into(),
        file: "relay.yaml".into(),
        ..v1::Fault::default()
    };
    let faults = vec![
        fault(14, "unknown strategy `failovr`", "did you mean `failover`?"),
        fault(
            22,
            "zai k2: the variable ZAI_KEY_2 is not set, and the key has no other source",
            "export it, delete the key, or write ${ZAI_KEY_2:-} to leave it out",
        ),
        fault(
            31,
            "weight must be 1 to 1000, is 0",
            "to stop using a provider write `enabled: false`",
        ),
    ];
    state.apply(Update::Reloaded(reloaded(faults)));
    snapshots("reload_three_faults", &state);
    let copied = press(&mut state, "y");
    let Some(Todo::Copy(text)) = copied.first() else {
        panic!("{copied:?}");
    };
    assert!(
        text.starts_with("relay.yaml:14:13: unknown strategy `failovr` (did you"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 3);
}

#[test]
fn tiny_terminals() {
    for size in [(59, 16), (38, 8), (60, 15), (1, 1)] {
        let name = format!("tiny_{}x{}", size.0, size.1);
        snapshot(&name, &screen(&demo(), size.0, size.1));
    }
}

#[test]
fn names_of_every_width() {
    let long = |name: &str| {
        let mut state = stats(|it| {
            let provider = it.providers[0].provider.as_mut().unwrap();
            provider.name = name.into();
            it.keys[0].provider = name.into();
            it.keys[0].name = name.into();
        });
        let request = v1::Request {
            model: name.into(),
            provider: name.into(),
            key: name.into(),
            session: name.into(),
            agent: name.into(),
            ..request()
        };
        state.apply(Update::Request(Box::new(request)));
        state
    };
    for (name, word) in [
        ("社内プロキシ東京リージョン", "wide_glyphs_cjk"),
        (
            "a-provider-with-a-name-that-nobody-can-type-01",
            "long_names_truncate_middle",
        ),
    ] {
        let mut state = long(name);
        snapshots(word, &state);
        press(&mut state, "3");
        snapshots(&format!("{word}_requests"), &state);
        press(&mut state, "\n");
        snapshots(&format!("{word}_request"), &state);
        press(&mut state, "4");
        snapshots(&format!("{word}_keys"), &state);
    }
}

#[test]
fn what_is_read_over_a_view() {
    let mut state = demo();
    press(&mut state, "3jjJ");
    snapshots("json_request", &state);
    press(&mut state, "G");
    snapshots("json_request_end", &state);
    let mut state = demo();
    press(&mut state, "6J");
    snapshots("json_config", &state);
}

#[test]
fn lines_that_are_typed() {
    for (keys, name) in [
        (":", "command"),
        (":re", "command_begun"),
        ("3/", "filter_empty"),
        ("3/status>=x", "filter_fault"),
        ("3/sta", "filter_begun"),
    ] {
        let mut state = demo();
        press(&mut state, keys);
        snapshot(&format!("typed_{name}"), &screen(&state, 80, 24));
    }
}
