//! Says a request to one target: encoded, signed, sent; once more without what the target cannot
//! take, or with a credential that was issued anew.
//!
//! In: a leg and the request. Out: the answer, or how the attempt failed. It must never leave out
//! what was not named by the target, nor say a thing more often than it learns something by it.

use relay_core::credential::UpstreamCredential;
use relay_core::error::RelayError;
use relay_core::identity::Identity;
use relay_core::journey::Leg;
use relay_core::provider::{Changes, Encoded};
use relay_core::refusal;
use relay_core::request::Inbound;
use relay_core::snapshot::Target;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tracing::warn;

use crate::body::RequestBody;
use crate::clock;
use crate::dispatch::{Bounds, Fault, dispatch};
use crate::finish::Shared;
use crate::hold::{Answer, Setback};
use crate::pool::Pool;

/// How often something is left out of one request before its refusal counts: Claude Code itself
/// leaves out three things in a row (2.1.330, measured).
const MOST_REMOVALS: usize = 4;

/// Whom a request is said to.
#[derive(Clone, Copy)]
pub(crate) struct Listener<'a> {
    pub(crate) target: &'a Target,
    pub(crate) pool: &'a Arc<Pool>,
    pub(crate) shared: &'a Shared,
    pub(crate) bounds: Bounds<'a>,
}

/// Says a request until it is taken or refused for good.
pub(crate) async fn say(
    to: Listener<'_>,
    leg: &mut Leg,
    inbound: Inbound,
) -> Result<Box<Answer>, Fault> {
    let provider = &*to.target.provider;
    if provider.reads_refusals() {
        return Box::pin(say_and_learn(to, leg, inbound)).await;
    }
    let credential = &leg.credential;
    let changes = Changes {
        model: Some(&leg.model),
        strips_thinking: leg.strips_thinking,
        without: &[],
    };
    let encoded = provider.encode(inbound, credential, &changes)?;
    leg.thinking_removed = encoded.thinking_removed;
    send(to, encoded).await
}

/// The same where refusals teach something.
async fn say_and_learn(
    to: Listener<'_>,
    leg: &mut Leg,
    inbound: Inbound,
) -> Result<Box<Answer>, Fault> {
    let provider = &*to.target.provider;
    let mut credential = issued(&leg.credential).await?;
    let clock = &to.shared.clock;
    let mut without = to.target.station.lacking.of(&leg.model, clock.now());
    let most = without.len().saturating_add(MOST_REMOVALS);
    let mut renewed = false;
    let mut encoded = encode(to.target, leg, inbound.clone(), (&credential, &without))?;
    loop {
        leg.thinking_removed = encoded.thinking_removed;
        leg.removed.clone_from(&encoded.removed);
        provider.sign(&mut encoded, &credential, clock::unix())?;
        let back = match send(to, encoded).await {
            Err(Fault::Back(back)) => back,
            other => return other,
        };
        if let Some(lacking) = &back.lacks
            && without.len() < most
            && !without.contains(lacking)
        {
            without.push(lacking.clone());
            encoded = encode(to.target, leg, inbound.clone(), (&credential, &without))?;
            if encoded.removed != leg.removed {
                let (target_id, model) = (&to.target.id, &leg.model);
                warn!(%target_id, %model, %lacking, "the upstream cannot take this: it is left out");
                let station = &to.target.station;
                station
                    .lacking
                    .note(&leg.model, lacking.clone(), clock.now());
                to.shared.counters.left_out.fetch_add(1, Ordering::Relaxed);
                continue;
            }
        }
        let fresh = match renewal(&leg.credential, &credential, &back, renewed) {
            Some((identity, generation)) => identity.renew(generation).await.ok(),
            None => None,
        };
        let Some(fresh) = fresh else {
            return Err(Fault::Back(back));
        };
        renewed = true;
        credential = UpstreamCredential::Issued(fresh);
        encoded = encode(to.target, leg, inbound.clone(), (&credential, &without))?;
    }
}

/// Whom to ask for a credential that is newer than the one that was refused. Once a request.
fn renewal<'a>(
    held: &'a UpstreamCredential,
    used: &UpstreamCredential,
    back: &Setback,
    renewed: bool,
) -> Option<(&'a Arc<dyn Identity>, u64)> {
    match (held, used) {
        (UpstreamCredential::Identity(identity), UpstreamCredential::Issued(issued))
            if back.status == Some(401) && !renewed =>
        {
            Some((identity, issued.generation))
        }
        _ => None,
    }
}

fn encode(
    target: &Target,
    leg: &Leg,
    inbound: Inbound,
    (credential, without): (&UpstreamCredential, &[relay_core::capability::Capability]),
) -> Result<Encoded, RelayError> {
    let changes = Changes {
        model: Some(&leg.model),
        strips_thinking: leg.strips_thinking,
        without,
    };
    target.provider.encode(inbound, credential, &changes)
}

async fn send(to: Listener<'_>, mut encoded: Encoded) -> Result<Box<Answer>, Fault> {
    let body = RequestBody::Whole(std::mem::take(&mut encoded.body).into());
    dispatch(to.pool, encoded, body, None, to.bounds).await
}

/// Returns what is in force of an identity; waits for the first that is issued.
pub(crate) async fn issued(credential: &UpstreamCredential) -> Result<UpstreamCredential, Fault> {
    if let Some(credential) = credential.in_force() {
        return Ok(credential);
    }
    let UpstreamCredential::Identity(identity) = credential else {
        return Ok(credential.clone());
    };
    match identity.renew(0).await {
        Ok(issued) => Ok(UpstreamCredential::Issued(issued)),
        Err(why) => Err(Fault::Back(Box::new(Setback {
            ruling: refusal::NO_CREDENTIAL,
            status: None,
            answer: Err(RelayError::Unreachable(
                format!("no credential for it: {why}").into(),
            )),
            lacks: None,
        }))),
    }
}
