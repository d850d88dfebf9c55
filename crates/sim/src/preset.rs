//! Answers that real upstreams give, by name. In: a name; out: a script with the right status,
//! body and headers. Must never invent a header that the named failure lacks: what is missing is
//! often the point.

use serde_json::json;

use crate::script::Script;

mod provider;

/// All names: Anthropic's in the order of their statuses, then other providers'.
const NAMES: &[&str] = &[
    "text",
    "invalid_request",
    "prompt_too_long",
    "spend_limit_400",
    "invalid_thinking_signature",
    "extra_inputs_400",
    "version_too_old_400",
    "auth_401",
    "billing_402",
    "permission_403",
    "not_found_404",
    "model_not_found_404",
    "timeout_408",
    "conflict_409",
    "too_large_413",
    "too_large_413_html",
    "unprocessable_422",
    "rate_limited",
    "rate_limited_long",
    "rate_limited_no_hint",
    "rate_limited_input_tokens",
    "ramp_limited",
    "enforced_spend_limit",
    "unified_allowed",
    "unified_rejected",
    "unified_overage_rejected",
    "no_retry_429",
    "api_error_500",
    "not_implemented_501",
    "bad_gateway_html",
    "unavailable_503",
    "timeout_504",
    "overloaded",
    "overloaded_hint",
    "bedrock_throttled",
    "bedrock_tokens_per_day",
    "bedrock_not_ready",
    "bedrock_quota_400",
    "bedrock_too_long",
    "bedrock_invalid_beta",
    "bedrock_extraneous_key",
    "bedrock_bad_model",
    "bedrock_on_demand",
    "bedrock_access_denied",
    "bedrock_expired_token",
    "bedrock_not_found",
    "bedrock_model_timeout",
    "bedrock_model_error",
    "bedrock_internal",
    "bedrock_unavailable",
    "vertex_exhausted",
    "vertex_exhausted_array",
    "vertex_unauthenticated",
    "vertex_permission_denied",
    "vertex_not_allowed_400",
    "vertex_not_found",
    "vertex_internal",
    "vertex_unavailable",
    "vertex_deadline",
    "foundry_deployment_404",
    "foundry_key_401",
    "foundry_token_401",
    "foundry_denied_403",
    "foundry_limited_429",
    "zai_1113",
    "zai_1302",
    "zai_1305",
    "zai_1308",
    "zai_1309",
    "zai_1310",
    "zai_1316",
    "zai_1317",
    "vertex_unexpected_beta_400",
    "minimax_system_2013",
    "minimax_tool_result_2013",
    "minimax_region_2049",
    "openrouter_402",
    "openrouter_429",
    "openrouter_502",
    "kimi_thinking_400",
    "kimi_document_400",
    "deepseek_thinking_400",
    "deepseek_balance_402",
    "ollama_not_found_404",
    "vllm_not_found_404",
    "llamacpp_loading_503",
    "lmstudio_junk_200",
];

const CLOUDFLARE_413: &str = "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n<center><h1>413 Request Entity Too Large</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n";
const CLOUDFLARE_502: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n";

impl Script {
    /// Returns the names that [`Script::preset`] knows.
    pub fn presets() -> &'static [&'static str] {
        NAMES
    }

    /// Returns the ready-made answer of this name.
    pub fn preset(name: &str) -> Option<Self> {
        refused(name)
            .or_else(|| limited(name))
            .or_else(|| broken(name))
            .or_else(|| provider::named(name))
    }
}

/// The client's own faults.
fn refused(name: &str) -> Option<Script> {
    let invalid = |message: &str| Script::error(400, "invalid_request_error", message);
    Some(match name {
        "text" => Script::text("Hello from cc-relay-sim."),
        "invalid_request" => invalid("messages: at least one message is required"),
        "prompt_too_long" => invalid("prompt is too long: 1000001 tokens > 1000000 maximum"),
        "spend_limit_400" => invalid(
            "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
        ),
        "invalid_thinking_signature" => {
            invalid("messages.1.content.0: Invalid `signature` in `thinking` block")
        }
        "extra_inputs_400" => invalid("context_management: Extra inputs are not permitted"),
        "version_too_old_400" => invalid("This version of Claude Code is too old")
            .details(json!({ "error_code": "claude_code_version_too_old" })),
        "auth_401" => Script::error(401, "authentication_error", "invalid x-api-key"),
        "billing_402" => Script::error(
            402,
            "billing_error",
            "Your credit balance is too low to access the API",
        ),
        "permission_403" => Script::error(
            403,
            "permission_error",
            "Your API key does not have permission to use the specified resource",
        ),
        "not_found_404" => Script::error(404, "not_found_error", "Not found"),
        "model_not_found_404" => {
            Script::error(404, "not_found_error", "model: claude-does-not-exist")
        }
        "timeout_408" => Script::error(408, "invalid_request_error", "Request body timeout")
            .details(json!({ "error_code": "request_body_timeout" })),
        "conflict_409" => Script::error(409, "conflict_error", "The resource is in use"),
        "too_large_413" => Script::error(
            413,
            "request_too_large",
            "Request exceeds the maximum allowed number of bytes",
        ),
        // Refused at the edge: neither an envelope nor the API's own headers.
        "too_large_413_html" => edge(413, CLOUDFLARE_413),
        "unprocessable_422" => Script::error(
            422,
            "invalid_request_error",
            "The request could not be processed",
        ),
        _ => return None,
    })
}

/// Limits, which upstreams state in a dozen ways.
fn limited(name: &str) -> Option<Script> {
    let limit = |message: &str| Script::error(429, "rate_limit_error", message);
    let plain = "This request would exceed your organization's rate limit";
    Some(match name {
        "rate_limited" => bucket_headers(limit(plain), "requests", "retry-after", "7"),
        "rate_limited_long" => bucket_headers(limit(plain), "requests", "retry-after", "124633"),
        "rate_limited_input_tokens" => {
            bucket_headers(limit(plain), "input-tokens", "retry-after", "12")
        }
        "rate_limited_no_hint" => limit("Error").header("x-should-retry", "true"),
        "ramp_limited" => limit("Usage increased too quickly; grow it gradually")
            .details(json!({ "error_code": "ramp_limit_exceeded" }))
            .header("retry-after", "20"),
        "enforced_spend_limit" => limit("You have reached your monthly spend limit")
            .details(json!({ "error_code": "enforced_spend_limit_reached" }))
            .header("x-should-retry", "false"),
        "unified_allowed" => unified(Script::text("Hello."), "allowed", "0.41"),
        "unified_rejected" => unified(limit(plain), "rejected", "1.0")
            .header("retry-after", "9360")
            .header("x-should-retry", "true"),
        "unified_overage_rejected" => limit(plain)
            .header("anthropic-ratelimit-unified-status", "rejected")
            .header(
                "anthropic-ratelimit-unified-representative-claim",
                "seven_day_overage_included",
            )
            .header("anthropic-ratelimit-unified-reset", "1796083200")
            .header("anthropic-ratelimit-unified-overage-status", "rejected")
            .header(
                "anthropic-ratelimit-unified-overage-disabled-reason",
                "out_of_credits",
            )
            .header("anthropic-ratelimit-unified-7d_oi-status", "rejected")
            .header("anthropic-ratelimit-unified-7d_oi-utilization", "1.0")
            .header("anthropic-ratelimit-unified-7d_oi-reset", "1796083200")
            .header("retry-after", "86400"),
        "no_retry_429" => limit(plain).header("x-should-retry", "false"),
        _ => return None,
    })
}

/// The upstream's own faults.
fn broken(name: &str) -> Option<Script> {
    Some(match name {
        "api_error_500" => Script::error(500, "api_error", "Internal server error")
            .header("x-should-retry", "true"),
        "not_implemented_501" => Script::error(501, "api_error", "Not implemented"),
        "bad_gateway_html" => edge(502, CLOUDFLARE_502),
        "unavailable_503" => Script::error(503, "api_error", "Service unavailable"),
        "timeout_504" => Script::error(504, "timeout_error", "Request timed out"),
        "overloaded" => {
            Script::error(529, "overloaded_error", "Overloaded").header("x-should-retry", "true")
        }
        "overloaded_hint" => Script::error(529, "overloaded_error", "Overloaded")
            .header("x-should-retry", "true")
            .header("retry-after", "5"),
        _ => return None,
    })
}

fn edge(status: u16, html: &'static str) -> Script {
    Script::raw(status, "text/html", html)
        .no_header("request-id")
        .no_header("anthropic-organization-id")
        .no_header("anthropic-workspace-id")
        .header("server", "cloudflare")
        .header("cf-ray", "8f00000000000000-FRA")
}

/// Adds the four bucket families, `empty` one used up.
fn bucket_headers(script: Script, empty: &str, hint: &str, seconds: &str) -> Script {
    let buckets = [
        ("requests", "4000", "3999"),
        ("tokens", "480000", "475000"),
        ("input-tokens", "400000", "396000"),
        ("output-tokens", "80000", "79000"),
    ];
    let mut script = script
        .header(hint, seconds)
        .header("x-should-retry", "true");
    for (bucket, limit, remaining) in buckets {
        let remaining = if bucket == empty { "0" } else { remaining };
        script = script
            .header(format!("anthropic-ratelimit-{bucket}-limit"), limit)
            .header(format!("anthropic-ratelimit-{bucket}-remaining"), remaining)
            .header(
                format!("anthropic-ratelimit-{bucket}-reset"),
                "2026-12-01T00:00:00Z",
            );
    }
    script
}

fn unified(script: Script, status: &str, used: &str) -> Script {
    script
        .header("anthropic-ratelimit-unified-status", status)
        .header("anthropic-ratelimit-unified-reset", "1796083200")
        .header(
            "anthropic-ratelimit-unified-representative-claim",
            "five_hour",
        )
        .header("anthropic-ratelimit-unified-fallback-percentage", "0.5")
        .header("anthropic-ratelimit-unified-overage-status", "rejected")
        .header(
            "anthropic-ratelimit-unified-overage-disabled-reason",
            "org_level_disabled",
        )
        .header("anthropic-ratelimit-unified-5h-status", status)
        .header("anthropic-ratelimit-unified-5h-utilization", used)
        .header("anthropic-ratelimit-unified-5h-reset", "1796083200")
        .header("anthropic-ratelimit-unified-7d-status", "allowed")
        .header("anthropic-ratelimit-unified-7d-utilization", "0.3")
        .header("anthropic-ratelimit-unified-7d-reset", "1796601600")
}
