//! Draws a state: the header, the views' names, the view, what the keys do here, and what lies over it.

mod dialog;
mod lists;
mod overview;
mod pen;
mod request;

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use relay_api::v1;

use crate::keys::{Action, shown};
use crate::state::{InputKind, Link, State, View};
use crate::theme::{Look, Tone};
use pen::{Pen, Run};

/// Below this nothing but the totals is drawn.
const LEAST: (u16, u16) = (60, 16);
/// From this width on there is room for two panes.
pub(crate) const WIDE: u16 = 120;

/// Draws a state.
pub(crate) fn draw(state: &State, look: Look, area: Rect, buffer: &mut Buffer) {
    let mut pen = Pen::new(buffer, look, area);
    if area.width < LEAST.0 || area.height < LEAST.1 {
        return tiny(state, &mut pen, area);
    }
    header(state, &mut pen);
    let body = Rect::new(
        area.x,
        area.y.saturating_add(2),
        area.width,
        area.height.saturating_sub(3),
    );
    match state.view {
        View::Overview => overview::draw(state, &mut pen, body),
        View::Requests if state.opened.is_some() => request::draw(state, &mut pen, body),
        View::Requests => lists::requests(state, &mut pen, body, true),
        View::Sessions => lists::sessions(state, &mut pen, body),
        View::Keys => lists::keys(state, &mut pen, body, true),
        View::Events => lists::events(state, &mut pen, body),
        View::Config => lists::config(state, &mut pen, body),
    }
    footer(state, &mut pen);
    if state.help {
        dialog::help(&mut pen, area);
    }
    if let Some(it) = &state.dialog {
        dialog::draw(it, &mut pen, area);
    }
}

fn tiny(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let known = state.stats.as_deref();
    let traffic = known.and_then(|it| it.traffic.as_ref());
    let rate = traffic.map_or_else(|| "-".to_owned(), |it| rounded(it.requests_per_minute));
    let live = known.map_or_else(|| "-".to_owned(), |it| it.live.to_string());
    let lines = [
        format!("{rate} req/min  {live} live"),
        health(state).1.to_owned(),
        format!(
            "needs {}x{} (is {}x{})",
            LEAST.0, LEAST.1, area.width, area.height
        ),
        "q quit".to_owned(),
    ];
    for (line, y) in lines.iter().zip(area.top()..area.bottom()) {
        pen.line(area.x, y, area.width, &[Run::plain(line)]);
    }
}

/// Says how the relay does: a sign, a word, and what it means.
fn health(state: &State) -> (&'static str, &'static str, Tone) {
    match (&state.link, state.stats.as_ref().map(|it| it.health())) {
        (Link::Lost { .. }, _) => ("✖", "link lost", Tone::Bad),
        (_, None | Some(v1::Health::Unspecified)) => ("◐", "connecting", Tone::Trial),
        (_, Some(v1::Health::Healthy)) => ("●", "healthy", Tone::Ok),
        (_, Some(v1::Health::Degraded)) => ("▲", "degraded", Tone::Warn),
        (_, Some(v1::Health::Down)) => ("✖", "down", Tone::Bad),
        (_, Some(v1::Health::Draining)) => ("◷", "stopping", Tone::Warn),
    }
}

fn header(state: &State, pen: &mut Pen<'_>) {
    let area = pen.area();
    if let Link::Lost { since, next, why } = &state.link {
        let ago = state.now.saturating_sub(*since).as_secs();
        let again = next.map_or_else(
            || "not tried again by itself".to_owned(),
            |next| format!("next try in {} s", next.saturating_sub(state.now).as_secs()),
        );
        let text = format!("LINK LOST {ago} s ago  {again}  r try now  data below is old: {why}");
        pen.line(
            area.x,
            area.y,
            area.width,
            &[Run::new(" ", Tone::Plain), Run::new(&text, Tone::Bad)],
        );
    } else {
        let (sign, word, tone) = health(state);
        let sign = pen.look().sign(sign);
        let mut runs = vec![Run::new(&format!(" {sign} {word}  "), tone)];
        if let Link::Stale { since } = &state.link {
            let age = state.now.saturating_sub(*since).as_secs();
            runs.push(Run::new(&format!("! {age} s old  "), Tone::Warn));
        }
        if let Some(stats) = state.stats.as_deref() {
            runs.extend(totals(stats, area.width));
        }
        pen.line(area.x, area.y, area.width, &runs);
    }
    let mut runs = vec![Run::plain(" ")];
    for (number, view) in (1..).zip(View::ALL) {
        let is_here = view == state.view;
        let (open, close) = if is_here { ("[", "]") } else { (" ", " ") };
        let tone = if is_here { Tone::Focus } else { Tone::Plain };
        runs.push(Run::new(
            &format!("{open}{number} {}{close}", view.name()),
            tone,
        ));
        runs.push(Run::plain(" "));
    }
    pen.line(area.x, area.y.saturating_add(1), area.width, &runs);
}

fn totals(stats: &v1::Stats, width: u16) -> Vec<Run> {
    let mut runs = Vec::new();
    let traffic = stats.traffic.clone().unwrap_or_default();
    let cache = stats
        .cache_read_percent
        .map_or_else(|| "-".to_owned(), |it| format!("{}%", rounded(it)));
    runs.push(Run::plain(&format!("{}  ", stats.strategy)));
    runs.push(Run::new(
        &rounded(traffic.requests_per_minute),
        Tone::Strong,
    ));
    runs.push(Run::plain(&format!(
        " req/min  {} live  cache {cache}  ",
        stats.live
    )));
    if width >= WIDE {
        let errors = percent(traffic.errors, traffic.requests);
        runs.push(Run::plain(&format!(
            "errors {errors}  {} sessions  ",
            stats.sessions
        )));
    }
    let least = if stats.cost_today_is_partial {
        ">= "
    } else {
        ""
    };
    let cost = stats
        .cost_today_nano_usd
        .map_or_else(|| "-".to_owned(), |it| format!("{least}{}", dollars(it, 2)));
    runs.push(Run::new(&cost, Tone::Strong));
    runs.push(Run::plain(&format!(
        " today  up {}",
        ago(Duration::from_secs(stats.uptime_s))
    )));
    if width >= WIDE {
        runs.push(Run::plain(&format!(
            "  cfg {}  {}  {}",
            stats.config_digest, stats.url, stats.version
        )));
    }
    if stats.config_refused.is_some() {
        runs.push(Run::new("  ! config", Tone::Bad));
    }
    runs
}

fn footer(state: &State, pen: &mut Pen<'_>) {
    let area = pen.area();
    let y = area.bottom().saturating_sub(1);
    if let Some(input) = &state.input {
        let sign = if input.kind == InputKind::Filter {
            "/"
        } else {
            ":"
        };
        let text = format!(" {sign}{}_", input.text);
        return pen.line(area.x, y, area.width, &[Run::new(&text, Tone::Strong)]);
    }
    if let Some(note) = &state.note {
        let (sign, tone) = if note.good {
            ("✔", Tone::Ok)
        } else {
            ("✖", Tone::Bad)
        };
        let text = format!(" {} {}", pen.look().sign(sign), note.text);
        return pen.line(area.x, y, area.width, &[Run::new(&text, tone)]);
    }
    let here = keys_of(state);
    let mut runs = vec![Run::plain(" ")];
    let always: &[(Action, &str)] = if area.width >= WIDE {
        &[
            (Action::Command, "command"),
            (Action::Help, "help"),
            (Action::Quit, "quit"),
        ]
    } else {
        &[(Action::Help, "help"), (Action::Quit, "quit")]
    };
    for (action, does) in here.iter().chain(always) {
        let key = shown(*action);
        let key = if pen.look().ascii {
            key.replace('⏎', "Enter").replace(['↑', '↓'], "")
        } else {
            key.to_owned()
        };
        runs.push(Run::new(key.trim(), Tone::Strong));
        runs.push(Run::plain(&format!(" {does}  ")));
    }
    pen.line(area.x, y, area.width, &runs);
}

/// Returns the keys that matter in a view.
fn keys_of(state: &State) -> &'static [(Action, &'static str)] {
    match state.view {
        View::Overview if !state.lower => &[
            (Action::Open, "keys"),
            (Action::Disable, "disable"),
            (Action::Enable, "enable"),
            (Action::Reset, "reset"),
            (Action::Route, "routing"),
            (Action::Panel, "requests"),
        ],
        View::Overview | View::Requests if state.opened.is_none() => &[
            (Action::Open, "open"),
            (Action::Filter, "filter"),
            (Action::Pause, "pause"),
            (Action::Panel, "providers"),
        ],
        View::Overview | View::Requests => &[
            (Action::Back, "back"),
            (Action::Previous, "newer"),
            (Action::Next, "older"),
        ],
        View::Sessions => &[(Action::Open, "requests"), (Action::Unpin, "unpin")],
        View::Keys => &[
            (Action::Disable, "disable"),
            (Action::Enable, "enable"),
            (Action::Reset, "end cooldown"),
        ],
        View::Events => &[(Action::Down, "older")],
        View::Config => &[(Action::Reload, "reload")],
    }
}

/// Writes a number without its fraction.
pub(crate) fn rounded(number: f64) -> String {
    format!("{number:.0}")
}

pub(crate) fn percent(part: u64, whole: u64) -> String {
    let tenths = part.saturating_mul(1_000).checked_div(whole).unwrap_or(0);
    format!("{}.{}%", tenths / 10, tenths % 10)
}

/// Writes billionths of a dollar with so many places.
pub(crate) fn dollars(nano: u64, places: usize) -> String {
    let whole = nano / 1_000_000_000;
    let rest = format!("{:09}", nano % 1_000_000_000);
    format!("${whole}.{}", rest.get(..places).unwrap_or_default())
}

/// Writes a length of time as short as it can be said.
pub(crate) fn ago(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Writes microseconds as seconds with one place; unknown as `-`.
pub(crate) fn seconds(micros: Option<u64>) -> String {
    micros.map_or_else(
        || "-".to_owned(),
        |it| format!("{}.{} s", it / 1_000_000, it / 100_000 % 10),
    )
}

/// Writes a count of tokens with its unit.
pub(crate) fn thousands(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{}.{}k", count / 1_000, count / 100 % 10),
        _ => format!("{}.{}M", count / 1_000_000, count / 100_000 % 10),
    }
}

/// Writes the time of day of milliseconds of the Unix epoch, UTC.
pub(crate) fn clock(unix_ms: u64) -> String {
    let seconds = unix_ms / 1_000;
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}
