//! `config get`, `config set`, `config edit`, `config reload`: one setting at a time, in force or in the file.
//!
//! `get` and `reload` ask the running relay. `set` and `edit` change the file, comments and all, also
//! where no relay runs: one that does follows the file by itself.

use std::path::{Path, PathBuf};

use clap::Args;
use relay_api::v1::{GetConfigRequest, ReloadConfigRequest};
use relay_config::{Edit, Env, Format, Refused, Settings};
use serde_json::json;

use super::{RelayArgs, call};
use crate::command::{Context, config};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log::readable;

/// The end of the help of `config get`.
pub const GET_EXAMPLES: &str = "\
Examples:
  cc-relay config get
  cc-relay config get routing.strategy
  cc-relay config get providers[zai]";

/// The end of the help of `config set`.
pub const SET_EXAMPLES: &str = "\
Examples:
  cc-relay config set routing.strategy least_loaded
  cc-relay config set providers[zai].keys[k2].weight 3
  cc-relay config set server.max_concurrent 200 --dry-run";

/// The end of the help of `config edit`.
pub const EDIT_EXAMPLES: &str = "\
Examples:
  cc-relay config edit
  EDITOR='code --wait' cc-relay config edit

The editor works on a copy: a file with faults is never put in place.";

/// The end of the help of `config reload`.
pub const RELOAD_EXAMPLES: &str = "\
Examples:
  cc-relay config reload
  cc-relay config reload --dry-run";

/// Flags of `config get`.
#[derive(Debug, Clone, Args)]
pub struct GetArgs {
    /// A setting, or what several begin with [default: all]
    #[arg(value_name = "PATH")]
    pub path: Option<String>,
    /// Where the relay is.
    #[command(flatten)]
    pub relay: RelayArgs,
}

/// Flags of `config set`.
#[derive(Debug, Clone, Args)]
pub struct SetArgs {
    /// The setting, as `config show` has it: `routing.strategy`, `providers[zai].weight`
    #[arg(value_name = "PATH")]
    pub path: String,
    /// Its value; a credential only as a reference such as ${NAME}
    #[arg(value_name = "VALUE")]
    pub value: String,
    /// Tell what would change, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Flags of `config reload`.
#[derive(Debug, Clone, Args)]
pub struct ReloadArgs {
    /// Tell what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Where the relay is.
    #[command(flatten)]
    pub relay: RelayArgs,
}

/// Prints settings in force.
///
/// # Errors
/// Exit 69 when no relay answers; exit 1 when no setting is called so.
pub fn get(context: &mut Context, arguments: &GetArgs) -> Result<Exit, Failure> {
    let told = call(context, &arguments.relay, async |mut api| {
        Ok(api.get_config(GetConfigRequest {}).await?.into_inner())
    })?;
    let all: Settings = serde_json::from_str(&told.settings_json).unwrap_or_default();
    let path = arguments.path.as_deref().unwrap_or_default();
    let within = |other: &str| {
        let rest = other.strip_prefix(path);
        rest.is_some_and(|rest| path.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let found: Settings = all
        .into_iter()
        .filter(|(path, value)| within(path) && !value.is_empty())
        .collect();
    if found.is_empty() {
        let message = format!("no setting is called {}", readable(path));
        return Err(
            Failure::new(Exit::Failed, "no_setting", message).help("cc-relay config get lists all")
        );
    }
    if context.out.is_json() {
        let data = json!({ "settings": found, "overrides": told.overrides, "config": told.digest });
        context.out.data(data, &[])?;
        return Ok(Exit::Done);
    }
    if let [(only, value)] = found.iter().collect::<Vec<_>>().as_slice()
        && *only == path
    {
        context.out.line(&readable(value))?;
        return Ok(Exit::Done);
    }
    for (path, value) in &found {
        context
            .out
            .line(&format!("{}: {}", readable(path), readable(value)))?;
    }
    for change in &told.overrides {
        context
            .out
            .note(&format!("changed while it runs: {}", readable(change)));
    }
    Ok(Exit::Done)
}

/// Variables that the relay may have and this shell has not stand for themselves.
struct Lenient<'a>(&'a Environment);

impl Env for Lenient<'_> {
    fn var(&self, name: &str) -> Option<String> {
        Env::var(self.0, name).or_else(|| Some(format!("unset-here-{name}")))
    }

    fn file(&self, path: &Path) -> std::io::Result<String> {
        Env::file(self.0, path).or_else(|_| Ok(format!("unread-here-{}", path.display())))
    }

    fn keychain(&self, service: &str, account: &str) -> Result<String, Refused> {
        Ok(format!("unread-here-{service}-{account}"))
    }
}

/// Sets a setting in the file.
///
/// # Errors
/// Exit 78 when the file has faults or would have; exit 73 when it cannot be written.
pub fn set(context: &mut Context, arguments: &SetArgs) -> Result<Exit, Failure> {
    let (file, text, format) = read(context)?;
    let shown = context.env.show_path(&file);
    let env = context.env.clone();
    let check = |text: &str| relay_config::parse(&shown, text, format, &Lenient(&env));
    let edit = Edit {
        text: &text,
        format,
        check: &check,
    };
    let edited = edit.set(&arguments.path, &arguments.value);
    let edited = edited.map_err(|error| {
        Failure::new(Exit::ConfigInvalid, "cannot_set", error.to_string())
            .help("cc-relay config show lists the settings; cc-relay config edit opens the file")
    })?;
    put(
        context,
        (&file, format),
        (&text, &edited),
        arguments.dry_run,
    )
}

/// Opens the file in an editor, on a copy, until it is valid or given up.
///
/// # Errors
/// Exit 2 where no editor is named; exit 78 when what was written has faults: the file is as it was.
pub fn edit(context: &mut Context) -> Result<Exit, Failure> {
    let (file, text, format) = read(context)?;
    let named = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| context.env.get(name));
    let editor = named
        .filter(|name| !name.trim().is_empty())
        .ok_or_else(|| {
            Failure::new(Exit::Usage, "no_editor", "neither VISUAL nor EDITOR is set")
                .help("EDITOR=vi cc-relay config edit; or cc-relay config set PATH VALUE")
        })?;
    let name = file.file_name().unwrap_or_default();
    let copy = file.with_file_name(format!(".edit-{}-{}", std::process::id(), name.display()));
    let cannot = |error: std::io::Error| {
        let message = format!("cannot edit {}: {error}", file.display());
        Failure::new(Exit::CannotWrite, "config_unwritable", message)
    };
    std::fs::copy(&file, &copy).map_err(cannot)?;
    // An editor may come with arguments, as `code --wait` does.
    let mut words = editor.split_whitespace();
    let ran = std::process::Command::new(words.next().unwrap_or_default())
        .args(words)
        .arg(&copy)
        .status();
    let edited = std::fs::read_to_string(&copy);
    std::fs::remove_file(&copy).map_err(cannot)?;
    if !ran.map_err(cannot)?.success() {
        let message = "the editor gave up: the file is as it was";
        return Err(Failure::new(Exit::Failed, "editor_failed", message));
    }
    let edited = edited.map_err(cannot)?;
    put(context, (&file, format), (&text, &edited), false)
}

fn read(context: &Context) -> Result<(PathBuf, String, Format), Failure> {
    let (file, _) = config::file(context);
    let text = std::fs::read_to_string(&file).map_err(|error| {
        let message = format!("cannot read {}: {error}", context.env.show_path(&file));
        Failure::new(Exit::ConfigInvalid, "config_unreadable", message)
            .help("write one: cc-relay config init; or name it: -c FILE")
    })?;
    let format = Format::of(&file).unwrap_or(Format::Yaml);
    Ok((file, text, format))
}

/// Writes a text in place of another, if it is valid, and tells what is otherwise.
fn put(
    context: &mut Context,
    (file, format): (&Path, Format),
    (text, edited): (&str, &str),
    dry_run: bool,
) -> Result<Exit, Failure> {
    let shown = context.env.show_path(file);
    let env = context.env.clone();
    let check = |text: &str| relay_config::parse(&shown, text, format, &Lenient(&env));
    let after = check(edited).map_err(|faults| config::invalid(&faults, 0))?;
    // A file that had faults is mended: what it meant is not known.
    let changes: Vec<String> = match check(text) {
        Ok(before) => relay_config::diff(&before, &after)
            .iter()
            .map(ToString::to_string)
            .collect(),
        Err(_) => vec!["the file had faults before".to_owned()],
    };
    if !dry_run && text != edited {
        relay_manage::replace(file, edited).map_err(|error| {
            let message = format!("cannot write {shown}: {error}");
            Failure::new(Exit::CannotWrite, "config_unwritable", message)
        })?;
    }
    if context.out.is_json() {
        let data = json!({ "written": !dry_run, "file": shown, "changes": changes });
        context.out.data(data, &[])?;
        return Ok(Exit::Done);
    }
    for change in &changes {
        context.out.line(&readable(change))?;
    }
    if changes.is_empty() {
        context.out.line("nothing is otherwise")?;
    }
    if !dry_run && text != edited {
        context
            .out
            .note(&format!("written to {shown}; a running relay follows it"));
    }
    Ok(Exit::Done)
}

/// Has the relay read its file again.
///
/// # Errors
/// Exit 69 when no relay answers; exit 78 with every fault of the file.
pub fn reload(context: &mut Context, arguments: &ReloadArgs) -> Result<Exit, Failure> {
    let asked = ReloadConfigRequest {
        dry_run: arguments.dry_run,
    };
    let told = call(context, &arguments.relay, async |mut api| {
        Ok(api.reload_config(asked).await?.into_inner())
    })?;
    if let Some(first) = told.faults.first() {
        let mut details = String::new();
        for it in &told.faults {
            let place = format!("{}:{}:{}", it.file, it.line, it.column);
            details.extend([
                "error: ",
                &readable(&it.message),
                "\n  at ",
                &place,
                "\n  ",
                &readable(&it.help),
                "\n",
            ]);
        }
        let message = format!(
            "the file has {} faults: {} stays in force",
            told.faults.len(),
            told.from
        );
        return Err(Failure::new(Exit::ConfigInvalid, "config_invalid", message)
            .file(first.file.clone())
            .details(details));
    }
    if context.out.is_json() {
        let data = json!({
            "applied": told.applied,
            "from": told.from,
            "to": told.to,
            "changes": told.changes,
            "pending": told.pending,
        });
        context.out.data(data, &[])?;
        return Ok(Exit::Done);
    }
    let said = if told.changes.is_empty() {
        "nothing is otherwise"
    } else {
        ""
    };
    let line = format!("{} -> {} {said}", told.from, told.to);
    context.out.line(line.trim_end())?;
    for change in &told.changes {
        context.out.line(&format!("  {}", readable(change)))?;
    }
    for key in &told.pending {
        context.out.note(&format!(
            "{key} takes a restart: the value before stays in force"
        ));
    }
    Ok(Exit::Done)
}
