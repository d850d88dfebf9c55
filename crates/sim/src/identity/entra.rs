//! What Microsoft Entra and Azure's managed identities answer (learn.microsoft.com:
//! "client credentials flow", "how to use managed identities to acquire an access token", "App
//! Service REST endpoint reference"; read 2026-11-23). In: a question; out: an answer. Must never
//! answer without the secret, the assertion or the header that the real ones want.

use crate::clock;

use super::book::{Bearer, Book, Issuer};
use super::form;
use super::serve::{Asked, Reply};

/// The client secret that is taken.
const SECRET: &str = "sim-client-secret";

/// The workload's token that is taken.
const ASSERTION: &str = "sim-workload-token";

/// Answers `POST /TENANT/oauth2/v2.0/token`.
pub(super) fn token(book: &Book, asked: &Asked) -> Reply {
    let failed = book.question(Issuer::Entra);
    let field = |name| form::value(&asked.body, name).unwrap_or_default();
    let (secret, assertion) = (field("client_secret"), field("client_assertion"));
    if let Some(status) = failed {
        return fault(
            status,
            90033,
            &format!("failed as told, asked with {secret}"),
        );
    }
    if field("grant_type") != "client_credentials" {
        return fault(400, 70003, "the grant is not supported");
    }
    if !field("scope").ends_with("/.default") {
        return fault(400, 1_002_012, "the scope is not valid");
    }
    if secret != SECRET && assertion != ASSERTION {
        let quoted = format!("Invalid client secret provided: {secret}");
        return fault(401, 7_000_215, &quoted);
    }
    let bearer = book.bearer(Issuer::Entra);
    Reply::json(
        200,
        &serde_json::json!({
            "token_type": "Bearer",
            "expires_in": left(&bearer),
            "ext_expires_in": left(&bearer),
            "access_token": bearer.token,
        }),
    )
}

fn fault(status: u16, code: u32, description: &str) -> Reply {
    Reply::json(
        status,
        &serde_json::json!({
            "error": "invalid_client",
            "error_description": format!("AADSTS{code}: {description}"),
            "error_codes": [code],
            "trace_id": "sim",
            "correlation_id": "sim",
        }),
    )
}

/// Answers a machine's question, or with `X-IDENTITY-HEADER` an App Service's.
pub(super) fn managed(book: &Book, asked: &Asked) -> Reply {
    let failed = book.question(Issuer::ManagedIdentity);
    let machine = asked.path.starts_with("/metadata/identity/");
    let allowed = if machine {
        asked.header("metadata") == Some("true")
    } else {
        asked.header("x-identity-header") == Some("sim-identity-header")
    };
    let Some(resource) = form::value(&asked.query, "resource").filter(|_| allowed) else {
        return Reply::json(400, &serde_json::json!({ "error": "invalid_request" }));
    };
    if let Some(status) = failed {
        return Reply::json(status, &serde_json::json!({ "error": "failed as told" }));
    }
    let bearer = book.bearer(Issuer::ManagedIdentity);
    Reply::json(
        200,
        &serde_json::json!({
            "access_token": bearer.token,
            "client_id": form::value(&asked.query, "client_id").unwrap_or_default(),
            "expires_in": left(&bearer).to_string(),
            "expires_on": bearer.expires.as_secs().to_string(),
            "not_before": "0",
            "resource": resource,
            "token_type": "Bearer",
        }),
    )
}

fn left(bearer: &Bearer) -> u64 {
    bearer.expires.saturating_sub(clock::unix()).as_secs()
}
