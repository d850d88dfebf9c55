//! `config cc` on real files.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use crate::support::{Home, answer, nobody};

const USER: &str = ".claude/settings.json";
const MINE: &str =
    "{\n  // my editor\n  \"env\": {\n    \"EDITOR\": \"hx\"\n  },\n  \"model\": \"opus\",\n}\n";

fn backups(home: &Home) -> Vec<String> {
    let names = std::fs::read_dir(home.path(".claude")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| {
            std::path::Path::new(name)
                .extension()
                .is_some_and(|end| end == "bak")
        })
        .collect()
}

#[test]
fn init_shows_writes_and_backs_up_and_remove_restores_every_byte() {
    let home = Home::new();
    let path = home.write(USER, MINE);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let ran = home.run(&["config", "cc", "init", "--yes"]).expect(0);
    insta::assert_snapshot!(
        "cc init diff",
        ran.stdout
            .lines()
            .filter(|l| !l.contains("written"))
            .collect::<Vec<_>>()
            .join("\n")
    );
    insta::assert_snapshot!("cc init notes", ran.stderr);
    insta::assert_snapshot!("cc init file", home.read(USER));
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    let copies = backups(&home);
    assert_eq!(copies.len(), 1);
    assert_eq!(home.read(&format!(".claude/{}", copies[0])), MINE);
    let state = home.path(".local/state/cc-relay/cc-settings.json");
    assert_eq!(std::fs::metadata(&state).unwrap().mode() & 0o777, 0o600);

    let again = home.run(&["config", "cc", "init", "--yes"]).expect(0);
    assert_eq!(again.stdout, "✔ already set in ~/.claude/settings.json\n");
    assert_eq!(backups(&home).len(), 1);

    let ran = home.run(&["config", "cc", "remove", "-y"]).expect(0);
    assert!(ran.stdout.contains("✔ removed"), "{ran:?}");
    assert_eq!(home.read(USER), MINE);
    assert!(!state.exists());
    let ran = home.run(&["config", "cc", "remove", "-y"]).expect(0);
    assert!(ran.stdout.starts_with("nothing to undo"), "{ran:?}");
}

#[test]
fn a_missing_file_is_made_private_and_taken_away_again() {
    let home = Home::new();
    home.run(&["config", "cc", "init", "-y"]).expect(0);
    assert_eq!(
        std::fs::metadata(home.path(USER)).unwrap().mode() & 0o777,
        0o600
    );
    assert_eq!(
        std::fs::metadata(home.path(".claude")).unwrap().mode() & 0o777,
        0o700
    );
    let json: serde_json::Value = serde_json::from_str(&home.read(USER)).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"env": {
            "ANTHROPIC_BASE_URL": "http://127.0.0.1:8787",
            "ENABLE_TOOL_SEARCH": "true",
            "CLAUDE_CODE_ENABLE_FINE_GRAINED_TOOL_STREAMING": "1",
            "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",
        }})
    );
    home.run(&["config", "cc", "remove", "-y"]).expect(0);
    assert!(!home.path(USER).exists());
}

#[test]
fn without_a_terminal_it_names_the_flag_and_writes_nothing() {
    let home = Home::new();
    home.write(USER, MINE);
    let ran = home.run(&["config", "cc", "init"]).expect(2);
    assert!(ran.stderr.contains("help: pass --yes"), "{ran:?}");
    let ran = home.run(&["config", "cc", "init", "--json"]).expect(2);
    assert_eq!(ran.json()["error"]["code"], "no_terminal");
    assert_eq!(home.read(USER), MINE);
    home.run(&["config", "cc", "init", "--yes"]).expect(0);
    home.run(&["config", "cc", "remove"]).expect(2);
}

#[test]
fn a_dry_run_writes_nothing() {
    let home = Home::new();
    home.write(USER, MINE);
    let ran = home.run(&["config", "cc", "init", "--dry-run"]).expect(0);
    assert!(
        ran.stdout.contains("+    \"ANTHROPIC_BASE_URL\""),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("nothing was written"), "{ran:?}");
    let json = home
        .run(&["config", "cc", "init", "--dry-run", "--json"])
        .expect(0)
        .json();
    assert_eq!(json["data"]["written"], false);
    assert_eq!(json["data"]["changes"][0]["action"], "add");
    assert_eq!(home.read(USER), MINE);
    assert!(backups(&home).is_empty());
    assert!(!home.path(".local").exists());
    home.run(&["config", "cc", "init", "-y"]).expect(0);
    let with = home.read(USER);
    home.run(&["config", "cc", "remove", "--dry-run"]).expect(0);
    assert_eq!(home.read(USER), with);
}

#[test]
fn a_value_of_somebody_else_is_not_replaced_without_force() {
    let home = Home::new();
    let text = "{\"env\": {\"ANTHROPIC_BASE_URL\": \"http://user:hunter2@other:1\", \"ENABLE_TOOL_SEARCH\": \"auto\"}}";
    home.write(USER, text);
    let ran = home.run(&["config", "cc", "init", "--yes"]).expect(2);
    assert!(
        ran.stderr.contains("--force") && ran.stderr.contains("other:1"),
        "{ran:?}"
    );
    assert_eq!(home.read(USER), text);
    let forced = home
        .run(&["config", "cc", "init", "--yes", "--force"])
        .expect(0);
    for shown in [&ran.stdout, &ran.stderr, &forced.stdout, &forced.stderr] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert!(home.read(USER).contains("127.0.0.1:8787"));
    home.run(&["config", "cc", "remove", "--yes"]).expect(0);
    assert_eq!(home.read(USER), text);
}

#[test]
fn remove_leaves_what_is_no_longer_ours() {
    let home = Home::new();
    home.write(USER, MINE);
    home.run(&["config", "cc", "init", "-y"]).expect(0);
    let edited = home
        .read(USER)
        .replace("http://127.0.0.1:8787", "http://mine:1")
        .replace("opus", "sonnet");
    home.write(USER, &edited);
    let ran = home.run(&["config", "cc", "remove", "-y"]).expect(0);
    assert!(
        ran.stderr
            .contains("ANTHROPIC_BASE_URL was changed since and is left as it is"),
        "{ran:?}"
    );
    let now = home.read(USER);
    assert!(
        now.contains("http://mine:1")
            && !now.contains("ENABLE_TOOL_SEARCH")
            && now.contains("// my editor"),
        "{now}"
    );
    home.run(&["config", "cc", "remove", "-y"]).expect(0);
    assert_eq!(home.read(USER), now);
}

#[test]
fn an_edit_elsewhere_does_not_keep_remove_from_working() {
    let home = Home::new();
    home.write(
        USER,
        "{\n  \"env\": {\n    \"ANTHROPIC_BASE_URL\": \"http://old:1\"\n  }\n}\n",
    );
    home.run(&["config", "cc", "init", "-y", "--force"])
        .expect(0);
    let edited = home
        .read(USER)
        .replacen('{', "{\n  \"theme\": \"dark\",", 1);
    home.write(USER, &edited);
    home.run(&["config", "cc", "remove", "-y", "--json"])
        .expect(0);
    let json: serde_json::Value = serde_json::from_str(&home.read(USER)).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"theme": "dark", "env": {"ANTHROPIC_BASE_URL": "http://old:1"}})
    );
}

#[test]
fn a_second_init_with_another_address_keeps_the_first_way_back() {
    let home = Home::new();
    home.write(USER, MINE);
    home.run(&["config", "cc", "init", "-y"]).expect(0);
    home.run(&[
        "config",
        "cc",
        "init",
        "-y",
        "--url",
        "http://127.0.0.1:9000/",
    ])
    .expect(0);
    assert!(home.read(USER).contains("\"http://127.0.0.1:9000\""));
    home.run(&["config", "cc", "remove", "-y"]).expect(0);
    assert_eq!(home.read(USER), MINE);
    // The same with somebody writing in between.
    home.run(&["config", "cc", "init", "-y"]).expect(0);
    home.write(USER, &home.read(USER).replace("opus", "haiku"));
    home.run(&[
        "config",
        "cc",
        "init",
        "-y",
        "--url",
        "http://127.0.0.1:9000",
    ])
    .expect(0);
    home.run(&["config", "cc", "remove", "-y"]).expect(0);
    assert_eq!(home.read(USER), MINE.replace("opus", "haiku"));
}

#[test]
fn a_link_is_followed_and_stays_a_link() {
    let home = Home::new();
    home.write("dotfiles/claude.json", MINE);
    std::fs::create_dir(home.path(".claude")).unwrap();
    std::os::unix::fs::symlink("../dotfiles/claude.json", home.path(USER)).unwrap();
    home.run(&["config", "cc", "init", "-y"]).expect(0);
    assert!(
        std::fs::symlink_metadata(home.path(USER))
            .unwrap()
            .file_type()
            .is_symlink()
    );
    assert!(
        home.read("dotfiles/claude.json")
            .contains("ANTHROPIC_BASE_URL")
    );
    home.run(&["config", "cc", "remove", "-y"]).expect(0);
    assert_eq!(home.read("dotfiles/claude.json"), MINE);
}

#[test]
fn broken_json_is_refused_with_its_place() {
    let home = Home::new();
    home.write(
        USER,
        "{\n  \"env\": {\n    \"A\" \"sk-ant-fake-0123456789\"\n  }\n}\n",
    );
    let ran = home
        .run(&["config", "cc", "init", "-y", "--json"])
        .expect(1);
    let error = &ran.json()["error"];
    assert_eq!(
        (&error["line"], &error["column"]),
        (&serde_json::json!(3), &serde_json::json!(9))
    );
    assert!(
        ran.stderr.contains("~/.claude/settings.json:3:9") && !ran.stderr.contains("sk-ant"),
        "{ran:?}"
    );
    std::fs::write(home.path(USER), b"\xff\xfe").unwrap();
    home.run(&["config", "cc", "init", "-y"]).expect(1);
    home.write(USER, "[]");
    home.run(&["config", "cc", "init", "-y"]).expect(1);
}

#[test]
fn project_and_local_files_are_written_only_when_named() {
    let home = Home::new();
    let ran = home
        .run(&["config", "cc", "init", "-y", "--scope", "project"])
        .expect(0);
    assert!(
        ran.stderr.contains("shared through git") && ran.stderr.contains("remove --scope project"),
        "{ran:?}"
    );
    home.run(&["config", "cc", "init", "-y", "--scope", "local"])
        .expect(0);
    assert!(home.path("project/.claude/settings.json").exists());
    assert!(home.path("project/.claude/settings.local.json").exists());
    assert!(!home.path(USER).exists());
    home.run(&["config", "cc", "remove", "-y", "--scope", "local"])
        .expect(0);
    assert!(home.path("project/.claude/settings.json").exists());
}

#[test]
fn the_folder_of_claude_code_can_be_elsewhere() {
    let home = Home::new();
    let folder = home.path("elsewhere");
    home.run_with(
        &["config", "cc", "init", "-y"],
        &[("CLAUDE_CONFIG_DIR", folder.to_str().unwrap())],
    )
    .expect(0);
    assert!(folder.join("settings.json").exists());
}

#[test]
fn tokens_come_from_the_environment_and_are_not_shown() {
    let home = Home::new();
    let key = [("RELAY_KEY", "relay-secret-0123456789")];
    let init = ["config", "cc", "init", "-y", "--token"];
    let with = |name: &'static str, more: &[&'static str]| [&init[..], &[name], more].concat();
    let ran = home
        .run_with(&with("RELAY_KEY", &["--json"]), &key)
        .expect(0);
    assert!(home.read(USER).contains("relay-secret-0123456789"));
    let state = home.read(".local/state/cc-relay/cc-settings.json");
    for shown in [&ran.stdout, &ran.stderr, &state] {
        assert!(!shown.contains("relay-secret"), "{shown}");
    }
    let ran = home.run_with(&["config", "cc", "status"], &key).expect(0);
    assert!(
        ran.stdout.contains("ANTHROPIC_AUTH_TOKEN is set") && !ran.stdout.contains("relay-secret")
    );
    home.run(&["config", "cc", "remove", "-y"]).expect(0);
    home.run(&with("RELAY_KEY", &[])).expect(2);
    let ran = home.run(&with("sk-ant-fake-0123456789", &[])).expect(2);
    assert!(!ran.stderr.contains("sk-ant"), "{ran:?}");
    home.run_with(&with("RELAY_KEY", &["--scope", "project"]), &key)
        .expect(2);
    home.run(&["config", "cc", "init", "-y", "--placeholder"])
        .expect(0);
    assert!(home.read(USER).contains("managed-by-cc-relay"));
}

#[test]
fn a_url_that_claude_code_would_misread_is_refused() {
    let home = Home::new();
    for url in [
        "127.0.0.1:8787",
        "ftp://x",
        "http://",
        "http://x/v1",
        "http://u:hunter2@x",
        "http://x?y=hunter2",
        "::",
    ] {
        let ran = home
            .run(&["config", "cc", "init", "-y", "--url", url])
            .expect(2);
        assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
    }
    home.run(&[
        "config",
        "cc",
        "init",
        "-y",
        "--url",
        "https://relay.example/team",
    ])
    .expect(0);
}

#[test]
fn a_folder_that_cannot_be_written_is_exit_73() {
    let home = Home::new();
    home.write(".claude", "a file in the way");
    let ran = home.run(&["config", "cc", "init", "-y"]);
    assert!(ran.code == 73 || ran.code == 1, "{ran:?}");
    let home = Home::new();
    home.write(".local", "a file in the way");
    home.run(&["config", "cc", "init", "-y"]).expect(1);
    assert!(!home.path(USER).exists());
}

#[test]
fn status_tells_who_wins_and_whether_the_relay_answers() {
    let home = Home::new();
    let ran = home.run(&["config", "cc", "status"]).expect(0);
    insta::assert_snapshot!("cc status empty", ran.stdout);
    let relay = answer("200 OK", r#"{"status":"ok"}"#);
    let url = format!("http://{relay}");
    home.run(&["config", "cc", "init", "-y", "--url", &url])
        .expect(0);
    let ran = home.run(&["config", "cc", "status"]).expect(0);
    assert!(ran.stdout.contains("✔ the relay answers there"), "{ran:?}");
    let dead = format!("http://{}", nobody());
    home.run(&[
        "config", "cc", "init", "-y", "--scope", "local", "--url", &dead,
    ])
    .expect(0);
    let json = home
        .run(&["config", "cc", "status", "--json"])
        .expect(0)
        .json();
    assert_eq!(json["data"]["winner"], "local");
    assert_eq!(json["data"]["relay_answers"], false);
    // A settings file wins over the shell.
    let shell = [("ANTHROPIC_BASE_URL", "https://u:hunter2@127.0.0.1:1")];
    let ran = home
        .run_with(&["config", "cc", "status", "--json"], &shell)
        .expect(0);
    assert_eq!(ran.json()["data"]["winner"], "local");
    let ran = Home::new()
        .run_with(&["config", "cc", "status", "--json"], &shell)
        .expect(0);
    assert!(!ran.stdout.contains("hunter2"), "{ran:?}");
    let json = ran.json();
    assert_eq!(json["data"]["winner"], "shell");
    assert_eq!(json["data"]["relay_answers"], false);
    let json = home
        .run(&["config", "cc", "status", "--json", "--scope", "user"])
        .expect(0)
        .json();
    assert_eq!(json["data"]["relay_answers"], true);
    home.write("project/.claude/settings.json", "{");
    let ran = home.run(&["config", "cc", "status"]).expect(0);
    assert!(ran.stdout.contains("not valid JSON"), "{ran:?}");
}

#[test]
fn a_file_that_was_taken_away_in_between_is_made_anew() {
    let home = Home::new();
    home.write(USER, MINE);
    home.run(&["config", "cc", "init", "-y"]).expect(0);
    std::fs::remove_file(home.path(USER)).unwrap();
    let ran = home.run(&["config", "cc", "remove", "-y"]).expect(0);
    assert!(ran.stdout.contains("nothing of ours is left"), "{ran:?}");
    home.write(USER, MINE);
    home.run(&["config", "cc", "init", "-y"]).expect(0);
    std::fs::remove_file(home.path(USER)).unwrap();
    home.run(&["config", "cc", "init", "-y"]).expect(0);
    home.run(&["config", "cc", "remove", "-y"]).expect(0);
    assert!(!home.path(USER).exists());
}

#[test]
fn a_relay_that_requires_a_key_is_told() {
    let home = Home::new();
    let text = "server:\n  auth:\n    api_key: ${RELAY_KEY:-relay-fake-0123456789}\n";
    home.write(".config/cc-relay/config.yaml", text);
    let ran = home.run(&["config", "cc", "init", "--dry-run"]).expect(0);
    assert!(ran.stderr.contains("--token ENV_NAME"), "{ran:?}");
    let ran = home
        .run(&["config", "cc", "init", "--dry-run", "--placeholder"])
        .expect(0);
    assert!(!ran.stderr.contains("--token ENV_NAME"), "{ran:?}");
}
