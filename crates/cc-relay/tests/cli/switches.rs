//! A provider switched off and on while requests run: over the API, by a command, by the keyboard of
//! the dashboard. No request may fail, and none may reach a provider that is off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use relay_api::v1::{DisableProviderRequest, EnableProviderRequest};
use relay_api::{Address, Connection, Credentials, connect};
use relay_sim::{Script, Sim};

use crate::reload::{Served, turn};
use crate::support::{Home, body_of};
use crate::tui::Screen;

/// Longest wait for anything. It is a bound, never a measure.
const PATIENCE: Duration = Duration::from_mins(1);

const CLIENTS: usize = 8;

/// The events of an answer, the same from whichever provider.
pub(crate) const EVENTS: [&str; 6] = [
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-opus-5-5\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"well met\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":2}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
];

/// Clients that ask without a pause; each panics at the first answer that is not whole.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    /// How many answers each has had.
    ended: Arc<[AtomicU64]>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(address: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let ended: Arc<[_]> = (0..CLIENTS).map(|_| AtomicU64::new(0)).collect();
        let client = |place: usize| {
            let (stop, ended) = (Arc::clone(&stop), Arc::clone(&ended));
            let (address, expected) = (address.to_owned(), EVENTS.concat());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = turn(&address);
                    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                    assert_eq!(body_of(&answer), expected);
                    ended[place].fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        Self {
            clients: (0..CLIENTS).map(client).collect(),
            stop,
            ended,
        }
    }

    /// Waits until each client has had so many further answers. The first of them may have been under
    /// way before: all but that one began since.
    pub(crate) async fn each(&self, further: u64) {
        let counts = || {
            let counts = self.ended.iter();
            counts
                .map(|it| it.load(Ordering::Relaxed))
                .collect::<Vec<_>>()
        };
        let before = counts();
        let waiting = async {
            while !counts()
                .iter()
                .zip(&before)
                .all(|(now, then)| *now >= then + further)
            {
                let failed = self.clients.iter().any(JoinHandle::is_finished);
                assert!(!failed, "a client was answered wrongly");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "the load does not go on: {:?}", counts());
    }

    /// Ends it; returns how many answers there were.
    pub(crate) fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for client in std::mem::take(&mut self.clients) {
            client.join().unwrap();
        }
        self.ended.iter().map(|it| it.load(Ordering::Relaxed)).sum()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Relay {
    served: Served,
    home: Home,
    first: Sim,
    second: Sim,
}

impl Relay {
    async fn start() -> Self {
        let [first, second] = [fixed().await, fixed().await];
        let provider = |name: &str, sim: &Sim| {
            format!(
                "  - {{name: {name}, type: anthropic, base_url: '{}', proxy: none, accepts_client_credential: false, keys: [{{key: sk-ant-{name}-00000001, name: k1}}]}}\n",
                sim.base_url()
            )
        };
        let home = Home::new();
        let config = format!(
            "server: {{listen: '127.0.0.1:0'}}\nrouting: {{model_lists: false}}\nproviders:\n{}{}",
            provider("first", &first),
            provider("second", &second)
        );
        home.write("relay.yaml", &config);
        let served = Served::start(&home, "relay.yaml");
        Self {
            served,
            home,
            first,
            second,
        }
    }

    async fn api(&self) -> Connection {
        let (_, port) = self.served.address.rsplit_once(':').unwrap();
        let folder = self.home.path(".local/state/cc-relay/run");
        let address = Address::beside(&folder, port.parse().unwrap()).unwrap();
        connect(&address, &Credentials::default()).await.unwrap()
    }

    /// Runs a command beside the load, which goes on meanwhile.
    fn command(&self, words: &[&str]) -> String {
        let words = [words, &["--yes", "--addr", &self.served.address]].concat();
        self.home.run(&words).expect(0).stdout
    }

    /// Says whether the first provider is on.
    fn is_on(&self) -> bool {
        let words = ["provider", "list", "--json", "--addr", &self.served.address];
        let told = self.home.run(&words).expect(0).json();
        told["data"]["providers"][0]["state"] != "off"
    }

    /// Waits until the first provider is on, or off: a key that was pressed has no answer of its own.
    async fn becomes(&self, on: bool) {
        let waiting = async {
            while self.is_on() != on {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "the key changes nothing");
    }

    /// Holds that all goes to the second.
    async fn holds_off(&self, load: &Load) {
        load.each(1).await;
        let (off, other) = (turns(&self.first), turns(&self.second));
        load.each(3).await;
        assert_eq!(
            turns(&self.first),
            off,
            "one reached a provider that is off"
        );
        assert!(turns(&self.second) >= other + 2 * CLIENTS as u64);
    }

    /// Holds that all goes to the first again.
    async fn holds_on(&self, load: &Load) {
        load.each(1).await;
        let (on, other) = (turns(&self.first), turns(&self.second));
        load.each(3).await;
        assert!(turns(&self.first) >= on + 2 * CLIENTS as u64);
        assert_eq!(
            turns(&self.second),
            other,
            "the first takes all when it is on"
        );
    }
}

/// Turns that reached it, those among them whose answer is still on its way.
fn turns(sim: &Sim) -> u64 {
    let posts = sim.requests().into_iter().filter(|it| it.method == "POST");
    posts.count() as u64
}

/// An upstream that always gives the same answer.
pub(crate) async fn fixed() -> Sim {
    let sim = Sim::builder().start().await.unwrap();
    // An answer takes a while, so that each switch meets streams under way.
    let events = EVENTS.map(|event| Bytes::from_static(event.as_bytes()));
    sim.set_default(Script::raw_sse(events.to_vec()).event_gap(Duration::from_millis(3)));
    sim
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_the_command_and_the_keyboard_switch_it_under_load() {
    let relay = Relay::start().await;
    let screen = Screen::start_with(
        &relay.home,
        &["tui", "--addr", &relay.served.address],
        (100, 30),
        &[],
    );
    screen.wait("● healthy");
    let load = Load::start(&relay.served.address);
    relay.holds_on(&load).await;

    let mut api = relay.api().await;
    let (name, options) = ("first".to_owned(), None);
    let off = api.disable_provider(DisableProviderRequest { name, options });
    assert!(off.await.unwrap().into_inner().change.unwrap().applied);
    relay.holds_off(&load).await;
    let (name, options) = ("first".to_owned(), None);
    let on = api.enable_provider(EnableProviderRequest { name, options });
    assert!(on.await.unwrap().into_inner().change.unwrap().applied);
    relay.holds_on(&load).await;

    let did = relay.command(&["provider", "disable", "first"]);
    assert_eq!(did, "done disable first\n");
    relay.holds_off(&load).await;
    let did = relay.command(&["provider", "enable", "first"]);
    assert_eq!(did, "done enable first\n");
    relay.holds_on(&load).await;

    screen.press("d");
    screen.wait("disable first?");
    assert!(relay.is_on(), "nothing is switched before it is confirmed");
    for key in ["f", "i", "r", "s", "t", "Enter"] {
        screen.press(key);
    }
    relay.becomes(false).await;
    relay.holds_off(&load).await;
    screen.press("e");
    screen.wait("enable first?");
    screen.press("y");
    relay.becomes(true).await;
    relay.holds_on(&load).await;
    load.end();
}
