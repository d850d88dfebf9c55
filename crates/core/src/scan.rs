//! One pass over a request body for the facts that routing needs.
//!
//! In: the bytes of a JSON object. Out: [`Facts`], with the byte range of each value that may be
//! spliced. It must never change, copy or judge the body: what is between the facts is skipped by
//! structure alone, so a body that an upstream would accept is never refused here for its content.
//!
//! A duplicate key counts as an upstream's parser counts it: the last one wins.

mod cursor;
mod elements;
mod members;
mod skip;

use std::borrow::Cow;
use std::ops::Range;

pub use elements::Elements;
pub use members::{Malformed, Member, Members, member, member_span};

use crate::request::{Facts, ModelField, ModelName, SessionId};

/// Longest model name or session name that is believed, in bytes of JSON text.
const NAME_LIMIT_BYTES: usize = 1024;

/// Reads the facts of a Messages request.
///
/// # Errors
/// [`Malformed`] if the body is not one JSON object by structure. A well-formed object never fails,
/// whatever its members hold; a fact of an unexpected type is taken as absent.
pub fn scan(body: &[u8]) -> Result<Facts, Malformed> {
    let mut facts = Facts::default();
    let mut metadata: Option<Range<usize>> = None;
    for member in Members::of(body)? {
        let member = member?;
        let value = member.value(body);
        match member.key(body).as_ref() {
            b"model" => {
                facts.model = text(value).map(|name| ModelField {
                    name: ModelName::new(name),
                    span: member.value,
                });
            }
            b"stream" => facts.stream = value == b"true",
            b"max_tokens" => facts.max_tokens = whole_number(value),
            b"thinking" => facts.thinking = asks_for_thinking(value),
            b"metadata" => metadata = Some(member.value),
            b"tools" => facts.tools = Some(member.value),
            b"system" => facts.system = Some(member.value),
            b"messages" => facts.messages = Some(member.value),
            _ => {}
        }
    }
    facts.session = metadata.and_then(|span| body.get(span)).and_then(session);
    Ok(facts)
}

/// Unescapes a JSON string of bounded length; `None` for anything else.
fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    if value.len() > NAME_LIMIT_BYTES || value.first() != Some(&b'"') {
        return None;
    }
    let inner = value.get(1..value.len().checked_sub(1)?)?;
    if inner.contains(&b'\\') {
        return serde_json::from_slice::<String>(value).ok().map(Cow::Owned);
    }
    std::str::from_utf8(inner).ok().map(Cow::Borrowed)
}

fn whole_number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Tells whether `thinking` is an object that does not say `"type":"disabled"`.
fn asks_for_thinking(value: &[u8]) -> bool {
    let Ok(members) = Members::of(value) else {
        return false;
    };
    let mut disabled = false;
    for member in members.flatten() {
        if member.key(value).as_ref() == b"type" {
            disabled = member.value(value) == br#""disabled""#;
        }
    }
    !disabled
}

/// Finds the session in `metadata.user_id`, which Claude Code sends as a JSON object inside a
/// string: `{"device_id":"…","account_uuid":"…","session_id":"…"}`.
fn session(metadata: &[u8]) -> Option<SessionId> {
    let mut user_id = None;
    for member in Members::of(metadata).ok()?.flatten() {
        if member.key(metadata).as_ref() == b"user_id" {
            user_id = text(member.value(metadata));
        }
    }
    let user_id = user_id?;
    let inner = user_id.as_bytes();
    let mut session = None;
    for member in Members::of(inner).ok()?.flatten() {
        if member.key(inner).as_ref() == b"session_id" {
            session = text(member.value(inner)).and_then(|name| SessionId::new(&name));
        }
    }
    session
}

#[cfg(test)]
mod tests;
