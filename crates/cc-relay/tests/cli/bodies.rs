//! `history.bodies`: what a client sent and got is there again, byte for byte, where it is wanted.

use relay_sim::{Encoding, Script, Sim};

use crate::support::Home;
use crate::usage::{Served, post, start};

/// Odd on purpose: what is read and written anew would not come out so.
const ASKED: &str = "{ \"model\" : \"claude-opus-5-5\",\"max_tokens\":9,\n\"messages\":[{\"role\":\"user\",\"content\":\"\\u0068i \u{e9} 1.0e2\"}],\"stream\":false ,\"x\":[ ]}";
const ANSWERED: &str = "{\"type\":\"message\", \"content\":[{\"type\":\"text\",\"text\":\"use sk-ant-api03-hidden_one\"}]}";

async fn ask(address: &str, body: &str) -> Vec<u8> {
    let answer = post(address, "accept-encoding: gzip\r\n", body).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    answer
}

/// Two providers stand beside each other: the history and what of it is to be kept.
fn config(sim: &Sim, history: &str) -> String {
    format!(
        "server: {{listen: '127.0.0.1:0'}}\nrouting: {{model_lists: false}}\nhistory: {history}\nproviders: [{{name: sim, type: anthropic, base_url: '{}'}}]\n",
        sim.base_url()
    )
}

fn serve(home: &Home, text: &str) -> (Served, String) {
    let path = home.write("relay.yaml", text);
    start(home, path.to_str().unwrap(), &[])
}

/// Returns the names of the requests that are kept, the oldest first.
fn names(home: &Home) -> Vec<String> {
    let list = home.run(&["requests", "--json"]).expect(0).json();
    let kept = list["data"]["requests"].as_array().unwrap();
    kept.iter()
        .map(|it| it["name"].as_str().unwrap().to_owned())
        .collect()
}

fn body(home: &Home, name: &str, which: &str) -> String {
    home.run(&["request", name, "--body", which])
        .expect(0)
        .stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_kept_word_for_word_but_for_credentials() {
    let sim = Sim::builder().start().await.unwrap();
    let home = Home::new();
    let (served, address) = serve(&home, &config(&sim, "{bodies: true}"));
    sim.push(Script::raw(200, "application/json", ANSWERED));
    ask(&address, ASKED).await;
    sim.push(Script::text("hello").encoding(Encoding::Gzip));
    let streamed = ASKED.replace("false", "true");
    let wire = ask(&address, &streamed).await;
    served.stop();
    let names = names(&home);
    let [first, second] = names.as_slice() else {
        panic!("{names:?}")
    };
    assert_eq!(body(&home, first, "request"), ASKED);
    let masked = ANSWERED.replace("sk-ant-api03-hidden_one", "sk-(masked)");
    assert_eq!(body(&home, first, "response"), masked);
    assert_eq!(body(&home, second, "request"), streamed);
    // On the wire it was compressed.
    assert!(!wire.windows(5).any(|it| it == b"hello"));
    let stream = body(&home, second, "response");
    assert!(stream.starts_with("event: message_start\n"), "{stream}");
    assert!(
        stream.contains("hello") && stream.ends_with("\"}\n\n"),
        "{stream}"
    );
    let drawn = home.run(&["request", first]).expect(0).stdout;
    let sizes = format!(
        "bodies: request {} bytes, response {} bytes",
        ASKED.len(),
        ANSWERED.len()
    );
    assert!(drawn.contains(&sizes), "{drawn}");
    let file = std::fs::read(home.path(".local/state/cc-relay/relay.db")).unwrap();
    assert!(!file.windows(10).any(|it| it == b"hidden_one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_unless_asked_for_and_a_change_holds_at_once() {
    let sim = Sim::builder().start().await.unwrap();
    let home = Home::new();
    let (served, address) = serve(&home, &config(&sim, "{enabled: true}"));
    sim.push(Script::text("hello"));
    ask(&address, ASKED).await;
    home.write(
        "relay.yaml",
        &config(&sim, "{enabled: true, bodies: true, max_body_bytes: 1024}"),
    );
    let port = address.rsplit_once(':').unwrap().1;
    let at = format!("127.0.0.1:{port}");
    let reloaded = home.run(&["config", "reload", "--addr", &at]).expect(0);
    assert!(!reloaded.stderr.contains("restart"), "{reloaded:?}");
    sim.push(Script::text("hello"));
    let long = ASKED.replace("[ ]", &format!("[\"{}\"]", "x".repeat(5000)));
    ask(&address, &long).await;
    served.stop();
    let names = names(&home);
    let none = home
        .run(&["request", &names[0], "--body", "request"])
        .expect(1);
    assert!(none.stderr.contains("history.bodies"), "{none:?}");
    let cut = home
        .run(&["request", &names[1], "--body", "request"])
        .expect(0);
    assert_eq!(Some(cut.stdout.as_str()), long.get(..1024));
    let said = format!("cut: 1024 of {} bytes", long.len());
    assert!(cut.stderr.contains(&said), "{cut:?}");
    let json = home
        .run(&["request", &names[1], "--body", "request", "--json"])
        .expect(0)
        .json();
    assert_eq!(json["data"]["whole_bytes"], long.len());
    assert_eq!(json["data"]["is_cut"], true);
}
