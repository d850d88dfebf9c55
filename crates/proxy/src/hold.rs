//! Looks at the start of an answer while another candidate could still give one.
//!
//! In: the head of an upstream's answer. Out: an [`Answer`] to deliver, or a [`Setback`] with what
//! it means. It must never hold what nobody could replace, nor hold for longer than it takes to see
//! that the answer has begun: errors follow `message_start` at once, content does not always.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header, response};
use http_body::Frame;
use relay_core::capability::Capability;
use relay_core::error::{RelayError, envelope};
use relay_core::provider::{Decoder, Provider, Translation};
use relay_core::record::ConnectionFacts;
use relay_core::refusal::{self, Next, Refusal, Ruling, Scope, Silence};
use relay_core::request::{Endpoint, ModelName};
use tokio::time::timeout_at;
use tracing::debug;

use crate::alias::Alias;
use crate::clock;
use crate::decode::UpstreamBody;
use crate::observe::{Observer, is_event_stream};
use crate::pool::{Lease, Sent};

/// Most bytes of an answer that are held.
const HOLD_LIMIT_BYTES: usize = 64 * 1024;

/// How long the body of a refusal may take. It is read to know what the refusal means.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(5);

/// An upstream's answer, of which the client has seen nothing yet.
pub(crate) struct Answer {
    /// Its head as it came.
    pub(crate) head: response::Parts,
    /// What was read of its body.
    pub(crate) held: VecDeque<Frame<Bytes>>,
    /// What comes behind that.
    pub(crate) after: After,
    /// The rest.
    pub(crate) body: UpstreamBody,
    /// Has seen what is held.
    pub(crate) observer: Observer,
    /// The connection that carries it.
    pub(crate) lease: Lease,
    /// How that came about.
    pub(crate) connection: ConnectionFacts,
}

/// What comes behind the pieces that are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// The rest of the body, from the upstream.
    Rest,
    /// Its end.
    End,
    /// A break.
    Break,
}

/// An attempt that failed before the client saw anything of it.
pub(crate) struct Setback {
    /// What it means.
    pub(crate) ruling: Ruling,
    /// The status that says it, where the upstream said one, by itself or in an event.
    pub(crate) status: Option<u16>,
    /// The refusal itself, for the client if nobody else answers; or an error of the relay's own.
    pub(crate) answer: Result<Box<Answer>, RelayError>,
    /// What it says that the target cannot take.
    pub(crate) lacks: Option<Capability>,
}

/// How to look at an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Another candidate could still answer.
    pub(crate) replaceable: bool,
    /// A refusal tells something about a key of the relay's: its body is read as well.
    pub(crate) instructive: bool,
    /// What was asked for.
    pub(crate) endpoint: Endpoint,
    /// How long the first event may take.
    pub(crate) first_event: Duration,
    /// How long to hold after `message_start`; zero for as long as it takes.
    pub(crate) commit_hold: Duration,
    /// Longest silence where the hold has no end of its own.
    pub(crate) gap: Duration,
    /// Bytes of the answer that the history keeps.
    pub(crate) kept_bytes: usize,
}

/// What reading on showed.
enum Step {
    Piece,
    End,
    Break,
    Late,
}

/// The dialect of an answer, and what it is to call the model if not what the upstream calls it.
type Voice<'a> = (&'a dyn Provider, Option<&'a ModelName>);

/// Has an answer call the model by the name that was asked for. A compressed one cannot be changed.
fn named(
    alias: &ModelName,
    head: &mut response::Parts,
    decoder: Option<Box<dyn Decoder>>,
) -> Option<Box<dyn Decoder>> {
    if head.headers.contains_key(header::CONTENT_ENCODING) {
        return decoder;
    }
    head.headers.remove(header::CONTENT_LENGTH);
    let is_stream = is_event_stream(&head.headers);
    Some(Box::new(Alias::new(alias.clone(), is_stream, decoder)))
}

impl Answer {
    fn of(sent: Sent, (provider, alias): Voice<'_>, look: Look) -> Self {
        let endpoint = look.endpoint;
        let (mut head, body) = sent.response.into_parts();
        let is_refusal = head.status.is_client_error() || head.status.is_server_error();
        let decoder = (!is_refusal)
            .then(|| provider.decoder(endpoint, &mut head))
            .flatten();
        let decoder = match alias.filter(|_| !is_refusal && endpoint == Endpoint::Messages) {
            Some(alias) => named(alias, &mut head, decoder),
            None => decoder,
        };
        Self {
            observer: Observer::of(&head.headers, look.kept_bytes),
            head,
            held: VecDeque::new(),
            after: After::Rest,
            body: UpstreamBody::new(body, decoder),
            lease: sent.lease,
            connection: sent.connection,
        }
    }

    fn held_bytes(&self) -> usize {
        let length = |frame: &Frame<Bytes>| frame.data_ref().map_or(0, Bytes::len);
        self.held.iter().map(length).sum()
    }

    /// Returns what is held of a refusal's body, decoded; empty if it cannot be read.
    fn text(&self) -> Vec<u8> {
        let json = self.observer.json();
        if !json.is_empty() {
            return json.to_vec();
        }
        if self.head.headers.contains_key(header::CONTENT_ENCODING) {
            return Vec::new();
        }
        let pieces = self.held.iter().filter_map(Frame::data_ref);
        pieces.flat_map(|piece| piece.iter().copied()).collect()
    }

    /// Says a refusal in Anthropic's words instead.
    fn say(&mut self, translation: &Translation, kept_bytes: usize) {
        let headers = &mut self.head.headers;
        for name in [
            header::CONTENT_LENGTH,
            header::CONTENT_ENCODING,
            header::TRANSFER_ENCODING,
        ] {
            headers.remove(name);
        }
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        if let Some(wait) = translation.retry_after {
            let wait = HeaderValue::from(wait.as_secs());
            headers.entry(header::RETRY_AFTER).or_insert(wait);
        }
        let id = headers.get("request-id").and_then(|id| id.to_str().ok());
        let id = id.unwrap_or_default();
        let body: Bytes = envelope(translation.kind, &translation.message, id).into();
        self.head.status = translation.status;
        self.observer = Observer::of(&self.head.headers, kept_bytes);
        self.observer.chunk(&body);
        self.held = VecDeque::from([Frame::data(body)]);
        self.after = After::End;
    }

    /// Reads one more piece of the body.
    async fn step(&mut self, deadline: Instant) -> Step {
        let body = &mut self.body;
        let next = poll_fn(|cx| body.poll_frame(cx));
        match timeout_at(deadline.into(), next).await {
            Err(_) => Step::Late,
            Ok(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    self.observer.chunk(data);
                }
                self.held.push_back(frame);
                Step::Piece
            }
            Ok(Some(Err(_))) => {
                self.after = After::Break;
                Step::Break
            }
            Ok(None) => {
                self.after = After::End;
                Step::End
            }
        }
    }

    /// Reads a body to its end, as far as the limit and the deadline allow.
    async fn read_on(&mut self, deadline: Instant) -> Step {
        loop {
            match self.step(deadline).await {
                Step::Piece if self.held_bytes() < HOLD_LIMIT_BYTES => {}
                step @ (Step::Piece | Step::End | Step::Break | Step::Late) => return step,
            }
        }
    }
}

/// Looks at an answer, holding it as far as it must be.
pub(crate) async fn look(sent: Sent, voice: Voice<'_>, look: Look) -> Result<Box<Answer>, Setback> {
    let mut answer = Box::new(Answer::of(sent, voice, look));
    let status = answer.head.status;
    if status.is_client_error() || status.is_server_error() {
        return Err(Box::pin(refused(answer, voice.0, look)).await);
    }
    let is_stream = is_event_stream(&answer.head.headers);
    let replaceable = look.replaceable && status == StatusCode::OK;
    match look.endpoint {
        Endpoint::Messages if replaceable && is_stream => Box::pin(hold_stream(answer, look)).await,
        Endpoint::Messages | Endpoint::CountTokens if replaceable => {
            let deadline = later(look.gap);
            match answer.read_on(deadline).await {
                Step::Break => Err(silence(Silence::Broken)),
                Step::End if answer.held.is_empty() => Err(silence(Silence::Empty)),
                Step::Late => Err(silence(Silence::Timeout)),
                Step::End if is_cut_json(answer.observer.json()) => Err(silence(Silence::Broken)),
                Step::Piece | Step::End => Ok(answer),
            }
        }
        Endpoint::Messages | Endpoint::CountTokens | Endpoint::Models | Endpoint::Passthrough => {
            Ok(answer)
        }
    }
}

/// Tells whether a JSON answer ended, however cleanly, before its text did.
fn is_cut_json(text: &[u8]) -> bool {
    !text.is_empty() && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_err()
}

/// Holds a stream until its first content event, or until holding it does more harm than good.
async fn hold_stream(mut answer: Box<Answer>, look: Look) -> Result<Box<Answer>, Setback> {
    let mut deadline = later(look.first_event);
    let mut has_begun = false;
    loop {
        let step = answer.step(deadline).await;
        let Some(facts) = answer.observer.stream_facts() else {
            // Nobody can tell what it says: the client may.
            return Ok(answer);
        };
        if facts.failed && !facts.content {
            let kind = facts.error_type.clone().unwrap_or_default();
            let ruling = refusal::rule_event(&kind);
            if ruling.next == Next::Nobody {
                return Ok(answer);
            }
            return Err(Setback {
                ruling,
                status: Some(refusal::status_of_event(&kind)),
                answer: Ok(answer),
                lacks: None,
            });
        }
        if facts.content || facts.stopped {
            return Ok(answer);
        }
        let events = facts.events;
        match step {
            Step::Late if has_begun && !look.commit_hold.is_zero() => return Ok(answer),
            Step::Late => return Err(silence(Silence::Timeout)),
            Step::End if events == 0 => return Err(silence(Silence::Empty)),
            Step::End | Step::Break => return Err(silence(Silence::Broken)),
            Step::Piece if answer.held_bytes() >= HOLD_LIMIT_BYTES => return Ok(answer),
            Step::Piece => {}
        }
        let begins = !has_begun && answer.observer.stream_facts().is_some_and(|it| it.started);
        has_begun |= begins;
        if has_begun && look.commit_hold.is_zero() {
            deadline = later(look.gap);
        } else if begins {
            deadline = later(look.commit_hold);
        }
    }
}

/// Reads what a refusal says, where that may be of use, and says it in Anthropic's words.
async fn refused(mut answer: Box<Answer>, provider: &dyn Provider, look: Look) -> Setback {
    if look.replaceable || look.instructive || provider.reads_refusals() {
        answer.read_on(later(REFUSAL_PATIENCE)).await;
    }
    let text = answer.text();
    let refusal = Refusal {
        status: answer.head.status.as_u16(),
        headers: &answer.head.headers,
        body: &text,
        unix: clock::unix(),
    };
    let lacks = provider.lacks(&refusal);
    let translation = provider.translate(&refusal);
    let mut ruling = refusal::rule(&refusal);
    if let Some(translation) = translation {
        debug!(
            status = refusal.status,
            text = %String::from_utf8_lossy(&text),
            "a refusal was said in other words"
        );
        answer.say(&translation, look.kept_bytes);
        ruling = refusal::rule(&Refusal {
            status: translation.status.as_u16(),
            headers: &answer.head.headers,
            body: &answer.text(),
            unix: clock::unix(),
        });
        if translation.limits_account && ruling.scope == Scope::Request {
            ruling = refusal::ACCOUNT_LIMIT;
        }
    }
    Setback {
        ruling,
        status: Some(answer.head.status.as_u16()),
        answer: Ok(answer),
        lacks,
    }
}

fn later(wait: Duration) -> Instant {
    let now = clock::now();
    now.checked_add(wait).unwrap_or(now)
}

/// An answer that began and said nothing.
fn silence(silence: Silence) -> Setback {
    let error = match silence {
        Silence::Unreachable => RelayError::Unreachable("no connection".into()),
        Silence::Broken => RelayError::Unreachable("its answer broke off before it began".into()),
        Silence::Empty => RelayError::Unreachable("its answer was empty".into()),
        Silence::Timeout => RelayError::Unreachable("its answer stalled before it began".into()),
    };
    Setback {
        ruling: refusal::rule_silence(silence),
        status: None,
        answer: Err(error),
        lacks: None,
    }
}
