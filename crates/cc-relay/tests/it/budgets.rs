//! What may be spent: a refusal that ends it, another provider where one has spent its own, and what
//! a reload and the end of a period change.

use std::collections::HashMap;
use std::time::Duration;

use relay_core::spend::{Spent, Sum};
use relay_proxy::clock;
use relay_sim::{Fault, Script, Sim, Usage};

use crate::support::*;

/// So many tokens in one turn.
const TURN: u64 = 1_500;

fn script() -> Script {
    Script::text("hello").usage(Usage {
        input_tokens: 1_000,
        output_tokens: 500,
        ..Usage::default()
    })
}

fn yaml(sims: &[Sim], budgets: &str) -> String {
    let mut yaml = format!(
        "server: {{listen: '127.0.0.1:0', workers: 2, auth: {{keys: [{{name: ana, key: key-of-ana}}, {{name: bo, key: key-of-bo}}]}}}}\nrouting: {{debug: true}}\nbudgets: [{budgets}]\nproviders:\n"
    );
    for (place, sim) in sims.iter().enumerate() {
        let base = sim.base_url();
        let line = format!(
            "  - {{name: u{place}, type: anthropic, base_url: '{base}', proxy: none, accepts_client_credential: false, keys: [{{key: sk-ant-fake-{place}}}]}}\n"
        );
        yaml.push_str(&line);
    }
    yaml
}

async fn ask(relay: &Relay, client: &str, headers: &str) -> Answer {
    let request = post("/v1/messages", headers, &body(true));
    let request = request.replace("sk-ant-own-0123456789", &format!("key-of-{client}"));
    relay.send(&request).await
}

async fn turn_of(relay: &Relay, sim: &Sim, client: &str, headers: &str) -> u16 {
    sim.push(script());
    ask(relay, client, headers).await.status
}

fn turns(sim: &Sim) -> usize {
    let requests = sim.requests();
    requests.iter().filter(|it| it.method == "POST").count()
}

fn apply(relay: &mut Relay, yaml: &str) {
    let mut plan = plan(yaml);
    plan.server.listen = relay.live().plan().server.listen;
    let applied = relay.live().apply(plan);
    applied.unwrap_or_else(|failure| panic!("{failure:?}"));
}

#[tokio::test]
async fn a_client_that_has_spent_its_budget_is_refused_for_good() {
    let sims = [sim().await];
    let budget = format!("{{name: each, per: client_key, tokens: {}}}", TURN * 2);
    let relay = Relay::of(&yaml(&sims, &budget));
    for _ in 0..2 {
        assert_eq!(turn_of(&relay, &sims[0], "ana", "").await, 200);
    }
    let refused = ask(&relay, "ana", "").await;
    assert_eq!((refused.status, turns(&sims[0])), (429, 2));
    assert_eq!(refused.json()["error"]["type"], "billing_error");
    let message = refused.json()["error"]["message"].to_string();
    assert!(
        message.contains("the budget each is spent: 3000 tokens of 3000 tokens a month, client key ana; it begins anew at "),
        "{message}"
    );
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=31 * 86_400).contains(&wait), "{wait}");
    // What costs nothing goes on, and so do others.
    let count = post("/v1/messages/count_tokens", "", &body(false));
    let count = count.replace("sk-ant-own-0123456789", "key-of-ana");
    assert_eq!(relay.send(&count).await.status, 200);
    let batch = post("/v1/messages/batches", "", "{}");
    let batch = batch.replace("sk-ant-own-0123456789", "key-of-ana");
    assert_eq!(relay.send(&batch).await.status, 429);
    assert_eq!(turn_of(&relay, &sims[0], "bo", "").await, 200);
    let records = relay.records.wait(6).await;
    let refused: Vec<_> = records.iter().filter(|it| it.budget.is_some()).collect();
    assert_eq!(refused.len(), 2);
    assert_eq!(refused[0].budget.as_deref(), Some("each"));
    assert_eq!(refused[0].error_type.as_deref(), Some("over_budget"));
    let standings = relay
        .server()
        .witness()
        .board()
        .spend
        .standings(clock::unix());
    let standing = &standings[0];
    assert_eq!((standing.refusals, standing.warnings), (2, 1));
    assert_eq!((standing.subjects, standing.exhausted), (2, 1));
}

#[tokio::test]
async fn a_session_is_stopped_and_another_goes_on() {
    let sims = [sim().await];
    let relay = Relay::of(&yaml(
        &sims,
        "{name: s, per: session, period: day, usd: '0.014'}",
    ));
    let of = |name: &str| format!("x-claude-code-session-id: {name}\r\n");
    assert_eq!(turn_of(&relay, &sims[0], "ana", &of("one")).await, 200);
    relay.records.wait(1).await;
    assert_eq!(ask(&relay, "bo", &of("one")).await.status, 429);
    assert_eq!(turn_of(&relay, &sims[0], "ana", &of("two")).await, 200);
    assert_eq!(turn_of(&relay, &sims[0], "ana", "").await, 200);
    assert_eq!(turn_of(&relay, &sims[0], "ana", "").await, 200);
}

#[tokio::test]
async fn another_provider_serves_where_one_has_spent_its_budget() {
    let sims = [sim().await, sim().await];
    let budget = format!("{{name: p, per: provider, period: week, tokens: {TURN}}}");
    let relay = Relay::of(&yaml(&sims, &budget));
    let session = "x-claude-code-session-id: one\r\n";
    for (place, sim) in sims.iter().enumerate() {
        assert_eq!(turn_of(&relay, sim, "ana", session).await, 200);
        relay.records.wait(place + 1).await;
    }
    assert_eq!((turns(&sims[0]), turns(&sims[1])), (1, 1));
    let refused = ask(&relay, "ana", session).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(refused.json()["error"]["type"], "billing_error");
    assert!(refused.text().contains("provider u"), "{}", refused.text());
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    assert_eq!((turns(&sims[0]), turns(&sims[1])), (1, 1));
}

#[tokio::test]
async fn a_stream_that_broke_off_is_paid_for() {
    let sims = [sim().await];
    let relay = Relay::of(&yaml(&sims, "{name: all, tokens: 1000}"));
    sims[0].push(script().fault(Fault::CloseAfterEvents(3)));
    assert_eq!(ask(&relay, "ana", "").await.end, End::Cut);
    relay.records.wait(1).await;
    assert_eq!(ask(&relay, "bo", "").await.status, 429);
}

#[tokio::test]
async fn a_reload_raises_the_limit_at_once_and_forgets_nothing() {
    let sims = [sim().await];
    let limited = |turns: u64| yaml(&sims, &format!("{{name: all, tokens: {}}}", TURN * turns));
    let mut relay = Relay::of(&limited(1));
    assert_eq!(turn_of(&relay, &sims[0], "ana", "").await, 200);
    relay.records.wait(1).await;
    assert_eq!(ask(&relay, "ana", "").await.status, 429);
    apply(&mut relay, &limited(2));
    assert_eq!(turn_of(&relay, &sims[0], "ana", "").await, 200);
    relay.records.wait(3).await;
    assert_eq!(ask(&relay, "ana", "").await.status, 429);
    apply(&mut relay, &yaml(&sims, ""));
    assert_eq!(turn_of(&relay, &sims[0], "ana", "").await, 200);
}

#[tokio::test]
async fn the_end_of_a_period_frees_who_was_refused() {
    let sims = [sim().await];
    let yaml = yaml(&sims, "{name: all, period: hour, tokens: 100}");
    let relay = Relay::of(&yaml);
    let witness = relay.server().witness();
    let spend = &witness.board().spend;
    // As it was an hour ago: all is spent.
    let before = clock::unix().saturating_sub(Duration::from_hours(1));
    spend.set(Vec::new(), HashMap::new(), before);
    spend.set(plan(&yaml).budgets, HashMap::new(), before);
    let spent = Spent {
        sum: Sum {
            tokens: 100,
            ..Sum::default()
        },
        ..Spent::default()
    };
    assert_eq!(spend.charge(&spent, before).len(), 1);
    assert!(spend.admit(None, None, before).is_err());
    assert_eq!(turn_of(&relay, &sims[0], "ana", "").await, 200);
    relay.records.wait(1).await;
    assert_eq!(ask(&relay, "ana", "").await.status, 429);
}
