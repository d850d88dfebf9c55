//! Bedrock's event stream as the Messages API's: frames become server-sent events.
//!
//! In: the bytes of an answer. Out: events, each with the JSON that Bedrock's frame carried, as soon
//! as the frame is whole. What Bedrock adds about its own work is taken out. An exception becomes
//! `event: error`; an end without `message_stop` is no end.

use base64_simd::STANDARD;
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use relay_core::error::envelope;
use relay_core::provider::{Decoder, Undecodable};
use relay_core::refusal::Refusal;
use relay_core::scan::member;

use super::frames::{Frame, FrameDecoder};
use crate::errors::Vendor;
use crate::fields::cut;

/// What Bedrock says about its own work, inside `message_stop`.
const METRICS: &str = "amazon-bedrock-invocationMetrics";

const PING: &[u8] = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";

/// Characters of base64 that surely hold the type, where it stands first.
const HEAD_CHARS: usize = 64;

/// Makes events of frames.
#[derive(Debug, Default)]
pub struct BedrockStream {
    frames: FrameDecoder,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    started: bool,
    /// `message_stop` or an error came.
    ended: bool,
    scratch: Vec<u8>,
}

impl Decoder for BedrockStream {
    fn push(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<(), Undecodable> {
        let state = &mut self.state;
        self.frames.push(bytes, |frame| {
            let whole = out.len();
            // Half an event must not go out: what is said behind it would become part of its data.
            state.frame(frame, out).inspect_err(|_| out.truncate(whole))
        })
    }

    fn end(&mut self, _out: &mut BytesMut) -> Result<(), Undecodable> {
        if self.frames.is_within() {
            return Err(Undecodable("it ended within a frame"));
        }
        if !self.state.ended {
            return Err(Undecodable("it ended without message_stop"));
        }
        Ok(())
    }

    fn ping(&self) -> Option<Bytes> {
        // Frames become whole events: between two of them a ping may stand.
        (self.state.started && !self.state.ended).then(|| Bytes::from_static(PING))
    }
}

impl State {
    fn frame(&mut self, frame: Frame<'_>, out: &mut BytesMut) -> Result<(), Undecodable> {
        if self.ended {
            return Ok(());
        }
        match frame.header(":message-type") {
            Some("event") if frame.header(":event-type") == Some("chunk") => {
                self.chunk(frame.payload, out)
            }
            // Other events say nothing that a client of the Messages API could read.
            Some("event") => Ok(()),
            Some("exception") => {
                let name = frame.header(":exception-type").unwrap_or_default();
                self.error(name, frame.payload, out);
                Ok(())
            }
            Some("error") => {
                let name = frame.header(":error-code").unwrap_or_default();
                let message = frame.header(":error-message").unwrap_or_default();
                let body = serde_json::json!({ "message": message }).to_string();
                self.error(name, body.as_bytes(), out);
                Ok(())
            }
            Some(_) | None => Err(Undecodable("a frame is no message")),
        }
    }

    /// `{"bytes": BASE64, "p": PADDING}`.
    fn chunk(&mut self, payload: &[u8], out: &mut BytesMut) -> Result<(), Undecodable> {
        const NO_BYTES: Undecodable = Undecodable("a chunk carries no bytes");
        let value = member(payload, b"bytes").ok_or(NO_BYTES)?;
        let text = value
            .strip_prefix(b"\"")
            .and_then(|value| value.strip_suffix(b"\""))
            .ok_or(NO_BYTES)?;
        if memchr::memchr(b'\\', text).is_some() {
            // A writer of JSON may escape the `/` of base64.
            let text: String = serde_json::from_slice(value).map_err(|_| NO_BYTES)?;
            return self.look(text.as_bytes(), out);
        }
        let mut head = [0; HEAD_CHARS / 4 * 3];
        let chars = text
            .get(..HEAD_CHARS.min(text.len() / 4 * 4))
            .unwrap_or_default();
        let room = head.get_mut(..chars.len() / 4 * 3).unwrap_or_default();
        let head = STANDARD.decode(chars, base64_simd::Out::from_slice(room));
        match head.ok().and_then(|head| first_type(head)) {
            Some(kind) if kind != "message_stop" => {
                let kind = kind.to_owned();
                self.pass(&kind, text, out)
            }
            Some(_) | None => self.look(text, out),
        }
    }

    /// Passes an event whose type is known: its JSON is decoded to where it goes out.
    fn pass(&mut self, kind: &str, text: &[u8], out: &mut BytesMut) -> Result<(), Undecodable> {
        self.note(kind);
        begin(kind, out);
        let from = out.len();
        let room = STANDARD.estimated_decoded_length(text.len());
        out.resize(from.saturating_add(room), 0);
        let tail = out.get_mut(from..).unwrap_or_default();
        let decoded = STANDARD.decode(text, base64_simd::Out::from_slice(tail));
        let length = decoded
            .map_err(|_| Undecodable("a chunk is not base64"))?
            .len();
        out.truncate(from.saturating_add(length));
        one_line(out.get_mut(from..).unwrap_or_default());
        out.put_slice(b"\n\n");
        Ok(())
    }

    /// Passes an event that has to be looked into first.
    fn look(&mut self, text: &[u8], out: &mut BytesMut) -> Result<(), Undecodable> {
        let mut json = std::mem::take(&mut self.scratch);
        json.clear();
        json.resize(STANDARD.estimated_decoded_length(text.len()), 0);
        let decoded = STANDARD.decode(text, base64_simd::Out::from_slice(&mut json));
        let length = decoded
            .map_err(|_| Undecodable("a chunk is not base64"))?
            .len();
        json.truncate(length);
        one_line(&mut json);
        let kind =
            member(&json, b"type").and_then(|kind| serde_json::from_slice::<String>(kind).ok());
        let kind = kind.ok_or(Undecodable("an event has no type"))?;
        if kind.is_empty() || kind.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(Undecodable("an event's type is no name"));
        }
        self.note(&kind);
        begin(&kind, out);
        let mut from = 0;
        for edit in cut(&json, &[METRICS]) {
            out.put_slice(json.get(from..edit.range.start).unwrap_or_default());
            from = edit.range.end;
        }
        out.put_slice(json.get(from..).unwrap_or_default());
        out.put_slice(b"\n\n");
        self.scratch = json;
        Ok(())
    }

    fn note(&mut self, kind: &str) {
        self.started |= kind == "message_start";
        self.ended |= kind == "message_stop" || kind == "error";
    }

    fn error(&mut self, name: &str, payload: &[u8], out: &mut BytesMut) {
        // In a stream the names begin with a small letter.
        let mut letters = name.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        let name: String = first.into_iter().chain(letters).collect();
        let mut headers = HeaderMap::new();
        if let Ok(name) = HeaderValue::from_str(&name) {
            headers.insert("x-amzn-errortype", name);
        }
        let said = Vendor::Aws.translate(&Refusal {
            status: 500,
            headers: &headers,
            body: payload,
            unix: std::time::Duration::ZERO,
        });
        let (kind, message) = said.map_or(("api_error", String::new()), |it| (it.kind, it.message));
        self.ended = true;
        begin("error", out);
        out.put_slice(&envelope(kind, &message, ""));
        out.put_slice(b"\n\n");
    }
}

fn begin(kind: &str, out: &mut BytesMut) {
    out.put_slice(b"event: ");
    out.put_slice(kind.as_bytes());
    out.put_slice(b"\ndata: ");
}

/// Returns the type of an event whose JSON begins with it, as Anthropic writes it.
fn first_type(head: &[u8]) -> Option<&str> {
    let rest = head.strip_prefix(b"{\"type\":\"")?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    let name = std::str::from_utf8(rest.get(..end)?).ok()?;
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    (is_plain && !name.is_empty()).then_some(name)
}

/// Puts JSON on one line: a line break in it can only stand between values.
fn one_line(json: &mut [u8]) {
    if memchr::memchr2(b'\n', b'\r', json).is_some() {
        for byte in json.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
    }
}

#[cfg(test)]
mod tests;
