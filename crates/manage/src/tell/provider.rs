//! Providers as messages: what they are set to, and how they do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use relay_api::v1;
use relay_config::{ProviderPlan, Variant};
use relay_core::breaker::{BreakerState, Health};
use relay_core::moment::Moment;
use relay_core::snapshot::{Target, TargetId};
use relay_proxy::{Connector, Settings, Witness, clock};

use super::count;
use crate::ledger::{Books, millis, traffic::Window};
use crate::situation::Situation;

/// Above this time to the first event a provider can be called slow.
const SLOW_US: u64 = 3_000_000;

/// Everything that is known of the relay at one moment.
pub(crate) struct Place<'a> {
    pub(crate) witness: &'a Witness,
    pub(crate) situation: &'a Situation,
    pub(crate) books: &'a Books,
    pub(crate) settings: Arc<Settings>,
    pub(crate) now: Moment,
    pub(crate) unix: Duration,
    pub(crate) in_flight: HashMap<TargetId, usize>,
}

impl<'a> Place<'a> {
    pub(crate) fn new(witness: &'a Witness, situation: &'a Situation, books: &'a Books) -> Self {
        Self {
            witness,
            situation,
            books,
            settings: witness.settings(),
            now: witness.now(),
            unix: clock::unix(),
            in_flight: witness.in_flight(),
        }
    }

    /// Returns the target of this name with what connects to it, if it may take requests.
    pub(crate) fn target(&self, name: &str) -> Option<(&Arc<Target>, &Arc<Connector>)> {
        let targets = self.settings.snapshot.targets.iter();
        let mut pairs = targets.zip(&self.settings.connectors);
        pairs.find(|(target, _)| target.id.as_str() == name)
    }
}

/// Tells of every upstream, in the order of the file.
pub(crate) fn providers(place: &Place<'_>, window: Window) -> Vec<v1::ProviderStats> {
    let plans = place.situation.plan.providers.iter();
    let variants = plans.flat_map(ProviderPlan::variants);
    variants
        .map(|variant| of(place, &variant, window))
        .collect()
}

/// Tells of one upstream.
pub(crate) fn provider(place: &Place<'_>, name: &str, window: Window) -> Option<v1::ProviderStats> {
    let plans = place.situation.plan.providers.iter();
    let mut variants = plans.flat_map(ProviderPlan::variants);
    let variant = variants.find(|variant| variant.plan.name == name)?;
    Some(of(place, &variant, window))
}

fn of(place: &Place<'_>, variant: &Variant, window: Window) -> v1::ProviderStats {
    let plan = &variant.plan;
    let traffic = place.books.provider(&plan.name, window, place.unix);
    let of_file = variant.behind.as_ref().unwrap_or(&plan.name);
    let mut told = v1::Provider {
        name: plan.name.clone(),
        r#type: plan.kind.as_str().to_owned(),
        vendor: plan.vendor.clone(),
        base_url: plan.base_url.clone(),
        enabled: plan.enabled,
        overridden: place.situation.overrides.touches_provider(of_file),
        keys: count(plan.keys.len()),
        priority: plan.priority,
        weight: plan.weight,
        models: plan.models.clone(),
        ..v1::Provider::default()
    };
    let Some((target, connector)) = place.target(&plan.name) else {
        told.set_state(v1::ProviderState::Off);
        told.why = why_off(place, of_file);
        return v1::ProviderStats {
            provider: Some(told),
            traffic: Some(traffic),
        };
    };
    let station = &target.station;
    let states = station.keys.states(place.now);
    let usable =
        |key: &&relay_core::keys::KeyState| key.parked_until.is_none() && key.capacity_percent > 0;
    told.keys_usable = count(states.iter().filter(usable).count());
    told.in_flight = count(place.in_flight.get(&target.id).copied().unwrap_or(0));
    told.in_flight_tokens = station.in_flight_tokens();
    let lacks = station.lacking.list(place.now);
    told.lacks = lacks
        .iter()
        .map(|it| format!("{} for {}", it.capability, it.model))
        .collect();
    let (state, why, asked_again) = state(place, target, connector, &traffic);
    told.set_state(state);
    told.why = why;
    told.asked_again_in_ms = asked_again.map(millis);
    v1::ProviderStats {
        provider: Some(told),
        traffic: Some(traffic),
    }
}

fn why_off(place: &Place<'_>, name: &str) -> String {
    if place.situation.overrides.touches_provider(name) {
        "switched off; it stays so until it is enabled, or the relay is started again".to_owned()
    } else {
        "the configuration says enabled: false".to_owned()
    }
}

fn state(
    place: &Place<'_>,
    target: &Target,
    connector: &Connector,
    traffic: &v1::Traffic,
) -> (v1::ProviderState, String, Option<Duration>) {
    use v1::ProviderState::{Open, Probing, Slow, Up};
    let station = &target.station;
    match station.breaker.state(place.now) {
        BreakerState::Open { until } => {
            let left = until.since(place.now);
            let why = format!(
                "circuit open: it failed too often; tried again in {} s",
                left.as_secs()
            );
            return (Open, why, Some(left));
        }
        BreakerState::HalfOpen => {
            return (
                Probing,
                "it failed too often, and is being tried".to_owned(),
                None,
            );
        }
        BreakerState::Closed => {}
    }
    let failures = connector.failures();
    if failures > 0 {
        let why = format!("cannot be connected to ({failures} times in a row)");
        return (Open, why, None);
    }
    if station.health(place.now) != Health::Healthy {
        return (
            Slow,
            "it fails now and then, or a model is overloaded there".to_owned(),
            None,
        );
    }
    let p95 = traffic.time_to_first_event.and_then(|it| it.p95_us);
    let hour = place
        .books
        .provider(target.id.as_str(), Window::Hour, place.unix);
    let usual = hour.time_to_first_event.and_then(|it| it.p50_us);
    if let (Some(p95), Some(usual)) = (p95, usual)
        && p95 > SLOW_US
        && p95 > usual.saturating_mul(2)
    {
        let seconds = |micros: u64| Duration::from_micros(micros).as_secs_f64();
        let why = format!(
            "p95 to the first event {:.1} s, usually {:.1} s",
            seconds(p95),
            seconds(usual)
        );
        return (Slow, why, None);
    }
    (Up, String::new(), None)
}
