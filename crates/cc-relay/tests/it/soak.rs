//! Chaos from a seed: upstreams that refuse, stall, reset, lie and recover, keys that come and go,
//! clients that leave. Half of the upstreams speak other dialects, so that requests move from any to
//! any. Ten seconds of it, or as many as `CC_RELAY_SOAK_SECONDS` says;
//! `CC_RELAY_SOAK_SEED` gives another run.
//!
//! What must hold: every request is answered or aborted, no truncated answer ends cleanly, no answer
//! is made of two, no lease or permit is left behind, no key is used above its limit, memory stays.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cc_relay::serve::Live;
use parking_lot::Mutex;
use relay_core::chance::{below, pair};
use relay_core::record::{Bodies, RequestRecord};
use relay_core::secret::Secret;
use relay_proxy::{RecordSink, Server};
use relay_sim::{Aws, Dialect, Encoding, Fault, Recorded, Script, Sim, Vendor, Vertex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::support::{
    Answer, End, PATIENCE, answer, builder, plan, post, read_all, resident_bytes,
};

const CLIENTS: u64 = 24;
const UPSTREAMS: u64 = 6;
/// Bedrock: a stream of frames, with another decoder.
const BEDROCK: u64 = 3;
const VERTEX: u64 = 4;
const ZAI: u64 = 5;
const RPM_LIMIT: usize = 150;

/// How long an upstream keeps its mood.
const MOOD: Duration = Duration::from_secs(2);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

/// What the relay says of its requests.
#[derive(Default)]
struct Tally {
    requests: AtomicU64,
    hops: AtomicU64,
    served: AtomicU64,
    /// Who served any.
    servers: Mutex<HashSet<String>>,
}

impl RecordSink for Tally {
    fn record(&self, record: &Arc<RequestRecord>, _: Option<&Bodies>) {
        let hops = u64::try_from(record.attempts.len()).unwrap();
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.hops.fetch_add(hops, Ordering::Relaxed);
        if record.status == Some(200) {
            self.served.fetch_add(1, Ordering::Relaxed);
            let server = record
                .target
                .as_ref()
                .map(|target| target.as_str().to_owned());
            self.servers.lock().extend(server);
        }
    }
}

/// Requests that a key made, by upstream: the last minute of them.
#[derive(Default)]
struct Meter(Mutex<HashMap<(u64, String), VecDeque<Instant>>>);

impl Meter {
    /// Counts one, and returns how many the key made within a minute. A request may travel for
    /// longer than the one before it: a second is left for that.
    fn count(&self, upstream: u64, key: &str) -> usize {
        let now = relay_proxy::clock::now();
        let mut meters = self.0.lock();
        let times = meters.entry((upstream, key.to_owned())).or_default();
        times.push_back(now);
        while times
            .front()
            .is_some_and(|then| now.duration_since(*then) > Duration::from_secs(59))
        {
            times.pop_front();
        }
        times.len()
    }
}

/// What an upstream does next. Each has moods: mostly well, at times all in ruins.
fn whim(upstream: u64, mood: u64, seed: u64) -> Script {
    let text = format!("answer-of-{upstream} ").repeat(40);
    let well = Script::text(&text).usage(relay_sim::Usage {
        input_tokens: 100,
        output_tokens: 20,
        ..relay_sim::Usage::default()
    });
    let draw = |salt, bound| below(pair(seed, salt), bound);
    // It never packs what it was not asked to pack, and it is not asked.
    let packs = upstream != BEDROCK;
    let trouble = match mood % 4 {
        0 => 1,
        1 => 10,
        2 => 40,
        _ => 95,
    };
    if draw(1, 100) >= trouble {
        return if draw(2, 4) == 0 && packs {
            well.encoding(Encoding::Gzip)
        } else {
            well
        };
    }
    let events = usize::try_from(draw(3, 9)).unwrap();
    let bytes = usize::try_from(draw(4, 900)).unwrap();
    let lie = match draw(5, 40) {
        0 => "99999999",
        other => ["0", "1", "-7", "soon", "0.05"][usize::try_from(other % 5).unwrap()],
    };
    match draw(6, 14) {
        0 => Script::error(429, "rate_limit_error", "limited").header("retry-after", lie),
        1 => Script::error(429, "rate_limit_error", "Error").header("x-should-retry", "true"),
        2 => Script::error(500, "api_error", "ruin"),
        3 => Script::error(529, "overloaded_error", "Overloaded").header("retry-after", lie),
        4 => Script::error(400, "invalid_request_error", "no"),
        // Refusals of keys and models are left out: they are believed for minutes.
        5 => Script::error(502, "api_error", "bad gateway"),
        6 => well.fault(Fault::StallBeforeHead),
        7 => well.fault(Fault::StallAfterEvents(events)),
        8 => well.fault(Fault::ResetBeforeHead),
        9 => well.fault(Fault::ResetAfterEvents(events)),
        10 => well.fault(Fault::CloseAfterBytes(bytes)),
        11 => well.fault(Fault::CleanEndAfterEvents(events)),
        12 => well.fault(Fault::ErrorEventAfter(
            events,
            "overloaded_error".into(),
            "late".into(),
        )),
        _ if !packs => well.fault(Fault::ResetAfterBytes(bytes)),
        _ => well
            .encoding(Encoding::Gzip)
            .fault(Fault::ResetAfterBytes(bytes)),
    }
}

async fn upstream(index: u64, seed: u64, meter: &Arc<Meter>, over: &Arc<AtomicU64>) -> Sim {
    let builder = builder().keep_requests(64).models(["claude-opus-5-5"]);
    let builder = match index {
        BEDROCK => builder.dialect(Dialect::Bedrock(Aws::default())),
        VERTEX => builder.dialect(Dialect::Vertex(Vertex::default())),
        ZAI => builder.dialect(Vendor::Zai),
        _ => builder,
    };
    let sim = builder.start().await.unwrap();
    let (meter, over) = (Arc::clone(meter), Arc::clone(over));
    let began = relay_proxy::clock::now();
    let drawn = AtomicU64::new(0);
    sim.route(move |request: &Recorded| {
        if request.method != "POST" {
            return None;
        }
        let key = request.header("x-api-key");
        let key = key.or_else(|| request.header("authorization"));
        let key = key.unwrap_or_default().to_owned();
        if meter.count(index, &key) > RPM_LIMIT && key.contains("limited") {
            over.fetch_add(1, Ordering::Relaxed);
        }
        let phase = began.elapsed().as_millis() / MOOD.as_millis();
        let mood = pair(pair(seed, index), u64::try_from(phase).unwrap()) >> 7;
        let draw = drawn.fetch_add(1, Ordering::Relaxed);
        Some(whim(index, mood, pair(pair(seed, index + 100), draw)))
    });
    sim
}

/// What an upstream's entry says of its dialect and address.
fn settings(index: u64, base: &str) -> String {
    match index {
        BEDROCK => format!("type: bedrock, aws_region: us-east-1, base_url: '{base}'"),
        VERTEX => format!(
            "type: vertex, gcp_project_id: {}, gcp_region: us-east5, base_url: '{base}/v1'",
            Vertex::default().project
        ),
        ZAI => format!("type: zai, base_url: '{base}/api/anthropic'"),
        _ => format!("type: anthropic, base_url: '{base}'"),
    }
}

fn config(sims: &[Sim], race: u64) -> String {
    let mut yaml = format!(
        "server: {{listen: '127.0.0.1:0', workers: 2, stream_first_byte_timeout_ms: 300, timeout_ms: 400, stream_gap_timeout_ms: 400, auth: {{api_key: relay-key}}}}\n\
         routing: {{strategy: shuffle, retry_budget_percent: 100, max_attempts: 5, max_wait_ms: 200, race: {race}}}\n\
         health: {{health_check: {{interval_ms: 1000, timeout_ms: 500}}, circuit_breaker: {{open_duration_ms: 700}}}}\n\
         providers:\n"
    );
    for (index, sim) in sims.iter().enumerate() {
        let base = sim.base_url();
        let settings = settings(u64::try_from(index).unwrap(), &base);
        let line = format!(
            "  - {{name: u{index}, {settings}, proxy: none, accepts_client_credential: false, keys: [{{key: sk-ant-limited-{index}, rpm_limit: {RPM_LIMIT}}}, {{key: sk-ant-free-{index}}}]}}\n"
        );
        yaml.push_str(&line);
    }
    yaml
}

/// Checks what a client got. Returns whether it was served.
fn check(stream: bool, answer: &Answer) -> bool {
    let text = answer.text();
    let context = || format!("{} {:?} {text}", answer.status, answer.end);
    if answer.status == 0 {
        // Broken off before its head was on the wire: a client repeats that.
        assert!(answer.reset && answer.body.is_empty(), "{}", context());
        return false;
    }
    let plain = answer.header("content-encoding").is_none();
    if answer.status != 200 {
        assert_eq!(answer.end, End::Whole, "{}", context());
        assert_eq!(answer.json()["type"], "error", "{}", context());
        return false;
    }
    if plain {
        let authors = (0..UPSTREAMS).filter(|it| text.contains(&format!("answer-of-{it} ")));
        assert!(authors.count() <= 1, "made of two: {}", context());
        assert!(
            text.matches("event: message_start").count() <= 1,
            "{}",
            context()
        );
    }
    if answer.end == End::Cut || !plain {
        return answer.end == End::Whole;
    }
    if stream {
        let ends = text.contains("event: message_stop") || text.contains("event: error");
        assert!(
            ends && text.ends_with("\n\n"),
            "a clean end of half a stream: {}",
            context()
        );
    } else {
        // Cut by its upstream and ended as if it were whole, where nobody else could be asked: it
        // passes as it came, and no client can read it as an answer.
        let message = answer.json();
        assert!(
            message.is_null() || message["type"] == "message",
            "{}",
            context()
        );
        return !message.is_null();
    }
    true
}

/// One client after the other on fresh connections, until time is up.
async fn client(address: String, client: u64, seed: u64, until: Instant) -> (u64, u64) {
    let (mut asked, mut served) = (0, 0);
    while relay_proxy::clock::now() < until {
        asked += 1;
        let draw = |salt, bound| below(pair(pair(seed, client), asked * 16 + salt), bound);
        let stream = draw(0, 4) > 0;
        let session = draw(1, 40);
        let padding = "x".repeat(usize::try_from(draw(2, 60_000)).unwrap());
        let body = format!(
            r#"{{"model":"claude-opus-5-5","max_tokens":64,"stream":{stream},"messages":[{{"role":"user","content":"{padding}"}}]}}"#
        );
        let headers = format!("x-claude-code-session-id: s{session}\r\n");
        let request =
            post("/v1/messages", &headers, &body).replace("sk-ant-own-0123456789", "relay-key");
        let mut socket = TcpStream::connect(&address).await.unwrap();
        if socket.write_all(request.as_bytes()).await.is_err() {
            continue;
        }
        if draw(3, 10) == 0 {
            // Leaves, somewhere within the answer.
            let mut some = [0; 200];
            let patience = Duration::from_millis(draw(4, 60));
            drop(timeout(patience, socket.read(&mut some)).await);
            continue;
        }
        let (raw, reset) = timeout(PATIENCE, read_all(&mut socket))
            .await
            .expect("an end");
        let whole = check(stream, &answer(&raw, reset));
        served += u64::from(whole);
        if !whole {
            // Whoever is refused comes back a little later.
            sleep(Duration::from_millis(20 + draw(5, 60))).await;
        }
    }
    (asked, served)
}

/// Takes the free key of one upstream away, and gives it another, by a new configuration.
fn rotate_keys(live: &mut Live, round: u64) {
    let mut plan = live.plan().clone();
    let place = usize::try_from(round % UPSTREAMS).unwrap();
    let keys = &mut plan.providers[place].keys;
    let mut free = keys.pop().unwrap();
    free.name = format!("free-{round}");
    free.secret = Secret::new(format!("sk-ant-free-new-{round}"));
    keys.push(free);
    live.apply(plan).unwrap_or_else(|it| panic!("{it:?}"));
}

async fn soak(race: u64, length: Duration, seed: u64) {
    let (meter, over) = (Arc::new(Meter::default()), Arc::new(AtomicU64::new(0)));
    let mut sims = Vec::new();
    for index in 0..UPSTREAMS {
        sims.push(upstream(index, seed, &meter, &over).await);
    }
    let tally = Arc::new(Tally::default());
    let sink: Arc<dyn RecordSink> = Arc::clone(&tally) as _;
    let mut live =
        Live::start(plan(&config(&sims, race)), sink).unwrap_or_else(|it| panic!("{it:?}"));
    let address = live.server().address().to_string();
    let began = relay_proxy::clock::now();
    let until = began + length;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::task::spawn(client(address.clone(), number, seed, until)))
        .collect();
    let (mut round, mut early) = (0, None);
    while relay_proxy::clock::now() < until {
        sleep(Duration::from_millis(900)).await;
        round += 1;
        rotate_keys(&mut live, round);
        if began.elapsed() > length / 3 {
            early = early.or_else(|| Some(resident_bytes()));
        }
    }
    let (mut asked, mut served) = (0, 0);
    for client in clients {
        let (one, other) = client.await.unwrap();
        asked += one;
        served += other;
    }
    settle(live.server()).await;
    let late = resident_bytes();
    let hops = tally.hops.load(Ordering::Relaxed);
    #[expect(clippy::print_stderr, reason = "what the run was like is worth a line")]
    {
        eprintln!(
            "seed {seed}, race {race}: {asked} requests, {served} served whole, {hops} hops, {} to {} MB",
            early.unwrap_or(late) >> 20,
            late >> 20
        );
    }
    assert_eq!(
        over.load(Ordering::Relaxed),
        0,
        "a key was used above its limit"
    );
    let servers = tally.servers.lock().clone();
    // In a few seconds one may have nothing but bad moods.
    assert!(
        servers.len() == sims.len() || length < Duration::from_secs(30),
        "some dialect never answered: {servers:?}"
    );
    assert!(served > asked / 20 && hops > 0, "the chaos was no chaos");
    assert!(late < early.unwrap_or(late) + (64 << 20), "memory grows");
    live.stop(Duration::from_secs(1));
    for sim in sims {
        sim.stop().await;
    }
}

/// Waits until nothing is under way any more, and nothing is left of what was.
async fn settle(server: &Server) {
    let deadline = relay_proxy::clock::now() + PATIENCE;
    loop {
        let settings = server.settings();
        let snapshot = &settings.snapshot;
        let now = relay_core::moment::Moment::START;
        let left: Vec<_> = snapshot
            .targets
            .iter()
            .map(|target| {
                let keys = target.station.keys.states(now);
                let leases: u64 = keys.iter().map(|key| key.in_flight).sum();
                (target.station.in_flight_tokens(), leases)
            })
            .collect();
        let live = server.counters().live.load(Ordering::Relaxed);
        if live == 0 && left.iter().all(|it| *it == (0, 0)) {
            return;
        }
        assert!(
            relay_proxy::clock::now() < deadline,
            "left behind: {live} live, {left:?}"
        );
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_breaks_nothing_but_what_it_broke() {
    let length = Duration::from_secs(number("CC_RELAY_SOAK_SECONDS", 8));
    let seed = number("CC_RELAY_SOAK_SEED", 20_261_122);
    soak(1, length * 3 / 4, seed).await;
    soak(2, length / 4, pair(seed, 2)).await;
}
