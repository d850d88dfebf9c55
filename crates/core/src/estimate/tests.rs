//! Start values, sessions, and what holds for any sequence.

use proptest::prelude::*;

use super::*;

const MODEL: &str = "claude-opus-5-5";

#[test]
fn each_tokenizer_starts_at_its_ratio() {
    let estimator = Estimator::new(10);
    for (model, tokens) in [
        ("claude-opus-5-5", 39_999),
        ("claude-fable-5", 39_999),
        ("us.anthropic.claude-opus-4-8-v1:0", 39_999),
        ("claude-opus-4-7", 39_999),
        ("claude-sonnet-4-6", 31_250),
        ("claude-haiku-4-5-20251001", 31_250),
        ("claude-3-5-haiku-20241022", 31_250),
        ("glm-5.2", 31_250),
        ("", 31_250),
    ] {
        assert_eq!(estimator.estimate(None, model, 100_000), tokens, "{model}");
    }
}

#[test]
fn a_session_under_way_errs_on_the_new_turn_only() {
    let estimator = Estimator::new(10);
    let session = Some(SessionKey(1));
    estimator.learn(session, MODEL, 500_000, 150_000);
    // The ratio learned is between the start value and 0.3; it counts for 10,000 bytes alone.
    let next = estimator.estimate(session, MODEL, 510_000);
    assert!((153_000..=154_000).contains(&next), "{next}");
    let shorter = estimator.estimate(session, MODEL, 490_000);
    assert!((146_000..=147_000).contains(&shorter), "{shorter}");
    let other_model = estimator.estimate(session, "claude-haiku-4-5", 510_000);
    assert_eq!(other_model, 159_375);
    assert_ne!(
        estimator.estimate(Some(SessionKey(2)), MODEL, 510_000),
        next
    );
}

#[test]
fn nothing_counted_teaches_nothing() {
    let estimator = Estimator::new(10);
    let before = estimator.estimate(None, MODEL, 1_000);
    estimator.learn(None, MODEL, 0, 10);
    estimator.learn(None, MODEL, 10, 0);
    assert_eq!(estimator.estimate(None, MODEL, 1_000), before);
}

#[test]
fn models_and_sessions_are_bounded() {
    let estimator = Estimator::new(100);
    for number in 0..1_000 {
        estimator.learn(
            Some(SessionKey(number)),
            &format!("model-{number}-x"),
            100,
            30,
        );
    }
    assert_eq!(estimator.sessions.len(), 100);
    assert_eq!(estimator.ratios.len(), MAX_MODELS);
}

proptest! {
    #[test]
    fn an_estimate_is_neither_zero_nor_absurd(
        turns in prop::collection::vec((any::<u64>(), any::<u64>(), 0_u64..3), 0..40), bytes in any::<u64>()) {
        let estimator = Estimator::new(8);
        for (bytes, tokens, session) in turns {
            estimator.learn(Some(SessionKey(session)), MODEL, bytes, tokens);
        }
        for session in [None, Some(SessionKey(0)), Some(SessionKey(7))] {
            let tokens = estimator.estimate(session, MODEL, bytes);
            prop_assert!(tokens >= 1 && tokens <= bytes.max(1));
        }
    }

    /// Whatever was learned before, 100 requests of one true ratio bring the error below 3 %.
    #[test]
    fn it_converges(before in prop::collection::vec((1_u64..1_000_000, 1_u64..1_000_000), 0..20), per_mille in 50_u64..900) {
        let estimator = Estimator::new(8);
        for (bytes, tokens) in before {
            estimator.learn(None, MODEL, bytes, tokens);
        }
        for turn in 1..=100 {
            estimator.learn(None, MODEL, turn * 10_000, turn * 10 * per_mille);
        }
        let error = estimator.estimate(None, MODEL, 1_000_000).abs_diff(per_mille * 1_000);
        prop_assert!(error * 100 <= per_mille * 1_000 * 3, "{error} of {}", per_mille * 1_000);
    }
}
