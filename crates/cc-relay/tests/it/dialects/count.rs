//! Tokens are counted by the upstream where it can, and estimated where it cannot.

use super::{ROWS, ask, full_body};

#[tokio::test]
async fn each_counts_or_is_estimated_for() {
    for row in ROWS.iter() {
        let (sim, relay) = row.relay().await;
        let body = full_body(false).replace(",\"max_tokens\":128000", "");
        let answer = ask(&relay, "/v1/messages/count_tokens?beta=true", &body).await;
        let seen = format!(
            "{} {}: {} {}",
            row.name,
            row.settings,
            answer.status,
            answer.text()
        );
        assert_eq!(answer.status, 200, "{seen}");
        assert!(
            answer.json()["input_tokens"].as_u64().unwrap() > 10,
            "{seen}"
        );
        let estimated = ["zai", "kimi", "openrouter", "ollama", "lmstudio"].contains(&row.name);
        assert_eq!(
            answer.header("x-cc-relay-estimated").is_some(),
            estimated,
            "{seen}"
        );
        assert_eq!(sim.requests().is_empty(), estimated, "{seen}");
    }
}
