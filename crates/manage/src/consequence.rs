//! What follows from a change, in words, before it is made.
//!
//! In: the relay as it is, a change, and the plan as it would be. Out: what becomes of running
//! requests, who takes the traffic, whether they can carry it, which sessions move and what that
//! costs, how it is undone and how long it lasts.

use std::collections::BTreeSet;

use relay_api::v1;
use relay_config::{Edit, NewKey, Override, Plan, ProviderPlan};
use relay_core::affinity::SessionState;
use relay_core::price::{Day, Money};
use relay_core::secret::KeyId;
use relay_core::snapshot::Target;
use tonic::{Code, Status};

use crate::ledger::traffic::Window;
use crate::manager::Check;
use crate::refusal::{missing, refuse};
use crate::situation::Situation;
use crate::tell::Place;

/// A share of the traffic above which a change is not made lightly.
const MUCH_PERCENT: u64 = 50;

/// Tells what a change would do.
pub(crate) fn of(place: &Place<'_>, change: &Override, after: &Plan, persist: bool) -> v1::Change {
    let mut told = v1::Change {
        summary: summary(change),
        lasts_over_reload: true,
        lasts_over_restart: persist,
        ..at_once(place)
    };
    match change {
        Override::Provider {
            name,
            enabled: false,
        } => told.severe = leaving(place, name, after, &mut told.effects),
        Override::Provider { enabled: true, .. } => {
            let text = format!("requests may go to {}", order(after));
            add(&mut told, "then", &text);
        }
        Override::KeyOff { provider, key } | Override::KeyRemoved { provider, key } => {
            key_leaving(place, (provider, key), after, &mut told.effects);
        }
        Override::KeyOn { provider, .. } | Override::KeyAdded { provider, .. } => {
            let text = format!("it takes its share of {provider}'s requests");
            add(&mut told, "then", &text);
        }
        Override::Strategy(strategy) => {
            add(&mut told, "now", "requests under way go on as they began");
            let text = format!("{} over {}", strategy.as_str(), order(after));
            add(&mut told, "then", &text);
            add(
                &mut told,
                "cache",
                "sessions with a warm cache stay where it is",
            );
        }
    }
    if let Some(text) = undo(place, change) {
        add(&mut told, "undo", &text);
    }
    let until = if persist {
        "it is written to the configuration's file"
    } else {
        "the relay is started again, or it is undone; a reload does not end it"
    };
    add(&mut told, "until", until);
    told
}

/// Says a change in a few words.
pub fn summary(change: &Override) -> String {
    match change {
        Override::Provider { name, enabled } => {
            format!("{} {name}", if *enabled { "enable" } else { "disable" })
        }
        Override::KeyOff { provider, key } => format!("disable key {key} of {provider}"),
        Override::KeyOn { provider, key } => format!("enable key {key} of {provider}"),
        Override::KeyRemoved { provider, key } => format!("remove key {key} of {provider}"),
        Override::KeyAdded { provider, key } => format!("add key {} to {provider}", key.name),
        Override::Strategy(strategy) => format!("route by {}", strategy.as_str()),
    }
}

/// Returns the command that undoes a change, where one does.
fn undo(place: &Place<'_>, change: &Override) -> Option<String> {
    Some(match change {
        Override::Provider { name, enabled } => {
            let word = if *enabled { "disable" } else { "enable" };
            format!("cc-relay provider {word} {name}")
        }
        Override::KeyOff { provider, key } => format!("cc-relay key enable {provider} {key}"),
        Override::KeyOn { provider, key } => format!("cc-relay key disable {provider} {key}"),
        Override::KeyAdded { provider, key } => {
            format!("cc-relay key remove {provider} {}", key.name)
        }
        Override::KeyRemoved { .. } => return None,
        Override::Strategy(_) => {
            let before = place.settings.snapshot.routing.kind.name();
            format!("cc-relay routing set {before}")
        }
    })
}

fn effect(effects: &mut Vec<v1::Effect>, topic: &str, text: String) {
    effects.push(v1::Effect {
        topic: topic.to_owned(),
        text,
    });
}

/// Returns who may take requests, in order.
fn order(plan: &Plan) -> String {
    let enabled = plan.providers.iter().filter(|it| it.enabled);
    let mut enabled: Vec<&ProviderPlan> = enabled.collect();
    // As the file has them where priorities are alike.
    enabled.sort_by_key(|it| std::cmp::Reverse(it.priority));
    let names: Vec<&str> = enabled.iter().map(|it| it.name.as_str()).collect();
    names.join(", ")
}

/// Tells what follows when a provider is switched off; whether that is much.
fn leaving(place: &Place<'_>, name: &str, after: &Plan, effects: &mut Vec<v1::Effect>) -> bool {
    let of_it = |target: &&std::sync::Arc<Target>| {
        target.id.as_str() == name || target.behind.as_ref().is_some_and(|it| it.as_str() == name)
    };
    let targets: Vec<_> = place
        .settings
        .snapshot
        .targets
        .iter()
        .filter(of_it)
        .collect();
    let live: usize = targets
        .iter()
        .filter_map(|it| place.in_flight.get(&it.id))
        .sum();
    effect(
        effects,
        "now",
        match live {
            0 => "nothing is under way there".to_owned(),
            1 => "1 request is under way there: it finishes".to_owned(),
            many => format!("{many} requests are under way there: they finish"),
        },
    );
    effect(
        effects,
        "then",
        format!("new requests go to {}", order(after)),
    );
    let orphans = orphans(place, name);
    if !orphans.is_empty() {
        let models = orphans
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        effect(
            effects,
            "then",
            format!("nobody else serves {models}: those requests fail"),
        );
    }
    let all = place.books.all(Window::Minute, place.unix).requests;
    let its = place
        .books
        .provider(name, Window::Minute, place.unix)
        .requests;
    effect(
        effects,
        "load",
        format!("{its} of {all} requests of the last minute went there"),
    );
    sessions(
        place,
        |target, _| targets.iter().any(|it| it.id.as_str() == target),
        effects,
    );
    !orphans.is_empty() || its.saturating_mul(100) > all.saturating_mul(MUCH_PERCENT)
}

/// Returns models that were asked for lately and that nobody else serves.
fn orphans(place: &Place<'_>, name: &str) -> BTreeSet<String> {
    let remains = |target: &&std::sync::Arc<Target>| {
        target.id.as_str() != name && target.behind.as_ref().is_none_or(|it| it.as_str() != name)
    };
    let others: Vec<_> = place
        .settings
        .snapshot
        .targets
        .iter()
        .filter(remains)
        .collect();
    let asked = place.books.last.iter().filter_map(|(_, record)| {
        let here = record
            .target
            .as_ref()
            .is_some_and(|target| target.as_str() == name);
        record.model.as_ref().filter(|_| here)
    });
    let nobody = |model: &&relay_core::request::ModelName| {
        !others.iter().any(|target| target.name_of(model).is_some())
    };
    asked
        .filter(nobody)
        .map(|model| model.as_str().to_owned())
        .collect()
}

fn key_leaving(
    place: &Place<'_>,
    (provider, key): (&str, &str),
    after: &Plan,
    effects: &mut Vec<v1::Effect>,
) {
    effect(
        effects,
        "now",
        "requests under way with it finish".to_owned(),
    );
    let left = after.providers.iter().find(|it| it.name == provider);
    let names: Vec<&str> = left.map_or_else(Vec::new, |it| {
        it.keys.iter().map(|key| key.name.as_str()).collect()
    });
    effect(
        effects,
        "then",
        format!("{provider} is asked with {}", names.join(", ")),
    );
    let plans = place.situation.plan.providers.iter();
    let mut keys = plans
        .filter(|it| it.name == provider)
        .flat_map(|it| &it.keys);
    let id = keys.find(|it| it.name == key).map(|it| it.secret.id());
    sessions(
        place,
        |target, home| target == provider && home == id,
        effects,
    );
}

/// Tells which sessions move, and what it costs to write their caches anew.
fn sessions(
    place: &Place<'_>,
    lives_there: impl Fn(&str, Option<KeyId>) -> bool,
    effects: &mut Vec<v1::Effect>,
) {
    let states = place.witness.board().affinity.sessions(place.now);
    let moving: Vec<&SessionState> = states
        .iter()
        .filter(|it| lives_there(it.home.target.as_str(), it.home.key))
        .collect();
    effect(effects, "cache", cold(place, &moving));
}

/// Says what it costs if these lose their homes.
pub(crate) fn cold(place: &Place<'_>, moving: &[&SessionState]) -> String {
    let prices = place.witness.board().prices();
    let day = Day::of(place.unix);
    let warm: Vec<&&SessionState> = moving.iter().filter(|it| !it.warm_for.is_zero()).collect();
    let (mut cost, mut unknown) = (Money::ZERO, 0_usize);
    for state in &warm {
        let target = place.target(state.home.target.as_str()).map(|it| it.0);
        let tariff = target.and_then(|it| prices.of(&it.seller, &state.model, &state.model, day));
        match tariff {
            Some(tariff) => {
                cost = cost.plus(tariff.move_cost(state.prefix_tokens, state.one_hour));
            }
            None => unknown = unknown.saturating_add(1),
        }
    }
    let sessions = match moving.len() {
        0 => return "no session lives there".to_owned(),
        1 => "1 session moves".to_owned(),
        many => format!("{many} sessions move"),
    };
    match (warm.len(), unknown) {
        (0, _) => format!("{sessions}; none has a warm cache"),
        (warm, 0) => {
            format!("{sessions}, {warm} with a warm cache: about {cost} to write it again")
        }
        (warm, unknown) => {
            format!(
                "{sessions}, {warm} with a warm cache: about {cost}, and {unknown} without a price"
            )
        }
    }
}

/// Begins to tell of a change that is made at once and outlives nothing.
pub(crate) fn at_once(place: &Place<'_>) -> v1::Change {
    v1::Change {
        config_digest: place.settings.snapshot.digest.to_string(),
        ..v1::Change::default()
    }
}

/// Adds a consequence.
pub(crate) fn add(change: &mut v1::Change, topic: &str, text: &str) {
    effect(&mut change.effects, topic, text.to_owned());
}

/// Returns the file's text with a change made in it, and the revision that it was made from.
pub(crate) fn persisted(
    situation: &Situation,
    change: &Override,
    new: Option<&NewKey>,
    check: &Check,
) -> Result<(String, String), Status> {
    let (text, revision) = crate::file::read(&situation.file)?;
    let format = crate::file::format(&situation.file)?;
    let check = |text: &str| check(text, format);
    let edit = Edit {
        text: &text,
        format,
        check: &check,
    };
    let set = |path: String, value: &str| edit.set(&path, value);
    let edited = match change {
        Override::Provider { name, enabled } => set(
            format!("providers[{name}].enabled"),
            if *enabled { "true" } else { "false" },
        ),
        Override::Strategy(strategy) => set("routing.strategy".to_owned(), strategy.as_str()),
        Override::KeyRemoved { provider, key } => edit.remove_key(provider, key),
        Override::KeyOff { .. } | Override::KeyOn { .. } => {
            return Err(refuse(
                Code::InvalidArgument,
                "NOT_IN_FILES",
                "a file has no switched-off keys",
                "leave out persist, or remove the key",
            ));
        }
        Override::KeyAdded { provider, key } => {
            let new = new.ok_or_else(|| missing("key", &key.name, "send it once more"))?;
            edit.add_key(provider, new)
        }
    };
    let edited = edited.map_err(|error| {
        let fix = "leave out persist, or edit the file: cc-relay config edit";
        refuse(
            Code::FailedPrecondition,
            "CANNOT_EDIT",
            error.to_string(),
            fix,
        )
    })?;
    Ok((edited, revision))
}
