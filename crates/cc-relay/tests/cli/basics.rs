//! Help, version, completions, manual, colour, exit codes.

use std::io::Read as _;
use std::process::Stdio;

use crate::help::{commands, help};
use crate::support::Home;

#[test]
fn help_of_every_command() {
    let home = Home::new();
    for command in commands(&home) {
        insta::assert_snapshot!(
            format!("help {}", command.join(" ")).trim().to_owned(),
            help(&home, &command)
        );
    }
}

#[test]
fn version_in_both_forms() {
    let home = Home::new();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        home.run(&["version"]).expect(0).stdout,
        format!("cc-relay {version}\n")
    );
    assert_eq!(
        home.run(&["--version"]).expect(0).stdout,
        format!("cc-relay {version}\n")
    );
    let json = home.run(&["version", "--json"]).expect(0).json();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["data"]["version"], version);
    assert_eq!(json["warnings"], serde_json::json!([]));
}

#[test]
fn a_usage_error_is_exit_2_with_a_hint_and_json_if_wanted() {
    let home = Home::new();
    let ran = home.run(&["statsu"]).expect(2);
    assert!(
        ran.stderr.contains("status") && ran.stdout.is_empty(),
        "{ran:?}"
    );
    let ran = home.run(&["statsu", "--json"]).expect(2);
    assert_eq!(ran.json()["error"]["code"], "usage");
    home.run(&[]).expect(2);
    home.run(&["config", "cc", "init", "--scope", "other"])
        .expect(2);
    home.run(&["demo", "--for", "soon"]).expect(2);
}

#[test]
fn completions_for_every_shell() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = home.run(&["completions", shell]).expect(0);
        assert!(
            ran.stdout.contains("cc-relay") && ran.stdout.contains("CC_RELAY_COMPLETE"),
            "{shell}"
        );
    }
}

#[test]
fn the_manual_is_one_page_or_one_for_each_command() {
    let home = Home::new();
    let ran = home.run(&["man"]).expect(0);
    assert!(
        ran.stdout.contains(".TH cc-relay 1") && ran.stdout.contains("config cc init"),
        "{}",
        ran.stdout
    );
    let folder = home.path("man");
    let ran = home
        .run(&["man", "--out", folder.to_str().unwrap(), "--json"])
        .expect(0);
    let files = ran.json()["data"]["files"].as_array().unwrap().len();
    assert_eq!(files, std::fs::read_dir(&folder).unwrap().count());
    assert!(folder.join("cc-relay-config-cc-init.1").exists());
    let ran = home
        .run(&["man", "--out", folder.to_str().unwrap()])
        .expect(0);
    assert!(ran.stdout.contains("pages written to ~/man"), "{ran:?}");
    home.write("file", "");
    home.run(&["man", "--out", home.path("file").to_str().unwrap()])
        .expect(73);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let home = Home::new();
    for arguments in [
        &["man"] as &[&str],
        &["completions", "bash"],
        &["--help"],
        &["config", "schema"],
    ] {
        let mut command = home.command(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The reader leaves before the first byte.
        drop(child.stdout.take());
        let mut stderr = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        assert_eq!(
            (child.wait().unwrap().code(), stderr.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}

#[test]
fn colour_follows_the_flag_then_the_environment() {
    let home = Home::new();
    let styled = |arguments: &[&str], variables: &[(&str, &str)]| {
        home.run_with(arguments, variables)
            .stderr
            .contains('\u{1b}')
    };
    let wrong = ["status", "--addr", "127.0.0.1:1"];
    let always = ["status", "--addr", "127.0.0.1:1", "--color", "always"];
    let never = ["status", "--addr", "127.0.0.1:1", "--color=never"];
    assert!(!styled(&wrong, &[]));
    assert!(styled(&wrong, &[("CLICOLOR_FORCE", "1")]));
    assert!(!styled(
        &wrong,
        &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]
    ));
    assert!(styled(&always, &[("NO_COLOR", "1")]));
    assert!(!styled(&never, &[("CLICOLOR_FORCE", "1")]));
    assert!(styled(&wrong, &[("CC_RELAY_COLOR", "always")]));
    assert!(styled(&["statsu", "--color", "always"], &[]));
    assert!(!styled(
        &["statsu", "--color", "never"],
        &[("CLICOLOR_FORCE", "1")]
    ));
}
