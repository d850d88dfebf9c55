//! Keeps requests from an upstream that fails.
//!
//! In: leave is asked for before each attempt, and each attempt tells how it went. Out: a
//! [`Permit`], or none while the breaker is open. It must never count what is the request's or the
//! key's fault: whoever calls records a [`Verdict::Failure`] only where the target failed.
//!
//! Closed → (failures in a row, or their share of a window) → open → (time, or a good free probe) →
//! half-open, where a few requests are the probe → closed, or open again for longer.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::chance::fraction;
use crate::moment::Moment;

/// Parts of the window over which the failure rate is counted.
const SLOTS: usize = 10;

/// How often the open time doubles while the upstream stays down.
const DOUBLINGS: u32 = 3;

/// How far the open time is spread, to either side: relays that saw the same outage shall not come
/// back in the same instant.
const JITTER: f64 = 0.1;

/// When a breaker opens, and how it closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerOptions {
    /// Failures in a row that open it.
    pub failure_threshold: u32,
    /// Share of failures within the window that opens it, in percent.
    pub failure_rate_percent: u32,
    /// The window of that share.
    pub window: Duration,
    /// Attempts that the window must hold before its share means anything.
    pub min_requests: u32,
    /// How long it stays open at first; doubled, up to eight times, while it opens again and again.
    pub open_duration: Duration,
    /// Requests that are let through at a time, and successes needed, while it is half-open.
    pub half_open_probes: u32,
}

/// How an attempt went, as far as the target is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The target answered, be it with a refusal of the request.
    Success,
    /// The target failed.
    Failure,
}

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests pass.
    Closed,
    /// None pass until then.
    Open {
        /// When it becomes half-open.
        until: Moment,
    },
    /// A few pass as probes.
    HalfOpen,
}

/// How well a target does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It takes what it gets.
    Healthy,
    /// It fails now and then, or is being tried again.
    Degraded,
    /// It gets nothing.
    Down,
}

impl Health {
    /// Returns the name used in headers, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// One target's breaker, or that of one model at a target.
#[derive(Debug)]
pub struct Breaker(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    options: BreakerOptions,
    phase: Phase,
    /// Counts openings and closings: a result from before the last one decides nothing.
    generation: u64,
    in_a_row: u32,
    window: Window,
    /// Openings since it was last closed.
    opened: u32,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed,
    Open { until: Moment },
    HalfOpen { under_way: u32, successes: u32 },
}

/// Attempts and failures in slots of a tenth of the window.
#[derive(Debug, Default)]
struct Window {
    slots: [(u64, u32, u32); SLOTS],
}

impl Window {
    fn number(now: Moment, window: Duration) -> u64 {
        let slot = (window / 10).as_nanos().max(1);
        u64::try_from(now.since_start().as_nanos() / slot).unwrap_or(u64::MAX)
    }

    fn count(&mut self, verdict: Verdict, now: Moment, window: Duration) {
        let number = Self::number(now, window);
        let place = usize::try_from(number).unwrap_or(0) % SLOTS;
        if let Some(slot) = self.slots.get_mut(place) {
            if slot.0 != number {
                *slot = (number, 0, 0);
            }
            slot.1 = slot.1.saturating_add(1);
            slot.2 = slot
                .2
                .saturating_add(u32::from(verdict == Verdict::Failure));
        }
    }

    /// Returns attempts and failures within the window.
    fn totals(&self, now: Moment, window: Duration) -> (u32, u32) {
        let number = Self::number(now, window);
        let live = |slot: &&(u64, u32, u32)| number.saturating_sub(slot.0) < 10;
        let add = |sum: (u32, u32), slot: &(u64, u32, u32)| {
            (sum.0.saturating_add(slot.1), sum.1.saturating_add(slot.2))
        };
        self.slots.iter().filter(live).fold((0, 0), add)
    }
}

/// Leave to make one attempt. Dropped without a verdict it is neutral: the client left.
#[derive(Debug)]
pub struct Permit {
    breaker: Arc<Breaker>,
    generation: u64,
    /// It holds a place among the probes of the half-open breaker.
    probes: bool,
}

impl Breaker {
    /// Starts closed.
    pub fn new(options: BreakerOptions) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner {
            options,
            phase: Phase::Closed,
            generation: 0,
            in_a_row: 0,
            window: Window::default(),
            opened: 0,
        })))
    }

    /// Takes other options; what was counted stays.
    pub fn configure(&self, options: BreakerOptions) {
        self.0.lock().options = options;
    }

    /// Gives leave for one attempt, or none while it is open.
    pub fn admit(self: &Arc<Self>, now: Moment) -> Option<Permit> {
        let mut inner = self.0.lock();
        inner.let_time_pass(now);
        let most = inner.options.half_open_probes.max(1);
        let probes = match &mut inner.phase {
            Phase::Closed => false,
            Phase::Open { .. } => return None,
            Phase::HalfOpen { under_way, .. } if *under_way >= most => return None,
            Phase::HalfOpen { under_way, .. } => {
                *under_way = under_way.saturating_add(1);
                true
            }
        };
        Some(Permit {
            breaker: Arc::clone(self),
            generation: inner.generation,
            probes,
        })
    }

    /// Gives leave although it may be open: for a request that has nowhere else to go. What comes
    /// of it counts as of any other attempt.
    pub fn admit_anyway(self: &Arc<Self>, now: Moment) -> Permit {
        self.admit(now).unwrap_or_else(|| Permit {
            breaker: Arc::clone(self),
            generation: self.0.lock().generation,
            probes: false,
        })
    }

    /// Tells whether an attempt would get leave now.
    pub fn would_admit(&self, now: Moment) -> bool {
        let mut inner = self.0.lock();
        inner.let_time_pass(now);
        match inner.phase {
            Phase::Closed => true,
            Phase::Open { .. } => false,
            Phase::HalfOpen { under_way, .. } => under_way < inner.options.half_open_probes.max(1),
        }
    }

    /// Takes the result of a free probe. A good one ends an open time early: live requests then
    /// decide. A bad one counts as a failed attempt.
    pub fn probed(&self, verdict: Verdict, now: Moment, seed: u64) {
        let mut inner = self.0.lock();
        inner.let_time_pass(now);
        match (inner.phase, verdict) {
            (Phase::Open { .. }, Verdict::Success) => inner.half_open(),
            (Phase::Closed, _) => inner.count(verdict, now, seed),
            // Free answers prove reachability, not capacity: only requests close it.
            (Phase::HalfOpen { .. }, Verdict::Success) => {}
            (Phase::Open { .. } | Phase::HalfOpen { .. }, Verdict::Failure) => {
                inner.open(now, seed);
            }
        }
    }

    /// Closes it before its time, and forgets what it has counted.
    pub fn close(&self) {
        self.0.lock().close();
    }

    /// Returns where it stands.
    pub fn state(&self, now: Moment) -> BreakerState {
        let mut inner = self.0.lock();
        inner.let_time_pass(now);
        match inner.phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { until } => BreakerState::Open { until },
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Returns when it pays to ask again: now, unless it is open.
    pub fn opens_at(&self, now: Moment) -> Moment {
        match self.state(now) {
            BreakerState::Open { until } => until,
            BreakerState::Closed | BreakerState::HalfOpen => now,
        }
    }

    /// Returns how well the target does: degraded where it is half-open, or half-way to opening.
    pub fn health(&self, now: Moment) -> Health {
        let mut inner = self.0.lock();
        inner.let_time_pass(now);
        let options = inner.options;
        let (attempts, failures) = inner.window.totals(now, options.window);
        let half_way =
            inner.in_a_row > 0 && inner.in_a_row >= options.failure_threshold.div_ceil(2);
        let rate = options.failure_rate_percent.div_ceil(2);
        let often = attempts >= options.min_requests && exceeds(failures, attempts, rate);
        match inner.phase {
            Phase::Open { .. } => Health::Down,
            Phase::HalfOpen { .. } => Health::Degraded,
            Phase::Closed if half_way || often => Health::Degraded,
            Phase::Closed => Health::Healthy,
        }
    }

    fn record(&self, permit: (u64, bool), verdict: Option<Verdict>, now: Option<(Moment, u64)>) {
        let (generation, probes) = permit;
        let mut inner = self.0.lock();
        if generation != inner.generation {
            return;
        }
        if probes && let Phase::HalfOpen { under_way, .. } = &mut inner.phase {
            *under_way = under_way.saturating_sub(1);
        }
        if let (Some(verdict), Some((now, seed))) = (verdict, now) {
            inner.count(verdict, now, seed);
        }
    }
}

fn exceeds(part: u32, whole: u32, percent: u32) -> bool {
    part > 0 && u64::from(part) * 100 >= u64::from(whole) * u64::from(percent)
}

impl Inner {
    fn let_time_pass(&mut self, now: Moment) {
        if matches!(self.phase, Phase::Open { until } if until <= now) {
            self.half_open();
        }
    }

    fn half_open(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.phase = Phase::HalfOpen {
            under_way: 0,
            successes: 0,
        };
    }

    fn open(&mut self, now: Moment, seed: u64) {
        let times = 1_u32 << self.opened.min(DOUBLINGS);
        let spread = 1.0 - JITTER + 2.0 * JITTER * fraction(seed);
        let length = self.options.open_duration.saturating_mul(times);
        let length = Duration::try_from_secs_f64(length.as_secs_f64() * spread).unwrap_or(length);
        self.opened = self.opened.saturating_add(1);
        self.generation = self.generation.wrapping_add(1);
        self.phase = Phase::Open {
            until: now.plus(length),
        };
    }

    fn close(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.phase = Phase::Closed;
        self.in_a_row = 0;
        self.opened = 0;
        self.window = Window::default();
    }

    fn count(&mut self, verdict: Verdict, now: Moment, seed: u64) {
        self.window.count(verdict, now, self.options.window);
        self.in_a_row = match verdict {
            Verdict::Success => 0,
            Verdict::Failure => self.in_a_row.saturating_add(1),
        };
        let needed = self.options.half_open_probes.max(1);
        match (self.phase, verdict) {
            (
                Phase::HalfOpen {
                    under_way,
                    successes,
                },
                Verdict::Success,
            ) => {
                let successes = successes.saturating_add(1);
                self.phase = Phase::HalfOpen {
                    under_way,
                    successes,
                };
                if successes >= needed {
                    self.close();
                }
            }
            (Phase::HalfOpen { .. }, Verdict::Failure) => self.open(now, seed),
            (Phase::Closed, Verdict::Failure) if self.is_too_bad(now) => self.open(now, seed),
            // While it is open only a request with nowhere else to go gets through. If it is
            // served, the others need not wait.
            (Phase::Open { .. }, Verdict::Success) => self.half_open(),
            (Phase::Closed | Phase::Open { .. }, _) => {}
        }
    }

    fn is_too_bad(&self, now: Moment) -> bool {
        let options = &self.options;
        let (attempts, failures) = self.window.totals(now, options.window);
        let often = attempts >= options.min_requests.max(1)
            && exceeds(failures, attempts, options.failure_rate_percent);
        self.in_a_row >= options.failure_threshold.max(1) || often
    }
}

impl Permit {
    /// Tells how the attempt went.
    pub fn record(mut self, verdict: Verdict, now: Moment, seed: u64) {
        let permit = (self.generation, std::mem::take(&mut self.probes));
        self.breaker
            .record(permit, Some(verdict), Some((now, seed)));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.probes {
            self.breaker.record((self.generation, true), None, None);
        }
    }
}

#[cfg(test)]
mod tests;
