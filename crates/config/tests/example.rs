//! The example is the reference: it loads, it is whole, and every key in it has an effect.
#![expect(clippy::unwrap_used, reason = "test code")]

use std::collections::{BTreeSet, HashMap};

use relay_config::{CloudPlan, Format, Plan, SelectionPlan, parse, schema, settings, show};
use serde_json::{Value, json};

const YAML: &str = include_str!("../../../example.yaml");
const TOML: &str = include_str!("../../../example.toml");

/// Keys that say what another key says, so that a file may not hold both.
const OLDER: [&str; 3] = [
    "server.api_key",
    "routing.failover_timeout",
    "logging.pretty",
];

/// A file that is there, for keys that name one.
fn here(file: &str) -> String {
    format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))
}

fn env() -> HashMap<String, String> {
    [
        ("CC_RELAY_API_KEY", "client-key-0123456789".to_owned()),
        ("CC_RELAY_BEARER", "client-bearer-0123456789".to_owned()),
        ("CC_RELAY_KEY_ANA", "client-ana-0123456789".to_owned()),
        ("ANTHROPIC_API_KEY", "sk-ant-0123456789a91f".to_owned()),
        ("CC_RELAY_GATEWAY_KEY", "gateway-0123456789".to_owned()),
        ("CC_RELAY_AWS_SECRET", "aws-secret-0123456789".to_owned()),
        ("CC_RELAY_AWS_TOKEN", "aws-token-0123456789".to_owned()),
        (
            "CC_RELAY_AZURE_SECRET",
            "azure-secret-0123456789".to_owned(),
        ),
        ("CC_RELAY_CERT_FILE", here("Cargo.toml")),
        ("CC_RELAY_KEY_FILE", here("Cargo.toml")),
        ("CC_RELAY_CA_FILE", here("Cargo.toml")),
        (
            "CC_RELAY_TRACES_AUTHORIZATION",
            "Bearer traces-0123456789".to_owned(),
        ),
        (
            "CC_RELAY_MANAGE_TOKEN",
            "manage-0123456789abcdef".to_owned(),
        ),
        ("CC_RELAY_PRICE_LIST", here("../core/data/prices.json")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Puts the keys behind a bare `#` in force.
fn whole(text: &str) -> String {
    let enable = |line: &str| {
        let disabled = line.trim_start().strip_prefix('#');
        let is_key = disabled.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(' '));
        if is_key {
            line.replacen('#', "", 1)
        } else {
            line.to_owned()
        }
    };
    let text = text.lines().map(enable).collect::<Vec<_>>().join("\n");
    // Budgets, which stand behind a bare `#`, need the history, which is off without them.
    let Some((before, after)) = text.split_once("history") else {
        return text;
    };
    let after = after
        .replacen("enabled: false", "enabled: true", 1)
        .replacen("enabled = false", "enabled = true", 1);
    format!("{before}history{after}")
}

/// Writes a plan without what belongs to its text rather than its meaning.
fn meaning(plan: &Plan) -> String {
    let mut plan = plan.clone();
    plan.digest.clear();
    plan.warnings.clear();
    format!("{plan:#?}")
}

fn warnings(plan: &Plan) -> BTreeSet<String> {
    plan.warnings
        .iter()
        .map(|warning| format!("{}: {}", warning.message, warning.fix))
        .collect()
}

#[test]
fn yaml_and_toml_mean_the_same() {
    let yaml = parse("example.yaml", YAML, Format::Yaml, &env()).unwrap();
    let toml = parse("example.toml", TOML, Format::Toml, &env()).unwrap();
    assert_eq!(meaning(&yaml), meaning(&toml));
    assert_eq!(warnings(&yaml), warnings(&toml));
    assert_ne!(yaml.digest, toml.digest);
    assert_eq!(yaml.digest.len(), 6);
}

#[test]
fn the_whole_example_conflicts_in_its_older_names_only() {
    for (text, format) in [(YAML, Format::Yaml), (TOML, Format::Toml)] {
        let faults = parse("example", &whole(text), format, &env()).unwrap_err();
        let paths: Vec<_> = faults
            .iter()
            .map(|fault| (fault.code, fault.path.as_str()))
            .collect();
        assert_eq!(paths, OLDER.map(|path| ("config::conflict", path)));
    }
}

#[test]
fn its_values_are_the_defaults() {
    let plan = parse("example.yaml", YAML, Format::Yaml, &env()).unwrap();
    let default = Plan::transparent();
    let mut example = plan.clone();
    example.digest.clone_from(&default.digest);
    example.server.workers = None;
    example.server.auth.client_keys.clear();
    assert!(example.providers.split_off(1).iter().all(|it| !it.enabled));
    let provider = &mut example.providers[0];
    let (key, pooling) = (provider.keys.remove(0), &mut provider.pooling);
    assert_eq!((key.weight, key.priority), (1, 0));
    assert_eq!(
        pooling.strategy.take().map(SelectionPlan::as_str),
        Some("least_loaded")
    );
    provider.model_mapping.clear();
    provider.models.clear();
    provider.max_body_bytes = None;
    example.routing.default_provider = None;
    example.routing.model_mapping.clear();
    example.routing.models.clear();
    example.history.file = None;
    let file = example.logging.file.take().unwrap();
    assert_eq!(meaning(&example), meaning(&default));
    assert_eq!((file.max_bytes, file.keep), (10 << 20, 5));
}

/// Collects the path of every key in the schema, `[]` standing for any entry.
fn schema_paths(schema: &Value, at: &Value, path: &str, out: &mut BTreeSet<String>) {
    if let Some(reference) = at["$ref"].as_str() {
        return schema_paths(
            schema,
            schema.pointer(reference.trim_start_matches('#')).unwrap(),
            path,
            out,
        );
    }
    if let Some(some) = at["anyOf"].as_array().and_then(|any| any.first()) {
        return schema_paths(schema, some, path, out);
    }
    if at["items"].is_object() {
        return schema_paths(schema, &at["items"], &format!("{path}[]"), out);
    }
    for (key, value) in at["properties"].as_object().into_iter().flatten() {
        let child = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        out.insert(child.clone());
        schema_paths(schema, value, &child, out);
    }
}

fn value_paths(value: &Value, path: &str, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let child = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                out.insert(child.clone());
                value_paths(value, &child, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                value_paths(item, &format!("{path}[]"), out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_key_of_the_schema_is_in_the_example() {
    let schema = schema();
    let (mut wanted, mut found) = (BTreeSet::new(), BTreeSet::new());
    schema_paths(&schema, &schema, "", &mut wanted);
    assert!(wanted.len() > 50, "the schema was not walked: {wanted:?}");
    value_paths(&example(), "", &mut found);
    found.retain(|path| !path.contains("model_mapping."));
    let missing: Vec<_> = wanted.difference(&found).collect();
    assert!(missing.is_empty(), "not in example.yaml: {missing:?}");
    let unknown: Vec<_> = found.difference(&wanted).collect();
    assert!(unknown.is_empty(), "in example.yaml alone: {unknown:?}");
}

/// Collects the keys of the schema without a description.
fn undescribed(value: &Value, out: &mut Vec<String>) {
    let properties = value.get("properties").and_then(Value::as_object);
    for (key, value) in properties.into_iter().flatten() {
        if value.get("description").is_none() {
            out.push(key.clone());
        }
    }
    match value {
        Value::Object(entries) => entries.values().for_each(|it| undescribed(it, out)),
        Value::Array(items) => items.iter().for_each(|it| undescribed(it, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Editors show it: it is the comment of the field in `raw`.
#[test]
fn every_key_of_the_schema_is_described() {
    let mut without = Vec::new();
    undescribed(&schema(), &mut without);
    assert!(without.is_empty(), "no comment in raw: {without:?}");
}

#[test]
fn every_key_of_the_example_has_a_comment() {
    let lines: Vec<_> = YAML.lines().map(str::trim).collect();
    // What a further entry of a list says again needs no second comment.
    let mut known = BTreeSet::new();
    for pair in lines.windows(2) {
        let key = pair[1]
            .trim_start_matches('#')
            .split_once(':')
            .map(|(key, _)| key);
        let is_key = !pair[1].starts_with("# ") && key.is_some_and(|key| !key.contains(' '));
        let top = ["server:", "logging:"].contains(&pair[1]);
        let mapped = pair[0] == "model_mapping:";
        let is_new = key.is_some_and(|key| known.insert(key.trim_start_matches("- ").to_owned()));
        assert!(
            !is_key || !is_new || top || mapped || pair[0].starts_with("# "),
            "{}",
            pair[1]
        );
    }
}

fn example() -> Value {
    serde_saphyr::from_str(&whole(YAML)).unwrap()
}

/// Returns another good value for a place.
fn other(pointer: &str, value: &Value) -> Option<Value> {
    Some(match pointer.rsplit('/').next().unwrap() {
        "strategy" if pointer == "/routing/strategy" => json!("shuffle"),
        "strategy" => json!("weighted"),
        "enabled" if value == "auto" => json!(false),
        "listen" | "web_listen" | "prometheus_listen" => json!("127.0.0.1:1"),
        "prometheus_endpoint" => json!("/other"),
        "proxy" => json!("none"),
        "http_version" => json!("http1"),
        "level" => json!("debug"),
        "format" => json!("json"),
        "protocol" => json!("http"),
        "endpoint" => json!("http://127.0.0.1:1"),
        "base_url" | "mantle_base_url" => json!("https://example.com"),
        "prewarm" => json!(2),
        "type" => json!("ollama"),
        "key_header" => json!("x-api-key"),
        "anthropic_version" => json!("2024-10-22"),
        "count_tokens" => json!("native"),
        "runtime" => json!("invoke"),
        // Kept for older files: a warning says that it is not sent.
        "azure_api_version" => return None,
        "role" => json!("read"),
        "per" => json!("session"),
        "period" => json!("day"),
        "usd" => json!("26"),
        "list" => json!(here("tests/prices.json")),
        "cert_file" | "key_file" | "ca_file" | "client_ca_file" => json!(here("src/lib.rs")),
        "keep" | "workers" | "sample_percent" => json!(7),
        _ => match value {
            Value::Bool(flag) => json!(!flag),
            Value::Number(number) => json!(number.as_u64().unwrap() + 1),
            Value::String(_) => json!("other-0123456789"),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        },
    })
}

fn leaves(value: &Value, pointer: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            entries
                .iter()
                .for_each(|(key, value)| leaves(value, &format!("{pointer}/{key}"), out));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{pointer}/{index}"), out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push(pointer.to_owned());
        }
    }
}

/// Faults that only a value that was read can have.
const READ: [&str; 4] = [
    "config::conflict",
    "config::unknown_client",
    "config::no_provider",
    "config::unknown_provider",
];

/// Changes each key of the example and looks whether the plan changes with it.
#[test]
fn no_key_is_unread() {
    let mut start = example();
    start["server"].as_object_mut().unwrap().remove("api_key");
    start["logging"].as_object_mut().unwrap().remove("pretty");
    start["routing"]
        .as_object_mut()
        .unwrap()
        .remove("failover_timeout");
    let read = |value: &Value| parse("c", &value.to_string(), Format::Yaml, &env());
    let plan = read(&start).unwrap();
    let (before, shown) = (meaning(&plan), settings(&plan));
    let mut pointers = Vec::new();
    leaves(&start, "", &mut pointers);
    assert!(pointers.len() > 40);
    for pointer in pointers {
        let mut changed = start.clone();
        let Some(value) = other(&pointer, start.pointer(&pointer).unwrap()) else {
            continue;
        };
        *changed.pointer_mut(&pointer).unwrap() = value;
        let after = read(&changed);
        let differs = match &after {
            Ok(plan) => {
                // What is not shown is no change to whoever reloads, compares or asks.
                let is_shown = settings(plan) != shown;
                assert!(is_shown, "{pointer} changes nothing of what `show` shows");
                meaning(plan) != before
            }
            // Each says that the value was read: it clashes with another, or names none there is.
            Err(faults) => faults.iter().all(|fault| READ.contains(&fault.code)),
        };
        assert!(
            differs,
            "{pointer} changes nothing: {:?}",
            after.map(|plan| meaning(&plan))
        );
    }
}

#[test]
fn the_older_names_are_read() {
    let read = |text: &str| parse("c", text, Format::Yaml, &env()).unwrap();
    let key = read("server: {api_key: '${CC_RELAY_API_KEY}'}");
    assert_eq!(
        key.server.auth.client_keys[0].secret.expose(),
        "client-key-0123456789"
    );
    assert!(key.warnings[0].fix.contains("server.auth.api_key"));
    for (word, want) in [("true", "Pretty"), ("false", "Json")] {
        let plan = read(&format!("logging: {{pretty: {word}}}"));
        assert_eq!(format!("{:?}", plan.logging.format), want);
    }
}

fn forget(cloud: &mut CloudPlan) {
    let x = || relay_core::secret::Secret::new("x");
    match cloud {
        CloudPlan::Aws(aws) => {
            let key = aws.access_key.as_mut().into_iter();
            key.for_each(|key| (key.secret, key.session_token) = (x(), Some(x())));
        }
        CloudPlan::Azure(azure) => {
            let application = azure.application.as_mut().into_iter();
            application.for_each(|application| application.secret = x());
        }
        CloudPlan::Google(_) | CloudPlan::None => {}
    }
}

/// What is shown loads again, but for the masked credentials, and means the same.
#[test]
fn show_is_a_configuration_again() {
    let text = whole(YAML).replacen("  api_key: ${CC_RELAY_API_KEY}\n", "", 1);
    let text = text.replacen("  pretty: true\n", "", 1);
    let text = text.replacen("  failover_timeout: 3m\n", "", 1);
    let plan = parse("c", &text, Format::Yaml, &env()).unwrap();
    let shown = show(&plan);
    for secret in plan.server.auth.client_keys.iter().map(|key| &key.secret) {
        assert!(!shown.contains(secret.expose()), "{shown}");
    }
    assert!(
        shown.contains("…a91f") && !shown.contains("sk-ant"),
        "{shown}"
    );
    let unmasked = shown.replace('…', "sk-0123456789-");
    let again = parse("c", &unmasked, Format::Yaml, &env()).unwrap();
    let mut both = [plan, again];
    for plan in &mut both {
        plan.server.auth.client_keys.iter_mut().for_each(|key| {
            key.secret = relay_core::secret::Secret::new("x");
        });
        for provider in &mut plan.providers {
            for key in &mut provider.keys {
                key.secret = relay_core::secret::Secret::new("x");
            }
            forget(&mut provider.cloud);
        }
        for token in &mut plan.grpc.tokens {
            token.secret = relay_core::secret::Secret::new("x");
        }
        plan.traces.headers.iter_mut().for_each(|header| {
            header.value = relay_core::secret::Secret::new("x");
        });
    }
    assert_eq!(meaning(&both[0]), meaning(&both[1]));
}

#[test]
fn the_transparent_plan_shows_and_loads() {
    let shown = show(&Plan::transparent());
    let again = parse("c", &shown, Format::Yaml, &env()).unwrap();
    assert_eq!(meaning(&again), meaning(&Plan::transparent()));
    assert!(shown.starts_with("# no file ("));
}

#[test]
fn the_template_loads_as_it_is_and_with_all_it_offers() {
    let plan = parse("t", relay_config::TEMPLATE, Format::Yaml, &env()).unwrap();
    assert_eq!(meaning(&plan), meaning(&Plan::transparent()));
    let plan = parse("t", &whole(relay_config::TEMPLATE), Format::Yaml, &env()).unwrap();
    assert_eq!(plan.server.auth.client_keys.len(), 1);
    assert_eq!(plan.providers[0].keys.len(), 1);
    assert_eq!(plan.providers[0].model_mapping.len(), 1);
}
