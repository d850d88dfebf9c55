//! `config init`: writes a commented configuration file to begin with.
//!
//! In: the names of environment variables that are set, an Ollama on this machine, and a few answers.
//! Out: a file of mode 0600 that holds names of variables, never a value. An existing file is kept
//! unless `--force`, and then as a copy beside it.

mod file;
mod questions;
mod vendor;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use relay_config::Format;
use serde_json::json;

use crate::ask;
use crate::cli::{CcChangeArgs, CcInitArgs, ConfigFormat, InitArgs, Scope};
use crate::clock;
use crate::command::{Context, block_on, cc, doctor};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{GOOD, paint};
use crate::settings::places::{places, winner};
use crate::settings::write;

use file::{Answers, Chosen, render};
use vendor::Found;

/// Writes the configuration file.
///
/// # Errors
/// When the file is there, an answer is missing, or the file cannot be written.
pub fn run(context: &mut Context, arguments: &InitArgs) -> Result<Exit, Failure> {
    let (path, format) = target(context, arguments)?;
    let shown = context.env.show_path(&path);
    let opened = write::target(&path).and_then(|real| Ok((write::read(&real)?, real)));
    let (old, real) = opened.map_err(|error| cannot_write(&shown, &error))?;
    if old.is_some() && !arguments.force {
        return Err(
            Failure::new(Exit::CannotWrite, "exists", "the file is already there")
                .file(shown)
                .help("keep it, or replace it by --force (the old one is kept as a .bak)"),
        );
    }
    // Nobody is made to wait for an Ollama before it is said that nobody can answer.
    if !arguments.yes {
        questions::greet(context)?;
    }
    let found = block_on(vendor::look(context))?;
    let answers = if arguments.yes {
        usual(&found)
    } else {
        questions::ask(context, &found)?
    };
    let text = render(format, &answers)?;
    if !arguments.yes {
        try_keys(context, (&text, format), &answers)?;
        let question = format!("Write {shown} ({} lines, 0600)?", text.lines().count());
        if !ask::confirm(context, &question, true, "--yes")? {
            return Err(Failure::new(
                Exit::Failed,
                "declined",
                "nothing was written",
            ));
        }
    }
    let stamp = clock::stamp(clock::now());
    let copy = old
        .map(|old| write::backup(&real, &old, &stamp))
        .transpose();
    let copy = copy.map_err(|error| cannot_write(&shown, &error))?;
    // A copy keeps the old mode; the file itself begins private again.
    let written = write::replace_private(&real, &text);
    written.map_err(|error| cannot_write(&shown, &error))?;
    report(context, &shown, &answers, copy.as_deref())?;
    if !arguments.yes {
        point_here(context, &answers)?;
    }
    Ok(Exit::Done)
}

/// What is written where nobody is asked: Anthropic, and each vendor whose keys were found.
fn usual(found: &[Found]) -> Answers {
    let wanted = |it: &&Found| it.vendor.name == "anthropic" || !it.keys.is_empty();
    Answers {
        listen: usual_address(),
        providers: found
            .iter()
            .filter(wanted)
            .map(|it| Chosen {
                vendor: it.vendor,
                keys: it.keys.clone(),
                model: it.vendor.model.map(str::to_owned),
                settings: Vec::new(),
            })
            .collect(),
        strategy: None,
    }
}

/// Asks each provider for its models, with the keys of this shell, if that is wished.
fn try_keys(
    context: &mut Context,
    (text, format): (&str, Format),
    answers: &Answers,
) -> Result<(), Failure> {
    let is_set = |name: &String| context.env.get(name).is_some_and(|it| !it.is_empty());
    let named = answers.providers.iter().flat_map(|it| &it.keys);
    let (here, missing): (Vec<_>, Vec<_>) = named.partition(|it| is_set(it));
    if here.is_empty() {
        return Ok(());
    }
    let question = "Try the keys now? It costs nothing: models are listed.";
    if !ask::confirm(context, question, true, "--yes")? {
        return Ok(());
    }
    for name in missing {
        let note = format!("not tried: {name} is not set in this shell");
        context.out.note_always(&note);
    }
    let mut plan = file::parse(text, format, answers, &context.env)?;
    for (provider, chosen) in plan.providers.iter_mut().zip(&answers.providers) {
        // Those that are not set stand in the file too, and cannot be tried.
        let mut variables = chosen.keys.iter();
        let is_set = |name: &String| context.env.get(name).is_some_and(|it| !it.is_empty());
        provider
            .keys
            .retain(|_| variables.next().is_some_and(is_set));
        provider.enabled &= chosen.keys.is_empty() || !provider.keys.is_empty();
    }
    doctor::try_providers(context, &plan)
}

/// Points Claude Code at the relay, unless something points somewhere already or nobody wants it.
fn point_here(context: &mut Context, answers: &Answers) -> Result<(), Failure> {
    if winner(&places(&context.env, &context.cwd)).is_some() {
        return Ok(());
    }
    context
        .out
        .note("Claude Code can be pointed at it too (config cc init):");
    let arguments = CcInitArgs {
        change: CcChangeArgs {
            scope: Scope::User,
            yes: false,
            dry_run: false,
        },
        url: Some(format!("http://{}", answers.listen)),
        token: None,
        placeholder: false,
        force: false,
    };
    match cc::init::run(context, &arguments) {
        // The file is written all the same.
        Err(failure) if failure.exit() == Exit::Failed => {
            context.out.note("Later: cc-relay config cc init");
            Ok(())
        }
        other => other.map(|_| ()),
    }
}

fn report(
    context: &mut Context,
    shown: &str,
    answers: &Answers,
    copy: Option<&Path>,
) -> Result<Exit, Failure> {
    let copy = copy.map(|path| context.env.show_path(path));
    if context.out.is_json() {
        let data = json!({
            "file": shown,
            "listen": answers.listen.to_string(),
            "providers": answers.providers.iter().map(|it| json!({
                "name": it.vendor.name,
                "key_variables": it.keys,
            })).collect::<Vec<_>>(),
            "backup": copy,
        });
        context.out.data(data, &[])?;
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
    let copy = copy
        .map(|path| format!("   backup {path}"))
        .unwrap_or_default();
    context.out.line(&format!("{tick} written {shown}{copy}"))?;
    context
        .out
        .note("  show it: cc-relay config show     check it: cc-relay config validate");
    context
        .out
        .note("  start it: cc-relay serve     point Claude Code at it: cc-relay config cc init");
    Ok(Exit::Done)
}

/// Returns the file to write and its format, which have to agree.
fn target(context: &Context, arguments: &InitArgs) -> Result<(PathBuf, Format), Failure> {
    let asked = arguments.format.map(|format| match format {
        ConfigFormat::Yaml => Format::Yaml,
        ConfigFormat::Toml => Format::Toml,
    });
    let Some(path) = arguments.output.clone().or_else(|| context.config.clone()) else {
        let format = asked.unwrap_or(Format::Yaml);
        let end = if format == Format::Yaml {
            "yaml"
        } else {
            "toml"
        };
        return Ok((
            relay_config::default_path(&context.env).with_extension(end),
            format,
        ));
    };
    let usage = |message: &str| {
        Failure::new(Exit::Usage, "format", message).help("name the file .yaml or .toml")
    };
    let by_name =
        Format::of(&path).ok_or_else(|| usage("the file name says neither YAML nor TOML"))?;
    if asked.is_some_and(|format| format != by_name) {
        return Err(usage("the file name and --format do not agree"));
    }
    Ok((path, by_name))
}

fn usual_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8787))
}

fn cannot_write(shown: &str, error: &std::io::Error) -> Failure {
    Failure::new(
        Exit::CannotWrite,
        "cannot_write",
        format!("cannot write the file: {error}"),
    )
    .file(shown)
    .help("choose another place by -o FILE")
}

#[cfg(test)]
mod tests;
