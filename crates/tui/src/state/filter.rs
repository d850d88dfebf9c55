//! Which requests are looked for, and how they are told apart.

use relay_api::v1;

/// Names a request among all.
pub(crate) fn row_of(request: &v1::Request) -> String {
    format!("{}@{}", request.id, request.started_unix_ms)
}

/// Tells whether a request is one that is looked for: words of free text, or `provider:`, `model:`,
/// `session:`, `agent:`, `key:`, `status:`, `hop:yes`.
pub(crate) fn matches(filter: &str, request: &v1::Request) -> bool {
    filter
        .split_whitespace()
        .all(|word| match word.split_once(':') {
            Some(("provider", it)) => request.provider.contains(it),
            Some(("model", it)) => request.model.contains(it),
            Some(("session", it)) => request.session.contains(it),
            Some(("agent", it)) => request.agent.contains(it),
            Some(("key", it)) => request.key.contains(it),
            Some(("status", it)) => request
                .status
                .is_some_and(|status| status.to_string().starts_with(it)),
            Some(("hop", it)) => (it == "yes") != request.attempts.is_empty(),
            _ => [
                &request.id,
                &request.model,
                &request.provider,
                &request.session,
                &request.outcome,
            ]
            .iter()
            .any(|text| text.contains(word)),
        })
}
