//! `serve --history` and `usage`: what a real request leaves behind.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use relay_sim::{Script, Sim};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::Home;

pub(crate) struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Served {
    /// Ends it as a service manager does, so that everything is written.
    pub(crate) fn stop(mut self) {
        let id = self.0.id().to_string();
        let killed = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(killed.success());
        assert!(self.0.wait().unwrap().success());
    }
}

fn serve(home: &Home, upstream: &str, flags: &[&str]) -> (Served, String) {
    serve_with(home, upstream, flags, "")
}

/// The same with further sections of the configuration.
pub(crate) fn serve_with(
    home: &Home,
    upstream: &str,
    flags: &[&str],
    more: &str,
) -> (Served, String) {
    let config = format!(
        "server: {{listen: '127.0.0.1:0'}}\nproviders: [{{name: sim, type: anthropic, base_url: '{upstream}'}}]\n{more}"
    );
    let path = home.write("relay.yaml", &config);
    start(home, path.to_str().unwrap(), flags)
}

pub(crate) fn start(home: &Home, path: &str, flags: &[&str]) -> (Served, String) {
    let words = [&["serve", "--config", path], flags].concat();
    let mut command = home.command(&words);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines.find_map(|line| {
        let line = line.unwrap();
        let (_, rest) = line.split_once("http://127.0.0.1:")?;
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some(format!("127.0.0.1:{port}"))
    });
    // What it says from now on must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    (Served(child), address.unwrap())
}

async fn turn(address: &str, model: &str) {
    turn_of(address, model, "").await;
}

/// The same with further header lines.
async fn turn_of(address: &str, model: &str, lines: &str) {
    let answer = answer(address, model, lines).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Sends a turn and returns what comes back, head and body.
pub(crate) async fn answer(address: &str, model: &str, lines: &str) -> String {
    let body = format!(
        r#"{{"model":"{model}","max_tokens":9,"messages":[{{"role":"user","content":"hi"}}],"stream":true}}"#
    );
    String::from_utf8(post(address, lines, &body).await).unwrap()
}

/// Posts a body to `/v1/messages`, with further header lines; returns what comes back, head and body.
pub(crate) async fn post(address: &str, lines: &str, body: &str) -> Vec<u8> {
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: r\r\nx-api-key: sk-ant-fake\r\nanthropic-version: 2023-06-01\r\n{lines}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

fn usage() -> relay_sim::Usage {
    relay_sim::Usage {
        input_tokens: 1000,
        output_tokens: 500,
        cache_read_input_tokens: 100_000,
        ..relay_sim::Usage::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_served_is_summed_after_a_restart() {
    let sim = Sim::builder().start().await.unwrap();
    let home = Home::new();
    for model in ["claude-opus-5-5", "a-model-nobody-prices"] {
        let (served, address) = serve(&home, &sim.base_url(), &["--history"]);
        sim.push(Script::text("hello").usage(usage()));
        turn(&address, model).await;
        served.stop();
    }
    let json = home.run(&["usage", "--json"]).expect(0).json();
    let groups = json["data"]["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2, "{json}");
    let opus = &groups[0];
    assert_eq!(opus["name"], "claude-opus-5-5", "{json}");
    // 1000 at 4, 500 at 20 and 100,000 at 0.2 dollars a million; plain, the reads were 0.4.
    assert_eq!(opus["cost_usd"], 0.034, "{json}");
    assert_eq!(opus["saved_usd"], 0.38, "{json}");
    assert_eq!(groups[1]["cost_usd"], serde_json::Value::Null);
    assert_eq!(groups[1]["unknown_cost"], 1);
    let chart = home.run(&["usage", "--by", "provider"]).expect(0).stdout;
    assert!(chart.contains("$0.0340 + 1 unknown"), "{chart}");
    assert!(!chart.contains('\u{1b}'), "no colour in a pipe: {chart}");
    let csv = home
        .run(&["usage", "--csv", "--by", "day"])
        .expect(0)
        .stdout;
    assert_eq!(csv.lines().count(), 2, "{csv}");
}

/// A streamed answer whose end tells of a use of the given form.
fn told(model: &str, start: &str, end: &str) -> Script {
    let events = [
        format!(
            r#"event: message_start
data: {{"type":"message_start","message":{{"id":"msg_1","type":"message","role":"assistant","model":"{model}","content":[],"stop_reason":null,"stop_sequence":null,"usage":{start}}}}}

"#
        ),
        r#"event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

"#
        .to_owned(),
        format!(
            r#"event: message_delta
data: {{"type":"message_delta","delta":{{"stop_reason":"end_turn","stop_sequence":null}},"usage":{end}}}

event: message_stop
data: {{"type":"message_stop"}}

"#
        ),
    ];
    Script::raw_sse(events.map(bytes::Bytes::from).to_vec())
}

/// Uses as upstreams tell them, and what each costs by hand, in billionths of a dollar: tokens by
/// dollars a million, as the comments have it in millionths.
const USES: [(&str, &str, &str, u64); 8] = [
    // 3 x 4 + 150,000 x 0.2 + 1,000 x 5 + 100 x 8 + 500 x 20
    (
        "claude-opus-5-5",
        r#"{"input_tokens":3,"cache_read_input_tokens":150000,"cache_creation_input_tokens":1100,"cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":100},"output_tokens":1,"service_tier":"standard","inference_geo":"global"}"#,
        r#"{"output_tokens":500}"#,
        45_812_000,
    ),
    // The end repeats all: 10 x 2 + 20 x 10
    (
        "claude-sonnet-5-5",
        r#"{"input_tokens":10,"output_tokens":1}"#,
        r#"{"input_tokens":10,"cache_read_input_tokens":0,"cache_creation_input_tokens":0,"output_tokens":20}"#,
        220_000,
    ),
    // Above 100,000 tokens: 1 x 0.5 + 100,000 x 0.05 + 10 x 2.5
    (
        "claude-haiku-5-5",
        r#"{"input_tokens":1,"cache_read_input_tokens":100000,"output_tokens":1}"#,
        r#"{"output_tokens":10}"#,
        5_025_500,
    ),
    // Two searches at a cent: 1,000 x 4 + 100 x 20
    (
        "claude-opus-5-5",
        r#"{"input_tokens":1000,"output_tokens":1,"server_tool_use":{"web_search_requests":0}}"#,
        r#"{"output_tokens":100,"server_tool_use":{"web_search_requests":2,"web_fetch_requests":1}}"#,
        26_000_000,
    ),
    // Fast: twice 1,000 x 4 + 100 x 20
    (
        "claude-opus-5-5",
        r#"{"input_tokens":1000,"output_tokens":1,"speed":"fast"}"#,
        r#"{"output_tokens":100}"#,
        12_000_000,
    ),
    // In the United States: a tenth more
    (
        "claude-opus-5-5",
        r#"{"input_tokens":1000,"output_tokens":1,"inference_geo":"us"}"#,
        r#"{"output_tokens":100}"#,
        6_600_000,
    ),
    // Without a cache of its own: 1,000 x 1 + 100 x 3.2
    (
        "glm-5",
        r#"{"input_tokens":1000,"output_tokens":0}"#,
        r#"{"input_tokens":1000,"output_tokens":100}"#,
        1_320_000,
    ),
    // By the list of one's own, for this provider alone: 1,000 x 7
    (
        "claude-fable-5-2",
        r#"{"input_tokens":1000,"output_tokens":1}"#,
        r#"{"output_tokens":0}"#,
        7_000_000,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn uses_of_all_forms_cost_what_they_do_by_hand() {
    let sim = Sim::builder().start().await.unwrap();
    let home = Home::new();
    let own = r#"{"as_of": "2026-11-01", "source": "ours", "providers": {"sim": {"claude-fable-5-2": {"input": 7, "output": 0}}}}"#;
    let list = home.write("prices.json", own).display().to_string();
    for percent in [100, 50] {
        let config = format!(
            "server: {{listen: '127.0.0.1:0'}}\nprices: {{list: '{list}'}}\nproviders: [{{name: sim, type: anthropic, base_url: '{}', price_percent: {percent}}}]\n",
            sim.base_url()
        );
        let path = home.write("relay.yaml", &config);
        let file = home.path(&format!("{percent}.db"));
        let file = file.to_str().unwrap();
        let (served, address) = start(&home, path.to_str().unwrap(), &["--history", file]);
        for (model, start, end, _) in USES {
            sim.push(told(model, start, end));
            turn(&address, model).await;
        }
        served.stop();
        let asked = ["requests", "--history", file, "--json"];
        let json = home.run(&asked).expect(0).json();
        let rows = json["data"]["requests"].as_array().unwrap();
        let found: Vec<_> = rows.iter().map(|row| row["cost"].as_u64()).collect();
        let mut want = USES.map(|(.., nano_dollars)| Some(nano_dollars));
        if percent == 50 {
            // Searches are no tokens.
            want = want.map(|nano_dollars| Some(nano_dollars? / 2));
            want[3] = Some(23_000_000);
        }
        assert_eq!(found, want, "{json}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_cannot_be_kept_stops_nothing() {
    let sim = Sim::builder().start().await.unwrap();
    let home = Home::new();
    home.write("a-file", "");
    let path = home.path("a-file/relay.db");
    let (served, address) = serve(
        &home,
        &sim.base_url(),
        &["--history", path.to_str().unwrap()],
    );
    turn(&address, "claude-opus-5-5").await;
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_says_where_it_is() {
    let sim = Sim::builder().start().await.unwrap();
    let home = Home::new();
    let file = home.path("kept/here.db");
    let section = format!("history: {{enabled: true, file: '{}'}}\n", file.display());
    let (served, address) = serve_with(&home, &sim.base_url(), &[], &section);
    turn(&address, "claude-opus-5-5").await;
    served.stop();
    assert!(file.is_file());
    let config = home.path("relay.yaml").display().to_string();
    let json = home
        .run(&["usage", "-c", &config, "--json"])
        .expect(0)
        .json();
    assert_eq!(json["data"]["groups"][0]["requests"], 1, "{json}");
}

/// Where an attempt began is kept, not guessed.
fn began(kept: &serde_json::Value) {
    let micros = |value: &serde_json::Value| value.as_u64().unwrap();
    let failed = &kept["attempts"][0];
    let over = micros(&failed["began_us"]) + micros(&failed["took_us"]);
    assert!(micros(&failed["began_us"]) > 0, "{kept}");
    assert!(micros(&kept["began_us"]) >= over, "{kept}");
    assert!(
        micros(&kept["duration_us"]) > micros(&kept["began_us"]),
        "{kept}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn single_requests_are_listed_followed_and_drawn() {
    let (sim, other) = (
        Sim::builder().start().await.unwrap(),
        Sim::builder().start().await.unwrap(),
    );
    let home = Home::new();
    let backup = format!(
        "history: {{enabled: true}}\nrouting: {{model_lists: false}}\nproviders:\n  - {{name: main, type: anthropic, base_url: '{}', accepts_client_credential: false, keys: [{{key: sk-ant-a, name: a}}]}}\n  - {{name: backup, type: anthropic, base_url: '{}', accepts_client_credential: false, keys: [{{key: sk-ant-b, name: b}}]}}\n",
        sim.base_url(),
        other.base_url()
    );
    let config = home.write(
        "two.yaml",
        &format!("server: {{listen: '127.0.0.1:0'}}\n{backup}"),
    );
    let (served, address) = start(&home, config.to_str().unwrap(), &[]);
    sim.push(Script::error(529, "overloaded_error", "Overloaded"));
    other.push(Script::text("hello").usage(usage()));
    turn(&address, "claude-opus-5-5").await;
    // It is there while the relay runs, once the batch is written.
    let mut follow = home.command(&["requests", "--follow", "--json"]);
    let mut follow = loop {
        if home.path(".local/state/cc-relay/relay.db").is_file() {
            break follow.stdout(Stdio::piped()).spawn().unwrap();
        }
        std::thread::yield_now();
    };
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let first: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let kept = &first["data"];
    assert_eq!(kept["provider"], "backup", "{first}");
    assert_eq!(kept["attempts"][0]["reason"], "overloaded", "{first}");
    turn(&address, "claude-haiku-4-5").await;
    let second: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(second["data"]["outcome"], "complete");
    follow.kill().unwrap();
    follow.wait().unwrap();
    served.stop();
    let list = home.run(&["requests", "--limit", "5"]).expect(0).stdout;
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(
        list.contains("hops=1") && list.contains("backup/b"),
        "{list}"
    );
    began(kept);
    let name = kept["name"].as_str().unwrap();
    let drawn = home.run(&["request", name]).expect(0).stdout;
    assert!(
        drawn.contains("main/a") && drawn.contains("overloaded 529"),
        "{drawn}"
    );
    assert!(drawn.contains("cost: $0.0340"), "{drawn}");
    let several = home.run(&["request", "req_"]).expect(1);
    assert!(several.stderr.contains("several requests"), "{several:?}");
    let none = home.run(&["request", "req_nobody"]).expect(1);
    assert!(none.stderr.contains("no request"), "{none:?}");
}

#[test]
fn prices_are_those_of_the_file_over_the_programs() {
    let home = Home::new();
    let plain = home
        .run(&["prices", "claude-opus-5-5", "--json"])
        .expect(0)
        .json();
    assert_eq!(plain["data"]["models"]["claude-opus-5-5"]["output"], 20.0);
    home.run(&["prices", "glm-of-mine"]).expect(1);
    let list = r#"{"as_of": "2026-11-01", "source": "ours", "models": {"glm-5": {"input": 0.6, "output": 2.2, "cache_read": 0.1, "cache_write_5m": 0, "cache_write_1h": 0}}}"#;
    let file = home.write("prices.json", list).display().to_string();
    let config = home.write("relay.yaml", &format!("prices: {{list: '{file}'}}\n"));
    let config = config.display().to_string();
    let own = home.run(&["prices", "-c", &config]).expect(0).stdout;
    assert!(
        own.contains("glm-5") && own.contains("claude-opus-5-5"),
        "{own}"
    );
    // What it prints is what it reads.
    let all = home
        .run(&["prices", "-c", &config, "--json"])
        .expect(0)
        .json();
    home.write("prices.json", &all["data"].to_string());
    let again = home
        .run(&["prices", "-c", &config, "--json"])
        .expect(0)
        .json();
    assert_eq!(all, again);
    home.write("prices.json", r#"{"models": {"x": {"input": -1}}}"#);
    let faulty = home.run(&["config", "validate", "-c", &config]).expect(78);
    assert!(faulty.stderr.contains("the list of prices"), "{faulty:?}");
}

#[test]
fn without_a_history_it_says_how_to_keep_one() {
    let ran = Home::new().run(&["usage"]).expect(1);
    assert!(ran.stderr.contains("serve --history"), "{ran:?}");
    Home::new().run(&["usage", "--since", "soon"]).expect(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_a_tree_of_its_agents() {
    let sim = Sim::builder().start().await.unwrap();
    let home = Home::new();
    let (served, address) = serve(&home, &sim.base_url(), &["--history"]);
    for (session, agent, parent) in [
        ("4f1c-1", None, None),
        ("4f1c-1", Some("a1"), None),
        ("4f1c-1", Some("b1"), Some("a1")),
        ("4f1c-1", Some("b1"), Some("a1")),
        ("5000-1", Some("c1"), None),
    ] {
        let line = |name: &str, value: Option<&str>| {
            value.map_or_else(String::new, |value| {
                format!("x-claude-code-{name}: {value}\r\n")
            })
        };
        let lines = [
            line("session-id", Some(session)),
            line("agent-id", agent),
            line("parent-agent-id", parent),
        ];
        sim.push(Script::text("hello").usage(usage()));
        turn_of(&address, "claude-opus-5-5", &lines.concat()).await;
    }
    let lines = "x-claude-code-session-id: 7000-1\r\n";
    turn_of(&address, "a-model-nobody-prices", lines).await;
    served.stop();
    let shown = home.run(&["session", "4f"]).expect(0).stdout;
    let facts = "request $0.0340 cache=99% out=500";
    let want = format!(
        "4f1c-1  4 requests $0.1360 cache=99% out=2000\nmain      1 {facts}\n└─ a1     1 {facts}\n   └─ b1  2 requests $0.0680 cache=99% out=1000\n"
    );
    assert_eq!(shown, want);
    let json = home.run(&["session", "4f1c-1", "--json"]).expect(0).json();
    assert_eq!(json["data"]["agents"].as_array().unwrap().len(), 3);
    assert_eq!(json["data"]["sums"]["cost"], 136_000_000);
    let unknown = home.run(&["session", "7"]).expect(0).stdout;
    assert!(unknown.contains("cost unknown (1)"), "{unknown}");
    assert!(!unknown.contains('$'), "{unknown}");
    home.run(&["session", "6"]).expect(1);
    let several = home.run(&["session", ""]).expect(1);
    assert!(several.stderr.contains("several sessions"), "{several:?}");
}
