//! Reads a copy of an event stream: which events passed, whether it ended as it must, what it used.
//!
//! In: the bytes of a `text/event-stream` body, cut anywhere. Out: [`StreamFacts`]. It must never
//! need the bytes to be whole, hold them back, or keep more than [`DATA_LIMIT_BYTES`] of them.
//!
//! Grammar: <https://html.spec.whatwg.org/multipage/server-sent-events.html> (lines end in LF, CR LF
//! or CR; an event ends at an empty line). Events: Anthropic's streaming page, read 2026-11-22.

use memchr::memchr2;

use crate::usage::{MessageDelta, MessageStart, Usage};

/// Most bytes of one event's data that are kept for reading. A `message_start` is about 500 bytes.
pub const DATA_LIMIT_BYTES: usize = 64 * 1024;

/// Longest event name that is told apart.
const NAME_LIMIT_BYTES: usize = 32;

/// The kinds of events that a stream is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// `message_start`: id, model and input usage.
    MessageStart,
    /// `content_block_start`, `content_block_delta` or `content_block_stop`.
    Content,
    /// `message_delta`: stop reason and cumulative usage.
    MessageDelta,
    /// `message_stop`: the only good end.
    MessageStop,
    /// `ping`: keeps the connection warm.
    Ping,
    /// `error`: the upstream gave up after its head was sent.
    Error,
    /// Anything else: passed on, not understood.
    Other,
}

impl EventKind {
    fn of(name: &[u8]) -> Self {
        match name {
            b"message_start" => Self::MessageStart,
            b"content_block_start" | b"content_block_delta" | b"content_block_stop" => {
                Self::Content
            }
            b"message_delta" => Self::MessageDelta,
            b"message_stop" => Self::MessageStop,
            b"ping" => Self::Ping,
            b"error" => Self::Error,
            _ => Self::Other,
        }
    }

    const fn is_read(self) -> bool {
        matches!(self, Self::MessageStart | Self::MessageDelta | Self::Error)
    }
}

/// What a stream has shown so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent fact of the stream"
)]
pub struct StreamFacts {
    /// Events that have ended, of every kind.
    pub events: u64,
    /// Whether `message_start` has passed, readable or not.
    pub started: bool,
    /// Whether a content event has passed.
    pub content: bool,
    /// Whether `message_stop` has passed.
    pub stopped: bool,
    /// Whether an `error` event has passed.
    pub failed: bool,
    /// `error.type` of that event.
    pub error_type: Option<Box<str>>,
    /// The model that answered.
    pub model: Option<Box<str>>,
    /// `stop_reason` of the last `message_delta`.
    pub stop_reason: Option<Box<str>>,
    /// Usage: the last value of each field.
    pub usage: Usage,
    /// Events of interest whose data was too long or no JSON: their usage is not counted.
    pub unread: u64,
}

impl StreamFacts {
    /// Tells whether the upstream said all it had to say. A stream that ends otherwise is broken,
    /// however cleanly its connection closed.
    pub const fn is_whole(&self) -> bool {
        self.stopped || self.failed
    }
}

/// Frames a stream and keeps its facts.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent bit of the framer"
)]
pub struct StreamReader {
    facts: StreamFacts,
    /// The kind named by the current event's `event:` line.
    kind: Option<EventKind>,
    /// The data of the current event, if its kind is read.
    data: Vec<u8>,
    data_overflowed: bool,
    /// Start of a line whose end has not come yet.
    line: Vec<u8>,
    /// The rest of the current line is of no interest.
    skipping: bool,
    /// The line before ended in CR: an LF that follows belongs to it.
    after_cr: bool,
    /// The current event has at least one line.
    in_event: bool,
}

impl StreamReader {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, mut bytes: &[u8]) {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = memchr2(b'\n', b'\r', bytes) {
            let (line, rest) = bytes.split_at(end);
            self.end_line(line);
            self.after_cr = rest == b"\r";
            bytes = match rest {
                [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
                [] => &[],
            };
        }
        self.keep(bytes);
    }

    /// Returns what the stream has shown so far.
    pub const fn facts(&self) -> &StreamFacts {
        &self.facts
    }

    /// Ends the reading.
    pub fn into_facts(self) -> StreamFacts {
        self.facts
    }

    /// Keeps the start of a line for as long as it may matter.
    fn keep(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || self.skipping {
            return;
        }
        self.in_event = true;
        let reads = self.kind.is_some_and(EventKind::is_read);
        let limit = if reads {
            DATA_LIMIT_BYTES.saturating_add("data: ".len())
        } else {
            "event: ".len() + NAME_LIMIT_BYTES
        };
        if self.line.len().saturating_add(bytes.len()) > limit {
            self.skip_line(bytes);
            return;
        }
        self.line.extend_from_slice(bytes);
    }

    /// Gives up on a line that is too long to be kept, but for what it is.
    fn skip_line(&mut self, bytes: &[u8]) {
        let start: Vec<u8> = self.line.iter().chain(bytes).take(6).copied().collect();
        if start.starts_with(b"event:") {
            // No name that is told apart is this long.
            self.kind = Some(EventKind::Other);
        } else if start.starts_with(b"data:") {
            self.data_overflowed |= self.kind.is_some_and(EventKind::is_read);
        }
        self.skipping = true;
        self.line.clear();
    }

    fn end_line(&mut self, rest: &[u8]) {
        if std::mem::take(&mut self.skipping) {
            return;
        }
        if self.line.is_empty() {
            self.take_line(rest);
            return;
        }
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(
            rest.get(..rest.len().min(DATA_LIMIT_BYTES))
                .unwrap_or_default(),
        );
        self.take_line(&line);
        line.clear();
        self.line = line;
    }

    fn take_line(&mut self, line: &[u8]) {
        if line.is_empty() {
            if std::mem::take(&mut self.in_event) {
                self.end_event();
            }
            return;
        }
        self.in_event = true;
        if let Some(name) = line.strip_prefix(b"event:") {
            self.kind = Some(EventKind::of(name.strip_prefix(b" ").unwrap_or(name)));
        } else if let Some(data) = line.strip_prefix(b"data:")
            && self.kind.is_some_and(EventKind::is_read)
        {
            self.take_data(data.strip_prefix(b" ").unwrap_or(data));
        }
    }

    fn take_data(&mut self, data: &[u8]) {
        if self.data.len().saturating_add(data.len()) >= DATA_LIMIT_BYTES {
            self.data_overflowed = true;
            return;
        }
        if !self.data.is_empty() {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(data);
    }

    fn end_event(&mut self) {
        self.facts.events = self.facts.events.saturating_add(1);
        match self.kind.take() {
            Some(EventKind::Content) => self.facts.content = true,
            Some(EventKind::MessageStop) => self.facts.stopped = true,
            Some(kind @ (EventKind::MessageStart | EventKind::MessageDelta | EventKind::Error)) => {
                self.read(kind);
            }
            Some(EventKind::Ping | EventKind::Other) | None => {}
        }
        // Of an event whose name changed on the way, something may be left.
        self.data = Vec::new();
        self.data_overflowed = false;
    }

    fn read(&mut self, kind: EventKind) {
        self.facts.started |= kind == EventKind::MessageStart;
        self.facts.failed |= kind == EventKind::Error;
        let data = std::mem::take(&mut self.data);
        let overflowed = std::mem::take(&mut self.data_overflowed);
        if overflowed || !self.read_data(kind, &data) {
            self.facts.unread = self.facts.unread.saturating_add(1);
        }
        // Three events of a stream are read: nothing is gained by keeping the buffer between them.
    }

    fn read_data(&mut self, kind: EventKind, data: &[u8]) -> bool {
        if kind == EventKind::MessageStart {
            let Ok(start) = serde_json::from_slice::<MessageStart>(data) else {
                return false;
            };
            self.facts.usage.update(&start.message.usage);
            self.facts.model = start.message.model.map(Into::into);
            return true;
        }
        let Ok(delta) = serde_json::from_slice::<MessageDelta>(data) else {
            return false;
        };
        self.facts.usage.update(&delta.usage);
        if let Some(reason) = delta.delta.stop_reason {
            self.facts.stop_reason = Some(reason.into());
        }
        if let Some(kind) = delta.error.kind {
            self.facts.error_type = Some(kind.into());
        }
        true
    }
}

#[cfg(test)]
mod tests;
