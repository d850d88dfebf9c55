//! `config cc remove`: takes back what `config cc init` wrote.
//!
//! In: a scope. Out: the settings file as it was; byte for byte if nobody wrote to it since, else
//! with our values alone taken out. A value that is no longer ours stays, and it says so.

use serde_json::json;

use super::change::{Settings, agreed, apply, declined, show};
use crate::cli::CcRemoveArgs;
use crate::command::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{GOOD, WARN, paint};
use crate::settings::edit;
use crate::settings::state::{Entry, State};

/// What undoing comes to.
struct Undo {
    /// The text afterwards; `None` removes the file.
    after: Option<String>,
    /// Variables that are somebody else's now.
    left: Vec<String>,
}

/// Takes back what was written.
///
/// # Errors
/// When the file is not usable, an answer is missing, or a write fails.
pub fn run(context: &mut Context, arguments: &CcRemoveArgs) -> Result<Exit, Failure> {
    let settings = Settings::open(context, arguments.change.scope)?;
    let Some(entry) = State::load(&context.env)?.get(&settings.path).cloned() else {
        return nothing(context, &settings);
    };
    let undo = undo(&settings, &entry)?;
    let after = undo.after.as_deref();
    let changed = after != settings.text.as_deref();
    let diff = settings.diff(after.unwrap_or_default());
    if !context.out.is_json() {
        show(context, &diff)?;
        explain(context, &settings, &undo);
    }
    let mut backup = None;
    if !arguments.change.dry_run {
        if changed && !agreed(context, &arguments.change)? {
            return Err(declined());
        }
        backup = if changed {
            apply(context, &settings, after, None)?
        } else {
            forget(context, &settings)?
        };
    }
    let backup = backup.map(|path| context.env.show_path(&path));
    let written = changed && !arguments.change.dry_run;
    if context.out.is_json() {
        report(context, &settings, &undo.left, &diff, (written, backup))?;
    } else if arguments.change.dry_run {
        context.out.note("Dry run: nothing was written.");
    } else {
        let tick = paint(
            GOOD,
            if context.env.ascii_only() {
                "ok"
            } else {
                "✔"
            },
        );
        let backup = backup
            .map(|path| format!("   backup {path}"))
            .unwrap_or_default();
        let word = if written {
            "removed"
        } else {
            "nothing of ours is left"
        };
        context.out.line(&format!("{tick} {word}{backup}"))?;
    }
    Ok(Exit::Done)
}

fn explain(context: &mut Context, settings: &Settings, undo: &Undo) {
    if undo.after.is_none() && settings.text.is_some() {
        context.out.note(&format!(
            "  {} was made by cc-relay and goes.",
            settings.shown
        ));
    }
    for name in &undo.left {
        let sign = paint(WARN, "!");
        context.out.note_always(&format!(
            "  {sign} {name} was changed since and is left as it is."
        ));
    }
}

fn report(
    context: &mut Context,
    settings: &Settings,
    left: &[String],
    diff: &str,
    (written, backup): (bool, Option<String>),
) -> Result<(), Failure> {
    let data = json!({
        "scope": settings.scope.name(),
        "file": settings.path.display().to_string(),
        "left": left,
        "diff": diff,
        "written": written,
        "backup": backup,
    });
    context.out.data(data, &[])
}

/// Works out the text without our values.
fn undo(settings: &Settings, entry: &Entry) -> Result<Undo, Failure> {
    let Some(text) = settings.text.as_deref() else {
        return Ok(Undo {
            after: None,
            left: Vec::new(),
        });
    };
    if let Some(before) = entry.undo(text) {
        let after = (!entry.created).then_some(before);
        return Ok(Undo {
            after,
            left: Vec::new(),
        });
    }
    let fault = |fault: edit::Fault| settings.fault(&fault);
    let mut after = text.to_owned();
    let mut left = Vec::new();
    for (name, written) in &entry.variables {
        let present = edit::variables(&after).map_err(fault)?;
        let Some(value) = present.get(name) else {
            continue;
        };
        if !entry.is_ours(name, value) {
            left.push(name.clone());
            continue;
        }
        after = match &written.previous {
            Some(previous) => edit::set(&after, name, previous).map_err(fault)?,
            None => edit::unset(&after, name, entry.env_created).map_err(fault)?,
        };
    }
    Ok(Undo {
        after: Some(after),
        left,
    })
}

fn forget(context: &Context, settings: &Settings) -> Result<Option<std::path::PathBuf>, Failure> {
    let mut state = State::load(&context.env)?;
    state.put(&settings.path, None);
    state.save(&context.env).map(|()| None)
}

fn nothing(context: &mut Context, settings: &Settings) -> Result<Exit, Failure> {
    if context.out.is_json() {
        report(context, settings, &[], "", (false, None))?;
        return Ok(Exit::Done);
    }
    context.out.line(&format!(
        "nothing to undo: cc-relay wrote nothing to {}",
        settings.shown
    ))?;
    Ok(Exit::Done)
}
