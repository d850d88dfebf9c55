//! Routing and health: how requests find an upstream, and when one is left alone.
//!
//! In: their raw form and the providers. Out: their plans, with warnings of settings that cost
//! money or do nothing. It must never name a provider that is not in the file.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Check, millis, size, small};
use crate::plan::{
    AffinityMode, AffinityPlan, BreakerPlan, HealthCheckPlan, HealthPlan, KeyPlan, ProviderPlan,
    RoutingPlan, StrategyPlan, TriggerPlan,
};
use crate::raw;

impl Check<'_, '_> {
    pub(super) fn routing(&mut self, raw: raw::Routing, providers: &[ProviderPlan]) -> RoutingPlan {
        let base = RoutingPlan::default();
        let strategy = raw.strategy.map_or(base.strategy, strategy);
        let failover_timeout = self.failover_timeout(&raw, base.failover_timeout);
        if let Some(name) = &raw.default_provider {
            self.known_provider(name, "routing.default_provider", providers);
        }
        let older = if strategy == StrategyPlan::Model && raw.models.is_empty() {
            self.older_rules(&raw.model_mapping, providers)
        } else {
            self.older_mapping(&raw.model_mapping, providers);
            None
        };
        let (models, model_mapping) = match older {
            Some(rules) => (rules, Vec::new()),
            None => (
                self.rules(raw.models, providers),
                self.mapping(raw.model_mapping, "routing.model_mapping"),
            ),
        };
        let plan = RoutingPlan {
            strategy,
            failover_timeout,
            max_attempts: raw.max_attempts.map_or(base.max_attempts, small),
            race: raw.race.map_or(base.race, small),
            retry_budget_percent: raw
                .retry_budget_percent
                .map_or(base.retry_budget_percent, small),
            commit_hold: millis(raw.commit_hold_ms, base.commit_hold),
            triggers: triggers(&raw.fail_over_on),
            max_wait: millis(raw.max_wait_ms, base.max_wait),
            max_waiting: raw.max_waiting.map_or(base.max_waiting, size),
            spill: raw.spill.unwrap_or(base.spill),
            strip_foreign_thinking: raw
                .strip_foreign_thinking
                .unwrap_or(base.strip_foreign_thinking),
            keep_model_alias: raw.keep_model_alias.unwrap_or(base.keep_model_alias),
            model_lists: raw.model_lists.unwrap_or(base.model_lists),
            debug: raw.debug.unwrap_or(base.debug),
            default_provider: raw.default_provider,
            model_mapping,
            models,
            affinity: affinity(&raw.affinity),
        };
        self.rules_and_strategy(&plan);
        self.attempts(&plan, providers);
        self.order(plan.strategy, providers);
        plan
    }

    /// Reads the bound under either name; 0 is no bound.
    fn failover_timeout(&mut self, raw: &raw::Routing, base: Option<Duration>) -> Option<Duration> {
        if raw.failover_timeout.is_some() && raw.failover_timeout_ms.is_some() {
            let message = "`failover_timeout` and `failover_timeout_ms` are one setting".to_owned();
            let help = "keep `failover_timeout_ms`";
            let path = "routing.failover_timeout";
            self.fault(path, "config::conflict", message, "set twice", help);
        }
        match raw.failover_timeout_ms.or(raw.failover_timeout) {
            None => base,
            Some(0) => None,
            Some(written) => Some(Duration::from_millis(written)),
        }
    }

    fn rules_and_strategy(&mut self, plan: &RoutingPlan) {
        let by_model = plan.strategy == StrategyPlan::Model;
        if by_model && plan.models.is_empty() && !self.faulty("routing.models") {
            let message = "the strategy `model` needs rules in `routing.models`".to_owned();
            let help = "such as `models: [{match: \"claude-opus-*\", providers: [anthropic]}]`";
            let path = "routing.strategy";
            self.fault(path, "config::missing_key", message, "without rules", help);
        } else if !by_model && !plan.models.is_empty() {
            let shown = plan.strategy.as_str();
            let message = format!("`routing.models` has no effect: the strategy is {shown}");
            self.warn(message, "choose `strategy: model`, or remove the rules");
        }
    }

    /// Looks at how often a request is sent, and to how many.
    fn attempts(&mut self, plan: &RoutingPlan, providers: &[ProviderPlan]) {
        if plan.race > plan.max_attempts {
            let message = "`race` is more than `max_attempts`".to_owned();
            let help = "raise `max_attempts`: every racer is an attempt";
            let label = "more at once than in all";
            self.fault("routing.race", "config::conflict", message, label, help);
        } else if plan.race > 1 {
            let message = format!("every request is sent, and paid for, {} times", plan.race);
            self.warn(message, "set `routing.race: 1` unless speed is worth it");
        }
        let enabled = providers.iter().filter(|provider| provider.enabled).count();
        if enabled > 1 && plan.triggers == NOTHING {
            let message = "nothing makes a request go on to another provider".to_owned();
            self.warn(message, "set one of `routing.fail_over_on` to true");
        }
    }

    /// Warns of weights and priorities that order no providers, though they may be meant to.
    fn order(&mut self, strategy: StrategyPlan, providers: &[ProviderPlan]) {
        let weighted = providers.iter().any(|provider| provider.weight != 1);
        if weighted && strategy != StrategyPlan::WeightedRoundRobin {
            let shown = strategy.as_str();
            let message = format!("the weights of providers have no effect: {shown}");
            let fix = "choose `routing.strategy: weighted_round_robin`, or remove them";
            self.warn(message, fix);
        }
        // In older files a provider had the weight and the priority of its first key.
        let first = |of: fn(&KeyPlan) -> i64| {
            let keys = providers
                .iter()
                .filter_map(|provider| provider.keys.first());
            keys.map(of).collect::<BTreeSet<_>>()
        };
        let ranked = providers.iter().any(|provider| provider.priority != 0);
        let of_keys = if strategy == StrategyPlan::WeightedRoundRobin && !weighted {
            first(|key| key.weight.into())
        } else if strategy == StrategyPlan::Failover && !ranked {
            first(|key| key.priority.into())
        } else {
            BTreeSet::new()
        };
        if of_keys.len() > 1 {
            let message = "weights and priorities of keys do not order providers".to_owned();
            self.warn(
                message,
                "write `weight` or `priority` beside `name` and `type`",
            );
        }
    }

    pub(super) fn health(&mut self, raw: &raw::Health) -> HealthPlan {
        let base = HealthPlan::default();
        let (check, breaker) = (&raw.health_check, &raw.circuit_breaker);
        let interval = millis(check.interval_ms, base.check.interval);
        let timeout = millis(check.timeout_ms, base.check.timeout.min(interval));
        if timeout > interval {
            let message = "`timeout_ms` is more than `interval_ms`".to_owned();
            let help = "a check must end before the next begins";
            let path = "health.health_check.timeout_ms";
            self.fault(path, "config::conflict", message, "too long", help);
        }
        HealthPlan {
            check: HealthCheckPlan {
                enabled: check.enabled.unwrap_or(base.check.enabled),
                interval,
                timeout,
            },
            breaker: circuit_breaker(breaker, &base.breaker),
        }
    }
}

/// Every trigger off.
const NOTHING: TriggerPlan = TriggerPlan {
    rate_limited: false,
    overloaded: false,
    server_error: false,
    timeout: false,
    connection: false,
    auth: false,
    model_not_found: false,
};

fn circuit_breaker(raw: &raw::CircuitBreaker, base: &BreakerPlan) -> BreakerPlan {
    BreakerPlan {
        failure_threshold: raw.failure_threshold.map_or(base.failure_threshold, small),
        failure_rate_percent: raw
            .failure_rate_percent
            .map_or(base.failure_rate_percent, small),
        window: millis(raw.window_ms, base.window),
        min_requests: raw.min_requests.map_or(base.min_requests, small),
        open_duration: millis(raw.open_duration_ms, base.open_duration),
        half_open_probes: raw.half_open_probes.map_or(base.half_open_probes, small),
    }
}

fn triggers(raw: &raw::FailOverOn) -> TriggerPlan {
    let base = TriggerPlan::default();
    TriggerPlan {
        rate_limited: raw.rate_limited.unwrap_or(base.rate_limited),
        overloaded: raw.overloaded.unwrap_or(base.overloaded),
        server_error: raw.server_error.unwrap_or(base.server_error),
        timeout: raw.timeout.unwrap_or(base.timeout),
        connection: raw.connection.unwrap_or(base.connection),
        auth: raw.auth.unwrap_or(base.auth),
        model_not_found: raw.model_not_found.unwrap_or(base.model_not_found),
    }
}

fn affinity(raw: &raw::Affinity) -> AffinityPlan {
    let base = AffinityPlan::default();
    AffinityPlan {
        mode: match raw.enabled {
            None | Some(raw::Wish::Auto) => base.mode,
            Some(raw::Wish::True) => AffinityMode::On,
            Some(raw::Wish::False) => AffinityMode::Off,
        },
        max_sessions: raw.max_sessions.map_or(base.max_sessions, size),
    }
}

fn strategy(raw: raw::Strategy) -> StrategyPlan {
    match raw {
        raw::Strategy::Failover | raw::Strategy::WeightedFailover => StrategyPlan::Failover,
        raw::Strategy::RoundRobin => StrategyPlan::RoundRobin,
        raw::Strategy::WeightedRoundRobin | raw::Strategy::Weighted => {
            StrategyPlan::WeightedRoundRobin
        }
        raw::Strategy::Shuffle | raw::Strategy::SimpleShuffle => StrategyPlan::Shuffle,
        raw::Strategy::LeastLoaded | raw::Strategy::LeastBusy => StrategyPlan::LeastLoaded,
        raw::Strategy::Model | raw::Strategy::ModelBased => StrategyPlan::Model,
        raw::Strategy::Cost | raw::Strategy::CostBased => StrategyPlan::Cost,
        raw::Strategy::Latency | raw::Strategy::LatencyBased => StrategyPlan::Latency,
    }
}
