//! Questions and answers of `config cc init`, with a made-up terminal.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::cli::CcChangeArgs;
use crate::environment::Environment;
use crate::settings::edit::tests::settings_text;
use crate::testing;

fn arguments() -> CcInitArgs {
    CcInitArgs {
        change: CcChangeArgs {
            scope: Scope::User,
            yes: false,
            dry_run: false,
        },
        url: None,
        token: None,
        placeholder: false,
        force: false,
    }
}

fn asked(home: &Path, answers: &[&'static str]) -> (Result<Exit, Failure>, String) {
    let env = Environment::from([("HOME", home.to_str().unwrap())]);
    let (mut context, sink) = testing::context(env, home, answers);
    (run(&mut context, &arguments()), sink.text())
}

fn settings(home: &Path, text: &str) -> std::path::PathBuf {
    let path = home.join(".claude/settings.json");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

const OTHER: &str =
    r#"{"env": {"ANTHROPIC_BASE_URL": "http://other:1", "ENABLE_TOOL_SEARCH": "auto"}}"#;

#[test]
fn enter_writes_and_no_or_the_end_of_input_does_not() {
    for (answers, written) in [
        (&[""][..], true),
        (&["what", "Y"], true),
        (&["n"], false),
        (&[], false),
    ] {
        let home = tempfile::tempdir().unwrap();
        let path = settings(home.path(), "{}\n");
        let (result, shown) = asked(home.path(), answers);
        assert!(shown.contains("Write this? [Y/n]"), "{shown}");
        assert_eq!(
            std::fs::read_to_string(&path).unwrap() != "{}\n",
            written,
            "{answers:?}"
        );
        assert_eq!(
            result.unwrap_or_else(|failure| failure.exit()),
            if written { Exit::Done } else { Exit::Failed }
        );
    }
}

#[test]
fn another_address_is_asked_about_and_kept_by_default() {
    let home = tempfile::tempdir().unwrap();
    let path = settings(home.path(), OTHER);
    let (result, shown) = asked(home.path(), &[""]);
    assert_eq!(result.unwrap_err().exit(), Exit::Failed);
    assert!(
        shown.contains(
            "which cc-relay did not write. Replace it by \"http://127.0.0.1:8787\"? [y/N]"
        ),
        "{shown}"
    );
    assert_eq!(std::fs::read_to_string(path).unwrap(), OTHER);
}

#[test]
fn each_line_is_asked_about_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = settings(home.path(), OTHER);
    let (result, _) = asked(home.path(), &["y", "n", "y"]);
    result.unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let written: Value = serde_json::from_str(&text).unwrap();
    let expected = json!({"env": {
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:8787",
        // A no keeps what was there; what nobody had set is added.
        "ENABLE_TOOL_SEARCH": "auto",
        "CLAUDE_CODE_ENABLE_FINE_GRAINED_TOOL_STREAMING": "1",
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",
    }});
    assert_eq!(written, expected);
}

#[test]
fn a_change_by_somebody_else_in_between_is_not_overwritten() {
    let home = tempfile::tempdir().unwrap();
    let path = settings(home.path(), "{}");
    let env = Environment::from([("HOME", home.path().to_str().unwrap())]);
    let (context, _) = testing::context(env, home.path(), &[]);
    let opened = Settings::open(&context, Scope::User).unwrap();
    std::fs::write(&path, "{ }").unwrap();
    let failure = apply(&context, &opened, Some("{\"a\": 1}"), None).unwrap_err();
    assert_eq!(failure.exit(), Exit::TryLater);
    assert_eq!(std::fs::read_to_string(path).unwrap(), "{ }");
}

#[test]
fn a_failed_write_takes_the_memory_of_it_back() {
    let home = tempfile::tempdir().unwrap();
    let path = settings(home.path(), "{}");
    let env = Environment::from([("HOME", home.path().to_str().unwrap())]);
    let (context, _) = testing::context(env, home.path(), &[]);
    let opened = Settings::open(&context, Scope::User).unwrap();
    // A folder where the temporary file would be keeps even root from writing it.
    let temporary = format!(".settings.json.{}.tmp", std::process::id());
    std::fs::create_dir(path.with_file_name(temporary)).unwrap();
    let failure = apply(
        &context,
        &opened,
        Some("{\"a\": 1}"),
        Some(Entry::default()),
    )
    .unwrap_err();
    assert_eq!(failure.exit(), Exit::CannotWrite);
    assert_eq!(std::fs::read_to_string(path).unwrap(), "{}");
    assert!(
        !home
            .path()
            .join(".local/state/cc-relay/cc-settings.json")
            .exists()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn init_and_remove_leave_the_same_bytes(text in settings_text(), again in any::<bool>()) {
        prop_assume!(edit::variables(&text).is_ok());
        let home = tempfile::tempdir().unwrap();
        let path = settings(home.path(), &text);
        let env = Environment::from([("HOME", home.path().to_str().unwrap())]);
        let (mut context, _) = testing::context(env, home.path(), &[]);
        let mut arguments = arguments();
        arguments.force = true;
        arguments.change.yes = true;
        run(&mut context, &arguments).unwrap();
        if again {
            arguments.url = Some("http://127.0.0.1:9000".to_owned());
            run(&mut context, &arguments).unwrap();
        }
        let remove = crate::cli::CcRemoveArgs { change: arguments.change };
        crate::command::cc::remove(&mut context, &remove).unwrap();
        prop_assert_eq!(std::fs::read_to_string(path).unwrap(), text);
    }
}
