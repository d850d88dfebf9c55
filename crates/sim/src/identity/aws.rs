//! What AWS answers: instance metadata version 2, container credentials, token service, portal
//! (EC2 user guide "Use `IMDSv2`", ECS developer guide "Task IAM role", STS API reference; read
//! 2026-11-23). In: a question; out: an answer. Must never give metadata without its token.

use std::time::Duration;

use super::book::{Book, IssuedAws, Issuer};
use super::form;
use super::serve::{Asked, Reply};

const ROLE: &str = "sim-role";
const SESSION: &str = "sim-metadata-token";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// Answers below `/latest/`.
pub(super) fn metadata(book: &Book, asked: &Asked) -> Reply {
    const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
    if asked.path == "/latest/api/token" {
        let life = asked.header(TTL);
        return match (asked.method.as_str(), life) {
            ("PUT", Some(life)) => Reply::text(200, SESSION).with(TTL, life),
            _ => Reply::text(400, "a PUT with a time to live is wanted"),
        };
    }
    if asked.header("x-aws-ec2-metadata-token") != Some(SESSION) {
        return Reply::text(401, "no token");
    }
    match asked.path.strip_prefix(ROLES) {
        Some("") => Reply::text(200, ROLE),
        Some(ROLE) => match book.question(Issuer::InstanceMetadata) {
            Some(status) => Reply::text(status, "failed as told"),
            None => credentials(&book.issue_aws(Issuer::InstanceMetadata)),
        },
        Some(_) | None => Reply::text(404, "no such metadata"),
    }
}

/// Answers a container's question. The token must come with it.
pub(super) fn container(book: &Book, asked: &Asked) -> Reply {
    let failed = book.question(Issuer::Container);
    if asked.header("authorization") != Some("sim-container-token") {
        return Reply::text(401, "no authorization");
    }
    match failed {
        Some(status) => Reply::text(status, "failed as told"),
        None => credentials(&book.issue_aws(Issuer::Container)),
    }
}

fn credentials(issued: &IssuedAws) -> Reply {
    Reply::json(
        200,
        &serde_json::json!({
            "Code": "Success",
            "LastUpdated": moment(issued.expires.saturating_sub(Duration::from_hours(1))),
            "Type": "AWS-HMAC",
            "AccessKeyId": issued.access_key_id,
            "SecretAccessKey": issued.secret_access_key,
            "Token": issued.session_token,
            "Expiration": moment(issued.expires),
            "AccountId": "123456789012",
        }),
    )
}

/// Answers the token service: `AssumeRoleWithWebIdentity`, and `AssumeRole` for a signed question,
/// whose signature is not checked.
pub(super) fn token_service(book: &Book, asked: &Asked) -> Reply {
    let field = |name| form::value(&asked.body, name);
    let action = field("Action").unwrap_or_default();
    let (issuer, proven) = match action.as_str() {
        "AssumeRoleWithWebIdentity" => (
            Issuer::WebIdentity,
            field("WebIdentityToken").is_some_and(|token| !token.is_empty()),
        ),
        "AssumeRole" => (
            Issuer::AssumedRole,
            asked
                .header("authorization")
                .is_some_and(|signed| signed.starts_with("AWS4-HMAC-SHA256 Credential=")),
        ),
        _ => return fault(400, "InvalidAction", "that action is not known here"),
    };
    if let Some(status) = book.question(issuer) {
        let code = if status < 500 {
            "AccessDenied"
        } else {
            "ServiceUnavailable"
        };
        return fault(status, code, "failed as told");
    }
    if field("RoleArn").is_none_or(|arn| !arn.starts_with("arn:aws:iam::")) {
        return fault(400, "ValidationError", "RoleArn is not an ARN");
    }
    if !proven {
        return fault(400, "InvalidIdentityToken", "nothing says who asks");
    }
    assumed(&action, &book.issue_aws(issuer))
}

fn assumed(action: &str, issued: &IssuedAws) -> Reply {
    Reply::xml(
        200,
        format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <{action}Result><AssumedRoleUser><AssumedRoleId>AROASIM:sim</AssumedRoleId>\
             <Arn>arn:aws:sts::123456789012:assumed-role/sim/sim</Arn></AssumedRoleUser>\
             <Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
             <SessionToken>{}</SessionToken><Expiration>{}</Expiration></Credentials>\
             </{action}Result><ResponseMetadata><RequestId>sim</RequestId></ResponseMetadata>\
             </{action}Response>",
            issued.access_key_id,
            issued.secret_access_key,
            issued.session_token,
            moment(issued.expires),
        ),
    )
}

/// Answers `GetRoleCredentials` of IAM Identity Center's portal.
pub(super) fn portal(book: &Book, asked: &Asked) -> Reply {
    let failed = book.question(Issuer::SignIn);
    let signed_in = asked.header("x-amz-sso_bearer_token") == Some("sim-sign-in-token");
    if let Some(status) = failed.or_else(|| (!signed_in).then_some(401)) {
        let message = serde_json::json!({ "message": "Session token not found or invalid" });
        return Reply::json(status, &message).with("x-amzn-errortype", "UnauthorizedException");
    }
    let issued = book.issue_aws(Issuer::SignIn);
    let expiration = u64::try_from(issued.expires.as_millis()).unwrap_or(u64::MAX);
    Reply::json(
        200,
        &serde_json::json!({ "roleCredentials": {
            "accessKeyId": issued.access_key_id,
            "secretAccessKey": issued.secret_access_key,
            "sessionToken": issued.session_token,
            "expiration": expiration,
        } }),
    )
}

fn fault(status: u16, code: &str, message: &str) -> Reply {
    Reply::xml(
        status,
        format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>\
             <Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             <RequestId>sim</RequestId></ErrorResponse>"
        ),
    )
}

/// Says a time as AWS does: RFC 3339, UTC.
fn moment(unix: Duration) -> String {
    let seconds = i64::try_from(unix.as_secs()).unwrap_or_default();
    jiff::Timestamp::from_second(seconds)
        .unwrap_or_default()
        .to_string()
}
