//! A model of the API's prompt cache
//! (<https://platform.claude.com/docs/en/build-with-claude/prompt-caching>, read 2026-11).
//! In: who asks, for which model, the prompt as hashed blocks or as a body, and the time; out: the
//! [`Usage`] that the API would bill. Must never read a clock, so that days pass in a moment.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::grammar::Usage;
use crate::prompt::segments;

/// How long an entry lives after its last use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// `"5m"`, the default.
    FiveMinutes,
    /// `"1h"`.
    OneHour,
}

impl Ttl {
    /// Returns the life as a duration.
    pub fn life(self) -> Duration {
        match self {
            Self::FiveMinutes => Duration::from_mins(5),
            Self::OneHour => Duration::from_hours(1),
        }
    }

    /// Returns the kind that a `cache_control` object names.
    pub(crate) fn of(control: &RawValue) -> Self {
        #[derive(serde::Deserialize)]
        struct Control<'a> {
            #[serde(borrow, default)]
            ttl: Option<std::borrow::Cow<'a, str>>,
        }
        match serde_json::from_str(control.get()) {
            Ok(Control { ttl: Some(ttl) }) if ttl == "1h" => Self::OneHour,
            _ => Self::FiveMinutes,
        }
    }
}

/// One block of a prompt: a tool, a system block, or a content block of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Stands for the block's bytes: equal hashes are equal blocks.
    pub hash: u64,
    /// The block's length in tokens.
    pub tokens: u64,
    /// Whether the block ends with a `cache_control`, and of which kind.
    pub breakpoint: Option<Ttl>,
}

/// Blocks that one breakpoint checks for an entry, itself included.
const LOOK_BACK_BLOCKS: usize = 20;
/// Entries held before the first search for dead ones.
const FIRST_SWEEP: usize = 4096;

/// Fewest tokens of a prefix that is cached, by part of the model's name; the first match counts.
const MINIMUM_TOKENS: [(&str, u64); 10] = [
    ("opus-5", 512),
    ("fable-5", 512),
    ("mythos-5", 512),
    ("sonnet-5-5", 512),
    ("haiku-5-5", 512),
    ("opus-4-7", 2048),
    ("mythos-preview", 2048),
    ("opus-4-6", 4096),
    ("opus-4-5", 4096),
    ("haiku-4-5", 4096),
];
/// The minimum of a model that the table does not name.
const DEFAULT_MINIMUM_TOKENS: u64 = 1024;

/// Returns the fewest tokens of a prefix that `model` caches.
pub fn minimum_tokens(model: &str) -> u64 {
    let known = MINIMUM_TOKENS.iter().find(|(part, _)| model.contains(part));
    known.map_or(DEFAULT_MINIMUM_TOKENS, |(_, tokens)| *tokens)
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    readable_from: Duration,
    dies_at: Duration,
    life: Duration,
}

impl Entry {
    fn readable(&self, now: Duration) -> bool {
        self.readable_from <= now && now < self.dies_at
    }
}

/// A block's place in a prompt: the hash of all up to it, and their tokens.
#[derive(Clone, Copy, Debug)]
struct Place {
    prefix: u128,
    tokens: u64,
    breakpoint: Option<Ttl>,
}

/// The prompt caches of all workspaces.
#[derive(Debug)]
pub struct PromptCache {
    entries: HashMap<u128, Entry>,
    sweep_at: usize,
}

impl Default for PromptCache {
    fn default() -> Self {
        Self::new()
    }
}

impl PromptCache {
    /// Returns a cache with nothing in it.
    pub fn new() -> Self {
        Self {
            entries: HashMap::new(),
            sweep_at: FIRST_SWEEP,
        }
    }

    /// Bills one prompt whose response begins at once; `now` counts from any fixed start.
    pub fn turn(
        &mut self,
        workspace: &str,
        model: &str,
        segments: &[Segment],
        now: Duration,
    ) -> Usage {
        self.turn_begun(workspace, model, segments, (now, now))
    }

    /// Bills one prompt asked and answered at these two moments: what it writes is readable only
    /// from the second on, so that prompts in flight together each pay for the same prefix.
    ///
    /// The usage has no output tokens.
    pub fn turn_begun(
        &mut self,
        workspace: &str,
        model: &str,
        segments: &[Segment],
        (asked, begun): (Duration, Duration),
    ) -> Usage {
        let places = places(workspace, model, segments);
        let (usage, hit, writes) = self.bill(&places, model, asked);
        let read = places.iter().take(hit.map_or(0, |at| at.saturating_add(1)));
        for (at, place) in read.enumerate() {
            let used = place.breakpoint.is_some() || Some(at) == hit;
            if used && let Some(entry) = self.entries.get_mut(&place.prefix) {
                entry.dies_at = entry.dies_at.max(asked.saturating_add(entry.life));
            }
        }
        for (prefix, ttl) in writes {
            self.write(prefix, ttl, (asked, begun));
        }
        usage
    }

    /// Returns what [`PromptCache::turn`] would bill now, and changes nothing.
    pub fn quote(
        &self,
        workspace: &str,
        model: &str,
        segments: &[Segment],
        now: Duration,
    ) -> Usage {
        self.bill(&places(workspace, model, segments), model, now).0
    }

    /// Returns the bill, the last block read, and what is to be written.
    fn bill(
        &self,
        places: &[Place],
        model: &str,
        now: Duration,
    ) -> (Usage, Option<usize>, Vec<(u128, Ttl)>) {
        let total = places.last().map_or(0, |place| place.tokens);
        let hit = self.longest(places, now);
        let read = hit
            .and_then(|at| places.get(at))
            .map_or(0, |place| place.tokens);
        let mut usage = Usage {
            input_tokens: 0,
            cache_creation_5m_input_tokens: 0,
            cache_creation_1h_input_tokens: 0,
            cache_read_input_tokens: read,
            output_tokens: 0,
        };
        let (mut cached, mut writes) = (read, Vec::new());
        for place in places.iter().skip(hit.map_or(0, |at| at.saturating_add(1))) {
            let Some(ttl) = place.breakpoint else {
                continue;
            };
            if place.tokens < minimum_tokens(model) {
                continue;
            }
            let bill = match ttl {
                Ttl::FiveMinutes => &mut usage.cache_creation_5m_input_tokens,
                Ttl::OneHour => &mut usage.cache_creation_1h_input_tokens,
            };
            *bill = bill.saturating_add(place.tokens.saturating_sub(cached));
            cached = place.tokens;
            writes.push((place.prefix, ttl));
        }
        usage.input_tokens = total.saturating_sub(cached);
        (usage, hit, writes)
    }

    /// Bills a Messages body, or returns `None` if it is no JSON object with a model.
    ///
    /// A token is four bytes of a block. A first system block that begins with
    /// `x-anthropic-billing-header:` is left out, as upstream strips it.
    pub fn message(&mut self, workspace: &str, body: &[u8], now: Duration) -> Option<Usage> {
        self.message_begun(workspace, body, (now, now))
    }

    /// Bills a Messages body asked and answered at these two moments; see
    /// [`PromptCache::turn_begun`].
    pub fn message_begun(
        &mut self,
        workspace: &str,
        body: &[u8],
        moments: (Duration, Duration),
    ) -> Option<Usage> {
        let (model, segments) = segments(body, None)?;
        Some(self.turn_begun(workspace, &model, &segments, moments))
    }

    /// Returns the last place that some breakpoint sees and that can be read.
    fn longest(&self, places: &[Place], now: Duration) -> Option<usize> {
        for (at, place) in places.iter().enumerate().rev() {
            if place.breakpoint.is_none() {
                continue;
            }
            let seen = places.iter().enumerate().take(at.saturating_add(1)).rev();
            for (earlier, place) in seen.take(LOOK_BACK_BLOCKS) {
                let entry = self.entries.get(&place.prefix);
                if entry.is_some_and(|entry| entry.readable(now)) {
                    return Some(earlier);
                }
            }
        }
        None
    }

    fn write(&mut self, prefix: u128, ttl: Ttl, (asked, begun): (Duration, Duration)) {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|_, entry| asked < entry.dies_at);
            self.sweep_at = self.entries.len().saturating_mul(2).max(FIRST_SWEEP);
        }
        let life = ttl.life();
        let fresh = Entry {
            readable_from: begun,
            dies_at: begun.saturating_add(life),
            life,
        };
        let entry = self.entries.entry(prefix).or_insert(fresh);
        if asked < entry.dies_at {
            // Two prompts in flight wrote it: the first answer makes it readable.
            entry.readable_from = entry.readable_from.min(begun);
            entry.dies_at = entry.dies_at.max(fresh.dies_at);
            entry.life = entry.life.max(life);
        } else {
            *entry = fresh;
        }
    }
}

/// Returns the places of a prompt's blocks; workspace and model are part of every prefix.
fn places(workspace: &str, model: &str, segments: &[Segment]) -> Vec<Place> {
    let mut prefix = digest(&[workspace.as_bytes(), model.as_bytes()]);
    let mut tokens = 0_u64;
    let place = |segment: &Segment| {
        prefix = digest(&[&prefix.to_be_bytes(), &segment.hash.to_be_bytes()]);
        tokens = tokens.saturating_add(segment.tokens);
        Place {
            prefix,
            tokens,
            breakpoint: segment.breakpoint,
        }
    };
    segments.iter().map(place).collect()
}

/// Returns a hash of parts, which keeps them apart.
pub(crate) fn digest(parts: &[&[u8]]) -> u128 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let bytes: [u8; 32] = hash.finalize().into();
    bytes
        .iter()
        .take(16)
        .fold(0, |sum, byte| (sum << 8) | u128::from(*byte))
}

#[cfg(test)]
mod tests;
