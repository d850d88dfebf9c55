//! An upstream that fails before the client could see a word of it is replaced, unseen.

use std::time::Duration;

use relay_sim::{Encoding, Fault, Script};

use crate::support::{Answer, End, Fleet, body, body_of, post, sim};

/// The ways in which an upstream can fail a stream before its first content event, with the reason
/// that the log tells.
fn failures() -> Vec<(&'static str, Script)> {
    let well = || Script::text("never seen");
    let error = |status, kind: &str| Script::error(status, kind, "no");
    vec![
        (
            "throttled",
            error(429, "rate_limit_error").no_header("retry-after"),
        ),
        (
            "rate_limited",
            error(429, "rate_limit_error")
                .no_header("retry-after")
                .header("retry-after", "7"),
        ),
        ("server_error", error(500, "api_error")),
        ("server_error", error(502, "api_error")),
        (
            "server_error",
            Script::raw(503, "text/html", "<html>bad</html>"),
        ),
        ("overloaded", error(529, "overloaded_error")),
        ("key_refused", error(401, "authentication_error")),
        ("account_spent", error(402, "billing_error")),
        ("key_forbidden", error(403, "permission_error")),
        ("model_not_found", error(404, "not_found_error")),
        (
            "account_spent",
            Script::error(
                400,
                "invalid_request_error",
                "You have reached your specified API usage limits.",
            ),
        ),
        ("broken", well().fault(Fault::ResetBeforeHead)),
        ("broken", well().fault(Fault::CloseBeforeHead)),
        ("timeout", well().fault(Fault::StallBeforeHead)),
        ("timeout", well().fault(Fault::StallAfterEvents(0))),
        ("broken", well().fault(Fault::ResetAfterBytes(30))),
        ("broken", well().fault(Fault::CloseAfterEvents(1))),
        ("broken", well().fault(Fault::CleanEndAfterEvents(1))),
        ("empty", well().fault(Fault::CleanEndAfterEvents(0))),
        (
            "broken",
            well()
                .encoding(Encoding::Gzip)
                .fault(Fault::ResetAfterEvents(1)),
        ),
        (
            "overloaded",
            well().fault(Fault::ErrorEventAfter(
                0,
                "overloaded_error".into(),
                "late".into(),
            )),
        ),
        (
            "server_error",
            well().fault(Fault::ErrorEventAfter(1, "api_error".into(), "late".into())),
        ),
    ]
}

/// What a client got, without what names the moment and the exchange.
fn shown(answer: &Answer) -> (u16, String, End) {
    (answer.status, answer.text(), answer.end)
}

#[tokio::test]
async fn a_stream_moves_on_unseen_from_every_failure_before_its_content() {
    for (reason, failure) in failures() {
        let fleet = Fleet::pair().await;
        let well = Script::text("from the second").model("claude-opus-5-5");
        fleet.sims[0].push(failure);
        fleet.sims[1].set_default(well.clone());
        let answer = fleet.turn(true).await;
        let alone = sim().await;
        alone.set_default(well);
        let direct = post("/v1/messages?beta=true", "", &body(true));
        let direct = crate::support::exchange(&alone.addr().to_string(), direct.as_bytes()).await;
        assert_eq!(shown(&answer), shown(&direct), "{reason}");
        let (first, second) = (fleet.sims[0].requests(), fleet.sims[1].requests());
        assert_eq!(first[0].body, second[0].body, "{reason}");
        assert_eq!(second[0].header("x-api-key"), Some("sk-ant-fake-1"));
        let record = fleet.relay.records.wait(1).await.remove(0);
        let hops: Vec<_> = record.attempts.iter().map(|hop| hop.reason).collect();
        assert_eq!(hops, [reason]);
        assert_eq!(record.target.unwrap().as_str(), "u1");
        assert_eq!(answer.header("x-cc-relay-attempts"), Some("2"));
    }
}

#[tokio::test]
async fn a_dead_upstream_costs_nothing_but_a_hop() {
    let fleet = Fleet::pair().await;
    fleet.sims[0].stop().await;
    let answer = fleet.turn(true).await;
    assert_eq!((answer.status, answer.end), (200, End::Whole));
    let record = fleet.relay.records.wait(1).await.remove(0);
    assert_eq!(record.attempts[0].reason, "unreachable");
}

#[tokio::test]
async fn json_that_breaks_before_its_end_moves_on() {
    for fault in [
        Fault::ResetAfterBytes(40),
        Fault::CleanEndAfterBytes(40),
        Fault::CleanEndAfterBytes(0),
    ] {
        let fleet = Fleet::pair().await;
        fleet.sims[0].push(Script::text("never seen").fault(fault.clone()));
        fleet.sims[1].set_default(Script::text("whole"));
        let answer = fleet.turn(false).await;
        assert_eq!((answer.status, answer.end), (200, End::Whole), "{fault:?}");
        assert_eq!(answer.json()["content"][0]["text"], "whole", "{fault:?}");
    }
}

#[tokio::test]
async fn each_trigger_can_be_switched_off() {
    let switches = [
        ("rate_limited", "throttled"),
        ("overloaded", "overloaded"),
        ("server_error", "server_error"),
        ("auth", "key_refused"),
        ("model_not_found", "model_not_found"),
        ("connection", "broken"),
        ("timeout", "timeout"),
    ];
    for (switch, reason) in switches {
        let routing = format!("fail_over_on: {{{switch}: false}}");
        let fleet = Fleet::start(2, &routing, |_| String::new(), "").await;
        let (_, failure) = failures().into_iter().find(|it| it.0 == reason).unwrap();
        fleet.sims[0].push(failure);
        let answer = fleet.turn(true).await;
        assert!(answer.status >= 400, "{switch} {}", answer.status);
        assert_eq!(fleet.turns(), [1, 0], "{switch}");
    }
}

#[tokio::test]
async fn what_the_request_is_to_blame_for_goes_back_word_for_word() {
    for status in [400, 409, 413, 422] {
        let fleet = Fleet::pair().await;
        let refusal = Script::error(status, "invalid_request_error", "prompt is too long: 9 > 8");
        fleet.sims[0].push(refusal.header("x-should-retry", "false"));
        let answer = fleet.turn(true).await;
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.json()["error"]["message"],
            "prompt is too long: 9 > 8"
        );
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert_eq!(fleet.turns(), [1, 0]);
        fleet.sims[0].push(Script::text("well"));
        assert_eq!(
            fleet.turn(true).await.status,
            200,
            "nobody is left alone for it"
        );
        assert_eq!(fleet.turns(), [2, 0]);
    }
}

#[tokio::test]
async fn after_the_first_content_event_a_break_is_a_break() {
    for events in 3..8 {
        let fleet = Fleet::pair().await;
        fleet.sims[0].push(Script::text("the first").fault(Fault::CloseAfterEvents(events)));
        let answer = fleet.turn(true).await;
        assert_eq!(answer.end, End::Cut, "{events}");
        assert_eq!(fleet.turns(), [1, 0], "{events}");
        assert_eq!(answer.text().matches("event: message_start").count(), 1);
    }
}

#[tokio::test]
async fn a_slow_first_word_is_waited_for_only_as_long_as_the_hold() {
    let slow = || Script::text("slow but sure").event_gap(Duration::from_millis(400));
    let fleet = Fleet::start(2, "commit_hold_ms: 50", |_| String::new(), "").await;
    fleet.sims[0].push(slow());
    let answer = fleet.turn(true).await;
    assert!(answer.text().contains("message_stop") && answer.end == End::Whole);
    assert_eq!(fleet.turns(), [1, 0]);
    // Behind the hold it is the client's: a stall is seen.
    let fleet = Fleet::start(2, "commit_hold_ms: 50", |_| String::new(), "").await;
    fleet.sims[0].push(Script::text("x").fault(Fault::StallAfterEvents(1)));
    assert_eq!(fleet.turn(true).await.end, End::Cut);
    // Without a hold of its own, a stall before the first content moves on.
    let fleet = Fleet::start(2, "commit_hold_ms: 0", |_| String::new(), "").await;
    fleet.sims[0].push(Script::text("x").fault(Fault::StallAfterEvents(1)));
    fleet.sims[1].set_default(Script::text("the second"));
    assert!(fleet.turn(true).await.text().contains("second"));
}

#[tokio::test]
async fn with_nobody_else_to_ask_nothing_is_held() {
    let fleet = Fleet::start(1, "commit_hold_ms: 60000", |_| String::new(), "").await;
    fleet.sims[0].push(Script::text("x").fault(Fault::StallAfterEvents(1)));
    let answer = fleet.turn(true).await;
    assert!(
        answer.text().contains("event: message_start"),
        "{}",
        answer.text()
    );
    assert_eq!(answer.end, End::Cut);
}

#[tokio::test]
async fn when_all_refuse_the_most_useful_refusal_goes_back() {
    let refusal = |status: u16| {
        let kind = match status {
            429 => "rate_limit_error",
            401 => "authentication_error",
            404 => "not_found_error",
            _ => "api_error",
        };
        Script::error(status, kind, format!("word for word {status}"))
            .header("x-of", status.to_string())
    };
    let table = [
        ([500, 404, 401], 401),
        ([429, 401, 500], 429),
        ([500, 404, 503], 404),
        ([401, 500, 429], 429),
        ([500, 502, 503], 503),
    ];
    for (statuses, told) in table {
        let fleet = Fleet::start(3, "", |_| String::new(), "").await;
        for (sim, status) in fleet.sims.iter().zip(statuses) {
            sim.push(refusal(status));
        }
        let answer = fleet.turn(true).await;
        assert_eq!(answer.status, told, "{statuses:?}");
        assert_eq!(
            answer.json()["error"]["message"],
            format!("word for word {told}")
        );
        assert_eq!(answer.header("x-of"), Some(&*told.to_string()));
        assert_eq!(answer.end, End::Whole);
        assert_eq!(fleet.relay.records.wait(1).await[0].attempts.len(), 3);
    }
}

#[tokio::test]
async fn attempts_and_repeats_are_bounded() {
    let down = || Script::error(500, "api_error", "down");
    let fleet = Fleet::start(4, "max_attempts: 2", |_| String::new(), "").await;
    fleet.sims.iter().for_each(|sim| sim.set_default(down()));
    assert_eq!(fleet.turn(true).await.status, 500);
    assert_eq!(fleet.turns().iter().sum::<usize>(), 2);
    // Without a share only the reserve is left: ten repeats, whoever asks.
    let breaker = "health: {circuit_breaker: {failure_threshold: 1000, min_requests: 1000}}";
    let fleet = Fleet::start(2, "retry_budget_percent: 0", |_| String::new(), breaker).await;
    fleet.sims.iter().for_each(|sim| sim.set_default(down()));
    for _ in 0..25 {
        assert_eq!(fleet.turn(true).await.status, 500);
    }
    assert_eq!(fleet.turns().iter().sum::<usize>(), 25 + 10);
    // Behind the time nobody else is asked.
    let fleet = Fleet::start(2, "failover_timeout_ms: 100", |_| String::new(), "").await;
    fleet.sims[0].push(down().delay_head(Duration::from_millis(200)));
    assert_eq!(fleet.turn(true).await.status, 500);
    assert_eq!(fleet.turns(), [1, 0]);
}

#[tokio::test]
async fn what_timed_out_may_be_billed_and_is_repeated_once() {
    let fleet = Fleet::start(3, "", |_| String::new(), "").await;
    for sim in &fleet.sims {
        sim.set_default(Script::text("x").fault(Fault::StallBeforeHead));
    }
    let answer = fleet.turn(true).await;
    assert_eq!(
        (answer.status, answer.json()["error"]["type"].as_str()),
        (504, Some("timeout_error"))
    );
    assert_eq!(fleet.turns(), [1, 1, 0]);
}

#[tokio::test]
async fn of_a_race_the_quicker_answers_and_the_other_is_left() {
    let fleet = Fleet::start(2, "race: 2", |_| String::new(), "").await;
    fleet.sims[0].push(Script::text("late").delay_head(Duration::from_millis(600)));
    fleet.sims[1].push(Script::text("early"));
    let answer = fleet.turn(true).await;
    assert!(answer.text().contains("early"));
    assert_eq!(fleet.turns(), [1, 1]);
    let gone = fleet.sims[0].wait_for(|stats| stats.client_gone == 1, Duration::from_secs(10));
    gone.await.unwrap();
}

#[tokio::test]
async fn a_clients_own_credential_is_refused_to_the_client_unless_it_may_spill() {
    for spill in [false, true] {
        let sims = [sim().await, sim().await];
        let yaml = format!(
            "server: {{listen: '127.0.0.1:0'}}\nrouting: {{spill: {spill}}}\nproviders:\n  - {{name: a, type: anthropic, base_url: '{}', proxy: none, keys: [{{key: sk-ant-relays-a}}]}}\n  - {{name: b, type: anthropic, base_url: '{}', proxy: none, accepts_client_credential: false, keys: [{{key: sk-ant-relays-b}}]}}\n",
            sims[0].base_url(),
            sims[1].base_url()
        );
        let relay = crate::support::Relay::of(&yaml);
        for status in [429, 401] {
            sims[0].push(Script::error(status, "rate_limit_error", "your plan"));
            let answer = relay.send(&crate::support::turn(true)).await;
            assert_eq!(answer.status, if spill { 200 } else { status });
        }
        // What is nobody's fault moves on, and leaves the client's credential behind.
        sims[0].push(Script::error(500, "api_error", "down"));
        assert_eq!(relay.send(&crate::support::turn(true)).await.status, 200);
        let asked: Vec<String> = sims
            .iter()
            .flat_map(relay_sim::Sim::requests)
            .filter(|it| it.method == "POST")
            .map(|it| it.header("x-api-key").unwrap_or_default().to_owned())
            .collect();
        let with = |key: &str| asked.iter().filter(|it| *it == key).count();
        assert_eq!(with("sk-ant-own-0123456789"), 3);
        let to_b = sims[1]
            .requests()
            .iter()
            .all(|it| it.header("x-api-key") == Some("sk-ant-relays-b"));
        assert!(to_b);
        assert_eq!(
            with("sk-ant-relays-a") + with("sk-ant-relays-b"),
            if spill { 3 } else { 1 }
        );
    }
}

#[tokio::test]
async fn a_model_is_mapped_for_each_upstream_alone() {
    let mapping = |place| match place {
        0 => "model_mapping: {'claude-opus-*': first-name}".to_owned(),
        _ => "model_mapping: {'alias-of-all': second-name}".to_owned(),
    };
    let fleet = Fleet::start(2, "model_mapping: {'my-*': alias-of-all}", mapping, "").await;
    fleet.sims[0].push(Script::error(500, "api_error", "down"));
    fleet.turn(true).await;
    assert_eq!(fleet.sims[0].requests()[0].json()["model"], "first-name");
    assert_eq!(
        fleet.sims[1].requests()[0].json()["model"],
        "claude-opus-5-5"
    );
    fleet.sims[0].push(Script::error(500, "api_error", "down"));
    fleet.ask("", &body_of("my-model")).await;
    assert_eq!(fleet.sims[0].requests()[1].json()["model"], "alias-of-all");
    assert_eq!(fleet.sims[1].requests()[1].json()["model"], "second-name");
    let (one, other) = (fleet.sims[0].requests(), fleet.sims[1].requests());
    let text = String::from_utf8_lossy(&other[1].body).replace("second-name", "alias-of-all");
    assert_eq!(text.as_bytes(), &one[1].body[..], "nothing else changed");
}
