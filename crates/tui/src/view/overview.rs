//! Providers, the tightest keys, requests: is it working, who takes the traffic, what runs out.

use ratatui::layout::Rect;
use relay_api::v1;

use super::pen::{Pen, Run, left, right};
use super::{WIDE, dollars, lists, percent, rounded, seconds};
use crate::state::{Link, State};
use crate::theme::{Look, Tone};

pub(super) fn draw(state: &State, pen: &mut Pen<'_>, body: Rect) {
    let wide = body.width >= WIDE;
    let count = u16::try_from(state.providers().len()).unwrap_or(u16::MAX);
    let height = count.saturating_add(3).clamp(5, (body.height / 3).max(5));
    let spare = body.height.saturating_sub(height).saturating_sub(6);
    let keys = if wide || spare < 3 { 0 } else { spare.min(4) };
    let top = Rect::new(
        body.x,
        body.y,
        if wide {
            body.width.saturating_sub(44)
        } else {
            body.width
        },
        height,
    );
    providers(state, pen, top);
    if wide {
        let side = Rect::new(top.right(), body.y, 44, height);
        tightest(state, pen, side);
    } else if keys > 0 {
        tightest(
            state,
            pen,
            Rect::new(body.x, top.bottom(), body.width, keys),
        );
    }
    let y = top.bottom().saturating_add(if wide { 0 } else { keys });
    let rest = Rect::new(body.x, y, body.width, body.bottom().saturating_sub(y));
    lists::requests(state, pen, rest, state.lower);
}

fn providers(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let strategy = state
        .stats
        .as_ref()
        .map_or("", |stats| stats.strategy.as_str());
    let inside = pen.frame(
        area,
        "Providers",
        &format!("{strategy} order"),
        !state.lower,
    );
    // What is beyond the columns that stay goes to the bars.
    let bars = usize::from(inside.width).saturating_sub(72).clamp(8, 60);
    let columns = [
        left("NAME", 12),
        left("STATE", 9),
        right("KEYS", 4),
        right("REQ/MIN", 7),
        right("ERR", 6),
        right("TTFE p50", 8).rank(5),
        right("p95", 7).rank(4),
        right("LIVE", 4).rank(2),
        right("CACHE", 5).rank(2),
        right("COST", 8).rank(1),
        left(
            "LAST 60s",
            if inside.width >= 90 {
                bars.min(12)
            } else {
                bars
            },
        )
        .rank(3),
    ];
    let bars = columns.last().map_or(bars, |it| it.width);
    let look = pen.look();
    let lost = matches!(state.link, Link::Lost { .. });
    let rows: Vec<Vec<Run>> = state
        .providers()
        .into_iter()
        .map(|it| row(it, look, bars, lost))
        .collect();
    let selected = (!state.lower).then(|| state.place());
    pen.table(inside, &columns, &rows, selected);
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
    let cost = if traffic.requests == traffic.unpriced {
        "-".to_owned()
    } else {
        dollars(traffic.cost_nano_usd, 4)
    };
    vec![
        Run::new(&provider.name, Tone::Strong),
        Run::new(&word, tone),
        Run::plain(&known(keys)),
        Run::plain(&known(rounded(traffic.requests_per_minute))),
        Run::plain(&known(percent(traffic.errors, traffic.requests))),
        Run::plain(&seconds(first.p50_us)),
        Run::plain(&seconds(first.p95_us)),
        Run::plain(&known(provider.in_flight.to_string())),
        Run::plain(&share),
        Run::plain(&cost),
        Run::plain(&look.spark(&traffic.requests_by_part, bars)),
    ]
}

/// Says how a provider does: a sign and a word.
pub(super) fn state_of(state: v1::ProviderState, look: Look, lost: bool) -> (String, Tone) {
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
    let inside = pen.frame(area, "Keys", "tightest first", false);
    let keys = state
        .stats
        .as_ref()
        .map(|stats| stats.keys.as_slice())
        .unwrap_or_default();
    for (key, y) in keys.iter().zip(inside.top()..inside.bottom()) {
        let runs = lists::key_line(key, pen.look(), inside.width);
        pen.line(inside.x, y, inside.width, &runs);
    }
}
