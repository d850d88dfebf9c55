//! What an upstream's refusal means: whom it is about, for how long, and whether another may help.
//!
//! In: status, headers and the start of the body of a refusal, or the way in which no answer came.
//! Out: a [`Ruling`]. It must never believe a hint from outside beyond [`HINT_CAP`], nor read a
//! message where a code says the same.
//!
//! The rows follow Anthropic's errors and rate-limits pages (read 2026-11-22), and what proxies in
//! the field have seen where these are silent; the order is that in which a 429 has to be read.

use std::time::Duration;

use http::HeaderMap;

/// Longest wait that a hint from outside can cause. Whatever it says, a request tries again then.
pub const HINT_CAP: Duration = Duration::from_hours(1);

/// Most bytes of a refusal's body that are read.
pub const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// Whom a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// This request alone: nothing is to be learned for others.
    Request,
    /// The key, or its whole account.
    Key,
    /// The key's organisation, for models of this class: one limit that its keys share.
    Class,
    /// The target, for this model.
    Model,
    /// The target.
    Target,
}

/// Who is asked next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Next {
    /// Nobody: the client has to see this.
    Nobody,
    /// Another key of the same target, then another target.
    OtherKey,
    /// Another target, then another key of the same one.
    OtherTarget,
}

/// What makes a request move on, as `routing.fail_over_on` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// 429.
    RateLimited,
    /// 529.
    Overloaded,
    /// 5xx.
    ServerError,
    /// No answer in time.
    Timeout,
    /// No connection, or one that broke before an answer.
    Connection,
    /// The relay's own key was refused: 401, 402, 403, a spend limit.
    Auth,
    /// 404.
    ModelNotFound,
}

/// What follows from a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruling {
    /// Low-cardinality name for logs and metrics.
    pub name: &'static str,
    /// Whom it is about.
    pub scope: Scope,
    /// How long whom it is about is left alone; zero for not at all.
    pub hold: Duration,
    /// Who is asked next.
    pub next: Next,
    /// The trigger that allows this; `None` where nobody is asked next.
    pub trigger: Option<Trigger>,
    /// Whether it counts at the breaker: the target failed, not the request or the key.
    pub strikes: bool,
}

/// A refusal by status.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// HTTP status, 400 or above.
    pub status: u16,
    /// Headers of the answer.
    pub headers: &'a HeaderMap,
    /// The body, as far as [`BODY_LIMIT_BYTES`].
    pub body: &'a [u8],
    /// Time since the Unix epoch: `retry-after` may be a date.
    pub unix: Duration,
}

/// How no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Silence {
    /// No connection.
    Unreachable,
    /// The connection broke before the commit point.
    Broken,
    /// An answer with a good status ended without saying anything.
    Empty,
    /// No answer in time. It may have been computed and billed.
    Timeout,
}

const MINUTE: Duration = Duration::from_mins(1);

/// How long a key that was refused is left alone: credentials are mended by people.
const REFUSED_KEY_HOLD: Duration = Duration::from_mins(5);

/// How long an account that may not spend is left alone. It may last until the month ends; a
/// request an hour finds out.
const SPENT_ACCOUNT_HOLD: Duration = HINT_CAP;

/// How long a model that a target does not know is not asked for there.
const UNKNOWN_MODEL_HOLD: Duration = Duration::from_mins(5);

/// Longest that a limit by the minute is believed: none of them lasts longer, whatever is said.
const MINUTE_LIMIT_CAP: Duration = Duration::from_mins(2);

/// How long a limit lasts that does not say so.
const UNNAMED_LIMIT_HOLD: Duration = Duration::from_secs(5);

/// Longest that an overloaded model is left alone on the upstream's own word.
const OVERLOAD_CAP: Duration = Duration::from_secs(30);

const fn ruling(name: &'static str, scope: Scope, hold: Duration) -> Ruling {
    Ruling {
        name,
        scope,
        hold,
        next: Next::OtherKey,
        trigger: Some(Trigger::Auth),
        strikes: false,
    }
}

const fn failure(name: &'static str, scope: Scope, trigger: Trigger) -> Ruling {
    Ruling {
        name,
        scope,
        hold: Duration::ZERO,
        next: Next::OtherTarget,
        trigger: Some(trigger),
        strikes: true,
    }
}

const fn limit(name: &'static str, scope: Scope, hold: Duration) -> Ruling {
    Ruling {
        name,
        scope,
        hold,
        next: Next::OtherKey,
        trigger: Some(Trigger::RateLimited),
        strikes: false,
    }
}

/// A limit of the account whose length nobody said.
pub const ACCOUNT_LIMIT: Ruling = limit("rate_limited", Scope::Class, UNNAMED_LIMIT_HOLD);

/// There is no credential to ask with: whoever issues it did not.
pub const NO_CREDENTIAL: Ruling = Ruling {
    name: "no_credential",
    scope: Scope::Target,
    hold: Duration::ZERO,
    next: Next::OtherTarget,
    trigger: Some(Trigger::Auth),
    strikes: true,
};

/// The request itself is at fault, or nobody knows better: word for word to the client.
const FINAL: Ruling = Ruling {
    name: "refused",
    scope: Scope::Request,
    hold: Duration::ZERO,
    next: Next::Nobody,
    trigger: None,
    strikes: false,
};

/// `error.details.error_code` values that are about the account, whatever the status.
const ACCOUNT_CODES: [&str; 3] = [
    "enforced_spend_limit_reached",
    "contract_spend_limit_reached",
    "organization_on_hold",
];

/// The text of a 400 that is a limit which the account's owner set. No code says so.
const OWNERS_LIMIT: [&str; 2] = [
    "You have reached your specified API usage limits",
    "You have reached your specified workspace API usage limits",
];

/// Rules on a refusal.
pub fn rule(refusal: &Refusal<'_>) -> Ruling {
    let error = ErrorForm::of(refusal.body);
    let code = error.code();
    if ACCOUNT_CODES.contains(&code) || code.starts_with("linked_organization_") {
        return ruling("account_spent", Scope::Key, SPENT_ACCOUNT_HOLD);
    }
    match refusal.status {
        400 if OWNERS_LIMIT
            .iter()
            .any(|text| error.message().starts_with(text)) =>
        {
            ruling("account_spent", Scope::Key, SPENT_ACCOUNT_HOLD)
        }
        401 => ruling("key_refused", Scope::Key, REFUSED_KEY_HOLD),
        402 => ruling("account_spent", Scope::Key, SPENT_ACCOUNT_HOLD),
        // It may be about one model or one resource: the key still serves others.
        403 => ruling("key_forbidden", Scope::Class, MINUTE),
        404 => Ruling {
            name: "model_not_found",
            scope: Scope::Model,
            hold: UNKNOWN_MODEL_HOLD,
            next: Next::OtherTarget,
            trigger: Some(Trigger::ModelNotFound),
            strikes: false,
        },
        429 => rule_429(refusal, &error),
        529 => Ruling {
            hold: retry_after(refusal.headers, refusal.unix)
                .unwrap_or_default()
                .min(OVERLOAD_CAP),
            ..failure("overloaded", Scope::Model, Trigger::Overloaded)
        },
        500..=599 => failure("server_error", Scope::Target, Trigger::ServerError),
        _ => FINAL,
    }
}

fn rule_429(refusal: &Refusal<'_>, error: &ErrorForm) -> Ruling {
    let headers = refusal.headers;
    let hint = retry_after(headers, refusal.unix).map(|wait| wait.min(HINT_CAP));
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if error.code() == "ramp_limit_exceeded" {
        return limit(
            "ramp_limited",
            Scope::Class,
            hint.unwrap_or(UNNAMED_LIMIT_HOLD),
        );
    }
    if error.kind() == "billing_error" {
        return ruling("account_spent", Scope::Key, SPENT_ACCOUNT_HOLD);
    }
    if header("anthropic-ratelimit-unified-status") == Some("rejected") {
        // A plan's window. One that is counted for single models leaves the others alone.
        let claim = header("anthropic-ratelimit-unified-representative-claim").unwrap_or_default();
        let whole = matches!(claim, "" | "five_hour" | "seven_day");
        let scope = if whole { Scope::Key } else { Scope::Class };
        return limit("plan_limited", scope, hint.unwrap_or(MINUTE));
    }
    let spent = headers.iter().any(|(name, value)| {
        let name = name.as_str();
        name.starts_with("anthropic-ratelimit-") && name.ends_with("-remaining") && value == "0"
    });
    match hint {
        Some(hint) => limit("rate_limited", Scope::Class, hint.min(MINUTE_LIMIT_CAP)),
        None if spent => limit("rate_limited", Scope::Class, UNNAMED_LIMIT_HOLD),
        // Without a header it is about the request: parking the key here has stalled whole fleets.
        None => limit("throttled", Scope::Request, Duration::ZERO),
    }
}

/// Returns the status that an `error` event of this type would have been, had the head not been
/// sent before it.
pub fn status_of_event(kind: &str) -> u16 {
    match kind {
        "overloaded_error" => 529,
        "rate_limit_error" => 429,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "invalid_request_error" => 400,
        "request_too_large" => 413,
        _ => 500,
    }
}

/// Rules on an `error` event that came before any content, by its type.
pub fn rule_event(kind: &str) -> Ruling {
    rule(&Refusal {
        status: status_of_event(kind),
        headers: &HeaderMap::new(),
        body: &[],
        unix: Duration::ZERO,
    })
}

/// Rules on an answer that did not come.
pub const fn rule_silence(silence: Silence) -> Ruling {
    match silence {
        Silence::Unreachable => failure("unreachable", Scope::Target, Trigger::Connection),
        Silence::Broken => failure("broken", Scope::Target, Trigger::Connection),
        Silence::Empty => failure("empty", Scope::Target, Trigger::ServerError),
        Silence::Timeout => failure("timeout", Scope::Target, Trigger::Timeout),
    }
}

/// Returns how useful a refusal is to a client when every candidate refused: a limit tells it when
/// to come back, a credential whom to ask, a failure nothing. Higher is better.
pub const fn usefulness(status: u16) -> u8 {
    match status {
        429 => 4,
        401..=403 => 3,
        404 => 2,
        _ => 1,
    }
}

/// Reads how long to wait: `retry-after-ms`, or `retry-after` in seconds or as a date
/// (RFC 9110 §10.2.3). `None` if there is none, or none that makes sense.
pub fn retry_after(headers: &HeaderMap, unix: Duration) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let milliseconds = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok());
    if let Some(milliseconds) = milliseconds {
        return Duration::try_from_secs_f64(milliseconds / 1_000.0).ok();
    }
    let wait = text("retry-after")?;
    if let Ok(seconds) = wait.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = httpdate::parse_http_date(wait).ok()?;
    let at = at.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(at.saturating_sub(unix))
}

/// An error in Anthropic's envelope, or nothing of it.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct ErrorForm {
    error: InnerForm,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct InnerForm {
    r#type: Option<String>,
    message: Option<String>,
    details: DetailsForm,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct DetailsForm {
    error_code: Option<String>,
}

impl ErrorForm {
    fn of(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    fn kind(&self) -> &str {
        self.error.r#type.as_deref().unwrap_or_default()
    }

    fn message(&self) -> &str {
        self.error.message.as_deref().unwrap_or_default()
    }

    fn code(&self) -> &str {
        self.error.details.error_code.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
