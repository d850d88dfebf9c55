//! `doctor` on made-up trouble. Every provider is on loopback: nothing leaves the machine.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::{Home, answer, nobody, tls_answer};

const KEY: &str = "sk-ant-fake-0123456789-a91f";

/// Writes a private configuration with one provider.
fn configure(home: &Home, listen: SocketAddr, provider: &str, more: &str) {
    let text = format!(
        "server:\n  listen: {listen}\n  auth:\n    api_key: ${{RELAY_KEY:-relay-fake-0123456789}}\nproviders:\n  - name: up\n    type: anthropic\n    base_url: {provider}\n{more}"
    );
    let path = home.write(".config/cc-relay/config.yaml", &text);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

const ONE_KEY: &str = "    keys:\n      - name: main\n        key: ${KEY}\n";

fn of<'a>(json: &'a Value, check: &str) -> Vec<&'a Value> {
    let findings = json["data"]["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| finding["check"] == check)
        .collect()
}

fn claude(home: &Home, script: &str) -> String {
    let path = home.write("bin/claude", script);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.parent().unwrap().display().to_string()
}

#[test]
fn all_is_well() {
    let home = Home::new();
    let relay = answer("200 OK", r#"{"status":"ok"}"#);
    let upstream = answer("200 OK", r#"{"data":[]}"#);
    configure(&home, relay, &format!("http://{upstream}"), ONE_KEY);
    home.run_with(&["config", "cc", "init", "-y"], &[("KEY", KEY)])
        .expect(0);
    let path = claude(&home, "#!/bin/sh\necho '9.9.9 (Claude Code)'\n");
    let variables = [
        ("KEY", KEY),
        ("PATH", path.as_str()),
        ("ANTHROPIC_API_KEY", "relay-fake-0123456789"),
    ];
    let ran = home.run_with(&["doctor"], &variables).expect(0);
    assert!(
        !ran.stdout.contains("fix:") && !ran.stdout.contains(KEY),
        "{}",
        ran.stdout
    );
    for words in [
        "key main works",
        "9.9.9 (Claude Code)",
        "0 warnings, 0 errors",
        "is the relay's",
    ] {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
}

#[test]
fn every_trouble_has_a_fix_and_the_exit_code_says_so() {
    let home = Home::new();
    let upstream = answer("401 Unauthorized", "{}");
    configure(&home, nobody(), &format!("http://{upstream}"), ONE_KEY);
    home.run_with(&["config", "cc", "init", "-y"], &[("KEY", KEY)])
        .expect(0);
    home.write(
        "project/.claude/settings.json",
        r#"{"env": {"CLAUDE_CODE_USE_BEDROCK": "1"}}"#,
    );
    home.write("project/.claude/settings.local.json", "{");
    let path = claude(&home, "#!/bin/sh\nexit 3\n");
    let variables = [
        ("KEY", KEY),
        ("PATH", path.as_str()),
        ("HTTP_PROXY", "http://user:hunter2@127.0.0.1:1"),
    ];
    let json = home
        .run_with(&["doctor", "--json"], &variables)
        .expect(1)
        .json();
    let findings = json["data"]["findings"].as_array().unwrap();
    assert!(!json.to_string().contains("hunter2"), "{json}");
    for finding in findings.iter().filter(|finding| finding["level"] != "ok") {
        assert!(finding["fix"].is_string(), "{finding}");
    }
    assert_eq!(of(&json, "relay")[0]["level"], "error");
    assert_eq!(of(&json, "port")[0]["level"], "ok");
    assert_eq!(of(&json, "up")[0]["level"], "skipped");
    assert_eq!(of(&json, "proxy")[0]["level"], "warning");
    assert_eq!(of(&json, "claude")[0]["level"], "warning");
    assert_eq!(of(&json, "claude code").len(), 4);
    let ran = home
        .run_with(&["doctor"], &[("KEY", KEY), ("CC_RELAY_ASCII", "1")])
        .expect(1);
    assert!(
        ran.stdout.contains("key main was refused (401)") && ran.stdout.is_ascii(),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("no `claude` in PATH"), "{ran:?}");
}

#[test]
fn a_provider_is_judged_by_its_answer() {
    let cases = [
        ("200 OK", ONE_KEY, "ok"),
        ("403 Forbidden", ONE_KEY, "error"),
        ("429 Too Many Requests", ONE_KEY, "warning"),
        ("529 Overloaded", ONE_KEY, "warning"),
        ("404 Not Found", ONE_KEY, "warning"),
        ("401 Unauthorized", "", "ok"),
        ("500 Internal Server Error", "", "warning"),
    ];
    for (status, keys, level) in cases {
        let home = Home::new();
        let upstream = answer(status, "{}");
        configure(&home, nobody(), &format!("http://{upstream}"), keys);
        let json = home.run_with(&["doctor", "--json"], &[("KEY", KEY)]).json();
        assert_eq!(of(&json, "up")[0]["level"], level, "{status}");
    }
    let home = Home::new();
    configure(&home, nobody(), &format!("http://{}", nobody()), "");
    let json = home.run(&["doctor", "--json"]).expect(1).json();
    assert_eq!(of(&json, "up")[0]["level"], "error");
}

#[test]
fn a_provider_behind_tls_is_asked_with_its_own_authority() {
    let home = Home::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let address = tls_answer(&made, "{}");
    let file = home.write("ca.pem", &made.cert.pem());
    configure(
        &home,
        nobody(),
        &format!("https://localhost:{}", address.port()),
        &format!("    ca_file: {}\n", file.display()),
    );
    let json = home.run(&["doctor", "--json"]).json();
    assert_eq!(of(&json, "up")[0]["level"], "ok", "{json}");
    configure(
        &home,
        nobody(),
        &format!("https://localhost:{}", address.port()),
        "",
    );
    let json = home.run(&["doctor", "--json"]).expect(1).json();
    assert!(
        of(&json, "up")[0]["what"]
            .as_str()
            .unwrap()
            .contains("no TLS connection"),
        "{json}"
    );
}

#[test]
fn a_taken_port_and_a_faulty_file_are_errors() {
    let home = Home::new();
    let other = answer("200 OK", "hello");
    let upstream = answer("401 Unauthorized", "{}");
    configure(&home, other, &format!("http://{upstream}"), "");
    let json = home.run(&["doctor", "--json"]).expect(1).json();
    assert!(
        of(&json, "port")[0]["what"]
            .as_str()
            .unwrap()
            .contains("another program"),
        "{json}"
    );
    configure(&home, nobody(), "http://127.0.0.1:1", "    enabeld: true\n");
    let ran = home.run(&["doctor", "--json"]).expect(1);
    let json = ran.json();
    let fault = of(&json, "config")[0];
    assert!(
        fault["what"].as_str().unwrap().contains("enabeld"),
        "{fault}"
    );
}

#[test]
fn claude_code_may_point_elsewhere() {
    let home = Home::new();
    let upstream = answer("401 Unauthorized", "{}");
    configure(&home, nobody(), &format!("http://{upstream}"), "");
    let json = home.run(&["doctor", "--json"]).expect(0).json();
    assert_eq!(
        of(&json, "claude code")[0]["fix"],
        "cc-relay config cc init"
    );
    let json = home
        .run_with(
            &["doctor", "--json"],
            &[("ANTHROPIC_BASE_URL", "http://u:hunter2@x:1")],
        )
        .expect(1)
        .json();
    assert!(!json.to_string().contains("hunter2"), "{json}");
    assert!(
        of(&json, "claude code")[0]["fix"]
            .as_str()
            .unwrap()
            .starts_with("unset"),
        "{json}"
    );
}

/// Writes a private configuration with this entry as its only provider.
fn configure_entry(home: &Home, entry: &str) {
    let text = format!(
        "server: {{listen: '{}'}}\nproviders:\n  - {entry}\n",
        nobody()
    );
    let path = home.write(".config/cc-relay/config.yaml", &text);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn a_cloud_that_answers_nothing_for_free_is_only_reached() {
    let home = Home::new();
    let identity = relay_sim::IdentitySim::start().await.unwrap();
    let upstream = answer("404 Not Found", "{}");
    let entry = format!(
        "{{name: up, type: vertex, gcp_project_id: p, base_url: 'http://{upstream}/v1', proxy: none}}"
    );
    configure_entry(&home, &entry);
    let host = identity.address().to_string();
    let asked = tokio::task::spawn_blocking(move || {
        let variables = [("GCE_METADATA_HOST", host.as_str()), ("NO_PROXY", "*")];
        home.run_with(&["doctor", "--json"], &variables).json()
    });
    let json = asked.await.unwrap();
    let finding = of(&json, "up")[0];
    let what = finding["what"].as_str().unwrap();
    assert_eq!(finding["level"], "ok", "{json}");
    assert!(
        what.contains("a credential was issued") && what.contains("its first turn is the proof"),
        "{what}"
    );
}

#[test]
fn a_cloud_without_credentials_is_an_error_that_says_how_to_sign_in() {
    let home = Home::new();
    let upstream = answer("404 Not Found", "{}");
    let entry = format!(
        "{{name: up, type: bedrock, aws_region: us-east-1, base_url: 'http://{upstream}', proxy: none}}"
    );
    configure_entry(&home, &entry);
    let variables = [("AWS_EC2_METADATA_DISABLED", "true")];
    let json = home
        .run_with(&["doctor", "--json"], &variables)
        .expect(1)
        .json();
    let finding = of(&json, "up")[0];
    let (what, fix) = (finding["what"].as_str(), finding["fix"].as_str());
    assert!(what.unwrap().contains("no credential is issued"), "{json}");
    assert!(fix.unwrap().contains("aws sso login"), "{json}");
}

#[test]
fn a_server_of_ones_own_needs_no_key_until_it_says_so() {
    for (status, level, words) in [
        ("200 OK", "ok", "without a key"),
        ("401 Unauthorized", "error", "wants a key"),
        ("404 Not Found", "warning", "unexpected answer 404"),
    ] {
        let home = Home::new();
        let upstream = answer(status, r#"{"data":[]}"#);
        let entry =
            format!("{{name: up, type: ollama, base_url: 'http://{upstream}', proxy: none}}");
        configure_entry(&home, &entry);
        let json = home.run(&["doctor", "--json"]).json();
        let finding = of(&json, "up")[0];
        assert_eq!(finding["level"], level, "{json}");
        assert!(finding["what"].as_str().unwrap().contains(words), "{json}");
    }
}

#[test]
fn the_clock_is_compared_with_that_of_the_providers() {
    let home = Home::new();
    // A server of today says its time; this one stands still since 1994.
    let upstream = answer("200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT", "{}");
    configure(&home, nobody(), &format!("http://{upstream}"), ONE_KEY);
    let json = home.run_with(&["doctor", "--json"], &[("KEY", KEY)]).json();
    let clock = of(&json, "clock")[0];
    assert_eq!(clock["level"], "warning");
    let what = clock["what"].as_str().unwrap();
    assert!(what.contains("ahead of 1 provider"), "{what}");

    let now = std::time::UNIX_EPOCH + relay_proxy::clock::unix();
    let now = format!("200 OK\r\ndate: {}", httpdate::fmt_http_date(now));
    let upstream = answer(now.leak(), "{}");
    configure(&home, nobody(), &format!("http://{upstream}"), ONE_KEY);
    let json = home.run_with(&["doctor", "--json"], &[("KEY", KEY)]).json();
    let clock = of(&json, "clock");
    assert_eq!(clock.len(), 1, "{json}");
    assert_eq!(clock[0]["level"], "ok", "{clock:?}");
}

#[test]
fn the_relays_own_certificate_is_read() {
    let now = relay_proxy::clock::unix().as_secs() / 86_400;
    // From one day to another, counted from today.
    let certificate = |(from, to): (i64, i64)| {
        let day = |offset: i64| {
            let day = now.checked_add_signed(offset).unwrap();
            rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_hours(day * 24)
        };
        let mut made = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        (made.not_before, made.not_after) = (day(from), day(to));
        let key = rcgen::KeyPair::generate().unwrap();
        (made.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let cases = [
        ((-9, -2), "error"),
        ((3, 90), "error"),
        ((-9, 5), "warning"),
        ((-9, 90), "ok"),
    ];
    for (days, level) in cases {
        let home = Home::new();
        let (certificate, key) = certificate(days);
        home.write("server.crt", &certificate);
        let key = home.write("server.key", &key);
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let text = format!(
            "server:\n  listen: {}\n  tls: {{cert_file: {}, key_file: {}}}\nproviders:\n  - {{name: up, type: anthropic, base_url: 'http://{}'}}\n",
            nobody(),
            home.path("server.crt").display(),
            home.path("server.key").display(),
            nobody()
        );
        home.write(".config/cc-relay/config.yaml", &text);
        let json = home.run(&["doctor", "--json"]).json();
        assert_eq!(of(&json, "certificate")[0]["level"], level, "{json}");
    }
}

#[test]
fn what_can_be_mended_is_mended_when_asked() {
    let home = Home::new();
    let upstream = answer("200 OK", "{}");
    configure(&home, nobody(), &format!("http://{upstream}"), ONE_KEY);
    let file = home.path(".config/cc-relay/config.yaml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mode = || std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    let settings = home.path(".claude/settings.json");
    let variables = [("KEY", KEY)];
    let ran = home.run_with(&["doctor"], &variables);
    assert!(
        ran.stdout.contains("Nothing was changed (--fix asks)."),
        "{ran:?}"
    );
    // Without a terminal nobody can answer.
    home.run_with(&["doctor", "--fix"], &variables).expect(2);
    assert_eq!((mode(), settings.exists()), (0o644, false));
    home.run_with(&["doctor", "--fix", "--json"], &variables)
        .expect(2);
    let elsewhere = nobody().to_string();
    home.run_with(
        &["doctor", "--fix", "--yes", "--addr", &elsewhere],
        &variables,
    );
    // What was looked at is what Claude Code is pointed at.
    assert!(home.read(".claude/settings.json").contains(&elsewhere));
    assert_eq!((mode(), settings.exists()), (0o600, true));
    let ran = home.run_with(&["doctor"], &variables);
    assert!(!ran.stdout.contains("readable by others"), "{ran:?}");
}

#[test]
fn two_credentials_of_claude_code_and_none_are_told() {
    let home = Home::new();
    let upstream = answer("200 OK", "{}");
    configure(&home, nobody(), &format!("http://{upstream}"), ONE_KEY);
    home.run_with(&["config", "cc", "init", "-y"], &[("KEY", KEY)])
        .expect(0);
    let both = [
        ("KEY", KEY),
        ("ANTHROPIC_API_KEY", "sk-ant-one-fake"),
        ("ANTHROPIC_AUTH_TOKEN", "two-fake"),
    ];
    let said = |variables: &[(&str, &str)]| {
        let json = home.run_with(&["doctor", "--json"], variables).json();
        assert!(!json.to_string().contains("-fake\""), "{json}");
        of(&json, "claude code")
            .iter()
            .map(|it| it["what"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert!(said(&both).contains("are both set"));
    assert!(said(&both[..1]).contains("wants a client key"));
    assert!(!said(&both[..2]).contains("client key"));
}
