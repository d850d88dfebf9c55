//! The upstream: prompt caches, rate limits and outages of each key's organisation.
//!
//! In: a prompt, by which key, and when. Out: the answer that the upstream would give, as status,
//! headers and usage. Must never know how a key was chosen.
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use relay_core::usage::Usage;
use relay_sim::{Limits, PromptCache, RateLimiter, Segment};

/// The model of all requests.
pub(crate) const MODEL: &str = "claude-opus-5-5";

/// When the day begins, since 1970: the headers say dates.
const DAY: Duration = Duration::from_hours(498_730);

/// What is out of order, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    /// The number of the key whose organisation or upstream it is.
    pub(crate) key: usize,
    /// From then.
    pub(crate) from: Duration,
    /// Until then.
    pub(crate) until: Duration,
    /// The status that it answers; 401 is about the key, 5xx about the upstream.
    pub(crate) status: u16,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Of a good answer; its output is that of the whole.
    pub(crate) usage: Usage,
    /// When the answer begins.
    pub(crate) begins: Duration,
    /// When a good answer ends.
    pub(crate) ends: Duration,
}

/// All organisations.
#[derive(Debug)]
pub(crate) struct World {
    cache: PromptCache,
    limiter: RateLimiter,
    outage: Option<Outage>,
}

fn name(key: usize) -> String {
    format!("key-{key}")
}

impl World {
    /// Makes as many organisations as keys, each with a workspace of the same name.
    pub(crate) fn new(keys: usize, limits: Option<Limits>, outage: Option<Outage>) -> Self {
        let mut limiter = RateLimiter::new();
        for key in 0..keys {
            if let Some(limits) = limits {
                limiter.set_limits(&name(key), limits);
            }
        }
        Self {
            cache: PromptCache::new(),
            limiter,
            outage,
        }
    }

    /// Answers a prompt.
    pub(crate) fn ask(
        &mut self,
        key: usize,
        prompt: &[Segment],
        output: u64,
        now: Duration,
    ) -> Answer {
        let place = name(key);
        let is_out = |it: &Outage| it.key == key && (it.from..it.until).contains(&now);
        if let Some(outage) = self.outage.filter(is_out) {
            return refusal(outage.status, HeaderMap::new(), now);
        }
        let quote = self.cache.quote(&place, MODEL, prompt, now);
        let counted = counted(&quote);
        let admitted = self.limiter.admit(&place, MODEL, counted, now);
        if let Err(refused) = admitted {
            let mut headers = self.headers(key, now);
            let seconds = refused.retry_after.as_secs_f64().ceil();
            if let Ok(value) = HeaderValue::from_str(&format!("{seconds}")) {
                headers.insert("retry-after", value);
            }
            return refusal(429, headers, now);
        }
        // A second, and 20,000 tokens of fresh input a second; 70 of output.
        let begins = now + Duration::from_millis(1000 + counted / 20);
        let ends = begins + Duration::from_millis(output * 1000 / 70);
        let usage = self.cache.turn_begun(&place, MODEL, prompt, (now, begins));
        let (five, hour) = (
            usage.cache_creation_5m_input_tokens,
            usage.cache_creation_1h_input_tokens,
        );
        Answer {
            status: 200,
            headers: HeaderMap::new(),
            usage: Usage {
                input_tokens: Some(usage.input_tokens),
                cache_read_input_tokens: Some(usage.cache_read_input_tokens),
                cache_creation_input_tokens: Some(five + hour),
                cache_write_5m_tokens: Some(five),
                cache_write_1h_tokens: Some(hour),
                output_tokens: Some(output),
                ..Usage::default()
            },
            begins,
            ends,
        }
    }

    /// Counts the output of an answer.
    pub(crate) fn said(&mut self, key: usize, output: u64, now: Duration) {
        self.limiter.spend_output(&name(key), MODEL, output, now);
    }

    /// Returns the headers of an answer that begins now.
    pub(crate) fn headers(&mut self, key: usize, now: Duration) -> HeaderMap {
        let place = name(key);
        let lines = self.limiter.headers(&place, MODEL, now, unix(now));
        let own = ["anthropic-organization-id", "anthropic-workspace-id"];
        let own = own.map(|header| (header.to_owned(), place.clone()));
        let lines = lines.into_iter().chain(own);
        lines
            .filter_map(|(name, value)| {
                let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
                Some((name, HeaderValue::from_str(&value).ok()?))
            })
            .collect()
    }
}

/// Returns the time since 1970.
pub(crate) fn unix(now: Duration) -> Duration {
    DAY + now
}

/// Returns the input that limits count.
fn counted(usage: &relay_sim::Usage) -> u64 {
    usage.input_tokens + usage.cache_creation_5m_input_tokens + usage.cache_creation_1h_input_tokens
}

fn refusal(status: u16, headers: HeaderMap, now: Duration) -> Answer {
    let begins = now + Duration::from_millis(200);
    Answer {
        status,
        headers,
        usage: Usage::default(),
        begins,
        ends: begins,
    }
}
