//! The checks that ask somebody: the relay, the port, the providers, the `claude` program.
//!
//! In: addresses and keys. Out: findings. A provider is asked for its list of models, which costs
//! nothing; a key goes to its own provider alone and is named, never shown.

use std::path::PathBuf;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use relay_config::{KeyPlan, Plan, ProviderPlan, ProxyPlan};

use super::{Finding, LIMIT};
use crate::clock;
use crate::command::status::{self, Endpoint, State};
use crate::environment::Environment;
use crate::http::{GetError, get_from};
use crate::settings::mask;

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

/// Checks every enabled provider with each of its keys.
pub(super) async fn providers(plan: Option<&Plan>, env: &Environment) -> Vec<Finding> {
    let Some(plan) = plan else {
        let what = "not asked: the configuration has faults";
        return vec![Finding::skipped(
            "providers",
            what,
            "mend the configuration first",
        )];
    };
    let mut findings = Vec::new();
    for provider in &plan.providers {
        let name = &provider.name;
        if !provider.enabled {
            findings.push(Finding::skipped(
                name,
                "switched off",
                "enabled: true, to use it",
            ));
        } else if let Some(proxy) = proxy(provider, env) {
            let what = format!("not asked: it is reached by the proxy {proxy}");
            findings.push(Finding::skipped(
                name,
                what,
                "curl it through that proxy by hand",
            ));
        } else if provider.keys.is_empty() {
            findings.push(check(provider, None).await);
        } else {
            for key in &provider.keys {
                findings.push(check(provider, Some(key)).await);
            }
        }
    }
    findings
}

/// Returns the proxy on the way to a provider, if any: this check goes straight.
fn proxy(provider: &ProviderPlan, env: &Environment) -> Option<String> {
    match &provider.proxy {
        ProxyPlan::None => None,
        ProxyPlan::Url(_) => Some(provider.proxy.shown()),
        ProxyPlan::FromEnvironment => {
            let names: &[&str] = if provider.base_url.starts_with("https:") {
                &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
            } else {
                &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
            };
            names.iter().find_map(|name| env.get(name)).map(mask::url)
        }
    }
}

async fn check(provider: &ProviderPlan, key: Option<&KeyPlan>) -> Finding {
    let name = &provider.name;
    let Ok(base) = provider.base_url.parse::<Uri>() else {
        return Finding::error(name, "its base_url is not a URL", "correct base_url");
    };
    let headers = headers(key);
    let ca_file = provider.ca_file.as_deref();
    let label = key.map_or_else(
        || provider.base_url.clone(),
        |key| format!("key {}", key.name),
    );
    match get_from(&base, "/v1/models?limit=1", headers, ca_file, LIMIT).await {
        Ok(answer) => judge(name, &label, key.is_some(), answer.status),
        Err(error) => {
            let fix = match &error {
                GetError::Tls(_) => "add the certificate authority: ca_file, or SSL_CERT_FILE",
                GetError::Address
                | GetError::Connect(_)
                | GetError::Exchange(_)
                | GetError::Timeout(_) => {
                    "check base_url and the network; behind a proxy set HTTPS_PROXY"
                }
            };
            let what = format!("{} cannot be reached: {}", provider.base_url, error.chain());
            Finding::error(name, what, fix)
        }
    }
}

fn headers(key: Option<&KeyPlan>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let version = HeaderName::from_static("anthropic-version");
    headers.insert(version, HeaderValue::from_static("2023-06-01"));
    let value = key.and_then(|key| HeaderValue::from_str(key.secret.expose()).ok());
    if let Some(mut value) = value {
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static("x-api-key"), value);
    }
    headers
}

fn judge(name: &str, label: &str, has_key: bool, status: StatusCode) -> Finding {
    let code = status.as_u16();
    match (code, has_key) {
        (200..=299, true) => Finding::ok(
            name,
            format!("{label} works (asked /v1/models, no tokens spent)"),
        ),
        (401 | 403, true) => Finding::error(
            name,
            format!("{label} was refused ({code})"),
            format!("put a valid key into the configuration of {name}"),
        ),
        (429, true) => Finding::warning(
            name,
            format!("{label} is limited at present (429)"),
            "wait and ask again",
        ),
        (500..=599, _) => Finding::warning(
            name,
            format!("{label} answers, with a fault of its own ({code})"),
            "wait; see the provider's status page",
        ),
        (_, true) => Finding::warning(
            name,
            format!("{label}: unexpected answer {code} to /v1/models"),
            "check base_url",
        ),
        (_, false) => Finding::ok(
            name,
            format!("{label} can be reached; credentials: whatever the client sends"),
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
