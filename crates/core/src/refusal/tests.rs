//! Each class of refusal as a row.

#![expect(
    clippy::too_many_lines,
    clippy::type_complexity,
    clippy::items_after_statements,
    reason = "tables"
)]

use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;

const UNIX: Duration = Duration::from_hours(498_720);

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&'static str, &str)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )
    };
    lines.iter().map(line).collect()
}

fn ruled(status: u16, lines: &[(&'static str, &str)], body: &str) -> Ruling {
    rule(&Refusal {
        status,
        headers: &headers(lines),
        body: body.as_bytes(),
        unix: UNIX,
    })
}

fn with_code(code: &str) -> String {
    format!(
        r#"{{"type":"error","error":{{"type":"x","message":"m","details":{{"error_code":"{code}"}}}}}}"#
    )
}

fn with_message(message: &str) -> String {
    format!(
        r#"{{"type":"error","error":{{"type":"invalid_request_error","message":"{message}"}}}}"#
    )
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn each_status_has_its_scope_and_length() {
    let table: [(u16, &str, Scope, Duration, Next, bool); 14] = [
        (
            400,
            "refused",
            Scope::Request,
            Duration::ZERO,
            Next::Nobody,
            false,
        ),
        (
            401,
            "key_refused",
            Scope::Key,
            300 * SECOND,
            Next::OtherKey,
            false,
        ),
        (
            402,
            "account_spent",
            Scope::Key,
            3_600 * SECOND,
            Next::OtherKey,
            false,
        ),
        (
            403,
            "key_forbidden",
            Scope::Class,
            60 * SECOND,
            Next::OtherKey,
            false,
        ),
        (
            404,
            "model_not_found",
            Scope::Model,
            300 * SECOND,
            Next::OtherTarget,
            false,
        ),
        (
            408,
            "refused",
            Scope::Request,
            Duration::ZERO,
            Next::Nobody,
            false,
        ),
        (
            409,
            "refused",
            Scope::Request,
            Duration::ZERO,
            Next::Nobody,
            false,
        ),
        (
            413,
            "refused",
            Scope::Request,
            Duration::ZERO,
            Next::Nobody,
            false,
        ),
        (
            422,
            "refused",
            Scope::Request,
            Duration::ZERO,
            Next::Nobody,
            false,
        ),
        (
            429,
            "throttled",
            Scope::Request,
            Duration::ZERO,
            Next::OtherKey,
            false,
        ),
        (
            500,
            "server_error",
            Scope::Target,
            Duration::ZERO,
            Next::OtherTarget,
            true,
        ),
        (
            503,
            "server_error",
            Scope::Target,
            Duration::ZERO,
            Next::OtherTarget,
            true,
        ),
        (
            529,
            "overloaded",
            Scope::Model,
            Duration::ZERO,
            Next::OtherTarget,
            true,
        ),
        (
            599,
            "server_error",
            Scope::Target,
            Duration::ZERO,
            Next::OtherTarget,
            true,
        ),
    ];
    for (status, name, scope, hold, next, strikes) in table {
        let ruling = ruled(status, &[], "<html>not JSON</html>");
        let found = (
            ruling.name,
            ruling.scope,
            ruling.hold,
            ruling.next,
            ruling.strikes,
        );
        assert_eq!(found, (name, scope, hold, next, strikes), "{status}");
        assert_eq!(ruling.trigger.is_none(), next == Next::Nobody, "{status}");
    }
}

#[test]
fn a_429_is_read_in_order() {
    let unified = "anthropic-ratelimit-unified-status";
    let claim = "anthropic-ratelimit-unified-representative-claim";
    let remaining = "anthropic-ratelimit-input-tokens-remaining";
    let spent = with_code("enforced_spend_limit_reached");
    let ramp = with_code("ramp_limit_exceeded");
    let billing = r#"{"error":{"type":"billing_error","message":"x"}}"#;
    type Row<'a> = (&'a [(&'static str, &'a str)], &'a str, &'a str, Scope, u64);
    let table: [Row<'_>; 12] = [
        (
            &[("retry-after", "7")],
            &spent,
            "account_spent",
            Scope::Key,
            3_600,
        ),
        (
            &[("retry-after", "7")],
            &ramp,
            "ramp_limited",
            Scope::Class,
            7,
        ),
        (&[], &ramp, "ramp_limited", Scope::Class, 5),
        (
            &[("x-should-retry", "false")],
            billing,
            "account_spent",
            Scope::Key,
            3_600,
        ),
        (
            &[
                (unified, "rejected"),
                (claim, "five_hour"),
                ("retry-after", "900"),
            ],
            "",
            "plan_limited",
            Scope::Key,
            900,
        ),
        (
            &[(unified, "rejected"), (claim, "seven_day_overage_included")],
            "",
            "plan_limited",
            Scope::Class,
            60,
        ),
        // Nothing from outside is believed for days.
        (
            &[
                (unified, "rejected"),
                (claim, "seven_day"),
                ("retry-after", "124633"),
            ],
            "",
            "plan_limited",
            Scope::Key,
            3_600,
        ),
        (
            &[("retry-after", "86400")],
            "",
            "rate_limited",
            Scope::Class,
            120,
        ),
        (
            &[("retry-after", "12"), (remaining, "0")],
            "",
            "rate_limited",
            Scope::Class,
            12,
        ),
        (&[(remaining, "0")], "", "rate_limited", Scope::Class, 5),
        (
            &[(unified, "allowed"), (remaining, "7000")],
            "",
            "throttled",
            Scope::Request,
            0,
        ),
        (
            &[("x-should-retry", "true")],
            "",
            "throttled",
            Scope::Request,
            0,
        ),
    ];
    for (lines, body, name, scope, seconds) in table {
        let ruling = ruled(429, lines, body);
        let found = (ruling.name, ruling.scope, ruling.hold.as_secs());
        assert_eq!(found, (name, scope, seconds), "{lines:?} {body}");
        assert_eq!(ruling.next, Next::OtherKey, "{lines:?}");
        assert!(!ruling.strikes);
    }
}

#[test]
fn a_400_moves_on_only_for_a_spend_limit() {
    for message in OWNERS_LIMIT {
        let body = with_message(&format!("{message}. You will regain access on 2026-12-01."));
        let ruling = ruled(400, &[], &body);
        assert_eq!((ruling.name, ruling.scope), ("account_spent", Scope::Key));
    }
    for message in [
        "prompt is too long",
        "Your limits: You have reached your specified API",
    ] {
        assert_eq!(
            ruled(400, &[("retry-after", "3")], &with_message(message)),
            FINAL
        );
    }
    assert_eq!(
        ruled(400, &[], &with_code("organization_on_hold")).scope,
        Scope::Key
    );
    assert_eq!(
        ruled(403, &[], &with_code("linked_organization_x")).name,
        "account_spent"
    );
    assert_eq!(
        ruled(400, &[], &with_code("claude_code_version_too_old")),
        FINAL
    );
}

#[test]
fn an_overloaded_upstreams_hint_has_a_cap() {
    assert_eq!(ruled(529, &[("retry-after", "4")], "").hold, 4 * SECOND);
    assert_eq!(
        ruled(529, &[("retry-after", "86400")], "").hold,
        OVERLOAD_CAP
    );
}

#[test]
fn waits_are_read_in_each_form() {
    let soon = httpdate::fmt_http_date(std::time::UNIX_EPOCH + UNIX + 90 * SECOND);
    let past = httpdate::fmt_http_date(std::time::UNIX_EPOCH + UNIX - 90 * SECOND);
    let table: [(&[(&'static str, &str)], Option<Duration>); 8] = [
        (&[("retry-after", "3")], Some(3 * SECOND)),
        (&[("retry-after", " 0.5 ")], Some(SECOND / 2)),
        (
            &[("retry-after-ms", "250"), ("retry-after", "9")],
            Some(SECOND / 4),
        ),
        (&[("retry-after", &soon)], Some(90 * SECOND)),
        (&[("retry-after", &past)], Some(Duration::ZERO)),
        (&[("retry-after", "-1")], None),
        (&[("retry-after", "soon")], None),
        (&[], None),
    ];
    for (lines, wait) in table {
        assert_eq!(retry_after(&headers(lines), UNIX), wait, "{lines:?}");
    }
}

#[test]
fn events_and_silence_are_ruled_alike() {
    assert_eq!(rule_event("overloaded_error").name, "overloaded");
    assert_eq!(rule_event("rate_limit_error").name, "throttled");
    assert_eq!(rule_event("invalid_request_error").next, Next::Nobody);
    assert_eq!(
        rule_event("something_else").trigger,
        Some(Trigger::ServerError)
    );
    for silence in [
        Silence::Unreachable,
        Silence::Broken,
        Silence::Empty,
        Silence::Timeout,
    ] {
        let ruling = rule_silence(silence);
        assert!(
            ruling.strikes && ruling.next == Next::OtherTarget,
            "{silence:?}"
        );
    }
}

#[test]
fn the_most_useful_refusal_is_a_limit() {
    let mut statuses = [500, 404, 529, 401, 429, 403];
    statuses.sort_by_key(|status| std::cmp::Reverse(usefulness(*status)));
    assert_eq!(statuses, [429, 401, 403, 404, 500, 529]);
}
