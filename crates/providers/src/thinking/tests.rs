//! Cases by table, and `serde_json` as the judge of what is left.

use proptest::prelude::*;
use relay_core::scan::scan;
use serde_json::{Value, json};

use super::*;
use crate::splice::splice;

/// Strips a body; returns the outcome and how many blocks went.
fn strip(body: &str) -> Option<(String, usize)> {
    let body = Bytes::from(body.to_owned());
    let messages = scan(&body).unwrap().messages?;
    let (edits, removed) = strip_thinking(&body, messages)?;
    let stripped = splice(&body, &edits).unwrap();
    Some((String::from_utf8(stripped.to_vec()).unwrap(), removed))
}

fn assistant(content: &str) -> String {
    format!(r#"{{"model":"m", "messages" : [ {{"role":"assistant","content":{content}}} ],"x":1}}"#)
}

const T: &str = r#"{"type":"thinking","thinking":"a, \"b\" ]","signature":"s"}"#;
const R: &str = r#"{"data":"d","type":"redacted_thinking"}"#;
const S: &str = r#"{"type":"text","text":"(thinking removed)"}"#;

#[test]
fn exactly_the_blocks_and_one_comma_each_go() {
    for (before, after, removed) in [
        (format!("[{T},1]"), "[1]".to_owned(), 1),
        (format!("[ {T} , 1 ]"), "[  1 ]".to_owned(), 1),
        (format!("[1,{T}]"), "[1]".to_owned(), 1),
        (format!("[ 1 , {T} ]"), "[ 1  ]".to_owned(), 1),
        (format!("[1,{T},2]"), "[1,2]".to_owned(), 1),
        (format!("[{T},{R},1,{T},2,{R},{T}]"), "[1,2]".to_owned(), 5),
        (format!("[1,\n{R},\n{T}\n]"), "[1\n]".to_owned(), 2),
        (format!("[{T}]"), format!("[{S}]"), 1),
        (format!("[ {T}, {R} ]"), format!("[ {S} ]"), 2),
        (
            r#"[{"type":"th\u0069nking"},{"type":"text","type":"thinking"},{"type":"thinking","type":"text"}]"#.to_owned(),
            r#"[{"type":"thinking","type":"text"}]"#.to_owned(),
            2,
        ),
    ] {
        let found = strip(&assistant(&before)).unwrap();
        assert_eq!(found, (assistant(&after), removed), "{before}");
    }
}

#[test]
fn everything_else_is_left_alone() {
    for body in [
        assistant("[]"),
        assistant(r#"[{"type":"text","text":"thinking"},{"kind":"thinking"},["thinking"],7]"#),
        assistant(r#""thinking""#),
        assistant(r#"[{"type":"tool_use","input":{"type":"thinking"}}]"#),
        format!(r#"{{"messages":[{{"role":"user","content":[{T}]}}]}}"#),
        format!(r#"{{"messages":[{{"content":[{T}]}}]}}"#),
        format!(r#"{{"messages":[{T},7,"x",null]}}"#),
        format!(r#"{{"messages":{{"role":"assistant","content":[{T}]}}}}"#),
        format!(r#"{{"messages":[],"other":[{{"role":"assistant","content":[{T}]}}]}}"#),
        // By structure no array: whoever reads it judges.
        format!(r#"{{"messages":[{{"role":"assistant","content":[{T} 1]}}]}}"#),
        r#"{"model":"m"}"#.to_owned(),
    ] {
        assert_eq!(strip(&body), None, "{body}");
    }
    let body = Bytes::from_static(b"{}");
    assert_eq!(strip_thinking(&body, 0..900), None);
}

#[test]
fn each_message_is_stripped() {
    let body = format!(
        r#"{{"messages":[{{"role":"user","content":"q"}},{{"content":[{T},1],"role":"assistant"}},{{"role":"user","content":[{T}]}},{{"role":"assistant","content":[{R}]}}]}}"#
    );
    let after = format!(
        r#"{{"messages":[{{"role":"user","content":"q"}},{{"content":[1],"role":"assistant"}},{{"role":"user","content":[{T}]}},{{"role":"assistant","content":[{S}]}}]}}"#
    );
    assert_eq!(strip(&body), Some((after, 2)));
}

/// Does the same to a tree.
fn filtered(mut body: Value) -> (Value, usize) {
    let mut removed = 0;
    for message in body["messages"].as_array_mut().unwrap() {
        if message["role"] != "assistant" {
            continue;
        }
        let Some(content) = message["content"].as_array_mut() else {
            continue;
        };
        let before = content.len();
        content.retain(|block| block["type"] != "thinking" && block["type"] != "redacted_thinking");
        removed += before - content.len();
        if content.is_empty() && before > 0 {
            content.push(json!({"type": "text", "text": "(thinking removed)"}));
        }
    }
    (body, removed)
}

fn block() -> impl Strategy<Value = Value> {
    let text = "[a-z\"\\\\\\[\\]{},: \n\u{e9}]{0,30}";
    prop_oneof![
        text.prop_map(|text| json!({"type": "thinking", "thinking": text, "signature": "s"})),
        text.prop_map(|text| json!({"data": text, "type": "redacted_thinking"})),
        text.prop_map(|text| json!({"type": "text", "text": text})),
        text.prop_map(
            |text| json!({"type": "tool_use", "input": {"type": "thinking", text.clone(): [text]}})
        ),
        text.prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
    ]
}

fn message() -> impl Strategy<Value = Value> {
    let role = prop_oneof![2 => Just("assistant"), 1 => Just("user")];
    let content = prop_oneof![
        8 => prop::collection::vec(block(), 0..6).prop_map(Value::from),
        1 => Just(json!("thinking")),
    ];
    (role, content).prop_map(|(role, content)| json!({"role": role, "content": content}))
}

proptest! {
    /// Parsed before and filtered is parsed after.
    #[test]
    fn agrees_with_filtering_the_tree(messages in prop::collection::vec(message(), 0..8), pretty in any::<bool>()) {
        let body = json!({"model": "m", "messages": messages, "tools": [{"type": "thinking"}]});
        let text = if pretty { serde_json::to_string_pretty(&body) } else { serde_json::to_string(&body) }.unwrap();
        let (wanted, removed) = filtered(body);
        match strip(&text) {
            None => prop_assert_eq!(removed, 0),
            Some((stripped, count)) => {
                prop_assert_eq!(count, removed);
                prop_assert!(count > 0);
                prop_assert_eq!(serde_json::from_str::<Value>(&stripped).unwrap(), wanted.clone());
                if !pretty {
                    // serde_json sorts members, so the block of ours alone is written otherwise.
                    let sorted = r#"{"text":"(thinking removed)","type":"text"}"#;
                    prop_assert_eq!(stripped.replace(S, sorted), serde_json::to_string(&wanted).unwrap());
                }
            }
        }
    }

    /// Whatever bytes stand there: nothing panics, and the edits fit.
    #[test]
    fn edits_always_fit(parts in prop::collection::vec(prop_oneof![
        Just("["), Just("]"), Just("{"), Just("}"), Just(","), Just(T), Just(R), Just("\""), Just("1"),
        Just(r#"{"role":"assistant","content":["#), Just("]}"), Just(" ")], 0..24)) {
        let body = Bytes::from(parts.concat());
        if let Some((edits, removed)) = strip_thinking(&body, 0..body.len()) {
            prop_assert!(removed > 0);
            prop_assert!(splice(&body, &edits).is_ok());
        }
    }
}
