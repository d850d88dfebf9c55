//! The built-in list, and sums by hand.

use proptest::prelude::*;

use super::*;
use crate::usage::Usage;

fn prices() -> Prices {
    Prices::built_in().unwrap()
}

fn seller(percent: u32) -> Seller {
    Seller {
        names: ["mine".into(), "anthropic".into()],
        percent,
    }
}

/// At the list price, today.
fn tariff<'a>(prices: &'a Prices, model: &str) -> Option<Tariff<'a>> {
    prices.of(&seller(100), model, model, today())
}

fn today() -> Day {
    Day::parse("2026-11-23").unwrap()
}

fn cost(prices: &Prices, model: &str, usage: &Usage) -> Option<Money> {
    tariff(prices, model)?.cost(usage)
}

fn usage(input: u64, read: u64, five: u64, hour: u64, output: u64) -> Usage {
    Usage {
        input_tokens: Some(input),
        cache_read_input_tokens: Some(read),
        cache_creation_input_tokens: Some(five + hour),
        cache_write_5m_tokens: Some(five),
        cache_write_1h_tokens: Some(hour),
        output_tokens: Some(output),
        ..Usage::default()
    }
}

#[test]
fn the_built_in_list_is_whole() {
    let prices = prices();
    assert_eq!(prices.as_of(), "2026-11-22");
    assert!(prices.source().contains("MIT"));
    for listed in prices.list() {
        let (model, rates) = (listed.model, listed.price.base);
        assert!(rates.cache_read <= rates.input, "{model}");
        assert!(
            rates.input < rates.output || model.starts_with("glm"),
            "{model}"
        );
        if !model.starts_with("claude") {
            continue;
        }
        assert!(listed.price.web_search.is_some(), "{model}");
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
            "anthropic.claude-opus-5-5-v1:0",
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
            cost(&prices, model, &usage),
            Some(Money::nano_dollars(nano_dollars)),
            "{model}"
        );
    }
}

#[test]
fn unknown_is_never_zero() {
    let prices = prices();
    let some = usage(1, 0, 0, 0, 1);
    assert_eq!(cost(&prices, "glm-of-mine", &some), None);
    assert_eq!(cost(&prices, "claude-opus-9", &some), None);
    assert!(tariff(&prices, "glm-of-mine").is_none());
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
        assert_eq!(cost(&prices, "claude-opus-5", &unknown), None);
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
        cost(&prices, "claude-opus-5-5", &plain),
        Some(Money::nano_dollars(4_000))
    );
    let written = Usage {
        cache_creation_input_tokens: Some(10),
        ..plain
    };
    assert_eq!(
        cost(&prices, "claude-opus-5-5", &written),
        Some(Money::nano_dollars(54_000))
    );
    let split_only = Usage {
        cache_write_1h_tokens: Some(10),
        ..plain
    };
    assert_eq!(
        cost(&prices, "claude-opus-5-5", &split_only),
        Some(Money::nano_dollars(84_000))
    );
}

#[test]
fn moving_costs_the_write_less_the_read() {
    let prices = prices();
    let tariff = tariff(&prices, "claude-opus-5-5").unwrap();
    let cost = tariff.move_cost(150_000, false);
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
    let hour = tariff.move_cost(150_000, true);
    assert_eq!(hour.to_string(), "$1.1700");
    assert_eq!(tariff.expected(1_000, 150_000, 500).to_string(), "$0.0440");
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
        cost(&prices, "claude-opus-5-5", &usage(1, 0, 0, 0, 0)),
        Some(Money::nano_dollars(1_000))
    );
    assert!(prices.knows("claude-opus-5"));
}

#[test]
fn a_wrong_list_says_what_is_wrong() {
    let list = |price: &str| list(&format!(r#"{{"input": {price}, "output": 1}}"#));
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

/// By hand, from the vendors' pages: whatever makes a request dearer.
#[test]
fn what_makes_a_request_dearer_counts() {
    let prices = prices();
    let million = usage(1_000_000, 0, 0, 0, 1_000_000);
    let dollars = |model: &str, sold_as: &str, percent, day, usage: &Usage| {
        let day = Day::parse(day).unwrap();
        let cost = prices.of(&seller(percent), model, sold_as, day);
        cost.and_then(|tariff| tariff.cost(usage))
            .map(|it| it.to_string())
    };
    let day = "2026-11-23";
    for (sold_as, percent, want) in [
        ("claude-opus-5-5", 100, "$24.0000"),
        ("claude-opus-5-5", 80, "$19.2000"),
        ("claude-opus-5-5", 0, "$0.0000"),
        ("global.anthropic.claude-opus-5-5", 100, "$24.0000"),
        ("eu.anthropic.claude-opus-5-5", 100, "$26.4000"),
        ("eu.anthropic.claude-opus-5-5", 50, "$13.2000"),
        ("us-gov.anthropic.claude-opus-5-5", 120, "$28.8000"),
    ] {
        let found = dollars("claude-opus-5-5", sold_as, percent, day, &million);
        assert_eq!(found.as_deref(), Some(want), "{sold_as} {percent}");
    }
    for (fast, us_only, searches, want) in [
        (true, false, 0, "$48.0000"),
        (false, true, 0, "$26.4000"),
        (true, true, 3, "$52.8300"),
        (false, false, 1, "$24.0100"),
    ] {
        let used = Usage {
            fast,
            us_only,
            web_search_requests: searches,
            ..million
        };
        let found = dollars("claude-opus-5-5", "claude-opus-5-5", 100, day, &used);
        assert_eq!(found.as_deref(), Some(want), "{used:?}");
    }
    // Nobody says what a search costs there.
    let searched = Usage {
        web_search_requests: 1,
        ..million
    };
    assert_eq!(dollars("glm-5", "glm-5", 100, day, &searched), None);
    assert_eq!(
        dollars("glm-5", "glm-5", 100, day, &million).as_deref(),
        Some("$4.2000")
    );
}

#[test]
fn a_price_counts_from_its_day_on() {
    let prices = prices();
    let long = usage(300_000, 0, 0, 0, 0);
    for (day, want) in [
        ("2026-03-12", "$3.0000"),
        ("2026-03-13", "$1.5000"),
        ("2026-11-23", "$1.5000"),
    ] {
        let day = Day::parse(day).unwrap();
        let tariff = prices.of(&seller(100), "claude-opus-4-6", "claude-opus-4-6", day);
        assert_eq!(
            tariff.unwrap().cost(&long).unwrap().to_string(),
            want,
            "{day}"
        );
    }
    let later = list(r#"{"since": "2026-12-01", "input": 1, "output": 1}"#).unwrap();
    assert!(tariff(&later, "m").is_none());
    assert_eq!(later.list()[0].price.since.to_string(), "2026-12-01");
    for wrong in ["2026-13-01", "soon", "1969-12-31"] {
        let fault = list(&format!(
            r#"{{"since": "{wrong}", "input": 1, "output": 1}}"#
        ));
        let said = "since of m is no date such as 2026-11-22";
        assert_eq!(fault.unwrap_err().to_string(), said);
    }
}

fn list(price: &str) -> Result<Prices, PriceFault> {
    Prices::read(&format!(
        r#"{{"as_of":"","source":"","models":{{"m":{price}}}}}"#
    ))
}

#[test]
fn the_price_of_a_provider_comes_first() {
    let text = |providers: &str| {
        format!(
            r#"{{"as_of":"","source":"","models":{{"m":{{"input":1,"output":1}}}},"providers":{providers}}}"#
        )
    };
    let one = usage(1_000_000, 0, 0, 0, 0);
    for (providers, want) in [
        ("{}", "$1.0000"),
        (r#"{"other":{"m":{"input":2,"output":1}}}"#, "$1.0000"),
        (r#"{"anthropic":{"m":{"input":2,"output":1}}}"#, "$2.0000"),
        (
            r#"{"anthropic":{"m":{"input":2,"output":1}},"mine":{"m":{"input":3,"output":1}}}"#,
            "$3.0000",
        ),
        (r#"{"mine":{"other":{"input":3,"output":1}}}"#, "$1.0000"),
    ] {
        let prices = Prices::read(&text(providers)).unwrap();
        assert_eq!(
            cost(&prices, "m", &one).unwrap().to_string(),
            want,
            "{providers}"
        );
    }
}

proptest! {
    /// More of anything never costs less, whatever the size.
    #[test]
    fn cost_is_monotone_and_never_overflows(a in any::<[u64; 5]>(), more in 0_usize..5, model in any::<prop::sample::Index>()) {
        let prices = prices();
        let names: Vec<_> = prices.names().collect();
        let tariff = tariff(&prices, names[model.index(names.len())]).unwrap();
        let of = |n: [u64; 5]| Usage {
            input_tokens: Some(n[0]),
            cache_read_input_tokens: Some(n[1]),
            cache_creation_input_tokens: Some(n[2].saturating_add(n[3])),
            cache_write_5m_tokens: Some(n[2]),
            cache_write_1h_tokens: Some(n[3]),
            output_tokens: Some(n[4]),
            ..Usage::default()
        };
        let mut b = a;
        b[more] = b[more].saturating_add(1_000);
        prop_assert!(tariff.cost(&of(a)) <= tariff.cost(&of(b)));
        prop_assert!(tariff.move_cost(a[0], false) <= tariff.move_cost(a[0], true));
    }
}
