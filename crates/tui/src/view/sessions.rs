//! The sessions, with their agents as a tree that folds.

use std::time::Duration;

use ratatui::layout::Rect;
use relay_api::v1;

use super::lists::{nothing, price, titled};
use super::pen::{Pen, Run};
use super::table::{Table, left, right};
use super::{ago, known, since};
use crate::state::{Branch, List, Place, State};
use crate::theme::{Look, Tone};

pub(super) fn draw(state: &State, pen: &mut Pen<'_>, area: Rect) {
    let dot = pen.look().sign("·");
    let order = state.order_of(List::Sessions);
    let aside = format!("{} known {dot} {order}", state.sessions.len());
    let inside = pen.frame(area, &titled("Sessions", state), &aside, true);
    let columns = [
        left("SESSION / AGENT", 20).grow(),
        left("MODEL", 10).rank(2),
        left("LIVES AT", 14),
        right("WARM", 4).rank(3),
        right("AGE", 5).rank(1),
        right("REQ", 4),
        right("CACHE", 5).rank(4),
        right("COST", 9),
        left("LIVE", 4).rank(5),
    ];
    let look = pen.look();
    let tree = state.tree();
    let mut rows = Vec::new();
    for (place, branch) in tree.iter().enumerate() {
        rows.push(row(branch, state.now, look));
        // What is told of a session stands below its last agent.
        let next = tree.get(place.saturating_add(1));
        let is_last = next.is_none_or(|next| next.agent.is_none());
        let session = branch.session;
        if is_last && !session.moved.is_empty() {
            let moved = format!("  ! moved {}", session.moved);
            rows.push(vec![Run::new(&moved, Tone::Warn)]);
        }
    }
    let table = Table {
        columns: &columns,
        rows: &rows,
        selected: Some(state.place()),
        place: Place::Sessions,
    };
    pen.table(inside, &table);
    if rows.is_empty() {
        nothing(state, pen, inside, "no session seen yet");
    }
}

fn row(branch: &Branch<'_>, now: Duration, look: Look) -> Vec<Run> {
    let session = branch.session;
    if let Some(agent) = branch.agent {
        let sign = look.sign(if branch.is_last { "└" } else { "├" });
        let name = if agent.id.is_empty() {
            "main"
        } else {
            &agent.id
        };
        let model = known(agent.model.trim_start_matches("claude-"));
        let name = Run::plain(&format!("  {sign} {name}"));
        return cells(
            [name, Run::plain(&model), Run::plain(""), Run::plain("")],
            (now, agent.first_unix_ms),
            agent.sums.unwrap_or_default(),
            (agent.live, look),
        );
    }
    let fold = match branch.is_open {
        Some(true) => look.sign("▾"),
        Some(false) if look.ascii => "+",
        Some(false) => "▸",
        None => " ",
    };
    let home = if session.key.is_empty() {
        known(&session.provider)
    } else {
        format!("{}/{}", session.provider, session.key)
    };
    let warm = session.warm_for_ms;
    let warm = warm.map_or_else(|| "cold".to_owned(), |it| ago(Duration::from_millis(it)));
    let agents = match branch.is_open {
        Some(false) => format!("  {} agents", session.agents.len()),
        Some(true) | None => String::new(),
    };
    let model = match (&branch.is_open, session.agents.first()) {
        (None, Some(only)) => known(only.model.trim_start_matches("claude-")),
        _ => String::new(),
    };
    cells(
        [
            Run::new(&format!("{fold} {}{agents}", title(session)), Tone::Strong),
            Run::plain(&model),
            Run::plain(&home),
            Run::plain(&warm),
        ],
        (now, session.first_unix_ms),
        session.sums.unwrap_or_default(),
        (session.live, look),
    )
}

/// Letters of a session's name that tell it from others on one screen.
const SHORT: usize = 8;

/// Returns a session's name, short where it is a long one, and the end of its project's.
fn title(session: &v1::Session) -> String {
    let is_long = session.id.chars().count() > 2 * SHORT;
    let id = if is_long {
        session.id.chars().take(SHORT).collect()
    } else {
        session.id.clone()
    };
    let mut folders = session.project.rsplit(['/', '\\']);
    match (folders.next().unwrap_or_default(), folders.next()) {
        ("", _) => id,
        (name, None | Some("")) => format!("{id}  {name}"),
        (name, Some(parent)) => format!("{id}  {parent}/{name}"),
    }
}

/// Returns what part of the input was read from the cache.
pub(super) fn share(sums: &v1::Sums) -> String {
    let all = [sums.input, sums.cache_read, sums.cache_write]
        .into_iter()
        .fold(0, u64::saturating_add);
    let share = sums.cache_read.saturating_mul(100).checked_div(all);
    share.map_or_else(|| "-".to_owned(), |it| format!("{it}%"))
}

/// Returns what requests cost; `>` where the price of some is not known.
pub(super) fn cost(sums: &v1::Sums) -> String {
    if sums.unpriced > 0 && sums.cost_nano_usd == 0 {
        return "-".to_owned();
    }
    let least = if sums.unpriced > 0 { ">" } else { "" };
    format!("{least}{}", price(Some(sums.cost_nano_usd)))
}

fn cells(
    [name, model, home, warm]: [Run; 4],
    (now, first): (Duration, u64),
    sums: v1::Sums,
    (live, look): (u32, Look),
) -> Vec<Run> {
    let live = if live == 0 {
        Run::plain("")
    } else {
        Run::new(&format!("{} {live}", look.sign("▸")), Tone::Trial)
    };
    vec![
        name,
        model,
        home,
        warm,
        Run::plain(&since(now, first)),
        Run::plain(&sums.requests.to_string()),
        Run::plain(&share(&sums)),
        Run::plain(&cost(&sums)),
        live,
    ]
}
