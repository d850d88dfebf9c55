//! The dashboard in a terminal: keys in, frames out, at most ten a second and none where nothing moves.
//!
//! The terminal is given back as it was, whatever happens.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of all that a terminal can say, few things mean something"
)]

use std::fs::OpenOptions;
use std::io::{self, Write as _};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use crossterm::cursor::MoveTo;
use crossterm::event::{
    DisableMouseCapture, EnableMouseCapture, Event, EventStream, KeyEventKind, MouseButton,
    MouseEventKind,
};
use crossterm::style::Print;
use crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, enable_raw_mode};
use futures_util::StreamExt as _;
use relay_api::{Address, Credentials, connect};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::task::TaskTracker;

use crate::demo::{demo, live};
use crate::state::{Hits, State, Todo, Update};
use crate::theme::Look;
use crate::{clipboard, link, view};

/// Between two frames.
const FRAME: Duration = Duration::from_millis(100);
/// A frame comes at least each so many of these: countdowns go on.
const LEAST: u32 = 10;
/// How long the terminal may take to say where its cursor is.
const ANSWERS: Duration = Duration::from_millis(100);
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
    /// Whether it is drawn as things happen, and not once a second.
    pub motion: bool,
    /// Whether this process may be suspended: not where it is a relay too.
    pub suspend: bool,
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
    let state = match options.relay.clone() {
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
    let mut look = options.look;
    // Signs that take two columns would tear every frame apart.
    look.ascii = look.ascii || are_signs_wide(&tasks).await?;
    // The frame knows nothing of the sign that was tried.
    screen.wipe()?;
    let shown = Shown {
        screen,
        state,
        look,
        hits: Hits::new(),
        options,
        todos,
    };
    shown.run(incoming).await
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

    /// Has the next frame drawn in full. The terminal's own way asks where the cursor is, and nobody
    /// can hear the answer while keys are waited for.
    fn wipe(&mut self) -> io::Result<()> {
        crossterm::execute!(io::stdout(), Clear(ClearType::All))?;
        // Both frames are empty then, as the screen is.
        self.terminal.swap_buffers();
        Ok(())
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

/// Finds out whether this terminal draws signs such as `●` two columns wide, as some for Chinese,
/// Japanese and Korean can be set to. One that does not say where its cursor is draws one.
async fn are_signs_wide(tasks: &TaskTracker) -> io::Result<bool> {
    crossterm::execute!(io::stdout(), MoveTo(0, 0), Print("●"))?;
    // It waits for two seconds at most, and keys that come meanwhile are kept.
    let asked = tasks.spawn_blocking(crossterm::cursor::position);
    let told = timeout(ANSWERS, asked).await;
    Ok(matches!(told, Ok(Ok(Ok((column, _)))) if column >= 2))
}

/// What is on the screen, and all that it takes to go on.
struct Shown {
    screen: Screen,
    state: State,
    look: Look,
    /// What could be pointed at in the last frame.
    hits: Hits,
    options: Options,
    todos: Sender<Todo>,
}

impl Shown {
    async fn run(mut self, mut updates: Receiver<Update>) -> Result<(), TuiError> {
        let mut events = EventStream::new();
        let mut frames = interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut is_changed, mut skipped) = (true, 0_u32);
        loop {
            let wanted = tokio::select! {
                _ = frames.tick() => {
                    self.state.tick(unix());
                    skipped = skipped.saturating_add(1);
                    if is_changed || skipped >= LEAST {
                        self.draw()?;
                        (is_changed, skipped) = (false, 0);
                    }
                    continue;
                }
                update = updates.recv() => match update {
                    // Without motion what happens is seen with the next second.
                    Some(update) => {
                        is_changed |= self.options.motion;
                        self.state.apply(update)
                    }
                    None => return Ok(()),
                },
                event = events.next() => match event {
                    Some(event) => {
                        is_changed = true;
                        self.taken(&event?)
                    }
                    None => return Ok(()),
                },
            };
            for todo in wanted {
                if todo == Todo::Quit {
                    return Ok(());
                }
                self.perform(todo)?;
            }
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        let (state, look) = (&mut self.state, self.look);
        let mut hits = Hits::new();
        self.screen.terminal.draw(|frame| {
            let area = frame.area();
            state.sized(area.height);
            hits = view::draw(state, look, area, frame.buffer_mut());
        })?;
        self.hits = hits;
        Ok(())
    }

    fn taken(&mut self, event: &Event) -> Vec<Todo> {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.state.key(*key),
            Event::Mouse(mouse) => match mouse.kind {
                MouseEventKind::ScrollDown => {
                    self.state.wheel(true);
                    Vec::new()
                }
                MouseEventKind::ScrollUp => {
                    self.state.wheel(false);
                    Vec::new()
                }
                MouseEventKind::Down(MouseButton::Left) => {
                    self.state.click(mouse.column, mouse.row, &self.hits)
                }
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// Does what is to be done at this terminal; the rest is the link's.
    fn perform(&mut self, todo: Todo) -> Result<(), TuiError> {
        match todo {
            Todo::Theme(palette) => self.look.palette = palette,
            Todo::Copy(text) => {
                let mut out = io::stdout();
                out.write_all(clipboard::copy(&text).as_bytes())?;
                out.flush()?;
            }
            Todo::Export { name, text } => {
                let outcome = write(&name, &text)
                    .map(|()| format!("written to {name}"))
                    .map_err(|error| format!("{name} cannot be written: {error}"));
                self.state.apply(Update::Done(outcome));
            }
            Todo::Redraw => self.screen.wipe()?,
            Todo::Suspend if self.options.suspend => self.suspend()?,
            Todo::Suspend => {
                let why = "not here: the relay would stop with it".to_owned();
                self.state.apply(Update::Done(Err(why)));
            }
            other => {
                // One that does not fit is said, not waited for.
                if self.todos.try_send(other).is_err() {
                    let why = "the relay is too busy for that".to_owned();
                    self.state.apply(Update::Done(Err(why)));
                }
            }
        }
        Ok(())
    }

    /// Gives the terminal back and stops, as the shell's job control has it, until it goes on.
    fn suspend(&mut self) -> io::Result<()> {
        let mouse = self.options.mouse;
        if mouse {
            crossterm::execute!(io::stdout(), DisableMouseCapture)?;
        }
        ratatui::try_restore()?;
        // In raw mode the terminal sends no signal by itself; this does, and returns when it goes on.
        let own = std::process::id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-TSTP", &own])
            .status();
        enable_raw_mode()?;
        crossterm::execute!(io::stdout(), EnterAlternateScreen)?;
        if mouse {
            crossterm::execute!(io::stdout(), EnableMouseCapture)?;
        }
        self.screen.wipe()?;
        if let Err(error) = sent {
            let why = format!("cannot be suspended: {error}");
            self.state.apply(Update::Done(Err(why)));
        }
        Ok(())
    }
}

/// Writes a file that is not there yet.
fn write(name: &str, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    options.open(name)?.write_all(text.as_bytes())
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
