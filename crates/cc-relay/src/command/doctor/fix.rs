//! What `doctor --fix` mends by itself, each after a question.
//!
//! In: findings with a remedy. Out: a changed mode, or a changed settings file of Claude Code, by the
//! same way as `config cc init`. What needs a decision of a person is left to them.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::Finding;
use crate::ask::confirm;
use crate::cli::{CcChangeArgs, CcInitArgs, Scope};
use crate::command::{Context, cc};
use crate::exit::Exit;
use crate::failure::Failure;

/// How a finding is mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The file is made readable by its owner alone.
    Private(PathBuf),
    /// Claude Code is pointed at the relay of this URL, in this scope.
    PointHere(Scope, String),
}

/// Mends what can be mended.
///
/// # Errors
/// When an answer is missing, or a file cannot be written.
pub(super) fn mend(context: &mut Context, findings: &[Finding], yes: bool) -> Result<(), Failure> {
    let mut done: Vec<&Remedy> = Vec::new();
    for remedy in findings.iter().filter_map(|it| it.remedy.as_ref()) {
        if done.contains(&remedy) {
            continue;
        }
        done.push(remedy);
        match remedy {
            Remedy::Private(path) => {
                let shown = context.env.show_path(path);
                let question = format!("Make {shown} readable by you alone?");
                if yes || confirm(context, &question, true, "--yes")? {
                    set_permissions(path, Permissions::from_mode(0o600)).map_err(|error| {
                        let message = format!("cannot change the mode of {shown}: {error}");
                        Failure::new(Exit::CannotWrite, "mode", message)
                    })?;
                    context.out.line(&format!("chmod 600 {shown}"))?;
                }
            }
            Remedy::PointHere(scope, url) => {
                let arguments = CcInitArgs {
                    change: CcChangeArgs {
                        scope: *scope,
                        yes,
                        dry_run: false,
                    },
                    url: Some(url.clone()),
                    token: None,
                    placeholder: false,
                    force: false,
                };
                cc::init::run(context, &arguments)?;
            }
        }
    }
    Ok(())
}
