//! The turns of the demo: what is asked, and the exact bytes of each answer.
//!
//! In: a turn's number. Out: the same request and answer every time, so that the one who asks and
//! the one who answers need not talk about it.

use std::time::Duration;

use bytes::Bytes;
use relay_sim::{Fault, Script};
use serde_json::{Value, json};

/// The header by which the made-up upstream knows which turn it answers.
pub(super) const TURN: &str = "x-demo-turn";

/// What a turn shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Tool,
    Thinking,
    Whole,
    Count,
    /// Its stream breaks off in the middle.
    Cut,
    Overloaded,
}

/// The order in which the kinds come.
const CYCLE: [Kind; 14] = [
    Kind::Text,
    Kind::Count,
    Kind::Thinking,
    Kind::Tool,
    Kind::Whole,
    Kind::Text,
    Kind::Cut,
    Kind::Text,
    Kind::Tool,
    Kind::Overloaded,
    Kind::Thinking,
    Kind::Count,
    Kind::Text,
    Kind::Whole,
];

/// How many turns show every kind once.
pub(super) const ALL_KINDS: u64 = CYCLE.len() as u64;

/// How many events of a cut stream go out.
const CUT_AFTER: usize = 9;

/// Tokens, made up.
const INPUT: u64 = 1_204;

/// One turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) number: u64,
    pub(super) kind: Kind,
}

impl Turn {
    /// Returns the turn of this number.
    pub(super) fn new(number: u64) -> Self {
        let place = usize::try_from(number % ALL_KINDS).unwrap_or(0);
        Self {
            number,
            kind: CYCLE.get(place).copied().unwrap_or(Kind::Text),
        }
    }

    /// Returns the path with its query, as Claude Code sends it.
    pub(super) fn path(self) -> &'static str {
        match self.kind {
            Kind::Count => "/v1/messages/count_tokens?beta=true",
            Kind::Text
            | Kind::Tool
            | Kind::Thinking
            | Kind::Whole
            | Kind::Cut
            | Kind::Overloaded => "/v1/messages?beta=true",
        }
    }

    fn model(self) -> &'static str {
        match self.kind {
            Kind::Thinking | Kind::Tool => "claude-opus-5-5",
            Kind::Whole | Kind::Count => "claude-haiku-5-5",
            Kind::Text | Kind::Cut | Kind::Overloaded => "claude-sonnet-5-5",
        }
    }

    /// Returns the request's body.
    pub(super) fn body(self) -> Bytes {
        let question = format!("Turn {}: what does a relay do?", self.number);
        let mut body = json!({
            "model": self.model(),
            "messages": [{"role": "user", "content": question}],
        });
        if let (Some(fields), true) = (body.as_object_mut(), self.kind != Kind::Count) {
            fields.insert("max_tokens".to_owned(), json!(1024));
            fields.insert("stream".to_owned(), json!(self.kind != Kind::Whole));
        }
        Bytes::from(body.to_string())
    }

    /// Returns the answer's body, piece by piece as it is written. Of a cut stream it is what would
    /// have come.
    pub(super) fn answer(self) -> Vec<Bytes> {
        let body = |value: &Value| vec![Bytes::from(value.to_string())];
        match self.kind {
            Kind::Text | Kind::Cut => self.stream(&[text(WORDS)], "end_turn"),
            Kind::Thinking => self.stream(&[thinking(), text(WORDS)], "end_turn"),
            Kind::Tool => self.stream(&[text("I look at the file first."), tool()], "tool_use"),
            Kind::Whole => body(&json!({
                "id": self.id(), "type": "message", "role": "assistant", "model": self.model(),
                "content": [{"type": "text", "text": WORDS}],
                "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": INPUT, "output_tokens": 42},
            })),
            Kind::Count => body(&json!({"input_tokens": INPUT})),
            Kind::Overloaded => body(&json!({
                "type": "error",
                "error": {"type": "overloaded_error", "message": "Overloaded"},
            })),
        }
    }

    /// Returns the script by which the made-up upstream answers.
    pub(super) fn script(self) -> Script {
        let pieces = self.answer();
        match self.kind {
            Kind::Whole | Kind::Count => Script::raw(200, "application/json", pieces.concat()),
            Kind::Overloaded => Script::raw(529, "application/json", pieces.concat()),
            Kind::Text | Kind::Tool | Kind::Thinking => {
                Script::raw_sse(pieces).event_gap(self.gap())
            }
            Kind::Cut => Script::raw_sse(pieces)
                .event_gap(self.gap())
                .fault(Fault::ResetAfterEvents(CUT_AFTER)),
        }
    }

    /// Returns the time between two events: some turns are faster than others.
    fn gap(self) -> Duration {
        Duration::from_millis(10 + self.number % 4 * 10)
    }

    fn id(self) -> String {
        format!("msg_demo{:06}", self.number)
    }

    fn stream(self, blocks: &[Block], stop_reason: &str) -> Vec<Bytes> {
        let mut events = vec![
            event(&json!({"type": "message_start", "message": {
                "id": self.id(), "type": "message", "role": "assistant", "model": self.model(),
                "content": [], "stop_reason": null, "stop_sequence": null,
                "usage": {"input_tokens": INPUT, "cache_read_input_tokens": 88_904, "output_tokens": 1},
            }})),
            event(&json!({"type": "ping"})),
        ];
        let mut tokens = 0_u64;
        for (index, (start, deltas)) in blocks.iter().enumerate() {
            events.push(event(
                &json!({"type": "content_block_start", "index": index, "content_block": start}),
            ));
            for delta in deltas {
                tokens = tokens.saturating_add(1);
                events.push(event(
                    &json!({"type": "content_block_delta", "index": index, "delta": delta}),
                ));
            }
            events.push(event(
                &json!({"type": "content_block_stop", "index": index}),
            ));
        }
        events.push(event(&json!({
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason, "stop_sequence": null},
            "usage": {"output_tokens": tokens},
        })));
        events.push(event(&json!({"type": "message_stop"})));
        events
    }
}

const WORDS: &str = "A relay passes on what it is given: every byte, in order, as soon as it comes. \
    What breaks stays broken, so that whoever listens can tell, and asks again.";

/// A block's start and its deltas.
type Block = (Value, Vec<Value>);

fn text(words: &str) -> Block {
    let deltas = words
        .split_inclusive(' ')
        .map(|word| json!({"type": "text_delta", "text": word}));
    (json!({"type": "text", "text": ""}), deltas.collect())
}

fn thinking() -> Block {
    let words = "The question is short. The answer should be too.";
    let deltas = words
        .split_inclusive(' ')
        .map(|word| json!({"type": "thinking_delta", "thinking": word}));
    let mut deltas: Vec<Value> = deltas.collect();
    deltas.push(json!({"type": "signature_delta", "signature": "bm90IGEgc2lnbmF0dXJl"}));
    (
        json!({"type": "thinking", "thinking": "", "signature": ""}),
        deltas,
    )
}

fn tool() -> Block {
    let parts = ["{\"file_path\"", ": \"/etc/", "hosts\"", "}"];
    let deltas = parts.map(|part| json!({"type": "input_json_delta", "partial_json": part}));
    (
        json!({"type": "tool_use", "id": "toolu_demo", "name": "Read", "input": {}}),
        deltas.to_vec(),
    )
}

fn event(data: &Value) -> Bytes {
    let name = data.get("type").and_then(Value::as_str).unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_the_same_every_time_and_differs_from_the_next() {
        assert_eq!(Turn::new(3).answer(), Turn::new(3).answer());
        assert_ne!(Turn::new(0).answer(), Turn::new(14).answer());
        assert_eq!(Turn::new(0).kind, Turn::new(14).kind);
    }

    #[test]
    fn a_cut_comes_before_the_end() {
        let turn = Turn::new(6);
        assert_eq!(turn.kind, Kind::Cut);
        assert!(turn.answer().len() > CUT_AFTER + 3);
    }
}
