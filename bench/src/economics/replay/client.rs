//! The clients: what each conversation says next, and what it does when it is refused.
//!
//! In: a day, and which turn was answered. Out: prompts, and when the next turns begin. Must never
//! know who answered.
use std::{pin::pin, task::Context, task::Poll, task::Waker, time::Duration};

use relay_core::{
    affinity::key::SessionKey,
    chance,
    cold::{Ticket, Turn, Waiting},
};
use relay_sim::Segment;

use super::super::day::{Conversation, Session};

/// A repeat waits at most so long on the word of a refusal; what says more is a failure.
const LONGEST_HINT: Duration = Duration::from_mins(1);
/// Repeats of one request.
const MOST_REPEATS: u32 = 10;

/// A conversation under way.
#[derive(Debug)]
pub(super) struct Talk<'a> {
    session: SessionKey,
    pub(super) plan: &'a Conversation,
    parent: Option<usize>,
    subagents: usize,
    turn: usize,
    pub(super) segments: Vec<Segment>,
    tokens: u64,
}

impl Talk<'_> {
    /// Returns the length of the body, as far as it can be counted.
    pub(super) fn bytes(&self) -> u64 {
        self.tokens.saturating_mul(self.plan.milli_bytes) / 1000
    }

    /// Returns how much will be answered.
    pub(super) fn output(&self) -> u64 {
        let turn = self.plan.turns.get(self.turn);
        turn.map_or(0, |turn| turn.output)
    }

    fn add(&mut self, what: u64, tokens: u64) {
        let at = u64::try_from(self.segments.len()).unwrap_or(u64::MAX);
        self.segments.push(Segment {
            hash: chance::pair(chance::pair(self.plan.seed, at), what),
            tokens,
            breakpoint: None,
        });
        self.tokens = self.tokens.saturating_add(tokens);
    }
}

/// All conversations.
#[derive(Debug)]
pub(super) struct Client<'a> {
    talks: Vec<Talk<'a>>,
    starts: Vec<Duration>,
}

impl<'a> Client<'a> {
    pub(super) fn new(day: &'a [Session]) -> Self {
        let mut client = Self {
            talks: Vec::new(),
            starts: day.iter().map(|session| session.start).collect(),
        };
        for session in day {
            client.open(session.key, &session.main, None);
        }
        client
    }

    /// Returns when each session begins.
    pub(super) fn starts(&self) -> Vec<(usize, Duration)> {
        self.starts.iter().copied().enumerate().collect()
    }

    fn open(
        &mut self,
        session: SessionKey,
        plan: &'a Conversation,
        parent: Option<usize>,
    ) -> usize {
        self.talks.push(Talk {
            session,
            plan,
            parent,
            subagents: 0,
            turn: 0,
            segments: plan.prefix.clone(),
            tokens: plan.prefix.iter().map(|segment| segment.tokens).sum(),
        });
        self.talks.len().saturating_sub(1)
    }

    /// Adds what the client says next.
    pub(super) fn compose(&mut self, conversation: usize) {
        let Some(talk) = self.talks.get_mut(conversation) else {
            return;
        };
        let prefix = talk.plan.prefix.len();
        // The breakpoint goes with the last message.
        for segment in talk.segments.iter_mut().skip(prefix) {
            segment.breakpoint = None;
        }
        let added = talk.plan.turns.get(talk.turn).map_or(0, |turn| turn.added);
        talk.add(1, added);
        let ttl = talk.plan.ttl;
        if let Some(last) = talk.segments.last_mut() {
            last.breakpoint = Some(ttl);
        }
    }

    /// Returns session and prompt.
    #[expect(
        clippy::indexing_slicing,
        reason = "numbers of conversations come from here"
    )]
    pub(super) fn prompt(&self, conversation: usize) -> (SessionKey, &Talk<'a>) {
        let talk = &self.talks[conversation];
        (talk.session, talk)
    }

    /// Takes an answer; returns which conversations go on, and when.
    pub(super) fn answered(
        &mut self,
        conversation: usize,
        now: Duration,
    ) -> Vec<(usize, Duration)> {
        let Some(talk) = self.talks.get_mut(conversation) else {
            return Vec::new();
        };
        let plan = talk.plan;
        let Some(turn) = plan.turns.get(talk.turn) else {
            return Vec::new();
        };
        talk.add(2, turn.output);
        talk.turn = talk.turn.saturating_add(1);
        talk.subagents = turn.subagents.len();
        let session = talk.session;
        let mut started = Vec::new();
        for agent in &turn.subagents {
            let gap = agent.turns.first().map_or(Duration::ZERO, |turn| turn.gap);
            let agent = self.open(session, agent, Some(conversation));
            started.push((agent, now.saturating_add(gap)));
        }
        if started.is_empty() {
            started.extend(self.next(conversation, now));
        }
        started
    }

    /// Goes on with the next turn, or with that of whoever waits for this conversation's end.
    fn next(&mut self, conversation: usize, now: Duration) -> Option<(usize, Duration)> {
        let talk = self.talks.get(conversation)?;
        if let Some(turn) = talk.plan.turns.get(talk.turn) {
            return Some((conversation, now.saturating_add(turn.gap)));
        }
        let above = talk.parent?;
        let parent = self.talks.get_mut(above)?;
        parent.subagents = parent.subagents.saturating_sub(1);
        if parent.subagents > 0 {
            return None;
        }
        self.next(above, now)
    }
}

/// Returns how long Claude Code waits before it sends a refused request again; `None` where it
/// gives up. Measured: `retry-after` up to a minute is obeyed, else half a second doubled each time.
pub(super) fn pause(
    status: u16,
    retry_after: Option<Duration>,
    repeats: u32,
    seed: u64,
) -> Option<Duration> {
    if repeats >= MOST_REPEATS || !matches!(status, 401 | 429 | 500..) {
        return None;
    }
    match retry_after {
        Some(wait) if status == 429 => (wait <= LONGEST_HINT).then_some(wait),
        _ => {
            let doubled = Duration::from_millis(500).saturating_mul(1 << repeats.min(6));
            let jitter = doubled.mul_f64(chance::fraction(seed) * 0.1);
            Some(doubled.saturating_add(jitter))
        }
    }
}

/// Looks whether the wait for a prefix is over: then with a ticket if it is to go first.
pub(super) fn poll(waiting: Waiting) -> Result<Option<Ticket>, Waiting> {
    let mut waiting = waiting;
    let mut context = Context::from_waker(Waker::noop());
    match pin!(&mut waiting).as_mut().poll(&mut context) {
        Poll::Ready(Turn::Go) => Ok(None),
        Poll::Ready(Turn::First(ticket)) => Ok(Some(ticket)),
        Poll::Pending => Err(waiting),
    }
}
