//! Budgets in a file: what they mean, and what is wrong with those that mean nothing.

use std::collections::HashMap;

use relay_config::{Faults, Format, Plan, diff, parse, show};
use relay_core::price::Money;
use relay_core::spend::{Limit, Per, Period};

fn read(text: &str) -> Result<Plan, Faults> {
    parse("c", text, Format::Yaml, &HashMap::new())
}

#[test]
fn a_budget_has_its_defaults_and_switches_the_history_on() {
    let plan = read("budgets: [{name: all, usd: '25.5'}]").unwrap();
    let budget = &plan.budgets[0];
    assert_eq!((budget.per, budget.period), (Per::All, Period::Month));
    let limit = Limit::Money(Money::nano_dollars(25_500_000_000));
    assert_eq!((budget.limit, budget.warn_percent), (limit, 80));
    assert!(plan.history.enabled);
    assert!(!read("budgets: []").unwrap().history.enabled);
    assert!(show(&plan).contains("usd: \"25.50\""));
}

#[test]
fn a_change_is_named_by_the_budget() {
    let [before, after] =
        ["5", "6"].map(|usd| read(&format!("budgets: [{{name: a, usd: '{usd}'}}]")).unwrap());
    let changes = diff(&before, &after);
    let paths: Vec<_> = changes.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["budgets[a].usd"]);
}

/// A budget, and which fault it has at which key.
const FAULTS: &[(&str, &str, &str)] = &[
    ("{usd: '5'}", "config::missing_key", "name"),
    ("{name: 'a b', usd: '5'}", "config::bad_name", "name"),
    ("{name: a}", "config::missing_key", "usd"),
    (
        "{name: a, usd: '5', tokens: 5}",
        "config::conflict",
        "tokens",
    ),
    ("{name: a, usd: 5}", "config::wrong_type", "usd"),
    ("{name: a, usd: 5.5}", "config::wrong_type", "usd"),
    ("{name: a, usd: '5 EUR'}", "config::bad_value", "usd"),
    ("{name: a, usd: '0'}", "config::bad_value", "usd"),
    ("{name: a, tokens: 0}", "config::out_of_range", "tokens"),
    (
        "{name: a, tokens: 5, per: user}",
        "config::unknown_value",
        "per",
    ),
    (
        "{name: a, tokens: 5, period: year}",
        "config::unknown_value",
        "period",
    ),
    (
        "{name: a, tokens: 5, warn_percent: 101}",
        "config::out_of_range",
        "warn_percent",
    ),
    (
        "{name: a, tokens: 5, only: ana}",
        "config::conflict",
        "only",
    ),
    (
        "{name: a, tokens: 5, per: session, only: x}",
        "config::conflict",
        "only",
    ),
    (
        "{name: a, tokens: 5, per: client_key, only: anna}",
        "config::unknown_client",
        "only",
    ),
    (
        "{name: a, tokens: 5, per: provider, only: ana}",
        "config::unknown_provider",
        "only",
    ),
];

#[test]
fn what_cannot_be_meant_is_told_with_its_place() {
    let keys = "server: {auth: {keys: [{name: ana, key: client-ana-0123456789}]}}";
    for &(budget, code, key) in FAULTS {
        let faults = read(&format!("{keys}\nbudgets: [{budget}]")).unwrap_err();
        let found: Vec<_> = faults
            .iter()
            .map(|fault| (fault.code, fault.path.as_str()))
            .collect();
        assert_eq!(
            found,
            [(code, format!("budgets[0].{key}").as_str())],
            "{budget}"
        );
    }
    for budget in [
        "{name: a, tokens: 5, per: client_key, only: ana}",
        "{name: a, tokens: 5, per: provider, only: anthropic}",
    ] {
        read(&format!("{keys}\nbudgets: [{budget}]")).unwrap();
    }
}

#[test]
fn a_budget_needs_a_history_that_lasts() {
    let of = |history: &str, budgets: &str| {
        let faults = read(&format!("history: {history}\nbudgets: [{budgets}]")).err();
        let faults = faults.iter().flat_map(|faults| faults.iter());
        let found = faults.map(|fault| (fault.code, fault.path.clone()));
        found.collect::<Vec<_>>()
    };
    let month = "{name: a, tokens: 5}";
    let off = [("config::conflict", "history.enabled".to_owned())];
    assert_eq!(of("{enabled: false}", month), off);
    let short = [("config::conflict", "budgets[0].period".to_owned())];
    assert_eq!(of("{max_days: 30}", month), short);
    assert_eq!(of("{max_days: 31}", month), []);
    assert_eq!(of("{max_days: 1}", "{name: a, tokens: 5, period: day}"), []);
    let twice = [("config::duplicate_name", "budgets[1].name".to_owned())];
    assert_eq!(of("{}", &format!("{month}, {month}")), twice);
}
