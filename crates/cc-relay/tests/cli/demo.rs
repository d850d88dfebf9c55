//! `demo`, with its own upstream and relay.

use crate::support::Home;

#[test]
fn every_byte_is_compared_and_nothing_is_written() {
    let home = Home::new();
    let ran = home.run(&["demo", "--for", "1s"]).expect(0);
    for words in [
        "nothing leaves this machine",
        "ANTHROPIC_BASE_URL=http://127.0.0.1:",
        "stream_cut",
        "529",
        "0 answers different",
        "0 requests changed",
    ] {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
    let entries: Vec<_> = std::fs::read_dir(home.path("")).unwrap().collect();
    assert_eq!(entries.len(), 1, "only the project folder: {entries:?}");
}

#[test]
fn as_json_it_is_one_object_a_line() {
    let home = Home::new();
    let ran = home.run(&["demo", "--for", "500ms", "--json"]).expect(0);
    let lines: Vec<serde_json::Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.iter().all(|line| line["schema"] == 1));
    assert!(lines.first().unwrap()["data"]["url"].is_string());
    let last = &lines.last().unwrap()["data"];
    assert_eq!(last["different"], 0);
    assert_eq!(last["requests_changed"], 0);
    assert_eq!(last["turns"].as_u64().unwrap(), lines.len() as u64 - 2);
    let turns = last["identical"].as_u64().unwrap() + last["aborted"].as_u64().unwrap();
    assert_eq!(last["turns"], turns);
    assert!(
        lines
            .iter()
            .any(|line| line["data"]["outcome"] == "complete")
    );
}

#[test]
fn an_interrupt_ends_it_with_the_summary() {
    use std::io::{BufRead as _, BufReader, Read as _};
    let home = Home::new();
    let mut command = home.command(&["demo"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("complete") {
        line.clear();
        assert_ne!(
            output.read_line(&mut line).unwrap(),
            0,
            "it ended by itself"
        );
    }
    let pid = child.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .unwrap();
    assert!(killed.success());
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest}");
    assert!(rest.contains("0 answers different"), "{rest}");
}

#[test]
fn a_reader_that_leaves_ends_it() {
    let home = Home::new();
    let mut command = home.command(&["demo"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_taken_port_says_so() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    home.run(&["demo", "--for", "1s", "--listen", &address])
        .expect(75);
}
