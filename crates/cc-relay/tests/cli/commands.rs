//! The commands that ask or change a running relay, as a person types them.

use std::io::Write as _;
use std::process::Stdio;

use relay_sim::Sim;

use crate::reload::Served;
use crate::support::{Home, Ran};

struct Relay {
    served: Served,
    home: Home,
    first: Sim,
    second: Sim,
}

impl Relay {
    async fn start() -> Self {
        let first = Sim::builder().start().await.unwrap();
        let second = Sim::builder().start().await.unwrap();
        let home = Home::new();
        let config = format!(
            "# mine\nserver: {{listen: '127.0.0.1:0'}}\nrouting: {{model_lists: false}}\nproviders:\n  - name: first   # theirs\n    type: anthropic\n    base_url: '{}'\n    accepts_client_credential: false\n    keys:\n      - {{key: '${{ONE}}', name: k1, rpm_limit: 50}}\n      - {{key: sk-ant-two-000000000002, name: k2}}\n  - {{name: second, type: zai, base_url: '{}', keys: [{{key: sk-zai-3-00000000003, name: k3}}]}}\n",
            first.base_url(),
            second.base_url()
        );
        home.write(".config/cc-relay/config.yaml", &config);
        let variables = [
            ("ONE", "sk-ant-one-000000000001"),
            ("NEW_KEY", "sk-ant-new-000000000009"),
        ];
        let served = Served::start_with(&home, ".config/cc-relay/config.yaml", &variables);
        Self {
            served,
            home,
            first,
            second,
        }
    }

    fn run(&self, words: &[&str]) -> Ran {
        let address = self.served.address.clone();
        let variables = [
            ("CC_RELAY_ADDR", address.as_str()),
            ("NEW_KEY", "sk-ant-new-000000000009"),
        ];
        self.home.run_with(words, &variables)
    }

    fn turns(&self) -> [usize; 2] {
        [&self.first, &self.second].map(|sim| {
            sim.requests()
                .iter()
                .filter(|it| it.method == "POST")
                .count()
        })
    }

    fn file(&self) -> String {
        self.home.read(".config/cc-relay/config.yaml")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_listed_looked_at_and_switched() {
    let relay = Relay::start().await;
    let listed = relay.run(&["provider", "list"]).expect(0).stdout;
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].starts_with("NAME    STATE  KEYS"), "{listed}");
    assert!(lines[1].starts_with("first   up     2/2"), "{listed}");
    relay.served.turn();
    assert_eq!(relay.turns(), [1, 0]);

    let would = relay
        .run(&["provider", "disable", "first", "--dry-run"])
        .expect(0)
        .stdout;
    assert!(would.starts_with("disable first\n"), "{would}");
    assert!(
        would.contains("then   new requests go to second"),
        "{would}"
    );
    assert!(
        would.contains("undo   cc-relay provider enable first"),
        "{would}"
    );
    let unasked = relay.run(&["provider", "disable", "first"]).expect(2);
    assert!(unasked.stderr.contains("--yes"), "{unasked:?}");
    relay.served.turn();
    assert_eq!(relay.turns(), [2, 0], "nothing was changed yet");

    let did = relay
        .run(&["provider", "disable", "first", "--yes"])
        .expect(0);
    assert_eq!(did.stdout, "done disable first\n");
    relay.served.turn();
    assert_eq!(relay.turns(), [2, 1]);
    let json = relay.run(&["provider", "list", "--json"]).expect(0).json();
    let first = &json["data"]["providers"][0];
    assert_eq!(
        (&first["state"], &first["overridden"]),
        (&"off".into(), &true.into())
    );
    let last = relay
        .run(&["provider", "disable", "second", "--yes"])
        .expect(1);
    assert!(last.stderr.contains("stop the relay instead"), "{last:?}");
    relay
        .run(&["provider", "enable", "first", "--yes"])
        .expect(0);
    relay.served.turn();
    assert_eq!(relay.turns(), [3, 1]);
    let health = relay.run(&["provider", "health", "first"]).expect(0).stdout;
    assert!(health.starts_with("first is up\n"), "{health}");
    assert!(
        health.contains("last 5 min   3 requests, 0 errors"),
        "{health}"
    );
    let unknown = relay.run(&["provider", "health", "frist"]).expect(1);
    assert!(
        unknown.stderr.contains("no provider `frist`"),
        "{unknown:?}"
    );
    let reset = relay
        .run(&["provider", "reset", "first", "--yes"])
        .expect(0);
    assert_eq!(reset.stdout, "done close the circuit of first\n");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::too_many_lines,
    reason = "one story, told from its start to its end"
)]
async fn a_key_comes_from_stdin_or_a_variable_and_is_never_shown() {
    let relay = Relay::start().await;
    let mut child = relay
        .home
        .command(&[
            "key",
            "add",
            "first",
            "k8",
            "--stdin",
            "--yes",
            "--addr",
            &relay.served.address,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"sk-ant-piped-000000000008\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "done add key k8 to first\n"
    );
    relay
        .run(&[
            "key",
            "add",
            "first",
            "k9",
            "--env",
            "NEW_KEY",
            "--rpm",
            "20",
            "--persist",
            "--yes",
        ])
        .expect(0);
    let file = relay.file();
    assert!(
        file.contains("# theirs") && file.contains("\"${NEW_KEY}\""),
        "{file}"
    );
    assert!(!file.contains("sk-ant-new"), "{file}");
    let listed = relay.run(&["key", "list", "first"]).expect(0).stdout;
    assert!(!listed.contains("sk-ant"), "{listed}");
    let names: Vec<&str> = listed
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().nth(1).unwrap())
        .collect();
    assert!(names.contains(&"k8"), "{listed}");
    assert!(listed.contains("0/50"), "{listed}");
    relay
        .run(&["key", "disable", "first", "k2", "--yes"])
        .expect(0);
    let json = relay.run(&["key", "list", "--json"]).expect(0).json();
    let keys = json["data"]["keys"].as_array().unwrap();
    let off = keys.iter().find(|key| key["name"] == "k2").unwrap();
    assert_eq!(off["state"], "off");
    relay
        .run(&["key", "enable", "first", "k2", "--yes"])
        .expect(0);
    relay
        .run(&["key", "reset", "first", "k2", "--yes"])
        .expect(0);
    relay
        .run(&["key", "remove", "first", "k8", "--yes"])
        .expect(0);
    let missing = relay.run(&["key", "add", "first", "k7"]).expect(2);
    assert!(missing.stderr.contains("--stdin"), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::too_many_lines,
    reason = "one story, told from its start to its end"
)]
async fn settings_are_read_set_and_loaded_again() {
    let relay = Relay::start().await;
    assert_eq!(
        relay
            .run(&["config", "get", "routing.strategy"])
            .expect(0)
            .stdout,
        "failover\n"
    );
    let would = relay
        .run(&["config", "set", "routing.strategy", "shuffle", "--dry-run"])
        .expect(0);
    assert_eq!(would.stdout, "routing.strategy failover -> shuffle\n");
    let before = relay.file();
    relay
        .run(&["config", "set", "routing.strategy", "shuffle"])
        .expect(0);
    assert_eq!(
        relay.file(),
        before.replace("{model_lists", "{strategy: shuffle, model_lists")
    );
    let wrong = relay
        .run(&["config", "set", "routing.strategy", "shufle"])
        .expect(78);
    assert!(wrong.stderr.contains("shuffle"), "{wrong:?}");
    // The relay follows the file by itself; asked, it says so at once.
    relay.run(&["config", "reload"]).expect(0);
    assert_eq!(
        relay
            .run(&["config", "get", "routing.strategy"])
            .expect(0)
            .stdout,
        "shuffle\n"
    );
    let got = relay.run(&["routing", "get"]).expect(0).stdout;
    assert!(got.contains(">  shuffle "), "{got}");
    relay
        .run(&["routing", "set", "round_robin", "--yes"])
        .expect(0);
    let json = relay.run(&["routing", "get", "--json"]).expect(0).json();
    assert_eq!(
        (&json["data"]["strategy"], &json["data"]["overridden"]),
        (&"round_robin".into(), &true.into())
    );
    let editor = relay
        .home
        .write("editor.sh", "sed -i 's/shuffle/cost/' \"$1\"\n");
    let editor = format!("sh {}", editor.display());
    let edit = |editor: &str| {
        relay
            .home
            .run_with(&["config", "edit"], &[("EDITOR", editor)])
    };
    assert_eq!(
        edit(&editor).expect(0).stdout,
        "routing.strategy shuffle -> cost\n"
    );
    let kept = relay.file();
    let breaks = relay.home.write("breaks.sh", "echo oops: 1 >> \"$1\"\n");
    edit(&format!("sh {}", breaks.display())).expect(78);
    edit("false").expect(1);
    assert_eq!(relay.file(), kept, "what is not valid is not written");
    let left = std::fs::read_dir(relay.home.path(".config/cc-relay"))
        .unwrap()
        .count();
    assert_eq!(left, 1, "no copy is left behind");
    let unknown = relay.run(&["routing", "set", "fastest", "--yes"]).expect(2);
    assert!(unknown.stderr.contains("one of failover"), "{unknown:?}");
    std::fs::write(
        relay.home.path(".config/cc-relay/config.yaml"),
        format!("{}oops: 1\n", relay.file()),
    )
    .unwrap();
    let refused = relay.run(&["config", "reload"]).expect(78);
    assert!(refused.stderr.contains("unknown key `oops`"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_and_the_log_are_listed() {
    let relay = Relay::start().await;
    let body = r#"{"model":"claude-opus-5-5","max_tokens":9,"messages":[]}"#;
    relay.served.say(&format!(
        "POST /v1/messages HTTP/1.1\r\nhost: r\r\nx-claude-code-session-id: s-77\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    ));
    let listed = relay.run(&["sessions"]).expect(0).stdout;
    assert!(
        listed
            .lines()
            .nth(1)
            .unwrap()
            .starts_with("s-77     first/k"),
        "{listed}"
    );
    relay
        .run(&["sessions", "--unpin", "s-77", "--yes"])
        .expect(0);
    let json = relay.run(&["sessions", "--json"]).expect(0).json();
    assert_eq!(
        json["data"]["sessions"][0]["warm_for_ms"],
        serde_json::Value::Null
    );
    let log = relay.run(&["logs"]).expect(0).stdout;
    assert!(
        log.contains("relay.start") && log.contains("unpin session s-77"),
        "{log}"
    );
}

#[test]
fn without_a_relay_each_says_so() {
    let home = Home::new();
    for words in [
        &["provider", "list"][..],
        &["key", "list"],
        &["routing", "get"],
        &["sessions"],
        &["logs"],
        &["config", "reload"],
    ] {
        let ran = home.run(words).expect(69);
        assert!(ran.stderr.contains("cc-relay serve"), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_kept_with_who_made_them_and_outlive_the_relay() {
    let sim = Sim::builder().start().await.unwrap();
    let home = Home::new();
    let provider = |name: &str| {
        format!(
            "  - {{name: {name}, type: anthropic, base_url: '{}', accepts_client_credential: false, keys: [{{key: sk-ant-{name}-00000001}}]}}\n",
            sim.base_url()
        )
    };
    let file = home.write(
        "relay.yaml",
        &format!(
            "server: {{listen: '127.0.0.1:0'}}\nhistory: {{enabled: true, file: '{}'}}\nrouting: {{model_lists: false}}\nproviders:\n{}{}",
            home.path("kept.db").display(),
            provider("first"),
            provider("second")
        ),
    );
    let served = Served::start(&home, "relay.yaml");
    let at = served.address.clone();
    home.run(&["provider", "disable", "first", "--yes", "--addr", &at])
        .expect(0);
    // It is the last one that is on.
    home.run(&["provider", "disable", "second", "--yes", "--addr", &at])
        .expect(1);
    served.stop();
    let words = ["changes", "-c", file.to_str().unwrap()];
    let said = home.run(&words).expect(0).stdout;
    for words in [
        "disable first  by ",
        "providers[first].enabled true -> false",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let told = home
        .run(&[&words[..], &["--json"]].concat())
        .expect(0)
        .json();
    let changes = told["data"]["changes"].as_array().unwrap();
    assert_eq!(changes[0]["what"], "disable first");
    assert!(changes[0]["refused"].is_null() && changes[0]["at_ms"].as_u64() > Some(0));
    assert!(!told.to_string().contains("sk-ant"), "{told}");
}
