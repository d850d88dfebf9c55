//! Looks into a Messages body as a strict API does. In: the body; out: what such an API would find
//! fault with. Must never forgive: a relay is judged by what the strictest upstream would say.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::dialect::{Refusal, invalid};
use crate::record::Recorded;

/// Returns the body as an object.
///
/// # Errors
/// Anthropic's refusal of what is none.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(invalid("Input should be a valid dictionary")),
        Err(error) => Err(invalid(format!(
            "The request body is not valid JSON: {error}"
        ))),
    }
}

/// The first key that an object has twice.
struct Twice(Option<String>);

impl<'de> Deserialize<'de> for Twice {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Twice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Twice, M::Error> {
                let (mut seen, mut twice) = (HashSet::new(), None);
                while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    if !seen.insert(key.clone()) {
                        twice = twice.or(Some(key));
                    }
                }
                Ok(Twice(twice))
            }
        }
        from.deserialize_map(Reader)
    }
}

/// Returns a top-level key that is there twice, which a lenient parser would not show.
pub(crate) fn duplicate(bytes: &[u8]) -> Option<String> {
    serde_json::from_slice::<Twice>(bytes).ok()?.0
}

/// Requires what every Messages request has.
pub(crate) fn require(body: &Map<String, Value>, fields: &[&str]) -> Result<(), Refusal> {
    match fields.iter().find(|field| !body.contains_key(**field)) {
        Some(missing) => Err(invalid(format!("{missing}: Field required"))),
        None => Ok(()),
    }
}

/// Returns whether the body asks for a stream.
pub(crate) fn streams(body: &Map<String, Value>) -> bool {
    body.get("stream") == Some(&Value::Bool(true))
}

/// Returns the body's model.
pub(crate) fn model(body: &Map<String, Value>) -> Result<&str, Refusal> {
    match body.get("model").and_then(Value::as_str) {
        Some(model) if !model.is_empty() => Ok(model),
        _ => Err(invalid("model: Field required")),
    }
}

/// Returns every content block with the path to it, those in tool results too.
pub(crate) fn blocks(body: &Map<String, Value>) -> Vec<(String, &Map<String, Value>)> {
    let mut out = Vec::new();
    add_blocks("system", body.get("system"), &mut out);
    let messages = body.get("messages").and_then(Value::as_array);
    for (at, message) in messages.into_iter().flatten().enumerate() {
        add_blocks(
            &format!("messages.{at}.content"),
            message.get("content"),
            &mut out,
        );
    }
    out
}

fn add_blocks<'a>(
    place: &str,
    content: Option<&'a Value>,
    out: &mut Vec<(String, &'a Map<String, Value>)>,
) {
    let list = content.and_then(Value::as_array);
    for (at, block) in list.into_iter().flatten().enumerate() {
        if let Value::Object(block) = block {
            let place = format!("{place}.{at}");
            add_blocks(&format!("{place}.content"), block.get("content"), out);
            out.push((place, block));
        }
    }
}

/// Returns a block's type.
pub(crate) fn kind(block: &Map<String, Value>) -> &str {
    block
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Returns the path to the first block whose source is a URL.
pub(crate) fn url_source(body: &Map<String, Value>) -> Option<String> {
    let found = blocks(body).into_iter().find(|(_, block)| {
        block.get("source").and_then(|source| source.get("type")) == Some(&Value::from("url"))
    });
    found.map(|(place, block)| format!("{place}.{}.source", kind(block)))
}

/// Returns position and type of the first tool that only Anthropic's own API runs.
pub(crate) fn server_tool(body: &Map<String, Value>) -> Option<(usize, &str)> {
    const OF_THE_SERVER: [&str; 5] = [
        "web_search_",
        "web_fetch_",
        "code_execution_",
        "mcp_toolset",
        "advisor_",
    ];
    let tools = body.get("tools").and_then(Value::as_array);
    tools
        .into_iter()
        .flatten()
        .enumerate()
        .find_map(|(at, tool)| {
            let kind = tool.get("type").and_then(Value::as_str)?;
            let runs_there = OF_THE_SERVER.iter().any(|prefix| kind.starts_with(prefix));
            runs_there.then_some((at, kind))
        })
}

/// Returns the path to the first `cache_control` key beside `type` and `ttl`.
pub(crate) fn strange_cache_control(body: &Map<String, Value>) -> Option<String> {
    let tools = body.get("tools").and_then(Value::as_array);
    let tools = tools
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(at, tool)| tool.as_object().map(|tool| (format!("tools.{at}"), tool)));
    blocks(body)
        .into_iter()
        .chain(tools)
        .find_map(|(place, block)| {
            let control = block.get("cache_control")?.as_object()?;
            let strange = control
                .keys()
                .find(|key| !matches!(key.as_str(), "type" | "ttl"))?;
            Some(format!("{place}.cache_control.ephemeral.{strange}"))
        })
}

/// Requires the `anthropic-version` header to be one of the API's versions.
pub(crate) fn version_header(request: &Recorded) -> Result<(), Refusal> {
    match request.header("anthropic-version") {
        Some("2023-06-01" | "2026-10-21") => Ok(()),
        Some(other) => Err(invalid(format!(
            "anthropic-version: \"{other}\" is not a valid version"
        ))),
        None => Err(invalid("anthropic-version: header is required")),
    }
}

/// Returns a beta's name without the date at its end.
pub(crate) fn stem(beta: &str) -> &str {
    let is_date = |tail: &str| {
        tail.len() == 10
            && tail
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-')
    };
    let cut = beta.len().checked_sub(11).filter(|at| {
        beta.get(*at..)
            .is_some_and(|tail| tail.strip_prefix('-').is_some_and(is_date))
    });
    cut.and_then(|at| beta.get(..at)).unwrap_or(beta)
}

/// Returns the betas of all `anthropic-beta` headers.
pub(crate) fn header_betas(request: &Recorded) -> Vec<&str> {
    let lines = request.header_all("anthropic-beta");
    let betas = lines.into_iter().flat_map(|line| line.split(','));
    betas
        .map(str::trim)
        .filter(|beta| !beta.is_empty())
        .collect()
}
