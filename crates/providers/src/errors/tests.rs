//! What each vendor's refusal is in Anthropic's words.

use http::HeaderMap;

use super::*;

fn said(
    vendor: Vendor,
    status: u16,
    headers: &[(&'static str, &str)],
    body: &str,
) -> Option<(u16, &'static str, String)> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, value.parse().unwrap());
    }
    let refusal = Refusal {
        status,
        headers: &map,
        body: body.as_bytes(),
        unix: Duration::ZERO,
    };
    let it = vendor.translate(&refusal)?;
    Some((it.status.as_u16(), it.kind, it.message))
}

#[test]
fn anthropics_own_words_pass_everywhere() {
    let body = r#"{"type":"error","error":{"type":"invalid_request_error","message":"no"}}"#;
    for vendor in [
        Vendor::Anthropic,
        Vendor::Plain,
        Vendor::Zai,
        Vendor::Minimax,
        Vendor::Aws,
        Vendor::Google,
        Vendor::Azure,
    ] {
        assert_eq!(said(vendor, 400, &[], body), None, "{vendor:?}");
    }
    assert_eq!(said(Vendor::Anthropic, 502, &[], "<html>"), None);
}

fn check(vendor: Vendor, rows: &[(u16, &'static str, String, u16, &str)]) {
    for (status, named, body, to, kind) in rows {
        let headers: &[(&'static str, &str)] = if named.is_empty() {
            &[]
        } else {
            &[("x-amzn-errortype", named)]
        };
        let (got, got_kind, message) = said(vendor, *status, headers, body).unwrap();
        assert_eq!((got, got_kind), (*to, *kind), "{named} {body}");
        let names = ["123456789012", "secret-1"];
        assert!(
            !names.iter().any(|name| message.contains(name)),
            "{message}"
        );
    }
}

#[test]
fn exceptions_of_aws() {
    let text = || r#"{"message":"arn:aws:bedrock:eu:123456789012:x"}"#.to_owned();
    check(
        Vendor::Aws,
        &[
            (
                429,
                "ThrottlingException:http://x/",
                text(),
                429,
                "rate_limit_error",
            ),
            (
                429,
                "ModelNotReadyException",
                text(),
                529,
                "overloaded_error",
            ),
            (
                400,
                "ServiceQuotaExceededException",
                text(),
                429,
                "rate_limit_error",
            ),
            (408, "ModelTimeoutException", text(), 504, "timeout_error"),
            (424, "ModelErrorException", text(), 500, "api_error"),
            (
                503,
                "ServiceUnavailableException",
                text(),
                529,
                "overloaded_error",
            ),
            (
                403,
                "AccessDeniedException",
                text(),
                403,
                "permission_error",
            ),
            (
                403,
                "ExpiredTokenException",
                text(),
                401,
                "authentication_error",
            ),
            (
                404,
                "ResourceNotFoundException",
                text(),
                404,
                "not_found_error",
            ),
        ],
    );
}

#[test]
fn codes_of_google_as_an_object_and_as_an_array_of_one() {
    for (status, code, to, kind) in [
        (401, "UNAUTHENTICATED", 401, "authentication_error"),
        (400, "FAILED_PRECONDITION", 403, "permission_error"),
        (429, "RESOURCE_EXHAUSTED", 429, "rate_limit_error"),
        (503, "UNAVAILABLE", 529, "overloaded_error"),
        (504, "DEADLINE_EXCEEDED", 504, "timeout_error"),
    ] {
        let object = format!(
            r#"{{"error":{{"code":{status},"message":"projects/secret-1","status":"{code}"}}}}"#
        );
        let array = format!("[{object}]");
        check(
            Vendor::Google,
            &[
                (status, "", object, to, kind),
                (status, "", array, to, kind),
            ],
        );
    }
}

#[test]
fn codes_in_bodies() {
    let zai = |code| {
        (
            429,
            "",
            format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#),
        )
    };
    for (code, to, kind) in [
        ("1302", 429, "rate_limit_error"),
        ("1305", 529, "overloaded_error"),
        ("1308", 429, "rate_limit_error"),
        ("1113", 402, "billing_error"),
    ] {
        let (status, named, body) = zai(code);
        check(Vendor::Zai, &[(status, named, body, to, kind)]);
    }
    for (text, to, kind) in [
        (
            "invalid message role: system (2013)",
            400,
            "invalid_request_error",
        ),
        ("invalid api key (2049)", 401, "authentication_error"),
    ] {
        let body = format!(
            r#"{{"type":"error","error":{{"type":"bad_request_error","message":"{text}","http_code":"400"}}}}"#
        );
        check(Vendor::Minimax, &[(400, "", body, to, kind)]);
    }
}

#[test]
fn plain_servers_and_gateways() {
    let body = |text: &str| text.to_owned();
    check(
        Vendor::Azure,
        &[
            (
                404,
                "",
                body(r#"{"error":{"code":"DeploymentNotFound","message":"no"}}"#),
                404,
                "not_found_error",
            ),
            (
                401,
                "",
                body(r#"{"statusCode":401,"message":"Access denied"}"#),
                401,
                "authentication_error",
            ),
        ],
    );
    check(
        Vendor::Plain,
        &[
            (
                402,
                "",
                body(r#"{"error":{"message":"add credits","code":402}}"#),
                402,
                "billing_error",
            ),
            (
                404,
                "",
                body(r#"{"type":"error","error":{"type":"NotFoundError","message":"no model"}}"#),
                404,
                "not_found_error",
            ),
            (502, "", body("<html>bad gateway</html>"), 500, "api_error"),
        ],
    );
}

#[test]
fn texts_keep_what_helps_and_lose_names() {
    let aws = |text: &str| {
        let body = format!(r#"{{"message":"{text}"}}"#);
        said(
            Vendor::Aws,
            400,
            &[("x-amzn-errortype", "ValidationException")],
            &body,
        )
        .unwrap()
    };
    assert!(
        aws("Input is too long for requested model.")
            .2
            .contains("prompt is too long")
    );
    assert_eq!(aws("The provided model identifier is invalid.").0, 404);
    let (_, _, text) = aws(
        "bad arn:aws:bedrock:us-east-1:123456789012:inference-profile/x in account 123456789012, field y",
    );
    assert_eq!(text, "bad [resource] in account [account], field y");
}

#[test]
fn how_long_it_lasts() {
    let refusal = |body: &'static str| {
        Vendor::Zai
            .translate(&Refusal {
                status: 429,
                headers: &HeaderMap::new(),
                body: body.as_bytes(),
                unix: Duration::ZERO,
            })
            .unwrap()
    };
    let short = refusal(r#"{"error":{"code":"1302","message":"m"}}"#);
    assert!(short.limits_account && short.retry_after.is_none());
    let long = refusal(r#"{"error":{"code":1310,"message":"m"}}"#);
    assert!(long.limits_account && long.retry_after == Some(QUOTA_WINDOW));
}
