//! Draws a state: the header, the views' names, the view, what the keys do here, and what lies over it.

mod detail;
mod dialog;
mod head;
mod lists;
mod overview;
mod pen;
mod request;
mod sessions;
mod table;

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::state::{Hits, Link, Place, State};
use crate::theme::Look;
use pen::Pen;

/// Below this nothing but the totals is drawn.
const LEAST: (u16, u16) = (60, 16);
/// From this width on there is room for two panes.
const WIDE: u16 = 120;
/// From this width on also beside the requests, which have the most columns.
const WIDER: u16 = 136;
/// What is beside a list takes so much of a wide screen.
const BESIDE: u16 = 62;

/// Draws a state; returns what can be pointed at.
pub(crate) fn draw(state: &State, look: Look, area: Rect, buffer: &mut Buffer) -> Hits {
    let mut pen = Pen::new(buffer, look, area);
    if area.width < LEAST.0 || area.height < LEAST.1 {
        head::tiny(state, &mut pen, area);
        return pen.into_hits();
    }
    head::header(state, &mut pen);
    let body = Rect::new(
        area.x,
        area.y.saturating_add(2),
        area.width,
        area.height.saturating_sub(3),
    );
    view(state, &mut pen, body);
    head::footer(state, &mut pen);
    if let Link::Lost {
        next: None, why, ..
    } = &state.link
    {
        dialog::turned_away(why, &mut pen, body);
    }
    if let Some(reader) = &state.reader {
        dialog::reader(reader, &mut pen, body);
    }
    if let Some(top) = state.help {
        dialog::help(state.location(), top, &mut pen, body);
    }
    if let Some(it) = &state.dialog {
        dialog::draw(it, &mut pen, area);
    }
    pen.into_hits()
}

fn view(state: &State, pen: &mut Pen<'_>, body: Rect) {
    let (list, beside) = if body.width >= WIDE && !state.zoom {
        let list = Rect {
            width: body.width.saturating_sub(BESIDE),
            ..body
        };
        let beside = Rect::new(list.right(), body.y, BESIDE, body.height);
        (list, Some(beside))
    } else {
        (body, None)
    };
    match state.place_in_view() {
        Place::Providers | Place::Recent => overview::draw(state, pen, body),
        Place::Request => request::draw(state, pen, body),
        Place::Requests => {
            let is_wide = beside.filter(|_| body.width >= WIDER);
            let list = if is_wide.is_some() { list } else { body };
            lists::requests(state, pen, list, true);
            if let (Some(beside), Some(request)) = (is_wide, state.chosen_request()) {
                request::beside(request, pen, beside);
            }
        }
        Place::Sessions => {
            sessions::draw(state, pen, list);
            if let Some(beside) = beside {
                detail::session(state, pen, beside);
            }
        }
        Place::Keys => {
            // Where there is no room beside, what is known of the key stands below.
            let (list, detail) = beside.map_or_else(|| below(list, 8), |it| (list, Some(it)));
            lists::keys(state, pen, list);
            if let Some(detail) = detail.filter(|_| !state.zoom) {
                detail::key(state, pen, detail);
            }
        }
        Place::Events => {
            let (list, detail) = if state.zoom {
                (body, None)
            } else {
                below(body, 8)
            };
            lists::events(state, pen, list);
            if let Some(detail) = detail {
                detail::event(state, pen, detail);
            }
        }
        Place::Config | Place::Reader => lists::config(state, pen, body),
    }
}

/// Parts a view into a list and a few lines below it, where there is room for both.
fn below(area: Rect, height: u16) -> (Rect, Option<Rect>) {
    if area.height < height.saturating_mul(2).saturating_add(2) {
        return (area, None);
    }
    let list = Rect {
        height: area.height.saturating_sub(height),
        ..area
    };
    let below = Rect::new(area.x, list.bottom(), area.width, height);
    (list, Some(below))
}

/// Writes a number without its fraction.
fn rounded(number: f64) -> String {
    format!("{number:.0}")
}

/// Writes a share with one place; unknown, of nothing, as `-`.
fn percent(part: u64, whole: u64) -> String {
    let tenths = part.saturating_mul(1_000).checked_div(whole);
    tenths.map_or_else(
        || "-".to_owned(),
        |tenths| format!("{}.{}%", tenths / 10, tenths % 10),
    )
}

/// Writes billionths of a dollar with so many places.
fn dollars(nano: u64, places: usize) -> String {
    let whole = nano / 1_000_000_000;
    let rest = format!("{:09}", nano % 1_000_000_000);
    format!("${whole}.{}", rest.get(..places).unwrap_or_default())
}

/// Writes a length of time as short as it can be said.
fn ago(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Writes microseconds as seconds with one place; unknown as `-`.
fn seconds(micros: Option<u64>) -> String {
    micros.map_or_else(
        || "-".to_owned(),
        |it| format!("{}.{} s", it / 1_000_000, it / 100_000 % 10),
    )
}

/// Writes a count with its unit in at most four columns; what is below the last place is left out.
fn thousands(count: u64) -> String {
    let units = [(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    let Some((unit, name)) = units.into_iter().find(|it| count >= it.0) else {
        return count.to_string();
    };
    match count / unit {
        whole @ 0..10 => format!("{whole}.{}{name}", count.saturating_mul(10) / unit % 10),
        whole => format!("{whole}{name}"),
    }
}

/// Writes a whole number with a comma at each thousand; unknown as `-`.
fn grouped(count: Option<u64>) -> String {
    let Some(count) = count else {
        return "-".to_owned();
    };
    let digits = count.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && digits.len().saturating_sub(place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Writes the time of day of milliseconds of the Unix epoch, UTC.
fn clock(unix_ms: u64) -> String {
    let seconds = unix_ms / 1_000;
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Writes how long ago something was.
fn since(now: Duration, unix_ms: u64) -> String {
    if unix_ms == 0 {
        return "-".to_owned();
    }
    ago(now.saturating_sub(Duration::from_millis(unix_ms)))
}

/// Returns a text, or `-` where there is none.
fn known(text: &str) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_as_people_read_them() {
        assert_eq!(grouped(Some(0)), "0");
        assert_eq!(grouped(Some(999)), "999");
        assert_eq!(grouped(Some(88_904)), "88,904");
        assert_eq!(grouped(Some(1_234_567)), "1,234,567");
        assert_eq!(grouped(None), "-");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_290), "1.2k");
        assert_eq!(thousands(247_500), "247k");
        assert_eq!(thousands(2_000_000), "2.0M");
        assert_eq!(thousands(u64::MAX), "18446744073G");
        assert_eq!(percent(1, 0), "-");
        assert_eq!(percent(1, 16), "6.2%");
    }
}
