//! A configuration that changes under a running relay, in the ways in which files change.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use relay_sim::Sim;

use crate::support::Home;

/// Longest wait for anything. It is a bound, never a measure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A relay in a process of its own, stopped when it is dropped.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: String,
    /// What it logs from then on.
    log: Receiver<String>,
}

impl Drop for Served {
    fn drop(&mut self) {
        // As a service manager ends it, so that what it measured of itself is written; then for good.
        let pid = self.child.id().to_string();
        drop(Command::new("kill").args(["-TERM", &pid]).status());
        for _ in 0..200 {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Served {
    pub(crate) fn start(home: &Home, file: &str) -> Self {
        Self::start_with(home, file, &[])
    }

    /// Starts it with variables of the environment.
    pub(crate) fn start_with(home: &Home, file: &str, variables: &[(&str, &str)]) -> Self {
        let mut child = home
            .command(&["serve", "--config", home.path(file).to_str().unwrap()])
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .find_map(|line| {
                let line = line.unwrap();
                let mut schemes = ["http://", "https://"].iter();
                let (_, rest) = schemes.find_map(|it| line.split_once(it))?;
                let is_part = |it: &char| it.is_ascii_digit() || ".:".contains(*it);
                Some(rest.chars().take_while(is_part).collect::<String>())
            })
            .expect("an address");
        let (sender, log) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            address,
            log,
        }
    }

    /// Waits for a line of the log that has this in it.
    pub(crate) fn wait(&self, words: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("nothing says {words}"));
            if line.contains(words) {
                return line;
            }
        }
    }

    fn get(&self, path: &str) -> String {
        self.say(&format!(
            "GET {path} HTTP/1.1\r\nhost: r\r\nconnection: close\r\n\r\n"
        ))
    }

    pub(crate) fn turn(&self) -> String {
        turn(&self.address)
    }

    pub(crate) fn say(&self, request: &str) -> String {
        say(&self.address, request)
    }

    pub(crate) fn hang_up(&self) {
        self.signal("-HUP");
    }

    /// Stops it as an operator does; returns what it still had to say.
    pub(crate) fn stop(mut self) -> Vec<String> {
        self.signal("-TERM");
        assert!(self.child.wait().unwrap().success());
        self.log.iter().collect()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }
}

/// Sends a turn to a relay, and returns what comes back.
pub(crate) fn turn(address: &str) -> String {
    let body = r#"{"model":"claude-opus-5-5","max_tokens":9,"messages":[],"stream":true}"#;
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: r\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    say(address, &format!("{head}{body}"))
}

pub(crate) fn say(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) fn config(sim: &Sim, key: &str, more: &str) -> String {
    format!(
        "server: {{listen: '127.0.0.1:0'}}\nproviders:\n  - {{name: up, type: anthropic, base_url: '{}', proxy: none, accepts_client_credential: false, keys: [{{key: '{key}'}}]}}\n{more}",
        sim.base_url()
    )
}

pub(crate) fn last_key(sim: &Sim) -> String {
    let last = sim.requests().into_iter().rfind(|it| it.method == "POST");
    last.unwrap().header("x-api-key").unwrap().to_owned()
}

async fn sim() -> Sim {
    Sim::builder().start().await.unwrap()
}

fn private(path: &Path) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn writing_renaming_and_swapping_links_are_noticed() {
    let (sim, home) = (sim().await, Home::new());
    // As Kubernetes mounts it: the file is a link into a folder that is a link itself.
    home.write("etc/..one/config.yaml", &config(&sim, "sk-ant-one", ""));
    symlink("..one", home.path("etc/..data")).unwrap();
    symlink("..data/config.yaml", home.path("etc/config.yaml")).unwrap();
    let served = Served::start(&home, "etc/config.yaml");
    assert!(served.turn().contains("200 OK"));
    assert_eq!(last_key(&sim), "sk-ant-one");
    home.write("etc/..two/config.yaml", &config(&sim, "sk-ant-two", ""));
    symlink("..two", home.path("etc/..data_tmp")).unwrap();
    std::fs::rename(home.path("etc/..data_tmp"), home.path("etc/..data")).unwrap();
    let line = served.wait("config.reload");
    assert!(line.contains("providers[up].keys[k1].key"), "{line}");
    assert!(!line.contains("sk-ant"), "{line}");
    served.turn();
    assert_eq!(last_key(&sim), "sk-ant-two");
    // As an editor does it: another file takes the name.
    home.write("etc/config.yaml~", &config(&sim, "sk-ant-three", ""));
    std::fs::rename(home.path("etc/config.yaml~"), home.path("etc/config.yaml")).unwrap();
    served.wait("config.reload");
    served.turn();
    assert_eq!(last_key(&sim), "sk-ant-three");
    // As a shell does it: the file itself is written, in pieces.
    let text = config(&sim, "sk-ant-four", "");
    let mut file = std::fs::File::create(home.path("etc/config.yaml")).unwrap();
    for piece in text.as_bytes().chunks(40) {
        file.write_all(piece).unwrap();
        file.flush().unwrap();
    }
    drop(file);
    served.wait("config.reload");
    served.turn();
    assert_eq!(last_key(&sim), "sk-ant-four");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_faulty_file_leaves_what_runs_and_is_told_everywhere() {
    let (sim, home) = (sim().await, Home::new());
    home.write("relay.yaml", &config(&sim, "sk-ant-good", ""));
    let served = Served::start(&home, "relay.yaml");
    let faulty = config(
        &sim,
        "sk-ant-secret-0123456789",
        "routing: {strategy: failovr}\n",
    );
    home.write("relay.yaml", &faulty);
    let line = served.wait("config.refused");
    assert!(line.contains("relay.yaml:4:21: unknown strategy"), "{line}");
    assert!(!line.contains("0123456789"), "{line}");
    assert!(served.turn().contains("200 OK"));
    assert_eq!(last_key(&sim), "sk-ant-good");
    let ready = served.get("/readyz");
    assert!(
        ready.contains("200 OK") && ready.contains("unknown strategy"),
        "{ready}"
    );
    // The file says where the relay is, whatever else is at fault in it.
    let listen = format!("listen: '{}'", served.address);
    let file = home.write(
        "there.yaml",
        &faulty.replace("listen: '127.0.0.1:0'", &listen),
    );
    let status = home.run(&["status", "-c", file.to_str().unwrap()]);
    assert!(status.stdout.contains("unknown strategy"), "{status:?}");
    let status = home
        .run(&["status", "--json", "--addr", &served.address])
        .expect(3);
    assert_eq!(status.json()["data"]["reloads_refused"], 1);
    home.write("relay.yaml", &config(&sim, "sk-ant-mended", ""));
    served.wait("config.reload");
    served.turn();
    assert_eq!(last_key(&sim), "sk-ant-mended");
    home.run(&["status", "--addr", &served.address]).expect(0);
    let ready = served.get("/readyz");
    assert!(ready.ends_with("ready\n"), "{ready}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_key_in_a_file_is_rotated_without_a_failure() {
    let (sim, home) = (sim().await, Home::new());
    let key = home.write("secret/key", "sk-ant-old\n");
    private(&key);
    let reference = format!("${{file:{}}}", key.display());
    home.write("relay.yaml", &config(&sim, &reference, ""));
    let served = Served::start(&home, "relay.yaml");
    let shown = home.run(&[
        "config",
        "show",
        "-c",
        home.path("relay.yaml").to_str().unwrap(),
    ]);
    assert!(!shown.expect(0).stdout.contains("sk-ant-old"));
    let mut keys = Vec::new();
    for round in 0..40 {
        if round == 10 {
            home.write("secret/key", "sk-ant-new\n");
        }
        if round == 30 {
            served.wait("config.reload");
        }
        assert!(served.turn().contains("200 OK"), "round {round}");
        keys.push(last_key(&sim));
    }
    assert_eq!(keys.first().map(String::as_str), Some("sk-ant-old"));
    assert_eq!(keys.last().map(String::as_str), Some("sk-ant-new"));
}

/// Waits until the relay counts so many reloads.
fn reloaded(served: &Served, counts: &[&str]) {
    let is_there = |count: &&str| {
        let reloads = format!(r#""reloads":{count},"#);
        served.get("/health").contains(&reloads)
    };
    while !counts.iter().any(is_there) {
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_hang_up_reads_the_file_again_and_the_log_level_follows() {
    let (sim, home) = (sim().await, Home::new());
    let logging = |level: &str| format!("logging: {{level: {level}, format: json}}\n");
    home.write("relay.yaml", &config(&sim, "sk-ant-1", &logging("info")));
    let served = Served::start(&home, "relay.yaml");
    served.hang_up();
    let line = served.wait("config.reload");
    assert!(line.contains(r#""changes":"nothing""#), "{line}");
    home.write("relay.yaml", &config(&sim, "sk-ant-1", &logging("error")));
    // It is told to whoever reads the log as it was, and is in force once it counts.
    served.wait("logging.level info -> error");
    reloaded(&served, &["2"]);
    served.turn();
    home.write("relay.yaml", &config(&sim, "sk-ant-1", &logging("info")));
    served.hang_up();
    reloaded(&served, &["3", "4"]);
    // The turn before is not there.
    served.turn();
    let line = served.wait(r#""event.name":"request""#);
    served.turn();
    assert_ne!(served.wait(r#""event.name":"request""#), line);
    // Another reload may be told of, but no third turn.
    let rest: Vec<String> = served.log.try_iter().collect();
    let turns = rest
        .iter()
        .filter(|line| line.contains(r#""event.name":"request""#));
    assert_eq!(turns.count(), 0, "three turns, two lines: {rest:?}");
}

/// A configuration with a client key and these keys.
fn keyed(sim: &Sim, names: &[&str], max: u32) -> String {
    let keys: Vec<String> = names
        .iter()
        .map(|name| format!("{{key: sk-ant-secret-0123-{name}, name: {name}}}"))
        .collect();
    format!(
        "server: {{listen: '127.0.0.1:0', max_concurrent: {max}, auth: {{api_key: relay-key-0123456789}}}}\nproviders:\n  - {{name: up, type: anthropic, base_url: '{}', proxy: none, accepts_client_credential: false, keys: [{}]}}\n",
        sim.base_url(),
        keys.join(", ")
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_file_would_change_is_told_and_which_sessions_would_move() {
    let (sim, home) = (sim().await, Home::new());
    home.write("relay.yaml", &keyed(&sim, &["a", "b"], 9));
    let served = Served::start(&home, "relay.yaml");
    let body = r#"{"model":"claude-opus-5-5","max_tokens":9,"messages":[]}"#;
    for session in 0..6 {
        let answer = served.say(&format!(
            "POST /v1/messages HTTP/1.1\r\nhost: r\r\nx-api-key: relay-key-0123456789\r\nx-claude-code-session-id: s{session}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ));
        assert!(answer.contains("200 OK"), "{answer}");
    }
    let on_a = sim
        .requests()
        .iter()
        .filter(|it| {
            it.header("x-api-key")
                .is_some_and(|key| key.ends_with("-a"))
        })
        .count();
    home.write("new.yaml", &keyed(&sim, &["b", "c"], 8));
    let file = home.path("new.yaml").display().to_string();
    let diff = home
        .run(&["config", "diff", &file, "--addr", &served.address])
        .expect(0);
    let mut lines = diff.stdout.lines().skip(1);
    assert_eq!(lines.next(), Some("  -providers[up].keys[a]"));
    assert_eq!(lines.next(), Some("  +providers[up].keys[c]"));
    assert_eq!(lines.next(), Some("  server.max_concurrent 9 -> 8"));
    let word = if on_a == 1 { "session" } else { "sessions" };
    let told = match on_a {
        0 => "no session would move".to_owned(),
        _ => format!("{on_a} {word} would move: {on_a} from up"),
    };
    assert_eq!(lines.next(), Some(&*told));
    assert!(!diff.stdout.contains("0123"), "{diff:?}");
    let same = home.path("relay.yaml").display().to_string();
    let same = home.run(&["config", "diff", &same, "--addr", &served.address]);
    assert!(same.stdout.starts_with("nothing would change"), "{same:?}");
    // Nobody else may look, and nothing was changed by looking.
    let refused = served.get("/config");
    assert!(refused.contains("401 Unauthorized"), "{refused}");
    assert!(!refused.contains("providers"), "{refused}");
    let text =
        keyed(&sim, &["a", "b"], 9).replace("relay-key-0123456789", "another-key-0123456789");
    let other = home.write("other.yaml", &text).display().to_string();
    let unknown = home.run(&["config", "diff", &other, "--addr", &served.address]);
    assert!(unknown.expect(69).stderr.contains("--token"));
    let with = [
        "config",
        "diff",
        &other,
        "--addr",
        &served.address,
        "--token",
        "K",
    ];
    let told = home
        .run_with(&with, &[("K", "relay-key-0123456789")])
        .expect(0);
    assert!(told.stdout.contains("server.auth.client_keys"), "{told:?}");
}
