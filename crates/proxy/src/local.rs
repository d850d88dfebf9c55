//! The relay's own answers: state, probes, and errors in Anthropic's shape.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode, request};
use http_body::Body as _;
use relay_core::error::{RelayError, Unauthenticated};

use crate::authorize::authorize;
use crate::body::ResponseBody;
use crate::health::{config, health, providers};
use crate::route::Local;
use crate::worker::Worker;

/// `request-id`, as Anthropic names a request in its answers.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// The relay's name for a request, in every answer.
pub(crate) const RELAY_REQUEST_ID: HeaderName = HeaderName::from_static("x-cc-relay-request-id");

const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Answers one of the relay's own endpoints.
pub(crate) fn answer(
    worker: &Worker,
    local: Local,
    head: &request::Parts,
) -> Response<ResponseBody> {
    match local {
        Local::Config => looked(worker, head, config),
        Local::Providers => looked(worker, head, providers),
        Local::Hello => text(StatusCode::OK, "text/plain", "cc-relay\n".to_owned()),
        Local::Live => text(StatusCode::OK, "text/plain", "ok\n".to_owned()),
        Local::Ready if worker.is_draining() => text(
            StatusCode::SERVICE_UNAVAILABLE,
            "text/plain",
            "draining\n".to_owned(),
        ),
        Local::Ready => text(StatusCode::OK, "text/plain", ready(worker)),
        Local::Health => text(StatusCode::OK, "application/json", health(worker)),
    }
}

/// Shows something to those who may look.
fn looked(
    worker: &Worker,
    head: &request::Parts,
    show: impl FnOnce(&Worker) -> String,
) -> Response<ResponseBody> {
    match may_look(worker, head) {
        Ok(()) => text(StatusCode::OK, "application/json", show(worker)),
        Err(error) => refusal(&error, ""),
    }
}

/// Lets clients of the relay's own look at its settings, and everybody where there are none.
fn may_look(worker: &Worker, head: &request::Parts) -> Result<(), RelayError> {
    let view = worker.view();
    let snapshot = view.snapshot();
    let admission = authorize(snapshot, head)?;
    if admission.client.is_some() || snapshot.auth.clients.is_empty() {
        return Ok(());
    }
    Err(RelayError::Unauthenticated(Unauthenticated::Wrong))
}

/// Ready with what is in force, even where something else was wanted.
fn ready(worker: &Worker) -> String {
    match worker.shared.reloads.last().refused {
        None => "ready\n".to_owned(),
        Some(why) => format!("ready, with the configuration before the last: {why}\n"),
    }
}

fn text(status: StatusCode, content_type: &'static str, text: String) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Own(text.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Keeps the body off an answer to HEAD: over HTTP/2 nothing else would, and a client takes data
/// there for an error.
pub(crate) fn for_method(
    mut response: Response<ResponseBody>,
    is_head: bool,
) -> Response<ResponseBody> {
    if is_head && let ResponseBody::Own(body) = response.body_mut() {
        let length = std::mem::take(body).size_hint().lower();
        let length = HeaderValue::from(length);
        response.headers_mut().insert(CONTENT_LENGTH, length);
    }
    response
}

/// Marks a count of tokens that is the relay's estimate.
const ESTIMATED: HeaderName = HeaderName::from_static("x-cc-relay-estimated");

/// Answers a count of tokens by an estimate, and says so.
pub(crate) fn estimate(tokens: u64, request_id: &str) -> Response<ResponseBody> {
    let body = format!("{{\"input_tokens\":{tokens}}}");
    let mut response = text(StatusCode::OK, "application/json", body);
    let headers = response.headers_mut();
    headers.insert(ESTIMATED, HeaderValue::from_static("true"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// Says an error of the relay's own.
pub(crate) fn refusal(error: &RelayError, request_id: &str) -> Response<ResponseBody> {
    let wire = error.wire();
    let mut response = Response::new(ResponseBody::Own(wire.body(request_id).into()));
    *response.status_mut() = wire.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    if let Some(wait) = wire.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    if wire.final_answer {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    response
}
