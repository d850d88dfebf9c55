//! One request: each attempt over time, why it went on, what came of it, what it cost.

use ratatui::layout::Rect;
use relay_api::v1;

use super::detail::{flowed, said, several, usage};
use super::pen::{Pen, Run, fit};
use super::{clock, dollars, grouped, lists, seconds};
use crate::state::State;
use crate::theme::{Look, Tone};

/// Columns of the names before the bars.
const NAMES: usize = 22;
/// Columns of what is said behind them.
const TEXT: usize = 30;
/// Silence that is shown as such.
const SILENT_US: u64 = 1_000_000;

/// Draws the request that is open.
pub(super) fn draw(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let Some(request) = state.open_request() else {
        let inside = pen.frame(area, "Request", "", true);
        let gone = "  it is not kept any more: esc goes back";
        return pen.line(
            inside.x,
            inside.y,
            inside.width,
            &[Run::new(gone, Tone::Off)],
        );
    };
    let title = format!("Request {}", request.id);
    let inside = pen.frame(area, &title, &clock(request.started_unix_ms), true);
    let lines = lines(request, pen.look(), usize::from(inside.width));
    let last = lines.len().saturating_sub(usize::from(inside.height));
    let first = state.scroll.min(last);
    let shown = lines.iter().skip(first);
    for (line, y) in shown.zip(inside.top()..inside.bottom()) {
        pen.line(inside.x, y, inside.width.saturating_sub(1), line);
    }
    if last > 0 {
        let (from, to) = (
            first.saturating_add(1),
            first.saturating_add(usize::from(inside.height)),
        );
        pen.foot(inside, &format!(" {from}-{to} of {} ", lines.len()));
    }
}

/// Draws a request beside a list.
pub(super) fn beside(request: &v1::Request, pen: &mut Pen<'_>, area: Rect) {
    let width = usize::from(area.width).saturating_sub(2);
    let lines = lines(request, pen.look(), width);
    let title = format!("Request {}", request.id);
    super::detail::panel(pen, area, (&title, &clock(request.started_unix_ms)), &lines);
}

/// Says all that is known of a request.
pub(super) fn lines(request: &v1::Request, look: Look, width: usize) -> Vec<Vec<Run>> {
    let bar = width
        .saturating_sub(NAMES)
        .saturating_sub(TEXT)
        .clamp(10, 80);
    let scale = scale(request.duration_us);
    let mut lines = head(request, look, width);
    lines.push(Vec::new());
    lines.push(vec![
        Run::plain(&" ".repeat(NAMES)),
        Run::new(&axis(scale, bar), Tone::Off),
    ]);
    for (number, attempt) in (1..).zip(&request.attempts) {
        let status = attempt
            .status
            .map_or_else(String::new, |it| format!("{it} "));
        let drawn = bars(
            look,
            scale,
            bar,
            &[(attempt.began_us, attempt.took_us, "█")],
        );
        let reason = attempt.reason.replace('_', " ");
        let took = seconds(Some(attempt.took_us));
        lines.push(vec![
            Run::plain(&name(number, (&attempt.provider, &attempt.key), look)),
            Run::new(&drawn, Tone::Warn),
            Run::plain(&format!("{took:>6}  {status}{reason}")),
        ]);
        lines.extend(several(
            "   hop",
            &hop(request, number),
            width.saturating_sub(13),
        ));
    }
    if let Some(sent) = request.sent_us.filter(|_| !request.provider.is_empty()) {
        lines.push(last(request, look, (scale, bar), sent));
    }
    lines.push(Vec::new());
    for (mut what, parts) in details(request) {
        for text in flowed(&parts, "  ", width.saturating_sub(13)) {
            lines.push(said(what, &text));
            what = "";
        }
    }
    lines.push(Vec::new());
    let is_silent = request.silent_us.is_some_and(|it| it >= SILENT_US);
    let mut legend = format!("  {} waiting  {} receiving", look.sign("░"), look.sign("█"));
    if is_silent {
        legend.extend(["  ", look.sign("▒"), " silent"]);
    }
    lines.push(vec![Run::new(&legend, Tone::Off)]);
    lines
}

/// Says where a request went from its attempt of a number, and what that does to the cache.
fn hop(request: &v1::Request, number: usize) -> String {
    let from = number
        .checked_sub(1)
        .and_then(|it| request.attempts.get(it));
    let from = from.map_or("", |it| it.provider.as_str());
    let next = request.attempts.get(number);
    let to = next.map_or(request.provider.as_str(), |it| it.provider.as_str());
    if to.is_empty() {
        return "nobody was left to ask".to_owned();
    }
    let where_to = if from == to {
        "same provider, other key"
    } else {
        "to another provider"
    };
    let cache = match (next, request.affinity.as_str()) {
        (Some(_), _) => "",
        (None, "renewed" | "bound") => ": the session lives there",
        (None, "borrowed") => ": the session stays where it lives",
        (None, "moved") => ": the session moved, its cache is cold",
        (None, _) => ": cache unknown",
    };
    let cost = request
        .moved_nano_usd
        .filter(|cost| *cost > 0 && next.is_none());
    let cost = cost.map_or_else(String::new, |it| format!(", about {}", dollars(it, 4)));
    format!("{where_to}{cache}{cost}")
}

fn head(request: &v1::Request, look: Look, width: usize) -> Vec<Vec<Run>> {
    let (word, tone) = lists::outcome(request, look);
    let dot = look.sign("·");
    let mut parts = vec![super::known(&request.model)];
    if !request.response_model.is_empty() && request.response_model != request.model {
        parts.push(format!("{} {}", look.sign("→"), request.response_model));
    }
    if !request.session.is_empty() {
        parts.push(format!("session {}", request.session));
    }
    if !request.agent.is_empty() {
        parts.push(format!("agent {}", request.agent));
    }
    parts.push(
        if request.stream {
            "stream"
        } else {
            "no stream"
        }
        .to_owned(),
    );
    let status = request
        .status
        .map_or_else(|| "-".to_owned(), |it| it.to_string());
    let first = vec![
        Run::plain("  "),
        Run::new(&format!("{status} "), Tone::Strong),
        Run::new(&word, tone),
    ];
    let between = format!(" {dot} ");
    let mut lines = vec![first];
    for text in flowed(&parts, &between, width.saturating_sub(3)) {
        lines.push(vec![Run::new(&format!("  {text}"), Tone::Strong)]);
    }
    lines
}

fn name(number: usize, (provider, key): (&str, &str), look: Look) -> String {
    let who = if key.is_empty() {
        provider.to_owned()
    } else {
        format!("{provider}/{key}")
    };
    format!("  {number:>2} {} ", fit(&who, 16, false, look))
}

/// Writes the times above the bars.
fn axis(scale: u64, width: usize) -> String {
    // A scale begins with 1, 2 or 5: so it has round steps.
    let mut first = scale;
    while first >= 10 {
        first /= 10;
    }
    let steps: u64 = if first == 2 { 4 } else { 5 };
    let mut out = String::new();
    let cells = u64::try_from(width).unwrap_or(0);
    for step in 0..=steps {
        let at = usize::try_from(cells.saturating_mul(step) / steps).unwrap_or(0);
        let time = scale.saturating_mul(step) / steps;
        let label = if scale < 2_000_000 {
            format!("{} ms", time / 1_000)
        } else {
            format!("{}.{}", time / 1_000_000, time / 100_000 % 10)
        };
        let label = label.trim_end_matches(".0").to_owned();
        let label = if scale < 2_000_000 {
            label
        } else {
            format!("{label} s")
        };
        let used = out.chars().count();
        let is_free = used == 0 || used < at;
        if is_free && at.saturating_add(label.len()) <= width.saturating_add(2) {
            out.push_str(&" ".repeat(at.saturating_sub(used)));
            out.push_str(&label);
        }
    }
    out
}

fn last(request: &v1::Request, look: Look, (scale, bar): (u64, usize), sent: u64) -> Vec<Run> {
    let number = request.attempts.len().saturating_add(1);
    let waited = request.time_to_first_event_us;
    let rest = request.duration_us.saturating_sub(sent);
    let waiting = waited.unwrap_or(rest).min(rest);
    let first = sent.saturating_add(waiting);
    let silent = request.silent_us.filter(|it| *it >= SILENT_US).unwrap_or(0);
    let silent = silent.min(request.duration_us.saturating_sub(first));
    let heard = request.duration_us.saturating_sub(silent);
    let mut parts = vec![
        (sent, waiting, "░"),
        (first, heard.saturating_sub(first), "█"),
    ];
    parts.extend((silent > 0).then_some((heard, silent, "▒")));
    if waited.is_none() {
        parts.truncate(1);
    }
    let drawn = bars(look, scale, bar, &parts);
    let status = request
        .status
        .map_or_else(|| "-".to_owned(), |it| it.to_string());
    let took = seconds(Some(rest));
    vec![
        Run::plain(&name(number, (&request.provider, &request.key), look)),
        Run::new(&drawn, Tone::Ok),
        Run::plain(&format!("{took:>6}  {status}")),
    ]
}

/// Returns the next of 1, 2, 5 times a power of ten that a length fits in, in microseconds.
fn scale(length: u64) -> u64 {
    let mut scale = 1_000_u64;
    loop {
        for step in [1, 2, 5] {
            let end = scale.saturating_mul(step);
            if end >= length || end == u64::MAX {
                return end;
            }
        }
        scale = scale.saturating_mul(10);
    }
}

/// Draws parts of a span of time within a width.
fn bars(look: Look, scale: u64, width: usize, parts: &[(u64, u64, &'static str)]) -> String {
    let cells = u64::try_from(width).unwrap_or(1).max(1);
    let mut out = String::new();
    for cell in 0..cells {
        let from = scale.saturating_mul(cell) / cells;
        let to = scale.saturating_mul(cell.saturating_add(1)) / cells;
        let covers = |part: &&(u64, u64, &'static str)| {
            part.0 < to && part.0.saturating_add(part.1.max(1)) > from
        };
        out.push_str(
            parts
                .iter()
                .rfind(covers)
                .map_or(" ", |part| look.sign(part.2)),
        );
    }
    out.push(' ');
    out
}

/// Returns what is known beside the attempts: a word, and parts of a line each.
fn details(request: &v1::Request) -> Vec<(&'static str, Vec<String>)> {
    let times = [
        ("head", request.time_to_head_us),
        ("first event", request.time_to_first_event_us),
        ("longest gap", request.longest_gap_us),
        ("end", Some(request.duration_us)),
    ];
    let mut times = times
        .map(|(what, it)| format!("{what} {}", seconds(it)))
        .to_vec();
    if request.waited_us >= 100_000 {
        times.push(format!(
            "waited for capacity {}",
            seconds(Some(request.waited_us))
        ));
    }
    let cost = vec![
        lists::price(request.cost_nano_usd),
        format!(
            "saved by the cache {}",
            lists::price(request.saved_nano_usd)
        ),
    ];
    let bytes = [
        ("request", request.request_bytes),
        ("response", request.response_bytes),
        ("events", request.events),
    ];
    let bytes = bytes.map(|(what, it)| format!("{what} {}", grouped(Some(it))));
    let mut details = vec![
        ("times", times),
        ("usage", usage(request.tokens.unwrap_or_default())),
        ("cost", cost),
        ("bytes", bytes.to_vec()),
    ];
    let more = [
        ("stop", &request.stop_reason),
        ("error", &request.error_type),
        ("ended", &request.outcome),
        ("home", &request.affinity),
        ("budget", &request.budget),
        ("client", &request.client),
        ("upstream", &request.upstream_request_id),
        ("trace", &request.trace_id),
    ];
    let is_told = |it: &(&str, &String)| !it.1.is_empty() && it.1 != "complete";
    let more = more.into_iter().filter(is_told);
    details.extend(more.map(|(what, text)| (what, vec![text.clone()])));
    let thinking = request.thinking_removed;
    let mut left_out = request.left_out.clone();
    left_out
        .extend((thinking > 0).then(|| format!("{thinking} thinking blocks of another vendor")));
    if !left_out.is_empty() {
        details.push(("left out", left_out));
    }
    details
}
