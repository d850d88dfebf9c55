//! What is different between two plans, setting by setting.
//!
//! In: two plans, or what [`settings`] says of them. Out: the settings that one has and the other
//! has not, and those that have other values. Entries of a list that have a name are the same entry
//! wherever they stand. A credential is known by its digest: never by itself.

use std::collections::BTreeMap;
use std::fmt;

use relay_core::secret::Secret;

use crate::load::Format;
use crate::plan::{CloudPlan, Plan};
use crate::show::show;
use crate::tree::{self, Kind, Node};

/// A difference in one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The setting, such as `providers[zai].keys[k3].weight`.
    pub path: String,
    /// What it was, or `None` if it was not there.
    pub before: Option<String>,
    /// What it is, or `None` if it is not there.
    pub after: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match (&self.before, &self.after) {
            (None, Some(_)) if path.ends_with(']') => write!(f, "+{path}"),
            (None, Some(after)) => write!(f, "+{path}: {after}"),
            (Some(_), None) => write!(f, "-{path}"),
            (before, after) => {
                let shown = |value: &Option<String>| value.clone().unwrap_or_default();
                write!(f, "{path} {} -> {}", shown(before), shown(after))
            }
        }
    }
}

/// Every setting of a plan by its path, defaults included. An entry that has a name stands there by
/// itself too, without a value.
pub type Settings = BTreeMap<String, String>;

/// Returns every setting of a plan, credentials as their digests.
pub fn settings(plan: &Plan) -> Settings {
    let mut settings = Settings::new();
    // What is shown is YAML of this crate's own making.
    if let Ok(tree) = tree::read(&show(plan), Format::Yaml) {
        flatten(&tree, String::new(), &mut settings);
    }
    credentials(plan, &mut settings);
    settings
}

/// Returns what is different in `after`, sorted by path. What is within an entry that is new or gone
/// is not listed by itself.
pub fn diff(before: &Plan, after: &Plan) -> Vec<Change> {
    compare(&settings(before), &settings(after))
}

/// As [`diff`], of what [`settings`] has said of two plans.
pub fn compare(before: &Settings, after: &Settings) -> Vec<Change> {
    let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut changes: Vec<Change> = Vec::new();
    for path in paths {
        let (was, is) = (before.get(path), after.get(path));
        let within = changes.last().is_some_and(|last| {
            last.path.ends_with(']')
                && last.before.is_some() != last.after.is_some()
                && path.starts_with(&last.path)
        });
        if was != is && !within {
            changes.push(Change {
                path: path.clone(),
                before: was.cloned(),
                after: is.cloned(),
            });
        }
    }
    changes
}

fn flatten(node: &Node, path: String, out: &mut Settings) {
    let value = match &node.kind {
        Kind::Map(entries) => {
            for (key, node) in entries {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(node, format!("{path}{dot}{}", key.name), out);
            }
            return;
        }
        Kind::List(items) if items.iter().all(|item| name(item).is_some()) => {
            for item in items {
                let entry = format!("{path}[{}]", name(item).unwrap_or_default());
                out.insert(entry.clone(), String::new());
                flatten(item, entry, out);
            }
            return;
        }
        Kind::List(items) => {
            let mut inside = Settings::new();
            for (index, item) in items.iter().enumerate() {
                flatten(item, format!("{index:06}"), &mut inside);
            }
            let values: Vec<&str> = inside.values().map(String::as_str).collect();
            format!("[{}]", values.join(", "))
        }
        Kind::Text(text) => text.clone(),
        Kind::Integer(number) => number.to_string(),
        Kind::Bool(value) => value.to_string(),
        Kind::Null | Kind::Float | Kind::Date => return,
    };
    out.insert(path, value);
}

fn name(node: &Node) -> Option<&str> {
    let Kind::Map(entries) = &node.kind else {
        return None;
    };
    let (_, name) = entries.iter().find(|(key, _)| key.name == "name")?;
    match &name.kind {
        Kind::Text(name) => Some(name),
        Kind::Null
        | Kind::Bool(_)
        | Kind::Integer(_)
        | Kind::Float
        | Kind::Date
        | Kind::List(_)
        | Kind::Map(_) => None,
    }
}

/// Puts digests where credentials are shown masked: two may look alike so.
fn credentials(plan: &Plan, out: &mut Settings) {
    let mut set = |path: String, secret: &Secret| {
        out.insert(path, format!("(digest {})", secret.id()));
    };
    for client in &plan.server.auth.client_keys {
        let path = format!("server.auth.client_keys[{}].key", client.name);
        set(path, &client.secret);
    }
    for token in &plan.grpc.tokens {
        let path = format!("grpc.tokens[{}].token", token.name);
        set(path, &token.secret);
    }
    for header in &plan.traces.headers {
        let path = format!("traces.headers[{}].value", header.name);
        set(path, &header.value);
    }
    for provider in &plan.providers {
        let at = format!("providers[{}]", provider.name);
        for key in &provider.keys {
            set(format!("{at}.keys[{}].key", key.name), &key.secret);
        }
        match &provider.cloud {
            CloudPlan::Aws(aws) => {
                if let Some(key) = &aws.access_key {
                    set(format!("{at}.aws_secret_access_key"), &key.secret);
                    if let Some(token) = &key.session_token {
                        set(format!("{at}.aws_session_token"), token);
                    }
                }
            }
            CloudPlan::Azure(azure) => {
                if let Some(application) = &azure.application {
                    set(format!("{at}.azure_client_secret"), &application.secret);
                }
            }
            CloudPlan::None | CloudPlan::Google(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::load::parse;

    fn plan(text: &str) -> Plan {
        let env: HashMap<String, String> = HashMap::new();
        parse("c.yaml", text, Format::Yaml, &env).unwrap_or_else(|it| panic!("{it}"))
    }

    fn changes(before: &str, after: &str) -> Vec<String> {
        let changes = diff(&plan(before), &plan(after));
        changes.iter().map(ToString::to_string).collect()
    }

    const ONE: &str = "providers: [{name: a, type: anthropic, keys: [{key: sk-ant-one-0000000000001234, name: x}]}]";

    #[test]
    fn nothing_is_different_from_itself() {
        assert_eq!(changes(ONE, ONE), [""; 0]);
    }

    #[test]
    fn settings_entries_and_credentials() {
        let other = "
server: {max_concurrent: 7}
providers:
  - {name: b, type: zai, keys: [{key: sk-zai}]}
  - {name: a, type: anthropic, keys: [{key: sk-ant-two-0000000000001234, name: x, weight: 3}, {key: sk-2, name: y}]}
";
        let found = changes(ONE, other);
        let digest = |secret: &str| Secret::new(secret.to_owned()).id().to_string();
        let (one, two) = (
            digest("sk-ant-one-0000000000001234"),
            digest("sk-ant-two-0000000000001234"),
        );
        assert_eq!(
            found,
            [
                format!("providers[a].keys[x].key (digest {one}) -> (digest {two})"),
                "providers[a].keys[x].weight 1 -> 3".to_owned(),
                "+providers[a].keys[y]".to_owned(),
                "+providers[b]".to_owned(),
                "server.max_concurrent 1024 -> 7".to_owned(),
            ]
        );
        assert_eq!(
            changes(other, ONE).last().map(String::as_str),
            Some("server.max_concurrent 7 -> 1024")
        );
        assert!(changes(other, ONE).contains(&"-providers[b]".to_owned()));
    }

    #[test]
    fn no_credential_is_among_the_settings() {
        let text = format!("{:?}", settings(&plan(ONE)));
        assert!(!text.contains("sk-ant-one"), "{text}");
    }
}
