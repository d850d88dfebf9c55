//! The bytes of Anthropic's answers: SSE events and JSON bodies.
//! In: content blocks and usage numbers; out: exact wire text. Must never read a request or a
//! socket. Keys stand in the order that the API writes them (`type` first), which a JSON map would
//! not keep, so objects are written by hand and only strings and free values go through serde.

use std::fmt::Write as _;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A content block of an assistant message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    /// Plain text, streamed a word at a time.
    Text {
        /// The text; empty text streams no delta.
        text: String,
    },
    /// A tool call, its input streamed as partial JSON.
    ToolUse {
        /// The call's id; made from name and input when empty.
        #[serde(default)]
        id: String,
        /// The tool's name.
        name: String,
        /// The tool's input.
        input: Value,
    },
    /// Visible thinking with its signature.
    Thinking {
        /// The thinking text; may be empty (a signature alone is streamed then).
        thinking: String,
        /// The opaque signature.
        signature: String,
    },
    /// Encrypted thinking, streamed with no delta.
    RedactedThinking {
        /// The opaque data.
        data: String,
    },
}

impl Block {
    /// Returns a text block.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// Returns a tool call whose id is made from its name and input.
    pub fn tool_use(name: impl Into<String>, input: Value) -> Self {
        Self::ToolUse {
            id: String::new(),
            name: name.into(),
            input,
        }
    }

    /// Returns a thinking block.
    pub fn thinking(thinking: impl Into<String>, signature: impl Into<String>) -> Self {
        Self::Thinking {
            thinking: thinking.into(),
            signature: signature.into(),
        }
    }
}

/// The usage numbers of a message, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Usage {
    /// Input after the last cache breakpoint.
    pub input_tokens: u64,
    /// Input written to the 5-minute cache.
    pub cache_creation_5m_input_tokens: u64,
    /// Input written to the 1-hour cache.
    pub cache_creation_1h_input_tokens: u64,
    /// Input read from the cache.
    pub cache_read_input_tokens: u64,
    /// Output, as the last event states it.
    pub output_tokens: u64,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            input_tokens: 12,
            cache_creation_5m_input_tokens: 0,
            cache_creation_1h_input_tokens: 0,
            cache_read_input_tokens: 0,
            output_tokens: 7,
        }
    }
}

impl Usage {
    /// Returns what was written to the cache, of both kinds.
    pub(crate) fn created(&self) -> u64 {
        self.cache_creation_5m_input_tokens
            .saturating_add(self.cache_creation_1h_input_tokens)
    }

    fn full(&self, output_tokens: u64) -> String {
        format!(
            r#"{{"input_tokens":{},"cache_creation_input_tokens":{},"cache_read_input_tokens":{},"cache_creation":{{"ephemeral_5m_input_tokens":{},"ephemeral_1h_input_tokens":{}}},"output_tokens":{output_tokens},"service_tier":"standard"}}"#,
            self.input_tokens,
            self.created(),
            self.cache_read_input_tokens,
            self.cache_creation_5m_input_tokens,
            self.cache_creation_1h_input_tokens,
        )
    }

    fn delta(&self) -> String {
        format!(
            r#"{{"input_tokens":{},"cache_creation_input_tokens":{},"cache_read_input_tokens":{},"output_tokens":{}}}"#,
            self.input_tokens,
            self.created(),
            self.cache_read_input_tokens,
            self.output_tokens,
        )
    }
}

/// An event's bytes and how often it is sent in a row.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) bytes: Bytes,
    pub(crate) times: u64,
}

/// A message to be said, as JSON or as events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) blocks: Vec<Block>,
    pub(crate) usage: Usage,
    pub(crate) stop_reason: Option<String>,
    pub(crate) model: Option<String>,
    /// Extra text deltas: how many, and the text of each.
    pub(crate) repeat: Option<(u64, String)>,
}

/// A drip without end cannot be put in one JSON body; this many copies stand for it there.
const REPEATS_IN_JSON: u64 = 10_000;
/// Characters of one `input_json_delta`.
const PARTIAL_JSON_CHARS: usize = 16;

impl Message {
    /// Returns the blocks with a place for the repeated deltas and with every tool id filled in.
    fn complete_blocks(&self) -> Vec<Block> {
        let mut blocks = self.blocks.clone();
        let has_text = blocks
            .iter()
            .any(|block| matches!(block, Block::Text { .. }));
        if self.repeat.is_some() && !has_text {
            blocks.push(Block::text(""));
        }
        for block in &mut blocks {
            if let Block::ToolUse { id, name, input } = block
                && id.is_empty()
            {
                *id = tool_id(name, input);
            }
        }
        blocks
    }

    fn stop_reason(&self) -> &str {
        let calls_tool = self
            .blocks
            .iter()
            .any(|block| matches!(block, Block::ToolUse { .. }));
        self.stop_reason
            .as_deref()
            .unwrap_or(if calls_tool { "tool_use" } else { "end_turn" })
    }

    /// Returns the first event, the only one that names the request's model and the message's id.
    /// `usage` is what it states of the input, and the output that it claims.
    pub(crate) fn start_event(id: &str, model: &str, usage: (Usage, u64)) -> Bytes {
        event(
            "message_start",
            &format!(
                r#"{{"type":"message_start","message":{{"model":{},"id":{},"type":"message","role":"assistant","content":[],"stop_reason":null,"stop_sequence":null,"usage":{}}}}}"#,
                quote(model),
                quote(id),
                usage.0.full(usage.1),
            ),
        )
    }

    /// Returns every event after `message_start`.
    pub(crate) fn later_events(&self) -> Vec<Segment> {
        let mut out = vec![once(ping())];
        let blocks = self.complete_blocks();
        let last_text = blocks
            .iter()
            .rposition(|block| matches!(block, Block::Text { .. }));
        for (index, block) in blocks.iter().enumerate() {
            out.push(once(block_start(index, block)));
            for delta in block_deltas(block) {
                out.push(once(block_delta(index, &delta)));
            }
            if let Some((times, text)) = &self.repeat
                && Some(index) == last_text
            {
                out.push(Segment {
                    bytes: block_delta(index, &text_delta(text)),
                    times: *times,
                });
            }
            out.push(once(event(
                "content_block_stop",
                &format!(r#"{{"type":"content_block_stop","index":{index}}}"#),
            )));
        }
        out.push(once(event(
            "message_delta",
            &format!(
                r#"{{"type":"message_delta","delta":{{"stop_reason":{},"stop_sequence":null}},"usage":{}}}"#,
                quote(self.stop_reason()),
                self.usage.delta(),
            ),
        )));
        out.push(once(event("message_stop", r#"{"type":"message_stop"}"#)));
        out
    }

    /// Returns the whole message as one JSON body.
    pub(crate) fn json_body(&self, id: &str, model: &str) -> Bytes {
        let mut blocks = self.complete_blocks();
        if let Some((times, repeated)) = &self.repeat {
            let times = usize::try_from((*times).min(REPEATS_IN_JSON)).unwrap_or(0);
            let texts = blocks.iter_mut().rev().find_map(|block| match block {
                Block::Text { text } => Some(text),
                Block::ToolUse { .. } | Block::Thinking { .. } | Block::RedactedThinking { .. } => {
                    None
                }
            });
            if let Some(text) = texts {
                text.push_str(&repeated.repeat(times));
            }
        }
        let content: Vec<String> = blocks.iter().map(whole_block).collect();
        Bytes::from(format!(
            r#"{{"model":{},"id":{},"type":"message","role":"assistant","content":[{}],"stop_reason":{},"stop_sequence":null,"usage":{}}}"#,
            quote(model),
            quote(id),
            content.join(","),
            quote(self.stop_reason()),
            self.usage.full(self.usage.output_tokens),
        ))
    }
}

/// Returns Anthropic's error object as text.
pub(crate) fn error_body(
    kind: &str,
    message: &str,
    details: Option<&Value>,
    request_id: &str,
) -> String {
    let details = details
        .map(|value| format!(r#","details":{value}"#))
        .unwrap_or_default();
    format!(
        r#"{{"type":"error","error":{{"type":{},"message":{}{details}}},"request_id":{}}}"#,
        quote(kind),
        quote(message),
        quote(request_id),
    )
}

/// Returns an `event: error`.
pub(crate) fn error_event(kind: &str, message: &str, request_id: &str) -> Bytes {
    event("error", &error_body(kind, message, None, request_id))
}

fn event(kind: &str, data: &str) -> Bytes {
    Bytes::from(format!("event: {kind}\ndata: {data}\n\n"))
}

fn ping() -> Bytes {
    event("ping", r#"{"type":"ping"}"#)
}

fn once(bytes: Bytes) -> Segment {
    Segment { bytes, times: 1 }
}

/// Returns `text` as a JSON string with its quotes.
pub(crate) fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

fn tool_id(name: &str, input: &Value) -> String {
    let digest = Sha256::new()
        .chain_update(name)
        .chain_update(input.to_string())
        .finalize();
    format!("toolu_01{}", hex(digest.get(..11).unwrap_or_default()))
}

/// Returns lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a String cannot fail.
        if write!(out, "{byte:02x}").is_err() {
            out.clear();
        }
        out
    })
}

fn block_start(index: usize, block: &Block) -> Bytes {
    let empty = match block {
        Block::Text { .. } => r#"{"type":"text","text":""}"#.to_owned(),
        Block::ToolUse { id, name, .. } => format!(
            r#"{{"type":"tool_use","id":{},"name":{},"input":{{}}}}"#,
            quote(id),
            quote(name)
        ),
        Block::Thinking { .. } => r#"{"type":"thinking","thinking":"","signature":""}"#.to_owned(),
        Block::RedactedThinking { .. } => whole_block(block),
    };
    event(
        "content_block_start",
        &format!(r#"{{"type":"content_block_start","index":{index},"content_block":{empty}}}"#),
    )
}

fn block_delta(index: usize, delta: &str) -> Bytes {
    event(
        "content_block_delta",
        &format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#),
    )
}

fn text_delta(text: &str) -> String {
    format!(r#"{{"type":"text_delta","text":{}}}"#, quote(text))
}

fn block_deltas(block: &Block) -> Vec<String> {
    match block {
        Block::Text { text } => text.split_inclusive(' ').map(text_delta).collect(),
        Block::ToolUse { input, .. } => {
            let json: Vec<char> = input.to_string().chars().collect();
            let pieces = json
                .chunks(PARTIAL_JSON_CHARS)
                .map(|piece| piece.iter().collect());
            // The API opens every tool input with an empty piece.
            std::iter::once(String::new())
                .chain(pieces)
                .map(|piece| {
                    format!(
                        r#"{{"type":"input_json_delta","partial_json":{}}}"#,
                        quote(&piece)
                    )
                })
                .collect()
        }
        Block::Thinking {
            thinking,
            signature,
        } => thinking
            .split_inclusive(' ')
            .map(|piece| format!(r#"{{"type":"thinking_delta","thinking":{}}}"#, quote(piece)))
            .chain([format!(
                r#"{{"type":"signature_delta","signature":{}}}"#,
                quote(signature)
            )])
            .collect(),
        Block::RedactedThinking { .. } => Vec::new(),
    }
}

fn whole_block(block: &Block) -> String {
    match block {
        Block::Text { text } => format!(r#"{{"type":"text","text":{}}}"#, quote(text)),
        Block::ToolUse { id, name, input } => format!(
            r#"{{"type":"tool_use","id":{},"name":{},"input":{input}}}"#,
            quote(id),
            quote(name)
        ),
        Block::Thinking {
            thinking,
            signature,
        } => format!(
            r#"{{"type":"thinking","thinking":{},"signature":{}}}"#,
            quote(thinking),
            quote(signature)
        ),
        Block::RedactedThinking { data } => {
            format!(r#"{{"type":"redacted_thinking","data":{}}}"#, quote(data))
        }
    }
}
