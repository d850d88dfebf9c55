//! `doctor`: looks for everything that could be wrong and says how to mend it.
//!
//! In: configuration, settings files, environment, the network. Out: findings, each that is not
//! good with its fix, and exit 1 when one is an error. The checks run at once, five seconds each;
//! a cloud has fifteen to issue a credential.
//! Nothing is changed unless `--fix` is given and answered, and no tokens are spent.

mod fix;
mod local;
mod provider;
mod remote;
mod tls;

use std::time::Duration;

use relay_config::Plan;
use serde::Serialize;
use serde_json::json;

use crate::cli::DoctorArgs;
use crate::command::{Context, block_on, status};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{BAD, GOOD, WARN, paint};
use fix::Remedy;

/// How long one check may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Ok,
    Warning,
    Error,
    Skipped,
}

/// What a check found.
#[derive(Debug, Clone, Serialize)]
struct Finding {
    check: String,
    level: Level,
    what: String,
    fix: Option<String>,
    /// How this program mends it itself.
    #[serde(skip)]
    remedy: Option<Remedy>,
}

impl Finding {
    fn ok(check: &str, what: impl Into<String>) -> Self {
        Self {
            check: check.to_owned(),
            level: Level::Ok,
            what: what.into(),
            fix: None,
            remedy: None,
        }
    }

    fn warning(check: &str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        let fix = Some(fix.into());
        Self {
            check: check.to_owned(),
            level: Level::Warning,
            what: what.into(),
            fix,
            remedy: None,
        }
    }

    fn error(check: &str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        let fix = Some(fix.into());
        Self {
            check: check.to_owned(),
            level: Level::Error,
            what: what.into(),
            fix,
            remedy: None,
        }
    }

    /// Adds how this program mends it itself.
    fn mended_by(self, remedy: Remedy) -> Self {
        Self {
            remedy: Some(remedy),
            ..self
        }
    }

    fn skipped(check: &str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        let fix = Some(fix.into());
        Self {
            check: check.to_owned(),
            level: Level::Skipped,
            what: what.into(),
            fix,
            remedy: None,
        }
    }
}

/// Runs all checks and prints what they found.
///
/// # Errors
/// When stdout cannot be written; what is wrong with the relay is a finding, not an error here.
pub fn run(context: &mut Context, arguments: &DoctorArgs) -> Result<Exit, Failure> {
    if arguments.fix && context.out.is_json() {
        let message = "--fix asks and tells what it does; --json answers with one object";
        return Err(Failure::new(Exit::Usage, "fix_json", message).help("use one of the two"));
    }
    let endpoint = status::endpoint(context, arguments.addr.as_deref());
    let (plan, mut findings) = local::config(context);
    let places = crate::settings::places::places(&context.env, &context.cwd);
    let points_here = local::points_at(&places, &endpoint.authority);
    findings.extend(tls::certificates(plan.as_ref()));
    let checks = block_on(async {
        let (relay, providers, claude) = tokio::join!(
            remote::relay(&endpoint, points_here),
            provider::providers(plan.as_ref(), &context.env),
            bounded("claude", remote::claude(&context.env)),
        );
        [relay, providers, claude].concat()
    })?;
    findings.extend(checks);
    findings.extend(local::credentials(&places, plan.as_ref(), points_here));
    findings.extend(local::settings(
        &places,
        &endpoint,
        context.out.verbose() > 0,
    ));
    findings.extend(local::proxies(&context.env));
    let exit = report(context, &findings, arguments.fix)?;
    if arguments.fix {
        fix::mend(context, &findings, arguments.yes)?;
    }
    Ok(exit)
}

/// Asks each provider of a plan for its models, and prints what came of it.
///
/// # Errors
/// When stdout cannot be written.
pub fn try_providers(context: &mut Context, plan: &Plan) -> Result<(), Failure> {
    let asked = provider::providers(Some(plan), &context.env);
    let findings = block_on(asked)?;
    print(context, &findings)
}

/// Runs a check that has no limit of its own.
async fn bounded(check: &str, work: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| {
        let what = format!("did not finish within {} s", LIMIT.as_secs());
        vec![Finding::error(
            check,
            what,
            "run it by hand and see what it waits for",
        )]
    })
}

fn report(context: &mut Context, findings: &[Finding], fixes: bool) -> Result<Exit, Failure> {
    let count = |level| {
        findings
            .iter()
            .filter(|finding| finding.level == level)
            .count()
    };
    let (ok, warnings) = (count(Level::Ok), count(Level::Warning));
    let (errors, skipped) = (count(Level::Error), count(Level::Skipped));
    if context.out.is_json() {
        let counts = json!({"ok": ok, "warning": warnings, "error": errors, "skipped": skipped});
        context
            .out
            .data(json!({ "findings": findings, "counts": counts }), &[])?;
    } else {
        print(context, findings)?;
        let skipped = if skipped > 0 {
            format!(", {skipped} skipped")
        } else {
            String::new()
        };
        let remedies = findings.iter().any(|it| it.remedy.is_some());
        let changed = match (fixes, remedies) {
            (true, true) => "",
            (true, false) => " Nothing can be mended from here.",
            (false, true) => " Nothing was changed (--fix asks).",
            (false, false) => " Nothing was changed.",
        };
        context.out.line(&format!(
            "{} checks: {ok} ok, {}, {}{skipped}.{changed}",
            findings.len(),
            counted(warnings, "warning"),
            counted(errors, "error"),
        ))?;
    }
    Ok(if errors > 0 { Exit::Failed } else { Exit::Done })
}

fn print(context: &mut Context, findings: &[Finding]) -> Result<(), Failure> {
    let ascii = context.env.ascii_only();
    let width = findings
        .iter()
        .map(|finding| finding.check.chars().count())
        .max()
        .unwrap_or(0);
    let mut last = "";
    for finding in findings {
        let (sign, plain, style) = match finding.level {
            Level::Ok => ("✔", "ok", GOOD),
            Level::Warning => ("▲", "! ", WARN),
            Level::Error => ("✖", "X ", BAD),
            Level::Skipped => ("-", "- ", anstyle::Style::new()),
        };
        let sign = paint(style, if ascii { plain } else { sign });
        let title = if finding.check == last {
            ""
        } else {
            finding.check.as_str()
        };
        context
            .out
            .line(&format!("{title:<width$}   {sign} {}", finding.what))?;
        if let Some(fix) = &finding.fix {
            context
                .out
                .line(&format!("{:<width$}     fix: {fix}", ""))?;
        }
        last = &finding.check;
    }
    Ok(())
}

fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
