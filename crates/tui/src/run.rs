//! The dashboard in a terminal: keys in, frames out, at most ten a second and none where nothing moves.
//!
//! The terminal is given back as it was, whatever happens.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of all that a terminal can say, few things mean something"
)]

use std::io;
use std::time::Duration;

use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{
    DisableMouseCapture, EnableMouseCapture, Event, EventStream, KeyEventKind, MouseEventKind,
};
use futures_util::StreamExt as _;
use relay_api::{Address, Credentials, connect};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;

use crate::demo::{demo, live};
use crate::state::{State, Todo, Update};
use crate::theme::Look;
use crate::{link, view};

/// Between two frames.
const FRAME: Duration = Duration::from_millis(100);
/// A frame comes at least so often: countdowns go on.
const LEAST: u32 = 10;
/// Updates that wait at most: the relay is slowed down by its own stream then, not by us.
const WAITING: usize = 1_024;

/// How it is shown.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the relay is, and with what it is asked; `None` for made-up data.
    pub relay: Option<(Address, Credentials)>,
    /// How it looks.
    pub look: Look,
    /// Whether the mouse is listened to.
    pub mouse: bool,
}

/// Why it cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// There is no relay.
    #[error(transparent)]
    Connect(#[from] relay_api::ConnectError),
    /// The terminal cannot be used.
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[from] io::Error),
}

/// Shows the dashboard until it is ended by a key.
///
/// # Errors
/// [`TuiError::Connect`] if no relay answers at first: later it is waited for.
pub async fn run(options: Options) -> Result<(), TuiError> {
    let (updates, incoming) = channel(WAITING);
    let (todos, wanted) = channel(WAITING);
    let tasks = TaskTracker::new();
    let state = match options.relay {
        None => {
            tasks.spawn(live(updates, wanted));
            demo()
        }
        Some((address, credentials)) => {
            // Nobody is shown an empty screen that waits for nothing.
            drop(connect(&address, &credentials).await?);
            tasks.spawn(link::run((address, credentials), updates, wanted));
            State::default()
        }
    };
    let mut screen = Screen::take(options.mouse)?;
    show(&mut screen.terminal, (state, options.look), incoming, todos).await
}

/// The terminal while it is ours. Dropped, it is as it was: also where nobody waits for the end.
struct Screen {
    terminal: ratatui::DefaultTerminal,
    mouse: bool,
}

impl Screen {
    fn take(mouse: bool) -> io::Result<Self> {
        let terminal = ratatui::try_init()?;
        let screen = Self { terminal, mouse };
        if mouse {
            crossterm::execute!(io::stdout(), EnableMouseCapture)?;
        }
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.mouse {
            // What follows gives the terminal back in any case.
            drop(crossterm::execute!(io::stdout(), DisableMouseCapture));
        }
        // There is nothing left to say it on.
        drop(ratatui::try_restore());
    }
}

async fn show(
    terminal: &mut ratatui::DefaultTerminal,
    (mut state, mut look): (State, Look),
    mut updates: Receiver<Update>,
    todos: Sender<Todo>,
) -> Result<(), TuiError> {
    let mut events = EventStream::new();
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut is_changed, mut skipped) = (true, 0_u32);
    loop {
        let wanted = tokio::select! {
            _ = frames.tick() => {
                state.tick(unix());
                skipped = skipped.saturating_add(1);
                if is_changed || skipped >= LEAST {
                    terminal.draw(|frame| {
                        let area = frame.area();
                        view::draw(&state, look, area, frame.buffer_mut());
                    })?;
                    (is_changed, skipped) = (false, 0);
                }
                continue;
            }
            update = updates.recv() => match update {
                Some(update) => state.apply(update),
                None => return Ok(()),
            },
            event = events.next() => match event {
                Some(event) => taken(&mut state, &event?),
                None => return Ok(()),
            },
        };
        is_changed = true;
        for todo in wanted {
            match &todo {
                Todo::Quit => return Ok(()),
                Todo::Theme(palette) => {
                    look.palette = *palette;
                    continue;
                }
                Todo::Copy(text) => {
                    let copy = CopyToClipboard::to_clipboard_from(text);
                    crossterm::execute!(io::stdout(), copy)?;
                    continue;
                }
                Todo::Consider(_)
                | Todo::Window(_)
                | Todo::Make(_)
                | Todo::Reload
                | Todo::Sessions
                | Todo::Config
                | Todo::Strategies
                | Todo::Dial => {}
            }
            // One that does not fit is said, not waited for.
            if todos.try_send(todo).is_err() {
                state.apply(Update::Done(Err(
                    "the relay is too busy for that".to_owned()
                )));
            }
        }
    }
}

fn taken(state: &mut State, event: &Event) -> Vec<Todo> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => state.key(*key),
        Event::Mouse(mouse) => {
            match mouse.kind {
                MouseEventKind::ScrollDown => state.wheel(true),
                MouseEventKind::ScrollUp => state.wheel(false),
                _ => {}
            }
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// Returns the time since the Unix epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this crate that reads the clock"
)]
pub(crate) fn unix() -> Duration {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}
