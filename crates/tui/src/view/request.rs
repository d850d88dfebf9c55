//! One request: each attempt over time, why it went on, what came of it, what it cost.

use ratatui::layout::Rect;
use relay_api::v1;

use super::pen::{Pen, Run, fit};
use super::{clock, dollars, lists, seconds};
use crate::state::State;
use crate::theme::{Look, Tone};

pub(super) fn draw(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let Some(request) = state.open_request() else {
        let inside = pen.frame(area, "Request", "", true);
        return pen.line(
            inside.x,
            inside.y,
            inside.width,
            &[Run::new(
                "  it is not kept any more: esc goes back",
                Tone::Off,
            )],
        );
    };
    let inside = pen.frame(area, "Request", &clock(request.started_unix_ms), true);
    let look = pen.look();
    let bar = usize::from(inside.width).saturating_sub(46).clamp(10, 80);
    let scale = scale(request.duration_us);
    let mut lines = vec![head(request, look), Vec::new()];
    for (number, attempt) in (1..).zip(&request.attempts) {
        let status = attempt
            .status
            .map_or_else(|| "-".to_owned(), |it| it.to_string());
        let who = name(number, &attempt.provider, &attempt.key);
        let drawn = bars(
            look,
            scale,
            bar,
            &[(attempt.began_us, attempt.took_us, "█")],
        );
        let text = format!(
            "{}  {status} {}",
            seconds(Some(attempt.took_us)),
            attempt.reason
        );
        lines.push(vec![
            Run::plain(&who),
            Run::new(&drawn, Tone::Warn),
            Run::plain(&text),
        ]);
        lines.push(vec![Run::new(
            "     hop       to the next candidate",
            Tone::Off,
        )]);
    }
    if let Some(sent) = request.sent_us {
        lines.push(last(request, look, (scale, bar), sent));
    }
    lines.push(Vec::new());
    lines.extend(details(request).into_iter().map(|(what, text)| {
        vec![
            Run::new(&format!("  {what:<10}"), Tone::Off),
            Run::plain(&text),
        ]
    }));
    lines.push(Vec::new());
    let legend = format!("  {} waiting  {} receiving", look.sign("░"), look.sign("█"));
    lines.push(vec![Run::new(&legend, Tone::Off)]);
    for (line, y) in lines.iter().zip(inside.top()..inside.bottom()) {
        pen.line(inside.x, y, inside.width, line);
    }
}

fn head(request: &v1::Request, look: Look) -> Vec<Run> {
    let (word, tone) = lists::outcome(request, look);
    let agent = if request.agent.is_empty() {
        String::new()
    } else {
        format!(" {} {}", look.sign("·"), request.agent)
    };
    let session = if request.session.is_empty() {
        String::new()
    } else {
        format!("session {}{agent}", request.session)
    };
    let status = request
        .status
        .map_or_else(|| "-".to_owned(), |it| it.to_string());
    let text = format!("  {}  {}  {session}  {status}  ", request.id, request.model);
    vec![Run::new(&text, Tone::Strong), Run::new(&word, tone)]
}

fn name(number: usize, provider: &str, key: &str) -> String {
    let who = if key.is_empty() {
        provider.to_owned()
    } else {
        format!("{provider}/{key}")
    };
    format!("  {number:>2} {} ", fit(&who, 16, false))
}

fn last(request: &v1::Request, look: Look, (scale, bar): (u64, usize), sent: u64) -> Vec<Run> {
    let number = request.attempts.len().saturating_add(1);
    let waited = request.time_to_first_event_us;
    let rest = request.duration_us.saturating_sub(sent);
    let waiting = waited.unwrap_or(rest).min(rest);
    let first = sent.saturating_add(waiting);
    let parts = [
        (sent, waiting, "░"),
        (first, request.duration_us.saturating_sub(first), "█"),
    ];
    let drawn = bars(look, scale, bar, &parts);
    let status = request
        .status
        .map_or_else(|| "-".to_owned(), |it| it.to_string());
    let text = format!("{}  {status}", seconds(Some(rest)));
    vec![
        Run::plain(&name(number, &request.provider, &request.key)),
        Run::new(&drawn, Tone::Ok),
        Run::plain(&text),
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

fn details(request: &v1::Request) -> Vec<(&'static str, String)> {
    let known = |it: Option<u64>| it.map_or_else(|| "-".to_owned(), |it| it.to_string());
    let money = |it: Option<u64>| it.map_or_else(|| "-".to_owned(), |it| dollars(it, 6));
    let tokens = request.tokens.unwrap_or_default();
    let mut details = vec![
        (
            "times",
            format!(
                "head {}  first event {}  longest gap {}  end {}",
                seconds(request.time_to_head_us),
                seconds(request.time_to_first_event_us),
                seconds(request.longest_gap_us),
                seconds(Some(request.duration_us))
            ),
        ),
        (
            "usage",
            format!(
                "input {}  cache read {}  cache write {}  output {}",
                known(tokens.input),
                known(tokens.cache_read),
                known(tokens.cache_write),
                known(tokens.output)
            ),
        ),
        (
            "cost",
            format!(
                "{}  saved by the cache {}",
                money(request.cost_nano_usd),
                money(request.saved_nano_usd)
            ),
        ),
        (
            "bytes",
            format!(
                "request {}  response {}  events {}",
                request.request_bytes, request.response_bytes, request.events
            ),
        ),
    ];
    let more = [
        ("stop", &request.stop_reason),
        ("error", &request.error_type),
        ("home", &request.affinity),
        ("budget", &request.budget),
        ("upstream", &request.upstream_request_id),
        ("trace", &request.trace_id),
    ];
    details.extend(
        more.into_iter()
            .filter(|it| !it.1.is_empty())
            .map(|(what, text)| (what, text.clone())),
    );
    details
}
