//! Requests, keys, events and the configuration as lists.

use ratatui::layout::Rect;
use relay_api::v1;

use super::pen::{Pen, Run, fit};
use super::table::{Table, left, right};
use super::{clock, dollars, known, seconds, thousands};
use crate::state::{Link, List, Place, State};
use crate::theme::{Look, Tone};

/// Says what a list is narrowed to.
pub(super) fn titled(name: &str, state: &State) -> String {
    let filter = state.filter();
    if filter.is_empty() {
        name.to_owned()
    } else {
        format!("{name} /{filter}")
    }
}

/// Says how rows come to a list.
fn following(state: &State, waiting: usize) -> String {
    if matches!(state.link, Link::Lost { .. }) {
        return "old".to_owned();
    }
    if state.held.is_some() {
        return format!("paused, {waiting} new");
    }
    let follow = if state.selected.is_none() {
        "on"
    } else {
        "off"
    };
    format!("follow {follow}")
}

/// Says why there is no row.
pub(super) fn nothing(state: &State, pen: &mut Pen<'_>, inside: Rect, none: &str) {
    let why = if let Some(fault) = state.filter_fault() {
        fault
    } else if state.filter().is_empty() {
        none.to_owned()
    } else {
        "nothing passes the filter: / changes it, esc ends it".to_owned()
    };
    in_place_of_rows(pen, inside, &why);
}

/// Writes where the first row would stand.
pub(super) fn in_place_of_rows(pen: &mut Pen<'_>, inside: Rect, why: &str) {
    pen.line(
        inside.x.saturating_add(2),
        inside.y.saturating_add(1),
        inside.width.saturating_sub(2),
        &[Run::new(why, Tone::Off)],
    );
}

/// Draws the requests.
pub(super) fn requests(state: &State, pen: &mut Pen<'_>, area: Rect, focus: bool) {
    let order = state.order_of(List::Requests);
    let waiting = state.held.as_ref().map_or(0, |held| held.requests.len());
    let live = if focus {
        following(state, waiting)
    } else if state.held.is_some() {
        format!("paused, {waiting} new")
    } else if matches!(state.link, Link::Lost { .. }) {
        "old".to_owned()
    } else {
        "live".to_owned()
    };
    let dot = pen.look().sign("·");
    let aside = format!("{order} {dot} {live}");
    let inside = pen.frame(area, &titled("Requests", state), &aside, focus);
    let wide = inside.width >= 110;
    let columns = [
        left("TIME", 8),
        left("MODEL", if wide { 14 } else { 9 }),
        left("SESSION", 10).rank(1),
        left("ROUTE", if wide { 20 } else { 15 }).grow(),
        right("ST", 3),
        right("TTFE", 6).rank(3),
        right("TOTAL", 7).rank(5),
        right("IN/CACHED/OUT", 14).rank(2),
        right("COST", 7).rank(4),
        left("STATE", if wide { 22 } else { 14 }).prose(),
    ];
    let look = pen.look();
    let requests = state.shown_requests();
    let rows: Vec<Vec<Run>> = requests.iter().map(|it| request(it, look)).collect();
    let table = Table {
        columns: &columns,
        rows: &rows,
        selected: focus.then(|| state.place()),
        place: if state.place_in_view() == Place::Requests {
            Place::Requests
        } else {
            Place::Recent
        },
    };
    pen.table(inside, &table);
    if rows.is_empty() {
        nothing(state, pen, inside, "no request yet");
    }
}

fn request(it: &v1::Request, look: Look) -> Vec<Run> {
    let (word, tone) = outcome(it, look);
    let tokens = it.tokens.unwrap_or_default();
    let counts = [tokens.input, tokens.cache_read, tokens.output];
    let counts = counts.map(|it| it.map_or_else(|| "-".to_owned(), thousands));
    let status = it
        .status
        .map_or_else(|| "-".to_owned(), |it| it.to_string());
    let agent = if it.agent.is_empty() {
        String::new()
    } else {
        format!(" {}", it.agent)
    };
    vec![
        Run::plain(&clock(it.started_unix_ms)),
        Run::plain(&known(it.model.trim_start_matches("claude-"))),
        Run::plain(&format!("{}{agent}", known(&it.session))),
        Run::plain(&route(it, look)),
        Run::plain(&status),
        Run::plain(&seconds(it.time_to_first_event_us)),
        Run::plain(&seconds(Some(it.duration_us))),
        Run::plain(&counts.join("/")),
        Run::plain(&price(it.cost_nano_usd)),
        Run::new(&word, tone),
    ]
}

/// Writes what a request cost; unknown as `-`, and what is no longer to be seen in cents as less.
pub(super) fn price(nano: Option<u64>) -> String {
    match nano {
        None => "-".to_owned(),
        Some(0) => "$0".to_owned(),
        Some(it) if it >= 10_000_000_000 => dollars(it, 2),
        Some(it) => dollars(it, 4),
    }
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
        Some(from) if from != to => format!("{from} {} {to}", look.sign("→")),
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
                (word("✖", &why.replace('_', " ")), Tone::Bad)
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

/// Draws the keys.
pub(super) fn keys(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let keys = state.keys();
    let usable = keys
        .iter()
        .filter(|it| it.state() == v1::KeyState::Ok)
        .count();
    let dot = pen.look().sign("·");
    let order = state.order_of(List::Keys);
    let aside = format!("{order} {dot} {usable} of {} usable now", keys.len());
    let inside = pen.frame(area, &titled("Keys", state), &aside, true);
    let bar = 8;
    let columns = [
        left("PROVIDER", 12).grow(),
        left("KEY", 8),
        left("STATE", 9),
        right("RPM USED", 9),
        left("", bar).rank(2),
        right("TPM USED", 9).rank(3),
        left("", bar).rank(1),
    ];
    let look = pen.look();
    let row = |key: &&v1::Key| {
        let (word, tone) = key_state(key, look);
        let (used, limits) = (key.used.unwrap_or_default(), key.limits.unwrap_or_default());
        let gauge = |used: Option<u64>, limit: Option<u64>| {
            limit.map_or_else(String::new, |limit| {
                look.gauge(used.unwrap_or(0), limit, bar)
            })
        };
        vec![
            Run::plain(&key.provider),
            Run::new(&key.name, Tone::Strong),
            Run::new(&word, tone),
            Run::plain(&used_of(used.rpm, limits.rpm)),
            Run::plain(&gauge(used.rpm, limits.rpm)),
            Run::plain(&used_of(used.tpm, limits.tpm)),
            Run::plain(&gauge(used.tpm, limits.tpm)),
        ]
    };
    let rows: Vec<Vec<Run>> = keys.iter().map(row).collect();
    let table = Table {
        columns: &columns,
        rows: &rows,
        selected: Some(state.place()),
        place: Place::Keys,
    };
    pen.table(inside, &table);
    if rows.is_empty() {
        nothing(
            state,
            pen,
            inside,
            "no key: clients bring their own credential",
        );
    }
}

/// Writes what is used of a limit; without a limit `-`.
pub(super) fn used_of(used: Option<u64>, limit: Option<u64>) -> String {
    limit.map_or_else(
        || "-".to_owned(),
        |limit| format!("{}/{}", thousands(used.unwrap_or(0)), thousands(limit)),
    )
}

/// Writes the seconds that are left, as short as a column needs it.
fn left_of(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} m", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3_600)),
    }
}

pub(super) fn key_state(key: &v1::Key, look: Look) -> (String, Tone) {
    match key.state() {
        v1::KeyState::Ok => (format!("{} ok", look.sign("●")), Tone::Ok),
        v1::KeyState::Cooling => {
            let left = key
                .cools_for_ms
                .map_or_else(|| "cools".to_owned(), |it| left_of(it.div_ceil(1_000)));
            (format!("{} {left}", look.sign("◷")), Tone::Warn)
        }
        v1::KeyState::Off => (format!("{} off", look.sign("○")), Tone::Off),
        v1::KeyState::Unspecified => ("-".to_owned(), Tone::Off),
    }
}

/// Writes a key in one line.
pub(super) fn key_line(key: &v1::Key, look: Look, width: u16) -> Vec<Run> {
    let (word, tone) = key_state(key, look);
    let is_limited = key.limits.is_some_and(|it| it != v1::KeyLimits::default());
    let used = 100_u64.saturating_sub(u64::from(key.capacity_percent));
    let bar = usize::from(width).saturating_sub(40).clamp(6, 24);
    let (gauge, share) = if is_limited {
        (look.gauge(used, 100, bar), format!("{used:>3}%"))
    } else {
        // What has no limit is not empty: nothing is known of it.
        (" ".repeat(bar), "   -".to_owned())
    };
    let name = fit(&format!("{}/{}", key.provider, key.name), 19, false, look);
    vec![
        Run::new(&format!("  {name}"), Tone::Strong),
        Run::plain(&format!(" {gauge} {share}  ")),
        Run::new(&word, tone),
    ]
}

/// Says how much an event matters: a sign and a word.
pub(super) fn level(event: &v1::Event, look: Look) -> (String, Tone) {
    let (sign, word, tone) = match event.level() {
        v1::Level::Error => ("✖", "error", Tone::Bad),
        v1::Level::Warn => ("▲", "warn", Tone::Warn),
        v1::Level::Info => ("●", "info", Tone::Plain),
        v1::Level::Debug | v1::Level::Unspecified => ("○", "debug", Tone::Off),
    };
    (format!("{} {word}", look.sign(sign)), tone)
}

/// Draws the events, the newest first.
pub(super) fn events(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let waiting = state.held.as_ref().map_or(0, |held| held.events.len());
    let aside = following(state, waiting);
    let inside = pen.frame(area, &titled("Events", state), &aside, true);
    let columns = [
        left("TIME", 8),
        left("LEVEL", 7),
        left("WHAT", 20).prose().grow(),
    ];
    let look = pen.look();
    let row = |event: &v1::Event| {
        let (word, tone) = level(event, look);
        vec![
            Run::plain(&clock(event.unix_ms)),
            Run::new(&word, tone),
            Run::plain(&shifted(&event.message, state.shift)),
        ]
    };
    let events = state.shown_events();
    let rows: Vec<Vec<Run>> = events.iter().map(|it| row(it.1)).collect();
    let table = Table {
        columns: &columns,
        rows: &rows,
        selected: Some(state.place()),
        place: Place::Events,
    };
    pen.table(inside, &table);
    if rows.is_empty() {
        nothing(state, pen, inside, "nothing has happened yet");
    }
}

/// Returns a line from a column on.
pub(super) fn shifted(line: &str, shift: usize) -> String {
    line.chars().skip(shift).collect()
}

/// Draws the configuration's file, credentials sealed.
pub(super) fn config(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let config = state.config.as_deref();
    let aside = config.map_or_else(String::new, |it| format!("{} {}", it.file, it.digest));
    let inside = pen.frame(area, &titled("Configuration", state), &aside, true);
    let columns = [left("", 20).prose().grow()];
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
        .map(|line| vec![Run::new(&shifted(line, state.shift), tone(line))])
        .collect();
    let table = Table {
        columns: &columns,
        rows: &rows,
        selected: Some(state.place()),
        place: Place::Config,
    };
    pen.table(inside, &table);
    if rows.is_empty() {
        let why = Run::new("not told yet", Tone::Off);
        pen.line(
            inside.x.saturating_add(2),
            inside.y,
            inside.width.saturating_sub(2),
            &[why],
        );
    }
}
