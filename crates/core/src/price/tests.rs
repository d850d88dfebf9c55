//! The built-in list, and sums by hand.

use proptest::prelude::*;

use super::*;

fn prices() -> Prices {
    Prices::built_in().unwrap()
}

fn usage(input: u64, read: u64, five: u64, hour: u64, output: u64) -> Usage {
    Usage {
        input_tokens: Some(input),
        cache_read_input_tokens: Some(read),
        cache_creation_input_tokens: Some(five + hour),
        cache_write_5m_tokens: Some(five),
        cache_write_1h_tokens: Some(hour),
        output_tokens: Some(output),
    }
}

#[test]
fn the_built_in_list_is_whole() {
    let prices = prices();
    assert_eq!(prices.as_of(), "2026-11-22");
    assert!(prices.source().contains("MIT"));
    assert_eq!(prices.models.len(), 11);
    for (model, price) in &prices.models {
        let rates = price.base;
        assert!(rates.cache_read < rates.input, "{model}");
        assert!(rates.input < rates.cache_write_5m, "{model}");
        assert!(rates.cache_write_5m < rates.cache_write_1h, "{model}");
        assert!(rates.cache_write_1h < rates.output, "{model}");
        assert_eq!(rates.input * 5, rates.output, "{model}");
        assert_eq!(rates.input * 5, rates.cache_write_5m * 4, "{model}");
        assert_eq!(rates.input * 2, rates.cache_write_1h, "{model}");
    }
}

#[test]
fn sums_are_as_by_hand() {
    let prices = prices();
    for (model, usage, nano_dollars) in [
        (
            "claude-opus-5-5",
            usage(1_000_000, 0, 0, 0, 0),
            4_000_000_000,
        ),
        ("claude-opus-5-5", usage(0, 1, 0, 0, 0), 200),
        // 3 x 4 + 150,000 x 0.2 + 1,000 x 5 + 100 x 8 + 500 x 20, in millionths of a dollar.
        (
            "us.anthropic.claude-opus-5-5-v1:0",
            usage(3, 150_000, 1_000, 100, 500),
            45_812_000,
        ),
        ("claude-haiku-5-5", usage(0, 100_000, 0, 0, 0), 1_000_000),
        // One token more, and the whole request is five times as dear.
        (
            "claude-haiku-5-5",
            usage(1, 100_000, 0, 0, 10),
            5_000_500 + 25_000,
        ),
        ("claude-fable-5-2", usage(0, 0, 0, 1, 0), 16_000),
        ("claude-opus-5", usage(0, 0, 0, 0, 0), 0),
    ] {
        assert_eq!(
            prices.cost(model, &usage),
            Some(Money::nano_dollars(nano_dollars)),
            "{model}"
        );
    }
}

#[test]
fn unknown_is_never_zero() {
    let prices = prices();
    let some = usage(1, 0, 0, 0, 1);
    assert_eq!(prices.cost("glm-4.6", &some), None);
    assert_eq!(prices.cost("claude-opus-9", &some), None);
    assert_eq!(prices.expected("glm-4.6", 1, 1, 1), None);
    assert_eq!(prices.move_cost("glm-4.6", 1, false), None);
    assert!(!prices.knows("claude-sonnet-4-20250514"));
    for unknown in [
        Usage {
            input_tokens: None,
            ..some
        },
        Usage {
            output_tokens: None,
            ..some
        },
    ] {
        assert_eq!(prices.cost("claude-opus-5", &unknown), None);
    }
}

#[test]
fn counts_without_a_split_are_for_five_minutes() {
    let prices = prices();
    let plain = Usage {
        input_tokens: Some(1),
        output_tokens: Some(0),
        ..Usage::default()
    };
    assert_eq!(
        prices.cost("claude-opus-5-5", &plain),
        Some(Money::nano_dollars(4_000))
    );
    let written = Usage {
        cache_creation_input_tokens: Some(10),
        ..plain
    };
    assert_eq!(
        prices.cost("claude-opus-5-5", &written),
        Some(Money::nano_dollars(54_000))
    );
    let split_only = Usage {
        cache_write_1h_tokens: Some(10),
        ..plain
    };
    assert_eq!(
        prices.cost("claude-opus-5-5", &split_only),
        Some(Money::nano_dollars(84_000))
    );
}

#[test]
fn moving_costs_the_write_less_the_read() {
    let prices = prices();
    let cost = prices.move_cost("claude-opus-5-5", 150_000, false).unwrap();
    assert_eq!(cost.to_string(), "$0.7200");
    for (nano_dollars, shown) in [
        (0, "$0.0000"),
        (999, "<$0.000001"),
        (47_900, "$0.000047"),
        (9_999_999, "$0.009999"),
        (10_000_000, "$0.0100"),
    ] {
        assert_eq!(Money::nano_dollars(nano_dollars).to_string(), shown);
    }
    assert!((cost.as_dollars() - 0.72).abs() < 1e-12);
    let hour = prices.move_cost("claude-opus-5-5", 150_000, true).unwrap();
    assert_eq!(hour.to_string(), "$1.1700");
    assert_eq!(
        prices
            .expected("claude-opus-5-5", 1_000, 150_000, 500)
            .unwrap()
            .to_string(),
        "$0.0440"
    );
}

#[test]
fn an_override_counts_first() {
    let own = Prices::read(
        r#"{"as_of":"x","source":"y","models":{"anthropic/claude-opus-5.5":
            {"input":1,"output":1,"cache_read":1,"cache_write_5m":1,"cache_write_1h":1}}}"#,
    )
    .unwrap();
    let prices = prices().overridden_by(own);
    assert_eq!(prices.as_of(), "x");
    assert_eq!(
        prices.cost("claude-opus-5-5", &usage(1, 0, 0, 0, 0)),
        Some(Money::nano_dollars(1_000))
    );
    assert!(prices.knows("claude-opus-5"));
}

#[test]
fn a_wrong_list_says_what_is_wrong() {
    let list = |price: &str| {
        Prices::read(&format!(
            r#"{{"as_of":"","source":"","models":{{"m":{{"input":{price},"output":1,"cache_read":1,"cache_write_5m":1,"cache_write_1h":1}}}}}}"#
        ))
    };
    assert!(list("0").is_ok());
    for price in ["-1", "1000001"] {
        let fault = list(price).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "input of m is no price between 0 and 1,000,000"
        );
    }
    assert!(matches!(list(r#""1""#), Err(PriceFault::Form(_))));
    assert!(matches!(Prices::read("[]"), Err(PriceFault::Form(_))));
}

proptest! {
    /// More of anything never costs less, whatever the size.
    #[test]
    fn cost_is_monotone_and_never_overflows(a in any::<[u64; 5]>(), more in 0_usize..5, model in 0_usize..11) {
        let prices = prices();
        let mut names: Vec<&String> = prices.models.keys().collect();
        names.sort();
        let of = |n: [u64; 5]| Usage {
            input_tokens: Some(n[0]),
            cache_read_input_tokens: Some(n[1]),
            cache_creation_input_tokens: Some(n[2].saturating_add(n[3])),
            cache_write_5m_tokens: Some(n[2]),
            cache_write_1h_tokens: Some(n[3]),
            output_tokens: Some(n[4]),
        };
        let mut b = a;
        b[more] = b[more].saturating_add(1_000);
        prop_assert!(prices.cost(names[model], &of(a)) <= prices.cost(names[model], &of(b)));
        prop_assert!(prices.move_cost(names[model], a[0], false) <= prices.move_cost(names[model], a[0], true));
    }
}
