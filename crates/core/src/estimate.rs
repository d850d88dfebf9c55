//! How many input tokens a request will count, before anybody has counted them.
//!
//! In: the size of a body, and afterwards what the upstream counted. Out: an estimate that corrects
//! itself: a ratio of tokens to bytes by model, and for a session under way what it counted last,
//! with the ratio for the difference alone. It must never be zero, overflow, or grow without bound.
//!
//! Pictures and documents in base64 have far fewer tokens than bytes: [`countable_bytes`] is the
//! size to ask with.

mod payload;

use crate::affinity::key::SessionKey;
use crate::bounded::Bounded;
use crate::chance;
use crate::price::plain_name;

pub use payload::countable_bytes;

/// Ratios are whole numbers of this part of a token a byte.
const UNIT: u64 = 1 << 16;
/// 1/2.5: Claude 4.7 and later. No tokenizer is public; measured on Claude Code's bodies.
const START_RATIO: u64 = UNIT * 2 / 5;
/// 1/3.2: Claude before 4.7, and whatever else.
const START_RATIO_OLDER: u64 = UNIT * 5 / 16;
/// No text has more tokens than bytes, nor less than one in 64.
const RATIO_RANGE: (u64, u64) = (UNIT / 64, UNIT);
/// A sample weighs one in so many, once there were as many.
const WEIGHT: u64 = 16;
/// Model names come from clients: at most so many are told apart.
const MAX_MODELS: usize = 256;

/// Estimates tokens and learns from the true count.
#[derive(Debug)]
pub struct Estimator {
    ratios: Bounded<Ratio>,
    sessions: Bounded<Counted>,
}

/// Tokens a byte, as a moving average.
#[derive(Debug, Clone, Copy)]
struct Ratio {
    ratio: u64,
    samples: u64,
}

/// The last request of a session.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    bytes: u64,
    tokens: u64,
}

impl Estimator {
    /// Makes one that remembers at most so many sessions.
    pub fn new(max_sessions: usize) -> Self {
        Self {
            ratios: Bounded::new(MAX_MODELS),
            sessions: Bounded::new(max_sessions),
        }
    }

    /// Remembers more sessions, or fewer.
    pub fn resize(&self, max_sessions: usize) {
        self.sessions.resize(max_sessions);
    }

    /// Returns the input tokens that a body will count: fresh, read and written together.
    pub fn estimate(&self, session: Option<SessionKey>, model: &str, body_bytes: u64) -> u64 {
        let name = plain_name(model);
        let model = chance::hash(name.as_bytes());
        let learned = self.ratios.with(model, |known| known.ratio);
        let ratio = learned.unwrap_or_else(|| start_ratio(&name));
        let last = session.and_then(|session| {
            self.sessions
                .with(chance::pair(session.0, model), |last| *last)
        });
        let tokens = match last {
            None => times(body_bytes, ratio),
            Some(last) if body_bytes >= last.bytes => last
                .tokens
                .saturating_add(times(body_bytes.saturating_sub(last.bytes), ratio)),
            Some(last) => last
                .tokens
                .saturating_sub(times(last.bytes.saturating_sub(body_bytes), ratio)),
        };
        // A subagent's short body after a long one would else come out at nothing, or far too high.
        let (low, high) = RATIO_RANGE;
        tokens
            .clamp(times(body_bytes, low), times(body_bytes, high).max(1))
            .max(1)
    }

    /// Takes what the upstream counted in a body for which [`Estimator::estimate`] was asked.
    pub fn learn(
        &self,
        session: Option<SessionKey>,
        model: &str,
        body_bytes: u64,
        actual_total: u64,
    ) {
        if body_bytes == 0 || actual_total == 0 {
            return;
        }
        let name = plain_name(model);
        let model = chance::hash(name.as_bytes());
        let sample =
            u128::from(actual_total).saturating_mul(u128::from(UNIT)) / u128::from(body_bytes);
        let (low, high) = RATIO_RANGE;
        let sample = u64::try_from(sample).unwrap_or(high).clamp(low, high);
        let start = || Ratio {
            ratio: start_ratio(&name),
            samples: 0,
        };
        // The maps have a place for every key, so there is no answer to look at.
        let _: Option<()> = self
            .ratios
            .with_or(model, |_| false, start, |it| it.take(sample));
        if let Some(session) = session {
            let key = chance::pair(session.0, model);
            let counted = Counted {
                bytes: body_bytes,
                tokens: actual_total,
            };
            let _: Option<()> =
                self.sessions
                    .with_or(key, |_| false, Counted::default, |last| *last = counted);
        }
    }
}

impl Ratio {
    /// Moves towards a sample: the first ones count more, and the start value like one sample.
    const fn take(&mut self, sample: u64) {
        self.samples = self.samples.saturating_add(1);
        let weight = if self.samples < WEIGHT {
            self.samples.saturating_add(1)
        } else {
            WEIGHT
        };
        // Rounded away from where it stands: else it would stop short of what it moves towards.
        if sample > self.ratio {
            let up = sample.saturating_sub(self.ratio).div_ceil(weight);
            self.ratio = self.ratio.saturating_add(up);
        } else {
            let down = self.ratio.saturating_sub(sample).div_ceil(weight);
            self.ratio = self.ratio.saturating_sub(down);
        }
    }
}

/// Estimates without any experience.
pub(crate) fn by_start_ratio(model: &str, bytes: usize) -> u64 {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    times(bytes, start_ratio(&plain_name(model)))
}

fn times(bytes: u64, ratio: u64) -> u64 {
    let product = u128::from(bytes).saturating_mul(u128::from(ratio)) / u128::from(UNIT);
    u64::try_from(product).unwrap_or(u64::MAX)
}

/// Returns the ratio to start with: the tokenizer changed with Claude 4.7.
fn start_ratio(plain_name: &str) -> u64 {
    if !plain_name.starts_with("claude") {
        return START_RATIO_OLDER;
    }
    let mut numbers = plain_name
        .split('-')
        .filter_map(|part| part.parse::<u8>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (4, 7) {
        START_RATIO
    } else {
        START_RATIO_OLDER
    }
}

#[cfg(test)]
mod tests;
