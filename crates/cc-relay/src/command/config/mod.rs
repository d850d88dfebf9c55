//! `config`: finds and reads the configuration for every command, and the commands about it.
//!
//! In: `-c`, the usual folder, the environment. Out: a [`Plan`], or a failure that shows every
//! fault at once. No secret of the file is printed.

mod diff;
mod init;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use relay_config::{Faults, Plan, Warning};
use serde_json::json;

pub use diff::run as diff;
pub use init::run as init;

use crate::cli::ValidateArgs;
use crate::command::status::Endpoint;
use crate::command::{Context, DEFAULT_ADDRESS};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{COPY, GOOD, WARN, paint};

/// Returns the file to read and whether it was named; one that was not named may be missing.
pub fn file(context: &Context) -> (PathBuf, bool) {
    match &context.config {
        Some(path) => (path.clone(), true),
        None => (relay_config::default_path(&context.env), false),
    }
}

/// Returns the configuration in effect; without a file the transparent one.
///
/// # Errors
/// Exit 78 with every fault of the file.
pub fn load(context: &Context) -> Result<Plan, Failure> {
    let (path, named) = file(context);
    if !named && !path.exists() {
        return Ok(Plan::transparent());
    }
    relay_config::load(&path, &context.env).map_err(|faults| invalid(&faults, 0))
}

/// Returns where the relay is asked: what a configuration says of that, whatever else is at fault
/// in it. One that takes any free port says nothing, so the usual address is taken.
pub fn endpoint(context: &Context) -> Endpoint {
    let usual = Endpoint::parse(DEFAULT_ADDRESS);
    let server = match load(context) {
        Ok(plan) => Some(plan.server),
        Err(_) => relay_config::server(&file(context).0, &context.env),
    };
    let Some(server) = server else {
        return usual;
    };
    let mut listen = server.listen;
    if listen.port() == 0 {
        return usual;
    }
    if listen.ip().is_unspecified() {
        // "Every address" is no address to call; this machine is one of them.
        listen.set_ip(match listen {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let trust = server.tls.map(|tls| tls.cert_file);
    Endpoint {
        authority: listen.to_string(),
        tls: trust.is_some(),
        trust,
    }
}

/// Makes the failure of a configuration with faults: exit 78, all of them shown.
pub fn invalid(faults: &Faults, warnings: usize) -> Failure {
    let count = format!(
        "{}, {}",
        counted(faults.len(), "error"),
        counted(warnings, "warning")
    );
    let mut failure = Failure::new(Exit::ConfigInvalid, "config_invalid", count)
        .details(faults.render(true).trim_end().to_owned())
        .faults(serde_json::to_value(faults).unwrap_or_default());
    if let Some(first) = faults.iter().next() {
        failure = failure.file(first.file.as_str());
        if first.line > 0 {
            failure = failure.at(first.line, first.column);
        }
    }
    failure
}

fn counted(count: usize, word: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {word}{end}")
}

/// `config validate`: checks a file and reports every fault.
///
/// # Errors
/// Exit 78 with every fault.
pub fn validate(context: &mut Context, arguments: &ValidateArgs) -> Result<Exit, Failure> {
    if let Some(path) = &arguments.file {
        context.config = Some(path.clone());
    }
    let plan = load(context)?;
    let warnings: Vec<String> = plan
        .warnings
        .iter()
        .map(|w| format!("{}; fix: {}", w.message, w.fix))
        .collect();
    let (path, named) = file(context);
    if context.out.is_json() {
        let file = plan.source.as_ref().map(|path| path.display().to_string());
        let data = json!({ "valid": true, "file": file, "digest": plan.digest });
        context.out.data(data, &warnings)?;
        return Ok(Exit::Done);
    }
    for warning in &plan.warnings {
        warn(context, warning);
    }
    let shown = context.env.show_path(&path);
    if !named && plan.source.is_none() {
        context
            .out
            .line(&format!("no file at {shown}: the defaults are used"))?;
        return Ok(Exit::Done);
    }
    let tick = paint(
        GOOD,
        if context.env.ascii_only() {
            "ok"
        } else {
            "✔"
        },
    );
    let count = counted(warnings.len(), "warning");
    context.out.line(&format!(
        "{tick} {shown} ({}): 0 errors, {count}",
        plan.digest
    ))?;
    Ok(Exit::Done)
}

fn warn(context: &mut Context, warning: &Warning) {
    context
        .out
        .note(&format!("{} {}", paint(WARN, "warning:"), warning.message));
    context
        .out
        .note(&format!("{} {}", paint(COPY, "help:"), warning.fix));
}

/// `config schema`: prints the JSON Schema.
///
/// # Errors
/// When stdout cannot be written.
pub fn schema(context: &mut Context) -> Result<Exit, Failure> {
    let schema = relay_config::schema();
    if context.out.is_json() {
        context.out.data(schema, &[])?;
    } else {
        context.out.line(&format!("{schema:#}"))?;
    }
    Ok(Exit::Done)
}

/// `config show`: prints the configuration in effect, secrets masked.
///
/// # Errors
/// Exit 78 with every fault of the file.
pub fn show(context: &mut Context) -> Result<Exit, Failure> {
    let plan = load(context)?;
    let text = relay_config::show(&plan);
    let file = plan.source.as_ref().map(|path| context.env.show_path(path));
    if context.out.is_json() {
        let data = json!({ "file": file, "digest": plan.digest, "yaml": text });
        context.out.data(data, &[])?;
    } else {
        let file = file.unwrap_or_else(|| "no file: the defaults".to_owned());
        context.out.note(&format!("# {file} ({})", plan.digest));
        context.out.text(&text)?;
    }
    Ok(Exit::Done)
}
