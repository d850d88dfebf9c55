//! Performs a script: turns it and the request's few facts into steps that a protocol driver
//! carries out. In: a prepared script; out: [`Step`]s in order. Must never do I/O or wait itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::dialect::{Sender, Spoken, Voice};
use crate::encode::{Cutter, Encoder, Piece, Split};
use crate::fault::{Action, Fault, Trigger};
use crate::grammar::Message;
use crate::script::{Content, Prepared, Script};

/// What an answer needs to know of its request.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) stream: bool,
    pub(crate) model: String,
    pub(crate) request: u64,
    pub(crate) organization: Arc<str>,
    pub(crate) workspace: Arc<str>,
    pub(crate) voice: Voice,
}

/// The head of an answer. Framing headers are the driver's.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// Bytes that the body claims to have; `None` for a stream.
    pub(crate) length: Option<u64>,
}

/// One thing to do on the wire.
#[derive(Debug)]
pub(crate) enum Step {
    Head(Head),
    Data(Piece),
    Wait(Duration),
    /// Nothing more until the client leaves.
    Stall,
    /// The proper end of the body.
    End,
    Reset,
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Delay,
    Head,
    Body,
    Done,
}

/// A script under way.
#[derive(Debug)]
pub(crate) struct Player {
    prepared: Arc<Prepared>,
    facts: Facts,
    /// The error that this answer is, in the dialect's words.
    spoken: Option<Spoken>,
    phase: Phase,
    streamed: bool,
    /// The first event, or the whole encoded body.
    first: Option<Bytes>,
    segment: usize,
    repeated: u64,
    events_made: u64,
    bytes_left: Option<u64>,
    struck: bool,
    encoder: Encoder,
    cutter: Cutter,
    peeked: Option<Piece>,
    /// The last write ended an event or was a deliberate cut, so the gap is due before the next.
    gap_due: bool,
    last: Option<Step>,
}

/// How much more than it sends a short answer claims, in bytes.
const FALSE_CLAIM: u64 = 1024;

impl Player {
    pub(crate) fn new(prepared: Arc<Prepared>, mut facts: Facts) -> Self {
        let prepared = prepared.without_stream_error(facts.stream);
        let script = &prepared.script;
        let (streamed, first, spoken) = opening(script, &mut facts);
        let mut encoder = Encoder::new(script.encoding);
        let first = if streamed {
            first
        } else {
            let whole = [encoder.event(first.unwrap_or_default()), encoder.finish()].concat();
            Some(Bytes::from(whole))
        };
        let bytes_left = match script.fault.as_ref().map(Fault::plan) {
            Some((Trigger::Bytes(n), _)) => Some(n),
            _ => None,
        };
        Self {
            phase: Phase::Delay,
            cutter: Cutter::new(script.split),
            facts,
            spoken,
            streamed,
            first,
            segment: 0,
            repeated: 0,
            events_made: 0,
            bytes_left,
            struck: false,
            encoder,
            peeked: None,
            gap_due: false,
            last: None,
            prepared,
        }
    }

    /// Returns the next step, or `None` after the last.
    pub(crate) fn next(&mut self) -> Option<Step> {
        match self.phase {
            Phase::Delay => {
                self.phase = Phase::Head;
                let delay = self.prepared.script.delay_head;
                if delay.is_zero() {
                    self.next()
                } else {
                    Some(Step::Wait(delay))
                }
            }
            Phase::Head => {
                if let Some((Trigger::Head, action)) = self.plan() {
                    let step = plain_step(action);
                    self.phase = Phase::Done;
                    return Some(step);
                }
                self.phase = Phase::Body;
                Some(Step::Head(self.head()))
            }
            Phase::Body => Some(self.next_body_step()),
            Phase::Done => None,
        }
    }

    /// Returns whether the connection is to be closed after the answer.
    pub(crate) fn then_close(&self) -> bool {
        self.prepared.script.then_close
    }

    fn plan(&self) -> Option<(Trigger, Action<'_>)> {
        self.prepared.script.fault.as_ref().map(Fault::plan)
    }

    fn next_body_step(&mut self) -> Step {
        loop {
            if let Some(piece) = self.peeked.take().or_else(|| self.cutter.pop()) {
                let script = &self.prepared.script;
                if self.gap_due && !script.event_gap.is_zero() {
                    self.gap_due = false;
                    self.peeked = Some(piece);
                    return Step::Wait(script.event_gap);
                }
                let cut = matches!(script.split, Split::At(_) | Split::Chunk(_));
                self.gap_due = cut || piece.events > 0;
                return Step::Data(piece);
            }
            if let Some(step) = self.last.take() {
                self.phase = Phase::Done;
                return step;
            }
            self.fill();
        }
    }

    /// Makes the next event, or strikes, or ends.
    fn fill(&mut self) {
        let prepared = Arc::clone(&self.prepared);
        let plan = prepared.script.fault.as_ref().map(Fault::plan);
        if let Some((trigger, action)) = plan
            && !self.struck
            && (trigger == Trigger::Events(self.events_made) || self.bytes_left == Some(0))
        {
            self.struck = true;
            self.strike(action);
            return;
        }
        if let Some(event) = self.next_event() {
            let event = self.encoder.event(event);
            self.events_made = self.events_made.saturating_add(1);
            self.emit(event, true);
            return;
        }
        let tail = self.encoder.finish();
        self.emit(tail, false);
        if self.bytes_left != Some(0) {
            self.cutter.flush();
            let short = matches!(plan, Some((Trigger::End, _)));
            self.last = Some(if short { Step::Close } else { Step::End });
        }
    }

    fn strike(&mut self, action: Action<'_>) {
        match action {
            Action::Garbage(length) => {
                // 0xFF is nowhere valid in UTF-8.
                self.emit(Bytes::from(vec![0xFF; length]), false);
                return;
            }
            Action::ErrorEvent(kind, message) => {
                let id = request_id(self.facts.request);
                let Some(event) = self.facts.voice.error_event(kind, message, &id) else {
                    // Where no event can say it, the stream breaks.
                    self.cutter.flush();
                    self.last = Some(Step::Close);
                    return;
                };
                let event = self.encoder.event(event);
                self.emit(event, true);
                let tail = self.encoder.finish();
                self.emit(tail, false);
            }
            Action::CleanEnd if self.bytes_left.is_none() => {
                let tail = self.encoder.finish();
                self.emit(tail, false);
            }
            Action::CleanEnd | Action::Stall | Action::Reset | Action::Close => {}
        }
        self.cutter.flush();
        self.last = Some(plain_step(action));
    }

    fn next_event(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        if !self.streamed {
            return None;
        }
        while let Some(segment) = self.prepared.later_events.get(self.segment) {
            if self.repeated < segment.times {
                self.repeated = self.repeated.saturating_add(1);
                match self.facts.voice.event(&segment.bytes) {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            self.repeated = 0;
            self.segment = self.segment.saturating_add(1);
        }
        None
    }

    fn emit(&mut self, mut bytes: Bytes, ends_event: bool) {
        let mut ends_event = ends_event;
        if let Some(left) = &mut self.bytes_left {
            let length = bytes.len() as u64;
            if length > *left {
                bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                ends_event = false;
            }
            *left = left.saturating_sub(length);
        }
        self.cutter.push(bytes, ends_event);
    }

    fn head(&self) -> Head {
        let script = &self.prepared.script;
        let mut headers: Vec<(String, Vec<u8>)> = Vec::with_capacity(8);
        let voice = &self.facts.voice;
        let mut add = |name: &str, value: &str| {
            headers.push((name.to_owned(), value.as_bytes().to_vec()));
        };
        match &script.content {
            Content::Body { content_type, .. } => add("content-type", content_type),
            _ if self.streamed => {
                add("content-type", voice.stream_type());
                add("cache-control", "no-cache");
            }
            Content::Message(_) | Content::Error { .. } | Content::Sse(_) => {
                add("content-type", "application/json");
            }
        }
        if let Some(encoding) = script.encoding {
            add("content-encoding", encoding.name());
        }
        let sender = Sender {
            request_id: &request_id(self.facts.request),
            organization: &self.facts.organization,
            workspace: &self.facts.workspace,
        };
        let of_message = matches!(script.content, Content::Message(_));
        let of_message = of_message.then(|| voice.message_headers());
        let of_error = self.spoken.iter().flat_map(|error| error.headers.clone());
        let own = voice
            .headers(&sender)
            .into_iter()
            .chain(of_message.into_iter().flatten());
        for (name, value) in own.chain(of_error) {
            add(name, &value);
        }
        headers.retain(|(name, _)| {
            !script
                .removed_headers
                .iter()
                .any(|removed| removed.eq_ignore_ascii_case(name))
        });
        headers.extend(script.headers.iter().cloned());
        Head {
            status: self
                .spoken
                .as_ref()
                .map_or(script.status, |error| error.status),
            headers,
            length: self.claimed_length(),
        }
    }

    fn claimed_length(&self) -> Option<u64> {
        let first = self.first.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let plan = self.plan();
        if self.streamed {
            let later = self
                .prepared
                .later_events
                .iter()
                .fold(0_u64, |sum, segment| {
                    let event = self.facts.voice.event(&segment.bytes);
                    let length = event.map_or(0, |event| event.len() as u64);
                    sum.saturating_add(length.saturating_mul(segment.times))
                });
            let total = first.saturating_add(later).saturating_add(FALSE_CLAIM);
            return matches!(plan, Some((Trigger::End, _))).then_some(total);
        }
        Some(match plan {
            Some((Trigger::End, _)) => first.saturating_add(FALSE_CLAIM),
            Some((Trigger::Bytes(n), Action::CleanEnd)) => first.min(n),
            Some((Trigger::Events(0), Action::CleanEnd)) => 0,
            Some((Trigger::Events(0 | 1), Action::Garbage(n))) => first.saturating_add(n as u64),
            _ => first,
        })
    }
}

/// Returns whether events follow, the first event or the whole body, and the error that it is.
fn opening(script: &Script, facts: &mut Facts) -> (bool, Option<Bytes>, Option<Spoken>) {
    match &script.content {
        Content::Message(message) => {
            facts.voice.usage = message.usage;
            let voice = &facts.voice;
            let id = voice.message_id(facts.request);
            let model = message.model.as_deref().unwrap_or(&facts.model);
            if facts.stream {
                let start = Message::start_event(&id, model, voice.start_usage());
                (true, voice.event(&start), None)
            } else {
                (false, Some(message.json_body(&id, model)), None)
            }
        }
        Content::Error {
            kind,
            message,
            details,
        } => {
            let id = request_id(facts.request);
            let error = (kind.as_str(), message.as_str());
            let spoken = facts
                .voice
                .error(script.status, error, details.as_ref(), &id);
            let body = Bytes::from(spoken.body.clone());
            (false, Some(body), Some(spoken))
        }
        Content::Sse(_) => (true, None, None),
        Content::Body { bytes, .. } => (false, Some(bytes.clone()), None),
    }
}

/// Returns the `request-id` of the sim's nth request.
pub(crate) fn request_id(request: u64) -> String {
    format!("req_sim{request:017}")
}

fn plain_step(action: Action<'_>) -> Step {
    match action {
        Action::Stall => Step::Stall,
        Action::Reset => Step::Reset,
        Action::Close => Step::Close,
        Action::CleanEnd | Action::ErrorEvent(..) | Action::Garbage(_) => Step::End,
    }
}
