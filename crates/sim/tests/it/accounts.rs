//! Accounts through a socket. In: keys of shared and separate organisations; out: the usage, limits
//! and refusals that a client sees. Must never depend on how fast the machine is.

use relay_sim::{Account, Limits, Script, Sim, Usage};
use serde_json::{Value, json};

use crate::raw::{Answer, events, send};

fn account(organisation: &str, workspace: &str, limits: Option<Limits>) -> Account {
    Account {
        organisation: organisation.to_owned(),
        workspace: workspace.to_owned(),
        limits,
    }
}

/// A request of about 2,000 tokens of system prompt with a breakpoint, and a short question.
fn request(key: &str, system: &str, stream: bool) -> String {
    let body = json!({
        "model": "claude-sonnet-4-6",
        "stream": stream,
        "system": [{
            "type": "text", "text": system.repeat(8000), "cache_control": { "type": "ephemeral" },
        }],
        "messages": [{ "role": "user", "content": "what is this?" }],
    })
    .to_string();
    format!(
        "POST /v1/messages HTTP/1.1\r\nhost: sim\r\nx-api-key: {key}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn cached(answer: &Answer) -> (u64, u64) {
    let usage: &Value = &answer.json()["usage"];
    let number = |name: &str| usage[name].as_u64().unwrap();
    (
        number("cache_creation_input_tokens"),
        number("cache_read_input_tokens"),
    )
}

#[tokio::test]
async fn keys_of_one_workspace_share_its_cache() {
    let sim = Sim::builder()
        .account("a", account("org", "one", None))
        .account("b", account("org", "one", None))
        .account("c", account("org", "two", None))
        .start()
        .await
        .unwrap();
    let written = cached(&send(&sim, &request("a", "s", false)).await);
    assert!(written.0 > 2000 && written.1 == 0, "{written:?}");
    let shared = send(&sim, &request("b", "s", false)).await;
    assert_eq!(cached(&shared), (0, written.0));
    assert_eq!(shared.header("anthropic-organization-id"), Some("org"));
    assert_eq!(shared.header("anthropic-workspace-id"), Some("one"));
    assert!(shared.header("request-id").is_some());
    let other = send(&sim, &request("c", "s", false)).await;
    assert_eq!(cached(&other), written);
    assert_eq!(other.header("anthropic-workspace-id"), Some("two"));
    // A stream says the same in its first and its last numbers.
    let said = events(&send(&sim, &request("a", "s", true)).await.text());
    let read = &said[0].1["message"]["usage"]["cache_read_input_tokens"];
    assert_eq!(read.as_u64(), Some(written.0));
    let delta = said
        .iter()
        .find(|(name, _)| name == "message_delta")
        .unwrap();
    assert_eq!(&delta.1["usage"]["cache_read_input_tokens"], read);
}

#[tokio::test]
async fn an_organisation_over_its_input_is_refused_and_reads_are_free() {
    // What is lacking takes half a minute to refill: no test is that slow.
    let limits = Limits {
        requests: 1_000_000,
        input_tokens: 3_000,
        output_tokens: 1_000_000,
    };
    let sim = Sim::builder()
        .account("a", account("org", "one", Some(limits)))
        .account("b", account("org", "two", None))
        .account("c", account("else", "three", None))
        .start()
        .await
        .unwrap();
    let first = send(&sim, &request("a", "s", false)).await;
    assert_eq!(first.status(), 200);
    let limit = "anthropic-ratelimit-input-tokens-limit";
    assert_eq!(first.header(limit), Some("3000"));
    let remaining = first.header("anthropic-ratelimit-input-tokens-remaining");
    assert_eq!(remaining, Some("1000"));
    let reset = first.header("anthropic-ratelimit-tokens-reset").unwrap();
    assert!(reset.len() == 20 && reset.ends_with('Z'), "{reset}");
    // The same prompt is read, costs a few tokens, and fits; in the other workspace it does not.
    assert_eq!(send(&sim, &request("a", "s", false)).await.status(), 200);
    let refused = send(&sim, &request("b", "s", false)).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.json()["error"]["type"], "rate_limit_error");
    assert_eq!(refused.header(limit), Some("3000"));
    assert_eq!(refused.header("anthropic-workspace-id"), Some("two"));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..60).contains(&wait), "{wait}");
    assert_eq!(send(&sim, &request("c", "s", false)).await.status(), 200);
}

#[tokio::test]
async fn queued_scripts_and_unknown_keys_are_left_alone() {
    let limits = Limits {
        requests: 0,
        input_tokens: 0,
        output_tokens: 0,
    };
    let sim = Sim::builder()
        .account("a", account("org", "one", Some(limits)))
        .start()
        .await
        .unwrap();
    let usage = Usage {
        input_tokens: 77,
        ..Usage::default()
    };
    sim.push(Script::text("first").usage(usage));
    let queued = send(&sim, &request("a", "s", false)).await;
    assert_eq!(queued.json()["usage"]["input_tokens"], 77);
    assert_eq!(queued.header("anthropic-organization-id"), Some("org"));
    let limit = "anthropic-ratelimit-requests-limit";
    assert_eq!(queued.header(limit), None);
    assert_eq!(send(&sim, &request("a", "s", false)).await.status(), 429);
    let unknown = send(&sim, &request("z", "s", false)).await;
    assert_eq!(unknown.json()["usage"]["input_tokens"], 12);
    assert_eq!(unknown.header(limit), None);
}

#[test]
fn an_account_is_written_in_one_word() {
    let limits = Limits {
        requests: 1,
        input_tokens: 2,
        output_tokens: 3,
    };
    let cases = [
        ("org/w", Some(account("org", "w", None))),
        ("org/w:1,2,3", Some(account("org", "w", Some(limits)))),
        ("org", None),
        ("/w", None),
        ("org/w:1,2", None),
        ("org/w:1,2,x", None),
    ];
    for (text, wanted) in cases {
        assert_eq!(text.parse::<Account>().ok(), wanted, "{text}");
    }
}
