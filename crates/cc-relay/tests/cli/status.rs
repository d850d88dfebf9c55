//! `status` against made-up relays.

use crate::support::{Home, answer, nobody, tls_answer};

const UP: &str = r#"{"status":"ok","version":"0.1.0","uptime_s":11520,"config":"b01d77","live":4,"requests":1204,"failed":3,
    "upstreams":[{"name":"anthropic","url":"https://api.anthropic.com","state":"up"}]}"#;

#[test]
fn a_healthy_relay() {
    let home = Home::new();
    let address = answer("200 OK", UP).to_string();
    let ran = home.run(&["status", "--addr", &address]).expect(0);
    insta::assert_snapshot!(ran.stdout.replace(&address, "[ADDR]"));
    let json = home
        .run(&["status", "--json", "--addr", &address])
        .expect(0)
        .json();
    assert_eq!(json["data"]["state"], "healthy");
    assert_eq!(json["data"]["uptime_ms"], 11_520_000.0);
    assert_eq!(json["data"]["upstreams"][0]["name"], "anthropic");
    let ran = home
        .run_with(
            &["status"],
            &[("CC_RELAY_ADDR", &address), ("CC_RELAY_ASCII", "1")],
        )
        .expect(0);
    assert!(ran.stdout.is_ascii(), "{}", ran.stdout);
}

#[test]
fn keys_in_trouble_are_named_and_counted() {
    let home = Home::new();
    let body = r#"{"status":"ok","strategy":"failover","sessions":7,"waiting":2,"upstreams":[
        {"name":"main","state":"degraded","keys":[{"name":"k1","id":"ba7816bf8f01","capacity_percent":90},
            {"name":"k2","id":"cb8379ac2098","capacity_percent":40,"cools_for_s":26},
            {"name":"k3","id":"3e23e8160039","capacity_percent":7}]},
        {"name":"other","state":"up","keys":[{"name":"k1","capacity_percent":100},{"name":"k2","capacity_percent":100}]}]}"#;
    let address = answer("200 OK", body).to_string();
    let ran = home.run(&["status", "--addr", &address]).expect(3);
    for words in [
        "k2 cools 26s; k3 7% left",
        "2 keys",
        "failover",
        "7 sessions   2 waiting",
    ] {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
    let json = home
        .run(&["status", "--json", "--addr", &address])
        .expect(3)
        .json();
    assert_eq!(json["data"]["upstreams"][0]["keys"][1]["cools_for_s"], 26.0);
}

#[test]
fn what_an_upstream_cannot_take_is_named() {
    let home = Home::new();
    let lack = |number| {
        format!(r#"{{"model":"claude-opus-5-5","capability":"field{number}","for_s":21480}}"#)
    };
    let lacks: Vec<String> = (0..10).map(lack).collect();
    let body = format!(
        r#"{{"status":"ok","left_out":11,"upstreams":[{{"name":"zai","state":"up","lacks":[{}]}}]}}"#,
        lacks.join(",")
    );
    let address = answer("200 OK", &body).to_string();
    let ran = home.run(&["status", "--addr", &address]).expect(0);
    for words in [
        "11 left out",
        "without field0 for claude-opus-5-5, asked anew in 5h58m",
        "and without 2 more",
    ] {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("field8"), "{}", ran.stdout);
    let json = home
        .run(&["status", "--json", "--addr", &address])
        .expect(0)
        .json();
    assert_eq!(json["data"]["left_out"], 11);
    let last = &json["data"]["upstreams"][0]["lacks"][9];
    assert_eq!(last["capability"], "field9");
}

#[test]
fn degraded_draining_and_down_have_their_codes() {
    let home = Home::new();
    let cases = [
        (
            r#"{"status":"ok","upstreams":[{"name":"a","state":"up"},{"name":"b","state":"open"}]}"#,
            3,
            "degraded",
        ),
        (
            r#"{"status":"draining","upstreams":[{"name":"a","state":"up"}]}"#,
            3,
            "draining",
        ),
        (
            r#"{"status":"ok","upstreams":[{"name":"a","state":"open"},{"name":"b","state":"off"}]}"#,
            4,
            "down",
        ),
    ];
    for (body, code, word) in cases {
        let address = answer("200 OK", body).to_string();
        let ran = home.run(&["status", "--addr", &address]).expect(code);
        assert!(
            ran.stdout.contains(word) && ran.stdout.contains("cc-relay doctor"),
            "{ran:?}"
        );
        let ran = home
            .run(&["status", "--addr", &address, "--json"])
            .expect(code);
        assert_eq!(ran.json()["data"]["state"], word);
    }
}

#[test]
fn a_relay_of_another_version_may_say_less() {
    let home = Home::new();
    let address = answer("503 Service Unavailable", r#"{"status":"draining"}"#).to_string();
    let ran = home.run(&["status", "--addr", &address]).expect(3);
    assert!(ran.stdout.contains("draining"), "{ran:?}");
    let json = home
        .run(&["status", "--addr", &address, "--json"])
        .expect(3)
        .json();
    assert_eq!(json["data"]["version"], serde_json::Value::Null);
}

#[test]
fn nobody_and_somebody_else_are_exit_69() {
    let home = Home::new();
    let ran = home
        .run(&["status", "--addr", &nobody().to_string(), "--json"])
        .expect(69);
    assert_eq!(ran.json()["error"]["code"], "unreachable");
    assert!(
        ran.stderr.contains("error: no relay answers")
            && ran.stderr.contains("help: start it: cc-relay serve"),
        "{ran:?}"
    );
    for body in ["{}", "<html>", "[]"] {
        let address = answer("200 OK", body).to_string();
        let ran = home.run(&["status", "--addr", &address]).expect(69);
        assert!(ran.stderr.contains("it is not cc-relay"), "{ran:?}");
    }
    home.run(&["status", "--addr", "not an address"]).expect(69);
}

#[test]
fn a_relay_behind_its_own_certificate_is_trusted_by_the_configuration() {
    let home = Home::new();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let cert = home.write("cert.pem", &made.cert.pem());
    let key = home.write("key.pem", &made.signing_key.serialize_pem());
    let address = tls_answer(&made, r#"{"status":"ok"}"#);
    let text = format!(
        "server:\n  listen: {address}\n  tls:\n    cert_file: {}\n    key_file: {}\n",
        cert.display(),
        key.display()
    );
    home.write(".config/cc-relay/config.yaml", &text);
    let ran = home.run(&["status"]).expect(0);
    assert!(
        ran.stdout.contains(&format!("https://{address}")),
        "{ran:?}"
    );
    home.run(&["config", "cc", "init", "-y"]).expect(0);
    assert!(
        home.read(".claude/settings.json")
            .contains(&format!("https://{address}"))
    );
    let json = home
        .run(&["config", "cc", "status", "--json"])
        .expect(0)
        .json();
    assert_eq!(json["data"]["relay_answers"], true);
    // Without that configuration nobody vouches for the certificate.
    let ran = Home::new()
        .run(&["status", "-v", "--addr", &format!("https://{address}")])
        .expect(69);
    assert!(
        ran.stderr.contains("no TLS connection")
            && ran.stderr.contains("reason: unreachable, exit 69"),
        "{ran:?}"
    );
}
