//! The checks that ask this machine: the relay, the port, the `claude` program.
//!
//! In: addresses. Out: findings. Nothing is asked beyond this machine.

use std::path::PathBuf;

use super::Finding;
use crate::clock;
use crate::command::status::{self, Endpoint, State};
use crate::environment::Environment;

/// Checks that the relay answers, and its port.
pub(super) async fn relay(endpoint: &Endpoint, points_here: bool) -> Vec<Finding> {
    let (address, url) = (&endpoint.authority, endpoint.url());
    let start = clock::monotonic();
    let failure = match status::ask(endpoint).await {
        Ok(health) => {
            let took = clock::monotonic()
                .saturating_duration_since(start)
                .as_secs_f64()
                * 1000.0;
            let what = format!("answers at {url} in {took:.1} ms");
            let relay = match health.state() {
                State::Healthy => Finding::ok("relay", what),
                State::Degraded | State::Draining | State::Down => Finding::warning(
                    "relay",
                    format!("{what}, and is not healthy"),
                    "cc-relay status",
                ),
            };
            return vec![
                relay,
                Finding::ok("port", format!("{address} is the relay's")),
            ];
        }
        Err(failure) => failure,
    };
    let what = failure.message().to_owned();
    let relay = if points_here {
        Finding::error(
            "relay",
            format!("{what}, and Claude Code points at it"),
            "cc-relay serve",
        )
    } else {
        Finding::warning("relay", what, "cc-relay serve")
    };
    vec![relay, port(address).await]
}

async fn port(address: &str) -> Finding {
    match tokio::net::TcpListener::bind(address).await {
        Ok(_listener) => Finding::ok("port", format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Finding::error(
            "port",
            format!("{address} is in use by another program"),
            "stop that program, or take another port: cc-relay serve --listen 127.0.0.1:0",
        ),
        Err(error) => Finding::error(
            "port",
            format!("cannot listen on {address}: {error}"),
            "choose an address of this machine: server.listen, or serve --listen",
        ),
    }
}

/// Checks that Claude Code is installed, and asks for its version.
pub(super) async fn claude(env: &Environment) -> Vec<Finding> {
    let Some(program) = find(env, "claude") else {
        return vec![Finding::warning(
            "claude",
            "there is no `claude` in PATH",
            "npm install -g @anthropic-ai/claude-code, if you want to use it here",
        )];
    };
    let shown = env.show_path(&program);
    let mut command = tokio::process::Command::new(&program);
    command
        .arg("--version")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    vec![match command.output().await {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            let version: String = text
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .take(60)
                .collect();
            Finding::ok("claude", format!("{shown}: {}", version.trim()))
        }
        Ok(output) => Finding::warning(
            "claude",
            format!("{shown} --version failed: {}", output.status),
            "install Claude Code again",
        ),
        Err(error) => Finding::warning(
            "claude",
            format!("{shown} cannot be run: {error}"),
            "install Claude Code again",
        ),
    }]
}

fn find(env: &Environment, name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let folders = std::env::split_paths(env.get("PATH")?).collect::<Vec<_>>();
    folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| {
            std::fs::metadata(path)
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        })
}
