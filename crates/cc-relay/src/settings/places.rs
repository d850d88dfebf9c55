//! Every place from which Claude Code takes the address that it sends its requests to.
//!
//! In: the environment and the present folder. Out: what each place says, the weakest first. The
//! shell is the weakest: Claude Code lets the `env` object of a settings file replace a variable
//! of its environment (measured with version 2.1.330). Nothing is changed and no credential kept.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::cli::Scope;
use crate::environment::Environment;
use crate::settings::edit::{self, Variables};
use crate::settings::scope::SCOPES;
use crate::settings::{API_KEY, AUTH_TOKEN, BASE_URL, CLOUDS, SWITCHES, Switch, mask, write};

/// Where Claude Code sends its requests when nothing is set.
pub const ANTHROPIC: &str = "https://api.anthropic.com";

/// What one place says.
#[derive(Debug, Clone, Serialize)]
pub struct Place {
    /// `shell`, `user`, `project` or `local`.
    pub scope: &'static str,
    /// The file as shown to people; null for the shell.
    pub file: Option<String>,
    /// The base URL, credentials hidden.
    pub base_url: Option<String>,
    /// The switches that it sets, by variable.
    pub switches: BTreeMap<&'static str, String>,
    /// Whether a token is set.
    pub has_token: bool,
    /// The credentials that it sets, by variable.
    pub credentials: Vec<&'static str>,
    /// The first variable that sends Claude Code to a cloud instead.
    pub cloud: Option<&'static str>,
    /// Why the file could not be read.
    pub fault: Option<String>,
    /// The base URL as it is.
    #[serde(skip)]
    pub raw_url: Option<String>,
}

/// Reads every place that can set the base URL, the weakest first.
pub fn places(env: &Environment, cwd: &Path) -> Vec<Place> {
    let mut places = vec![of_shell(env)];
    places.extend(SCOPES.iter().map(|scope| of_file(env, cwd, *scope)));
    places
}

/// Returns the place that decides; `None` when nothing is set.
pub fn winner(places: &[Place]) -> Option<&Place> {
    places.iter().rev().find(|place| place.raw_url.is_some())
}

fn of_file(env: &Environment, cwd: &Path, scope: Scope) -> Place {
    let path = scope.path(env, cwd);
    let read = write::read(&path).map_err(|error| error.to_string());
    let variables = read.and_then(|text| {
        edit::variables(text.as_deref().unwrap_or_default()).map_err(|fault| match &fault {
            edit::Fault::Syntax { line, column, .. } => {
                format!("{fault} (line {line}, column {column})")
            }
            edit::Fault::NotAnObject(_) | edit::Fault::OddValue(_) | edit::Fault::Unfaithful => {
                fault.to_string()
            }
        })
    });
    let (variables, fault) = match variables {
        Ok(variables) => (variables, None),
        Err(fault) => (Variables::new(), Some(fault)),
    };
    let text = |name: &str| {
        variables
            .get(name)
            .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
    };
    place(scope.name(), Some(env.show_path(&path)), fault, text)
}

fn of_shell(env: &Environment) -> Place {
    place("shell", None, None, |name| env.get(name).map(str::to_owned))
}

fn place(
    scope: &'static str,
    file: Option<String>,
    fault: Option<String>,
    value: impl Fn(&str) -> Option<String>,
) -> Place {
    let raw_url = value(BASE_URL);
    Place {
        scope,
        file,
        base_url: raw_url.as_deref().map(mask::url),
        switches: SWITCHES
            .into_iter()
            .filter_map(|switch| Some((switch.name, value(switch.name)?)))
            .collect(),
        has_token: value(AUTH_TOKEN).is_some(),
        credentials: [API_KEY, AUTH_TOKEN]
            .into_iter()
            .filter(|name| value(name).is_some_and(|text| !text.is_empty()))
            .collect(),
        cloud: CLOUDS
            .into_iter()
            .find(|name| value(name).is_some_and(|text| is_on(&text))),
        fault,
        raw_url,
    }
}

fn is_on(text: &str) -> bool {
    !matches!(
        text.trim().to_ascii_lowercase().as_str(),
        "" | "0" | "false" | "no" | "off"
    )
}

/// Returns the switches, each with whether it is on: the strongest place that sets it decides.
/// `places` are from the weakest to the strongest.
pub fn switches(places: &[Place]) -> impl Iterator<Item = (Switch, bool)> {
    SWITCHES.into_iter().map(|switch| {
        let set = places
            .iter()
            .rev()
            .find_map(|place| place.switches.get(switch.name));
        (switch, set.is_some_and(|value| is_on(value)))
    })
}
