//! Claude on Google Cloud's Vertex AI (Google's and Anthropic's pages, read 2026-11): the model in
//! the path, `stream` in the body, a bearer token, Google's error envelope. In: requests; out:
//! refusals. Must never take a body with `model`, but to count.

use serde_json::{Map, Value, json};

use crate::dialect::sigv4::unescape;
use crate::dialect::{Asked, Gate, Refusal, bearer, body, count, invalid, refuse};
use crate::keys::Standing;
use crate::record::Recorded;
use crate::script::Script;

/// A project on Vertex AI. Google's errors name it, so that a test finds a leak.
#[derive(Clone, Debug)]
pub struct Vertex {
    /// The project that paths must name.
    pub project: String,
    /// The only location that paths may name; any if `None`.
    pub location: Option<String>,
    /// The betas that the header must not name, without their dates.
    pub refused_betas: Vec<String>,
    /// The longest body, in bytes: 30 MB.
    pub max_body_bytes: u64,
}

impl Default for Vertex {
    fn default() -> Self {
        let refused = [
            "structured-outputs",
            "fine-grained-tool-streaming",
            "files-api",
            "skills",
            "web-fetch",
            "fast-mode",
        ];
        Self {
            project: "relay-sim-project".to_owned(),
            location: None,
            refused_betas: refused.map(str::to_owned).to_vec(),
            max_body_bytes: 30 << 20,
        }
    }
}

/// The parts of a path.
struct Place<'a> {
    project: &'a str,
    location: &'a str,
    model: &'a str,
    stream: bool,
}

fn place(path: &str) -> Option<Place<'_>> {
    let segments: Vec<&str> = path.split('/').collect();
    let [
        "",
        "v1",
        "projects",
        project,
        "locations",
        location,
        "publishers",
        "anthropic",
        "models",
        last,
    ] = segments.as_slice()
    else {
        return None;
    };
    let (model, verb) = last.rsplit_once(':')?;
    let stream = match verb {
        "rawPredict" => false,
        "streamRawPredict" => true,
        _ => return None,
    };
    let named = !model.is_empty() && !project.is_empty() && !location.is_empty();
    named.then_some(Place {
        project,
        location,
        model,
        stream,
    })
}

pub(crate) fn is_scripted(path: &str) -> bool {
    place(path).is_some_and(|place| place.model != "count-tokens")
}

pub(crate) fn ask(vertex: &Vertex, request: &Recorded, gate: &Gate<'_>) -> Result<Asked, Refusal> {
    let Some(place) = place(request.path()).filter(|_| request.method == "POST") else {
        return Err(refuse(404, "NOT_FOUND", "Requested entity was not found."));
    };
    authenticate(vertex, &place, bearer(request), gate)?;
    if request.body_bytes > vertex.max_body_bytes {
        let message = "Request exceeds the maximum allowed number of bytes";
        return Err(refuse(413, "request_too_large", message));
    }
    let body = body::object(&request.body)?;
    if let Some(twice) = body::duplicate(&request.body) {
        return Err(invalid(format!("{twice}: Duplicate key")));
    }
    judge_version(&body)?;
    judge_betas(vertex, request)?;
    body::require(&body, &["messages"])?;
    if let Some(place) = body::url_source(&body) {
        return Err(invalid(format!("{place}: URL sources are not supported")));
    }
    if place.model == "count-tokens" {
        body::model(&body)?;
        let tokens = count(request.body_bytes);
        return Ok(Asked::reply(Script::json(
            200,
            json!({ "input_tokens": tokens }),
        )));
    }
    if body.contains_key("model") {
        return Err(invalid("model: Extra inputs are not permitted"));
    }
    body::require(&body, &["max_tokens"])?;
    if body::streams(&body) != place.stream {
        return Err(invalid(
            "stream: must be true for streamRawPredict, and only for it",
        ));
    }
    let model = String::from_utf8(unescape(place.model)).unwrap_or_default();
    let model = model.split('@').next().unwrap_or_default();
    Ok(Asked::message(place.stream, model))
}

fn authenticate(
    vertex: &Vertex,
    place: &Place<'_>,
    token: Option<&str>,
    gate: &Gate<'_>,
) -> Result<(), Refusal> {
    let message = match gate.standing(token) {
        Standing::Good => {
            let here = vertex
                .location
                .as_deref()
                .is_none_or(|here| here == place.location);
            if place.project == vertex.project && here {
                return Ok(());
            }
            let resource = format!("projects/{}/locations/{}", place.project, place.location);
            return Err(refuse(
                403,
                "PERMISSION_DENIED",
                format!(
                    "Permission 'aiplatform.endpoints.predict' denied on resource \
                     '//aiplatform.googleapis.com/{resource}' (or it may not exist)."
                ),
            ));
        }
        Standing::Missing => {
            "Request is missing required authentication credential. Expected OAuth 2 access token, \
             login cookie or other valid authentication credential."
        }
        Standing::Bad => {
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login \
             cookie or other valid authentication credential."
        }
    };
    Err(refuse(401, "UNAUTHENTICATED", message))
}

fn judge_version(body: &Map<String, Value>) -> Result<(), Refusal> {
    match body.get("anthropic_version").and_then(Value::as_str) {
        Some("vertex-2023-10-16" | "2026-10-21") => Ok(()),
        Some(_) => Err(invalid(
            "anthropic_version: Input should be 'vertex-2023-10-16'",
        )),
        None => Err(invalid("anthropic_version: Field required")),
    }
}

fn judge_betas(vertex: &Vertex, request: &Recorded) -> Result<(), Refusal> {
    let betas = body::header_betas(request);
    let refused = betas.into_iter().find(|beta| {
        vertex
            .refused_betas
            .iter()
            .any(|refused| refused == body::stem(beta))
    });
    match refused {
        None => Ok(()),
        Some(beta) => Err(invalid(format!(
            "Unexpected value(s) `{beta}` for the `anthropic-beta` header."
        ))),
    }
}

/// Returns status code and name of an error that Google words itself; the model's own refusals
/// stay in Anthropic's envelope.
pub(crate) fn google(status: u16, kind: &str) -> Option<(u16, &str)> {
    let own = kind
        .bytes()
        .all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    match kind {
        "authentication_error" => Some((401, "UNAUTHENTICATED")),
        "permission_error" | "billing_error" => Some((403, "PERMISSION_DENIED")),
        "not_found_error" => Some((404, "NOT_FOUND")),
        "rate_limit_error" => Some((429, "RESOURCE_EXHAUSTED")),
        "api_error" => Some((500, "INTERNAL")),
        "overloaded_error" => Some((503, "UNAVAILABLE")),
        "timeout_error" => Some((504, "DEADLINE_EXCEEDED")),
        _ if own => Some((status, kind)),
        _ => None,
    }
}

/// Returns Google's envelope; on a stream's path it is the one element of an array.
pub(crate) fn envelope(
    vertex: &Vertex,
    (status, name): (u16, &str),
    message: &str,
    array: bool,
) -> String {
    let message = format!("{message} (resource project: projects/{})", vertex.project);
    let error = json!({ "error": { "code": status, "message": message, "status": name } });
    let text = format!("{error:#}");
    if array { format!("[{text}\n]") } else { text }
}
