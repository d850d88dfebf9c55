//! Which crate may depend on which.
//!
//! In: `cargo metadata`. Out: the faults. The table `LAYERS` is the rule;
//! a crate without a row is a fault, so that a new boundary is decided and
//! not drifted into. It must never look at source text: what cargo resolves
//! is what counts.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::shell;

/// What one crate of ours may use.
struct Layer {
    name: &'static str,
    /// Crates of ours it may depend on.
    may_use: &'static [&'static str],
    /// Crates of ours that only its tests may use.
    tests_may_use: &'static [&'static str],
    /// Foreign crates that it must not pull in, even through another.
    forbids: &'static [&'static str],
}

/// Runtimes and sockets: what makes a crate impure.
const IO: &[&str] = &[
    "tokio",
    "hyper",
    "hyper-util",
    "reqwest",
    "mio",
    "socket2",
    "rand",
    "getrandom",
];

/// What would make the configuration's written form reach the data path.
const FORMS: &[&str] = &["serde-saphyr", "toml", "toml_edit", "schemars", "clap"];

const LAYERS: &[Layer] = &[
    Layer {
        name: "relay-core",
        may_use: &[],
        tests_may_use: &[],
        forbids: IO,
    },
    Layer {
        name: "relay-providers",
        may_use: &["relay-core"],
        tests_may_use: &[],
        forbids: IO,
    },
    Layer {
        name: "relay-proxy",
        may_use: &["relay-core"],
        tests_may_use: &["relay-sim"],
        forbids: FORMS,
    },
    Layer {
        name: "relay-config",
        may_use: &["relay-core"],
        tests_may_use: &[],
        forbids: &["tokio", "hyper", "hyper-util"],
    },
    Layer {
        name: "relay-store",
        may_use: &["relay-core"],
        tests_may_use: &[],
        forbids: &["tokio", "hyper", "hyper-util", "clap"],
    },
    // The vendors' SDKs stay behind it: nothing else sees their types.
    Layer {
        name: "relay-identity",
        may_use: &["relay-core"],
        tests_may_use: &["relay-sim"],
        // Not FORMS: Google's SDK names schemars as an option of an option.
        forbids: &["serde-saphyr", "toml", "toml_edit", "clap"],
    },
    Layer {
        name: "relay-metrics",
        may_use: &["relay-core"],
        tests_may_use: &[],
        forbids: IO,
    },
    Layer {
        name: "relay-traces",
        may_use: &["relay-core"],
        tests_may_use: &[],
        forbids: FORMS,
    },
    // The management API's messages and client: they mean nothing by themselves.
    Layer {
        name: "relay-api",
        may_use: &[],
        tests_may_use: &[],
        forbids: FORMS,
    },
    Layer {
        name: "relay-manage",
        may_use: &[
            "relay-core",
            "relay-proxy",
            "relay-config",
            "relay-store",
            "relay-api",
        ],
        tests_may_use: &[],
        forbids: &["clap"],
    },
    // A viewer: it knows the relay by its API alone.
    Layer {
        name: "relay-tui",
        may_use: &["relay-api"],
        tests_may_use: &[],
        forbids: FORMS,
    },
    // An independent witness: it shares no code with what it tests.
    Layer {
        name: "relay-sim",
        may_use: &[],
        tests_may_use: &[],
        forbids: &[],
    },
    Layer {
        name: "cc-relay",
        may_use: &[
            "relay-core",
            "relay-providers",
            "relay-proxy",
            "relay-config",
            "relay-store",
            "relay-identity",
            "relay-metrics",
            "relay-traces",
            "relay-api",
            "relay-manage",
            "relay-tui",
            "relay-sim",
        ],
        tests_may_use: &[],
        forbids: &[],
    },
    Layer {
        name: "relay-bench",
        // It replays days of decisions against the witness's upstream, and watches as a dashboard does.
        may_use: &["relay-api", "relay-core", "relay-sim"],
        tests_may_use: &[],
        forbids: &[],
    },
    Layer {
        name: "xtask",
        may_use: &[],
        tests_may_use: &[],
        forbids: IO,
    },
];

/// Asks cargo for the resolved dependencies.
///
/// # Errors
/// Cargo failed, or the lock file is stale.
pub(super) fn metadata() -> Result<Value> {
    let text = shell::output(&mut shell::cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--locked",
    ]))?;
    serde_json::from_str(&text).context("cargo metadata is not JSON")
}

/// Checks the table against what cargo resolved.
pub(super) fn check(metadata: &Value) -> Vec<String> {
    let graph = Graph::read(metadata);
    let mut faults = Vec::new();
    for id in &graph.ours {
        let Some(name) = graph.names.get(id) else {
            continue;
        };
        match LAYERS.iter().find(|layer| layer.name == name) {
            Some(layer) => faults.extend(graph.faults(id, layer)),
            None => faults.push(format!(
                "{name}: no row in the layer table (xtask/src/tidy/layers.rs)"
            )),
        }
    }
    faults
}

/// Returns the list at a place in a document; a place that is not there is empty.
fn list<'a>(value: &'a Value, place: &str) -> &'a [Value] {
    value
        .pointer(place)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Returns the text at a place in a document; a place that is not there is empty.
fn text(value: &Value, place: &str) -> String {
    value
        .pointer(place)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Who uses whom, by package id.
#[derive(Default)]
struct Graph {
    ours: Vec<String>,
    names: BTreeMap<String, String>,
    /// Used by the crate itself, or when it is built.
    normal: BTreeMap<String, Vec<String>>,
    /// Used by its tests alone.
    tests: BTreeMap<String, Vec<String>>,
}

impl Graph {
    fn read(metadata: &Value) -> Self {
        let mut graph = Self::default();
        for id in list(metadata, "/workspace_members") {
            graph.ours.push(id.as_str().unwrap_or_default().to_owned());
        }
        for package in list(metadata, "/packages") {
            graph
                .names
                .insert(text(package, "/id"), text(package, "/name"));
        }
        for node in list(metadata, "/resolve/nodes") {
            for dependency in list(node, "/deps") {
                let kinds = list(dependency, "/dep_kinds");
                let only_tests =
                    !kinds.is_empty() && kinds.iter().all(|kind| text(kind, "/kind") == "dev");
                let side = if only_tests {
                    &mut graph.tests
                } else {
                    &mut graph.normal
                };
                side.entry(text(node, "/id"))
                    .or_default()
                    .push(text(dependency, "/pkg"));
            }
        }
        graph
    }

    fn faults(&self, id: &str, layer: &Layer) -> Vec<String> {
        let mut faults = Vec::new();
        let uses = |side: &BTreeMap<String, Vec<String>>| side.get(id).cloned().unwrap_or_default();
        let sides = [
            (uses(&self.normal), layer.may_use, ""),
            (uses(&self.tests), layer.tests_may_use, "'s tests"),
        ];
        for (targets, allowed, who) in sides {
            for target in targets.iter().filter(|target| self.ours.contains(target)) {
                let Some(name) = self.names.get(target) else {
                    continue;
                };
                if !allowed.contains(&name.as_str()) && !layer.may_use.contains(&name.as_str()) {
                    faults.push(format!("{}{who}: may not depend on {name}", layer.name));
                }
            }
        }
        for (name, by) in self.pulled_in(id) {
            if layer.forbids.contains(&name.as_str()) {
                faults.push(format!(
                    "{}: may not pull in {name} (through {by})",
                    layer.name
                ));
            }
        }
        faults
    }

    /// Returns the name of all that a crate needs to run, each with the name of one that wants it.
    fn pulled_in(&self, id: &str) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut left = vec![id.to_owned()];
        while let Some(id) = left.pop() {
            let by = self.names.get(&id).cloned().unwrap_or_default();
            for target in self.normal.get(&id).into_iter().flatten() {
                if let Some(name) = self.names.get(target) {
                    found.entry(name.clone()).or_insert_with(|| by.clone());
                }
                if seen.insert(target.clone()) {
                    left.push(target.clone());
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check;

    /// A workspace in which `from` uses `to` in the given way (null: normally).
    fn workspace(ours: &[&str], foreign: &[&str], edges: &[(&str, &str, Value)]) -> Value {
        let all: Vec<&&str> = ours.iter().chain(foreign).collect();
        let packages: Vec<Value> = all
            .iter()
            .map(|name| json!({"id": name, "name": name}))
            .collect();
        let nodes: Vec<Value> = all
            .iter()
            .map(|name| {
                let deps: Vec<Value> = edges
                    .iter()
                    .filter(|(from, _, _)| *from == **name)
                    .map(|(_, to, kind)| json!({"pkg": to, "dep_kinds": [{"kind": kind}]}))
                    .collect();
                json!({"id": name, "deps": deps})
            })
            .collect();
        json!({"workspace_members": ours, "packages": packages, "resolve": {"nodes": nodes}})
    }

    #[test]
    fn what_the_table_allows_is_no_fault() {
        let edges = [
            ("relay-proxy", "relay-core", Value::Null),
            ("relay-proxy", "relay-sim", json!("dev")),
            ("relay-proxy", "tokio", Value::Null),
            ("relay-core", "tokio", json!("dev")),
        ];
        let good = workspace(
            &["relay-core", "relay-proxy", "relay-sim"],
            &["tokio"],
            &edges,
        );
        assert_eq!(check(&good), Vec::<String>::new());
    }

    #[test]
    fn a_forbidden_layer_is_a_fault() {
        let bad = workspace(
            &["relay-core", "relay-sim"],
            &[],
            &[("relay-sim", "relay-core", json!("dev"))],
        );
        assert_eq!(
            check(&bad),
            ["relay-sim's tests: may not depend on relay-core"]
        );
        let bad = workspace(
            &["relay-proxy", "relay-sim"],
            &[],
            &[("relay-proxy", "relay-sim", Value::Null)],
        );
        assert_eq!(check(&bad), ["relay-proxy: may not depend on relay-sim"]);
    }

    #[test]
    fn a_runtime_pulled_in_through_another_crate_is_a_fault() {
        let edges = [
            ("relay-core", "innocent", Value::Null),
            ("innocent", "tokio", Value::Null),
        ];
        let bad = workspace(&["relay-core"], &["innocent", "tokio"], &edges);
        assert_eq!(
            check(&bad),
            ["relay-core: may not pull in tokio (through innocent)"]
        );
    }

    #[test]
    fn a_crate_without_a_row_is_a_fault() {
        let faults = check(&workspace(&["relay-utils"], &[], &[]));
        assert_eq!(
            faults,
            ["relay-utils: no row in the layer table (xtask/src/tidy/layers.rs)"]
        );
    }
}
