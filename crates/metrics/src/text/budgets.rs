//! How the budgets stand, each by its name alone.
//!
//! In: the state of everything. Out: metrics. It must never name a subject: sessions are many.

use std::fmt;

use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use relay_core::spend::Standing;

use super::{Pen, Row, float};
use crate::scene::Scene;

impl Pen<'_> {
    pub(super) fn budgets(&mut self, scene: &Scene) -> fmt::Result {
        let each = |of: fn(&Standing) -> f64| -> Vec<Row<'_>> {
            let row = |it| (vec![("budget", name(it))], of(it));
            scene.budgets.iter().map(row).collect()
        };
        let rows = each(|it| float(it.most_ppm) / 1e6);
        let help = "What is spent of a budget by whom has spent most, 1 for all of it";
        self.gauges("budget_used", help, Some(&Unit::Ratios), &rows)?;
        let rows = each(|it| float(u64::try_from(it.exhausted).unwrap_or(u64::MAX)));
        let help = "Those who have spent all of a budget";
        self.gauges("budget_spent_subjects", help, None, &rows)?;
        let rows = each(|it| float(it.warnings));
        let help = "Times that somebody came near the end of a budget";
        self.rows("budget_warnings", help, None, MetricType::Counter, &rows)?;
        let rows = each(|it| float(it.refusals));
        let help = "Requests refused because a budget is spent";
        self.rows("budget_refusals", help, None, MetricType::Counter, &rows)
    }
}

fn name(standing: &Standing) -> &str {
    &standing.budget.name
}
