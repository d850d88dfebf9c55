//! The configuration, as the API shows, checks and writes it.
//!
//! A text that is shown has marks where credentials stand; one that comes back has them put in
//! again, so that nobody has to see a credential to change something else.

use std::sync::Arc;

use relay_api::v1;
use relay_config::{Change, Fault, Faults, Format, Plan};
use tonic::{Code, Status};

use crate::file;
use crate::manager::Manager;
use crate::orders::{Applied, Order, Refused};
use crate::refusal::{argument, refuse};
use crate::tell;

pub(crate) fn get(manager: &Arc<Manager>) -> Result<v1::GetConfigResponse, Status> {
    let situation = manager.situation();
    let settings = manager.witness().settings();
    let last = manager.witness().reloads().last();
    let mut told = v1::GetConfigResponse {
        settings_json: settings.shown.to_string(),
        digest: settings.snapshot.digest.to_string(),
        refused: last.refused.as_deref().map(ToOwned::to_owned),
        overrides: situation.overrides.told(),
        ..v1::GetConfigResponse::default()
    };
    if situation.file_plan.source.is_some() {
        let (text, revision) = file::read(&situation.file)?;
        let format = file::format(&situation.file)?;
        told.file = situation.file.display().to_string();
        name(format).clone_into(&mut told.format);
        told.text = relay_config::seal(&text, format);
        told.revision = revision;
    }
    Ok(told)
}

pub(crate) fn validate(
    manager: &Arc<Manager>,
    asked: &v1::ValidateConfigRequest,
) -> Result<v1::ValidateConfigResponse, Status> {
    let situation = manager.situation();
    let original = file::read(&situation.file).ok();
    let format = match asked.format.as_str() {
        "yaml" => Format::Yaml,
        "toml" => Format::Toml,
        "" => file::format(&situation.file)?,
        other => {
            return Err(argument(
                "format",
                format!("`{other}` is no format"),
                "yaml or toml",
            ));
        }
    };
    let text = match (&original, asked.text.is_empty()) {
        (Some((original, _)), true) => original.clone(),
        (None, true) => return Err(Refused::NoFile.status()),
        (Some((original, _)), false) => unseal(&asked.text, original, format)?,
        (None, false) => asked.text.clone(),
    };
    Ok(match checked(manager, &text, format) {
        Err(faults) => v1::ValidateConfigResponse {
            faults: told(&faults),
            ..v1::ValidateConfigResponse::default()
        },
        Ok(plan) => {
            let changes = relay_config::diff(&situation.plan, &plan);
            let warning = |it: &relay_config::Warning| v1::Fault {
                message: it.message.clone(),
                help: it.fix.clone(),
                ..v1::Fault::default()
            };
            v1::ValidateConfigResponse {
                faults: Vec::new(),
                warnings: plan.warnings.iter().map(warning).collect(),
                changes: changes.iter().map(Change::to_string).collect(),
                sessions_moved: moved(manager, &plan),
            }
        }
    })
}

pub(crate) async fn update(
    manager: &Arc<Manager>,
    asked: v1::UpdateConfigRequest,
    by: &str,
) -> Result<v1::UpdateConfigResponse, Status> {
    let situation = manager.situation();
    let (original, revision) = file::read(&situation.file)?;
    if asked.revision != revision {
        return Err(Refused::Stale.status());
    }
    let format = file::format(&situation.file)?;
    let text = unseal(&asked.text, &original, format)?;
    let plan = match checked(manager, &text, format) {
        Ok(plan) => plan,
        Err(faults) => {
            return Ok(v1::UpdateConfigResponse {
                revision,
                faults: told(&faults),
                ..v1::UpdateConfigResponse::default()
            });
        }
    };
    if asked.dry_run {
        let changes = relay_config::diff(&situation.plan, &plan);
        return Ok(v1::UpdateConfigResponse {
            revision,
            changes: changes.iter().map(Change::to_string).collect(),
            ..v1::UpdateConfigResponse::default()
        });
    }
    let written = file::revision(&text);
    let order = Order::Write {
        text,
        revision: revision.clone(),
    };
    match manager.orders().give(order, by).await? {
        Ok(Applied {
            changes, pending, ..
        }) => Ok(v1::UpdateConfigResponse {
            applied: true,
            revision: written,
            changes,
            pending,
            faults: Vec::new(),
        }),
        Err(Refused::Faults(faults)) => Ok(v1::UpdateConfigResponse {
            revision,
            faults: told(&faults),
            ..v1::UpdateConfigResponse::default()
        }),
        Err(refused) => Err(refused.status()),
    }
}

pub(crate) async fn reload(
    manager: &Arc<Manager>,
    dry_run: bool,
    by: &str,
) -> Result<v1::ReloadConfigResponse, Status> {
    let from = manager.situation().plan.digest.clone();
    if dry_run {
        let asked = v1::ValidateConfigRequest::default();
        let told = validate(manager, &asked)?;
        return Ok(v1::ReloadConfigResponse {
            to: from.clone(),
            from,
            changes: told.changes,
            faults: told.faults,
            ..v1::ReloadConfigResponse::default()
        });
    }
    match manager.orders().give(Order::Reload, by).await? {
        Ok(Applied {
            from,
            to,
            changes,
            pending,
        }) => Ok(v1::ReloadConfigResponse {
            applied: true,
            from,
            to,
            changes,
            pending,
            faults: Vec::new(),
        }),
        Err(Refused::Faults(faults)) => Ok(v1::ReloadConfigResponse {
            to: from.clone(),
            from,
            faults: told(&faults),
            ..v1::ReloadConfigResponse::default()
        }),
        Err(refused) => Err(refused.status()),
    }
}

/// Checks a text as it would be in force, with the changes over it.
fn checked(manager: &Arc<Manager>, text: &str, format: Format) -> Result<Plan, Faults> {
    let plan = manager.check(text, format)?;
    Ok(manager.situation().overrides.lay_over(plan))
}

fn unseal(text: &str, original: &str, format: Format) -> Result<String, Status> {
    relay_config::unseal(text, original, format).map_err(|error| {
        let fix = "get the file again, or write a reference such as ${NAME} in its place";
        refuse(
            Code::InvalidArgument,
            "MARK_UNKNOWN",
            error.to_string(),
            fix,
        )
    })
}

/// Counts the sessions whose home would not be there any more.
fn moved(manager: &Arc<Manager>, plan: &Plan) -> u32 {
    let stays = |home: &relay_core::affinity::Home| {
        let variants = plan.providers.iter().filter(|it| it.enabled);
        let mut variants = variants.flat_map(relay_config::ProviderPlan::variants);
        let provider = variants.find(|it| it.plan.name == home.target.as_str());
        provider.is_some_and(|it| {
            let keys = &it.plan.keys;
            home.key
                .is_none_or(|key| keys.is_empty() || keys.iter().any(|it| it.secret.id() == key))
        })
    };
    manager.look(|place| {
        let sessions = place.witness.board().affinity.sessions(place.now);
        tell::count(
            sessions
                .iter()
                .filter(|session| !stays(&session.home))
                .count(),
        )
    })
}

fn told(faults: &Faults) -> Vec<v1::Fault> {
    let fault = |fault: &Fault| v1::Fault {
        code: fault.code.to_owned(),
        message: fault.message.clone(),
        file: fault.file.clone(),
        line: tell::count(fault.line),
        column: tell::count(fault.column),
        path: fault.path.clone(),
        help: fault.help.clone(),
    };
    faults.iter().map(fault).collect()
}

fn name(format: Format) -> &'static str {
    match format {
        Format::Yaml => "yaml",
        Format::Toml => "toml",
    }
}
