//! Whose key is whose: organisation, workspace and limits of the keys that a sim knows, and the
//! answers that follow from them. In: a request of a known key and the default script; out: the
//! script with the usage of the prompt cache, or a 429. Must never touch a queued script.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use thiserror::Error;

use crate::cache::PromptCache;
use crate::clock;
use crate::dialect::Dialect;
use crate::limit::{Limits, RateLimiter};
use crate::prompt::segments;
use crate::record::Recorded;
use crate::script::{Content, Prepared, Script};

/// Where a key belongs. Keys of one organisation share its limits, keys of one workspace its cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The `anthropic-organization-id`.
    pub organisation: String,
    /// The `anthropic-workspace-id`.
    pub workspace: String,
    /// The organisation's limits; the last account that states them counts. `None` states none.
    pub limits: Option<Limits>,
}

/// The text form of an account is something else.
#[derive(Debug, Error)]
#[error("an account is ORGANISATION/WORKSPACE or ORGANISATION/WORKSPACE:RPM,ITPM,OTPM")]
pub struct UnknownAccount;

impl FromStr for Account {
    type Err = UnknownAccount;

    fn from_str(text: &str) -> Result<Self, UnknownAccount> {
        let (place, limits) = match text.split_once(':') {
            Some((place, limits)) => (place, Some(self::limits(limits)?)),
            None => (text, None),
        };
        match place.split_once('/') {
            Some((organisation, workspace))
                if !organisation.is_empty() && !workspace.is_empty() =>
            {
                Ok(Self {
                    organisation: organisation.to_owned(),
                    workspace: workspace.to_owned(),
                    limits,
                })
            }
            _ => Err(UnknownAccount),
        }
    }
}

fn limits(text: &str) -> Result<Limits, UnknownAccount> {
    let numbers: Result<Vec<u64>, _> = text.split(',').map(str::parse).collect();
    match numbers.as_deref() {
        Ok([requests, input_tokens, output_tokens]) => Ok(Limits {
            requests: *requests,
            input_tokens: *input_tokens,
            output_tokens: *output_tokens,
        }),
        _ => Err(UnknownAccount),
    }
}

/// All known keys, and what their organisations and workspaces have used.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    by_key: HashMap<String, Account>,
    used: Mutex<(PromptCache, RateLimiter)>,
}

impl Accounts {
    pub(crate) fn new(accounts: Vec<(String, Account)>) -> Self {
        let mut limiter = RateLimiter::new();
        for (_, account) in &accounts {
            if let Some(limits) = account.limits {
                limiter.set_limits(&account.organisation, limits);
            }
        }
        Self {
            by_key: accounts.into_iter().collect(),
            used: Mutex::new((PromptCache::new(), limiter)),
        }
    }

    pub(crate) fn find(&self, key: Option<&str>) -> Option<&Account> {
        self.by_key.get(key?)
    }

    /// Returns `default` as this account gets it; `model` is what the path names, `dialect` knows
    /// which of the limits' headers are sent. A request without a model is no prompt and gets it as
    /// it is, and so does any request when the default script is no message.
    pub(crate) fn answer(
        &self,
        account: &Account,
        (request, model): (&Recorded, Option<&str>),
        default: Arc<Prepared>,
        dialect: Option<&Dialect>,
    ) -> Arc<Prepared> {
        let Content::Message(message) = &default.script.content else {
            return default;
        };
        let Some((model, prompt)) = segments(&request.body, model) else {
            return default;
        };
        let (organisation, workspace) = (&account.organisation, &account.workspace);
        let now = request.at;
        let mut used = self.used.lock();
        let (cache, limiter) = &mut *used;
        let quote = cache.quote(workspace, &model, &prompt, now);
        let counted = quote.input_tokens.saturating_add(quote.created());
        let script = match limiter.admit(organisation, &model, counted, now) {
            Ok(()) => {
                let begun = now.saturating_add(default.script.delay_head);
                let mut usage = cache.turn_begun(workspace, &model, &prompt, (now, begun));
                usage.output_tokens = message.usage.output_tokens;
                limiter.spend_output(organisation, &model, usage.output_tokens, now);
                default.script.clone().usage(usage)
            }
            Err(refused) => {
                let message = "This request would exceed your organization's rate limit";
                let script = Script::error(429, "rate_limit_error", message);
                if dialect.is_none_or(Dialect::says_when_to_retry) {
                    script.header("retry-after", whole_seconds(refused.retry_after))
                } else {
                    script
                }
            }
        };
        if dialect.is_some_and(|dialect| !dialect.states_limits()) {
            return Prepared::new(script);
        }
        let headers = limiter.headers(organisation, &model, now, clock::unix());
        let script = headers
            .into_iter()
            .fold(script, |script, (name, value)| script.header(name, value));
        Prepared::new(script)
    }
}

/// Returns seconds rounded up, so that a client which waits them is admitted.
fn whole_seconds(wait: Duration) -> String {
    let up = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(up).to_string()
}
