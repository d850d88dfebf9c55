//! Routing, pools and health: what the words of a file mean, what is refused, what is warned of.

use std::collections::HashMap;
use std::time::Duration;

use relay_config::{
    AffinityMode, Faults, Format, LimitsPlan, ModelRule, Plan, SelectionPlan, StrategyPlan, parse,
};

fn read(text: &str) -> Result<Plan, Faults> {
    let env: HashMap<String, String> = [("K1", "secret-one"), ("K2", "secret-two"), ("N", "b")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    parse("config.yaml", text, Format::Yaml, &env)
}

/// Two providers, `a` and `b`, and a routing section.
fn routing(lines: &str) -> String {
    format!(
        "providers: [{{name: a, type: anthropic}}, {{name: b, type: anthropic}}]\nrouting: {lines}\n"
    )
}

/// One provider with lines of its own.
fn provider(lines: &str) -> String {
    format!("providers: [{{name: a, type: anthropic, {lines}}}]")
}

/// Two providers that differ in weight and priority by their first keys alone.
fn older(strategy: &str) -> String {
    format!(
        "routing: {{strategy: {strategy}}}\nproviders:\n\
         - {{name: a, type: anthropic, keys: [{{key: '${{K1}}', weight: 3, priority: 2}}]}}\n\
         - {{name: b, type: anthropic, keys: [{{key: '${{K2}}'}}]}}\n"
    )
}

fn warned(plan: &Plan) -> Vec<&str> {
    plan.warnings
        .iter()
        .map(|warning| warning.message.as_str())
        .collect()
}

#[test]
fn every_name_of_a_strategy_is_one_of_eight() {
    use StrategyPlan::{
        Cost, Failover, Latency, LeastLoaded, Model, RoundRobin, Shuffle, WeightedRoundRobin,
    };
    let table = [
        ("failover", Failover),
        ("weighted_failover", Failover),
        ("round_robin", RoundRobin),
        ("weighted_round_robin", WeightedRoundRobin),
        ("weighted", WeightedRoundRobin),
        ("shuffle", Shuffle),
        ("simple_shuffle", Shuffle),
        ("least_loaded", LeastLoaded),
        ("least_busy", LeastLoaded),
        ("model", Model),
        ("model_based", Model),
        ("cost", Cost),
        ("cost_based", Cost),
        ("latency", Latency),
        ("latency_based", Latency),
    ];
    for (word, want) in table {
        let lines = format!("{{strategy: {word}, models: [{{match: x, providers: [a]}}]}}");
        let plan = read(&routing(&lines)).unwrap();
        assert_eq!(plan.routing.strategy, want, "{word}");
        let shown = relay_config::show(&plan);
        assert!(
            shown.contains(&format!("  strategy: {}\n", want.as_str())),
            "{shown}"
        );
    }
}

/// `ALL` is what commands and the management API offer; the compiler does not ask for it.
#[test]
fn every_strategy_of_a_file_is_offered_and_told_of() {
    let schema = relay_config::schema();
    let names = schema["$defs"]["Strategy"]["enum"].as_array().unwrap();
    let names: Vec<&str> = names.iter().map(|it| it.as_str().unwrap()).collect();
    assert!(names.len() > 8, "the schema was not read: {names:?}");
    let page = include_str!("../../../docs/routing.md");
    for name in names {
        let lines = format!("{{strategy: {name}, models: [{{match: x, providers: [a]}}]}}");
        let strategy = read(&routing(&lines)).unwrap().routing.strategy;
        assert!(
            StrategyPlan::ALL.contains(&strategy),
            "{name} is not in ALL"
        );
        assert!(
            page.contains(&format!("`{name}`")),
            "docs/routing.md: {name}"
        );
    }
}

#[test]
fn the_failover_timeout_has_two_names_and_units() {
    let table = [
        ("{}", Some(180_000)),
        ("{failover_timeout_ms: 5000}", Some(5000)),
        ("{failover_timeout_ms: 0}", None),
        ("{failover_timeout: 5000}", Some(5000)),
        ("{failover_timeout: 5s}", Some(5000)),
        ("{failover_timeout: '1m30s'}", Some(90_000)),
        ("{failover_timeout: 0s}", None),
    ];
    for (lines, want) in table {
        let plan = read(&routing(lines)).unwrap();
        let want = want.map(Duration::from_millis);
        assert_eq!(plan.routing.failover_timeout, want, "{lines}");
    }
}

#[test]
fn names_count_before_patterns_and_long_patterns_before_short() {
    let lines = "{model_mapping: {'*': z, 'a*': y, 'abc*': x, q: w, b: v}, strategy: model, \
                 models: [{match: '*', providers: [a]}, {match: 'm-*', providers: [b, a]}, \
                 {match: m, providers: [b]}]}";
    let plan = read(&routing(lines)).unwrap().routing;
    let order: Vec<_> = plan
        .model_mapping
        .iter()
        .map(|(from, _)| from.as_str())
        .collect();
    assert_eq!(order, ["b", "q", "abc*", "a*", "*"]);
    let rule = |pattern: &str, providers: &[&str]| ModelRule {
        pattern: pattern.to_owned(),
        providers: providers.iter().map(|&name| name.to_owned()).collect(),
    };
    let want = [
        rule("m", &["b"]),
        rule("m-*", &["b", "a"]),
        rule("*", &["a"]),
    ];
    assert_eq!(plan.models, want);
}

#[test]
fn an_older_mapping_of_models_to_providers_becomes_rules() {
    let plan = read(&routing(
        "{strategy: model_based, model_mapping: {claude: a, claude-opus: b}, default_provider: a}",
    ))
    .unwrap();
    let rules: Vec<_> = plan
        .routing
        .models
        .iter()
        .map(|rule| (rule.pattern.as_str(), rule.providers.join(",")))
        .collect();
    let want = [
        ("claude-opus*", "b".to_owned()),
        ("claude*", "a".to_owned()),
    ];
    assert_eq!(rules, want);
    assert_eq!(plan.routing.model_mapping, []);
    assert!(warned(&plan)[0].contains("as in older files"));
    // Beside rules, or under another strategy, it is a mapping of names.
    let beside = "{strategy: model, model_mapping: {x: a}, models: [{match: x, providers: [a]}]}";
    for lines in [beside, "{model_mapping: {x: a}}"] {
        let plan = read(&routing(lines)).unwrap();
        assert_eq!(plan.routing.model_mapping.len(), 1);
        assert!(warned(&plan)[0].contains("a provider's name as a model's"));
    }
}

#[test]
fn affinity_is_auto_true_or_false() {
    let table = [
        ("{}", AffinityMode::Auto),
        ("{enabled: auto}", AffinityMode::Auto),
        ("{enabled: true}", AffinityMode::On),
        ("{enabled: false}", AffinityMode::Off),
        ("{enabled: 'false'}", AffinityMode::Off),
    ];
    for (lines, want) in table {
        let plan = read(&routing(&format!("{{affinity: {lines}}}"))).unwrap();
        assert_eq!(plan.routing.affinity.mode, want, "{lines}");
    }
    // An editor takes the words without quotes too.
    let words = serde_json::json!(["auto", true, false]);
    assert_eq!(relay_config::schema()["$defs"]["Wish"]["enum"], words);
}

#[test]
fn keys_have_limits_weights_and_priorities() {
    let keys = "pooling: {strategy: random}, keys: [{key: '${K1}', rpm_limit: 1, tpm_limit: 5, \
                itpm_limit: 3, otpm_limit: 4, weight: 7, priority: -2}, {key: '${K2}'}]";
    let plan = read(&provider(keys)).unwrap();
    let provider = &plan.providers[0];
    assert_eq!(provider.pooling.strategy, Some(SelectionPlan::Random));
    let [first, second] = provider.keys.as_slice() else {
        panic!("two keys")
    };
    let limits = LimitsPlan {
        rpm: Some(1),
        tpm: Some(5),
        itpm: Some(3),
        otpm: Some(4),
    };
    assert_eq!(
        (first.limits, first.weight, first.priority),
        (limits, 7, -2)
    );
    let none = LimitsPlan::default();
    assert_eq!(
        (second.limits, second.weight, second.priority),
        (none, 1, 0)
    );
    assert_eq!(second.name, "k2");
}

#[test]
fn a_file_of_the_go_program_loads() {
    let text = "
server: {listen: 127.0.0.1:8787, timeout_ms: 600000}
routing: {strategy: failover, failover_timeout: 5000, debug: true}
providers:
  - name: anthropic-primary
    type: anthropic
    enabled: true
    pooling: {enabled: true, strategy: least_loaded}
    keys:
      - {key: '${K1}', rpm_limit: 50, itpm_limit: 30000, otpm_limit: 30000, priority: 2, weight: 3}
      - {key: '${K2}', rpm_limit: 50, tpm_limit: 30000, priority: 1, weight: 1}
logging: {level: info, format: json}
health:
  health_check: {enabled: true, interval_ms: 10000}
  circuit_breaker: {failure_threshold: 5, open_duration_ms: 30000, half_open_probes: 3}
";
    let plan = read(text).unwrap();
    assert_eq!(plan.health.check.interval, Duration::from_secs(10));
    assert_eq!(plan.health.breaker.half_open_probes, 3);
    assert!(plan.routing.debug);
    assert_eq!(plan.providers[0].keys[1].limits.tpm, Some(30_000));
}

/// Text, code, column on its line, path. The line is 2, that of the routing section.
const ROUTING: &[(&str, &str, usize, &str)] = &[
    (
        "{strategy: fastest}",
        "config::unknown_value",
        21,
        "routing.strategy",
    ),
    (
        "{strategy: model}",
        "config::missing_key",
        21,
        "routing.strategy",
    ),
    (
        "{strategy: model, model_mapping: {x: y}}",
        "config::missing_key",
        21,
        "routing.strategy",
    ),
    (
        "{strategy: model_based, model_mapping: {x: a, y: bb}}",
        "config::unknown_provider",
        59,
        "routing.model_mapping.y",
    ),
    (
        "{default_provider: aa}",
        "config::unknown_provider",
        29,
        "routing.default_provider",
    ),
    (
        "{strategy: model, models: [{match: x, providers: [c]}]}",
        "config::unknown_provider",
        60,
        "routing.models[0].providers[0]",
    ),
    (
        "{strategy: model, models: [{match: x, providers: []}]}",
        "config::missing_key",
        59,
        "routing.models[0].providers",
    ),
    (
        "{strategy: model, models: [{match: x}]}",
        "config::missing_key",
        38,
        "routing.models[0].providers",
    ),
    (
        "{strategy: model, models: [{providers: [a]}]}",
        "config::missing_key",
        38,
        "routing.models[0].match",
    ),
    (
        "{strategy: model, models: [{match: 'x*y*', providers: [a]}]}",
        "config::bad_pattern",
        45,
        "routing.models[0].match",
    ),
    (
        "{models: [{match: x, providers: [a]}, {match: x, providers: [b]}]}",
        "config::conflict",
        56,
        "routing.models[1].match",
    ),
    (
        "{models: [a]}",
        "config::wrong_type",
        20,
        "routing.models[0]",
    ),
    (
        "{model_mapping: {'*x*': y}}",
        "config::bad_pattern",
        27,
        "routing.model_mapping.*x*",
    ),
    (
        "{model_mapping: {x: ''}}",
        "config::empty",
        30,
        "routing.model_mapping.x",
    ),
    (
        "{commit_hold_ms: 60001}",
        "config::out_of_range",
        27,
        "routing.commit_hold_ms",
    ),
    (
        "{commit_hold_ms: 1s}",
        "config::wrong_type",
        27,
        "routing.commit_hold_ms",
    ),
    (
        "{failover_timeout: 5 s}",
        "config::wrong_type",
        29,
        "routing.failover_timeout",
    ),
    (
        "{failover_timeout: 1.5}",
        "config::wrong_type",
        29,
        "routing.failover_timeout",
    ),
    (
        "{failover_timeout: 25h}",
        "config::out_of_range",
        29,
        "routing.failover_timeout",
    ),
    (
        "{failover_timeout: 5s, failover_timeout_ms: 5000}",
        "config::conflict",
        29,
        "routing.failover_timeout",
    ),
    (
        "{max_attempts: 0}",
        "config::out_of_range",
        25,
        "routing.max_attempts",
    ),
    ("{race: 5}", "config::out_of_range", 17, "routing.race"),
    (
        "{race: 2, max_attempts: 1}",
        "config::conflict",
        17,
        "routing.race",
    ),
    ("{race: 4}", "config::conflict", 17, "routing.race"),
    (
        "{retry_budget_percent: 101}",
        "config::out_of_range",
        33,
        "routing.retry_budget_percent",
    ),
    (
        "{fail_over_on: {rate_limited: on}}",
        "config::wrong_type",
        40,
        "routing.fail_over_on.rate_limited",
    ),
    (
        "{fail_over_on: [timeout]}",
        "config::wrong_type",
        25,
        "routing.fail_over_on",
    ),
    (
        "{affinity: {enabled: maybe}}",
        "config::unknown_value",
        31,
        "routing.affinity.enabled",
    ),
    (
        "{affinity: {enabled: 1}}",
        "config::wrong_type",
        31,
        "routing.affinity.enabled",
    ),
    (
        "{affinity: true}",
        "config::wrong_type",
        21,
        "routing.affinity",
    ),
    (
        "{stategy: failover}",
        "config::unknown_key",
        11,
        "routing.stategy",
    ),
    (
        "{}\nhealth: {health_check: {interval_ms: 999}}",
        "config::out_of_range",
        38,
        "health.health_check.interval_ms",
    ),
    (
        "{}\nhealth: {health_check: {interval_ms: 1000, timeout_ms: 1001}}",
        "config::conflict",
        56,
        "health.health_check.timeout_ms",
    ),
    (
        "{}\nhealth: {circuit_breaker: {failure_rate_percent: 0}}",
        "config::out_of_range",
        50,
        "health.circuit_breaker.failure_rate_percent",
    ),
];

#[test]
fn each_fault_of_routing_and_health_at_its_place() {
    for (lines, code, column, path) in ROUTING.iter().copied() {
        let faults = read(&routing(lines)).unwrap_err();
        let found: Vec<_> = faults
            .iter()
            .map(|fault| (fault.code, fault.column, fault.path.as_str()))
            .collect();
        assert_eq!(found, [(code, column, path)], "{lines}\n{faults}");
        let fault = faults.iter().next().unwrap();
        let line = if lines.contains('\n') { 3 } else { 2 };
        assert_eq!(fault.line, line, "{faults}");
        assert!(
            !fault.help.is_empty() && !fault.label.is_empty(),
            "{faults}"
        );
    }
}

#[test]
fn near_names_of_providers_are_proposed_and_those_of_variables_are_not() {
    let file = |name: &str, asked: &str| {
        format!(
            "providers: [{{name: {name}, type: anthropic}}]\nrouting: {{default_provider: {asked}}}"
        )
    };
    let label = |text: &str| {
        let faults = read(text).unwrap_err();
        let fault = faults.iter().next().unwrap().clone();
        (fault.label, fault.help)
    };
    let (said, help) = label(&file("anthropic", "antropic"));
    assert_eq!(said, "did you mean `anthropic`?");
    assert_eq!(help, "one of: anthropic");
    let (said, help) = label(&file("'${K1}'", "secret-onn"));
    assert_eq!(said, "no provider has this name");
    assert!(!help.contains("secret-one"));
    let (said, _) = label(&file("anthropic", "'${K1}'"));
    assert_eq!(said, "no provider has this name");
    let (said, _) = label("routing: {default_provider: antropic}");
    assert_eq!(said, "did you mean `anthropic`?");
    read("routing: {default_provider: anthropic}").unwrap();
    read(&routing("{default_provider: '${N}'}")).unwrap();
}

#[test]
fn warns_of_what_costs_money_or_does_nothing() {
    let off = "rate_limited: false, overloaded: false, server_error: false, timeout: false, \
               connection: false, auth: false, model_not_found: false";
    let keys = "keys: [{key: '${K1}', weight: 2}, {key: '${K2}'}]";
    let table = [
        (routing("{race: 2}"), "paid for, 2 times"),
        (
            routing(&format!("{{fail_over_on: {{{off}}}}}")),
            "nothing makes a request go on",
        ),
        (
            routing("{models: [{match: x, providers: [a]}]}"),
            "`routing.models` has no effect: the strategy is failover",
        ),
        (
            "providers: [{name: a, type: anthropic, weight: 2}, {name: b, type: anthropic}]"
                .to_owned(),
            "the weights of providers have no effect",
        ),
        (
            provider("keys: [{key: '${K1}', tpm_limit: 10, itpm_limit: 11}]"),
            "`providers[0].keys[0].itpm_limit` is above `tpm_limit`",
        ),
        (
            provider("keys: [{key: '${K1}', tpm_limit: 10, otpm_limit: 11}]"),
            "`providers[0].keys[0].otpm_limit` is above `tpm_limit`",
        ),
        (
            provider(&format!("pooling: {{strategy: round_robin}}, {keys}")),
            "the weights of `providers[0].keys` have no effect",
        ),
        (
            provider(&format!("pooling: {{enabled: false}}, {keys}")),
            "of `providers[0].keys` only the first is used",
        ),
        (older("failover"), "do not order providers"),
        (older("weighted_round_robin"), "do not order providers"),
        (
            "providers: [{name: a, type: anthropic}, {name: b, type: anthropic, enabled: false}]\n\
             routing: {default_provider: b}"
                .to_owned(),
            "`routing.default_provider` names a provider that is not enabled",
        ),
    ];
    for (text, message) in table {
        let plan = read(&text).unwrap();
        let found = plan.warnings.iter().find(|w| w.message.contains(message));
        assert!(
            !found.unwrap().fix.is_empty(),
            "{text}: {:?}",
            plan.warnings
        );
    }
}

#[test]
fn a_sound_file_is_not_warned_of() {
    let sound = [
        routing("{strategy: weighted_round_robin}").replace("anthropic}", "anthropic, weight: 3}"),
        routing("{fail_over_on: {timeout: false}}"),
        older("shuffle"),
        older("failover").replace("name: a", "priority: 1, name: a"),
    ];
    let local = "any program on this machine can use the relay's keys";
    for text in sound {
        let plan = read(&text).unwrap();
        let mut found = warned(&plan);
        found.retain(|message| *message != local);
        assert_eq!(found, [""; 0], "{text}");
    }
}
