//! Keys in the operating system's keychain: GNOME Keyring on a session bus of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use relay_sim::Sim;

use crate::reload::{Served, config, last_key};
use crate::support::Home;

/// A bus without services that it could start.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>
"#;

/// A session bus and an unlocked keychain on it, ended when it is dropped.
struct Keychain {
    address: String,
    children: Vec<Child>,
}

impl Drop for Keychain {
    fn drop(&mut self) {
        for child in &mut self.children {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Keychain {
    fn start(home: &Home) -> Self {
        // The bus starts nothing by itself: a second keychain would come up, and ask for a password.
        let settings = home.write("bus.conf", BUS);
        let mut bus = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", settings.display()))
            .args(["--nofork", "--print-address=1"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        let mut told = BufReader::new(bus.stdout.take().unwrap());
        told.read_line(&mut address).unwrap();
        let mut keychain = Self {
            address: address.trim().to_owned(),
            children: vec![bus],
        };
        let mut command = keychain.command("gnome-keyring-daemon", home.path("").as_path());
        let mut daemon = command
            .args(["--foreground", "--unlock", "--components=secrets"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        daemon.stdin.take().unwrap().write_all(b"pw").unwrap();
        keychain.children.push(daemon);
        keychain
    }

    fn command(&self, program: &str, home: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home)
            .env("XDG_DATA_HOME", home.join("keyrings"))
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        command
    }

    /// Stores a secret as a person does. The daemon takes a moment to answer the bus.
    fn store(&self, home: &Home, account: &str, secret: &str) {
        for _ in 0..600 {
            let mut command = self.command("secret-tool", home.path("").as_path());
            command.args(["store", "--label=cc-relay", "service", "anthropic"]);
            command.args(["username", account]);
            let mut child = command
                .stdin(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            // One that has no keychain yet does not read.
            drop(child.stdin.take().unwrap().write_all(secret.as_bytes()));
            if child.wait().unwrap().success() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the keychain does not take a secret");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_key_in_the_keychain_is_used_rotated_and_missed() {
    let (sim, home) = (Sim::builder().start().await.unwrap(), Home::new());
    let keychain = Keychain::start(&home);
    keychain.store(&home, "work", "sk-ant-in-the-keychain");
    let variables = [("DBUS_SESSION_BUS_ADDRESS", keychain.address.as_str())];
    let file = home.write(
        "relay.yaml",
        &config(&sim, "${keychain:anthropic/work}", ""),
    );
    let file = file.to_str().unwrap();
    let shown = home.run_with(&["config", "show", "-c", file], &variables);
    let shown = shown.expect(0).stdout;
    assert!(!shown.contains("in-the-keychain"), "{shown}");

    let served = Served::start_with(&home, "relay.yaml", &variables);
    assert!(served.turn().contains("200 OK"));
    assert_eq!(last_key(&sim), "sk-ant-in-the-keychain");

    keychain.store(&home, "work", "sk-ant-rotated");
    served.hang_up();
    served.wait("config.reload");
    assert!(served.turn().contains("200 OK"));
    assert_eq!(last_key(&sim), "sk-ant-rotated");

    // An entry that is not there is a fault that says how to store it; what runs goes on.
    home.write(
        "relay.yaml",
        &config(&sim, "${keychain:anthropic/home}", ""),
    );
    let refused = home.run_with(&["config", "validate", "-c", file], &variables);
    let said = refused.expect(78).stderr;
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "relay.yaml:3:",
        "there is no such entry",
        "secret-tool store --label=cc-relay service anthropic username home",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    served.wait("there is no such entry");
    assert!(served.turn().contains("200 OK"));
    assert_eq!(last_key(&sim), "sk-ant-rotated");
}

#[test]
fn without_a_keychain_the_fault_says_what_to_use_instead() {
    let home = Home::new();
    let file = home.write(
        "relay.yaml",
        "server: {listen: '127.0.0.1:0'}\nproviders:\n  - {name: up, type: anthropic, keys: [{key: '${keychain:a/b}'}]}\n",
    );
    let nowhere = format!("unix:path={}", home.path("no-bus").display());
    let variables = [("DBUS_SESSION_BUS_ADDRESS", nowhere.as_str())];
    let refused = home.run_with(
        &["config", "validate", "-c", file.to_str().unwrap()],
        &variables,
    );
    let said = refused.expect(78).stderr;
    for words in ["the keychain cannot be used", "${file:/path}"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}
