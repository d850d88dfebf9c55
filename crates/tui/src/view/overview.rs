//! Providers, the tightest keys, requests: is it working, who takes the traffic, what runs out.

use ratatui::layout::Rect;
use relay_api::v1;

use super::detail::{panel, said};
use super::pen::{Pen, Run};
use super::table::{Table, left, right, width_of};
use super::{WIDE, dollars, lists, percent, request, rounded, seconds};
use crate::state::{Link, List, Place, State};
use crate::theme::{Look, Tone};

/// Columns of the keys beside the providers.
const KEYS: u16 = 44;
/// Columns of the bars, at least.
const BARS: usize = 9;
/// From this width on each provider says below its row what is wrong with it.
const TELLS: u16 = 92;
/// Rows of what is told at the lower edge of a large terminal.
const LOWER: u16 = 9;

pub(super) fn draw(state: &State, pen: &mut Pen<'_>, body: Rect) {
    if state.zoom {
        return if state.lower {
            lists::requests(state, pen, body, true);
        } else {
            providers(state, pen, body);
        };
    }
    let wide = body.width >= WIDE;
    // All providers, as long as a few requests are left, or none while there are none.
    let side = if wide { KEYS } else { 0 };
    let width = body.width.saturating_sub(side);
    let all = state.providers();
    let told = all
        .iter()
        .filter(|it| width >= TELLS && !why(it).is_empty());
    let told = told.count();
    let count = u16::try_from(all.len().saturating_add(told)).unwrap_or(u16::MAX);
    let most = (body.height.saturating_mul(3) / 5).max(5);
    let height = count.saturating_add(3).clamp(5, most);
    let spare = body.height.saturating_sub(height).saturating_sub(6);
    let keys = if wide || spare < 3 { 0 } else { spare.min(5) };
    let top = Rect::new(body.x, body.y, width, height);
    providers(state, pen, top);
    if wide {
        tightest(state, pen, Rect::new(top.right(), body.y, side, height));
    } else if keys > 0 {
        tightest(
            state,
            pen,
            Rect::new(body.x, top.bottom(), body.width, keys),
        );
    }
    let y = top.bottom().saturating_add(if wide { 0 } else { keys });
    let mut rest = Rect::new(body.x, y, body.width, body.bottom().saturating_sub(y));
    if wide && rest.height >= LOWER.saturating_mul(2) {
        rest.height = rest.height.saturating_sub(LOWER);
        let half = body.width / 2;
        let lower = Rect::new(body.x, rest.bottom(), half, LOWER);
        chosen(state, pen, lower);
        let traffic = Rect::new(
            lower.right(),
            lower.y,
            body.width.saturating_sub(half),
            LOWER,
        );
        totals(state, pen, traffic);
    }
    lists::requests(state, pen, rest, state.lower);
}

/// Says of which time the bars are.
fn span(state: &State) -> &'static str {
    match state.window() {
        300 => "LAST 5 m",
        900 => "LAST 15 m",
        3_600 => "LAST 1 h",
        _ => "LAST 60 s",
    }
}

fn providers(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let strategy = state
        .stats
        .as_ref()
        .map_or("-", |stats| stats.strategy.as_str());
    let dot = pen.look().sign("·");
    let mut aside = format!("routing {strategy}");
    if state.is_sorted(List::Providers) {
        let order = state.order_of(List::Providers);
        aside = format!("{aside} {dot} {order}");
    }
    let inside = pen.frame(area, "Providers", &aside, !state.lower);
    let tells = area.width >= TELLS;
    let columns = [
        left("NAME", 12),
        left("STATE", 9),
        right("KEYS", 4),
        right("REQ/MIN", 7),
        right("ERR", 6),
        right("TTFE p50", 8).rank(6),
        right("p95", 6).rank(5),
        right("TOK/S", 5).rank(1),
        right("CACHE", 5).rank(3),
        right("COST", 7).rank(2),
        left(span(state), BARS).rank(4).grow(),
    ];
    let look = pen.look();
    let lost = matches!(state.link, Link::Lost { .. });
    let all = state.providers();
    let end = columns.len().saturating_sub(1);
    let room = width_of(&columns, inside.width, end);
    let mut rows = Vec::new();
    for stats in &all {
        rows.push(row(stats, look, room, lost));
        // Where there is room, each says what is wrong.
        if tells && !why(stats).is_empty() {
            let text = format!("  {}", why(stats));
            rows.push(vec![Run::new(&text, Tone::Off)]);
        }
    }
    let table = Table {
        columns: &columns,
        rows: &rows,
        selected: (!state.lower).then(|| state.place()),
        place: Place::Providers,
    };
    pen.table(inside, &table);
    if rows.is_empty() {
        let why = if state.stats.is_some() {
            "no provider: the configuration names none"
        } else {
            "waiting for the relay's first word"
        };
        lists::in_place_of_rows(pen, inside, why);
    }
}

fn why(stats: &v1::ProviderStats) -> &str {
    stats.provider.as_ref().map_or("", |it| it.why.as_str())
}

fn row(stats: &v1::ProviderStats, look: Look, bars: usize, lost: bool) -> Vec<Run> {
    let provider = stats.provider.clone().unwrap_or_default();
    let traffic = stats.traffic.clone().unwrap_or_default();
    let (word, tone) = state_of(provider.state(), look, lost);
    let off = provider.state() == v1::ProviderState::Off;
    let known = |text: String| if off { "-".to_owned() } else { text };
    let keys = if provider.keys == 0 {
        "-".to_owned()
    } else {
        format!("{}/{}", provider.keys_usable, provider.keys)
    };
    let first = traffic.time_to_first_event.unwrap_or_default();
    let tokens = traffic.tokens.unwrap_or_default();
    let all = [tokens.input, tokens.cache_read, tokens.cache_write];
    let all = all.into_iter().flatten().fold(0, u64::saturating_add);
    let share = tokens.cache_read;
    let share = share.and_then(|it| it.saturating_mul(100).checked_div(all));
    let share = share.map_or_else(|| "-".to_owned(), |it| format!("{it}%"));
    let speed = traffic.output_tokens_per_second;
    let speed = speed.map_or_else(|| "-".to_owned(), rounded);
    let bars = if off {
        String::new()
    } else {
        look.spark(&traffic.requests_by_part, bars)
    };
    vec![
        Run::new(&provider.name, Tone::Strong),
        Run::new(&word, tone),
        Run::plain(&known(keys)),
        Run::plain(&known(rounded(traffic.requests_per_minute))),
        Run::plain(&known(percent(traffic.errors, traffic.requests))),
        Run::plain(&seconds(first.p50_us)),
        Run::plain(&seconds(first.p95_us)),
        Run::plain(&speed),
        Run::plain(&share),
        Run::plain(&cost(&traffic)),
        Run::plain(&bars),
    ]
}

/// Writes what a window cost: unknown as `-`, and with `>` where the price of some is not known.
fn cost(traffic: &v1::Traffic) -> String {
    if traffic.requests <= traffic.unpriced {
        return "-".to_owned();
    }
    let least = if traffic.unpriced > 0 { ">" } else { "" };
    format!("{least}{}", dollars(traffic.cost_nano_usd, 2))
}

/// Says how a provider does: a sign and a word.
fn state_of(state: v1::ProviderState, look: Look, lost: bool) -> (String, Tone) {
    let (sign, word, tone) = match state {
        v1::ProviderState::Up => ("●", "up", Tone::Ok),
        v1::ProviderState::Slow => ("▲", "slow", Tone::Warn),
        v1::ProviderState::Probing => ("◐", "probing", Tone::Trial),
        v1::ProviderState::Open => ("✖", "open", Tone::Bad),
        v1::ProviderState::Off => ("○", "off", Tone::Off),
        v1::ProviderState::Unspecified => ("○", "-", Tone::Off),
    };
    if lost {
        return (format!("? {word}"), Tone::Off);
    }
    (format!("{} {word}", look.sign(sign)), tone)
}

fn tightest(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let keys = state
        .stats
        .as_ref()
        .map(|stats| stats.keys.as_slice())
        .unwrap_or_default();
    let width = area.width.saturating_sub(2);
    let look = pen.look();
    let mut lines: Vec<Vec<Run>> = keys
        .iter()
        .map(|key| lists::key_line(key, look, width))
        .collect();
    if lines.is_empty() && state.stats.is_some() {
        let none = "  no key of the relay's own";
        lines.push(vec![Run::new(none, Tone::Off)]);
    }
    panel(pen, area, ("Keys", "tightest first"), &lines);
}

/// Draws the selected request, or the newest.
fn chosen(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let requests = state.shown_requests();
    let place = if state.lower { state.place() } else { 0 };
    let Some(it) = requests.get(place) else {
        return panel(pen, area, ("Request", ""), &[]);
    };
    let title = if state.lower {
        "Selected request"
    } else {
        "Newest request"
    };
    let width = usize::from(area.width).saturating_sub(2);
    let mut lines = request::lines(it, pen.look(), width);
    // The bars and the first numbers; Enter tells the rest.
    lines.retain(|line| !line.is_empty());
    panel(pen, area, (title, &it.id), &lines);
}

fn totals(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let traffic = state.stats.as_ref().and_then(|it| it.traffic.clone());
    let traffic = traffic.unwrap_or_default();
    let first = traffic.time_to_first_event.unwrap_or_default();
    let whole = traffic.duration.unwrap_or_default();
    let quantiles = |it: v1::Quantiles| {
        format!(
            "p50 {:>7}   p95 {:>7}   p99 {:>7}",
            seconds(it.p50_us),
            seconds(it.p95_us),
            seconds(it.p99_us)
        )
    };
    let bars = usize::from(area.width).saturating_sub(32).min(60);
    let used = traffic.tokens.unwrap_or_default();
    let used = [
        ("input", used.input),
        ("read", used.cache_read),
        ("write", used.cache_write),
        ("output", used.output),
    ];
    let used = used.map(|(kind, count)| {
        let count = count.map_or_else(|| "-".to_owned(), super::thousands);
        format!("{kind} {count}")
    });
    let look = pen.look();
    let speed = traffic.output_tokens_per_second;
    let speed = speed.map_or_else(|| "-".to_owned(), |it| format!("{} tok/s", rounded(it)));
    let lines = [
        said(
            "req/min",
            &format!(
                "{}  {}",
                look.spark(&traffic.requests_by_part, bars),
                rounded(traffic.requests_per_minute)
            ),
        ),
        said("TTFE", &quantiles(first)),
        said("total", &quantiles(whole)),
        said(
            "errors",
            &format!(
                "{} ({})   hops {}",
                percent(traffic.errors, traffic.requests),
                traffic.errors,
                traffic.hops
            ),
        ),
        said("cost", &format!("{}   {speed}", cost(&traffic))),
        said("tokens", &used.join("  ")),
    ];
    panel(pen, area, (span(state), ""), &lines);
}
