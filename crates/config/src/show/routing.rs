//! Routing, pooling and health, written back as YAML.
//!
//! In: their plans. Out: lines under the keys of the file, under the present names alone. An empty
//! list or mapping is left out, as in the file.

use super::{Page, ms, quoted};
use crate::plan::{HealthPlan, PoolingPlan, RoutingPlan, TriggerPlan};

impl Page {
    /// Writes texts as a list in one line.
    pub(super) fn list(&mut self, depth: usize, key: &str, items: &[String]) {
        if !items.is_empty() {
            let items: Vec<_> = items.iter().map(|item| quoted(item)).collect();
            self.set(depth, key, format_args!("[{}]", items.join(", ")));
        }
    }

    pub(super) fn mapping(&mut self, depth: usize, mapping: &[(String, String)]) {
        if !mapping.is_empty() {
            self.raw(depth, "model_mapping:");
        }
        for (from, to) in mapping {
            self.text(depth.saturating_add(1), &quoted(from), to);
        }
    }

    pub(super) fn pooling(&mut self, plan: PoolingPlan) {
        self.raw(2, "pooling:");
        self.set(3, "enabled", plan.enabled);
        if let Some(strategy) = plan.strategy {
            self.set(3, "strategy", strategy.as_str());
        }
    }

    pub(super) fn routing(&mut self, plan: &RoutingPlan) {
        self.raw(0, "routing:");
        self.set(1, "strategy", plan.strategy.as_str());
        let timeout = plan.failover_timeout.unwrap_or_default();
        self.set(1, "failover_timeout_ms", ms(timeout));
        self.set(1, "max_attempts", plan.max_attempts);
        self.set(1, "race", plan.race);
        self.set(1, "retry_budget_percent", plan.retry_budget_percent);
        self.set(1, "commit_hold_ms", ms(plan.commit_hold));
        self.triggers(plan.triggers);
        self.set(1, "max_wait_ms", ms(plan.max_wait));
        self.set(1, "max_waiting", plan.max_waiting);
        self.set(1, "spill", plan.spill);
        self.set(1, "strip_foreign_thinking", plan.strip_foreign_thinking);
        self.set(1, "keep_model_alias", plan.keep_model_alias);
        self.set(1, "model_lists", plan.model_lists);
        self.set(1, "debug", plan.debug);
        if let Some(name) = &plan.default_provider {
            self.text(1, "default_provider", name);
        }
        self.mapping(1, &plan.model_mapping);
        if !plan.models.is_empty() {
            self.raw(1, "models:");
        }
        for rule in &plan.models {
            self.text(2, "- match", &rule.pattern);
            self.list(3, "providers", &rule.providers);
        }
        self.raw(1, "affinity:");
        self.set(2, "enabled", plan.affinity.mode.as_str());
        self.set(2, "max_sessions", plan.affinity.max_sessions);
    }

    fn triggers(&mut self, plan: TriggerPlan) {
        self.raw(1, "fail_over_on:");
        self.set(2, "rate_limited", plan.rate_limited);
        self.set(2, "overloaded", plan.overloaded);
        self.set(2, "server_error", plan.server_error);
        self.set(2, "timeout", plan.timeout);
        self.set(2, "connection", plan.connection);
        self.set(2, "auth", plan.auth);
        self.set(2, "model_not_found", plan.model_not_found);
    }

    pub(super) fn health(&mut self, plan: &HealthPlan) {
        let (check, breaker) = (&plan.check, &plan.breaker);
        self.raw(0, "health:");
        self.raw(1, "health_check:");
        self.set(2, "enabled", check.enabled);
        self.set(2, "interval_ms", ms(check.interval));
        self.set(2, "timeout_ms", ms(check.timeout));
        self.raw(1, "circuit_breaker:");
        self.set(2, "failure_threshold", breaker.failure_threshold);
        self.set(2, "failure_rate_percent", breaker.failure_rate_percent);
        self.set(2, "window_ms", ms(breaker.window));
        self.set(2, "min_requests", breaker.min_requests);
        self.set(2, "open_duration_ms", ms(breaker.open_duration));
        self.set(2, "half_open_probes", breaker.half_open_probes);
    }
}
