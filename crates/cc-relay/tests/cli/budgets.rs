//! Budgets of a real relay: what a restart, and a change of the file, make of what was spent.

use relay_sim::{Script, Sim, Usage};

use crate::support::Home;
use crate::usage::{answer, serve_with};

const MODEL: &str = "claude-opus-5-5";

/// 1000 at 4 and 500 at 20 dollars a million: 0.014 dollars.
fn script() -> Script {
    Script::text("hello").usage(Usage {
        input_tokens: 1000,
        output_tokens: 500,
        ..Usage::default()
    })
}

fn budget(usd: &str) -> String {
    format!(
        "budgets: [{{name: month, usd: '{usd}'}}]\nlogging: {{format: json, file: {{path: relay.log}}}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_nothing_of_what_was_spent() {
    let sim = Sim::builder().start().await.unwrap();
    let home = Home::new();
    let more = budget("0.028").replace("relay.log", home.path("relay.log").to_str().unwrap());
    for _ in 0..2 {
        sim.push(script());
        let (served, address) = serve_with(&home, &sim.base_url(), &[], &more);
        let served_turn = answer(&address, MODEL, "").await;
        assert!(served_turn.starts_with("HTTP/1.1 200"), "{served_turn}");
        served.stop();
    }
    let (served, address) = serve_with(&home, &sim.base_url(), &[], &more);
    let refused = answer(&address, MODEL, "").await;
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    assert!(refused.contains("x-should-retry: false"), "{refused}");
    assert!(
        refused.contains("the budget month is spent: $0.0280 of $0.0280 a month"),
        "{refused}"
    );
    let turns = |sim: &Sim| {
        sim.requests()
            .iter()
            .filter(|it| it.method == "POST")
            .count()
    };
    assert_eq!(turns(&sim), 2, "no upstream was asked");
    let status = home.run(&["status", "--addr", &address]).expect(0).stdout;
    assert!(
        status.contains("budget month   100% of $0.0280 a month   anew in "),
        "{status}"
    );
    assert!(status.contains("1 refused"), "{status}");
    let json = home
        .run(&["status", "--addr", &address, "--json"])
        .expect(0)
        .json();
    assert_eq!(json["data"]["budgets"][0]["most_percent"], 100, "{json}");
    served.stop();
    let log = home.read("relay.log");
    let near = log
        .lines()
        .filter(|it| it.contains("a budget is running out"));
    assert_eq!(near.count(), 1, "{log}");
    assert!(log.contains("\"ccrelay.budget\":\"month\""), "{log}");
    // A higher limit lets the same month go on.
    sim.push(script());
    let (served, address) = serve_with(&home, &sim.base_url(), &[], &budget("0.03"));
    let again = answer(&address, MODEL, "").await;
    assert!(again.starts_with("HTTP/1.1 200"), "{again}");
    served.stop();
}
