//! Puts the name that the client asked for into an answer, in place of the upstream's.
//!
//! In: an answer's bytes. Out: the same, but for the value of `model`: in a stream that of
//! `message_start`, else the top level's. It must never hold back more than that takes, nor change
//! anything in an answer that it cannot read.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use relay_core::provider::{Decoder, Undecodable};
use relay_core::request::ModelName;
use relay_core::scan::{Members, member_span};

/// Most bytes that are held until the name is found.
const HELD_LIMIT_BYTES: usize = 64 * 1024;

/// Looks for the name, once.
#[derive(Debug)]
pub(crate) struct Alias {
    asked: ModelName,
    is_stream: bool,
    /// What the dialect's own decoder makes of the bytes first.
    inner: Option<Box<dyn Decoder>>,
    held: BytesMut,
    done: bool,
}

impl Alias {
    pub(crate) fn new(asked: ModelName, is_stream: bool, inner: Option<Box<dyn Decoder>>) -> Self {
        Self {
            asked,
            is_stream,
            inner,
            held: BytesMut::new(),
            done: false,
        }
    }

    /// Passes on what is held, as soon as the name was found or cannot be.
    fn release(&mut self, out: &mut BytesMut) {
        if self.done {
            out.unsplit(self.held.split());
            return;
        }
        let found = if self.is_stream {
            in_stream(&self.held)
        } else {
            in_json(&self.held)
        };
        match found {
            Found::At(range) => {
                self.done = true;
                let name = serde_json::to_vec(self.asked.as_str()).unwrap_or_default();
                out.extend_from_slice(self.held.get(..range.start).unwrap_or_default());
                out.extend_from_slice(&name);
                out.extend_from_slice(self.held.get(range.end..).unwrap_or_default());
                self.held.clear();
            }
            Found::Later if self.held.len() < HELD_LIMIT_BYTES => {}
            Found::Later | Found::Never => {
                self.done = true;
                out.unsplit(self.held.split());
            }
        }
    }
}

impl Decoder for Alias {
    fn push(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<(), Undecodable> {
        let result = if let Some(inner) = &mut self.inner {
            inner.push(bytes, &mut self.held)
        } else {
            self.held.extend_from_slice(bytes);
            Ok(())
        };
        self.release(out);
        result
    }

    fn end(&mut self, out: &mut BytesMut) -> Result<(), Undecodable> {
        self.done = true;
        let result = match &mut self.inner {
            Some(inner) => inner.end(&mut self.held),
            None => Ok(()),
        };
        self.release(out);
        result
    }

    fn ping(&self) -> Option<Bytes> {
        self.inner.as_ref().filter(|_| self.held.is_empty())?.ping()
    }
}

/// Where the name is.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    At(Range<usize>),
    /// More has to come.
    Later,
    /// There is none.
    Never,
}

/// Looks through whole events for `message_start`.
fn in_stream(bytes: &[u8]) -> Found {
    let mut from = 0;
    while let Some(rest) = bytes.get(from..) {
        let Some(length) = memchr::memmem::find(rest, b"\n\n") else {
            return Found::Later;
        };
        let event = rest.get(..length).unwrap_or_default();
        if event.starts_with(b"event: message_start") {
            let Some(data) = memchr::memmem::find(event, b"data:") else {
                return Found::Never;
            };
            let start = from.saturating_add(data).saturating_add(5);
            let json = bytes
                .get(start..from.saturating_add(length))
                .unwrap_or_default();
            let message = member_span(json, b"message");
            let model = message.and_then(|message| {
                let inner = member_span(json.get(message.clone())?, b"model")?;
                let base = start.checked_add(message.start)?;
                Some(base.checked_add(inner.start)?..base.checked_add(inner.end)?)
            });
            return model.map_or(Found::Never, Found::At);
        }
        from = from.saturating_add(length).saturating_add(2);
    }
    Found::Later
}

/// Looks through the members that have come so far.
fn in_json(bytes: &[u8]) -> Found {
    let Ok(members) = Members::of(bytes) else {
        return if bytes.trim_ascii().is_empty() {
            Found::Later
        } else {
            Found::Never
        };
    };
    for member in members {
        match member {
            // A string that is cut has no closing quote: it is no member yet.
            Ok(member) if member.key(bytes).as_ref() == b"model" => return Found::At(member.value),
            Ok(_) => {}
            Err(_) => return Found::Later,
        }
    }
    Found::Never
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, is_stream: bool) -> Vec<String> {
        (0..=text.len())
            .map(|cut| {
                let mut alias = Alias::new(ModelName::new("asked"), is_stream, None);
                let mut out = BytesMut::new();
                let (left, right) = text.as_bytes().split_at(cut);
                alias.push(left, &mut out).unwrap();
                alias.push(right, &mut out).unwrap();
                alias.end(&mut out).unwrap();
                String::from_utf8(out.to_vec()).unwrap()
            })
            .collect()
    }

    #[test]
    fn the_name_is_that_which_was_asked_for_however_it_is_cut() {
        let stream = "event: ping\ndata: {}\n\nevent: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"a\",\"model\":\"theirs\"}}\n\nevent: x\ndata: {\"model\":\"theirs\"}\n\n";
        let expected = stream.replacen("theirs", "asked", 1);
        assert!(said(stream, true).iter().all(|it| *it == expected));
        let json = "{\"id\":\"x\",\"content\":[{\"model\":\"theirs\"}], \"model\" : \"their\\u0073\", \"y\":1}";
        let expected = json.replacen("their\\u0073", "asked", 1);
        assert!(
            said(json, false).iter().all(|it| *it == expected),
            "{:?}",
            said(json, false)
        );
    }

    #[test]
    fn what_has_no_name_passes_as_it_is() {
        for (text, is_stream) in [
            ("event: error\ndata: {}\n\n", true),
            ("event: message_start\ndata: {}\n\n", true),
            ("{\"x\":1}", false),
            ("[]", false),
            ("", false),
        ] {
            assert!(said(text, is_stream).iter().all(|it| it == text), "{text}");
        }
    }
}
