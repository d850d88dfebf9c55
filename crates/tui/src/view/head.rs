//! The first two lines, the last one, and what is left of them in a tiny terminal.

use std::time::Duration;

use ratatui::layout::Rect;
use relay_api::v1;
use relay_api::v1::ProviderState::{Off, Open, Probing, Slow, Up};
use unicode_width::UnicodeWidthStr as _;

use super::pen::{Pen, Run};
use super::{LEAST, ago, dollars, percent, rounded};
use crate::keys::footer as keys;
use crate::state::{Dialog, Kind, Line, Link, State, Target, View};
use crate::theme::Tone;

/// A part of a line. Where there is no room, the one with the lowest rank goes first.
struct Part {
    rank: u8,
    runs: Vec<Run>,
    /// Whether it stands at the right edge.
    at_end: bool,
}

impl Part {
    fn new(rank: u8, runs: Vec<Run>) -> Self {
        Self {
            rank,
            runs,
            at_end: false,
        }
    }

    fn plain(rank: u8, text: &str) -> Self {
        Self::new(rank, vec![Run::plain(text)])
    }

    fn end(self) -> Self {
        Self {
            at_end: true,
            ..self
        }
    }

    fn width(&self) -> usize {
        self.runs.iter().map(|run| run.text.width()).sum()
    }
}

/// Writes the parts that there is room for, two columns between them.
fn write(pen: &mut Pen<'_>, y: u16, mut parts: Vec<Part>) {
    let area = pen.area();
    // One column at each edge.
    let room = usize::from(area.width).saturating_sub(2);
    let taken = |parts: &[Part]| -> usize {
        let between = parts.len().saturating_sub(1).saturating_mul(2);
        let widths: usize = parts.iter().map(Part::width).sum();
        widths.saturating_add(between)
    };
    while taken(&parts) > room && parts.len() > 1 {
        let lowest = parts.iter().map(|part| part.rank).min();
        if let Some(gone) = parts.iter().rposition(|part| Some(part.rank) == lowest) {
            parts.remove(gone);
        }
    }
    let spare = room.saturating_sub(taken(&parts));
    let mut runs = vec![Run::plain(" ")];
    let mut is_filled = false;
    for (place, part) in parts.into_iter().enumerate() {
        if place > 0 {
            runs.push(Run::plain("  "));
        }
        if part.at_end && !is_filled {
            runs.push(Run::plain(&" ".repeat(spare)));
            is_filled = true;
        }
        runs.extend(part.runs);
    }
    pen.line(area.x, y, area.width, &runs);
}

pub(super) fn tiny(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let known = state.stats.as_deref();
    let traffic = known.and_then(|it| it.traffic.as_ref());
    let rate = traffic.map_or_else(|| "-".to_owned(), |it| rounded(it.requests_per_minute));
    let live = known.map_or_else(|| "-".to_owned(), |it| it.live.to_string());
    let (sign, word, tone) = health(state);
    let look = pen.look();
    let providers = known.map_or(&[][..], |it| &it.providers);
    let count = |wanted: v1::ProviderState| {
        let found = providers.iter().filter_map(|it| it.provider.as_ref());
        found.filter(|it| it.state() == wanted).count()
    };
    let states = [
        ("●", Up),
        ("▲", Slow),
        ("◐", Probing),
        ("✖", Open),
        ("○", Off),
    ];
    let states = states.map(|(sign, state)| format!("{} {}", look.sign(sign), count(state)));
    let keys = known.map_or(&[][..], |it| &it.keys);
    let unusable = keys.iter().filter(|it| it.state() != v1::KeyState::Ok);
    let lines = [
        Run::new(&format!("{} {word}", look.sign(sign)), tone),
        Run::plain(&format!("{rate} req/min  {live} live")),
        Run::plain(&states.join(" ")),
        Run::plain(&format!(
            "{} keys of {} not usable",
            unusable.count(),
            keys.len()
        )),
        Run::plain(&format!(
            "needs {}x{} (is {}x{})",
            LEAST.0, LEAST.1, area.width, area.height
        )),
        Run::plain("q quit"),
    ];
    for (line, y) in lines.iter().zip(area.top()..area.bottom()) {
        pen.line(area.x, y, area.width, std::slice::from_ref(line));
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

pub(super) fn header(state: &State, pen: &mut Pen<'_>) {
    let y = pen.area().y;
    let parts = match &state.link {
        Link::Lost { since, next, .. } => lost(state.now, *since, *next),
        Link::Dialing | Link::Live | Link::Stale { .. } => totals(state, pen),
    };
    write(pen, y, parts);
    views(state, pen, y.saturating_add(1));
}

fn lost(now: Duration, since: Duration, next: Option<Duration>) -> Vec<Part> {
    let ago = now.saturating_sub(since).as_secs();
    let again = next.map_or_else(
        || "not tried again by itself".to_owned(),
        |next| format!("next try in {} s", next.saturating_sub(now).as_secs()),
    );
    let bad = |rank, text: &str| Part::new(rank, vec![Run::new(text, Tone::Bad)]);
    vec![
        bad(9, &format!("LINK LOST {ago} s ago")),
        bad(8, &again),
        bad(7, "r try now"),
        bad(6, "data below is old"),
    ]
}

fn totals(state: &State, pen: &Pen<'_>) -> Vec<Part> {
    let (sign, word, tone) = health(state);
    let sign = pen.look().sign(sign);
    let mut parts = vec![Part::new(
        u8::MAX,
        vec![Run::new(&format!("{sign} {word}"), tone)],
    )];
    let mut warn = |text: &str, tone| parts.push(Part::new(20, vec![Run::new(text, tone)]));
    if let Link::Stale { since } = &state.link {
        let age = state.now.saturating_sub(*since).as_secs();
        warn(&format!("! {age} s old"), Tone::Warn);
    }
    if let Some(at) = state.restarted {
        let ago = state.now.saturating_sub(at).as_secs();
        warn(&format!("! relay restarted {ago} s ago"), Tone::Warn);
    }
    let Some(known) = state.stats.as_deref() else {
        return parts;
    };
    if known.config_refused.is_some() {
        warn("! config", Tone::Bad);
    }
    let own = env!("CARGO_PKG_VERSION");
    if known.version != own && !known.version.is_empty() {
        warn(
            &format!("! relay {}, viewer {own}", known.version),
            Tone::Warn,
        );
    }
    parts.extend(numbers(known));
    parts
}

fn numbers(stats: &v1::Stats) -> Vec<Part> {
    let traffic = stats.traffic.clone().unwrap_or_default();
    let cache = stats
        .cache_read_percent
        .map_or_else(|| "-".to_owned(), |it| format!("{}%", rounded(it)));
    let least = if stats.cost_today_is_partial {
        "> "
    } else {
        ""
    };
    let cost = stats
        .cost_today_nano_usd
        .map_or_else(|| "-".to_owned(), |it| format!("{least}{}", dollars(it, 2)));
    let strong = |rank, number: &str, unit: &str| {
        Part::new(rank, vec![Run::new(number, Tone::Strong), Run::plain(unit)])
    };
    let mut parts = vec![
        Part::plain(7, &stats.strategy),
        strong(12, &rounded(traffic.requests_per_minute), " req/min"),
        Part::plain(11, &format!("{} live", stats.live)),
        Part::plain(9, &format!("cache {cache}")),
        Part::plain(
            6,
            &format!("errors {}", percent(traffic.errors, traffic.requests)),
        ),
        Part::plain(5, &format!("{} sessions", stats.sessions)),
    ];
    if stats.waiting > 0 {
        parts.push(Part::plain(10, &format!("{} wait", stats.waiting)));
    }
    let up = ago(Duration::from_secs(stats.uptime_s));
    parts.extend([
        strong(10, &cost, " today").end(),
        Part::plain(8, &format!("up {up}")).end(),
        Part::plain(4, &format!("cfg {}", stats.config_digest)).end(),
        Part::plain(3, &stats.url).end(),
    ]);
    parts
}

fn views(state: &State, pen: &mut Pen<'_>, y: u16) {
    let area = pen.area();
    // In a narrow terminal a bracket takes the place of the space between two names.
    let gap = if area.width < 80 { 1 } else { 2_u16 };
    let end = Rect::new(area.x, y, area.width, 1);
    let mut x = area.x.saturating_add(1);
    for (place, view) in View::ALL.into_iter().enumerate() {
        let name = format!("{} {}", place.saturating_add(1), view.name());
        let width = u16::try_from(name.width()).unwrap_or(u16::MAX);
        let is_here = view == state.view;
        let tone = if is_here { Tone::Focus } else { Tone::Plain };
        if is_here {
            let before = x.saturating_sub(1);
            let brackets = format!("[{name}]");
            pen.line(
                before,
                y,
                width.saturating_add(2),
                &[Run::new(&brackets, tone)],
            );
        } else {
            pen.line(x, y, width, &[Run::new(&name, tone)]);
        }
        let name = Rect::new(x, y, width, 1).intersection(end);
        pen.hit(name, Target::View(place));
        x = x.saturating_add(width).saturating_add(gap);
    }
}

pub(super) fn footer(state: &State, pen: &mut Pen<'_>) {
    let y = pen.area().bottom().saturating_sub(1);
    if let Some(line) = &state.input {
        return typed(state, line, pen, y);
    }
    if let Some(dialog) = &state.dialog {
        let keys = match dialog {
            Dialog::Confirm { name: None, .. } => "y goes on   Enter or esc keeps it as it is",
            Dialog::Confirm { .. } => "Enter goes on if the name is right   esc keeps it as it is",
            Dialog::Route { .. } => "j k choose   Enter asks what would follow   esc keeps it",
            Dialog::Refused { .. } => "y copies   Enter or esc closes",
        };
        return write(pen, y, vec![Part::plain(9, keys)]);
    }
    if state.help.is_some() {
        let keys = "j k scroll   every other key closes";
        return write(pen, y, vec![Part::plain(9, keys)]);
    }
    if let Some(note) = &state.note {
        let (sign, tone) = if note.good {
            ("✔", Tone::Ok)
        } else {
            ("✖", Tone::Bad)
        };
        let text = format!("{} {}", pen.look().sign(sign), note.text);
        return write(pen, y, vec![Part::new(9, vec![Run::new(&text, tone)])]);
    }
    if let Link::Lost { why, next, .. } = &state.link {
        // Where it is not tried again, the reason stands in the middle.
        let why = if next.is_some() {
            why
        } else {
            "the link is lost"
        };
        let sign = pen.look().sign("✖");
        let parts = vec![
            Part::new(9, vec![Run::new(&format!("{sign} {why}"), Tone::Bad)]),
            Part::plain(7, "nothing can be changed"),
            Part::plain(8, "q quit"),
        ];
        return write(pen, y, parts);
    }
    let here: Vec<_> = keys(state.location()).collect();
    // The last ones are the same everywhere and stay; of the others the first matter most.
    let always = here.len().saturating_sub(2);
    let parts = here.iter().enumerate().map(|(place, (key, does))| {
        let order = u8::try_from(place).unwrap_or(u8::MAX);
        let rank = if place >= always {
            u8::MAX
        } else {
            u8::MAX.saturating_sub(order).saturating_sub(1)
        };
        let key = pen.look().key(key);
        Part::new(
            rank,
            vec![
                Run::new(&key, Tone::Strong),
                Run::plain(&format!(" {does}")),
            ],
        )
    });
    let parts = parts.collect();
    write(pen, y, parts);
}

/// Draws a line that is typed, with the words that fit, or with what is wrong with it.
fn typed(state: &State, line: &Line, pen: &mut Pen<'_>, y: u16) {
    let area = pen.area();
    let sign = if line.kind == Kind::Filter { "/" } else { ":" };
    let half = usize::from(area.width / 2);
    // What is typed last is what one looks at.
    let skipped = line
        .before
        .width()
        .saturating_sub(half.saturating_add(half / 2));
    let before: String = line.before.chars().skip(skipped).collect();
    let text = format!(" {sign}{before}_{}", line.behind);
    let aside = if let (Kind::Filter, Some(fault)) = (line.kind, state.filter_fault()) {
        Run::new(&format!("   {fault}"), Tone::Warn)
    } else {
        Run::new(&format!("   {}", hint(state, line)), Tone::Off)
    };
    pen.line(
        area.x,
        y,
        area.width,
        &[Run::new(&text, Tone::Strong), aside],
    );
}

/// Returns the words that begin as the one that is typed.
fn hint(state: &State, line: &Line) -> String {
    let begun = line.before.rsplit(' ').next().unwrap_or_default();
    if begun.is_empty() && line.kind == Kind::Filter {
        return "words, status>=400, slow:>5s, cost:>0.1, hop:yes; Tab completes".to_owned();
    }
    let words = state.words(line);
    let fit = words
        .iter()
        .filter(|word| word.starts_with(begun) && *word != begun);
    let fit: Vec<&str> = fit.map(String::as_str).collect();
    fit.join(" ")
}
