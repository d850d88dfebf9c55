//! What is known of the row that is selected: a session, a key, an event.

use std::time::Duration;

use ratatui::layout::Rect;
use relay_api::v1;
use unicode_width::UnicodeWidthStr as _;

use super::pen::{Pen, Run, fit};
use super::{ago, clock, grouped, known, lists, seconds, sessions, since};
use crate::state::{Branch, State};
use crate::theme::{Look, Tone};

/// Writes lines into a frame, from the first on.
pub(super) fn panel(
    pen: &mut Pen<'_>,
    area: Rect,
    (title, aside): (&str, &str),
    lines: &[Vec<Run>],
) {
    let inside = pen.frame(area, title, aside, false);
    let room = inside.width.saturating_sub(1);
    for (line, y) in lines.iter().zip(inside.top()..inside.bottom()) {
        pen.line(inside.x, y, room, line);
    }
    let more = lines.len().saturating_sub(usize::from(inside.height));
    if more > 0 {
        pen.foot(inside, &format!(" {more} more "));
    }
}

/// Returns a line with a word at its start.
pub(super) fn said(what: &str, text: &str) -> Vec<Run> {
    vec![
        Run::new(&format!("  {what:<9} "), Tone::Off),
        Run::plain(text),
    ]
}

/// Returns as many lines as a text needs, with a word at the first.
pub(super) fn several(what: &str, text: &str, width: usize) -> Vec<Vec<Run>> {
    let mut what = what;
    let mut lines = Vec::new();
    for line in wrapped(text, width) {
        lines.push(said(what, &line));
        what = "";
    }
    lines
}

pub(super) fn session(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let Some(branch) = state.branch() else {
        return panel(pen, area, ("Session", ""), &[]);
    };
    let (session, agent) = (branch.session, branch.agent);
    let look = pen.look();
    let title = agent.map_or_else(
        || format!("session {}", session.id),
        |agent| {
            let name = if agent.id.is_empty() {
                "main"
            } else {
                &agent.id
            };
            format!("agent {name} {} session {}", look.sign("·"), session.id)
        },
    );
    let mut lines = lived(&branch, state.now);
    if let Some(agent) = agent.filter(|it| !it.parent.is_empty()) {
        lines.push(said("started by", &agent.parent));
    }
    if !session.moved.is_empty() {
        let moved = format!("  ! moved {}", session.moved);
        lines.push(vec![Run::new(&moved, Tone::Warn)]);
    }
    lines.push(Vec::new());
    let is_ours = |it: &&v1::Request| {
        it.session == session.id && agent.is_none_or(|agent| it.agent == agent.id)
    };
    let ours = state.requests.iter().filter(is_ours);
    let ours = ours.take(usize::from(area.height));
    lines.extend(ours.map(|it| recent(it, look)));
    panel(pen, area, (&title, ""), &lines);
}

/// Says where a session or an agent lives, since when, and what it used.
fn lived(branch: &Branch<'_>, now: Duration) -> Vec<Vec<Run>> {
    let (session, agent) = (branch.session, branch.agent);
    let sums = agent.map_or(session.sums, |agent| agent.sums);
    let sums = sums.unwrap_or_default();
    let (first, last) = agent.map_or((session.first_unix_ms, session.last_unix_ms), |it| {
        (it.first_unix_ms, it.last_unix_ms)
    });
    let warm = session.warm_for_ms.map_or_else(
        || "cold".to_owned(),
        |it| format!("warm for {}", ago(Duration::from_millis(it))),
    );
    let home = if session.key.is_empty() {
        known(&session.provider)
    } else {
        format!("{}/{}", session.provider, session.key)
    };
    let age = |at| match since(now, at).as_str() {
        "-" => "-".to_owned(),
        ago => format!("{ago} ago"),
    };
    let saved = lists::price(Some(sums.saved_nano_usd));
    let cost = format!("{}   saved by the cache {saved}", sessions::cost(&sums));
    let requests = format!("{}   failed {}", sums.requests, sums.failed);
    vec![
        said("project", &known(&session.project)),
        said("lives at", &home),
        said("cache", &format!("{} read, {warm}", sessions::share(&sums))),
        said("first", &format!("{}   last {}", age(first), age(last))),
        said("cost", &cost),
        said("requests", &requests),
        said("moves", &moves(&sums)),
    ]
}

fn moves(sums: &v1::Sums) -> String {
    let cost = lists::price(Some(sums.moved_nano_usd));
    format!("{}   cost of them {cost}", sums.moves)
}

/// Writes a request in one line.
fn recent(it: &v1::Request, look: Look) -> Vec<Run> {
    let (word, tone) = lists::outcome(it, look);
    let model = fit(it.model.trim_start_matches("claude-"), 10, false, look);
    let text = format!(
        "  {}  {model}  {:>7}  {:>7}  ",
        clock(it.started_unix_ms),
        seconds(Some(it.duration_us)),
        lists::price(it.cost_nano_usd)
    );
    vec![Run::plain(&text), Run::new(&word, tone)]
}

pub(super) fn key(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let keys = state.keys();
    let Some(key) = keys.get(state.place()) else {
        return panel(pen, area, ("Key", ""), &[]);
    };
    let look = pen.look();
    let dot = look.sign("·");
    let (word, tone) = lists::key_state(key, look);
    let mut about = Vec::new();
    about.extend((!key.source.is_empty()).then(|| key.source.clone()));
    about.extend(
        (!key.last_four.is_empty()).then(|| format!("{}{}", look.sign("…"), key.last_four)),
    );
    about.push(format!("weight {}", key.weight));
    about.push(format!("priority {}", key.priority));
    about.extend(
        key.added
            .then(|| "added while it runs, in no file".to_owned()),
    );
    let state_line = vec![Run::new("  state     ", Tone::Off), Run::new(&word, tone)];
    let between = format!(" {dot} ");
    let room = usize::from(area.width).saturating_sub(15);
    let mut lines: Vec<Vec<Run>> = flowed(&about, &between, room.saturating_add(10))
        .iter()
        .map(|line| vec![Run::plain(&format!("  {line}"))])
        .collect();
    lines.push(state_line);
    lines.extend(several("why", &key.why, room));
    let under_way = format!("{} requests", key.in_flight);
    lines.push(said("under way", &under_way));
    lines.extend(limits(key, look, usize::from(area.width)));
    if !key.organisation.is_empty() {
        lines.push(said("belongs to", &key.organisation));
    }
    let title = format!("{} {dot} {}", key.provider, key.name);
    panel(pen, area, (&title, ""), &lines);
}

fn limits(key: &v1::Key, look: Look, width: usize) -> Vec<Vec<Run>> {
    let (used, limits) = (key.used.unwrap_or_default(), key.limits.unwrap_or_default());
    let all = [
        ("requests", used.rpm, limits.rpm),
        ("tokens", used.tpm, limits.tpm),
        ("input", used.itpm, limits.itpm),
        ("output", used.otpm, limits.otpm),
    ];
    let bar = width.saturating_sub(44).clamp(8, 24);
    let known = all.into_iter().filter_map(|(what, used, limit)| {
        let limit = limit?;
        let gauge = look.gauge(used.unwrap_or(0), limit, bar);
        let numbers = lists::used_of(used, Some(limit));
        Some(said(what, &format!("{numbers:>13} a minute  {gauge}")))
    });
    let lines: Vec<Vec<Run>> = known.collect();
    if lines.is_empty() {
        return vec![said("limits", "none known: no answer has told any yet")];
    }
    lines
}

pub(super) fn event(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let events = state.shown_events();
    let Some((_, event)) = events.get(state.place()) else {
        let none = Run::new("  nothing is selected", Tone::Off);
        return panel(pen, area, ("Event", ""), &[vec![none]]);
    };
    let look = pen.look();
    let (word, tone) = lists::level(event, look);
    let millis = event.unix_ms % 1_000;
    let head = format!("  {}.{millis:03}Z  ", clock(event.unix_ms));
    let mut lines = vec![vec![
        Run::plain(&head),
        Run::new(&word, tone),
        Run::new(&format!("  {}", event.name), Tone::Strong),
    ]];
    let room = usize::from(area.width).saturating_sub(5);
    lines.extend(
        wrapped(&event.message, room)
            .iter()
            .map(|line| vec![Run::plain(&format!("  {line}"))]),
    );
    let mut fields: Vec<(&String, &String)> = event.fields.iter().collect();
    fields.sort();
    let fields: Vec<String> = fields
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    lines.extend(
        wrapped(&fields.join("  "), room)
            .iter()
            .map(|line| vec![Run::new(&format!("  {line}"), Tone::Off)]),
    );
    let ago = since(state.now, event.unix_ms);
    panel(pen, area, ("Event", &format!("{ago} ago")), &lines);
}

/// Breaks a text into lines, between words where that can be.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let needed = line
            .chars()
            .count()
            .saturating_add(word.chars().count())
            .saturating_add(1);
        if !line.is_empty() && needed > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Says tokens by kind, a part each.
pub(super) fn usage(tokens: v1::Tokens) -> Vec<String> {
    let kinds = [
        ("input", tokens.input),
        ("cache read", tokens.cache_read),
        ("cache write", tokens.cache_write),
        ("output", tokens.output),
    ];
    let said = kinds.map(|(kind, count)| format!("{kind} {}", grouped(count)));
    said.to_vec()
}

/// Puts parts behind each other, with a mark between, in as many lines as they need.
pub(super) fn flowed(parts: &[String], between: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line)
                if [line.width(), between.width(), part.width()]
                    .iter()
                    .sum::<usize>()
                    <= width =>
            {
                line.push_str(between);
                line.push_str(part);
            }
            _ => lines.push(part.clone()),
        }
    }
    lines
}
