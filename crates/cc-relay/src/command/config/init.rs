//! `config init`: writes a commented configuration file to begin with.
//!
//! In: the names of environment variables that are set, and a few answers. Out: a file of mode 0600
//! that holds names of variables, never a value. An existing file is kept unless `--force`, and then
//! as a copy beside it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use relay_config::Format;
use serde_json::json;

use crate::ask;
use crate::cli::{ConfigFormat, InitArgs};
use crate::clock;
use crate::command::{Context, DEFAULT_ADDRESS};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{GOOD, paint};
use crate::settings::write;

/// The starter in TOML; the YAML one is [`relay_config::TEMPLATE`].
const TOML: &str = include_str!("starter.toml");

/// What goes into the file.
#[derive(Debug, Clone)]
struct Answers {
    listen: SocketAddr,
    /// The variable that holds the relay's own key.
    key: Option<String>,
}

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
    let found = found(context);
    let answers = if arguments.yes {
        Answers {
            listen: usual_address(),
            key: found.first().cloned(),
        }
    } else {
        ask_for_answers(context, &found)?
    };
    let text = render(format, &answers)?;
    if !arguments.yes {
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
    let written = remove(&real).and_then(|()| write::replace(&real, &text));
    written.map_err(|error| cannot_write(&shown, &error))?;
    report(context, &shown, &answers, copy.as_deref())
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
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
            "key_variable": answers.key,
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
        .note("  point Claude Code at the relay: cc-relay config cc init");
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

/// Returns the names of variables that look like a key for Anthropic, the usual one first.
fn found(context: &Context) -> Vec<String> {
    let usable = |name: &&str| {
        name.contains("ANTHROPIC") && name.contains("API_KEY") && context.env.get(name).is_some()
    };
    let mut names: Vec<String> = context
        .env
        .names()
        .filter(usable)
        .map(str::to_owned)
        .collect();
    names.sort_by_key(|name| name != "ANTHROPIC_API_KEY");
    names
}

fn usual_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8787))
}

fn ask_for_answers(context: &mut Context, found: &[String]) -> Result<Answers, Failure> {
    if !found.is_empty() {
        context
            .out
            .note(&format!("Found in this shell: {}", found.join(", ")));
    }
    context
        .out
        .note("Answers in [ ] are taken by Enter. Nothing is written before the end.");
    let listen = loop {
        let question = format!("Where should the relay listen? [{DEFAULT_ADDRESS}] ");
        let answer = ask::text(context, &question, "--yes")?;
        match answer.as_deref().map(str::trim) {
            None | Some("") => break usual_address(),
            Some(text) => match text.parse::<SocketAddr>() {
                Ok(address) if address.ip().is_loopback() => break address,
                Ok(_) => context.out.note_always(
                    "That is more than this machine and needs authentication: set it in the file afterwards.",
                ),
                Err(_) => context.out.note_always("Please write an address and a port."),
            },
        }
    };
    let mut key = None;
    for name in found {
        let question = format!("Use {name} for clients that bring no credential of their own?");
        if ask::confirm(context, &question, true, "--yes")? {
            key = Some(name.clone());
            break;
        }
    }
    Ok(Answers { listen, key })
}

/// Fills the answers into the starter. Comments stay, so that the file explains itself.
fn render(format: Format, answers: &Answers) -> Result<String, Failure> {
    let (starter, listen, keys) = match format {
        Format::Yaml => {
            let listen = format!("listen: {}", answers.listen);
            (relay_config::TEMPLATE, listen, "#keys:")
        }
        Format::Toml => {
            let listen = format!("listen = \"{}\"", answers.listen);
            (TOML, listen, "#[[providers.keys]]")
        }
    };
    let usual = listen.replace(&answers.listen.to_string(), DEFAULT_ADDRESS);
    let mut text = starter.replacen(&usual, &listen, 1);
    if let Some(name) = &answers.key {
        text = with_key(&text, keys, name);
    }
    // Any value does: what is checked is that the file is sound and says what was answered.
    let names: std::collections::HashMap<String, String> = answers
        .key
        .iter()
        .map(|name| (name.clone(), "sk-ant-any-value-at-all".to_owned()))
        .collect();
    let plan = relay_config::parse("the starter", &text, format, &names);
    let plan = plan.map_err(|faults| super::invalid(&faults, 0))?;
    let keys: usize = plan
        .providers
        .iter()
        .map(|provider| provider.keys.len())
        .sum();
    if plan.server.listen != answers.listen || (keys > 0) != answers.key.is_some() {
        let message = "the starter file does not take the answers";
        return Err(
            Failure::new(Exit::Failed, "internal", message).help("this is a bug of cc-relay")
        );
    }
    Ok(text)
}

/// Takes the comment sign from the line that begins the keys and from the key's own line.
fn with_key(text: &str, keys: &str, name: &str) -> String {
    let variable = "${ANTHROPIC_API_KEY}";
    let mut filled = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if line.trim() == keys || line.contains(variable) {
            let line = line.replacen('#', "", 1);
            filled.push_str(&line.replace(variable, &format!("${{{name}}}")));
        } else {
            filled.push_str(line);
        }
    }
    filled
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
mod tests {
    use super::*;

    #[test]
    fn both_starters_mean_the_same() {
        for key in [None, Some("MY_ANTHROPIC_API_KEY".to_owned())] {
            let answers = Answers {
                listen: SocketAddr::from(([127, 0, 0, 1], 9000)),
                key,
            };
            let env: std::collections::HashMap<String, String> = [(
                "MY_ANTHROPIC_API_KEY".to_owned(),
                "sk-ant-fake-0123456789".to_owned(),
            )]
            .into();
            let plans = [Format::Yaml, Format::Toml].map(|format| {
                let text = render(format, &answers).unwrap();
                let mut plan = relay_config::parse("x", &text, format, &env).unwrap();
                plan.digest = String::new();
                format!("{plan:?}")
            });
            assert_eq!(plans[0], plans[1]);
        }
    }

    fn asked(answers: &[&'static str]) -> (Result<Exit, Failure>, String, Option<String>) {
        let home = tempfile::tempdir().unwrap();
        let env = crate::environment::Environment::from([
            ("HOME", home.path().to_str().unwrap()),
            ("ANTHROPIC_API_KEY", "sk-ant-fake-0123456789"),
            ("WORK_ANTHROPIC_API_KEY", "sk-ant-fake-9876543210"),
        ]);
        let (mut context, sink) = crate::testing::context(env, home.path(), answers);
        let arguments = InitArgs {
            yes: false,
            force: false,
            format: None,
            output: None,
        };
        let result = run(&mut context, &arguments);
        let file = home.path().join(".config/cc-relay/config.yaml");
        (result, sink.text(), std::fs::read_to_string(file).ok())
    }

    #[test]
    fn answers_go_into_the_file_and_values_do_not() {
        let (result, shown, text) =
            asked(&["0.0.0.0:1", "nonsense", "127.0.0.1:9000", "n", "", ""]);
        assert_eq!(result.unwrap(), Exit::Done);
        let text = text.unwrap();
        assert!(text.contains("listen: 127.0.0.1:9000"), "{text}");
        assert!(
            text.contains("${WORK_ANTHROPIC_API_KEY}") && !text.contains("sk-ant"),
            "{text}"
        );
        for words in [
            "Found in this shell: ANTHROPIC_API_KEY, WORK_",
            "needs authentication",
            "an address and a port",
        ] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
        assert!(!shown.contains("sk-ant"), "{shown}");
    }

    #[test]
    fn a_no_at_the_end_writes_nothing() {
        for answers in [&["", "n", "n", "n"][..], &["", "", "n"], &[]] {
            let (result, _, text) = asked(answers);
            assert_eq!(result.unwrap_err().exit(), Exit::Failed);
            assert_eq!(text, None);
        }
    }
}
