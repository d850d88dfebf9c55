//! The limiter by tables of made-up time.

use std::collections::HashMap;
use std::time::Duration;

use super::{Limits, RateLimiter, Refused, model_class, rfc3339};

const OPUS: &str = "claude-opus-4-8";

fn limiter() -> RateLimiter {
    let mut limiter = RateLimiter::new();
    let limits = Limits {
        requests: 60,
        input_tokens: 60_000,
        output_tokens: 6_000,
    };
    limiter.set_limits("org", limits);
    limiter
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn the_wait_is_true_to_the_nanosecond() {
    let mut limiter = limiter();
    limiter.admit("org", OPUS, 60_000, millis(0)).unwrap();
    let refused = limiter.admit("org", OPUS, 5_500, millis(500)).unwrap_err();
    assert_eq!(refused.retry_after, millis(5_000));
    let early = Duration::from_nanos(5_499_999_999);
    assert!(limiter.admit("org", OPUS, 5_500, early).is_err());
    limiter.admit("org", OPUS, 5_500, millis(5_500)).unwrap();
}

#[test]
fn requests_and_output_are_buckets_too() {
    let mut limiter = limiter();
    for _ in 0..60 {
        limiter.admit("org", OPUS, 0, millis(0)).unwrap();
    }
    let one_second = Refused {
        retry_after: millis(1_000),
    };
    assert_eq!(limiter.admit("org", OPUS, 0, millis(0)), Err(one_second));
    // 200 tokens of debt and the one that is needed, at 100 a second.
    limiter.spend_output("org", OPUS, 6_200, millis(0));
    let refused = limiter.admit("org", OPUS, 0, millis(0)).unwrap_err();
    assert_eq!(refused.retry_after, millis(2_010));
}

#[test]
fn limits_belong_to_organisation_and_class() {
    let mut limiter = limiter();
    limiter.admit("org", OPUS, 60_000, millis(0)).unwrap();
    assert!(
        limiter
            .admit("org", "claude-opus-4-5-20251101", 1, millis(0))
            .is_err()
    );
    limiter
        .admit("org", "claude-opus-5-5", 60_000, millis(0))
        .unwrap();
    limiter
        .admit("unlimited", OPUS, u64::MAX, millis(0))
        .unwrap();
    for (model, class) in [
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4"),
        ("claude-opus-4-20250514", "claude-opus-4"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("claude-opus-5", "claude-opus-5"),
        ("glm", "glm"),
    ] {
        assert_eq!(model_class(model), class);
    }
}

#[test]
fn a_request_above_the_limit_needs_a_full_bucket_and_leaves_a_debt() {
    let mut limiter = limiter();
    limiter.admit("org", OPUS, 90_000, millis(0)).unwrap();
    let refused = limiter.admit("org", OPUS, 90_000, millis(0)).unwrap_err();
    assert_eq!(refused.retry_after, millis(90_000));
}

#[test]
fn headers_say_what_is_left_and_when_it_is_full() {
    let mut limiter = limiter();
    limiter.admit("org", OPUS, 20_600, millis(0)).unwrap();
    limiter.spend_output("org", OPUS, 6_500, millis(0));
    let unix = Duration::new(1_795_392_000, 0);
    let headers: HashMap<String, String> = limiter
        .headers("org", OPUS, millis(0), unix)
        .into_iter()
        .collect();
    let kinds = [
        ("requests", "60", "59", "2026-11-23T00:00:01Z"),
        ("input-tokens", "60000", "39000", "2026-11-23T00:00:21Z"),
        ("output-tokens", "6000", "0", "2026-11-23T00:01:05Z"),
        ("tokens", "66000", "39000", "2026-11-23T00:01:05Z"),
    ];
    for (kind, limit, remaining, reset) in kinds {
        for (field, wanted) in [("limit", limit), ("remaining", remaining), ("reset", reset)] {
            let name = format!("anthropic-ratelimit-{kind}-{field}");
            assert_eq!(headers[&name], wanted, "{name}");
        }
    }
    assert!(
        limiter
            .headers("unlimited", OPUS, millis(0), unix)
            .is_empty()
    );
}

#[test]
fn moments_are_written_as_calendars_have_them() {
    for (unix, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_709_251_199, "2024-02-29T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
    ] {
        assert_eq!(rfc3339(Duration::from_secs(unix)), text);
    }
}

#[test]
fn a_limit_of_zero_admits_nothing_but_nothing() {
    let mut limiter = RateLimiter::new();
    let limits = Limits {
        requests: 60,
        input_tokens: 0,
        output_tokens: 60,
    };
    limiter.set_limits("org", limits);
    assert!(limiter.admit("org", OPUS, 1, millis(0)).is_err());
    limiter.admit("org", OPUS, 0, millis(0)).unwrap();
}
