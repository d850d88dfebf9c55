//! `serve --history` and `usage`: what a real request leaves behind.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use relay_sim::{Script, Sim};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::Home;

struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Served {
    /// Ends it as a service manager does, so that everything is written.
    fn stop(mut self) {
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
fn serve_with(home: &Home, upstream: &str, flags: &[&str], more: &str) -> (Served, String) {
    let config = format!(
        "server: {{listen: '127.0.0.1:0'}}\nproviders: [{{name: sim, type: anthropic, base_url: '{upstream}'}}]\n{more}"
    );
    let path = home.write("relay.yaml", &config);
    let words = [&["serve", "--config", path.to_str().unwrap()], flags].concat();
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
    let body = format!(
        r#"{{"model":"{model}","max_tokens":9,"messages":[{{"role":"user","content":"hi"}}],"stream":true}}"#
    );
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: r\r\nx-api-key: sk-ant-fake\r\nanthropic-version: 2023-06-01\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
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

#[test]
fn without_a_history_it_says_how_to_keep_one() {
    let ran = Home::new().run(&["usage"]).expect(1);
    assert!(ran.stderr.contains("serve --history"), "{ran:?}");
    Home::new().run(&["usage", "--since", "soon"]).expect(2);
}
