//! `config init` in a real terminal, `tmux`, answered by a keyboard.

use std::os::unix::fs::MetadataExt as _;

use crate::support::{Home, answer, nobody};
use crate::tui::Screen;

const FILE: &str = ".config/cc-relay/config.yaml";
const SETTINGS: &str = ".claude/settings.json";
const KEYS: [(&str, &str); 3] = [
    ("ANTHROPIC_API_KEY", "sk-ant-fake-0123456789"),
    ("ZAI_API_KEY_1", "sk-zai-fake-0123456789"),
    ("ZAI_API_KEY_2", "sk-zai-fake-9876543210"),
];

/// Answers a question once it is on the screen.
fn reply(screen: &Screen, question: &str, keys: &[&str]) {
    screen.wait(question);
    for key in keys {
        screen.press(key);
    }
    screen.press("Enter");
}

#[test]
fn what_is_there_is_found_and_what_is_answered_is_written() {
    let home = Home::new();
    let ollama = answer(
        "200 OK",
        r#"{"models":[{"name":"made-up:7b"},{"name":"other"}]}"#,
    );
    let ollama = ollama.to_string();
    let mut variables = KEYS.to_vec();
    variables.push(("OLLAMA_HOST", &ollama));
    let screen = Screen::start_with(&home, &["config", "init"], (110, 60), &variables);
    reply(
        &screen,
        "Where should the relay listen?",
        &["127.0.0.1:9191"],
    );
    let shown = screen.wait("Names or numbers [anthropic zai ollama]");
    for words in [
        "your Claude login, or ANTHROPIC_API_KEY",
        "ZAI_API_KEY_1, ZAI_API_KEY_2",
        "runs on this machine, models: 2",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    screen.press("Enter");
    reply(&screen, "Use ANTHROPIC_API_KEY", &["n"]);
    reply(&screen, "Use ZAI_API_KEY_1 for zai?", &[]);
    reply(&screen, "Use ZAI_API_KEY_2 for zai?", &[]);
    reply(&screen, "send: [glm-5]", &["glm-5-air"]);
    reply(&screen, "send: [made-up:7b]", &[]);
    reply(
        &screen,
        "When should traffic go elsewhere?",
        &["round_robin"],
    );
    // Nothing leaves this machine.
    reply(&screen, "Try the keys now?", &["n"]);
    reply(&screen, "lines, 0600)?", &[]);
    screen.wait("written ~/.config/cc-relay/config.yaml");
    screen.wait("+    \"ANTHROPIC_BASE_URL\": \"http://127.0.0.1:9191\"");
    reply(&screen, "Write this?", &["y"]);
    screen.wait_for_end();

    let text = home.read(FILE);
    let mode = std::fs::metadata(home.path(FILE)).unwrap().mode() & 0o777;
    assert_eq!(mode, 0o600);
    for words in [
        "listen: 127.0.0.1:9191",
        "- key: ${ZAI_API_KEY_1}",
        "- key: ${ZAI_API_KEY_2}",
        "\"claude-*\": \"glm-5-air\"",
        "\"claude-*\": \"made-up:7b\"",
        &format!("base_url: \"http://{ollama}\""),
        "strategy: round_robin",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("sk-"), "{text}");
    assert!(home.read(SETTINGS).contains("http://127.0.0.1:9191"));
    let valid = home.run_with(&["config", "validate"], &KEYS).expect(0);
    assert!(valid.stdout.contains("0 errors"), "{valid:?}");
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let home = Home::new();
    let nobody = nobody().to_string();
    let variables = [KEYS[0], ("OLLAMA_HOST", nobody.as_str())];
    let screen = Screen::start_with(&home, &["config", "init"], (110, 40), &variables);
    reply(&screen, "Where should the relay listen?", &[]);
    screen.wait("Names or numbers [anthropic]");
    screen.press("C-c");
    screen.wait_for_end();
    assert!(!home.path(FILE).exists() && !home.path(SETTINGS).exists());
}

#[test]
fn scripts_get_what_was_found_without_a_question() {
    let home = Home::new();
    let nobody = nobody().to_string();
    let mut variables = KEYS.to_vec();
    variables.push(("OLLAMA_HOST", &nobody));
    let ran = home
        .run_with(&["config", "init", "--yes", "--json"], &variables)
        .expect(0);
    assert_eq!(
        ran.json()["data"]["providers"],
        serde_json::json!([
            {"name": "anthropic", "key_variables": ["ANTHROPIC_API_KEY"]},
            {"name": "zai", "key_variables": ["ZAI_API_KEY_1", "ZAI_API_KEY_2"]},
        ])
    );
    home.run_with(&["config", "validate"], &KEYS).expect(0);
    assert!(!home.path(SETTINGS).exists());
}
