//! Answers go into the file, values do not, and a no writes nothing.

use super::*;
use crate::environment::Environment;

fn render_both(answers: &Answers) -> [String; 2] {
    [Format::Yaml, Format::Toml].map(|format| render(format, answers).unwrap())
}

fn every_vendor() -> Answers {
    Answers {
        listen: SocketAddr::from(([127, 0, 0, 1], 9000)),
        providers: vendor::VENDORS
            .iter()
            .map(|vendor| Chosen {
                vendor,
                keys: if vendor.settings.is_empty() && vendor.name != "ollama" {
                    vec![
                        format!("MY_{}_KEY", vendor.name.to_uppercase()),
                        format!("{}_KEY_2", vendor.name.to_uppercase()),
                    ]
                } else {
                    Vec::new()
                },
                model: vendor.model.map(|it| format!("{it} \"quoted\" ${{X}}")),
                settings: vendor
                    .settings
                    .iter()
                    .map(|(name, _)| (*name, "my-value-1".to_owned()))
                    .collect(),
            })
            .collect(),
        strategy: Some(("round_robin", "each in turn")),
    }
}

#[test]
fn both_starters_mean_the_same_for_every_vendor() {
    struct Any;
    impl relay_config::Env for Any {
        fn var(&self, name: &str) -> Option<String> {
            Some(format!("sk-ant-of-{name}"))
        }
    }
    let answers = every_vendor();
    let texts = render_both(&answers);
    let plans = [Format::Yaml, Format::Toml].map(|format| {
        let text = &texts[usize::from(format == Format::Toml)];
        let mut plan = relay_config::parse("x", text, format, &Any).unwrap();
        plan.digest = String::new();
        assert_eq!(plan.providers.len(), vendor::VENDORS.len());
        assert_eq!(plan.routing.strategy.as_str(), "round_robin");
        format!("{plan:?}")
    });
    assert_eq!(plans[0], plans[1]);
    assert!(!texts[0].contains("sk-ant"));
}

fn asked(answers: &[&'static str]) -> (Result<Exit, Failure>, String, Option<String>) {
    let home = tempfile::tempdir().unwrap();
    let env = Environment::from([
        ("HOME", home.path().to_str().unwrap()),
        ("ANTHROPIC_API_KEY", "sk-ant-fake-0123456789"),
        ("WORK_ANTHROPIC_API_KEY", "sk-ant-fake-9876543210"),
        // Nobody listens there.
        ("OLLAMA_HOST", "127.0.0.1:1"),
    ]);
    let (mut context, sink) = crate::testing::context(env, home.path(), answers);
    let arguments = InitArgs {
        yes: false,
        force: false,
        format: None,
        output: None,
    };
    let result = run(&mut context, &arguments);
    let file = home.path().join(".config/cc-relay/config.yaml");
    (result, sink.text(), std::fs::read_to_string(file).ok())
}

#[test]
fn answers_go_into_the_file_and_values_do_not() {
    let (result, shown, text) = asked(&[
        // where
        "0.0.0.0:1",
        "nonsense",
        "127.0.0.1:9000",
        // which
        "anthropic nobody",
        "zai, 1",
        // the key for zai: not a key, a name
        "sk-zai-1234",
        "ZAI_KEY_9",
        // the model
        "",
        // the keys for anthropic
        "n",
        "",
        // the strategy
        "model",
        "2",
        // try the keys? The one of zai is not in this shell.
        "n",
        // write it, and leave Claude Code alone
        "",
        "n",
    ]);
    assert_eq!(result.unwrap(), Exit::Done, "{shown}");
    let text = text.unwrap();
    for words in [
        "listen: 127.0.0.1:9000",
        "- key: ${ZAI_KEY_9}",
        "\"claude-*\": \"glm-5\"",
        "- key: ${WORK_ANTHROPIC_API_KEY}",
        "strategy: round_robin",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(
        text.find("name: zai") < text.find("name: anthropic"),
        "the first one first: {text}"
    );
    assert!(
        !text.contains("sk-") && !text.contains("${ANTHROPIC_API_KEY}"),
        "{text}"
    );
    for words in [
        "your Claude login, or ANTHROPIC_API_KEY, WORK_",
        "needs authentication",
        "an address and a port",
        "`nobody` is none of them",
        "not the key itself",
        "That is none of them",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(
        !shown.contains("sk-ant") && !shown.contains("sk-zai"),
        "{shown}"
    );
}

#[test]
fn a_no_at_the_end_writes_nothing() {
    let all = ["", "", "", "", "n", "n"];
    for count in [0, 1, 2, 3, 4, 6] {
        let (result, shown, text) = asked(&all[..count]);
        assert_eq!(result.unwrap_err().exit(), Exit::Failed, "{count}: {shown}");
        assert_eq!(text, None);
    }
}
