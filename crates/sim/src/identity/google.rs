//! What Google answers: the metadata server and the OAuth token endpoint
//! (cloud.google.com/compute/docs/access/authenticate-workloads, developers.google.com/identity/
//! protocols/oauth2/service-account; read 2026-11-23). In: a question; out: an answer. Must never
//! answer a metadata question without `Metadata-Flavor`.

use crate::clock;

use super::book::{Bearer, Book, Issuer};
use super::form;
use super::jwt::{ACCOUNT, KEY_ID};
use super::serve::{Asked, Reply};

/// The token of another cloud that is taken in exchange.
const SUBJECT_TOKEN: &str = "sim-subject-token";

const REFRESH_TOKEN: &str = "sim-refresh-token";

/// Answers below `/computeMetadata/`.
pub(super) fn metadata(book: &Book, asked: &Asked) -> Reply {
    if asked.header("metadata-flavor") != Some("Google") {
        return Reply::text(403, "Missing Metadata-Flavor:Google header.");
    }
    let reply = match asked.path.strip_prefix("/computeMetadata/v1/") {
        Some("instance/service-accounts/default/token") => {
            match book.question(Issuer::GoogleMetadata) {
                Some(status) => Reply::text(status, "failed as told"),
                None => token(&book.bearer(Issuer::GoogleMetadata)),
            }
        }
        Some("instance/service-accounts/default/email") => Reply::text(200, ACCOUNT),
        Some("universe/universe-domain") => Reply::text(200, "googleapis.com"),
        Some(_) | None => Reply::text(404, "no such metadata"),
    };
    reply.with("metadata-flavor", "Google")
}

/// Answers `POST /token`: a refresh token, or an assertion that a service account signed.
pub(super) fn oauth(book: &Book, asked: &Asked) -> Reply {
    let failed = book.question(Issuer::GoogleOauth);
    let grant = field(asked, "grant_type").unwrap_or_default();
    let shown = match grant.as_str() {
        "refresh_token" => field(asked, "refresh_token").unwrap_or_default(),
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
            field(asked, "assertion").unwrap_or_default()
        }
        _ => return fault(400, "unsupported_grant_type", &grant),
    };
    if let Some(status) = failed {
        return fault(status, "invalid_grant", "failed as told");
    }
    let known = if grant == "refresh_token" {
        shown == REFRESH_TOKEN
    } else {
        book.signer.signed(&shown, clock::unix()).is_ok()
    };
    if !known {
        return fault(400, "invalid_grant", "not known here");
    }
    token(&book.bearer(Issuer::GoogleOauth))
}

/// Answers `POST /v1/token`: an identity of another cloud in exchange.
pub(super) fn exchange(book: &Book, asked: &Asked) -> Reply {
    const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
    let failed = book.question(Issuer::GoogleExchange);
    let field = |name| form::value(&asked.body, name).unwrap_or_default();
    if let Some(status) = failed {
        return fault(status, "invalid_grant", "failed as told");
    }
    if field("grant_type") != GRANT || field("subject_token") != SUBJECT_TOKEN {
        return fault(400, "invalid_grant", "not known here");
    }
    let bearer = book.bearer(Issuer::GoogleExchange);
    let left = bearer.expires.saturating_sub(clock::unix());
    Reply::json(
        200,
        &serde_json::json!({
            "access_token": bearer.token,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "expires_in": left.as_secs(),
            "token_type": "Bearer",
        }),
    )
}

/// Returns a field of a form or of a JSON object: the endpoint takes both.
fn field(asked: &Asked, name: &str) -> Option<String> {
    match serde_json::from_str::<serde_json::Value>(&asked.body) {
        Ok(object) => object.get(name)?.as_str().map(str::to_owned),
        Err(_) => form::value(&asked.body, name),
    }
}

fn token(bearer: &Bearer) -> Reply {
    let left = bearer.expires.saturating_sub(clock::unix());
    Reply::json(
        200,
        &serde_json::json!({
            "access_token": bearer.token,
            "expires_in": left.as_secs(),
            "token_type": "Bearer",
        }),
    )
}

fn fault(status: u16, error: &str, description: &str) -> Reply {
    Reply::json(
        status,
        &serde_json::json!({ "error": error, "error_description": description }),
    )
}

/// Returns the key file of a service account.
pub(super) fn service_account(book: &Book, base_url: &str) -> String {
    serde_json::json!({
        "type": "service_account",
        "project_id": "sim",
        "private_key_id": KEY_ID,
        "private_key": book.signer.private_pem(),
        "client_email": ACCOUNT,
        "client_id": "1",
        "token_uri": format!("{base_url}/token"),
        "universe_domain": "googleapis.com",
    })
    .to_string()
}

/// Returns the file of a signed-in user.
pub(super) fn authorized_user(base_url: &str, quota_project: &str) -> String {
    serde_json::json!({
        "type": "authorized_user",
        "client_id": "sim-client",
        "client_secret": "sim-client-secret",
        "refresh_token": REFRESH_TOKEN,
        "quota_project_id": quota_project,
        "token_uri": format!("{base_url}/token"),
    })
    .to_string()
}

/// Returns the file of an identity of another cloud, whose token lies in the file `token`. It must
/// be `sim-subject-token`.
pub(super) fn external_account(base_url: &str, token: &std::path::Path) -> String {
    serde_json::json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/sim/\
                     providers/sim",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{base_url}/v1/token"),
        "credential_source": { "file": token },
    })
    .to_string()
}
