//! What callers ask for, read and held to its bounds.

use std::time::Duration;

use relay_api::v1;
use relay_config::{LimitsPlan, NewKey};
use relay_store::By;
use tonic::Status;

use crate::ledger::traffic::Window;
use crate::refusal::{argument, missing};

pub(super) fn no_provider(name: &str) -> Status {
    missing("provider", name, "cc-relay provider list names them")
}

pub(super) fn window(seconds: u32) -> Result<Window, Status> {
    Window::of(seconds).ok_or_else(|| {
        argument(
            "window_s",
            format!("{seconds} s is no window"),
            "60, 300, 900 or 3600",
        )
    })
}

pub(super) fn between(
    field: &str,
    asked: u32,
    (least, most): (u32, u32),
    default: u32,
) -> Result<Duration, Status> {
    let value = if asked == 0 { default } else { asked };
    if (least..=most).contains(&value) {
        Ok(Duration::from_millis(u64::from(value)))
    } else {
        let message = format!("{value} is out of bounds");
        Err(argument(
            field,
            message,
            &format!("{least} to {most} milliseconds"),
        ))
    }
}

pub(super) fn backlog(asked: u32, kept: usize) -> Result<usize, Status> {
    let asked = usize::try_from(asked).unwrap_or(usize::MAX);
    if asked <= kept {
        Ok(asked)
    } else {
        Err(argument(
            "backlog",
            "more than are kept",
            &format!("at most {kept}"),
        ))
    }
}

pub(super) fn new_key(asked: &v1::AddKeyRequest) -> Result<NewKey, Status> {
    if asked.name.is_empty() {
        return Err(argument(
            "name",
            "a key needs a name",
            "choose one, such as k2",
        ));
    }
    if asked.secret.trim().is_empty() {
        return Err(argument(
            "secret",
            "the key itself is missing",
            "send it in `secret`",
        ));
    }
    let limits = asked.limits.unwrap_or_default();
    let value = if asked.reference.is_empty() {
        &asked.secret
    } else {
        &asked.reference
    };
    Ok(NewKey {
        name: asked.name.clone(),
        value: value.clone(),
        weight: asked.weight.max(1),
        priority: asked.priority,
        limits: LimitsPlan {
            rpm: limits.rpm,
            tpm: limits.tpm,
            itpm: limits.itpm,
            otpm: limits.otpm,
        },
    })
}

pub(super) fn by(asked: v1::GroupBy) -> By {
    match asked {
        v1::GroupBy::Unspecified | v1::GroupBy::Provider => By::Provider,
        v1::GroupBy::Model => By::Model,
        v1::GroupBy::Key => By::Key,
        v1::GroupBy::Client => By::Client,
        v1::GroupBy::Session => By::Session,
        v1::GroupBy::Agent => By::Agent,
        v1::GroupBy::Day => By::Day,
        v1::GroupBy::Hour => By::Hour,
        v1::GroupBy::Project => By::Project,
    }
}
