//! Every type of upstream through sockets, each judged by a simulator that speaks its dialect
//! strictly: a request that the real one would refuse is refused.

mod count;
mod refusals;
mod runtime;
mod turns;

use std::sync::LazyLock;

use relay_sim::{Aws, AwsKey, Dialect, Foundry, Sim, Vendor, Vertex};

use crate::support::{Answer, RELAY_KEY, Relay, post};

/// A type of upstream as the config file names it, and the simulator that speaks for it.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    dialect: fn() -> Dialect,
    /// What the provider's entry has beyond name, type and address.
    pub(crate) settings: &'static str,
    /// The path of its base URL.
    base: &'static str,
    /// The key that the simulator takes, where it is no signature.
    key: Option<&'static str>,
}

fn aws() -> Aws {
    Aws {
        keys: vec![AwsKey::new("AKIDEXAMPLE", "secret-of-the-relay").session_token("session")],
        ..Aws::default()
    }
}

const AWS: &str = "aws_region: us-east-1, aws_access_key_id: AKIDEXAMPLE, aws_secret_access_key: secret-of-the-relay, aws_session_token: session";
const KEY: &str = "key-of-the-relay";
const KEYS: &str = "keys: [{key: key-of-the-relay}]";

/// Every type but `anthropic`, which the other tests are about, and what needs the machine of a
/// cloud to say who it is.
pub(crate) static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let row = |name, dialect, settings, base, key| Row {
        name,
        dialect,
        settings,
        base,
        key,
    };
    vec![
        row("bedrock", || Dialect::Bedrock(aws()), AWS, "", None),
        row(
            "bedrock",
            || Dialect::Bedrock(Aws::default()),
            "aws_region: us-east-1, keys: [{key: key-of-the-relay}]",
            "",
            Some(KEY),
        ),
        row(
            "bedrock",
            || Dialect::Mantle(aws()),
            "runtime: mantle, aws_region: us-east-1, aws_access_key_id: AKIDEXAMPLE, aws_secret_access_key: secret-of-the-relay, aws_session_token: session",
            "/anthropic",
            None,
        ),
        row(
            "vertex",
            || Dialect::Vertex(Vertex::default()),
            "gcp_project_id: PROJECT, gcp_region: us-east5, keys: [{key: key-of-the-relay}]",
            "/v1",
            Some(KEY),
        ),
        row(
            "azure",
            || {
                Dialect::Foundry(Foundry {
                    deployments: vec!["claude-opus-5-5".to_owned()],
                })
            },
            KEYS,
            "/anthropic",
            Some(KEY),
        ),
        row(
            "zai",
            || Vendor::Zai.into(),
            KEYS,
            "/api/anthropic",
            Some(KEY),
        ),
        row(
            "minimax",
            || Vendor::Minimax.into(),
            KEYS,
            "/anthropic",
            Some(KEY),
        ),
        row(
            "kimi",
            || Vendor::Kimi.into(),
            KEYS,
            "/anthropic",
            Some(KEY),
        ),
        row(
            "deepseek",
            || Vendor::Deepseek.into(),
            KEYS,
            "/anthropic",
            Some(KEY),
        ),
        row(
            "openrouter",
            || Vendor::Openrouter.into(),
            "model_mapping: {'*': anthropic/claude-opus-5-5}, keys: [{key: key-of-the-relay}]",
            "/api",
            Some(KEY),
        ),
        row("ollama", || Vendor::Ollama.into(), "", "", None),
        row("vllm", || Vendor::Vllm.into(), KEYS, "", Some(KEY)),
        row(
            "llamacpp",
            || Vendor::Llamacpp.into(),
            KEYS,
            "/v1",
            Some(KEY),
        ),
        row("lmstudio", || Vendor::Lmstudio.into(), "", "", None),
        row("custom", || Vendor::Anthropic.into(), KEYS, "", Some(KEY)),
    ]
});

#[test]
fn every_type_has_a_row() {
    // All other tests are of the first; `turns.rs` speaks to the others by settings of their own.
    let elsewhere = ["anthropic", "claude_aws", "claude_google"];
    let schema = relay_config::schema();
    let types = schema["$defs"]["Kind"]["enum"].as_array().unwrap();
    assert!(types.len() > 10, "the schema was not read: {types:?}");
    for name in types.iter().map(|it| it.as_str().unwrap()) {
        let has_row = ROWS.iter().any(|row| row.name == name);
        assert!(has_row || elsewhere.contains(&name), "{name} is not tried");
    }
}

impl Row {
    /// Finds the first row of a type.
    pub(crate) fn named(name: &str) -> &'static Self {
        ROWS.iter().find(|row| row.name == name).unwrap()
    }

    pub(crate) async fn sim(&self) -> Sim {
        let builder = Sim::builder()
            .dialect((self.dialect)())
            .models(["claude-opus-5-5", "anthropic/claude-opus-5-5"]);
        match self.key {
            Some(key) => builder.accept_keys([key]).start().await.unwrap(),
            // A server of one's own asks for nothing; a signature is judged by the dialect.
            None if self.settings.is_empty() => {
                builder.require_credential(false).start().await.unwrap()
            }
            None => builder.start().await.unwrap(),
        }
    }

    /// Its entry in the config file.
    pub(crate) fn entry(&self, name: &str, sim: &Sim) -> String {
        let settings = self.settings.replace("PROJECT", &Vertex::default().project);
        format!(
            "  - {{name: {name}, type: {}, base_url: '{}{}', proxy: none, {settings}}}\n",
            self.name,
            sim.base_url(),
            self.base,
        )
    }

    /// A relay in front of it alone.
    pub(crate) async fn relay(&self) -> (Sim, Relay) {
        let sim = self.sim().await;
        let yaml = format!(
            "server: {{listen: '127.0.0.1:0', workers: 2, auth: {{api_key: {RELAY_KEY}}}}}\nrouting: {{debug: true}}\nproviders:\n{}",
            self.entry("up", &sim)
        );
        (sim, Relay::of(&yaml))
    }
}

/// A body with what Claude Code sends to everybody (2.1.330, measured).
pub(crate) fn full_body(stream: bool) -> String {
    let stream = if stream { ",\"stream\":true" } else { "" };
    format!(
        r#"{{"model":"claude-opus-5-5","messages":[{{"role":"user","content":[{{"type":"text","text":"hi"}}]}},{{"role":"system","content":[{{"type":"text","text":"a reminder","cache_control":{{"type":"ephemeral"}}}}]}}],"system":[{{"type":"text","text":"x-anthropic-billing-header: cc_version=2.1.330;"}},{{"type":"text","text":"You are","cache_control":{{"type":"ephemeral"}}}}],"tools":[{{"name":"Bash","description":"runs","input_schema":{{"type":"object"}}}},{{"name":"Web","description":"d","input_schema":{{"type":"object"}},"defer_loading":true}}],"metadata":{{"user_id":"{{\"session_id\":\"0c1d\"}}"}},"max_tokens":128000,"thinking":{{"type":"adaptive","display":"updates"}},"context_management":{{"edits":[{{"type":"clear_thinking_20251015","keep":"all"}}]}},"output_config":{{"effort":"medium"}}{stream}}}"#
    )
}

const BETAS: &str = "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,per-turn-control-2026-07-01,mid-conversation-tool-changes-2026-07-01,thinking-token-count-2026-05-13,advanced-tool-use-2025-11-20,effort-2025-11-24,thinking-display-updates-2026-08-18";

/// Sends a request as Claude Code does.
pub(crate) async fn ask(relay: &Relay, path: &str, body: &str) -> Answer {
    let headers = format!(
        "anthropic-version: 2023-06-01\r\nanthropic-beta: {BETAS}\r\naccept-encoding: gzip, br\r\n"
    );
    let request = post(path, &headers, body).replace("sk-ant-own-0123456789", RELAY_KEY);
    relay.send(&request).await
}

pub(crate) async fn turn(relay: &Relay, stream: bool) -> Answer {
    ask(relay, "/v1/messages?beta=true", &full_body(stream)).await
}

/// A relay in front of two, the first first.
pub(crate) fn pair(one: &Sim, first: &Row, other: &Sim, second: &Row) -> Relay {
    Relay::of(&format!(
        "server: {{listen: '127.0.0.1:0', workers: 2, auth: {{api_key: {RELAY_KEY}}}}}\nrouting: {{debug: true}}\nproviders:\n{}{}",
        first.entry("u0", one),
        second.entry("u1", other),
    ))
}
