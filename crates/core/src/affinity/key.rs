//! Names for what shares a prompt cache: a session, and a prefix.
//!
//! In: the facts of a request and its body. Out: 64 bits. Only asked for where they are needed, since
//! they read the prefix. They must never read a clock or change with what a client varies from turn
//! to turn: its attribution block, and where its cache breakpoints stand in the first message.

use std::ops::Range;

use memchr::memmem;

use crate::chance;
use crate::estimate;
use crate::request::{Facts, SessionId};
use crate::scan::{Elements, Members, member};

/// The start of the system block that Claude Code strips of its meaning: it differs between requests
/// of one session, and the upstream removes it before it looks for a cached prefix.
const ATTRIBUTION: &[u8] = b"x-anthropic-billing-header:";

/// The least prefix that is worth waiting for, in tokens. The smallest cacheable prefix of most
/// models (<https://platform.claude.com/docs/en/build-with-claude/prompt-caching>, read 2026-11-22).
pub const LEAST_PREFIX_TOKENS: u64 = 1024;

/// Names a session: the requests that follow one another in one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(pub u64);

impl SessionKey {
    /// Returns that of a session that its client has named.
    pub fn of(session: &SessionId) -> Self {
        Self(chance::pair(1, chance::hash(session.as_str().as_bytes())))
    }
}

/// Names a prefix: model, tools and system, which many conversations share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrefixKey(pub u64);

/// Returns the session of a request: by its name, where it has one, else by model, tools, system and
/// what the user said first.
pub fn session_key(facts: &Facts, body: &[u8]) -> SessionKey {
    if let Some(session) = &facts.session {
        return SessionKey::of(session);
    }
    let first = first_user_message(slice(facts.messages.as_ref(), body));
    SessionKey(chance::pair(prefix(facts, body), first))
}

/// Returns the prefix of a request, or `None` if waiting for another to write it gains nothing:
/// no cache breakpoint stands in it, or it is below [`LEAST_PREFIX_TOKENS`].
pub fn prefix_key(facts: &Facts, body: &[u8]) -> Option<PrefixKey> {
    let tools = slice(facts.tools.as_ref(), body);
    let system = slice(facts.system.as_ref(), body);
    // Within a string the quotes would be escaped, so this finds members only.
    let finder = memmem::Finder::new(br#""cache_control""#);
    if finder.find(system).is_none() && finder.find(tools).is_none() {
        return None;
    }
    let model = facts.model.as_ref().map_or("", |model| model.name.as_str());
    let bytes = tools.len().saturating_add(system.len());
    if estimate::by_start_ratio(model, bytes) < LEAST_PREFIX_TOKENS {
        return None;
    }
    Some(PrefixKey(prefix(facts, body)))
}

/// Returns the part of the body that a fact points to; empty if there is none.
fn slice<'a>(span: Option<&Range<usize>>, body: &'a [u8]) -> &'a [u8] {
    span.and_then(|span| body.get(span.clone()))
        .unwrap_or_default()
}

fn prefix(facts: &Facts, body: &[u8]) -> u64 {
    let model = facts.model.as_ref().map_or("", |model| model.name.as_str());
    let tools = chance::hash(slice(facts.tools.as_ref(), body));
    let system = system(slice(facts.system.as_ref(), body));
    let head = chance::pair(2, chance::hash(model.as_bytes()));
    chance::pair(chance::pair(head, tools), system)
}

/// Hashes the system prompt without the first block that holds the attribution.
fn system(system: &[u8]) -> u64 {
    let Ok(blocks) = Elements::of(system) else {
        return chance::hash(system);
    };
    let mut hash = 0;
    let mut seen = false;
    for block in blocks.flatten() {
        let block = system.get(block).unwrap_or_default();
        if !seen && is_attribution(block) {
            seen = true;
            continue;
        }
        hash = chance::pair(hash, chance::hash(block));
    }
    hash
}

fn is_attribution(block: &[u8]) -> bool {
    member(block, b"text")
        .and_then(|text| text.strip_prefix(b"\""))
        .is_some_and(|text| text.starts_with(ATTRIBUTION))
}

/// Hashes what the user said first, whether it is written as a string or as blocks. Breakpoints are
/// left out: a client moves them to the last message with every turn.
fn first_user_message(messages: &[u8]) -> u64 {
    let Ok(messages_found) = Elements::of(messages) else {
        return 0;
    };
    for message in messages_found.flatten() {
        let message = messages.get(message).unwrap_or_default();
        if member(message, b"role") == Some(br#""user""#) {
            return content(member(message, b"content").unwrap_or_default());
        }
    }
    0
}

fn content(content: &[u8]) -> u64 {
    let Ok(blocks) = Elements::of(content) else {
        return chance::pair(0, chance::hash(content));
    };
    let mut hash = 0;
    for block in blocks.flatten() {
        let block = content.get(block).unwrap_or_default();
        hash = chance::pair(hash, self::block(block));
    }
    hash
}

/// Hashes a block without its breakpoint. One of text counts like the bare string.
fn block(block: &[u8]) -> u64 {
    if member(block, b"type") == Some(br#""text""#) {
        return chance::hash(member(block, b"text").unwrap_or_default());
    }
    let Ok(members) = Members::of(block) else {
        return chance::hash(block);
    };
    let mut hash = 0;
    for member in members.flatten() {
        let key = member.key(block);
        if key.as_ref() != b"cache_control" {
            hash = chance::pair(hash, chance::hash(key.as_ref()));
            hash = chance::pair(hash, chance::hash(member.value(block)));
        }
    }
    hash
}

#[cfg(test)]
mod tests;
