//! The cache by tables of made-up time.

use std::time::Duration;

use serde_json::{Value, json};

use super::{PromptCache, Segment, Ttl, minimum_tokens};
use crate::grammar::Usage;

const MODEL: &str = "claude-sonnet-4-6";

fn block(hash: u64, tokens: u64) -> Segment {
    Segment {
        hash,
        tokens,
        breakpoint: None,
    }
}

fn marked(hash: u64, tokens: u64, ttl: Ttl) -> Segment {
    Segment {
        breakpoint: Some(ttl),
        ..block(hash, tokens)
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// (input, written for 5 minutes, written for an hour, read)
fn bill(usage: Usage) -> (u64, u64, u64, u64) {
    (
        usage.input_tokens,
        usage.cache_creation_5m_input_tokens,
        usage.cache_creation_1h_input_tokens,
        usage.cache_read_input_tokens,
    )
}

#[test]
fn a_growing_session_reads_what_it_wrote() {
    let mut cache = PromptCache::new();
    let five = Ttl::FiveMinutes;
    let first = [block(1, 1000), marked(2, 500, five), block(3, 7)];
    let second = [block(1, 1000), block(2, 500), marked(4, 200, five)];
    let turn = |cache: &mut PromptCache, prompt: &[Segment], at| {
        bill(cache.turn("w", MODEL, prompt, secs(at)))
    };
    assert_eq!(turn(&mut cache, &first, 0), (7, 1500, 0, 0));
    assert_eq!(turn(&mut cache, &second, 1), (0, 200, 0, 1500));
    assert_eq!(turn(&mut cache, &second, 2), (0, 0, 0, 1700));
}

#[test]
fn nothing_crosses_workspaces_models_or_changed_blocks() {
    let mut cache = PromptCache::new();
    let prompt = [block(1, 1000), marked(2, 500, Ttl::FiveMinutes)];
    let changed = [block(9, 1000), marked(2, 500, Ttl::FiveMinutes)];
    cache.turn("w", MODEL, &prompt, secs(0));
    for (workspace, model, prompt) in [
        ("other", MODEL, &prompt),
        ("w", "claude-opus-5-5", &prompt),
        ("w", MODEL, &changed),
    ] {
        let usage = cache.turn(workspace, model, prompt, secs(1));
        assert_eq!(bill(usage), (0, 1500, 0, 0), "{workspace} {model}");
    }
}

#[test]
fn an_entry_lives_from_its_last_use() {
    for (ttl, life) in [(Ttl::FiveMinutes, 300), (Ttl::OneHour, 3600)] {
        let mut cache = PromptCache::new();
        let prompt = [marked(1, 2000, ttl)];
        let mut read = |at| {
            cache
                .turn("w", MODEL, &prompt, secs(at))
                .cache_read_input_tokens
        };
        assert_eq!(read(0), 0);
        assert_eq!(read(life - 1), 2000);
        assert_eq!(read(2 * life - 2), 2000, "the use refreshed it");
        assert_eq!(read(3 * life - 2), 0, "dead on the second");
    }
}

#[test]
fn a_write_is_split_by_its_breakpoints() {
    let prompt = [
        marked(1, 2000, Ttl::OneHour),
        marked(2, 300, Ttl::FiveMinutes),
        block(3, 9),
    ];
    let mut cache = PromptCache::new();
    assert_eq!(
        bill(cache.turn("w", MODEL, &prompt, secs(0))),
        (9, 300, 2000, 0)
    );
    // Ten minutes later only the hour's part is left.
    assert_eq!(
        bill(cache.turn("w", MODEL, &prompt, secs(600))),
        (9, 300, 0, 2000)
    );
}

#[test]
fn prompts_in_flight_together_each_pay() {
    let mut cache = PromptCache::new();
    let prompt = [marked(1, 2000, Ttl::FiveMinutes)];
    let mut read = |asked, begun| {
        let moments = (secs(asked), secs(begun));
        let usage = cache.turn_begun("w", MODEL, &prompt, moments);
        usage.cache_read_input_tokens
    };
    assert_eq!(read(0, 5), 0);
    assert_eq!(read(1, 3), 0);
    assert_eq!(read(2, 4), 0);
    assert_eq!(
        read(3, 4),
        2000,
        "the first answer to begin made it readable"
    );
}

#[test]
fn a_breakpoint_sees_twenty_blocks() {
    for (between, read) in [(18, 2000), (19, 0)] {
        let mut cache = PromptCache::new();
        cache.turn("w", MODEL, &[marked(1, 2000, Ttl::FiveMinutes)], secs(0));
        let mut prompt = vec![block(1, 2000)];
        prompt.extend((0..between).map(|at| block(100 + at, 1)));
        prompt.push(marked(2, 1, Ttl::FiveMinutes));
        let usage = cache.turn("w", MODEL, &prompt, secs(1));
        assert_eq!(usage.cache_read_input_tokens, read, "{between} between");
    }
}

#[test]
fn a_short_prefix_is_silently_not_cached() {
    for (model, minimum) in [
        ("claude-sonnet-4-6", 1024),
        ("claude-opus-5-5", 512),
        ("claude-opus-4-7", 2048),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", 4096),
        ("glm-5", 1024),
    ] {
        assert_eq!(minimum_tokens(model), minimum, "{model}");
        for (tokens, wanted) in [
            (minimum - 1, (minimum - 1, 0, 0, 0)),
            (minimum, (0, 0, 0, minimum)),
        ] {
            let mut cache = PromptCache::new();
            let prompt = [marked(1, tokens, Ttl::FiveMinutes)];
            cache.turn("w", model, &prompt, secs(0));
            let usage = cache.turn("w", model, &prompt, secs(1));
            assert_eq!(bill(usage), wanted, "{model} {tokens}");
        }
    }
}

fn body(attribution: &str, edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut body = json!({
        "model": MODEL,
        "tools": [{ "name": "Bash", "description": "t".repeat(4000) }],
        "system": [
            { "type": "text", "text": format!("x-anthropic-billing-header: {attribution}") },
            { "type": "text", "text": "s".repeat(4000), "cache_control": { "type": "ephemeral", "ttl": "1h" } },
        ],
        "messages": [{ "role": "user", "content": [
            { "type": "text", "text": "u".repeat(400), "cache_control": { "type": "ephemeral" } },
        ] }],
    });
    edit(&mut body);
    body.to_string().into_bytes()
}

#[test]
fn a_body_is_billed_by_its_breakpoints() {
    let mut cache = PromptCache::new();
    let first = cache.message("w", &body("a", |_| {}), secs(0)).unwrap();
    let (input, five, hour, read) = bill(first);
    assert_eq!((input, read), (0, 0));
    assert!(hour >= 2000 && (100..120).contains(&five), "{first:?}");
    let all = five + hour;
    let grown = |body: &mut Value| {
        let blocks = body["messages"][0]["content"].as_array_mut().unwrap();
        blocks[0].as_object_mut().unwrap().remove("cache_control");
        blocks.push(json!({ "type": "text", "text": "m".repeat(80) }));
        body["cache_control"] = json!({ "type": "ephemeral" });
    };
    // Another attribution and a moved breakpoint leave the prefix as it was.
    let next = cache.message("w", &body("b", grown), secs(1)).unwrap();
    assert_eq!(bill(next).3, all);
    assert!((20..40).contains(&bill(next).1), "{next:?}");
}

#[test]
fn what_a_change_in_a_body_costs() {
    type Edit = fn(&mut Value);
    // Whether tools and system, and then also the messages, are still read.
    let cases: [(&str, Edit, bool, bool); 6] = [
        ("nothing", |_| {}, true, true),
        ("max_tokens", |b| b["max_tokens"] = json!(5), true, true),
        (
            "tool_choice",
            |b| b["tool_choice"] = json!({ "type": "any" }),
            true,
            false,
        ),
        ("speed", |b| b["speed"] = json!("fast"), false, false),
        (
            "tool",
            |b| b["tools"][0]["name"] = json!("Sh"),
            false,
            false,
        ),
        (
            "role",
            |b| b["messages"][0]["role"] = json!("assistant"),
            true,
            false,
        ),
    ];
    for (name, edit, system, messages) in cases {
        let mut cache = PromptCache::new();
        let first = cache.message("w", &body("a", |_| {}), secs(0)).unwrap();
        let (_, five, hour, _) = bill(first);
        let usage = cache.message("w", &body("a", edit), secs(1)).unwrap();
        let wanted = u64::from(system) * hour + u64::from(messages) * five;
        assert_eq!(usage.cache_read_input_tokens, wanted, "{name}");
    }
}

#[test]
fn a_key_moved_is_another_prefix_and_no_json_is_no_prompt() {
    let text = |block: &str| {
        format!(
            r#"{{"model":"{MODEL}","cache_control":{{}},"messages":[{{"role":"user","content":[{block}]}}]}}"#
        )
    };
    let long = "a".repeat(8000);
    let one = text(&format!(r#"{{"type":"text","text":"{long}"}}"#));
    let moved = text(&format!(r#"{{"text":"{long}","type":"text"}}"#));
    let mut cache = PromptCache::new();
    cache.message("w", one.as_bytes(), secs(0)).unwrap();
    let usage = |cache: &mut PromptCache, body: &str| {
        cache
            .message("w", body.as_bytes(), secs(1))
            .unwrap()
            .cache_read_input_tokens
    };
    assert!(usage(&mut cache, &one) > 2000);
    assert_eq!(usage(&mut cache, &moved), 0);
    assert_eq!(cache.message("w", b"{\"model\":", secs(0)), None);
}
