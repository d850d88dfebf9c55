//! Cuts a Messages body into the blocks that the prompt cache sees. In: the body's bytes; out: the
//! model and its [`Segment`]s in the order tools, system, messages. Must never normalise a block:
//! a key moved or a space added is another prefix.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::cache::{Segment, Ttl, digest};

/// How the attribution block begins, which upstream takes off before it looks at its cache.
const ATTRIBUTION: &str = "x-anthropic-billing-header:";
/// Bytes of a token, about.
const TOKEN_BYTES: u64 = 4;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tools: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    system: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Vec<Message<'a>>,
    #[serde(borrow, default)]
    cache_control: Option<&'a RawValue>,
    #[serde(borrow, default)]
    speed: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_choice: Option<&'a RawValue>,
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_config: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: &'a RawValue,
}

/// An object's pairs in order, repeats kept.
struct Pairs<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    pairs.push((Cow::Owned(key), value));
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(Reader)
    }
}

/// Returns the model (`named` if the body has none) and the blocks of a body, or `None` if there is
/// no model or the body is none.
pub(crate) fn segments(body: &[u8], named: Option<&str>) -> Option<(String, Vec<Segment>)> {
    let body: Body<'_> = serde_json::from_slice(body).ok()?;
    let model = body.model.as_deref().or(named)?.to_owned();
    // A change of these makes another prefix of all, or of the messages alone.
    let all = raw(body.speed);
    let messages = [body.tool_choice, body.thinking, body.output_config].map(raw);
    let messages = [all, messages[0], messages[1], messages[2]].join("\n");
    let mut out = Vec::new();
    for tool in &body.tools {
        out.push(segment(&["tools", all], tool.get()));
    }
    if let Some(system) = body.system {
        for (at, block) in blocks(system).into_iter().enumerate() {
            if at > 0 || !is_attribution(block) {
                out.push(segment(&["system", all], block));
            }
        }
    }
    for message in &body.messages {
        for block in blocks(message.content) {
            out.push(segment(&["messages", &messages, &message.role], block));
        }
    }
    if let (Some(control), Some(last)) = (body.cache_control, out.last_mut()) {
        last.breakpoint = last.breakpoint.or(Some(Ttl::of(control)));
    }
    Some((model, out))
}

fn raw(value: Option<&RawValue>) -> &str {
    value.map_or("", RawValue::get)
}

/// Returns the blocks of a list, or the one block that a string is.
fn blocks(content: &RawValue) -> Vec<&str> {
    match serde_json::from_str::<Vec<&RawValue>>(content.get()) {
        Ok(list) => list.into_iter().map(RawValue::get).collect(),
        Err(_) => vec![content.get()],
    }
}

fn is_attribution(block: &str) -> bool {
    #[derive(Deserialize)]
    struct Text<'a> {
        #[serde(borrow)]
        text: Cow<'a, str>,
    }
    if let Ok(block) = serde_json::from_str::<Text<'_>>(block) {
        return block.text.starts_with(ATTRIBUTION);
    }
    serde_json::from_str::<String>(block).is_ok_and(|text| text.starts_with(ATTRIBUTION))
}

/// Makes a segment of a block; its `cache_control` says where a prefix ends and is not part of it.
fn segment(place: &[&str], block: &str) -> Segment {
    let mut parts: Vec<&[u8]> = place.iter().map(|part| part.as_bytes()).collect();
    let (mut bytes, mut breakpoint) = (0_u64, None);
    let pairs = serde_json::from_str::<Pairs<'_>>(block);
    if let Ok(Pairs(pairs)) = &pairs {
        for (key, value) in pairs {
            if key == "cache_control" {
                breakpoint = (value.get() != "null").then(|| Ttl::of(value));
            } else {
                parts.extend([key.as_bytes(), value.get().as_bytes()]);
                let length = key.len().saturating_add(value.get().len());
                bytes = bytes.saturating_add(length as u64);
            }
        }
    } else {
        parts.push(block.as_bytes());
        bytes = block.len() as u64;
    }
    Segment {
        hash: u64::try_from(digest(&parts) >> 64).unwrap_or(u64::MAX),
        tokens: (bytes / TOKEN_BYTES).max(1),
        breakpoint,
    }
}
