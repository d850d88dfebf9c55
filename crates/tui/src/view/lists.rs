//! Requests, sessions, keys, events and the configuration as lists.

use std::time::Duration;

use ratatui::layout::Rect;
use relay_api::v1;

use super::pen::{Pen, Run, left, right};
use super::{ago, clock, dollars, seconds, thousands};
use crate::state::State;
use crate::theme::{Look, Tone};

/// Draws the requests, the newest first.
pub(super) fn requests(state: &State, pen: &mut Pen<'_>, area: Rect, focus: bool) {
    let aside = match &state.held {
        Some(held) => format!("paused, {} new", held.len()),
        None => "live".to_owned(),
    };
    let title = if state.filter.is_empty() {
        "Requests".to_owned()
    } else {
        format!("Requests /{}", state.filter)
    };
    let inside = pen.frame(area, &title, &aside, focus);
    let wide = inside.width >= 110;
    let columns = [
        left("TIME", 8),
        left("MODEL", if wide { 14 } else { 10 }),
        left("SESSION", 10).rank(1),
        left("ROUTE", if wide { 22 } else { 14 }),
        right("ST", 3),
        right("TTFE", 6).rank(3),
        right("TOTAL", 7).rank(5),
        right("IN/CACHED/OUT", 18).rank(2),
        right("COST", 7).rank(4),
        left("STATE", if wide { 22 } else { 12 }),
    ];
    let look = pen.look();
    let rows: Vec<Vec<Run>> = state
        .shown_requests()
        .iter()
        .map(|it| request(it, look))
        .collect();
    let selected = (focus && !rows.is_empty()).then(|| state.place());
    pen.table(inside, &columns, &rows, selected);
    if rows.is_empty() {
        let why = if state.filter.is_empty() {
            "no request yet"
        } else {
            "nothing passes the filter: / changes it, esc ends it"
        };
        pen.line(
            inside.x.saturating_add(2),
            inside.y.saturating_add(1),
            inside.width.saturating_sub(2),
            &[Run::new(why, Tone::Off)],
        );
    }
}

fn request(it: &v1::Request, look: Look) -> Vec<Run> {
    let known = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.to_owned()
        }
    };
    let (word, tone) = outcome(it, look);
    let tokens = it.tokens.unwrap_or_default();
    let counts = [tokens.input, tokens.cache_read, tokens.output];
    let counts = counts.map(|it| it.map_or_else(|| "-".to_owned(), thousands));
    let status = it
        .status
        .map_or_else(|| "-".to_owned(), |it| it.to_string());
    let cost = it
        .cost_nano_usd
        .map_or_else(|| "-".to_owned(), |it| dollars(it, 4));
    vec![
        Run::plain(&clock(it.started_unix_ms)),
        Run::plain(&known(it.model.trim_start_matches("claude-"))),
        Run::plain(&known(&it.session)),
        Run::plain(&route(it, look)),
        Run::plain(&status),
        Run::plain(&seconds(it.time_to_first_event_us)),
        Run::plain(&seconds(Some(it.duration_us))),
        Run::plain(&counts.join("/")),
        Run::plain(&cost),
        Run::new(&word, tone),
    ]
}

/// Says where a request went, and from whom it came there.
fn route(it: &v1::Request, look: Look) -> String {
    let to = if it.provider.is_empty() {
        "-"
    } else {
        &it.provider
    };
    let from = it.attempts.first().map(|attempt| attempt.provider.as_str());
    match from {
        Some(from) if from != to => format!("{from}{}{to}", look.sign("→")),
        Some(_) => format!("{to} {}{}", look.sign("↻"), it.key),
        None => to.to_owned(),
    }
}

/// Says how a request stands or ended.
pub(super) fn outcome(it: &v1::Request, look: Look) -> (String, Tone) {
    let word = |sign: &'static str, text: &str| format!("{} {text}", look.sign(sign));
    let silent = it.silent_us.map(|it| it / 1_000_000).filter(|it| *it >= 5);
    match it.phase() {
        v1::Phase::Unspecified | v1::Phase::Waiting => (word("◷", "waits"), Tone::Warn),
        v1::Phase::Sent => (word("▸", "sent"), Tone::Trial),
        v1::Phase::Streaming => match silent {
            Some(silent) => (
                word("▸", &format!("silent {silent} s")),
                if silent < 60 { Tone::Warn } else { Tone::Bad },
            ),
            None => (word("▸", "live"), Tone::Trial),
        },
        v1::Phase::Ended => {
            let failed = it.status.is_none_or(|status| status >= 400) || it.outcome != "complete";
            let hops = it.attempts.len();
            if failed {
                let why = if it.error_type.is_empty() {
                    &it.outcome
                } else {
                    &it.error_type
                };
                (word("✖", why), Tone::Bad)
            } else if hops > 0 {
                (
                    word(
                        "↻",
                        &format!("{hops} hop{}", if hops == 1 { "" } else { "s" }),
                    ),
                    Tone::Warn,
                )
            } else {
                (word("✔", "done"), Tone::Ok)
            }
        }
    }
}

/// Draws the sessions with their agents.
pub(super) fn sessions(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let inside = pen.frame(
        area,
        "Sessions",
        &format!("{} known", state.sessions.len()),
        true,
    );
    let name = usize::from(inside.width).saturating_sub(62).clamp(14, 40);
    let columns = [
        left("SESSION / AGENT", name),
        left("LIVES AT", 18),
        right("WARM", 5),
        right("REQ", 6),
        right("CACHE", 5).rank(2),
        right("COST", 9),
        right("LIVE", 4).rank(1),
    ];
    let mut rows = Vec::new();
    let mut selected = None;
    let place = state.place();
    for (index, session) in state.sessions.iter().enumerate() {
        if index == place {
            selected = Some(rows.len());
        }
        let home = if session.key.is_empty() {
            session.provider.clone()
        } else {
            format!("{}/{}", session.provider, session.key)
        };
        let warm = session
            .warm_for_ms
            .map_or_else(|| "-".to_owned(), |it| ago(Duration::from_millis(it)));
        rows.push(sums(
            &session.id,
            (&home, &warm),
            session.sums.unwrap_or_default(),
            session.live,
        ));
        if session.agents.len() > 1 {
            let last = session.agents.len().saturating_sub(1);
            for (index, agent) in session.agents.iter().enumerate() {
                let branch = pen.look().sign(if index == last { "└" } else { "├" });
                let name = if agent.id.is_empty() {
                    "main"
                } else {
                    &agent.id
                };
                rows.push(sums(
                    &format!("{branch} {name}"),
                    ("", ""),
                    agent.sums.unwrap_or_default(),
                    agent.live,
                ));
            }
        }
        if !session.moved.is_empty() {
            let moved = format!("  ! moved {}", session.moved);
            rows.push(vec![Run::new(&moved, Tone::Warn)]);
        }
    }
    pen.table(inside, &columns, &rows, selected);
}

fn sums(name: &str, (home, warm): (&str, &str), sums: v1::Sums, live: u32) -> Vec<Run> {
    let all = [sums.input, sums.cache_read, sums.cache_write]
        .into_iter()
        .fold(0, u64::saturating_add);
    let share = sums.cache_read.saturating_mul(100).checked_div(all);
    let least = if sums.unpriced > 0 { ">" } else { "" };
    vec![
        Run::new(
            name,
            if home.is_empty() {
                Tone::Plain
            } else {
                Tone::Strong
            },
        ),
        Run::plain(home),
        Run::plain(warm),
        Run::plain(&sums.requests.to_string()),
        Run::plain(&share.map_or_else(|| "-".to_owned(), |it| format!("{it}%"))),
        Run::plain(&format!("{least}{}", dollars(sums.cost_nano_usd, 4))),
        Run::plain(&if live == 0 {
            String::new()
        } else {
            live.to_string()
        }),
    ]
}

/// Draws the keys by provider.
pub(super) fn keys(state: &State, pen: &mut Pen<'_>, area: Rect, focus: bool) {
    let keys = state.keys();
    let usable = keys
        .iter()
        .filter(|it| it.state() == v1::KeyState::Ok)
        .count();
    let inside = pen.frame(
        area,
        "Keys",
        &format!("{usable} of {} usable now", keys.len()),
        focus,
    );
    let bar = usize::from(inside.width).saturating_sub(82).clamp(8, 30);
    let columns = [
        left("PROVIDER", 12),
        left("KEY", 10),
        left("STATE", 9),
        right("RPM USED", 9),
        left("", bar),
        right("TPM USED", 15).rank(1),
        right("LAST 4", 6).rank(3),
        left("WHY", 40).rank(2),
    ];
    let look = pen.look();
    let row = |key: &&v1::Key| {
        let (word, tone) = key_state(key, look);
        let (used, limits) = (key.used.unwrap_or_default(), key.limits.unwrap_or_default());
        let of = |used: Option<u64>, limit: Option<u64>| {
            limit.map_or_else(
                || "-".to_owned(),
                |limit| format!("{}/{}", thousands(used.unwrap_or(0)), thousands(limit)),
            )
        };
        let gauge = limits.rpm.map_or_else(String::new, |limit| {
            look.gauge(used.rpm.unwrap_or(0), limit, bar)
        });
        vec![
            Run::plain(&key.provider),
            Run::new(&key.name, Tone::Strong),
            Run::new(&word, tone),
            Run::plain(&of(used.rpm, limits.rpm)),
            Run::plain(&gauge),
            Run::plain(&of(used.tpm, limits.tpm)),
            Run::plain(if key.last_four.is_empty() {
                "-"
            } else {
                &key.last_four
            }),
            Run::plain(&key.why),
        ]
    };
    let rows: Vec<Vec<Run>> = keys.iter().map(row).collect();
    pen.table(
        inside,
        &columns,
        &rows,
        (!rows.is_empty()).then(|| state.place()),
    );
}

fn key_state(key: &v1::Key, look: Look) -> (String, Tone) {
    match key.state() {
        v1::KeyState::Ok => (format!("{} ok", look.sign("●")), Tone::Ok),
        v1::KeyState::Cooling => {
            let left = key.cools_for_ms.map_or_else(
                || "cools".to_owned(),
                |it| format!("{} s", it.div_ceil(1_000)),
            );
            (format!("{} {left}", look.sign("◷")), Tone::Warn)
        }
        v1::KeyState::Off => (format!("{} off", look.sign("○")), Tone::Off),
        v1::KeyState::Unspecified => ("-".to_owned(), Tone::Off),
    }
}

/// Writes a key in one line.
pub(super) fn key_line(key: &v1::Key, look: Look, width: u16) -> Vec<Run> {
    let (word, tone) = key_state(key, look);
    let used = 100_u64.saturating_sub(u64::from(key.capacity_percent));
    let bar = usize::from(width).saturating_sub(36).clamp(6, 24);
    vec![
        Run::new(
            &super::pen::fit(&format!("  {}/{}", key.provider, key.name), 20, false),
            Tone::Strong,
        ),
        Run::plain(&format!(" {} {used:>3}%  ", look.gauge(used, 100, bar))),
        Run::new(&word, tone),
    ]
}

/// Draws the events, the newest first.
pub(super) fn events(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let inside = pen.frame(area, "Events", "newest first", true);
    let text = usize::from(inside.width).saturating_sub(22);
    let columns = [left("TIME", 8), left("LEVEL", 7), left("WHAT", text)];
    let look = pen.look();
    let row = |event: &v1::Event| {
        let (sign, word, tone) = match event.level() {
            v1::Level::Error => ("✖", "error", Tone::Bad),
            v1::Level::Warn => ("▲", "warn", Tone::Warn),
            v1::Level::Info => ("●", "info", Tone::Plain),
            v1::Level::Debug | v1::Level::Unspecified => ("○", "debug", Tone::Off),
        };
        let level = format!("{} {word}", look.sign(sign));
        vec![
            Run::plain(&clock(event.unix_ms)),
            Run::new(&level, tone),
            Run::plain(&event.message),
        ]
    };
    let rows: Vec<Vec<Run>> = state.events.iter().map(row).collect();
    pen.table(
        inside,
        &columns,
        &rows,
        (!rows.is_empty()).then(|| state.place()),
    );
}

/// Draws the configuration's file, credentials sealed.
pub(super) fn config(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let config = state.config.as_deref();
    let aside = config.map_or_else(String::new, |it| format!("{} {}", it.file, it.digest));
    let inside = pen.frame(area, "Configuration", &aside, true);
    let columns = [left("", usize::from(inside.width).saturating_sub(3))];
    let tone = |line: &String| {
        if line.starts_with('!') {
            Tone::Warn
        } else {
            Tone::Plain
        }
    };
    let rows: Vec<Vec<Run>> = state
        .config_lines()
        .iter()
        .map(|line| vec![Run::new(line, tone(line))])
        .collect();
    pen.table(
        inside,
        &columns,
        &rows,
        (!rows.is_empty()).then(|| state.place()),
    );
}
