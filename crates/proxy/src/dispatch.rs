//! One attempt: sends a request to a target, waits for the head of its answer, looks at its start.
//!
//! In: the request in the target's dialect, and how much patience there is. Out: an [`Answer`] for
//! the client, or how the attempt failed: a [`Setback`], after which another candidate may be
//! asked, or an error that is the client's to see at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Request, StatusCode, Uri};
use relay_core::error::RelayError;
use relay_core::provider::{Encoded, Provider};
use relay_core::refusal::{Silence, rule_silence};
use relay_core::request::{Inbound, ModelName};
use relay_core::snapshot::Snapshot;
use tokio::time::timeout;

use crate::body::{Cut, RequestBody};
use crate::hold::{Answer, Look, Setback, look};
use crate::pool::{Pool, SendError, Sent};

/// What one exchange with an upstream is held to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds<'a> {
    /// From the request's last byte to the head of the answer.
    pub(crate) first_byte: Duration,
    /// Length of a body that streams through.
    pub(crate) passthrough_bytes: u64,
    /// The dialect of the answer.
    pub(crate) provider: &'a dyn Provider,
    /// What the answer calls the model, where that is not what the upstream calls it.
    pub(crate) alias: Option<&'a ModelName>,
    /// How to look at the answer.
    pub(crate) look: Look,
}

impl<'a> Bounds<'a> {
    /// Returns what the settings say for a request. `replaceable`: another candidate could still
    /// answer; `instructive`: a refusal tells something about a key of the relay's.
    pub(crate) fn of(
        snapshot: &Snapshot,
        provider: &'a dyn Provider,
        inbound: &Inbound,
        (replaceable, instructive): (bool, bool),
    ) -> Self {
        let timeouts = &snapshot.timeouts;
        let first_byte = if inbound.facts.stream {
            timeouts.stream_first_byte
        } else {
            timeouts.first_byte
        };
        Self {
            first_byte,
            passthrough_bytes: snapshot.limits.max_passthrough_bytes,
            provider,
            alias: None,
            look: Look {
                replaceable,
                instructive,
                endpoint: inbound.endpoint,
                first_event: first_byte,
                commit_hold: snapshot.routing.commit_hold,
                gap: timeouts.gap,
                kept_bytes: snapshot.limits.kept_body_bytes,
            },
        }
    }
}

/// How an attempt failed.
pub(crate) enum Fault {
    /// The target refused, failed or fell silent.
    Back(Box<Setback>),
    /// The client or the relay is at fault: nobody else would do better.
    Ours(RelayError),
}

impl From<RelayError> for Fault {
    fn from(error: RelayError) -> Self {
        Self::Ours(error)
    }
}

fn silent(silence: Silence, error: RelayError) -> Fault {
    Fault::Back(Box::new(Setback {
        ruling: rule_silence(silence),
        status: None,
        answer: Err(error),
        lacks: None,
    }))
}

/// Sends, waits for the head of the answer, and looks at it. `uploaded` counts a body that streams
/// through.
pub(crate) async fn dispatch(
    pool: &Arc<Pool>,
    encoded: Encoded,
    body: RequestBody,
    uploaded: Option<Arc<AtomicU64>>,
    bounds: Bounds<'_>,
) -> Result<Box<Answer>, Fault> {
    let path = PathAndQuery::try_from(encoded.path_and_query.as_ref())
        .map_err(|_| RelayError::Internal("the path cannot be sent on"))?;
    let mut request = Request::new(body);
    *request.method_mut() = encoded.method;
    *request.uri_mut() = Uri::from(path);
    *request.headers_mut() = encoded.headers;
    let sent = send(pool, request, uploaded, bounds).await?;
    if sent.response.status() == StatusCode::SWITCHING_PROTOCOLS {
        // Nobody asked for another protocol: the upgrade header stays behind.
        let error = RelayError::Unreachable("it switched protocols unasked".into());
        return Err(silent(Silence::Broken, error));
    }
    let looked = look(sent, (bounds.provider, bounds.alias), bounds.look).await;
    looked.map_err(|setback| Fault::Back(Box::new(setback)))
}

async fn send(
    pool: &Arc<Pool>,
    request: Request<RequestBody>,
    uploaded: Option<Arc<AtomicU64>>,
    bounds: Bounds<'_>,
) -> Result<Sent, Fault> {
    let mut answer = std::pin::pin!(pool.send(request));
    let mut seen = 0;
    let failed = loop {
        match timeout(bounds.first_byte, answer.as_mut()).await {
            Ok(Ok(sent)) => return Ok(sent),
            Ok(Err(failed)) => break failed,
            Err(_) => {}
        }
        // An upload may take longer than an answer; what counts is that it goes on.
        let uploaded = uploaded
            .as_ref()
            .map_or(0, |bytes| bytes.load(Ordering::Relaxed));
        if uploaded == seen {
            let waited = bounds.first_byte;
            return Err(silent(
                Silence::Timeout,
                RelayError::UpstreamTimeout { waited },
            ));
        }
        seen = uploaded;
    };
    let unreachable = RelayError::Unreachable(failed.to_string().into());
    Err(match failed {
        SendError::Body(Cut::TooLong) => Fault::Ours(RelayError::BodyTooLarge {
            limit_bytes: bounds.passthrough_bytes,
        }),
        SendError::Body(Cut::Stalled) => Fault::Ours(RelayError::BodyStalled),
        SendError::Body(Cut::Client | Cut::Broken) => Fault::Ours(RelayError::ClientLeft),
        SendError::Connect(_) => silent(Silence::Unreachable, unreachable),
        SendError::Broken(_) => silent(Silence::Broken, unreachable),
    })
}
