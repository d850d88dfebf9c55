//! Leaves alone whom a setback is about.

use super::{Leg, SetbackFacts};
use crate::keys::{ModelClass, Parked};
use crate::refusal::{Scope, Trigger};
use crate::snapshot::Target;

/// Leaves key, class, model or target alone for as long as the ruling says.
pub(super) fn learn(target: &Target, leg: &Leg, back: &SetbackFacts, seed: u64) {
    let SetbackFacts { ruling, now, .. } = back;
    let station = &target.station;
    let until = now.plus(ruling.hold);
    let key = leg.receipt.key().map(|key| key.id);
    let model = leg.model.as_str();
    match (ruling.scope, key) {
        (Scope::Key, Some(key)) if !ruling.hold.is_zero() => {
            station.keys.park(key, Parked::Key(ruling.name), until);
        }
        (Scope::Class, Some(key)) if !ruling.hold.is_zero() => {
            let class = ModelClass::of(model);
            let is_limit = ruling.trigger == Some(Trigger::RateLimited);
            let what = if is_limit {
                Parked::Class(class)
            } else {
                Parked::Forbidden(class)
            };
            station.keys.park(key, what, until);
        }
        (Scope::Model, _) if ruling.strikes => {
            station.overload_model(model, ruling.hold, *now, seed);
        }
        (Scope::Model, _) => station.miss_model(model, ruling.hold, *now),
        (Scope::Request | Scope::Key | Scope::Class | Scope::Target, _) => {}
    }
}
