//! `budgets` written back.

use relay_core::price::Money;
use relay_core::spend::{Budget, Limit};

use super::Page;

impl Page {
    pub(super) fn budgets(&mut self, budgets: &[Budget]) {
        if !budgets.is_empty() {
            self.raw(0, "budgets:");
        }
        for budget in budgets {
            self.text(1, "- name", &budget.name);
            self.set(2, "per", budget.per.name());
            if let Some(only) = &budget.only {
                self.text(2, "only", only);
            }
            match budget.limit {
                Limit::Money(money) => self.text(2, "usd", &dollars(money)),
                Limit::Tokens(tokens) => self.set(2, "tokens", tokens),
            }
            self.set(2, "period", budget.period.name());
            self.set(2, "warn_percent", budget.warn_percent);
        }
    }
}

/// Returns dollars to the cent, or to the millionth where there are such.
fn dollars(money: Money) -> String {
    let millionths = money.as_nano_dollars() / 1_000;
    let (whole, part) = (millionths / 1_000_000, millionths % 1_000_000);
    if part.is_multiple_of(10_000) {
        format!("{whole}.{:02}", part / 10_000)
    } else {
        format!("{whole}.{part:06}")
    }
}
