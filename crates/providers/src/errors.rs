//! Says every upstream's refusal in Anthropic's words: one table a vendor.
//!
//! In: a refusal as it came. Out: a [`Translation`], or `None` where it is in Anthropic's envelope
//! already and passes word for word. It must never let out the name of an account, a project or a
//! resource, nor turn a refusal into something milder.
//!
//! Sources of the codes: the error pages of Bedrock, Vertex AI and Azure API Management, Z.AI's
//! api-code page, `MiniMax`'s error-code page (read 2026-11-22).

mod words;

use std::time::Duration;

use http::StatusCode;
use relay_core::provider::Translation;
use relay_core::refusal::Refusal;

use words::{Words, redacted};

/// Whose refusals are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// Anthropic's own words; nothing is read.
    Anthropic,
    /// Anthropic's envelope, or one like `OpenAI`'s, without codes of its own.
    Plain,
    /// Codes in the body; 429 stands for six things.
    Zai,
    /// Codes at the end of the message.
    Minimax,
    /// Exception names.
    Aws,
    /// Google's canonical codes.
    Google,
    /// API Management in front of Anthropic's own words.
    Azure,
}

/// One row: what a code means.
struct Row {
    code: &'static str,
    status: u16,
    kind: &'static str,
    /// A limit of the account, whether it says for how long or not.
    limit: bool,
    /// How long it lasts at least, where the code says so.
    lasts: Option<Duration>,
}

const fn row(code: &'static str, status: u16, kind: &'static str) -> Row {
    Row {
        code,
        status,
        kind,
        limit: false,
        lasts: None,
    }
}

const fn limit(code: &'static str, lasts: Option<Duration>) -> Row {
    Row {
        code,
        status: 429,
        kind: "rate_limit_error",
        limit: true,
        lasts,
    }
}

/// How long a package or quota window of Z.AI's is taken to last: hours or days, and a question
/// every ten minutes finds its end.
const QUOTA_WINDOW: Duration = Duration::from_mins(10);

const AWS: [Row; 14] = [
    limit("ThrottlingException", None),
    row("ModelNotReadyException", 529, "overloaded_error"),
    limit("ServiceQuotaExceededException", None),
    row("ModelTimeoutException", 504, "timeout_error"),
    row("ModelErrorException", 500, "api_error"),
    row("ModelStreamErrorException", 500, "api_error"),
    row("InternalServerException", 500, "api_error"),
    row("ServiceUnavailableException", 529, "overloaded_error"),
    row("ValidationException", 400, "invalid_request_error"),
    row("AccessDeniedException", 403, "permission_error"),
    row("UnrecognizedClientException", 401, "authentication_error"),
    row("ExpiredTokenException", 401, "authentication_error"),
    row("InvalidSignatureException", 401, "authentication_error"),
    row("ResourceNotFoundException", 404, "not_found_error"),
];

const GOOGLE: [Row; 9] = [
    row("INVALID_ARGUMENT", 400, "invalid_request_error"),
    row("UNAUTHENTICATED", 401, "authentication_error"),
    row("PERMISSION_DENIED", 403, "permission_error"),
    row("FAILED_PRECONDITION", 403, "permission_error"),
    row("NOT_FOUND", 404, "not_found_error"),
    limit("RESOURCE_EXHAUSTED", None),
    row("UNAVAILABLE", 529, "overloaded_error"),
    row("INTERNAL", 500, "api_error"),
    row("DEADLINE_EXCEEDED", 504, "timeout_error"),
];

const AZURE: [Row; 3] = [
    row("DeploymentNotFound", 404, "not_found_error"),
    row("unauthorized", 401, "authentication_error"),
    limit("RateLimitReached", None),
];

const ZAI: [Row; 17] = [
    row("1000", 401, "authentication_error"),
    row("1001", 401, "authentication_error"),
    row("1002", 401, "authentication_error"),
    row("1003", 401, "authentication_error"),
    row("1113", 402, "billing_error"),
    row("1210", 400, "invalid_request_error"),
    row("1211", 404, "not_found_error"),
    row("1213", 400, "invalid_request_error"),
    row("1301", 400, "invalid_request_error"),
    limit("1302", None),
    limit("1303", None),
    row("1305", 529, "overloaded_error"),
    limit("1308", Some(QUOTA_WINDOW)),
    limit("1309", Some(QUOTA_WINDOW)),
    limit("1310", Some(QUOTA_WINDOW)),
    limit("1316", Some(QUOTA_WINDOW)),
    limit("1317", Some(QUOTA_WINDOW)),
];

const MINIMAX: [Row; 6] = [
    limit("1002", None),
    row("1004", 401, "authentication_error"),
    row("1008", 402, "billing_error"),
    limit("1039", None),
    row("2013", 400, "invalid_request_error"),
    row("2049", 401, "authentication_error"),
];

impl Vendor {
    const fn rows(self) -> &'static [Row] {
        match self {
            Self::Anthropic | Self::Plain => &[],
            Self::Zai => &ZAI,
            Self::Minimax => &MINIMAX,
            Self::Aws => &AWS,
            Self::Google => &GOOGLE,
            Self::Azure => &AZURE,
        }
    }

    /// Whether its texts name accounts, projects or resources.
    const fn tells_names(self) -> bool {
        matches!(self, Self::Aws | Self::Google | Self::Azure)
    }

    /// Says a refusal in Anthropic's words; `None` where it is said in them.
    pub fn translate(self, refusal: &Refusal<'_>) -> Option<Translation> {
        if self == Self::Anthropic {
            return None;
        }
        let words = Words::of(refusal);
        let found = self.rows().iter().find(|row| words.says(row.code));
        let is_anthropic = found.is_none() && words.is_anthropic && is_kind(words.kind());
        let names_nobody = !self.tells_names() || redacted(words.message()) == words.message();
        if is_anthropic && names_nobody {
            return None;
        }
        let (status, kind) = match found {
            Some(row) => (row.status, row.kind),
            None => by_status(refusal.status),
        };
        let (status, kind) = self.better(&words).unwrap_or((status, kind));
        Some(Translation {
            status: StatusCode::from_u16(status).ok()?,
            kind,
            message: self.message(status, &words),
            retry_after: found.and_then(|row| row.lasts),
            limits_account: status == 429 && found.is_none_or(|row| row.limit),
        })
    }

    /// What the text says better than the code.
    fn better(self, words: &Words) -> Option<(u16, &'static str)> {
        let message = words.message();
        let unknown_model = [
            "model identifier is invalid",
            "on-demand throughput isn",
            "Publisher Model",
        ];
        match self {
            Self::Aws if words.says("ValidationException") => unknown_model
                .iter()
                .any(|text| message.contains(text))
                .then_some((404, "not_found_error")),
            Self::Anthropic
            | Self::Plain
            | Self::Zai
            | Self::Minimax
            | Self::Aws
            | Self::Google
            | Self::Azure => None,
        }
    }

    fn message(self, status: u16, words: &Words) -> String {
        let message = words.message();
        if message.contains("Input is too long") {
            // The text by which Claude Code knows that it has to compact.
            return "prompt is too long: the input is too long for the requested model".to_owned();
        }
        // Anthropic's own words help, whoever passes them on; a cloud's name what is its own.
        let is_cloudy = self.tells_names() && !words.is_anthropic;
        if message.is_empty() || (is_cloudy && status != 400 && status != 413) {
            return general(status).to_owned();
        }
        redacted(message)
    }
}

/// Returns the text of a refusal, wherever it stands; empty if there is none.
pub(crate) fn text_of(refusal: &Refusal<'_>) -> String {
    Words::of(refusal).message().to_owned()
}

/// What a cloud's refusal is told as: its own text names what is nobody's business.
const fn general(status: u16) -> &'static str {
    match status {
        400 => "The upstream finds the request invalid.",
        401 => "The upstream does not accept the credential of the relay.",
        402 => "The account at the upstream may not spend any more.",
        403 => "The upstream does not permit this.",
        404 => "The upstream does not have this model.",
        413 => "The request is too large for the upstream.",
        429 => "The upstream limits how much it takes.",
        504 => "The model did not answer the upstream in time.",
        529 => "The upstream is overloaded.",
        _ => "The upstream failed.",
    }
}

/// The types that Anthropic's errors page names.
fn is_kind(kind: &str) -> bool {
    const KINDS: [&str; 11] = [
        "invalid_request_error",
        "authentication_error",
        "billing_error",
        "permission_error",
        "not_found_error",
        "conflict_error",
        "request_too_large",
        "rate_limit_error",
        "api_error",
        "timeout_error",
        "overloaded_error",
    ];
    KINDS.contains(&kind)
}

fn by_status(status: u16) -> (u16, &'static str) {
    match status {
        400 | 422 => (400, "invalid_request_error"),
        401 => (401, "authentication_error"),
        402 => (402, "billing_error"),
        403 => (403, "permission_error"),
        404 => (404, "not_found_error"),
        413 => (413, "request_too_large"),
        429 => (429, "rate_limit_error"),
        408 | 504 => (504, "timeout_error"),
        503 | 529 => (529, "overloaded_error"),
        424 | 500..=599 => (500, "api_error"),
        other => (other, "invalid_request_error"),
    }
}

#[cfg(test)]
mod tests;
