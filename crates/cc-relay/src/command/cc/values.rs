//! What `config cc init` is to write: the relay's address, the switches, maybe a token.
//!
//! In: flags, configuration, environment. Out: names with checked values. An argument that may be a
//! secret by mistake is not repeated.

use serde_json::{Value, json};

use crate::cli::{CcInitArgs, Scope};
use crate::command::{Context, config};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings::{AUTH_TOKEN, BASE_URL, PLACEHOLDER, SWITCHES, mask};

/// Returns the variables to write with their values.
pub(super) fn values(
    context: &Context,
    arguments: &CcInitArgs,
) -> Result<Vec<(&'static str, Value)>, Failure> {
    let url = if let Some(url) = &arguments.url {
        checked_url(url)?
    } else {
        // A file with faults does not say where the relay is.
        config::load(context)?;
        config::endpoint(context).url()
    };
    let mut values = vec![(BASE_URL, json!(url))];
    values.extend(SWITCHES.map(|switch| (switch.name, json!(switch.value))));
    if arguments.placeholder {
        values.push((AUTH_TOKEN, json!(PLACEHOLDER)));
    }
    if let Some(name) = &arguments.token {
        values.push((
            AUTH_TOKEN,
            json!(token(context, name, arguments.change.scope)?),
        ));
    }
    Ok(values)
}

fn token(context: &Context, name: &str, scope: Scope) -> Result<String, Failure> {
    let usage =
        |message: &str, help: &str| Err(Failure::new(Exit::Usage, "token", message).help(help));
    let is_name = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        // What was given may be the token itself, so it is not repeated.
        return usage(
            "--token takes the name of an environment variable, not the token",
            "arguments are visible to other processes: export RELAY_KEY=…, then --token RELAY_KEY",
        );
    }
    if scope == Scope::Project {
        return usage(
            "a token does not belong into a file that is shared through git",
            "use --scope local or --scope user",
        );
    }
    match context.env.get(name) {
        Some(value) => Ok(value.to_owned()),
        None => usage(
            &format!("the environment variable {name} is not set"),
            &format!("export {name}=… first"),
        ),
    }
}

/// Checks the relay's URL. Claude Code adds `/v1/messages` itself.
fn checked_url(text: &str) -> Result<String, Failure> {
    let shown = mask::url(text);
    let fault =
        |message: String, help: &str| Err(Failure::new(Exit::Usage, "url", message).help(help));
    let trimmed = text.trim_end_matches('/');
    let help = "write for example --url http://127.0.0.1:8787";
    let Ok(uri) = trimmed.parse::<http::Uri>() else {
        return fault(format!("`{shown}` is not a URL"), help);
    };
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
        return fault(format!("`{shown}` is not an http or https URL"), help);
    }
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
        || uri.query().is_some()
    {
        return fault(
            format!("`{shown}` has more than an address and a path"),
            help,
        );
    }
    if uri.path().ends_with("/v1") {
        return fault(
            format!("`{shown}` ends in /v1, which Claude Code adds itself"),
            "leave /v1 away",
        );
    }
    Ok(trimmed.to_owned())
}
