//! The checks that need no network: configuration, settings files, proxy variables.
//!
//! In: files and the environment. Out: findings. It shows no credential.

use relay_config::Plan;

use super::Finding;
use super::fix::Remedy;
use crate::cli::Scope;
use crate::command::status::Endpoint;
use crate::command::{Context, config as configuration};
use crate::environment::Environment;
use crate::settings::places::{Place, winner};
use crate::settings::{API_KEY, AUTH_TOKEN, SWITCHES};

/// Checks the configuration; with faults there is no plan.
pub(super) fn config(context: &Context) -> (Option<Plan>, Vec<Finding>) {
    let (path, named) = configuration::file(context);
    let shown = context.env.show_path(&path);
    if !named && !path.exists() {
        let what = format!("no file at {shown}: the defaults are used");
        return (Some(Plan::transparent()), vec![Finding::ok("config", what)]);
    }
    match relay_config::load(&path, &context.env) {
        Ok(plan) => {
            let enabled = plan
                .providers
                .iter()
                .filter(|provider| provider.enabled)
                .count();
            let what = format!("{shown} is valid ({}), providers: {enabled}", plan.digest);
            let mut findings = vec![Finding::ok("config", what)];
            let warnings = plan.warnings.iter();
            findings.extend(warnings.map(|warning| {
                let finding = Finding::warning("config", &warning.message, &warning.fix);
                if warning.fix.starts_with("chmod 600 ") {
                    finding.mended_by(Remedy::Private(path.clone()))
                } else {
                    finding
                }
            }));
            (Some(plan), findings)
        }
        Err(faults) => {
            let findings = faults.iter().map(|fault| {
                let what = format!(
                    "{}:{}:{}: {}",
                    shown, fault.line, fault.column, fault.message
                );
                let fix = if fault.help.is_empty() {
                    "cc-relay config validate"
                } else {
                    &fault.help
                };
                Finding::error("config", what, fix)
            });
            (None, findings.collect())
        }
    }
}

/// Tells whether Claude Code sends its requests to this address.
pub(super) fn points_at(places: &[Place], address: &str) -> bool {
    winner(places)
        .and_then(|place| place.raw_url.as_deref())
        .is_some_and(|url| same(url, address))
}

/// Tells whether a URL names this address; `localhost` is this machine.
fn same(url: &str, address: &str) -> bool {
    let plain = |text: &str| {
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        let authority = text.split('/').next().unwrap_or(text);
        authority
            .replace("localhost", "127.0.0.1")
            .replace("[::1]", "127.0.0.1")
    };
    plain(url) == plain(address)
}

const CHECK: &str = "claude code";

/// Checks where Claude Code sends its requests.
pub(super) fn settings(places: &[Place], endpoint: &Endpoint, verbose: bool) -> Vec<Finding> {
    let address = endpoint.authority.as_str();
    let mut findings = Vec::new();
    for place in places {
        if let (Some(fault), Some(file)) = (&place.fault, &place.file) {
            let fix = format!("mend {file}; Claude Code ignores it as it is");
            findings.push(Finding::error(CHECK, format!("{file}: {fault}"), fix));
        }
        if let (Some(url), true) = (&place.base_url, verbose) {
            findings.push(Finding::ok(CHECK, format!("{} says {url}", place.scope)));
        }
        if let Some(cloud) = place.cloud {
            let file = place.file.as_deref().unwrap_or("this shell");
            let what =
                format!("{file} sets {cloud}: Claude Code then goes to that cloud, past the relay");
            findings.push(Finding::warning(
                CHECK,
                what,
                format!("take {cloud} out, or unset it"),
            ));
        }
    }
    findings.push(match winner(places) {
        None => Finding::warning(
            CHECK,
            "nothing points at the relay: requests go to Anthropic directly",
            "cc-relay config cc init",
        )
        .mended_by(Remedy::PointHere(Scope::User, endpoint.url())),
        Some(place) if points_at(places, address) => Finding::ok(
            CHECK,
            format!("points at {} ({})", endpoint.url(), place.scope),
        ),
        Some(place) => elsewhere(place, address),
    });
    let unset: Vec<&str> = SWITCHES
        .iter()
        .filter(|switch| {
            !places
                .iter()
                .any(|it| it.switches.contains_key(switch.name))
        })
        .map(|switch| switch.what)
        .collect();
    if points_at(places, address) && !unset.is_empty() {
        let what = format!(
            "Claude Code turns off behind a custom URL, and nothing turns it on again: {}",
            unset.join(", ")
        );
        let finding = Finding::warning(CHECK, what, "cc-relay config cc init");
        findings.push(finding.mended_by(Remedy::PointHere(Scope::User, endpoint.url())));
    }
    findings
}

/// Checks that Claude Code has one credential, and that the relay takes it.
pub(super) fn credentials(
    places: &[Place],
    plan: Option<&Plan>,
    points_here: bool,
) -> Vec<Finding> {
    let set = |name: &str| {
        let place = places
            .iter()
            .rev()
            .find(|it| it.credentials.contains(&name));
        place.map(|it| it.file.as_deref().unwrap_or("this shell"))
    };
    let (key, token) = (set(API_KEY), set(AUTH_TOKEN));
    if let (Some(key), Some(token)) = (key, token) {
        let what = format!(
            "{API_KEY} ({key}) and {AUTH_TOKEN} ({token}) are both set: Claude Code sends both, and a login is not used"
        );
        return vec![Finding::warning(
            CHECK,
            what,
            format!("take one of them out: unset {API_KEY}, or cc-relay config cc remove"),
        )];
    }
    let wants_key = plan.is_some_and(|plan| {
        !plan.server.auth.client_keys.is_empty() && !plan.server.auth.allow_subscription
    });
    if wants_key && points_here && key.is_none() && token.is_none() {
        return vec![Finding::warning(
            CHECK,
            "the relay wants a client key, and Claude Code has none",
            "export RELAY_KEY with it, then cc-relay config cc init --token RELAY_KEY",
        )];
    }
    Vec::new()
}

fn elsewhere(place: &Place, address: &str) -> Finding {
    let file = place.file.as_deref().unwrap_or("this shell");
    let url = place.base_url.as_deref().unwrap_or_default();
    let what =
        format!("{file} sets ANTHROPIC_BASE_URL to {url}, which wins; the relay is at {address}");
    let fix = match place.scope {
        "shell" => "unset ANTHROPIC_BASE_URL, or cc-relay config cc init".to_owned(),
        scope => format!("cc-relay config cc init --scope {scope}"),
    };
    Finding::error("claude code", what, fix)
}

/// Checks that a proxy of the environment does not stand between Claude Code and the relay.
pub(super) fn proxies(env: &Environment) -> Vec<Finding> {
    let either = |upper: &'static str, lower: &'static str| {
        [upper, lower]
            .into_iter()
            .find(|name| env.get(name).is_some())
    };
    let found = either("HTTP_PROXY", "http_proxy").or(either("HTTPS_PROXY", "https_proxy"));
    let Some(name) = found.or(either("ALL_PROXY", "all_proxy")) else {
        return vec![Finding::ok("proxy", "no proxy variable is set")];
    };
    let without = either("NO_PROXY", "no_proxy")
        .and_then(|name| env.get(name))
        .unwrap_or_default();
    let covered = without.split([',', ' ']).map(str::trim).any(|host| {
        host == "*" || host.starts_with("127.") || host.eq_ignore_ascii_case("localhost")
    });
    vec![if covered {
        Finding::ok(
            "proxy",
            format!("{name} is set, and NO_PROXY spares this machine"),
        )
    } else {
        Finding::warning(
            "proxy",
            format!(
                "{name} is set and NO_PROXY does not spare this machine: requests to the relay may go to the proxy"
            ),
            "export NO_PROXY=127.0.0.1,localhost",
        )
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::Level;

    #[test]
    fn addresses_are_compared_as_people_mean_them() {
        for url in [
            "http://127.0.0.1:8787",
            "http://localhost:8787/",
            "127.0.0.1:8787",
        ] {
            assert!(same(url, "127.0.0.1:8787"), "{url}");
        }
        assert!(!same("http://127.0.0.1:8788", "127.0.0.1:8787"));
    }

    #[test]
    fn a_proxy_has_to_spare_this_machine() {
        let level = |pairs: &[(&str, &str)]| {
            let env = match pairs {
                [] => Environment::default(),
                [one] => Environment::from([*one]),
                [one, two, ..] => Environment::from([*one, *two]),
            };
            proxies(&env).first().map(|finding| finding.level)
        };
        let proxy = ("HTTPS_PROXY", "http://proxy:1");
        assert_eq!(level(&[]), Some(Level::Ok));
        assert_eq!(level(&[proxy]), Some(Level::Warning));
        assert_eq!(
            level(&[proxy, ("NO_PROXY", "example.org,localhost")]),
            Some(Level::Ok)
        );
        assert_eq!(
            level(&[("all_proxy", "x"), ("no_proxy", "*")]),
            Some(Level::Ok)
        );
    }
}
