//! Every YAML and TOML snippet of the documentation is checked by the program itself.
//!
//! A fence says what it is: `test="config"` must load, `test="invalid"` must not. One that says
//! neither is an error, so that no snippet escapes.
#![expect(clippy::unwrap_used, reason = "test code")]

use std::fs;
use std::path::{Path, PathBuf};

use relay_config::{Env, Format, Refused, parse, schema};
use serde_json::Value;

/// Has a value for whatever a snippet names, but for what it names as missing.
struct AnyEnv;

impl Env for AnyEnv {
    fn var(&self, name: &str) -> Option<String> {
        match name {
            "A_VARIABLE_NEVER_SET" | "LISTEN" | "TIMEOUT_MS" => None,
            name if name.ends_with("_FILE") => Some(format!("{}/Cargo.toml", crate_folder())),
            _ => Some(format!("a-credential-0123456789-{name}")),
        }
    }

    fn keychain(&self, service: &str, account: &str) -> Result<String, Refused> {
        Ok(format!("a-credential-0123456789-{service}-{account}"))
    }
}

fn crate_folder() -> &'static str {
    env!("CARGO_MANIFEST_DIR")
}

fn root() -> PathBuf {
    Path::new(crate_folder()).join("../..")
}

/// A fenced block: the words after its backticks, its text, and its place.
struct Fence {
    info: String,
    text: String,
    place: String,
}

fn fences(path: &Path) -> Vec<Fence> {
    let page = fs::read_to_string(path).unwrap();
    let mut found: Vec<Fence> = Vec::new();
    let mut open: Option<Fence> = None;
    for (index, line) in page.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(info), None) => {
                let place = format!("{}:{}", path.display(), index + 1);
                open = Some(Fence {
                    info: info.trim().to_owned(),
                    text: String::new(),
                    place,
                });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some(fence)) => fence.text = format!("{}{line}\n", fence.text),
            (None, None) => {}
        }
    }
    assert!(
        open.is_none(),
        "a fence is not closed in {}",
        path.display()
    );
    found
}

fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> = docs
        .filter(|path| path.extension().is_some_and(|kind| kind == "md"))
        .collect();
    pages.extend(Some(root().join("README.md")).filter(|path| path.is_file()));
    pages.sort();
    pages
}

#[test]
fn every_snippet_is_what_it_says() {
    let mut checked = 0_usize;
    for fence in pages().iter().flat_map(|page| fences(page)) {
        let mut words = fence.info.split_whitespace();
        let format = match words.next() {
            Some("yaml" | "yml") => Format::Yaml,
            Some("toml") => Format::Toml,
            _ => continue,
        };
        let result = parse(&fence.place, &fence.text, format, &AnyEnv);
        match words.next() {
            Some("test=\"config\"") => {
                assert!(result.is_ok(), "{}\n{}", fence.place, result.unwrap_err());
            }
            Some("test=\"invalid\"") => assert!(result.is_err(), "{} is valid", fence.place),
            _ => panic!("{}: say test=\"config\" or test=\"invalid\"", fence.place),
        }
        checked += 1;
    }
    assert!(checked >= 6, "only {checked} snippets were found");
}

/// The faults that the page shows are those of the snippet above them.
#[test]
fn the_shown_faults_are_true() {
    let fences = fences(&root().join("docs/configuration.md"));
    let shown = fences
        .windows(2)
        .find(|pair| pair.last().is_some_and(|f| f.info == "text"));
    let [snippet, output] = shown.unwrap() else {
        panic!("windows of two")
    };
    let faults = parse("config.yaml", &snippet.text, Format::Yaml, &AnyEnv).unwrap_err();
    assert_eq!(faults.render(false), output.text);
}

fn keys(value: &Value, out: &mut Vec<String>) {
    if let Some(properties) = value.get("properties").and_then(Value::as_object) {
        out.extend(properties.keys().cloned());
    }
    match value {
        Value::Object(entries) => entries.values().for_each(|value| keys(value, out)),
        Value::Array(items) => items.iter().for_each(|value| keys(value, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_reference_names_every_key_and_every_code() {
    let page = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let mut all = Vec::new();
    keys(&schema(), &mut all);
    assert!(all.len() > 50);
    for key in all {
        // Sections are headings.
        assert!(
            page.contains(&format!("`{key}`")) || page.contains(&format!("## {key}")),
            "docs/configuration.md does not name `{key}`"
        );
    }
    let mut sources = vec![root().join("crates/config/src")];
    let mut codes = 0_usize;
    while let Some(path) = sources.pop() {
        if path.is_dir() {
            sources.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        for quoted in fs::read_to_string(&path).unwrap().split('"') {
            let is_code = quoted.strip_prefix("config::").is_some_and(|code| {
                !code.is_empty() && code.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            });
            if is_code {
                codes += 1;
                assert!(
                    page.contains(&format!("`{quoted}`")),
                    "{quoted} of {}",
                    path.display()
                );
            }
        }
    }
    assert!(codes > 20);
}

#[test]
fn every_type_of_upstream_is_told_of() {
    let read = |file: &str| fs::read_to_string(root().join(file)).unwrap();
    let reference = read("docs/configuration.md");
    let row = reference
        .lines()
        .find(|line| line.starts_with("| `type` |"));
    let (row, providers) = (row.unwrap(), read("docs/providers.md"));
    let schema = schema();
    let types = schema["$defs"]["Kind"]["enum"].as_array().unwrap();
    assert!(types.len() > 10, "the schema was not read: {types:?}");
    for name in types.iter().map(|it| it.as_str().unwrap()) {
        assert!(
            row.contains(&format!("`{name}`")),
            "docs/configuration.md: {name}"
        );
        let heading = format!("\n## {name}\n");
        assert!(
            providers.contains(&heading),
            "docs/providers.md has no section {name}"
        );
        for file in ["example.yaml", "example.toml"] {
            let text = read(file);
            let list = text.split_once("Its dialect: ").unwrap().1;
            let list = list.split_once("Needed").unwrap().0;
            let mut words = list.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            assert!(
                words.any(|word| word == name),
                "{file} does not list {name}"
            );
        }
    }
}
