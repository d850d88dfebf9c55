//! What `init` and `remove` share: the file with its text, the diff, the question, the writing.
//!
//! In: the old and the new text. Out: the file changed, the state remembered, in an order that
//! leaves a way back when a step fails. It prints no credential.

use std::io;
use std::path::{Path, PathBuf};

use crate::ask;
use crate::cli::{CcChangeArgs, Scope};
use crate::clock;
use crate::command::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{BAD, COPY, GOOD, paint};
use crate::settings::edit::Fault;
use crate::settings::state::{Entry, State};
use crate::settings::{mask, write};

/// A settings file as it is now.
pub(super) struct Settings {
    pub(super) scope: Scope,
    /// The file itself, links followed.
    pub(super) path: PathBuf,
    /// The path as shown to people.
    pub(super) shown: String,
    /// Its text, `None` when there is no file.
    pub(super) text: Option<String>,
}

impl Settings {
    /// Reads the settings file of a scope.
    pub(super) fn open(context: &Context, scope: Scope) -> Result<Self, Failure> {
        let path = scope.path(&context.env, &context.cwd);
        let shown = context.env.show_path(&path);
        let opened = write::target(&path).and_then(|path| Ok((write::read(&path)?, path)));
        let (text, path) = opened.map_err(|error| {
            Failure::new(
                Exit::Failed,
                "cannot_read",
                format!("cannot read the settings: {error}"),
            )
            .file(shown.as_str())
            .help("make it a readable UTF-8 text file")
        })?;
        Ok(Self {
            scope,
            path,
            shown,
            text,
        })
    }

    /// Returns the text, empty when there is no file.
    pub(super) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// Turns a fault of the text into a failure that names the place.
    pub(super) fn fault(&self, fault: &Fault) -> Failure {
        let failure = Failure::new(Exit::Failed, "invalid_settings", fault.to_string());
        let failure = failure.file(self.shown.as_str());
        match fault {
            Fault::Syntax { line, column, .. } => failure
                .at(*line, *column)
                .help("mend that place first; nothing was changed"),
            Fault::NotAnObject(_) | Fault::OddValue(_) | Fault::Unfaithful => {
                failure.help("change it by hand; nothing was changed")
            }
        }
    }

    /// Returns the masked unified diff from the present text to `after`.
    pub(super) fn diff(&self, after: &str) -> String {
        let (old, new) = (mask::settings(self.text()), mask::settings(after));
        let diff = similar::TextDiff::from_lines(&old, &new);
        diff.unified_diff()
            .context_radius(2)
            .header(&self.shown, &self.shown)
            .to_string()
    }
}

/// Shows a diff, green and red.
pub(super) fn show(context: &mut Context, diff: &str) -> Result<(), Failure> {
    for line in diff.lines() {
        let painted = match line.chars().next() {
            Some('+') => paint(GOOD, line),
            Some('-') => paint(BAD, line),
            Some('@') => paint(COPY, line),
            Some(_) | None => line.to_owned(),
        };
        context.out.line(&painted)?;
    }
    Ok(())
}

/// Asks whether to write, unless `--yes` said so.
pub(super) fn agreed(context: &mut Context, arguments: &CcChangeArgs) -> Result<bool, Failure> {
    Ok(arguments.yes || ask::confirm(context, "Write this?", true, "--yes")?)
}

/// The failure of a question that was answered with no.
pub(super) fn declined() -> Failure {
    Failure::new(Exit::Failed, "declined", "nothing was written")
}

/// Writes `after` (`None` removes the file) and remembers `entry`; returns the backup's path.
pub(super) fn apply(
    context: &Context,
    settings: &Settings,
    after: Option<&str>,
    entry: Option<Entry>,
) -> Result<Option<PathBuf>, Failure> {
    let mut state = State::load(&context.env)?;
    let before = state.clone();
    let now = write::read(&settings.path).map_err(|error| cannot_write(settings, &error))?;
    if now != settings.text {
        let message = "the file was changed by somebody else meanwhile; nothing was written";
        return Err(Failure::new(Exit::TryLater, "changed_meanwhile", message)
            .file(settings.shown.as_str())
            .help("run the command again"));
    }
    // First the way back, then the change: a crash in between leaves an entry whose values are not
    // in the file, which `remove` reports and drops.
    state.put(&settings.path, entry);
    state.save(&context.env)?;
    let written = write_file(&settings.path, now.as_deref(), after);
    written.map_err(|error| {
        let failure = cannot_write(settings, &error);
        match before.save(&context.env) {
            Ok(()) => failure,
            Err(second) => second,
        }
    })
}

fn write_file(path: &Path, now: Option<&str>, after: Option<&str>) -> io::Result<Option<PathBuf>> {
    let stamp = clock::stamp(clock::now());
    let Some(after) = after else {
        return std::fs::remove_file(path).map(|()| None);
    };
    let copy = now
        .map(|text| write::backup(path, text, &stamp))
        .transpose()?;
    write::replace(path, after)?;
    Ok(copy)
}

fn cannot_write(settings: &Settings, error: &io::Error) -> Failure {
    Failure::new(
        Exit::CannotWrite,
        "cannot_write",
        format!("cannot write the settings: {error}"),
    )
    .file(settings.shown.as_str())
    .help("make the file and its folder writable, or choose another --scope")
}
