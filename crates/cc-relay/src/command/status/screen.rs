//! The screen of `status`.
//!
//! In: what the relay answered about itself. Out: lines for a terminal. It must never show more
//! than a screen holds.

use super::{Budget, Health, Key, Lacks, State, Upstream, uptime};
use crate::output::{BAD, COPY, GOOD, STRONG, WARN, paint};

/// How many things that one upstream cannot take are shown: the screen is one.
const MOST_LACKS: usize = 8;

/// How many budgets are shown.
const MOST_BUDGETS: usize = 16;

/// Writes the screen, a string a line.
pub(super) fn screen(health: &Health, state: State, url: &str, ascii: bool) -> Vec<String> {
    let mut lines = vec![head(health, state, url, ascii)];
    let counts = [
        (health.live, "live"),
        (health.requests, "requests"),
        (health.failed, "failed"),
        (health.left_out.filter(|count| *count > 0), "left out"),
        (health.sessions.filter(|count| *count > 0), "sessions"),
        (health.waiting.filter(|count| *count > 0), "waiting"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter_map(|(count, word)| Some(format!("{} {word}", (*count)?)))
        .collect();
    if !counts.is_empty() {
        lines.push(format!("  {}", counts.join("   ")));
    }
    if let Some(why) = &health.config_refused {
        let symbol = if ascii { "!" } else { "▲" };
        let told = format!("{symbol} the configuration was refused, the one before is in force:");
        lines.push(format!("  {} {why}", paint(WARN, &told)));
    }
    let width = health
        .upstreams
        .iter()
        .filter_map(|u| u.name.as_deref())
        .map(str::len)
        .max();
    for upstream in &health.upstreams {
        lines.push(upstream_line(upstream, width.unwrap_or(1), ascii));
        lines.extend(lacks_lines(&upstream.lacks));
    }
    lines.extend(health.budgets.iter().take(MOST_BUDGETS).map(Budget::line));
    if state != State::Healthy {
        lines.push(format!(
            "  {} {}",
            paint(STRONG, "More:"),
            paint(COPY, "cc-relay doctor")
        ));
    }
    lines
}

/// Says how the relay is as a whole.
fn head(health: &Health, state: State, url: &str, ascii: bool) -> String {
    let (symbol, plain, style) = match state {
        State::Healthy => ("●", "*", GOOD),
        State::Degraded => ("▲", "!", WARN),
        State::Draining => ("◐", "~", WARN),
        State::Down => ("✖", "X", BAD),
    };
    let symbol = if ascii { plain } else { symbol };
    let mut head = format!(
        "{}   {url}",
        paint(style, &format!("{symbol} {}", state.word()))
    );
    if let Some(seconds) = health.uptime_s {
        head = format!("{head}   up {}", uptime(seconds));
    }
    if let Some(config) = health.config.as_deref().filter(|text| !text.is_empty()) {
        head = format!("{head}   config {config}");
    }
    if let Some(strategy) = health
        .strategy
        .as_deref()
        .filter(|_| health.upstreams.len() > 1)
    {
        head = format!("{head}   {strategy}");
    }
    if let Some(version) = &health.version {
        head = format!("{head}   {version}");
    }
    head
}

/// Says one upstream: its state, its address, and which of its keys are in trouble.
fn upstream_line(upstream: &Upstream, width: usize, ascii: bool) -> String {
    let name = upstream.name.as_deref().unwrap_or("-");
    let state = upstream_state(upstream.word(), ascii);
    let url = upstream.url.as_deref().unwrap_or("-");
    let troubles: Vec<String> = upstream.keys.iter().filter_map(Key::trouble).collect();
    let keys = match (upstream.keys.len(), troubles.is_empty()) {
        (0 | 1, true) => String::new(),
        (count, true) => format!("   {count} keys"),
        (_, false) => format!("   {}", troubles.join("; ")),
    };
    format!("  {name:<width$}   {state}   {url}{keys}")
}

/// Says what an upstream cannot take, a line each, the first few of them.
fn lacks_lines(lacks: &[Lacks]) -> Vec<String> {
    let line = |lack: &Lacks| {
        let capability = lack.capability.as_deref().unwrap_or("-");
        let model = lack.model.as_deref().unwrap_or("-");
        let rest = lack.for_s.map(uptime);
        let rest = rest.map_or_else(String::new, |rest| format!(", asked anew in {rest}"));
        format!("    without {capability} for {model}{rest}")
    };
    let mut lines: Vec<String> = lacks.iter().take(MOST_LACKS).map(line).collect();
    let more = lacks.len().saturating_sub(MOST_LACKS);
    if more > 0 {
        lines.push(format!(
            "    and without {more} more: cc-relay status --json"
        ));
    }
    lines
}

fn upstream_state(word: &str, ascii: bool) -> String {
    let (symbol, plain, style) = match word {
        "up" | "ok" | "idle" => ("●", "*", GOOD),
        "slow" | "degraded" => ("▲", "!", WARN),
        "probing" => ("◐", "~", WARN),
        "cooling" => ("◷", "~", WARN),
        "open" | "down" | "bad" => ("✖", "X", BAD),
        _ => ("○", "o", anstyle::Style::new()),
    };
    paint(
        style,
        &format!("{} {word:<7}", if ascii { plain } else { symbol }),
    )
}
