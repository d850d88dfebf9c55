//! Made-up data: to look at the dashboard without a relay, and to test and document it with.
//!
//! Longer than 400 lines because it is data.

use std::time::Duration;

use relay_api::v1;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::sleep;

use crate::run::unix;
use crate::state::{Link, State, Todo, Update};

/// When it is, in the made-up data: 2026-11-22T14:02:12Z.
const NOW: Duration = Duration::from_secs(1_795_356_132);

/// Returns a state with a bit of everything.
pub fn demo() -> State {
    let mut state = State::default();
    state.tick(NOW);
    state.apply(Update::Stats(Box::new(stats(0)), "demo".to_owned()));
    for request in requests() {
        state.apply(Update::Request(Box::new(request)));
    }
    for event in events() {
        state.apply(Update::Event(event));
    }
    state.apply(Update::Sessions(sessions()));
    state.apply(Update::Config(Box::new(config())));
    state.apply(Update::Link(Link::Live));
    state
}

/// Moves the made-up data on, and answers what is asked.
pub(crate) async fn live(updates: Sender<Update>, mut todos: Receiver<Todo>) {
    let mut turn = 0_u32;
    loop {
        let update = tokio::select! {
            () = sleep(Duration::from_secs(1)) => {
                turn = turn.saturating_add(1);
                Update::Stats(Box::new(stats(turn)), "demo".to_owned())
            }
            todo = todos.recv() => match todo {
                None => return,
                Some(Todo::Consider(wish)) => Update::Considered(wish, change()),
                Some(Todo::Sessions) => Update::Sessions(sessions()),
                Some(Todo::Config) => Update::Config(Box::new(config())),
                Some(Todo::Strategies) => Update::Strategies(strategies()),
                Some(Todo::Window(_)) => {
                    Update::Done(Err("this is made-up data: a minute of it".to_owned()))
                }
                Some(
                    Todo::Make(_)
                    | Todo::Reload
                    | Todo::Dial
                    | Todo::Quit
                    | Todo::Theme(_)
                    | Todo::Copy(_)
                    | Todo::Export { .. }
                    | Todo::Redraw
                    | Todo::Suspend,
                ) => Update::Done(Err("this is made-up data: nothing is changed".to_owned())),
            }
        };
        if updates.send(update).await.is_err() {
            return;
        }
        if turn.is_multiple_of(3)
            && let Some(mut request) = requests().into_iter().next()
        {
            request.id = format!("req_demo{turn}");
            request.started_unix_ms = u64::try_from(unix().as_millis()).unwrap_or(0);
            drop(updates.send(Update::Request(Box::new(request))).await);
        }
    }
}

/// What follows from a change, made up.
pub(crate) fn change() -> v1::Change {
    let effect = |topic: &str, text: &str| v1::Effect {
        topic: topic.into(),
        text: text.into(),
    };
    v1::Change {
        summary: "disable zai".into(),
        effects: vec![
            effect("now", "1 request is under way there: it finishes"),
            effect("then", "new requests go to anthropic, bedrock-eu"),
            effect("load", "16 of 57 requests of the last minute went there"),
            effect(
                "cache",
                "1 session moves, 1 with a warm cache: about $0.1100",
            ),
            effect("undo", "cc-relay provider enable zai"),
            effect("until", "the relay is started again, or it is undone"),
        ],
        lasts_over_reload: true,
        config_digest: "b01d77".into(),
        ..v1::Change::default()
    }
}

pub(crate) fn strategies() -> v1::GetRoutingStrategyResponse {
    let strategy = |name: &str, description: &str| v1::Strategy {
        name: name.into(),
        description: description.into(),
    };
    v1::GetRoutingStrategyResponse {
        strategy: "failover".into(),
        strategies: vec![
            strategy("failover", "the first provider that can"),
            strategy("round_robin", "each in turn"),
            strategy("cost", "the cheapest for the request"),
        ],
        ..v1::GetRoutingStrategyResponse::default()
    }
}

#[expect(clippy::too_many_lines, clippy::type_complexity, reason = "data")]
fn stats(turn: u32) -> v1::Stats {
    let providers = [
        (
            "anthropic",
            v1::ProviderState::Up,
            (2, 2),
            (41, 0, 840_000, 2_100_000),
            "",
        ),
        (
            "zai",
            v1::ProviderState::Slow,
            (2, 3),
            (16, 1, 1_400_000, 6_000_000),
            "p95 to the first event 6.0 s",
        ),
        (
            "bedrock-eu",
            v1::ProviderState::Open,
            (1, 1),
            (0, 0, 0, 0),
            "circuit open: tried again in 12 s",
        ),
        (
            "ollama",
            v1::ProviderState::Off,
            (0, 0),
            (0, 0, 0, 0),
            "the configuration says enabled: false",
        ),
    ];
    let provider = |(name, state, keys, numbers, why): (
        &str,
        v1::ProviderState,
        (u32, u32),
        (u64, u64, u64, u64),
        &str,
    )| {
        let (requests, errors, p50, p95) = numbers;
        let known = |it: u64| (it > 0).then_some(it);
        v1::ProviderStats {
            provider: Some(v1::Provider {
                name: name.into(),
                state: state.into(),
                enabled: state != v1::ProviderState::Off,
                keys_usable: keys.0,
                keys: keys.1,
                why: why.into(),
                in_flight: u32::try_from(requests / 14).unwrap_or(0),
                ..v1::Provider::default()
            }),
            traffic: Some(traffic(requests, errors, (known(p50), known(p95)), turn)),
        }
    };
    v1::Stats {
        health: v1::Health::Degraded.into(),
        why: "zai: p95 to the first event 6.0 s".into(),
        version: "0.1.0".into(),
        url: "http://127.0.0.1:8787".into(),
        uptime_s: 11_520_u64.saturating_add(u64::from(turn)),
        strategy: "failover".into(),
        config_digest: "b01d77".into(),
        live: 4,
        connections: 6,
        sessions: 3,
        traffic: Some(traffic(57, 1, (Some(900_000), Some(4_200_000)), turn)),
        providers: providers.into_iter().map(provider).collect(),
        keys: keys(),
        cost_today_nano_usd: Some(4_120_000_000),
        cache_read_percent: Some(91.0),
        ..v1::Stats::default()
    }
}

fn traffic(
    requests: u64,
    errors: u64,
    first: (Option<u64>, Option<u64>),
    turn: u32,
) -> v1::Traffic {
    let wave = |part: u32| {
        let at = part.saturating_add(turn) % 17;
        u32::try_from(requests)
            .unwrap_or(0)
            .saturating_mul(at % 7)
            .saturating_add(at)
            / 9
    };
    v1::Traffic {
        window_s: 60,
        requests,
        errors,
        requests_per_minute: f64::from(u32::try_from(requests).unwrap_or(0)),
        time_to_first_event: Some(v1::Quantiles {
            p50_us: first.0,
            p95_us: first.1,
            p99_us: first.1,
        }),
        duration: Some(v1::Quantiles {
            p50_us: first.0.map(|it| it.saturating_mul(6)),
            p95_us: first.1.map(|it| it.saturating_mul(7)),
            p99_us: first.1.map(|it| it.saturating_mul(9)),
        }),
        tokens: Some(v1::Tokens {
            input: Some(requests.saturating_mul(1_200)),
            cache_read: Some(requests.saturating_mul(21_000)),
            cache_write: Some(requests.saturating_mul(400)),
            output: Some(requests.saturating_mul(900)),
        }),
        cost_nano_usd: requests.saturating_mul(24_000_000),
        output_tokens_per_second: (requests > 0).then_some(78.0),
        requests_by_part: if requests == 0 {
            vec![0; 60]
        } else {
            (0..60).map(wave).collect()
        },
        ..v1::Traffic::default()
    }
}

fn keys() -> Vec<v1::Key> {
    let key = |provider: &str,
               name: &str,
               state: v1::KeyState,
               (used, limit, left): (u64, u64, u32),
               cools: Option<u64>| v1::Key {
        provider: provider.into(),
        name: name.into(),
        last_four: format!("{}0d2", name.chars().last().unwrap_or('x')),
        state: state.into(),
        why: cools.map_or_else(String::new, |_| "rate_limited; tried again in 26 s".into()),
        cools_for_ms: cools,
        used: Some(v1::KeyLimits {
            rpm: Some(used),
            tpm: Some(used.saturating_mul(22_500)),
            ..v1::KeyLimits::default()
        }),
        limits: Some(v1::KeyLimits {
            rpm: Some(limit),
            tpm: Some(limit.saturating_mul(40_000)),
            ..v1::KeyLimits::default()
        }),
        capacity_percent: left,
        weight: 1,
        source: format!("env {}_KEY", provider.to_ascii_uppercase()),
        ..v1::Key::default()
    };
    vec![
        key("zai", "k2", v1::KeyState::Cooling, (5, 5, 0), Some(26_000)),
        key("anthropic", "main", v1::KeyState::Ok, (40, 50, 20), None),
        key("zai", "k1", v1::KeyState::Ok, (11, 20, 45), None),
        key("anthropic", "team", v1::KeyState::Ok, (1, 50, 98), None),
    ]
}

#[expect(clippy::too_many_lines, reason = "data")]
fn requests() -> Vec<v1::Request> {
    let started = |ago: u64| {
        u64::try_from(NOW.as_millis())
            .unwrap_or(0)
            .saturating_sub(ago)
    };
    let tokens = |input, cache_read, output| {
        Some(v1::Tokens {
            input: Some(input),
            cache_read: Some(cache_read),
            cache_write: Some(2_310),
            output: Some(output),
        })
    };
    let base = |id: &str, ago: u64, model: &str, provider: &str| v1::Request {
        id: id.into(),
        started_unix_ms: started(ago),
        method: "POST".into(),
        path: "/v1/messages".into(),
        model: model.into(),
        provider: provider.into(),
        phase: v1::Phase::Ended.into(),
        outcome: "complete".into(),
        status: Some(200),
        stream: true,
        sent_us: Some(400),
        ..v1::Request::default()
    };
    let failed = v1::Request {
        status: Some(400),
        error_type: "upstream_4xx".into(),
        duration_us: 300_000,
        session: "c03e".into(),
        ..base("req_01JD8P", 7_000, "claude-opus-5", "anthropic")
    };
    let hopped = v1::Request {
        key: "team".into(),
        session: "4f1c".into(),
        agent: "a1".into(),
        attempts: vec![v1::Attempt {
            provider: "anthropic".into(),
            key: "main".into(),
            status: Some(429),
            reason: "rate_limited".into(),
            began_us: 400,
            took_us: 310_000,
        }],
        sent_us: Some(312_000),
        time_to_head_us: Some(710_000),
        time_to_first_event_us: Some(920_000),
        longest_gap_us: Some(1_840_000),
        duration_us: 14_400_000,
        request_bytes: 412_000,
        response_bytes: 61_000,
        events: 412,
        tokens: tokens(1_204, 88_904, 1_106),
        cost_nano_usd: Some(55_500_000),
        saved_nano_usd: Some(240_000_000),
        stop_reason: "end_turn".into(),
        affinity: "renewed".into(),
        upstream_request_id: "req_011CZk".into(),
        ..base("req_01JD8Q", 4_000, "claude-sonnet-5", "anthropic")
    };
    let short = v1::Request {
        time_to_first_event_us: Some(400_000),
        duration_us: 900_000,
        session: "91bd".into(),
        tokens: tokens(400, 0, 88),
        cost_nano_usd: Some(1_000_000),
        ..base("req_01JD8S", 2_000, "claude-haiku-4-5", "zai")
    };
    let live = v1::Request {
        phase: v1::Phase::Streaming.into(),
        outcome: String::new(),
        session: "4f1c".into(),
        agent: "a1".into(),
        time_to_first_event_us: Some(900_000),
        duration_us: 12_400_000,
        silent_us: Some(200_000),
        events: 96,
        tokens: tokens(1_300, 89_000, 800),
        ..base("req_01JD8T", 1_000, "claude-sonnet-5", "anthropic")
    };
    vec![failed, hopped, short, live]
}

fn events() -> Vec<v1::Event> {
    let event = |ago: u64, level: v1::Level, message: &str| v1::Event {
        unix_ms: u64::try_from(NOW.as_millis())
            .unwrap_or(0)
            .saturating_sub(ago),
        level: level.into(),
        name: message.split(' ').next().unwrap_or_default().into(),
        message: message.into(),
        fields: message
            .split(' ')
            .filter_map(|word| word.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.trim_end_matches(':').to_owned()))
            .collect(),
    };
    vec![
        event(
            11_520_000,
            v1::Level::Info,
            "relay.start version=0.1.0 config=~/.config/cc-relay/config.yaml",
        ),
        event(
            250_000,
            v1::Level::Error,
            "config.refused kept=9f2c1a why=config.yaml:14: unknown strategy `failovr`",
        ),
        event(
            130_000,
            v1::Level::Info,
            "config.reload from=9f2c1a to=b01d77 changes=+providers[zai].keys[k3]",
        ),
        event(
            91_000,
            v1::Level::Warn,
            "circuit.open provider=bedrock-eu tried_in_s=30",
        ),
        event(
            40_000,
            v1::Level::Warn,
            "budget.warning budget=ana: 80% of $25.00 a week is spent",
        ),
        event(
            26_000,
            v1::Level::Info,
            "key.cools provider=zai key=k2 why=rate_limited for_s=60",
        ),
        event(
            4_000,
            v1::Level::Warn,
            "request.hop request=req_01JD8Q: anthropic/main 429 rate_limited, anthropic answered",
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "data")]
fn sessions() -> Vec<v1::Session> {
    let before = |minutes: u64| {
        let now = u64::try_from(NOW.as_millis()).unwrap_or(0);
        now.saturating_sub(minutes.saturating_mul(60_000))
    };
    let sums = |requests: u64, read: u64, cost: u64| {
        Some(v1::Sums {
            requests,
            input: 7_000,
            cache_read: read,
            cost_nano_usd: cost,
            saved_nano_usd: cost.saturating_mul(6),
            ..v1::Sums::default()
        })
    };
    let agent = |(id, model): (&str, &str), sums: Option<v1::Sums>, live: u32, minutes| v1::Agent {
        id: id.into(),
        model: model.into(),
        sums,
        live,
        first_unix_ms: before(minutes),
        last_unix_ms: before(0),
        ..v1::Agent::default()
    };
    let session = |id: &str, (provider, key): (&str, &str), minutes| v1::Session {
        id: id.into(),
        provider: provider.into(),
        key: key.into(),
        first_unix_ms: before(minutes),
        last_unix_ms: before(minutes / 20),
        ..v1::Session::default()
    };
    let mut moved = sums(61, 17_000, 340_000_000);
    if let Some(sums) = &mut moved {
        (sums.moves, sums.moved_nano_usd) = (1, 110_000_000);
    }
    vec![
        v1::Session {
            warm_for_ms: Some(299_000),
            sums: sums(212, 93_000, 2_310_000_000),
            agents: vec![
                agent(
                    ("", "claude-opus-5"),
                    sums(140, 94_000, 1_880_000_000),
                    1,
                    64,
                ),
                agent(
                    ("a1", "claude-sonnet-5"),
                    sums(38, 91_000, 220_000_000),
                    1,
                    4,
                ),
                agent(
                    ("a2", "claude-sonnet-5"),
                    sums(34, 90_000, 210_000_000),
                    0,
                    2,
                ),
            ],
            live: 2,
            project: "/home/ana/src/shop".into(),
            ..session("4f1c", ("anthropic", "team"), 64)
        },
        v1::Session {
            warm_for_ms: Some(120_000),
            sums: moved,
            agents: vec![agent(("", "claude-haiku-4-5"), moved, 0, 22)],
            moved: "bedrock-eu -> zai, cost $0.1100".into(),
            project: "infra".into(),
            ..session("91bd", ("zai", "k1"), 22)
        },
        v1::Session {
            sums: sums(9, 52_000, 20_000_000),
            ..session("c03e", ("anthropic", ""), 190)
        },
    ]
}

fn config() -> v1::GetConfigResponse {
    v1::GetConfigResponse {
        file: "~/.config/cc-relay/config.yaml".into(),
        format: "yaml".into(),
        text: "server: {listen: 127.0.0.1:8787}\nproviders:\n  - name: anthropic\n    type: anthropic\n    keys:\n      - {key: <secret:1f2e3d4c>, name: main}   # mine\n  - {name: zai, type: zai, keys: [{key: \"${ZAI_KEY}\", name: k1}]}\n".into(),
        settings_json: "{\"routing.strategy\":\"failover\",\"server.listen\":\"127.0.0.1:8787\"}".into(),
        digest: "b01d77".into(),
        overrides: vec!["provider ollama: off".into()],
        ..v1::GetConfigResponse::default()
    }
}
