//! `config cc init`: writes the relay's address into a settings file of Claude Code.
//!
//! In: scope, URL, and whether a token is wanted. Out: the changed file, or the diff alone. A second
//! run changes nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::change::{Settings, agreed, apply, declined, show};
use super::values::values;
use crate::ask;
use crate::cli::{CcInitArgs, Scope};
use crate::command::{Context, config};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{GOOD, STRONG, WARN, paint};
use crate::settings::edit::{self, Splice, Variables};
use crate::settings::state::{Entry, State, Written, digest};
use crate::settings::{AUTH_TOKEN, BASE_URL, SWITCHES, mask};

/// What has to happen to one variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Add,
    Nothing,
    /// It is ours, with another value.
    Update,
    /// Somebody else set it.
    Replace,
}

struct Wanted {
    name: &'static str,
    value: Value,
    need: Need,
    previous: Option<Value>,
}

/// Points Claude Code at the relay.
///
/// # Errors
/// When a value or the file is not usable, an answer is missing, or a write fails.
pub fn run(context: &mut Context, arguments: &CcInitArgs) -> Result<Exit, Failure> {
    let values = values(context, arguments)?;
    let settings = Settings::open(context, arguments.change.scope)?;
    let present = edit::variables(settings.text()).map_err(|fault| settings.fault(&fault))?;
    let entry = State::load(&context.env)?.get(&settings.path).cloned();
    // What was written to a file that is gone, or is all changed since, is no longer ours.
    let entry = entry.filter(|entry| present.iter().any(|(name, old)| entry.is_ours(name, old)));
    let mut wanted = judge(values, &present, entry.as_ref());
    if !arguments.change.dry_run && !arguments.force {
        ask_about_others(context, &settings, &mut wanted)?;
    }
    wanted.retain(|one| one.need != Need::Nothing || is_set(&present, one));
    if wanted.iter().all(|one| one.need == Need::Nothing) {
        return already_set(context, &settings, &wanted);
    }
    let (after, entry) = changed(&settings, &wanted, entry)?;
    let diff = settings.diff(&after);
    if !context.out.is_json() {
        show(context, &diff)?;
        explain(context, &settings, &wanted);
        if needs_token(context, &wanted) {
            let sign = paint(WARN, "!");
            let words = "the relay requires a client key; write it too: --token ENV_NAME";
            context.out.note_always(&format!("  {sign} {words}"));
        }
    }
    if arguments.change.dry_run {
        return report(
            context,
            &settings,
            &wanted,
            &Done {
                diff: &diff,
                written: false,
                backup: None,
            },
        );
    }
    if !agreed(context, &arguments.change)? {
        return Err(declined());
    }
    let backup = apply(context, &settings, Some(&after), Some(entry))?;
    let backup = backup.map(|path| context.env.show_path(&path));
    report(
        context,
        &settings,
        &wanted,
        &Done {
            diff: &diff,
            written: true,
            backup,
        },
    )
}

fn judge(
    values: Vec<(&'static str, Value)>,
    present: &Variables,
    entry: Option<&Entry>,
) -> Vec<Wanted> {
    let judged = values.into_iter().map(|(name, value)| {
        let previous = present.get(name).cloned();
        let need = match &previous {
            None => Need::Add,
            Some(old) if *old == value => Need::Nothing,
            Some(old) if entry.is_some_and(|entry| entry.is_ours(name, old)) => Need::Update,
            Some(_) => Need::Replace,
        };
        Wanted {
            name,
            value,
            need,
            previous,
        }
    });
    judged.collect()
}

fn is_set(present: &Variables, one: &Wanted) -> bool {
    present.get(one.name) == Some(&one.value)
}

/// Asks about each value that somebody else set. A no to the address ends it; any other no keeps
/// that value.
fn ask_about_others(
    context: &mut Context,
    settings: &Settings,
    wanted: &mut [Wanted],
) -> Result<(), Failure> {
    for one in wanted.iter_mut().filter(|one| one.need == Need::Replace) {
        let old = shown_value(one.name, one.previous.as_ref());
        let new = shown_value(one.name, Some(&one.value));
        let question = format!(
            "{} sets {} to {old}, which cc-relay did not write. Replace it by {new}?",
            settings.shown, one.name
        );
        if ask::confirm(context, &question, false, "--force")? {
            continue;
        }
        if one.name == BASE_URL {
            return Err(declined());
        }
        one.need = Need::Nothing;
    }
    Ok(())
}

/// Returns the changed text and what to remember about it.
fn changed(
    settings: &Settings,
    wanted: &[Wanted],
    old: Option<Entry>,
) -> Result<(String, Entry), Failure> {
    let fault = |fault: edit::Fault| settings.fault(&fault);
    let before = settings.text();
    // An earlier change can be chained to this one only if nobody wrote in between.
    let chained = old
        .as_ref()
        .is_some_and(|entry| entry.undo(before).is_some());
    let mut entry = match old {
        Some(entry) => entry,
        None => Entry {
            created: settings.text.is_none(),
            env_created: !edit::has_env(before).map_err(fault)?,
            ..Entry::default()
        },
    };
    let first = entry.variables.is_empty();
    let mut text = before.to_owned();
    let mut splices = Vec::new();
    for one in wanted.iter().filter(|one| one.need != Need::Nothing) {
        let next = edit::set(&text, one.name, &one.value).map_err(fault)?;
        splices.push(Splice::between(&text, &next));
        text = next;
        remember(&mut entry.variables, one);
    }
    if first || chained {
        entry.splices.extend(splices);
    } else {
        entry.splices.clear();
    }
    entry.text_digest = digest(&text);
    Ok((text, entry))
}

fn remember(variables: &mut BTreeMap<String, Written>, one: &Wanted) {
    let previous = match one.need {
        Need::Update => variables
            .get(one.name)
            .and_then(|written| written.previous.clone()),
        Need::Add | Need::Replace | Need::Nothing => one.previous.clone(),
    };
    let written = Written {
        digest: digest(&one.value.to_string()),
        previous,
    };
    variables.insert(one.name.to_owned(), written);
}

fn shown_value(name: &str, value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => format!("\"{}\"", mask::value(name, text)),
        Some(other) => mask::value(name, &other.to_string()),
        None => "nothing".to_owned(),
    }
}

fn explain(context: &mut Context, settings: &Settings, wanted: &[Wanted]) {
    context.out.note("");
    for one in wanted.iter().filter(|one| one.need != Need::Nothing) {
        let why = match SWITCHES.iter().find(|switch| switch.name == one.name) {
            Some(switch) => format!("{} on: {}", switch.what, switch.why),
            None if one.name == BASE_URL => "sends Claude Code's requests to the relay".to_owned(),
            None => "identifies you to the relay; replaces a Claude login".to_owned(),
        };
        context.out.note(&format!("  {}", one.name));
        context.out.note(&format!("    {why}"));
    }
    if wanted.iter().any(|one| {
        let is_switch = SWITCHES.iter().any(|switch| switch.name == one.name);
        is_switch && one.need != Need::Nothing
    }) {
        context
            .out
            .note("  Claude Code has these off behind a custom URL; the relay carries them.");
    }
    if !wanted.iter().any(|one| one.name == AUTH_TOKEN) {
        context
            .out
            .note("  Your login stays as it is: no token is written.");
    }
    if settings.scope == Scope::Project {
        context.out.note("  This file is shared through git: it changes Claude Code for everybody in the project.");
    }
}

/// Tells whether the relay would turn Claude Code away with what it has.
fn needs_token(context: &Context, wanted: &[Wanted]) -> bool {
    let required = config::load(context).is_ok_and(|plan| {
        !plan.server.auth.client_keys.is_empty() && !plan.server.auth.allow_subscription
    });
    required && !wanted.iter().any(|one| one.name == AUTH_TOKEN)
}

fn already_set(
    context: &mut Context,
    settings: &Settings,
    wanted: &[Wanted],
) -> Result<Exit, Failure> {
    if context.out.is_json() {
        return report(
            context,
            settings,
            wanted,
            &Done {
                diff: "",
                written: false,
                backup: None,
            },
        );
    }
    let tick = paint(
        GOOD,
        if context.env.ascii_only() {
            "ok"
        } else {
            "✔"
        },
    );
    context
        .out
        .line(&format!("{tick} already set in {}", settings.shown))?;
    Ok(Exit::Done)
}

/// How it ended.
struct Done<'a> {
    diff: &'a str,
    written: bool,
    backup: Option<String>,
}

fn report(
    context: &mut Context,
    settings: &Settings,
    wanted: &[Wanted],
    done: &Done<'_>,
) -> Result<Exit, Failure> {
    if context.out.is_json() {
        let changes = wanted.iter().map(|one| {
            json!({
                "name": one.name,
                "action": match one.need {
                    Need::Add => "add",
                    Need::Nothing => "keep",
                    Need::Update | Need::Replace => "replace",
                },
                "value": one.value.as_str().map(|text| mask::value(one.name, text)),
                "previous": one.previous.as_ref().map(|_| shown_value(one.name, one.previous.as_ref())),
            })
        });
        let data = json!({
            "scope": settings.scope.name(),
            "file": settings.path.display().to_string(),
            "changes": changes.collect::<Vec<_>>(),
            "diff": done.diff,
            "written": done.written,
            "backup": done.backup,
        });
        context.out.data(data, &[])?;
        return Ok(Exit::Done);
    }
    if !done.written {
        context.out.note("Dry run: nothing was written.");
        return Ok(Exit::Done);
    }
    let tick = paint(
        GOOD,
        if context.env.ascii_only() {
            "ok"
        } else {
            "✔"
        },
    );
    let backup = done
        .backup
        .as_ref()
        .map(|path| format!("   backup {path}"))
        .unwrap_or_default();
    context.out.line(&format!("{tick} written{backup}"))?;
    let scope = match settings.scope {
        Scope::User => String::new(),
        Scope::Project | Scope::Local => format!(" --scope {}", settings.scope.name()),
    };
    context
        .out
        .note("  restart running `claude`; check: cc-relay config cc status");
    context.out.note(&format!(
        "  undo: {}",
        paint(STRONG, &format!("cc-relay config cc remove{scope}"))
    ));
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests;
