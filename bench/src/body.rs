//! Request bodies in the shape that Claude Code sends, and whole requests around them.
//!
//! A size in bytes comes in; a body of exactly that size goes out, `model` first, `metadata` late,
//! most of it escaped source code in tool results. Must never depend on chance: two runs send the
//! same bytes.
use std::fmt::Write as _;

use crate::wire::{ANSWER, CLIENT_KEY};

/// Source code with the escapes that make a body dear to scan: quotes, newlines, tabs, backslashes.
const CODE: &str = "fn parse(line: &str) -> Option<(&str, \"error\")> {\n\tlet at = \
line.find(\"\\\\\")?; // C:\\dir\\file\n\tmatch line.split_at(at) {\n\t\t(\"key\", rest) => \
Some((rest, \"error\")),\n\t\t_ => None, // \u{201c}quoted\u{201d} \u{2192} none\n\t}\n}\n";

const TOOL: &str = "Reads a file from the local filesystem. The file_path parameter must be an \
absolute path.\nBy default it reads up to 2000 lines.\n- Results use \"cat -n\" format.\n- You \
can call several tools in one answer.";

/// Returns a JSON body of exactly `bytes` bytes (at least 1,600).
pub(crate) fn claude_code(bytes: usize, stream: bool) -> String {
    let tail = after_messages(bytes, stream);
    let mut body = String::from(
        "{\"model\":\"claude-sonnet-4-5-20250929\",\"messages\":[{\"role\":\"user\",\"content\":\
         [{\"type\":\"text\",\"text\":\"Why does the build fail?\"}]}",
    );
    let result = quoted(&CODE.repeat(8));
    let mut turn = 0;
    while body.len() + tail.len() + result.len() + 600 < bytes {
        put(
            &mut body,
            format_args!(
                ",{{\"role\":\"assistant\",\"content\":[{{\"type\":\"tool_use\",\"id\":\
                 \"toolu_{turn:024}\",\"name\":\"Tool0\",\"input\":{{\"file_path\":\
                 \"/src/part{turn}.rs\"}}}}]}},{{\"role\":\"user\",\"content\":[{{\"type\":\
                 \"tool_result\",\"tool_use_id\":\"toolu_{turn:024}\",\"content\":{result}}}]}}"
            ),
        );
        turn += 1;
    }
    let open = ",{\"role\":\"user\",\"content\":\"";
    let missing = bytes.saturating_sub(body.len() + tail.len() + open.len() + 2);
    body.push_str(open);
    body.extend(
        std::iter::repeat_n("ab cd ef", missing / 8 + 1)
            .flat_map(str::chars)
            .take(missing),
    );
    body.push_str("\"}");
    body + &tail
}

/// Returns what follows the messages: system blocks, tools, and the small fields.
fn after_messages(bytes: usize, stream: bool) -> String {
    let mut tail = String::from("],\"system\":[");
    for block in 0..(bytes / 16_384).clamp(1, 3) {
        let text = if bytes < 8192 {
            "You are Claude Code.".to_owned()
        } else {
            TOOL.repeat(12)
        };
        let (comma, text) = (if block == 0 { "" } else { "," }, quoted(&text));
        put(
            &mut tail,
            format_args!(
                "{comma}{{\"type\":\"text\",\"text\":{text},\"cache_control\":{{\"type\":\
                 \"ephemeral\"}}}}"
            ),
        );
    }
    tail.push_str("],\"tools\":[");
    let description = quoted(TOOL);
    for tool in 0..(bytes / 4096).clamp(1, 24) {
        let comma = if tool == 0 { "" } else { "," };
        put(
            &mut tail,
            format_args!(
                "{comma}{{\"name\":\"Tool{tool}\",\"description\":{description},\
                 \"input_schema\":{{\"type\":\"object\",\"properties\":{{\"file_path\":{{\"type\":\
                 \"string\"}}}},\"required\":[\"file_path\"],\"additionalProperties\":false}}}}"
            ),
        );
    }
    let user = "0a1b2c3d".repeat(8);
    put(
        &mut tail,
        format_args!(
            "],\"metadata\":{{\"user_id\":\"user_{user}_account__session_\
             11111111-2222-4333-8444-555555555555\"}},\"max_tokens\":32000,\"temperature\":1,\
             \"stream\":{stream}}}"
        ),
    );
    tail
}

/// Returns a whole request, head and body, that asks the mock for `answer`.
pub(crate) fn request(bytes: usize, answer: &str) -> Vec<u8> {
    let stream = !answer.starts_with("json");
    let body = claude_code(bytes, stream);
    format!(
        "POST /v1/messages?beta=true HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json\r\n\
         content-type: application/json\r\nuser-agent: claude-cli/2.0.14 (external, cli)\r\n\
         anthropic-version: 2023-06-01\r\n\
         anthropic-beta: claude-code-20250219,interleaved-thinking-2025-05-14\r\n\
         x-app: cli\r\nx-stainless-lang: js\r\nx-stainless-retry-count: 0\r\n\
         x-claude-code-session-id: 11111111-2222-4333-8444-555555555555\r\n\
         x-api-key: {CLIENT_KEY}\r\n{ANSWER}: {answer}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    out.write_fmt(text).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_the_exact_size_and_are_json() {
        for bytes in [2048, 200 * 1024, 2 * 1024 * 1024] {
            let body = claude_code(bytes, true);
            assert_eq!(body.len(), bytes);
            let value: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(value["stream"], true);
            assert!(body.starts_with("{\"model\""));
            assert!(body.find("\"metadata\"").unwrap() > bytes / 2);
        }
    }
}
