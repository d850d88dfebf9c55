//! Claude in Microsoft Foundry (Anthropic's and Microsoft's pages, read 2026-11): the Messages API
//! behind Azure's gateway. In: requests; out: the gateway's refusals in its own words, the model's
//! in Anthropic's. Must never take a deployment that is not listed.

use serde_json::json;

use crate::dialect::{Asked, Gate, Refusal, bearer, body, count, refuse};
use crate::keys::Standing;
use crate::record::Recorded;
use crate::script::Script;

/// A Foundry resource.
#[derive(Clone, Debug, Default)]
pub struct Foundry {
    /// The deployments that `model` may name; any if empty.
    pub deployments: Vec<String>,
}

const MESSAGES: &str = "/anthropic/v1/messages";
const COUNT: &str = "/anthropic/v1/messages/count_tokens";

pub(crate) fn ask(
    foundry: &Foundry,
    request: &Recorded,
    gate: &Gate<'_>,
) -> Result<Asked, Refusal> {
    let path = request.path();
    if request.method != "POST" || !matches!(path, MESSAGES | COUNT) {
        return Err(refuse(404, "404", "Resource not found"));
    }
    let header = request
        .header("x-api-key")
        .or_else(|| request.header("api-key"));
    match gate.standing(header.or_else(|| bearer(request))) {
        Standing::Good => {}
        Standing::Missing | Standing::Bad if header.is_some() => {
            return Err(refuse(
                401,
                "401",
                "Access denied due to invalid subscription key or wrong API endpoint. Make sure to \
                 provide a valid key for an active subscription and use a correct regional API \
                 endpoint for your resource.",
            ));
        }
        Standing::Missing | Standing::Bad => {
            // The gateway before the gateway has another envelope.
            let body = json!({
                "statusCode": 401,
                "message": "Unauthorized. Access token is missing, invalid, audience is incorrect \
                            (https://ai.azure.com), or have expired.",
            });
            return Err(Box::new(Script::json(401, body)));
        }
    }
    body::version_header(request)?;
    let body = body::object(&request.body)?;
    let model = body::model(&body)?;
    if !foundry.deployments.is_empty() && !foundry.deployments.iter().any(|name| name == model) {
        return Err(refuse(
            404,
            "DeploymentNotFound",
            "The API deployment for this resource does not exist. If you created the deployment \
             within the last 5 minutes, please wait a moment and try again.",
        ));
    }
    body::require(&body, &["messages"])?;
    if path == COUNT {
        let tokens = count(request.body_bytes);
        return Ok(Asked::reply(Script::json(
            200,
            json!({ "input_tokens": tokens }),
        )));
    }
    body::require(&body, &["max_tokens"])?;
    Ok(Asked::message(body::streams(&body), model))
}

/// Returns the code of an error that Azure's gateway words itself.
pub(crate) fn gateway(kind: &str) -> Option<&str> {
    match kind {
        "authentication_error" => Some("401"),
        "permission_error" => Some("PermissionDenied"),
        "rate_limit_error" => Some("RateLimitReached"),
        known if known.ends_with("_error") || known == "request_too_large" => None,
        own => Some(own),
    }
}
