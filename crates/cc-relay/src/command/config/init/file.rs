//! The file that `config init` writes.
//!
//! In: answers. Out: a commented file that holds names of variables, never a value, checked to mean
//! what was answered.

use std::collections::HashMap;
use std::net::SocketAddr;

use relay_config::{Format, Plan};

use super::vendor::Vendor;
use crate::command::DEFAULT_ADDRESS;
use crate::command::config::invalid;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;

/// The starter in TOML; the YAML one is [`relay_config::TEMPLATE`].
const TOML: &str = include_str!("../starter.toml");

/// What goes into the file.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    pub(super) listen: SocketAddr,
    pub(super) providers: Vec<Chosen>,
    /// The strategy's name and what it does; `None` for the usual one.
    pub(super) strategy: Option<(&'static str, &'static str)>,
}

/// A provider that is wanted.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub(super) vendor: &'static Vendor,
    /// The variables that hold its keys.
    pub(super) keys: Vec<String>,
    /// What it sends where Claude's models are asked for.
    pub(super) model: Option<String>,
    /// Settings that it needs.
    pub(super) settings: Vec<(&'static str, String)>,
}

/// Fills the answers into the starter. Comments stay, so that the file explains itself.
///
/// # Errors
/// If what comes out is not what was answered.
pub(super) fn render(format: Format, answers: &Answers) -> Result<String, Failure> {
    let (starter, listen) = match format {
        Format::Yaml => (
            relay_config::TEMPLATE,
            format!("listen: {}", answers.listen),
        ),
        Format::Toml => (TOML, format!("listen = \"{}\"", answers.listen)),
    };
    let usual = listen.replace(&answers.listen.to_string(), DEFAULT_ADDRESS);
    let text = starter.replacen(&usual, &listen, 1);
    let (begin, end) = match format {
        Format::Yaml => ("\nproviders:\n", "\nlogging:\n"),
        Format::Toml => ("\n# Anthropic,", "\n[logging]\n"),
    };
    let broken = || {
        let message = "the starter file does not take the answers";
        Failure::new(Exit::Failed, "internal", message).help("this is a bug of cc-relay")
    };
    let (head, rest) = text.split_once(begin).ok_or_else(broken)?;
    let (_, tail) = rest.split_once(end).ok_or_else(broken)?;
    let mut out = format!("{head}\n");
    if format == Format::Yaml {
        out.push_str("providers:\n");
    }
    for (number, chosen) in answers.providers.iter().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        match format {
            Format::Yaml => yaml(&mut out, chosen),
            Format::Toml => toml(&mut out, chosen),
        }
    }
    if let Some((name, what)) = answers.strategy {
        let line = match format {
            Format::Yaml => format!("\nrouting:\n  # {what}\n  strategy: {name}\n"),
            Format::Toml => format!("\n[routing]\n# {what}\nstrategy = \"{name}\"\n"),
        };
        out.push_str(&line);
    }
    out.push_str(end);
    out.push_str(tail);
    let plan = parse(&out, format, answers, &Environment::default())?;
    if is_answered(&plan, answers) {
        Ok(out)
    } else {
        Err(broken())
    }
}

fn yaml(out: &mut String, chosen: &Chosen) {
    let Chosen { vendor, .. } = chosen;
    let mut line = |text: &str| {
        out.push_str("  ");
        out.push_str(text);
        out.push('\n');
    };
    line(&format!("# {}", vendor.title));
    line(&format!("- name: {}", vendor.name));
    line(&format!("  type: {}", vendor.name));
    for (name, value) in &chosen.settings {
        line(&format!("  {name}: {}", quoted(value)));
    }
    if chosen.keys.is_empty() {
        if vendor.name == "anthropic" {
            line("  # A key of the relay's own, used for clients that bring none.");
            line("  #keys:");
            line("    #- key: ${ANTHROPIC_API_KEY}");
        }
    } else {
        line("  keys:");
        for key in &chosen.keys {
            line(&format!("    - key: ${{{key}}}"));
        }
    }
    line("  # Ask for the left, send the right.");
    if let Some(model) = &chosen.model {
        line("  model_mapping:");
        line(&format!("    \"claude-*\": {}", quoted(model)));
    } else {
        line("  #model_mapping:");
        line("    #claude-3-5-haiku-latest: claude-haiku-4-5");
    }
}

fn toml(out: &mut String, chosen: &Chosen) {
    let Chosen { vendor, .. } = chosen;
    let mut line = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    line(&format!("# {}", vendor.title));
    line("[[providers]]");
    line(&format!("name = \"{}\"", vendor.name));
    line(&format!("type = \"{}\"", vendor.name));
    for (name, value) in &chosen.settings {
        line(&format!("{name} = {}", quoted(value)));
    }
    if chosen.keys.is_empty() && vendor.name == "anthropic" {
        line("# A key of the relay's own, used for clients that bring none.");
        line("#[[providers.keys]]");
        line("#key = \"${ANTHROPIC_API_KEY}\"");
    }
    for key in &chosen.keys {
        line("[[providers.keys]]");
        line(&format!("key = \"${{{key}}}\""));
    }
    line("# Ask for the left, send the right.");
    if let Some(model) = &chosen.model {
        line("[providers.model_mapping]");
        line(&format!("\"claude-*\" = {}", quoted(model)));
    } else {
        line("#[providers.model_mapping]");
        line("#claude-3-5-haiku-latest = \"claude-haiku-4-5\"");
    }
}

/// Writes a text as a JSON string, which YAML and TOML both read; `${` stands for itself.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.replace("${", "$${")).to_string()
}

/// Reads the file as the relay will. Where a variable is not set, any value does.
///
/// # Errors
/// If the file has faults.
pub(super) fn parse(
    text: &str,
    format: Format,
    answers: &Answers,
    env: &Environment,
) -> Result<Plan, Failure> {
    let keys = answers.providers.iter().flat_map(|it| &it.keys);
    let value = |name: &String| {
        let set = env.get(name).filter(|it| !it.is_empty());
        set.map_or_else(|| format!("sk-ant-any-value-of-{name}"), str::to_owned)
    };
    let names: HashMap<String, String> = keys.map(|name| (name.clone(), value(name))).collect();
    relay_config::parse("the starter", text, format, &names).map_err(|faults| invalid(&faults, 0))
}

fn is_answered(plan: &Plan, answers: &Answers) -> bool {
    let providers = plan.providers.iter().zip(&answers.providers);
    let same = providers
        .clone()
        .filter(|(plan, wanted)| {
            plan.name == wanted.vendor.name && plan.keys.len() == wanted.keys.len()
        })
        .count();
    plan.server.listen == answers.listen
        && plan.providers.len() == answers.providers.len()
        && same == answers.providers.len()
}
