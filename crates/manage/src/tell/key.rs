//! The relay's keys as messages. A key is known by its name, its digest and its last four characters.

use std::time::Duration;

use relay_api::v1;
use relay_config::{KeyPlan, LimitsPlan, ProviderPlan};
use relay_core::keys::{KeyLimits, KeyState};

use super::{Place, count};
use crate::ledger::millis;

/// Tells of every key, in the order of the file; of one provider alone where it is named.
pub(crate) fn keys(place: &Place<'_>, only: Option<&str>) -> Vec<v1::Key> {
    // Keys that are off stand in the file's plan alone.
    let situation = place.situation;
    let wanted = |plan: &&ProviderPlan| only.is_none_or(|name| plan.name == name);
    let mut told = Vec::new();
    for plan in situation.plan.providers.iter().filter(wanted) {
        let states = place
            .target(&plan.name)
            .map(|(target, _)| target.station.keys.states(place.now));
        let states = states.unwrap_or_default();
        for key in &plan.keys {
            let state = states.iter().find(|state| *state.name == *key.name);
            told.push(of(place, plan, key, state));
        }
        for (key, state) in off(place, plan) {
            told.push(v1::Key {
                state: v1::KeyState::Off.into(),
                why: state,
                ..set(place, plan, &key)
            });
        }
    }
    told
}

/// Returns the keys of a provider that were switched off, and why each is.
fn off(place: &Place<'_>, plan: &ProviderPlan) -> Vec<(KeyPlan, String)> {
    let overrides = &place.situation.overrides;
    let file = place
        .situation
        .file_plan
        .providers
        .iter()
        .find(|it| it.name == plan.name);
    let in_file = |name: &str| file.and_then(|plan| plan.keys.iter().find(|key| key.name == name));
    let names = overrides.off_keys(&plan.name).into_iter();
    let keys = names.filter_map(|name| in_file(name).or_else(|| overrides.added(&plan.name, name)));
    keys.map(|key| (key.clone(), "switched off".to_owned()))
        .collect()
}

fn set(place: &Place<'_>, plan: &ProviderPlan, key: &KeyPlan) -> v1::Key {
    v1::Key {
        provider: plan.name.clone(),
        name: key.name.clone(),
        id: key.secret.id().to_string(),
        last_four: key.secret.last_four().unwrap_or_default().to_owned(),
        limits: Some(planned(key.limits)),
        weight: key.weight,
        priority: key.priority,
        added: place
            .situation
            .overrides
            .added(&plan.name, &key.name)
            .is_some(),
        capacity_percent: 100,
        ..v1::Key::default()
    }
}

fn of(place: &Place<'_>, plan: &ProviderPlan, key: &KeyPlan, state: Option<&KeyState>) -> v1::Key {
    let mut told = set(place, plan, key);
    let Some(state) = state else {
        told.set_state(v1::KeyState::Off);
        "its provider is off".clone_into(&mut told.why);
        return told;
    };
    let left: Option<Duration> = state.parked_until.map(|until| until.since(place.now));
    told.in_flight = count(usize::try_from(state.in_flight).unwrap_or(usize::MAX));
    told.used = Some(limits(state.used));
    told.capacity_percent = u32::from(state.capacity_percent);
    told.cools_for_ms = left.map(millis);
    let organisation = state.organisation.as_deref().unwrap_or_default();
    organisation.clone_into(&mut told.organisation);
    let why = match (left, state.capacity_percent) {
        (Some(left), _) => format!("{}; tried again in {} s", state.parked_for, left.as_secs()),
        (None, 0) => "at its limit for this minute".to_owned(),
        (None, _) => String::new(),
    };
    told.set_state(if why.is_empty() {
        v1::KeyState::Ok
    } else {
        v1::KeyState::Cooling
    });
    told.why = why;
    told
}

fn limits(limits: KeyLimits) -> v1::KeyLimits {
    v1::KeyLimits {
        rpm: limits.rpm,
        tpm: limits.tpm,
        itpm: limits.itpm,
        otpm: limits.otpm,
    }
}

fn planned(limits: LimitsPlan) -> v1::KeyLimits {
    v1::KeyLimits {
        rpm: limits.rpm,
        tpm: limits.tpm,
        itpm: limits.itpm,
        otpm: limits.otpm,
    }
}
