//! Amazon Bedrock's `InvokeModel` (AWS's API reference, read 2026-11): the model in the path, the
//! API's version and betas in the body, signed requests, exceptions by name, and a stream of
//! binary frames without pings. In: requests; out: refusals as AWS words them, and frames. Must
//! never take a body that still looks like the Messages API's.

use serde_json::{Map, Value, json};

use crate::dialect::sigv4::{self, AwsKey, Scope, unescape};
use crate::dialect::{Asked, Gate, Refusal, base64, bearer, body, count, refuse};
use crate::keys::Standing;
use crate::record::Recorded;
use crate::script::Script;

/// An AWS account and its region. All errors name the account, so that a test finds a leak.
#[derive(Clone, Debug)]
pub struct Aws {
    /// The region that requests must be signed for.
    pub region: String,
    /// The account's number.
    pub account_id: String,
    /// The keys that may sign.
    pub keys: Vec<AwsKey>,
    /// The betas that a body may name, without their dates.
    pub betas: Vec<String>,
    /// The longest body, in bytes: 20 MB.
    pub max_body_bytes: u64,
}

impl Default for Aws {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            account_id: "111122223333".to_owned(),
            keys: vec![AwsKey::new("AKIDSIMEXAMPLE", "sim-secret-access-key")],
            betas: BETAS.map(str::to_owned).to_vec(),
            max_body_bytes: 20 << 20,
        }
    }
}

const BETAS: [&str; 14] = [
    "advanced-tool-use",
    "compact",
    "computer-use",
    "context-1m",
    "context-management",
    "dev-full-thinking",
    "effort",
    "interleaved-thinking",
    "output-128k",
    "thinking-display-updates",
    "thinking-token-count",
    "token-efficient-tools",
    "tool-examples",
    "tool-search-tool",
];

/// Top-level fields that a body may have.
const FIELDS: [&str; 16] = [
    "anthropic_beta",
    "anthropic_version",
    "context_management",
    "max_tokens",
    "messages",
    "metadata",
    "output_config",
    "stop_sequences",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
    "user_profile_id",
];

impl Aws {
    /// Returns who AWS takes the caller for.
    pub(crate) fn principal(&self) -> String {
        format!(
            "arn:aws:sts::{}:assumed-role/relay-sim/session",
            self.account_id
        )
    }

    /// Judges signature or bearer key for `service`; `x_api_key` says whether that header counts.
    pub(crate) fn authenticate(
        &self,
        service: &str,
        x_api_key: bool,
        request: &Recorded,
        gate: &Gate<'_>,
    ) -> Result<(), Refusal> {
        if gate.requires_credential && sigv4::is_signed(request) {
            let scope = Scope {
                region: &self.region,
                service,
                keys: &self.keys,
            };
            return sigv4::verify(request, &scope, gate.unix)
                .map_err(|refused| refuse(403, refused.exception, refused.message));
        }
        let header = request.header("x-api-key").filter(|_| x_api_key);
        match gate.standing(bearer(request).or(header)) {
            Standing::Good => Ok(()),
            Standing::Missing => Err(refuse(
                403,
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            )),
            Standing::Bad => Err(refuse(
                403,
                "AccessDeniedException",
                "Authentication failed: Please make sure your API Key is valid.",
            )),
        }
    }
}

/// What a path names.
enum Place<'a> {
    Invoke { model: &'a str, stream: bool },
    Count { model: &'a str },
    List(&'static str),
    Nowhere,
}

fn place<'a>(method: &str, path: &'a str) -> Place<'a> {
    let segments: Vec<&str> = path.split('/').collect();
    match (method, segments.as_slice()) {
        ("POST", ["", "model", model, "invoke"]) => Place::Invoke {
            model,
            stream: false,
        },
        ("POST", ["", "model", model, "invoke-with-response-stream"]) => Place::Invoke {
            model,
            stream: true,
        },
        ("POST", ["", "model", model, "count-tokens"]) => Place::Count { model },
        ("GET", ["", "foundation-models"]) => Place::List("modelSummaries"),
        ("GET", ["", "inference-profiles"]) => Place::List("inferenceProfileSummaries"),
        _ => Place::Nowhere,
    }
}

pub(crate) fn is_scripted(path: &str) -> bool {
    matches!(place("POST", path), Place::Invoke { .. })
}

pub(crate) fn ask(aws: &Aws, request: &Recorded, gate: &Gate<'_>) -> Result<Asked, Refusal> {
    let place = place(&request.method, request.path());
    if matches!(place, Place::Nowhere) {
        let message = "the path is no operation; a model id is one percent-encoded segment";
        return Err(refuse(404, "UnknownOperationException", message));
    }
    aws.authenticate("bedrock", false, request, gate)?;
    if request.body_bytes > aws.max_body_bytes {
        let message = format!("the body is longer than {} bytes", aws.max_body_bytes);
        return Err(refuse(413, "RequestEntityTooLargeException", message));
    }
    match place {
        Place::Invoke { model, stream } => {
            let model = model_id(model)?;
            judge_body(aws, &model, &request.body)?;
            Ok(Asked::message(stream, bare(&model)))
        }
        Place::Count { model } => {
            let model = model_id(model)?;
            if !model.starts_with("anthropic.") {
                return Err(validation(
                    "The provided model doesn't support counting tokens.",
                ));
            }
            let counted = counted_body(&request.body)?;
            judge_body(aws, &model, &counted)?;
            let tokens = count(counted.len() as u64);
            Ok(Asked::reply(Script::json(
                200,
                json!({ "inputTokens": tokens }),
            )))
        }
        Place::List(name) => Ok(Asked::reply(list(name, aws, gate.models))),
        Place::Nowhere => Ok(Asked::default()),
    }
}

fn validation(message: impl Into<String>) -> Refusal {
    refuse(400, "ValidationException", message)
}

fn malformed(what: &str) -> Refusal {
    validation(format!(
        "Malformed input request: {what}, please reformat your input and try again."
    ))
}

/// Returns the model id that a path segment encodes.
fn model_id(segment: &str) -> Result<String, Refusal> {
    if segment.is_empty() {
        return Err(validation(
            "1 validation error detected: Value at 'modelId' failed to satisfy constraint: Member \
             must have length greater than or equal to 1",
        ));
    }
    let id = String::from_utf8(unescape(segment)).unwrap_or_default();
    let known = id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte));
    let is_arn = id.starts_with("arn:aws");
    let claude = id.starts_with("anthropic.") || id.contains(".anthropic.");
    if known && (is_arn || (claude && !id.contains('/'))) {
        return Ok(id);
    }
    Err(validation("The provided model identifier is invalid."))
}

/// Returns the name that a message gives its model.
fn bare(id: &str) -> &str {
    let name = id.rsplit_once("anthropic.").map_or(id, |(_, name)| name);
    versioned(name).unwrap_or(name)
}

/// Returns an id without its `-v1:0`, which models before 4.7 have.
fn versioned(name: &str) -> Option<&str> {
    let (rest, version) = name.rsplit_once("-v")?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (major, minor) = version.split_once(':')?;
    (digits(major) && digits(minor)).then_some(rest)
}

fn counted_body(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let asked: Value =
        serde_json::from_slice(bytes).map_err(|_| malformed("expected a JSON object"))?;
    let text = asked
        .pointer("/input/invokeModel/body")
        .and_then(Value::as_str);
    text.and_then(base64::decode)
        .ok_or_else(|| malformed("#/input/invokeModel/body: expected base64"))
}

/// Judges a body as `InvokeModel` does.
fn judge_body(aws: &Aws, model: &str, bytes: &[u8]) -> Result<(), Refusal> {
    let Ok(Value::Object(body)) = serde_json::from_slice(bytes) else {
        return Err(malformed("expected a JSON object"));
    };
    if let Some(twice) = body::duplicate(bytes) {
        return Err(malformed(&format!("Duplicate key \"{twice}\"")));
    }
    if let Some(strange) = body.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(malformed(&format!(
            "#: extraneous key [{strange}] is not permitted"
        )));
    }
    for field in ["anthropic_version", "max_tokens", "messages"] {
        if !body.contains_key(field) {
            return Err(malformed(&format!("#: required key [{field}] not found")));
        }
    }
    judge_version(model, &body)?;
    judge_betas(aws, &body)?;
    if let Some(place) = body::strange_cache_control(&body) {
        return Err(validation(format!(
            "{place}: Extra inputs are not permitted"
        )));
    }
    if let Some(place) = body::url_source(&body) {
        return Err(validation(format!(
            "{place}: URL sources are not supported"
        )));
    }
    if let Some((at, kind)) = body::server_tool(&body) {
        return Err(validation(format!(
            "tools.{at}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
        )));
    }
    Ok(())
}

fn judge_version(model: &str, body: &Map<String, Value>) -> Result<(), Refusal> {
    let good = match body.get("anthropic_version").and_then(Value::as_str) {
        Some("bedrock-2023-05-31") => true,
        Some("2026-10-21") => versioned(model).is_none(),
        _ => false,
    };
    if good {
        return Ok(());
    }
    Err(malformed(
        "#/anthropic_version: not a version of this model",
    ))
}

fn judge_betas(aws: &Aws, body: &Map<String, Value>) -> Result<(), Refusal> {
    let Some(betas) = body.get("anthropic_beta") else {
        return Ok(());
    };
    let Some(betas) = betas.as_array() else {
        return Err(malformed("#/anthropic_beta: expected type: JSONArray"));
    };
    let known = betas.iter().all(|beta| {
        let stem = beta.as_str().map(body::stem);
        stem.is_some_and(|stem| aws.betas.iter().any(|known| known == stem))
    });
    if known {
        Ok(())
    } else {
        Err(validation("invalid beta flag"))
    }
}

/// Answers the control plane's lists.
fn list(name: &str, aws: &Aws, models: &[String]) -> Script {
    let (region, account) = (&aws.region, &aws.account_id);
    let entries: Vec<Value> = models
        .iter()
        .map(|model| {
            let profile = format!("us.anthropic.{model}");
            let prefix = format!("arn:aws:bedrock:{region}");
            if name == "modelSummaries" {
                json!({
                    "modelId": format!("anthropic.{model}"),
                    "modelArn": format!("{prefix}::foundation-model/anthropic.{model}"),
                    "providerName": "Anthropic",
                    "responseStreamingSupported": true,
                })
            } else {
                json!({
                    "inferenceProfileId": profile,
                    "inferenceProfileArn": format!("{prefix}:{account}:inference-profile/{profile}"),
                    "status": "ACTIVE",
                    "type": "SYSTEM_DEFINED",
                })
            }
        })
        .collect();
    Script::json(200, json!({ name: entries }))
}
