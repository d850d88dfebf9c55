//! What the budgets have to do with a request: at its beginning they may refuse it, at its end they
//! pay for it.
//!
//! In: a request that was read, or the record of one that ended. Out: a refusal, or nothing; and
//! lines in the log. It must never refuse what costs nothing.

use http::Method;
use relay_core::credential::Admission;
use relay_core::error::RelayError;
use relay_core::record::RequestRecord;
use relay_core::request::{Endpoint, Inbound, ModelName, SessionId};
use relay_core::snapshot::TargetId;
use relay_core::spend::{Exhausted, Notice, Spend, Spent};
use tracing::warn;

use crate::clock;

/// Refuses what the budgets of client key, session and all do not allow.
pub(crate) fn client(
    spend: &Spend,
    admission: &Admission,
    inbound: &Inbound,
) -> Result<(), RelayError> {
    if !may_cost(inbound) {
        return Ok(());
    }
    let session = inbound.facts.session.as_ref().map(SessionId::as_str);
    let admitted = spend.admit(admission.client.as_deref(), session, clock::unix());
    admitted.map_err(over)
}

/// Refuses what has only one place to go to, where that one's budget is spent.
pub(crate) fn target(
    spend: &Spend,
    target: &TargetId,
    inbound: &Inbound,
) -> Result<(), RelayError> {
    if !may_cost(inbound) {
        return Ok(());
    }
    spend
        .shuts(target, clock::unix())
        .map_or(Ok(()), |it| Err(over(it)))
}

fn over(exhausted: Exhausted) -> RelayError {
    RelayError::OverBudget(Box::new(exhausted))
}

/// Tells whether a request may cost something: counts of tokens, lists and looks at files do not.
fn may_cost(inbound: &Inbound) -> bool {
    match inbound.endpoint {
        Endpoint::Messages => true,
        Endpoint::Passthrough => inbound.head.method == Method::POST,
        Endpoint::CountTokens | Endpoint::Models => false,
    }
}

/// Has the budgets pay for what was spent, however the request ended, and says what is to be heard
/// of it.
pub(crate) fn charge(record: &RequestRecord, spend: &Spend) {
    let ended = record.started.saturating_add(record.duration);
    for notice in spend.charge(&Spent::of(record), ended) {
        match notice {
            Notice::Near {
                budget,
                subject,
                percent,
            } => {
                let (budget, limit, period) = (&budget.name, budget.limit, budget.period.name());
                warn!(%budget, %subject, percent, %limit, period, "a budget is running out");
            }
            Notice::Unpriced(budget) => {
                let (budget, model) = (&budget.name, record.model.as_ref().map(ModelName::as_str));
                warn!(%budget, model, "a budget in dollars does not count this: its price is not known");
            }
        }
    }
}
