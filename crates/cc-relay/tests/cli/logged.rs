//! What the running program logs, and how it is read while it goes on.

use std::process::Stdio;
use std::time::Duration;

use relay_sim::{Script, Sim};

use crate::reload::{Served, config};
use crate::support::Home;
use crate::switches::Load;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_request_is_one_line_of_json_that_says_what_became_of_it() {
    let (sim, home) = (Sim::builder().start().await.unwrap(), Home::new());
    let logging = "logging: {format: json, level: info}\n";
    home.write("relay.yaml", &config(&sim, "sk-ant-0123456789", logging));
    let served = Served::start(&home, "relay.yaml");
    sim.push(Script::text("hello"));
    sim.push(Script::error(400, "invalid_request_error", "no"));
    for (status, outcome) in [(200, "complete"), (400, "complete")] {
        let answer = served.turn();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        let id = answer
            .lines()
            .find_map(|line| line.strip_prefix("x-cc-relay-request-id: "));
        let line = served.wait(r#""event.name":"request""#);
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["ccrelay.request.id"].as_str(), id, "{line}");
        assert_eq!(line["ccrelay.provider"], "up", "{line}");
        assert_eq!(line["gen_ai.request.model"], "claude-opus-5-5", "{line}");
        assert_eq!(line["http.response.status_code"], status, "{line}");
        assert_eq!(line["ccrelay.outcome"], outcome, "{line}");
        assert!(line["ccrelay.duration_s"].as_f64() > Some(0.0), "{line}");
    }
    let rest = served.stop();
    let requests = rest
        .iter()
        .filter(|line| line.contains(r#""event.name":"request""#));
    assert_eq!(requests.count(), 0, "one line each: {rest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_lines_are_read_to_an_end_while_further_ones_come() {
    let (sim, home) = (crate::switches::fixed().await, Home::new());
    // At this level the relay logs all the time, not least that it is asked for its log.
    let logging = "logging: {format: json, level: trace}\n";
    home.write("relay.yaml", &config(&sim, "sk-ant-0123456789", logging));
    let served = Served::start(&home, "relay.yaml");
    let load = Load::start(&served.address);
    load.each(1).await;
    let mut reading = home
        .command(&["logs", "--level", "debug", "--addr", &served.address])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let ended = async {
        loop {
            if let Some(code) = reading.try_wait().unwrap() {
                return code;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    if ended.is_err() {
        reading.kill().unwrap();
        reading.wait().unwrap();
    }
    assert!(ended.expect("an end").success());
    load.end();
}
