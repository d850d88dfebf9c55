//! Days of people at work with Claude Code, made from a seed.
//!
//! In: a seed, and what kind of day. Out: sessions, each a script of turns that does not depend on
//! how it is served: only when a turn begins does, since it waits for the one before it. Must never
//! look at an upstream.
//!
//! Sizes follow what Claude Code sends: 12,000 to 20,000 tokens of tools and system, three
//! breakpoints (tools and system, project, last message), subagents with tools and a system of
//! their own.
use std::time::Duration;

use relay_core::{
    affinity::key::{PrefixKey, SessionKey},
    chance,
};
use relay_sim::{Segment, Ttl};

/// Numbers of one seed, one after the other.
#[derive(Debug)]
pub(crate) struct Dice {
    seed: u64,
    rolls: u64,
}

impl Dice {
    /// Starts from a seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, rolls: 0 }
    }

    /// Returns the next number.
    pub(crate) const fn roll(&mut self) -> u64 {
        self.rolls = self.rolls.wrapping_add(1);
        chance::pair(self.seed, self.rolls)
    }

    /// Returns a number from `low` up to but not including `high`.
    pub(crate) const fn within(&mut self, low: u64, high: u64) -> u64 {
        low.saturating_add(chance::below(self.roll(), high.saturating_sub(low)))
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.within(0, 100) < percent
    }

    fn seconds(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.within(low.saturating_mul(1000), high.saturating_mul(1000)))
    }
}

/// What a day is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// What the tables call it.
    pub(crate) name: &'static str,
    /// Sessions that begin in it.
    pub(crate) sessions: u64,
    /// Turns of a main conversation: at least, and fewer than.
    pub(crate) turns: (u64, u64),
    /// In how many hours sessions begin.
    pub(crate) hours: u64,
}

/// A few people in long conversations.
pub(crate) const LONG: Kind = Kind {
    name: "long sessions",
    sessions: 60,
    turns: (30, 90),
    hours: 8,
};

/// Many short conversations: scripts, questions, automation.
pub(crate) const SHORT: Kind = Kind {
    name: "short sessions",
    sessions: 500,
    turns: (2, 8),
    hours: 8,
};

/// One request of a conversation, and what follows it.
#[derive(Debug)]
pub(crate) struct Turn {
    /// From the end of the turn before, or from the start.
    pub(crate) gap: Duration,
    /// Tokens that the client adds: what somebody typed, or what a tool returned.
    pub(crate) added: u64,
    /// Tokens of the answer.
    pub(crate) output: u64,
    /// Conversations that the answer starts, all at once; the next turn waits for all of them.
    pub(crate) subagents: Vec<Conversation>,
}

/// A main conversation or a subagent's.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// Tools and system.
    pub(crate) prefix: Vec<Segment>,
    /// Names the prefix.
    pub(crate) prefix_key: PrefixKey,
    /// Names the blocks of its messages.
    pub(crate) seed: u64,
    /// How long its cache lives.
    pub(crate) ttl: Ttl,
    /// Bytes of a token, in thousandths: no estimate is right at once.
    pub(crate) milli_bytes: u64,
    /// What happens.
    pub(crate) turns: Vec<Turn>,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    /// When it begins.
    pub(crate) start: Duration,
    /// Its name.
    pub(crate) key: SessionKey,
    /// What happens.
    pub(crate) main: Conversation,
}

/// Projects: each has a system block of its own behind the tools that all share.
const PROJECTS: u64 = 12;

/// Makes a day.
pub(crate) fn day(kind: Kind, seed: u64) -> Vec<Session> {
    (0..kind.sessions)
        .map(|number| session(kind, chance::pair(seed, number)))
        .collect()
}

fn session(kind: Kind, seed: u64) -> Session {
    let mut dice = Dice::new(seed);
    // A third begins in the first half hour: people come to work.
    let start = if dice.percent(33) {
        dice.seconds(0, 1800)
    } else {
        dice.seconds(0, kind.hours.saturating_mul(3600))
    };
    let project = dice.within(0, PROJECTS);
    // Plans write for an hour, keys for five minutes.
    let ttl = if dice.percent(25) {
        Ttl::OneHour
    } else {
        Ttl::FiveMinutes
    };
    let turns = dice.within(kind.turns.0, kind.turns.1);
    let mut main = conversation(&mut dice, ("main", project), ttl, turns);
    let milli_bytes = main.milli_bytes;
    let last = main.turns.len().saturating_sub(1);
    for (at, turn) in main.turns.iter_mut().enumerate() {
        if at < last && dice.percent(4) {
            let agents = dice.within(2, 5);
            for _ in 0..agents {
                let turns = dice.within(3, 12);
                let mut agent = conversation(&mut dice, ("subagent", project), ttl, turns);
                agent.milli_bytes = milli_bytes;
                if let Some(first) = agent.turns.first_mut() {
                    first.gap = Duration::from_millis(dice.within(0, 300));
                }
                turn.subagents.push(agent);
            }
        }
    }
    Session {
        start,
        key: SessionKey(chance::pair(seed, 1)),
        main,
    }
}

fn conversation(
    dice: &mut Dice,
    (role, project): (&str, u64),
    ttl: Ttl,
    turns: u64,
) -> Conversation {
    let tools = chance::hash(role.as_bytes());
    let system = chance::pair(tools, project);
    let mut sizes = Dice::new(system);
    let shared = if role == "main" { 11_000 } else { 6_000 };
    let block = |hash, tokens| Segment {
        hash,
        tokens,
        breakpoint: Some(ttl),
    };
    Conversation {
        prefix: vec![
            block(tools, shared),
            block(system, sizes.within(1_000, 9_000)),
        ],
        // The two lives of a cache stand in the body, but not in the tools or the system's text.
        prefix_key: PrefixKey(system),
        seed: dice.roll(),
        ttl,
        milli_bytes: dice.within(2_100, 2_900),
        turns: (0..turns).map(|at| turn(dice, at)).collect(),
    }
}

fn turn(dice: &mut Dice, at: u64) -> Turn {
    let gap = match (at, dice.within(0, 1000)) {
        (0, _) => Duration::ZERO,
        // A meal or a meeting; a longer thought; reading what was said; a tool that runs.
        (_, 0..15) => dice.seconds(3700, 5400),
        (_, 15..60) => dice.seconds(310, 1200),
        (_, 60..250) => dice.seconds(20, 200),
        _ => dice.seconds(1, 15),
    };
    // Most are short, some long: the square of an even chance.
    let skewed = |dice: &mut Dice, low: u64, high: u64| {
        let limit = dice.within(low, high);
        dice.within(low, limit.saturating_add(1))
    };
    Turn {
        gap,
        added: skewed(dice, 500, 6_000),
        output: skewed(dice, 200, 2_000),
        subagents: Vec::new(),
    }
}
