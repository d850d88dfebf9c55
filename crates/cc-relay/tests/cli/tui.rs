//! The dashboard in a real terminal, `tmux`, beside a real relay: what is read there, and what a key does.

use std::process::{Command, Stdio};
use std::time::Duration;

use relay_sim::Sim;

use crate::reload::{Served, config, turn};
use crate::support::Home;

/// Looks at the screen before it is given up: a bound, never a measure.
const LOOKS: u32 = 600;

/// A terminal with the dashboard in it.
pub(crate) struct Screen {
    name: String,
}

impl Screen {
    fn start(home: &Home, words: &[&str], size: (u16, u16)) -> Self {
        Self::start_with(home, words, size, &[])
    }

    /// Starts it with variables of the environment.
    pub(crate) fn start_with(
        home: &Home,
        words: &[&str],
        (width, height): (u16, u16),
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = vec![env!("CARGO_BIN_EXE_cc-relay")];
        command.extend(words);
        Self::run(home, &command, (width, height), variables)
    }

    /// Starts any program in it.
    fn run(
        home: &Home,
        program: &[&str],
        (width, height): (u16, u16),
        variables: &[(&str, &str)],
    ) -> Self {
        let name = format!(
            "cc-relay-{}-{width}x{height}-{}",
            std::process::id(),
            program.len()
        );
        let screen = Self { name };
        let mut command = vec!["env", "-i", "TERM=tmux-256color", "LANG=C.UTF-8"];
        let folder = format!("HOME={}", home.path("").display());
        let profile =
            std::env::var("LLVM_PROFILE_FILE").map(|it| format!("LLVM_PROFILE_FILE={it}"));
        command.push(&folder);
        command.extend(profile.as_deref());
        let variables: Vec<String> = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        command.extend(variables.iter().map(String::as_str));
        command.extend(program);
        let (width, height) = (width.to_string(), height.to_string());
        let start = home.path("").display().to_string();
        let mut arguments = vec![
            "new-session",
            "-d",
            "-c",
            &start,
            "-x",
            &width,
            "-y",
            &height,
        ];
        arguments.extend(command);
        screen.tmux(&arguments);
        screen.tmux(&["set-option", "-s", "escape-time", "0"]);
        screen
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-f", "/dev/null", "-L", &self.name])
            .args(arguments)
            .env_remove("TMUX")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Waits until this is on the screen; returns the screen.
    pub(crate) fn wait(&self, words: &str) -> String {
        let mut shown = String::new();
        for _ in 0..LOOKS {
            shown = self.tmux(&["capture-pane", "-p"]);
            if shown.contains(words) {
                return shown;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{words} is never on the screen:\n{shown}");
    }

    /// Waits until this is on the screen no longer.
    fn wait_without(&self, words: &str) {
        for _ in 0..LOOKS {
            if !self.tmux(&["capture-pane", "-p"]).contains(words) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{words} stays on the screen");
    }

    /// Ends it as a person does.
    fn quit(&self) {
        self.press("q");
        self.wait_for_end();
    }

    pub(crate) fn wait_for_end(&self) {
        for _ in 0..LOOKS {
            if !self.is_there() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("it does not end");
    }

    fn is_there(&self) -> bool {
        !self.tmux(&["list-sessions"]).is_empty()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

async fn relay(home: &Home) -> (Served, Sim, Sim) {
    let first = Sim::builder().start().await.unwrap();
    let second = Sim::builder().start().await.unwrap();
    let provider = |name: &str, sim: &Sim| {
        format!(
            "  - {{name: {name}, type: anthropic, base_url: '{}', accepts_client_credential: false, keys: [{{key: sk-ant-{name}-00000001, name: k1}}]}}\n",
            sim.base_url()
        )
    };
    let config = format!(
        "server: {{listen: '127.0.0.1:0'}}\nrouting: {{model_lists: false}}\nproviders:\n{}{}",
        provider("first", &first),
        provider("second", &second)
    );
    home.write("relay.yaml", &config);
    (Served::start(home, "relay.yaml"), first, second)
}

fn turns(sim: &Sim) -> usize {
    sim.requests()
        .iter()
        .filter(|it| it.method == "POST")
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_switched_off_by_the_keyboard_and_gets_no_more() {
    let home = Home::new();
    let (served, first, second) = relay(&home).await;
    let screen = Screen::start(&home, &["tui", "--addr", &served.address], (80, 24));
    screen.wait("▸ first         ● up");
    screen.wait("● healthy");
    assert!(turn(&served.address).starts_with("HTTP/1.1 200"));
    screen.wait("✔ done");
    assert_eq!([turns(&first), turns(&second)], [1, 0]);

    screen.press("d");
    let asked = screen.wait("disable first?");
    assert!(asked.contains("new requests go to second"), "{asked}");
    // All of the traffic goes there, so its name has to be typed; Enter alone keeps it.
    assert!(asked.contains("Type first and Enter to go on"), "{asked}");
    screen.press("Enter");
    screen.wait_without("disable first?");
    screen.press("d");
    screen.wait("disable first?");
    for letter in ["f", "i", "r", "s", "t", "Enter"] {
        screen.press(letter);
    }
    screen.wait("▸ first         ○ off");
    assert!(turn(&served.address).starts_with("HTTP/1.1 200"));
    assert_eq!([turns(&first), turns(&second)], [1, 1], "routing stopped");

    screen.press("e");
    screen.wait("enable first?");
    screen.press("y");
    screen.wait("▸ first         ● up");
    assert!(turn(&served.address).starts_with("HTTP/1.1 200"));
    assert_eq!([turns(&first), turns(&second)], [2, 1]);

    // Each view has something to say of a real relay.
    for (key, words) in [
        ("4", "first         k1"),
        ("5", "manage.change"),
        ("6", "relay.yaml"),
        ("2", "known"),
        ("3", "2 of"),
    ] {
        screen.press(key);
        if key == "3" {
            screen.press("Enter");
            screen.wait("times ");
        } else {
            screen.wait(words);
        }
    }
    drop(served);
    screen.wait("LINK LOST");
    screen.quit();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_sorted_searched_read_and_exported_by_the_keyboard() {
    let home = Home::new();
    let (served, _first, _second) = relay(&home).await;
    let words = [
        "tui",
        "--no-motion",
        "--no-mouse",
        "--addr",
        &served.address,
    ];
    let screen = Screen::start(&home, &words, (80, 24));
    screen.wait("● healthy");
    for _ in 0..2 {
        assert!(turn(&served.address).starts_with("HTTP/1.1 200"));
    }
    screen.press("3");
    screen.wait("by time · follow on");
    screen.wait("✔ done");
    screen.press("s");
    screen.wait("by total");
    screen.press("S");
    screen.wait("by total, reversed");
    // What is typed narrows the list as it is typed, and Tab completes it.
    screen.press("/");
    screen.tmux(&["send-keys", "-l", "status>=400"]);
    screen.wait("nothing passes the filter");
    screen.press("Enter");
    screen.press("Escape");
    screen.wait("✔ done");
    // One request as the API tells it; q closes that and nothing else.
    screen.press("J");
    let shown = screen.wait("\"attempts\": []");
    assert!(!shown.contains("sk-ant"), "{shown}");
    screen.press("C-d");
    screen.wait("\"provider\": \"first\"");
    screen.press("q");
    screen.wait_without("\"provider\": \"first\"");
    // The window of the rates is the relay's to change.
    screen.press("1");
    screen.press("t");
    screen.wait("LAST 5 m");
    screen.press("z");
    screen.wait_without("tightest first");
    screen.press("z");
    screen.wait("tightest first");
    screen.press(":");
    screen.tmux(&["send-keys", "-l", "ev"]);
    screen.press("Tab");
    screen.press("Enter");
    screen.wait("[5 Events]");
    screen.press("E");
    let shown = screen.wait("written to cc-relay-events-");
    let name = shown.split_once("written to ").unwrap().1;
    let name = name.split_whitespace().next().unwrap();
    let text = std::fs::read_to_string(home.path(name)).unwrap();
    assert!(text.contains("relay.start"), "{text}");
    assert!(!text.contains("sk-ant"), "{text}");
    screen.press("C-l");
    screen.wait("[5 Events]");
    screen.quit();
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_data_needs_no_relay_and_the_terminal_is_given_back() {
    let home = Home::new();
    let screen = Screen::start(&home, &["tui", "--demo"], (140, 40));
    let shown = screen.wait("bedrock-eu");
    // Nothing is left of what was tried to learn how wide signs are.
    assert!(shown.starts_with(" ▲ degraded"), "{shown}");
    screen.press("3");
    screen.wait("[3 Requests]");
    screen.tmux(&["resize-window", "-x", "50", "-y", "12"]);
    screen.wait("needs 60x16 (is 50x12)");
    screen.quit();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_suspended_and_goes_on_as_the_shell_says() {
    let home = Home::new();
    let screen = Screen::run(&home, &["sh", "-i"], (100, 30), &[]);
    let program = env!("CARGO_BIN_EXE_cc-relay");
    screen.tmux(&["send-keys", "-l", &format!("{program} tui --demo")]);
    screen.press("Enter");
    screen.wait("[1 Overview]");
    screen.press("C-z");
    screen.wait("Stopped");
    screen.wait_without("[1 Overview]");
    screen.tmux(&["send-keys", "-l", "fg"]);
    screen.press("Enter");
    screen.wait("[1 Overview]");
    screen.press("4");
    screen.wait("[4 Keys]");
    screen.press("q");
    screen.wait_without("[4 Keys]");
    screen.tmux(&["send-keys", "-l", "exit"]);
    screen.press("Enter");
    screen.wait_for_end();
}

#[test]
fn without_a_terminal_it_says_so() {
    let ran = Home::new().run(&["tui"]).expect(2);
    assert!(ran.stderr.contains("needs a terminal"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_shows_itself_and_runs_on_when_the_dashboard_is_closed() {
    let home = Home::new();
    let sim = Sim::builder().start().await.unwrap();
    let file = home.write(
        "relay.yaml",
        &config(&sim, "sk-ant-0123456789", "routing: {model_lists: false}\n"),
    );
    let words = ["serve", "--tui", "-c", file.to_str().unwrap()];
    let screen = Screen::start(&home, &words, (140, 40));
    let shown = screen.wait("127.0.0.1:");
    let address = shown.split_once("127.0.0.1:").expect("an address").1;
    let port: String = address.chars().take_while(char::is_ascii_digit).collect();
    let address = format!("127.0.0.1:{port}");
    screen.wait("● healthy");
    assert!(turn(&address).starts_with("HTTP/1.1 200"));
    screen.wait("✔ done");
    // The log is not on the screen, and comes when the dashboard goes.
    assert!(!screen.wait("✔ done").contains("relay.start"));
    screen.press("q");
    let shown = screen.wait("the dashboard is closed");
    assert!(
        shown.contains("manage.start") || shown.contains("200"),
        "{shown}"
    );
    assert!(turn(&address).starts_with("HTTP/1.1 200"));
    screen.press("C-c");
    screen.wait_for_end();
}

#[test]
fn the_dashboard_of_a_relay_needs_a_terminal() {
    let home = Home::new();
    let words = ["serve", "--tui", "--listen", "127.0.0.1:0"];
    let said = home.run(&words).expect(2).stderr;
    assert!(said.contains("the dashboard needs a terminal"), "{said}");
}
