//! One target's live state: what is learned about it while requests pass.
//!
//! It outlives the snapshot that names the target: a reload changes what the relay is set to, not
//! what it knows. Shared by all threads; nothing in it is held across targets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::breaker::{Breaker, BreakerOptions, Health, Permit, Verdict};
use crate::chance::hash;
use crate::keys::KeyPool;
use crate::lacking::Lacking;
use crate::latency::Latencies;
use crate::moment::Moment;

/// Models of one target about which trouble is remembered; the oldest trouble makes room.
const MOST_MODELS: usize = 64;

/// What is known about a target.
#[expect(missing_debug_implementations, reason = "its keys are secrets")]
pub struct Station {
    /// Its breaker.
    pub breaker: Arc<Breaker>,
    /// The relay's keys for it.
    pub keys: Arc<KeyPool>,
    /// What it has refused to take.
    pub lacking: Lacking,
    /// Its times to first event.
    pub latencies: Latencies,
    /// What came of asking it for free.
    pub probes: Probes,
    in_flight_tokens: Arc<AtomicU64>,
    options: Mutex<BreakerOptions>,
    /// Whether any model had trouble, ever: most targets never do, and need no look at the list.
    troubled: AtomicBool,
    models: Mutex<Vec<Trouble>>,
}

/// Counts of free questions.
#[derive(Debug, Default)]
pub struct Probes {
    answered: AtomicU64,
    failed: AtomicU64,
}

impl Probes {
    /// Counts a question.
    pub fn count(&self, was_answered_well: bool) {
        let counter = if was_answered_well {
            &self.answered
        } else {
            &self.failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many were answered well, and how many were not.
    pub fn counts(&self) -> [u64; 2] {
        [&self.answered, &self.failed].map(|counter| counter.load(Ordering::Relaxed))
    }
}

/// Trouble with one model.
#[derive(Debug)]
struct Trouble {
    model: u64,
    /// Opens when the model is overloaded there.
    breaker: Arc<Breaker>,
    /// The target does not know the model, as far as this time.
    missing_until: Moment,
    left_alone_until: Moment,
    since: Moment,
}

/// Tokens under way at a target; given back when it is dropped.
#[derive(Debug)]
pub struct InFlight {
    tokens: u64,
    sum: Arc<AtomicU64>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.sum.fetch_sub(self.tokens, Ordering::Relaxed);
    }
}

impl Station {
    /// Starts without trouble.
    pub fn new(keys: Arc<KeyPool>, options: BreakerOptions) -> Arc<Self> {
        Arc::new(Self {
            breaker: Breaker::new(options),
            keys,
            lacking: Lacking::default(),
            latencies: Latencies::default(),
            probes: Probes::default(),
            in_flight_tokens: Arc::default(),
            options: Mutex::new(options),
            troubled: AtomicBool::new(false),
            models: Mutex::new(Vec::new()),
        })
    }

    /// Takes other options; what is known stays.
    pub fn configure(&self, options: BreakerOptions) {
        *self.options.lock() = options;
        self.breaker.configure(options);
        for trouble in self.models.lock().iter() {
            trouble.breaker.configure(options);
        }
    }

    /// Returns the tokens under way.
    pub fn in_flight_tokens(&self) -> u64 {
        self.in_flight_tokens.load(Ordering::Relaxed)
    }

    /// Counts tokens as under way until the guard is dropped.
    pub fn carry(&self, tokens: u64) -> InFlight {
        self.in_flight_tokens.fetch_add(tokens, Ordering::Relaxed);
        InFlight {
            tokens,
            sum: Arc::clone(&self.in_flight_tokens),
        }
    }

    /// Asks leave for a model: `Ok(None)` where it never had trouble.
    ///
    /// # Errors
    /// [`Closed`] while the model is unknown or overloaded there.
    pub fn admit_model(&self, model: &str, now: Moment) -> Result<Option<Permit>, Closed> {
        if !self.troubled.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let model = hash(model.as_bytes());
        let models = self.models.lock();
        let Some(trouble) = models.iter().find(|trouble| trouble.model == model) else {
            return Ok(None);
        };
        let until = trouble.missing_until.max(trouble.left_alone_until);
        if until > now {
            return Err(Closed { until });
        }
        let until = trouble.breaker.opens_at(now);
        let permit = trouble.breaker.admit(now);
        permit.map(Some).ok_or(Closed { until })
    }

    /// Notes that the target does not know a model.
    pub fn miss_model(&self, model: &str, hold: Duration, now: Moment) {
        self.trouble(model, now, |trouble| {
            trouble.missing_until = trouble.missing_until.max(now.plus(hold));
        });
    }

    /// Notes that a model is overloaded there, to be left alone for `hold`, if the target said so.
    pub fn overload_model(&self, model: &str, hold: Duration, now: Moment, seed: u64) {
        let breaker = self.trouble(model, now, |trouble| {
            trouble.left_alone_until = trouble.left_alone_until.max(now.plus(hold));
        });
        breaker
            .admit_anyway(now)
            .record(Verdict::Failure, now, seed);
    }

    fn trouble(&self, model: &str, now: Moment, note: impl FnOnce(&mut Trouble)) -> Arc<Breaker> {
        self.troubled.store(true, Ordering::Relaxed);
        let model = hash(model.as_bytes());
        let mut models = self.models.lock();
        if !models.iter().any(|trouble| trouble.model == model) {
            if models.len() >= MOST_MODELS {
                let oldest = models.iter().map(|trouble| trouble.since).min();
                models.retain(|trouble| Some(trouble.since) != oldest);
            }
            models.push(Trouble {
                model,
                breaker: Breaker::new(*self.options.lock()),
                missing_until: Moment::START,
                left_alone_until: Moment::START,
                since: now,
            });
        }
        let Some(trouble) = models.iter_mut().find(|trouble| trouble.model == model) else {
            return Breaker::new(*self.options.lock());
        };
        trouble.since = now;
        note(trouble);
        Arc::clone(&trouble.breaker)
    }

    /// Returns how well the target does: a model that is overloaded degrades it.
    pub fn health(&self, now: Moment) -> Health {
        let health = self.breaker.health(now);
        let overloaded = |trouble: &Trouble| trouble.breaker.health(now) == Health::Down;
        if health == Health::Healthy && self.models.lock().iter().any(overloaded) {
            return Health::Degraded;
        }
        health
    }
}

/// A target does not take a model now: it does not know it, or is overloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// When it pays to ask again.
    pub until: Moment,
}
