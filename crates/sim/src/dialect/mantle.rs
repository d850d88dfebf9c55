//! Amazon Bedrock's second runtime: the Messages API, signed for `bedrock-mantle`
//! (AWS's Bedrock guide, read 2026-11). In: requests; out: refusals in the API's envelope. Must
//! never take a model without its `anthropic.` prefix.

use serde_json::json;

use crate::dialect::{Asked, Aws, Gate, Refusal, body, count, invalid, refuse};
use crate::record::Recorded;
use crate::script::Script;

const MESSAGES: &str = "/anthropic/v1/messages";
const COUNT: &str = "/anthropic/v1/messages/count_tokens";

pub(crate) fn ask(aws: &Aws, request: &Recorded, gate: &Gate<'_>) -> Result<Asked, Refusal> {
    let path = request.path();
    if request.method != "POST" || !matches!(path, MESSAGES | COUNT) {
        return Err(refuse(404, "not_found_error", "Not found"));
    }
    aws.authenticate("bedrock-mantle", true, request, gate)?;
    body::version_header(request)?;
    if request.body_bytes > aws.max_body_bytes {
        let message = "Request exceeds the maximum allowed number of bytes";
        return Err(refuse(413, "request_too_large", message));
    }
    let body = body::object(&request.body)?;
    let model = body::model(&body)?;
    if !model.starts_with("anthropic.") {
        return Err(refuse(404, "not_found_error", format!("model: {model}")));
    }
    body::require(&body, &["messages"])?;
    if let Some((at, kind)) = body::server_tool(&body) {
        return Err(invalid(format!(
            "tools.{at}: `{kind}` is not supported on this platform"
        )));
    }
    if body
        .get("output_config")
        .is_some_and(|config| config.get("format").is_some())
    {
        return Err(invalid(
            "output_config.format: Extra inputs are not permitted",
        ));
    }
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

/// Returns status and type of an error; AWS's own names become the API's.
pub(crate) fn wire_error(status: u16, kind: &str) -> (u16, &str) {
    match kind {
        "MissingAuthenticationTokenException" => (401, "authentication_error"),
        own if own.ends_with("Exception") && status == 403 => (403, "permission_error"),
        other => (status, other),
    }
}
