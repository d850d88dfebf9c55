//! What requests cost by project, as far as clients tell it.

use relay_sim::{Script, Sim};

use crate::support::Home;
use crate::usage::{post, serve_with};

/// Sends a turn that says this, with further header lines.
async fn say(address: &str, text: &str, lines: &str) {
    let body = serde_json::json!({
        "model": "claude-opus-5-5", "max_tokens": 9, "stream": true,
        "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}],
    });
    let answer = post(address, lines, &body.to_string()).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_what_the_client_says_or_where_claude_code_was_started() {
    let sim = Sim::builder().start().await.unwrap();
    let home = Home::new();
    let (served, address) = serve_with(&home, &sim.base_url(), &["--history"], "");
    for _ in 0..5 {
        sim.push(Script::text("hello"));
    }
    let session = |name: &str| format!("x-claude-code-session-id: {name}\r\n");
    let folder =
        "# Environment\n - Primary working directory: /home/ana/shop\n - Platform: linux\n";
    say(&address, folder, &session("4f1c-1")).await;
    // Of the same session, and silent about where.
    say(&address, "name this conversation", &session("4f1c-1")).await;
    let named = "x-cc-relay-project: infra\r\n";
    say(&address, "hi", named).await;
    say(&address, folder, &format!("{}{named}", session("5000-1"))).await;
    say(&address, "hi", "").await;
    let passed = sim.requests();
    assert_eq!(passed.len(), 5);
    let tells = |it: &relay_sim::Recorded| {
        it.headers
            .iter()
            .any(|(name, _)| name == "x-cc-relay-project")
    };
    assert!(!passed.iter().any(tells), "it is for the relay alone");
    served.stop();
    let json = home
        .run(&["usage", "--by", "project", "--json"])
        .expect(0)
        .json();
    let rows = json["data"]["groups"].as_array().unwrap();
    let mut rows: Vec<(String, u64)> = rows
        .iter()
        .map(|row| {
            let name = row["name"].as_str().unwrap().to_owned();
            (name, row["requests"].as_u64().unwrap())
        })
        .collect();
    rows.sort();
    let want = [("", 1), ("/home/ana/shop", 2), ("infra", 2)];
    assert_eq!(rows, want.map(|(name, count)| (name.to_owned(), count)));
}
