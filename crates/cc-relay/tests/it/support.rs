//! A relay to test, and a client that sees every byte.

use std::sync::Arc;
use std::time::Duration;

use cc_relay::serve::Live;
use parking_lot::Mutex;
use relay_config::{Format, Plan, parse};
use relay_core::record::{Bodies, RequestRecord};
use relay_proxy::{RecordSink, Server};
use relay_sim::{Sim, SimBuilder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Longest wait for anything. It is a bound, never a measure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps the records of a relay.
#[derive(Default)]
pub(crate) struct Records {
    kept: Mutex<Vec<RequestRecord>>,
    changed: Notify,
}

impl RecordSink for Records {
    fn record(&self, record: &Arc<RequestRecord>, _: Option<&Bodies>) {
        self.kept.lock().push(RequestRecord::clone(record));
        self.changed.notify_waiters();
    }
}

impl Records {
    /// Waits until this many records are there.
    pub(crate) async fn wait(&self, count: usize) -> Vec<RequestRecord> {
        let reached = async {
            loop {
                let changed = self.changed.notified();
                if self.kept.lock().len() >= count {
                    return self.kept.lock().clone();
                }
                changed.await;
            }
        };
        timeout(PATIENCE, reached).await.expect("the records")
    }
}

/// A running relay.
pub(crate) struct Relay {
    live: Option<Live>,
    pub(crate) address: String,
    pub(crate) records: Arc<Records>,
}

impl Relay {
    /// Starts a relay in front of a sim, with further lines of YAML.
    pub(crate) fn start(sim: &Sim, server: &str, provider: &str) -> Self {
        let mut lines = provider.to_owned();
        let ca = tempfile::NamedTempFile::new().unwrap();
        if let Some(pem) = sim.ca_pem() {
            std::fs::write(ca.path(), pem).unwrap();
            lines = format!(
                "{lines}
    ca_file: {}",
                ca.path().display()
            );
        }
        let base = sim.base_url();
        let relay = Self::of(&format!(
            "server:\n  listen: 127.0.0.1:0\n  workers: 2\n  {}\nproviders:\n  - name: up\n    type: anthropic\n    base_url: {base}\n    proxy: none\n    {}\n",
            server.replace('\n', "\n  "),
            lines.trim_start(),
        ));
        // The file is read when the first connection is opened.
        drop(ca.keep());
        relay
    }

    pub(crate) fn of(yaml: &str) -> Self {
        Self::of_plan(&plan(yaml))
    }

    pub(crate) fn of_plan(plan: &Plan) -> Self {
        let records = Arc::new(Records::default());
        let sink: Arc<dyn RecordSink> = Arc::clone(&records) as _;
        let live = Live::start(plan.clone(), sink).unwrap_or_else(|it| panic!("{it:?}"));
        let address = live.server().address().to_string();
        Self {
            live: Some(live),
            address,
            records,
        }
    }

    /// Takes the relay out, to be stopped.
    pub(crate) fn take(&mut self) -> Live {
        self.live.take().unwrap()
    }

    pub(crate) fn live(&mut self) -> &mut Live {
        self.live.as_mut().unwrap()
    }

    pub(crate) fn server(&self) -> &Server {
        self.live.as_ref().unwrap().server()
    }

    pub(crate) async fn send(&self, request: &str) -> Answer {
        exchange(&self.address, request.as_bytes()).await
    }
}

/// Reads a configuration. Upstreams are not asked for their models unless it says so: what a test
/// counts is its own.
pub(crate) fn plan(yaml: &str) -> Plan {
    let mut plan = plan_as_it_is(yaml);
    plan.routing.model_lists = yaml.contains("model_lists: true");
    plan
}

fn plan_as_it_is(yaml: &str) -> Plan {
    let env = std::collections::HashMap::<String, String>::new();
    parse("test.yaml", yaml, Format::Yaml, &env)
        .unwrap_or_else(|faults| panic!("{}\n{yaml}", faults.render(false)))
}

pub(crate) fn builder() -> SimBuilder {
    Sim::builder().require_credential(false)
}

pub(crate) async fn sim() -> Sim {
    builder().start().await.unwrap()
}

/// A Messages request as HTTP/1.1 text; the connection closes after it.
pub(crate) fn post(path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: relay\r\ncontent-type: application/json\r\nx-api-key: sk-ant-own-0123456789\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) fn turn(stream: bool) -> String {
    post("/v1/messages?beta=true", "", &body(stream))
}

pub(crate) fn body(stream: bool) -> String {
    format!(
        r#"{{"model":"claude-opus-5-5","max_tokens":1024,"messages":[{{"role":"user","content":"hi"}}],"stream":{stream}}}"#
    )
}

/// How an answer ended, as a client that counts bytes sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// All that was announced came: the last chunk, or the announced length.
    Whole,
    /// The connection closed or was reset before.
    Cut,
}

/// What a client got.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
    /// The connection was reset, not closed.
    pub(crate) reset: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Sends a request and reads until the connection ends.
pub(crate) async fn exchange(address: &str, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let (raw, reset) = timeout(PATIENCE, read_all(&mut stream))
        .await
        .expect("an end");
    answer(&raw, reset)
}

pub(crate) async fn read_all(stream: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut raw = Vec::new();
    let reset = stream.read_to_end(&mut raw).await.is_err();
    (raw, reset)
}

pub(crate) fn answer(raw: &[u8], reset: bool) -> Answer {
    let Some(split) = raw.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Answer {
            status: 0,
            headers: Vec::new(),
            body: raw.to_vec(),
            end: End::Cut,
            reset,
        };
    };
    let head = String::from_utf8_lossy(&raw[..split]).into_owned();
    let rest = &raw[split + 4..];
    let mut lines = head.lines();
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let find = |name: &str| {
        headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let (body, end) = if find("transfer-encoding") == Some("chunked") {
        dechunk(rest)
    } else if let Some(length) = find("content-length") {
        let whole = rest.len() == length.parse::<usize>().unwrap();
        (rest.to_vec(), if whole { End::Whole } else { End::Cut })
    } else {
        (rest.to_vec(), if reset { End::Cut } else { End::Whole })
    };
    Answer {
        status,
        headers,
        body,
        end,
        reset,
    }
}

fn dechunk(mut raw: &[u8]) -> (Vec<u8>, End) {
    let mut body = Vec::new();
    loop {
        let Some(line) = raw.windows(2).position(|window| window == b"\r\n") else {
            return (body, End::Cut);
        };
        let length =
            usize::from_str_radix(std::str::from_utf8(&raw[..line]).unwrap().trim(), 16).unwrap();
        raw = &raw[line + 2..];
        if length == 0 {
            return (body, End::Whole);
        }
        if raw.len() < length + 2 {
            body.extend_from_slice(&raw[..length.min(raw.len())]);
            return (body, End::Cut);
        }
        body.extend_from_slice(&raw[..length]);
        raw = &raw[length + 2..];
    }
}

/// The key that clients of [`fleet`] come with.
pub(crate) const RELAY_KEY: &str = "relay-key-for-tests";

/// Several upstreams behind one relay.
pub(crate) struct Fleet {
    pub(crate) sims: Vec<Sim>,
    pub(crate) relay: Relay,
}

impl Fleet {
    /// Starts so many upstreams `u0`, `u1` …, each with a key of its own, and a relay in front of
    /// them. `routing` is the inside of that section; `provider` adds to each provider by its
    /// place; `more` is further YAML.
    pub(crate) async fn start(
        count: usize,
        routing: &str,
        provider: impl Fn(usize) -> String,
        more: &str,
    ) -> Self {
        let mut sims = Vec::new();
        let debug = if routing.contains("debug:") {
            ""
        } else {
            "debug: true, "
        };
        let mut yaml = format!(
            "server: {{listen: '127.0.0.1:0', workers: 2, stream_first_byte_timeout_ms: 700, timeout_ms: 700, stream_gap_timeout_ms: 700, auth: {{api_key: {RELAY_KEY}}}}}\nrouting: {{{debug}{routing}}}\n{more}\nproviders:\n"
        );
        for place in 0..count {
            let sim = sim().await;
            let (base, add) = (sim.base_url(), provider(place));
            let keys = if add.contains("keys:") {
                String::new()
            } else {
                format!("keys: [{{key: sk-ant-fake-{place}}}], ")
            };
            let line = format!(
                "  - {{name: u{place}, type: anthropic, base_url: '{base}', proxy: none, accepts_client_credential: false, {keys}{add}}}\n"
            );
            yaml.push_str(&line);
            sims.push(sim);
        }
        let relay = Relay::of(&yaml);
        Self { sims, relay }
    }

    /// Two upstreams and nothing else.
    pub(crate) async fn pair() -> Self {
        Self::start(2, "", |_| String::new(), "").await
    }

    /// Sends a turn.
    pub(crate) async fn turn(&self, stream: bool) -> Answer {
        self.ask("", &body(stream)).await
    }

    /// Sends a turn of a session.
    pub(crate) async fn session(&self, name: &str) -> Answer {
        let line = format!("x-claude-code-session-id: {name}\r\n");
        self.ask(&line, &body(true)).await
    }

    /// Sends a body with further header lines.
    pub(crate) async fn ask(&self, headers: &str, body: &str) -> Answer {
        let request = post("/v1/messages?beta=true", headers, body);
        let request = request.replace("sk-ant-own-0123456789", RELAY_KEY);
        self.relay.send(&request).await
    }

    /// How many turns each upstream got.
    pub(crate) fn turns(&self) -> Vec<usize> {
        let turns = |sim: &Sim| {
            let requests = sim.requests();
            requests.iter().filter(|it| it.method == "POST").count()
        };
        self.sims.iter().map(turns).collect()
    }
}

/// A body that names a model.
pub(crate) fn body_of(model: &str) -> String {
    body(true).replace("claude-opus-5-5", model)
}

/// The memory that this process holds.
pub(crate) fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|it| it.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}
