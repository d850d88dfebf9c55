//! `config init|validate|schema|show`.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use crate::support::{Home, answer};

const FILE: &str = ".config/cc-relay/config.yaml";
const KEY: &str = "sk-ant-fake-0123456789-a91f";

fn private(home: &Home, text: &str) {
    let path = home.write(FILE, text);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_starter_is_private_valid_and_holds_no_value() {
    for (format, file) in [("yaml", FILE), ("toml", ".config/cc-relay/config.toml")] {
        let home = Home::new();
        let key = [("ANTHROPIC_API_KEY", KEY)];
        let ran = home
            .run_with(&["config", "init", "--yes", "--format", format], &key)
            .expect(0);
        assert!(
            ran.stdout.contains(&format!("✔ written ~/{file}")),
            "{ran:?}"
        );
        assert_eq!(
            std::fs::metadata(home.path(file)).unwrap().mode() & 0o777,
            0o600
        );
        let text = home.read(file);
        assert!(
            text.contains("${ANTHROPIC_API_KEY}") && !text.contains(KEY),
            "{text}"
        );
        let ran = home.run_with(&["config", "validate"], &key).expect(0);
        assert!(ran.stdout.contains("0 errors"), "{ran:?}");
        let shown = home.run_with(&["config", "show"], &key).expect(0);
        assert!(
            shown.stdout.contains("anthropic") && !shown.stdout.contains(KEY),
            "{shown:?}"
        );
        // Without the variable it is a fault that names it.
        let ran = home.run(&["config", "validate"]).expect(78);
        assert!(
            ran.stderr.contains("ANTHROPIC_API_KEY") && ran.stdout.is_empty(),
            "{ran:?}"
        );
    }
}

#[test]
fn an_existing_file_is_kept_and_with_force_copied_aside() {
    let home = Home::new();
    home.write(FILE, "mine");
    let ran = home.run(&["config", "init", "--yes"]).expect(73);
    assert!(ran.stderr.contains("--force"), "{ran:?}");
    assert_eq!(home.read(FILE), "mine");
    let json = home
        .run(&["config", "init", "--yes", "--force", "--json"])
        .expect(0)
        .json();
    let copy = json["data"]["backup"].as_str().unwrap().replace("~/", "");
    assert_eq!(home.read(&copy), "mine");
    assert_eq!(
        json["data"]["providers"],
        serde_json::json!([{"name": "anthropic", "key_variables": []}])
    );
    assert_eq!(
        std::fs::metadata(home.path(FILE)).unwrap().mode() & 0o777,
        0o600
    );
}

#[test]
fn the_place_can_be_named_and_must_fit_the_format() {
    let home = Home::new();
    home.run(&["config", "init", "--yes", "-o", "relay.toml"])
        .expect(0);
    assert!(home.path("project/relay.toml").exists());
    home.run(&["-c", "other.yaml", "config", "init", "--yes"])
        .expect(0);
    assert!(home.path("project/other.yaml").exists());
    home.run(&[
        "config",
        "init",
        "--yes",
        "-o",
        "relay.yaml",
        "--format",
        "toml",
    ])
    .expect(2);
    home.run(&["config", "init", "--yes", "-o", "relay.txt"])
        .expect(2);
    home.run(&["config", "init"]).expect(2);
    home.run(&["config", "init", "--no-input"]).expect(2);
    home.write("file", "");
    home.run(&["config", "init", "--yes", "-o", "../file/relay.yaml"])
        .expect(73);
}

#[test]
fn validate_reports_every_fault_in_both_forms() {
    let home = Home::new();
    private(
        &home,
        "server:\n  listn: 127.0.0.1:1\nproviders:\n  - name: anthropic\n    type: anthropic\n    keys:\n      - key: ${NOT_SET}\n",
    );
    let ran = home.run(&["config", "validate"]).expect(78);
    assert_eq!(ran.stdout, "");
    for words in [
        "listn",
        "listen",
        "NOT_SET",
        "config.yaml:2:",
        "error: 2 errors, 0 warnings",
    ] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    let ran = home.run(&["config", "validate", "--json"]).expect(78);
    let error = &ran.json()["error"];
    assert_eq!(error["code"], "config_invalid");
    assert_eq!(error["faults"].as_array().unwrap().len(), 2);
    assert_eq!(error["line"], 2);
    // Every other reader of the file says the same.
    home.run(&["config", "show"]).expect(78);
    let named = home.path(FILE);
    home.run(&["config", "validate", named.to_str().unwrap()])
        .expect(78);
    home.run_with(
        &["config", "validate"],
        &[("CC_RELAY_CONFIG", named.to_str().unwrap())],
    )
    .expect(78);
    home.run(&["config", "validate", "not-there.yaml"])
        .expect(78);
}

#[test]
fn warnings_do_not_fail() {
    let home = Home::new();
    let path = home.write(FILE, "server:\n  listen: 127.0.0.1:8787\n");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = home.run(&["config", "validate"]).expect(0);
    assert!(
        ran.stderr.contains("warning:") && ran.stderr.contains("chmod 600"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("1 warning"), "{ran:?}");
    let json = home.run(&["config", "validate", "--json"]).expect(0).json();
    assert_eq!(json["warnings"].as_array().unwrap().len(), 1);
    let ran = home.run(&["config", "validate", "-q"]).expect(0);
    assert_eq!(ran.stderr, "");
}

#[test]
fn without_a_file_the_defaults_are_valid_and_shown() {
    let home = Home::new();
    let ran = home.run(&["config", "validate"]).expect(0);
    assert!(
        ran.stdout
            .starts_with("no file at ~/.config/cc-relay/config.yaml"),
        "{ran:?}"
    );
    let ran = home.run(&["config", "show"]).expect(0);
    assert!(ran.stdout.contains("127.0.0.1:8787"), "{ran:?}");
    let json = home.run(&["config", "show", "--json"]).expect(0).json();
    assert_eq!(json["data"]["file"], serde_json::Value::Null);
}

#[test]
fn the_schema_is_json() {
    let home = Home::new();
    let ran = home.run(&["config", "schema"]).expect(0);
    let schema: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(schema["properties"]["server"].is_object(), "{schema}");
    let json = home.run(&["config", "schema", "--json"]).expect(0).json();
    assert_eq!(json["data"], schema);
}

#[test]
fn other_commands_take_the_address_from_the_file() {
    let home = Home::new();
    let relay = answer("200 OK", r#"{"status":"ok"}"#);
    private(&home, &format!("server:\n  listen: {relay}\n"));
    home.run(&["status"]).expect(0);
    home.run(&["config", "cc", "init", "-y"]).expect(0);
    assert!(
        home.read(".claude/settings.json")
            .contains(&format!("http://{relay}"))
    );
    let every = format!(
        "server:\n  listen: 0.0.0.0:{}\n  auth:\n    allow_unauthenticated_remote: true\n",
        relay.port()
    );
    private(&home, &every);
    home.run(&["status"]).expect(0);
}

#[test]
fn a_faulty_file_says_nothing_about_the_address() {
    let home = Home::new();
    let named = ["-c", "faulty.yaml"];
    home.write("project/faulty.yaml", "servr: {}\n");
    let with = |arguments: &[&'static str]| home.run(&[&named[..], arguments].concat());
    with(&["config", "cc", "init", "-y"]).expect(78);
    assert!(!home.path(".claude").exists());
    let relay = answer("200 OK", r#"{"status":"ok"}"#).to_string();
    let ran = home
        .run(&["-c", "faulty.yaml", "status", "--addr", &relay])
        .expect(0);
    assert_eq!(ran.stderr, "");
}
