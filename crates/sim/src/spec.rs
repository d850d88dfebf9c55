//! The JSON form of a script. In: JSON; out: a [`Script`] or what is wrong. Must never accept a
//! field that it does not use.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::encode::{Encoding, Split};
use crate::fault::Fault;
use crate::grammar::{Block, Usage};
use crate::script::Script;

/// A script as JSON. Exactly one of the first eight fields says what the answer is.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Spec {
    preset: Option<String>,
    text: Option<String>,
    tool_use: Option<ToolUse>,
    thinking: Option<Thinking>,
    blocks: Option<Vec<Block>>,
    json: Option<Value>,
    error: Option<ErrorSpec>,
    raw_sse: Option<Vec<String>>,
    raw: Option<Raw>,

    status: Option<u16>,
    headers: Vec<(String, String)>,
    no_headers: Vec<String>,
    delay_head_ms: u64,
    event_gap_ms: u64,
    repeat_delta: Option<Repeat>,
    split: Option<Split>,
    encoding: Option<Encoding>,
    fault: Option<Fault>,
    then_close: bool,
    before_body: bool,
    usage: Option<Usage>,
    stop_reason: Option<String>,
    model: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolUse {
    name: String,
    input: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Thinking {
    text: String,
    signature: String,
    answer: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorSpec {
    #[serde(rename = "type")]
    kind: String,
    message: String,
    details: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    content_type: String,
    body: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    times: u64,
    text: String,
}

/// What is wrong with a JSON script that parses.
#[derive(Debug, Error)]
enum SpecError {
    #[error(
        "{0} of preset, text, tool_use, thinking, blocks, json, error, raw_sse, raw are given; \
         give exactly one"
    )]
    Contents(usize),
    #[error("no preset `{0}`; there are: {list}", list = Script::presets().join(", "))]
    Preset(String),
    #[error("an `error` needs a `status` of 400 to 599")]
    ErrorStatus,
}

impl TryFrom<Spec> for Script {
    type Error = SpecError;

    fn try_from(spec: Spec) -> Result<Self, SpecError> {
        let mut script = content(&spec)?;
        if let Some(status) = spec.status {
            script = script.status(status);
        }
        for (name, value) in spec.headers {
            script = script.header(name, value);
        }
        for name in spec.no_headers {
            script = script.no_header(name);
        }
        script = script
            .delay_head(Duration::from_millis(spec.delay_head_ms))
            .event_gap(Duration::from_millis(spec.event_gap_ms));
        if let Some(repeat) = spec.repeat_delta {
            script = script.repeat_delta(repeat.times, repeat.text);
        }
        if let Some(usage) = spec.usage {
            script = script.usage(usage);
        }
        if let Some(reason) = spec.stop_reason {
            script = script.stop_reason(reason);
        }
        if let Some(model) = spec.model {
            script = script.model(model);
        }
        if let Some(split) = spec.split {
            script = script.split(split);
        }
        if let Some(encoding) = spec.encoding {
            script = script.encoding(encoding);
        }
        if let Some(fault) = spec.fault {
            script = script.fault(fault);
        }
        if spec.then_close {
            script = script.then_close();
        }
        if spec.before_body {
            script = script.before_body();
        }
        Ok(script)
    }
}

fn content(spec: &Spec) -> Result<Script, SpecError> {
    let mut found: Vec<Script> = Vec::new();
    if let Some(name) = &spec.preset {
        found.push(Script::preset(name).ok_or_else(|| SpecError::Preset(name.clone()))?);
    }
    found.extend(spec.text.as_ref().map(Script::text));
    found.extend(
        spec.tool_use
            .as_ref()
            .map(|t| Script::tool_use(&t.name, t.input.clone())),
    );
    found.extend(
        spec.thinking
            .as_ref()
            .map(|t| Script::thinking(&t.text, &t.signature, &t.answer)),
    );
    found.extend(spec.blocks.clone().map(Script::sequence));
    found.extend(spec.json.clone().map(|value| Script::json(200, value)));
    if let Some(error) = &spec.error {
        let status = spec.status.filter(|status| (400..=599).contains(status));
        let status = status.ok_or(SpecError::ErrorStatus)?;
        let script = Script::error(status, &error.kind, &error.message);
        found.push(match &error.details {
            Some(details) => script.details(details.clone()),
            None => script,
        });
    }
    found.extend(spec.raw_sse.as_ref().map(|writes| {
        Script::raw_sse(
            writes
                .iter()
                .map(|write| Bytes::from(write.clone()))
                .collect(),
        )
    }));
    found.extend(
        spec.raw
            .as_ref()
            .map(|raw| Script::raw(200, &raw.content_type, raw.body.clone())),
    );
    match <[Script; 1]>::try_from(found) {
        Ok([script]) => Ok(script),
        Err(others) => Err(SpecError::Contents(others.len())),
    }
}

impl<'de> Deserialize<'de> for Script {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spec = Spec::deserialize(deserializer)?;
        Self::try_from(spec).map_err(serde::de::Error::custom)
    }
}
