//! What keys do in the views.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of all that can be done, few things mean something somewhere"
)]

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::dialog::answer;
use super::line::{Line, WINDOWS};
use super::reader::shifted;
use super::{Kind, Link, Place, State, Todo, View};
use crate::keys::{Action, Meaning, meaning};

/// Rows of the screen that are no list.
const FRAME: u16 = 6;
/// Rows of a page where the screen is not known.
const PAGE: isize = 10;
/// More lines than the help has.
const MANY: usize = 60;
/// Lines that are told of a request beside its attempts.
const TOLD: usize = 18;

impl State {
    /// Takes a key; returns what is to be done.
    pub fn key(&mut self, event: KeyEvent) -> Vec<Todo> {
        if self.dialog.is_some() {
            return self.in_dialog(event);
        }
        if is_stop(event) {
            return vec![Todo::Quit];
        }
        if self.input.is_some() {
            return self.in_line(event);
        }
        if self.help.is_some() {
            self.in_help(event);
            return Vec::new();
        }
        match meaning(event, self.location()) {
            Some(Meaning::Does(action)) => self.act(action),
            Some(Meaning::Elsewhere) => {
                self.nothing_here();
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// Scrolls the help; every other key closes it.
    fn in_help(&mut self, event: KeyEvent) {
        let Some(Meaning::Does(action)) = meaning(event, Place::Reader) else {
            self.help = None;
            return;
        };
        let page = self.page();
        let by = match action {
            Action::Up => -1,
            Action::Down => 1,
            Action::PageUp | Action::HalfUp => -page,
            Action::PageDown | Action::HalfDown => page,
            _ => {
                self.help = None;
                return;
            }
        };
        self.help = self.help.map(|top| top.saturating_add_signed(by).min(MANY));
    }

    pub(super) fn act(&mut self, action: Action) -> Vec<Todo> {
        let page = self.page();
        match action {
            Action::Up => self.step(-1),
            Action::Down => self.step(1),
            Action::HalfUp => self.step(-(page / 2).max(1)),
            Action::HalfDown => self.step((page / 2).max(1)),
            Action::PageUp => self.step(-page),
            Action::PageDown => self.step(page),
            Action::First => self.step(isize::MIN),
            Action::Last => self.step(isize::MAX),
            Action::Left => self.aside(false),
            Action::Right => self.aside(true),
            Action::View(place) => return self.view_at(place),
            Action::Panel => self.panel(),
            Action::Open => return self.open(),
            Action::Back => self.back(),
            Action::Previous => self.walk(-1),
            Action::Next => self.walk(1),
            Action::Filter => {
                let begun = self.filter().to_owned();
                self.input = Some(Line::new(Kind::Filter, begun));
            }
            Action::Match => self.go_to_match(true),
            Action::MatchBack => self.go_to_match(false),
            Action::Sort => self.sort(false),
            Action::Reverse => self.sort(true),
            Action::Command => self.input = Some(Line::new(Kind::Command, String::new())),
            Action::Pause => self.pause(),
            Action::Follow => self.follow(),
            Action::Window => return vec![Todo::Window(self.next_window())],
            Action::Zoom => self.zoom = !self.zoom,
            Action::Copy => return self.copy(),
            Action::CopyRow => return self.copy_row(),
            Action::Json => self.read_json(),
            Action::Export => return self.export(),
            Action::Help => self.help = Some(0),
            Action::Redraw => return vec![Todo::Redraw],
            Action::Suspend => return vec![Todo::Suspend],
            Action::Quit if self.reader.is_some() => self.reader = None,
            Action::Quit => return vec![Todo::Quit],
            Action::Route if matches!(self.link, Link::Lost { .. }) => return vec![Todo::Dial],
            Action::Enable
            | Action::Disable
            | Action::Reset
            | Action::Unpin
            | Action::Route
            | Action::Reload => return self.change(action),
        }
        Vec::new()
    }

    /// Returns the rows of a page.
    fn page(&self) -> isize {
        let rows = self.height.checked_sub(FRAME).filter(|rows| *rows > 1);
        rows.and_then(|rows| isize::try_from(rows).ok())
            .unwrap_or(PAGE)
    }

    pub(super) fn view_at(&mut self, place: usize) -> Vec<Todo> {
        self.show(View::ALL.get(place).copied().unwrap_or_default())
    }

    pub(super) fn show(&mut self, view: View) -> Vec<Todo> {
        self.view = view;
        self.selected = None;
        self.opened = None;
        self.shift = 0;
        self.scroll = 0;
        match view {
            View::Sessions => vec![Todo::Sessions],
            View::Config => vec![Todo::Config],
            View::Overview | View::Requests | View::Keys | View::Events => Vec::new(),
        }
    }

    fn panel(&mut self) {
        self.lower = !self.lower;
        self.selected = None;
    }

    pub(super) fn step(&mut self, by: isize) {
        if let Some(reader) = &mut self.reader {
            return reader.step(by);
        }
        if let Some(request) = self.open_request() {
            let lines = request
                .attempts
                .len()
                .saturating_mul(2)
                .saturating_add(TOLD);
            let page = usize::try_from(self.page()).unwrap_or(0);
            let last = lines.saturating_sub(page);
            self.scroll = self.scroll.saturating_add_signed(by).min(last);
            return;
        }
        self.select_beside(by);
    }

    fn select_beside(&mut self, by: isize) {
        let rows = self.rows();
        let last = rows.len().saturating_sub(1);
        let place = self.place().saturating_add_signed(by).min(last);
        self.selected = rows.get(place).cloned();
    }

    /// Goes to another request, from the one that is open.
    fn walk(&mut self, by: isize) {
        self.select_beside(by);
        self.opened.clone_from(&self.selected);
        self.scroll = 0;
    }

    /// Folds, goes to the other panel, or scrolls: what there is beside.
    fn aside(&mut self, right: bool) {
        if let Some(reader) = &mut self.reader {
            return reader.side(right);
        }
        match self.location() {
            Place::Sessions => self.fold(right),
            Place::Providers | Place::Recent => self.panel(),
            Place::Keys => self.next_provider(right),
            Place::Config => self.shift = shifted(self.shift, right, &self.config_lines()),
            Place::Events => {
                let events = self.shown_events();
                let lines: Vec<String> = events.iter().map(|it| it.1.message.clone()).collect();
                self.shift = shifted(self.shift, right, &lines);
            }
            Place::Requests | Place::Request | Place::Reader => {}
        }
    }

    /// Goes to the first key of another provider.
    fn next_provider(&mut self, on: bool) {
        let keys = self.keys();
        let here = self.place();
        let Some(provider) = keys.get(here).map(|it| it.provider.clone()) else {
            return;
        };
        let other = |place: &usize| keys.get(*place).is_some_and(|it| it.provider != provider);
        let found = if on {
            (here..keys.len()).find(other)
        } else {
            let before = (0..here).rev().find(other);
            let name = before
                .and_then(|place| keys.get(place))
                .map(|it| &it.provider);
            name.and_then(|name| keys.iter().position(|it| it.provider == *name))
        };
        if let Some(place) = found {
            self.selected = self.rows().get(place).cloned();
        }
    }

    /// Stays with the newest row, or with the one that is there now.
    fn follow(&mut self) {
        if self.selected.is_some() || self.held.is_some() {
            self.selected = None;
            if self.held.is_some() {
                self.pause();
            }
        } else {
            self.selected = self.row();
        }
    }

    /// Returns the span of the rates that comes after the one that is shown.
    fn next_window(&self) -> u32 {
        let shown = self.window();
        let longer = WINDOWS.into_iter().find(|window| window.1 > shown);
        longer.unwrap_or(WINDOWS[0]).1
    }

    /// Returns the span that the rates are of, in seconds.
    pub(crate) fn window(&self) -> u32 {
        let traffic = self.stats.as_ref().and_then(|it| it.traffic.as_ref());
        traffic.map_or(WINDOWS[0].1, |it| it.window_s)
    }

    /// One level back, and never out.
    fn back(&mut self) {
        if self.reader.take().is_some() || self.opened.take().is_some() {
            return;
        }
        if self.zoom {
            self.zoom = false;
            return;
        }
        if self.filter().is_empty() {
            self.view = View::Overview;
            self.selected = None;
            return;
        }
        self.set_filter(self.view, String::new());
    }

    fn in_dialog(&mut self, event: KeyEvent) -> Vec<Todo> {
        let Some(dialog) = self.dialog.take() else {
            return Vec::new();
        };
        if event.code == KeyCode::Esc || is_stop(event) {
            return Vec::new();
        }
        let (dialog, todo) = answer(dialog, event.code);
        self.dialog = dialog;
        todo.into_iter().collect()
    }
}

fn is_stop(event: KeyEvent) -> bool {
    event.modifiers.contains(KeyModifiers::CONTROL) && event.code == KeyCode::Char('c')
}
