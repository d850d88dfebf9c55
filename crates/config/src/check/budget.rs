//! Budgets: what may be spent in a period, by whom.
//!
//! In: their raw form, the clients, the providers and the history. Out: their plans. It must never
//! let a budget pass that nothing would be counted for, or that a restart would forget.

use std::collections::BTreeSet;

use relay_core::price::Money;
use relay_core::spend::{Budget, Limit, Per, Period};

use super::Check;
use crate::plan::Plan;
use crate::raw;
use crate::walk::nearest;

impl Check<'_, '_> {
    pub(super) fn budgets(&mut self, raw: Vec<raw::Budget>, plan: &Plan) -> Vec<Budget> {
        let mut names = BTreeSet::new();
        let mut budgets = Vec::new();
        for (index, raw) in raw.into_iter().enumerate() {
            let path = format!("budgets[{index}]");
            if let Some(budget) = self.budget(raw, &path, &mut names, plan) {
                self.kept_long_enough(&budget, &path, plan);
                budgets.push(budget);
            }
        }
        if !budgets.is_empty() && !plan.history.enabled && !self.faulty("history") {
            let message = "budgets need the history: a restart would forget what was spent";
            let help = "remove `history.enabled: false`, or the budgets";
            let at = ("history.enabled", "config::conflict");
            self.fault(at.0, at.1, message.to_owned(), "switched off", help);
        }
        budgets
    }

    fn budget(
        &mut self,
        raw: raw::Budget,
        path: &str,
        names: &mut BTreeSet<String>,
        plan: &Plan,
    ) -> Option<Budget> {
        let at = |key: &str| format!("{path}.{key}");
        let per = raw.per.map_or(Per::All, per);
        let limit = self.limit(raw.usd, raw.tokens, path);
        if let Some(only) = &raw.only {
            self.only(only, per, &at("only"), plan);
        }
        let help = "the name stands in logs and metrics";
        let name = self.needed(raw.name, &at("name"), help)?;
        let name = self.plain(name, &at("name"), "the name is a label of metrics")?;
        self.unique(names, &name, &at("name"), "budget");
        Some(Budget {
            name: name.into(),
            per,
            only: raw.only.map(Into::into),
            limit: limit?,
            period: raw.period.map_or(Period::Month, period),
            warn_percent: raw.warn_percent.unwrap_or(80),
        })
    }

    /// Reads how much may be spent: dollars or tokens, one of the two.
    fn limit(&mut self, usd: Option<String>, tokens: Option<u64>, path: &str) -> Option<Limit> {
        let (at_usd, at_tokens) = (format!("{path}.usd"), format!("{path}.tokens"));
        if self.faulty(&at_usd) || self.faulty(&at_tokens) {
            return None;
        }
        match (usd, tokens) {
            (Some(usd), None) => {
                let money = dollars(&usd);
                if money.is_none() {
                    let message = "`usd` must be dollars above 0 and up to 1000000000";
                    let help =
                        "such as \"25\" or \"0.50\": digits, and a point with up to six more";
                    let (code, label) = ("config::bad_value", "no amount of dollars");
                    self.fault(&at_usd, code, message.to_owned(), label, help);
                }
                money.map(Limit::Money)
            }
            (None, Some(tokens)) => Some(Limit::Tokens(tokens)),
            (Some(_), Some(_)) => {
                let message = "a budget is in dollars or in tokens, not in both".to_owned();
                let help = "keep `usd` or `tokens`; for both write two budgets";
                self.fault(&at_tokens, "config::conflict", message, "set too", help);
                None
            }
            (None, None) => {
                let message = "the budget has no limit: `usd` or `tokens` is missing".to_owned();
                let help = "such as `usd: \"25.00\"` or `tokens: 1000000`";
                let label = format!("`{path}` needs `usd` or `tokens`");
                self.fault(&at_usd, "config::missing_key", message, &label, help);
                None
            }
        }
    }

    /// Looks whether the one that a budget is for is there.
    fn only(&mut self, only: &str, per: Per, path: &str, plan: &Plan) {
        if self.faulty(path) {
            return;
        }
        match per {
            Per::Provider => self.known_provider(only, path, &plan.providers),
            Per::ClientKey if self.faulty("server") => {}
            Per::ClientKey => {
                let names = plan.server.auth.client_keys.iter().map(|key| &*key.name);
                let names: Vec<&str> = names.collect();
                if names.contains(&only) {
                    return;
                }
                let near = nearest(only, names.iter().copied()).filter(|_| !self.referenced(path));
                let label = near.map_or("no client key has this name".to_owned(), |near| {
                    format!("did you mean `{near}`?")
                });
                let help = "the name of one of `server.auth.keys`; `server.auth.api_key` is \
                            called default, and `bearer_secret` bearer";
                let message = format!("unknown client key {}", self.shown(only, path));
                self.fault(path, "config::unknown_client", message, &label, help);
            }
            Per::Session | Per::All => {
                let message = format!("`only` means nothing with `per: {}`", per.name());
                let help = "it names a client key or a provider; remove it, or set `per`";
                self.fault(path, "config::conflict", message, "names nobody", help);
            }
        }
    }

    /// Faults a budget whose beginning the history would have forgotten before its end.
    fn kept_long_enough(&mut self, budget: &Budget, path: &str, plan: &Plan) {
        let kept = plan.history.max_age.as_secs() / 86_400;
        let days = budget.period.most_days();
        if kept < days && !self.faulty("history") {
            let message = format!("the history keeps {kept} days, and the budget lasts {days}");
            let help = "raise `history.max_days`, or shorten `period`";
            let (path, label) = (format!("{path}.period"), "too long");
            self.fault(&path, "config::conflict", message, label, help);
        }
    }
}

fn per(raw: raw::Per) -> Per {
    match raw {
        raw::Per::ClientKey => Per::ClientKey,
        raw::Per::Session => Per::Session,
        raw::Per::Provider => Per::Provider,
        raw::Per::All => Per::All,
    }
}

fn period(raw: raw::Period) -> Period {
    match raw {
        raw::Period::Hour => Period::Hour,
        raw::Period::Day => Period::Day,
        raw::Period::Week => Period::Week,
        raw::Period::Month => Period::Month,
    }
}

/// Reads dollars with up to six places after the point.
fn dollars(text: &str) -> Option<Money> {
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 6 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let millionths: u64 = format!("{part:0<6}").parse().ok()?;
    let nano = whole.checked_mul(1_000_000_000)?;
    let nano = nano.checked_add(millionths.checked_mul(1_000)?)?;
    let bounds = 1..=1_000_000_000_000_000_000;
    bounds.contains(&nano).then_some(Money::nano_dollars(nano))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_without_a_float() {
        let table = [
            ("25", Some(25_000_000_000)),
            ("25.00", Some(25_000_000_000)),
            ("0.5", Some(500_000_000)),
            ("0.000001", Some(1_000)),
            ("1000000000", Some(1_000_000_000_000_000_000)),
            ("1000000000.01", None),
            ("0", None),
            ("", None),
            (".5", None),
            ("5.", None),
            ("-5", None),
            ("$5", None),
            ("1e3", None),
            ("0.0000001", None),
            ("99999999999999999999", None),
        ];
        for (text, nano) in table {
            assert_eq!(dollars(text), nano.map(Money::nano_dollars), "{text:?}");
        }
    }
}
