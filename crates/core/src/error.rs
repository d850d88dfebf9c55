//! What the relay answers when no upstream did.
//!
//! In: a [`RelayError`]. Out: its [`Wire`] form: status, Anthropic's error type, a text for the
//! client. An upstream's own error never becomes one of these: it passes word for word.
//!
//! Statuses and types: Anthropic's errors page, read 2026-11-22. What Claude Code does with each
//! was measured with version 2.1.330: it retries 429, 5xx and 529; it retries a 401 for a minute
//! unless `x-should-retry: false` stands beside it, and stops at once at a 429 with it.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;

use crate::spend::Exhausted;

/// An error of the relay's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// The body is longer than allowed.
    #[error("request body over {limit_bytes} bytes")]
    BodyTooLarge {
        /// The limit in force.
        limit_bytes: u64,
    },
    /// The body did not come in time.
    #[error("request body stalled")]
    BodyStalled,
    /// The client left before its body was whole. Nobody is left to read the answer.
    #[error("client left within its body")]
    ClientLeft,
    /// The body cannot be routed: it is no JSON object, or names no model.
    #[error("request body names no model")]
    NoModel,
    /// The query of a request for models says something that cannot be.
    #[error("bad query: {0}")]
    BadQuery(&'static str),
    /// No credential that this relay knows.
    #[error("client not authenticated: {0}")]
    Unauthenticated(Unauthenticated),
    /// No such endpoint.
    #[error("no such endpoint")]
    NotFound,
    /// The endpoint exists, the method does not.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// As many requests as allowed are under way.
    #[error("too many concurrent requests")]
    Overloaded,
    /// The relay is stopping.
    #[error("draining")]
    Draining,
    /// The upstream could not be reached, or closed before it answered.
    #[error("upstream unreachable: {0}")]
    Unreachable(Cow<'static, str>),
    /// The upstream took the request and did not answer in time.
    #[error("upstream silent for {waited:?}")]
    UpstreamTimeout {
        /// How long the relay waited.
        waited: Duration,
    },
    /// Every key that could serve is at its limit.
    #[error("every key is at its limit")]
    AllSpent {
        /// When the first has room again, if that is known.
        retry_after: Option<Duration>,
    },
    /// A budget is spent.
    #[error("{0}")]
    OverBudget(Box<Exhausted>),
    /// No target serves the model.
    #[error("no provider serves the model")]
    UnknownModel(Box<str>),
    /// A fault of the relay's own.
    #[error("internal: {0}")]
    Internal(&'static str),
}

/// Why a client is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// No credential came.
    #[error("no credential")]
    Missing,
    /// A credential came that is not among those configured.
    #[error("unknown credential")]
    Wrong,
    /// A credential header came more than once.
    #[error("repeated credential header")]
    Repeated,
    /// The client brought none, and the relay has no key for the upstream.
    #[error("no credential for the upstream")]
    NothingToSend,
}

impl Unauthenticated {
    const fn message(self) -> &'static str {
        match self {
            Self::Missing => {
                "cc-relay: this relay wants a client key, in x-api-key or as Authorization: Bearer"
            }
            Self::Wrong => "cc-relay: this client key is not one of those configured",
            Self::Repeated => "cc-relay: a credential header was sent more than once",
            Self::NothingToSend => {
                "cc-relay: no credential for the upstream: log in to Claude Code or set \
                 ANTHROPIC_API_KEY, or give the provider a key in the relay's config file"
            }
        }
    }
}

/// An error as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wire {
    /// HTTP status.
    pub status: StatusCode,
    /// `error.type`.
    pub kind: &'static str,
    /// `error.message`.
    pub message: Cow<'static, str>,
    /// `retry-after`.
    pub retry_after: Option<Duration>,
    /// Whether the answer carries `x-should-retry: false`.
    pub final_answer: bool,
}

impl RelayError {
    /// Returns the status, type and text for the client.
    pub fn wire(&self) -> Wire {
        let (status, kind) = self.class();
        let retry_after = match self {
            Self::Overloaded | Self::Draining => Some(Duration::from_secs(1)),
            // Rounded up: who comes back a moment too early is refused once more.
            Self::AllSpent { retry_after } => retry_after.map(round_up).map(bearable),
            Self::OverBudget(exhausted) => Some(round_up(exhausted.wait)),
            Self::BodyTooLarge { .. }
            | Self::BodyStalled
            | Self::ClientLeft
            | Self::NoModel
            | Self::BadQuery(_)
            | Self::Unauthenticated(_)
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::Unreachable(_)
            | Self::UpstreamTimeout { .. }
            | Self::UnknownModel(_)
            | Self::Internal(_) => None,
        };
        Wire {
            status,
            kind,
            message: self.message(),
            retry_after,
            final_answer: matches!(self, Self::Unauthenticated(_) | Self::OverBudget(_)),
        }
    }

    const fn class(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "request_too_large"),
            Self::BodyStalled => (StatusCode::REQUEST_TIMEOUT, "invalid_request_error"),
            Self::ClientLeft | Self::NoModel | Self::BadQuery(_) => {
                (StatusCode::BAD_REQUEST, "invalid_request_error")
            }
            Self::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, "authentication_error"),
            Self::NotFound | Self::UnknownModel(_) => (StatusCode::NOT_FOUND, "not_found_error"),
            Self::AllSpent { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error"),
            Self::OverBudget(_) => (StatusCode::TOO_MANY_REQUESTS, "billing_error"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error"),
            Self::Overloaded | Self::Draining => (OVERLOADED, "overloaded_error"),
            Self::Unreachable(_) => (StatusCode::BAD_GATEWAY, "api_error"),
            Self::UpstreamTimeout { .. } => (StatusCode::GATEWAY_TIMEOUT, "timeout_error"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "api_error"),
        }
    }

    fn message(&self) -> Cow<'static, str> {
        match self {
            Self::BodyTooLarge { limit_bytes } => {
                format!("Request exceeds the maximum allowed size of {limit_bytes} bytes").into()
            }
            Self::BodyStalled => "cc-relay: the request body did not arrive in time".into(),
            Self::ClientLeft => "cc-relay: the request body broke off".into(),
            Self::BadQuery(why) => format!("cc-relay: {why}").into(),
            Self::NoModel => {
                "cc-relay: the body must be a JSON object with a string `model`".into()
            }
            Self::Unauthenticated(why) => why.message().into(),
            Self::NotFound => "cc-relay: no such path; the Messages API is at /v1/messages".into(),
            Self::MethodNotAllowed => "cc-relay: this path does not take this method".into(),
            Self::Overloaded => {
                "cc-relay: as many requests as `server.max_concurrent` allows are under way".into()
            }
            Self::Draining => "cc-relay: stopping".into(),
            Self::Unreachable(why) => {
                format!("cc-relay: the upstream could not be reached: {why}").into()
            }
            Self::UpstreamTimeout { waited } => format!(
                "cc-relay: the upstream did not answer within {} s",
                waited.as_secs()
            )
            .into(),
            Self::AllSpent { retry_after } => match retry_after {
                Some(wait) => format!(
                    "cc-relay: every key that could serve this is at its limit; the first has room \
                     in {} s",
                    wait.as_secs().saturating_add(1)
                )
                .into(),
                None => "cc-relay: every key that could serve this is at its limit".into(),
            },
            Self::OverBudget(exhausted) => format!("cc-relay: {exhausted}").into(),
            Self::UnknownModel(model) => {
                format!("cc-relay: no provider in its config serves the model {model}").into()
            }
            Self::Internal(_) => "cc-relay: internal error; see the relay's log".into(),
        }
    }

    /// Tells whether the client may still be busy sending a body when this is its answer.
    pub const fn wants_discard(&self) -> bool {
        !matches!(self, Self::BodyStalled | Self::ClientLeft)
    }

    /// Returns the low-cardinality name for logs and metrics.
    pub const fn error_type(&self) -> &'static str {
        match self {
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyStalled => "body_stalled",
            Self::ClientLeft => "client_gone",
            Self::NoModel => "no_model",
            Self::BadQuery(_) => "bad_query",
            Self::Unauthenticated(_) => "auth",
            Self::NotFound | Self::MethodNotAllowed => "not_found",
            Self::Overloaded => "overloaded",
            Self::Draining => "draining",
            Self::AllSpent { .. } => "all_spent",
            Self::OverBudget(_) => "over_budget",
            Self::UnknownModel(_) => "unknown_model",
            Self::Unreachable(_) => "connect",
            Self::UpstreamTimeout { .. } => "timeout",
            Self::Internal(_) => "internal",
        }
    }
}

/// The longest wait that Claude Code accepts: it gives a turn up at once where more is asked of it, and
/// adds up to a fifth to what it accepts (2.1.330, measured on 2026-11-30).
const PATIENCE: Duration = Duration::from_mins(1);

/// A window of a minute, kept by the second, is over within this, rounded up.
const WINDOW: Duration = Duration::from_secs(62);

/// Returns a wait of about a minute as one that is waited for: the turn would be lost for a second.
fn bearable(wait: Duration) -> Duration {
    if wait <= WINDOW {
        wait.min(PATIENCE)
    } else {
        wait
    }
}

const fn round_up(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs().saturating_add(1))
}

/// 529, Anthropic's "overloaded": retried by every official client.
const OVERLOADED: StatusCode = match StatusCode::from_u16(529) {
    Ok(status) => status,
    Err(_) => StatusCode::SERVICE_UNAVAILABLE,
};

impl Wire {
    /// Returns the body in Anthropic's envelope.
    pub fn body(&self, request_id: &str) -> Vec<u8> {
        envelope(self.kind, &self.message, request_id)
    }
}

/// Returns an error with its causes, for people.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

/// Returns an error in Anthropic's envelope. An empty `request_id` is left out.
pub fn envelope(kind: &str, message: &str, request_id: &str) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Envelope<'a> {
        r#type: &'a str,
        error: Error<'a>,
        #[serde(skip_serializing_if = "str::is_empty")]
        request_id: &'a str,
    }
    #[derive(serde::Serialize)]
    struct Error<'a> {
        r#type: &'a str,
        message: &'a str,
    }
    let envelope = Envelope {
        r#type: "error",
        error: Error {
            r#type: kind,
            message,
        },
        request_id,
    };
    serde_json::to_vec(&envelope).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::spend::{Budget, Limit, Per, Period};

    #[test]
    fn each_error_has_its_status_and_type() {
        let table = [
            (
                RelayError::BodyTooLarge { limit_bytes: 1 },
                413,
                "request_too_large",
            ),
            (RelayError::BodyStalled, 408, "invalid_request_error"),
            (RelayError::ClientLeft, 400, "invalid_request_error"),
            (RelayError::NoModel, 400, "invalid_request_error"),
            (RelayError::BadQuery("limit"), 400, "invalid_request_error"),
            (
                RelayError::Unauthenticated(Unauthenticated::Wrong),
                401,
                "authentication_error",
            ),
            (RelayError::NotFound, 404, "not_found_error"),
            (RelayError::MethodNotAllowed, 405, "invalid_request_error"),
            (RelayError::Overloaded, 529, "overloaded_error"),
            (RelayError::Draining, 529, "overloaded_error"),
            (RelayError::Unreachable("refused".into()), 502, "api_error"),
            (
                RelayError::UpstreamTimeout {
                    waited: Duration::from_mins(2),
                },
                504,
                "timeout_error",
            ),
            (
                RelayError::AllSpent { retry_after: None },
                429,
                "rate_limit_error",
            ),
            (RelayError::UnknownModel("m".into()), 404, "not_found_error"),
            (RelayError::Internal("x"), 500, "api_error"),
        ];
        for (error, status, kind) in table {
            let wire = error.wire();
            assert_eq!((wire.status.as_u16(), wire.kind), (status, kind), "{error}");
            assert_eq!(wire.final_answer, status == 401, "{error}");
            assert_eq!(wire.retry_after.is_some(), status == 529, "{error}");
        }
    }

    #[test]
    fn a_wait_is_never_told_too_short() {
        let wait = |milliseconds| {
            let retry_after = Some(Duration::from_millis(milliseconds));
            RelayError::AllSpent { retry_after }.wire().retry_after
        };
        assert_eq!(wait(0), Some(Duration::from_secs(1)));
        assert_eq!(wait(1_200), Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_spent_budget_is_a_final_billing_error_with_a_wait() {
        let budget = Budget {
            name: "team".into(),
            per: Per::All,
            only: None,
            limit: Limit::Tokens(5),
            period: Period::Day,
            warn_percent: 80,
        };
        let exhausted = Exhausted {
            budget: Arc::new(budget),
            subject: "".into(),
            spent: Limit::Tokens(7),
            until: 86_400,
            wait: Duration::from_secs(59),
        };
        let wire = RelayError::OverBudget(Box::new(exhausted)).wire();
        assert_eq!((wire.status.as_u16(), wire.kind), (429, "billing_error"));
        assert!(wire.final_answer);
        assert_eq!(wire.retry_after, Some(Duration::from_mins(1)));
        assert_eq!(
            wire.message,
            "cc-relay: the budget team is spent: 7 tokens of 5 tokens a day; it begins anew at \
             1970-01-02 00:00 UTC"
        );
    }

    #[test]
    fn the_envelope_is_anthropics() {
        let body = RelayError::NotFound.wire().body("req_1");
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["type"], "error");
        assert_eq!(value["error"]["type"], "not_found_error");
        assert_eq!(value["request_id"], "req_1");
    }
}
