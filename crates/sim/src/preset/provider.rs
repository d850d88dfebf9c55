//! What clouds and vendors answer when they refuse, word for word as their pages and issue threads
//! have it (read 2026-11). In: a name; out: a script with that body, whatever the sim's dialect.
//! Must never carry Anthropic's own headers.

use serde_json::{Value, json};

use crate::script::Script;

/// An account and a project that errors name, so that a test finds a leak.
const PRINCIPAL: &str = "arn:aws:sts::111122223333:assumed-role/relay-sim/session";
const PROJECT: &str = "projects/relay-sim-project";

/// Returns the ready-made answer of this name.
pub(super) fn named(name: &str) -> Option<Script> {
    bedrock(name)
        .or_else(|| vertex(name))
        .or_else(|| foundry(name))
        .or_else(|| zai(name))
        .or_else(|| vendor(name))
        .or_else(|| shaped(name))
}

/// Leaves out the headers that only Anthropic's API sends.
fn plain(status: u16, body: Value) -> Script {
    Script::json(status, body)
        .no_header("request-id")
        .no_header("anthropic-organization-id")
        .no_header("anthropic-workspace-id")
}

/// Name, status, exception and message.
const BEDROCK: &[(&str, u16, &str, &str)] = &[
    (
        "bedrock_throttled",
        429,
        "ThrottlingException",
        "Too many requests, please wait before trying again.",
    ),
    (
        "bedrock_tokens_per_day",
        429,
        "ThrottlingException",
        "Too many tokens per day, please wait before trying again.",
    ),
    (
        "bedrock_not_ready",
        429,
        "ModelNotReadyException",
        "Model is not ready for inference.",
    ),
    (
        "bedrock_quota_400",
        400,
        "ServiceQuotaExceededException",
        "Your request exceeds the service quota for your account.",
    ),
    (
        "bedrock_too_long",
        400,
        "ValidationException",
        "Input is too long for requested model.",
    ),
    (
        "bedrock_invalid_beta",
        400,
        "ValidationException",
        "invalid beta flag",
    ),
    (
        "bedrock_extraneous_key",
        400,
        "ValidationException",
        "Malformed input request: #: extraneous key [service_tier] is not permitted, please reformat your input and try again.",
    ),
    (
        "bedrock_bad_model",
        400,
        "ValidationException",
        "The provided model identifier is invalid.",
    ),
    (
        "bedrock_on_demand",
        400,
        "ValidationException",
        "Invocation of model ID anthropic.claude-opus-5-5 with on-demand throughput isn\u{2019}t supported. Retry your request with the ID or ARN of an inference profile that contains this model.",
    ),
    (
        "bedrock_access_denied",
        403,
        "AccessDeniedException",
        "You don't have access to the model with the specified model ID.",
    ),
    (
        "bedrock_expired_token",
        403,
        "ExpiredTokenException",
        "The security token included in the request is expired",
    ),
    (
        "bedrock_not_found",
        404,
        "ResourceNotFoundException",
        "Could not resolve the foundation model.",
    ),
    (
        "bedrock_model_timeout",
        408,
        "ModelTimeoutException",
        "Model has timed out in processing the request.",
    ),
    (
        "bedrock_model_error",
        424,
        "ModelErrorException",
        "The model returned an error while processing the request.",
    ),
    (
        "bedrock_internal",
        500,
        "InternalServerException",
        "Internal server error",
    ),
    (
        "bedrock_unavailable",
        503,
        "ServiceUnavailableException",
        "Bedrock is unable to process your request.",
    ),
];

fn bedrock(name: &str) -> Option<Script> {
    let row = BEDROCK.iter().find(|(known, ..)| *known == name);
    let &(_, status, exception, message) = row?;
    let mut body = json!({ "message": format!("{message} (User: {PRINCIPAL})") });
    if let (424, Some(object)) = (status, body.as_object_mut()) {
        object.insert("originalStatusCode".to_owned(), 500.into());
        object.insert(
            "resourceName".to_owned(),
            "anthropic.claude-opus-5-5".into(),
        );
    }
    Some(plain(status, body).header("x-amzn-errortype", exception))
}

fn vertex(name: &str) -> Option<Script> {
    let (bare, array) = match name.strip_suffix("_array") {
        Some(bare) => (bare, true),
        None => (name, false),
    };
    let (status, code, message) = match bare {
        "vertex_exhausted" => (
            429,
            "RESOURCE_EXHAUSTED",
            "Quota exceeded for aiplatform.googleapis.com/online_prediction_input_tokens_per_minute_per_base_model with base model: anthropic-claude-opus-5-5. Please submit a quota increase request.",
        ),
        "vertex_unauthenticated" => (
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
        ),
        "vertex_permission_denied" => (
            403,
            "PERMISSION_DENIED",
            "Permission 'aiplatform.endpoints.predict' denied on resource (or it may not exist).",
        ),
        "vertex_not_allowed_400" => (
            400,
            "FAILED_PRECONDITION",
            "Project is not allowed to use Publisher Model `claude-opus-5-5`",
        ),
        "vertex_not_found" => (
            404,
            "NOT_FOUND",
            "Publisher Model `claude-opus-5-5` was not found.",
        ),
        "vertex_internal" => (500, "INTERNAL", "Internal error encountered."),
        "vertex_unavailable" => (503, "UNAVAILABLE", "The service is currently unavailable."),
        "vertex_deadline" => (504, "DEADLINE_EXCEEDED", "Deadline expired."),
        _ => return None,
    };
    let message = format!("{message} ({PROJECT})");
    let error = json!({ "error": { "code": status, "message": message, "status": code } });
    Some(plain(status, if array { json!([error]) } else { error }))
}

fn foundry(name: &str) -> Option<Script> {
    let coded = |status, code: &str, message: &str| {
        plain(
            status,
            json!({ "error": { "code": code, "message": message } }),
        )
    };
    let script = match name {
        "foundry_deployment_404" => coded(
            404,
            "DeploymentNotFound",
            "The API deployment for this resource does not exist.",
        ),
        "foundry_key_401" => coded(
            401,
            "401",
            "Access denied due to invalid subscription key or wrong API endpoint.",
        ),
        "foundry_token_401" => plain(
            401,
            json!({
                "statusCode": 401,
                "message": "Unauthorized. Access token is missing, invalid, audience is incorrect (https://ai.azure.com), or have expired.",
            }),
        ),
        "foundry_denied_403" => coded(
            403,
            "PermissionDenied",
            "The principal lacks the required data action to perform this operation.",
        ),
        "foundry_limited_429" => coded(
            429,
            "RateLimitReached",
            "Your requests have exceeded the token rate limit of this deployment. Please retry after 17 seconds.",
        )
        .header("retry-after", "17"),
        _ => return None,
    };
    Some(script.header("apim-request-id", "00000000-0000-4000-8000-000000000429"))
}

/// Z.AI tells six things by 429 apart with a code in the body. Its page gives no whole body; the
/// code is text here, as reports of Claude Code's output show it.
fn zai(name: &str) -> Option<Script> {
    let code = name.strip_prefix("zai_")?;
    let message = match code {
        "1113" => "Insufficient balance or no resource package. Please recharge.",
        "1302" => {
            "High concurrency usage of this API, please reduce concurrency or contact customer service to increase limits"
        }
        "1305" => "The service may be temporarily overloaded, please try again later",
        "1308" => "Usage limit reached for 5 hour. Your limit will reset at 2026-12-01 00:00:00",
        "1309" => "Your GLM Coding Plan package has expired and is temporarily unavailable.",
        "1310" => "Weekly/Monthly Limit Exhausted. Your limit will reset at 2026-12-01 00:00:00",
        "1316" | "1317" => "The usage limit of your package has been reached.",
        _ => return None,
    };
    let body = json!({
        "error": { "code": code, "message": message },
        "request_id": "20261123000000000000000000000001",
    });
    Some(plain(429, body))
}

const INVALID: &str = "invalid_request_error";

/// Anthropic's envelope without an id.
fn typed(status: u16, kind: &str, message: &str) -> Script {
    plain(
        status,
        json!({ "type": "error", "error": { "type": kind, "message": message } }),
    )
}

fn vendor(name: &str) -> Option<Script> {
    let minimax = |status: u16, kind: &str, message: &str| {
        let error = json!({ "type": kind, "message": message, "http_code": status.to_string() });
        plain(
            status,
            json!({ "type": "error", "error": error, "request_id": "05sim" }),
        )
    };
    let open_router = |status: u16, message: &str| {
        plain(
            status,
            json!({ "error": { "message": message, "code": status } }),
        )
    };
    Some(match name {
        "vertex_unexpected_beta_400" => typed(
            400,
            INVALID,
            "Unexpected value(s) `x` for the `anthropic-beta` header.",
        ),
        "minimax_system_2013" => minimax(
            400,
            "bad_request_error",
            "invalid params, invalid message role: system (2013)",
        ),
        "minimax_tool_result_2013" => minimax(
            400,
            "bad_request_error",
            "invalid params, tool call result does not follow tool call (2013)",
        ),
        "minimax_region_2049" => minimax(401, "authentication_error", "invalid api key (2049)"),
        "openrouter_402" => open_router(402, "Insufficient credits"),
        "openrouter_429" => open_router(429, "Rate limit exceeded: free-models-per-min."),
        "openrouter_502" => open_router(502, "Provider returned error"),
        _ => return None,
    })
}

fn shaped(name: &str) -> Option<Script> {
    Some(match name {
        "kimi_thinking_400" => typed(
            400,
            INVALID,
            "invalid thinking: only type=enabled is allowed for this model",
        ),
        "kimi_document_400" => typed(
            400,
            INVALID,
            "invalid content: unsupported content type: document",
        ),
        "deepseek_thinking_400" => typed(
            400,
            INVALID,
            "The `content[].thinking` in the thinking mode must be passed back to the API.",
        ),
        "deepseek_balance_402" => plain(
            402,
            json!({ "error": {
                "message": "Insufficient Balance",
                "type": "unknown_error",
                "param": null,
                "code": INVALID,
            } }),
        ),
        "ollama_not_found_404" => typed(404, "not_found_error", "model 'glm-5' not found"),
        "vllm_not_found_404" => typed(404, "NotFoundError", "The model `x` does not exist."),
        "llamacpp_loading_503" => typed(503, "unavailable_error", "Loading model"),
        "lmstudio_junk_200" => plain(
            200,
            json!({ "error": "Unexpected endpoint or method. (POST /v1/messages/count_tokens). Returning 200 anyway" }),
        ),
        _ => return None,
    })
}
