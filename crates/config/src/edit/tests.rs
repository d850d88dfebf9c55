//! Edits of awkward files: what was meant is otherwise, and every other byte is as it was.

use std::collections::HashMap;

use super::*;
use crate::load::parse;

fn check(text: &str, format: Format) -> Result<Plan, Faults> {
    let env = HashMap::from([("KEY".to_owned(), "sk-env-000000001".to_owned())]);
    parse("c", text, format, &env)
}

fn edited(text: &str, format: Format, path: &str, value: &str) -> Result<String, EditError> {
    Edit {
        text,
        format,
        check: &|text| check(text, format),
    }
    .set(path, value)
}

const YAML: &str = "# mine
server:
  listen: 127.0.0.1:8787   # here
routing: {strategy: failover, max_attempts: 2}
providers:
  # the first
  - name: zai
    type: zai     # theirs
    keys:
      - key: sk-one-0000001   # old
        name: k1

      - {key: \"${KEY}\", name: k2, weight: 2}
  - {name: b, type: ollama}
";

const TOML: &str = "# mine
[server]
listen = \"127.0.0.1:8787\" # here

[[providers]]
name = \"zai\" # theirs
type = \"zai\"
keys = [{key = \"sk-one-0000001\", name = \"k1\"}, {key = \"sk-two-0000002\", name = \"k2\"}]
";

#[test]
fn a_value_is_replaced_where_it_stands() {
    for (path, value, from, to) in [
        (
            "server.listen",
            "127.0.0.1:9999",
            "127.0.0.1:8787   #",
            "127.0.0.1:9999   #",
        ),
        (
            "routing.strategy",
            "shuffle",
            "strategy: failover",
            "strategy: shuffle",
        ),
        (
            "routing.max_attempts",
            "3",
            "max_attempts: 2",
            "max_attempts: 3",
        ),
        (
            "providers[zai].keys[k2].weight",
            "7",
            "weight: 2",
            "weight: 7",
        ),
    ] {
        assert_eq!(
            edited(YAML, Format::Yaml, path, value).unwrap(),
            YAML.replace(from, to),
            "{path}"
        );
    }
    let toml = edited(TOML, Format::Toml, "server.listen", "127.0.0.1:9999").unwrap();
    assert_eq!(toml, TOML.replace("8787", "9999"));
}

#[test]
fn what_is_missing_is_written_where_it_belongs() {
    for (path, value, behind, line) in [
        (
            "server.max_concurrent",
            "7",
            "# here\n",
            "  max_concurrent: 7\n",
        ),
        (
            "providers[zai].enabled",
            "false",
            "- name: zai\n",
            "    enabled: false\n",
        ),
        (
            "providers[zai].keys[k1].weight",
            "3",
            "# old\n",
            "        weight: 3\n",
        ),
    ] {
        let expected = YAML.replace(behind, &format!("{behind}{line}"));
        assert_eq!(
            edited(YAML, Format::Yaml, path, value).unwrap(),
            expected,
            "{path}"
        );
    }
    let flow = edited(YAML, Format::Yaml, "routing.debug", "true").unwrap();
    assert_eq!(flow, YAML.replace("{strategy", "{debug: true, strategy"));
    let section = edited(YAML, Format::Yaml, "metrics.enabled", "true").unwrap();
    assert_eq!(section, format!("{YAML}metrics:\n  enabled: true\n"));
    let toml = edited(TOML, Format::Toml, "providers[zai].weight", "3").unwrap();
    assert_eq!(
        toml,
        TOML.replace("name = \"zai\" #", "weight = 3\nname = \"zai\" #")
    );
    let toml = edited(TOML, Format::Toml, "metrics.enabled", "true").unwrap();
    assert_eq!(toml, format!("metrics.enabled = true\n{TOML}"));
}

#[test]
fn what_would_be_refused_is_not_written() {
    for (path, value) in [
        ("routing.strategy", "failovr"),
        ("server.max_concurrent", "0"),
    ] {
        let error = edited(YAML, Format::Yaml, path, value).unwrap_err();
        assert!(matches!(error, EditError::Refused(_)), "{path}: {error}");
    }
    let error = edited(YAML, Format::Yaml, "a b", "1").unwrap_err();
    assert_eq!(error, EditError::BadPath("a b".to_owned()));
    let error = edited("a: [", Format::Yaml, "server.listen", "x").unwrap_err();
    assert_eq!(error, EditError::Faulty);
    // An alias is used elsewhere too.
    let alias = "server: {listen: &it '127.0.0.1:1'}\nmetrics: {prometheus_listen: *it}\n";
    let error = edited(
        alias,
        Format::Yaml,
        "metrics.prometheus_listen",
        "127.0.0.1:2",
    )
    .unwrap_err();
    assert_eq!(
        error,
        EditError::ByHand("metrics.prometheus_listen".to_owned())
    );
}

#[test]
fn keys_come_and_go() {
    let key = NewKey {
        name: "k3".to_owned(),
        value: "${KEY}".to_owned(),
        weight: 1,
        priority: 0,
        limits: LimitsPlan {
            rpm: Some(50),
            ..LimitsPlan::default()
        },
    };
    let yaml = YAML.replace("${KEY}", "sk-two-0000002");
    let check_yaml = |text: &str| check(text, Format::Yaml);
    let edit = Edit {
        text: &yaml,
        format: Format::Yaml,
        check: &check_yaml,
    };
    let with = edit.add_key("zai", &key).unwrap();
    let lines = "      - key: \"${KEY}\"\n        name: \"k3\"\n        rpm_limit: 50\n";
    let last = "      - {key: \"sk-two-0000002\", name: k2, weight: 2}\n";
    assert_eq!(with, yaml.replace(last, &format!("{last}{lines}")));
    let edit = Edit {
        text: &with,
        format: Format::Yaml,
        check: &check_yaml,
    };
    assert_eq!(edit.remove_key("zai", "k3").unwrap(), yaml);
    let without = edit.remove_key("zai", "k1").unwrap();
    assert!(
        without.contains("# the first") && !without.contains("sk-one"),
        "{without}"
    );
    assert_eq!(
        edit.remove_key("zai", "k9"),
        Err(EditError::Missing("key `k9` of zai".to_owned()))
    );
    let first = edit.add_key("b", &key).unwrap();
    let entry = "{keys: [{key: \"${KEY}\", name: \"k3\", rpm_limit: 50}], name: b";
    assert_eq!(first, with.replace("{name: b", entry));

    let check_toml = |text: &str| check(text, Format::Toml);
    let edit = Edit {
        text: TOML,
        format: Format::Toml,
        check: &check_toml,
    };
    let with = edit.add_key("zai", &key).unwrap();
    let entry = ", {key = \"${KEY}\", name = \"k3\", rpm_limit = 50}]";
    assert_eq!(with, TOML.replace("\"k2\"}]", &format!("\"k2\"}}{entry}")));
    let edit = Edit {
        text: &with,
        format: Format::Toml,
        check: &check_toml,
    };
    assert_eq!(edit.remove_key("zai", "k3").unwrap(), TOML);
}
