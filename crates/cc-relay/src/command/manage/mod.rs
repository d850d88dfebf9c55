//! Commands that ask the running relay by its management API, or change it.
//!
//! In: where the relay is, and a question or a change. Out: its answer. A change is told in words
//! before it is made, by the relay itself, and made only if somebody says yes or `--yes`.

pub mod key;
pub mod logs;
pub mod provider;
pub mod routing;
pub mod sessions;
pub mod settings;

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;
use relay_api::v1::{Change, ChangeOptions};
use relay_api::{Address, ConnectError, Connection, Credentials, connect};
use relay_config::GrpcListen;
use relay_core::error::chain;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::ask::confirm;
use crate::command::{Context, block_on, config};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log::readable;
use crate::output::{GOOD, WARN, paint};

/// Where the relay is that is asked.
#[derive(Debug, Clone, Default, Args)]
pub struct RelayArgs {
    /// Management API: `unix:/path`, `host:port` or `https://host:port` [default: as the file says]
    #[arg(long, value_name = "ADDRESS", env = "CC_RELAY_MANAGE", hide_env = true)]
    pub manage: Option<String>,
    /// Address of the relay, after whose port its socket is named [default: as the file says]
    #[arg(long, value_name = "HOST:PORT", env = "CC_RELAY_ADDR", hide_env = true)]
    pub addr: Option<String>,
    /// File with the token for the API [default: the variable `CC_RELAY_TOKEN`, or none]
    #[arg(
        long,
        value_name = "FILE",
        env = "CC_RELAY_TOKEN_FILE",
        hide_env = true
    )]
    pub token_file: Option<PathBuf>,
}

/// How a change is made.
#[derive(Debug, Clone, Default, Args)]
pub struct ChangeArgs {
    /// Tell what would follow, and change nothing
    #[arg(long, env = "CC_RELAY_DRY_RUN", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub dry_run: bool,
    /// Write it to the configuration's file too, so that it lasts over a restart
    #[arg(long)]
    pub persist: bool,
    /// Make it without asking
    #[arg(short, long, env = "CC_RELAY_YES", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub yes: bool,
}

/// A relay that can be asked.
#[derive(Debug)]
pub struct Relay {
    address: Address,
    credentials: Credentials,
}

impl Relay {
    /// Finds out where it is, and with what to ask it.
    ///
    /// # Errors
    /// Exit 2 when an address or a file with a token is not what it should be.
    pub fn find(context: &Context, relay: &RelayArgs) -> Result<Self, Failure> {
        Ok(Self {
            address: address(context, relay)?,
            credentials: credentials(context, relay)?,
        })
    }

    /// Returns its address, and with what it is asked.
    pub fn into_parts(self) -> (Address, Credentials) {
        (self.address, self.credentials)
    }

    /// Asks it.
    ///
    /// # Errors
    /// Exit 69 when no relay answers; else what it said.
    pub fn ask<T>(
        &self,
        ask: impl AsyncFnOnce(Connection) -> Result<T, Status>,
    ) -> Result<T, Failure> {
        let answered = block_on(async {
            let connection = connect(&self.address, &self.credentials).await;
            let connection = connection.map_err(|error| unreachable(&error))?;
            ask(connection).await.map_err(|status| refused(&status))
        });
        answered?
    }
}

/// Asks the relay.
///
/// # Errors
/// As [`Relay::find`] and [`Relay::ask`].
pub fn call<T>(
    context: &Context,
    relay: &RelayArgs,
    ask: impl AsyncFnOnce(Connection) -> Result<T, Status>,
) -> Result<T, Failure> {
    Relay::find(context, relay)?.ask(ask)
}

/// Tells what a change would do, asks, and makes it.
///
/// # Errors
/// As [`call`]; exit 1 when the answer is no.
pub fn change(
    context: &mut Context,
    (relay, arguments): (&RelayArgs, &ChangeArgs),
    make: impl AsyncFn(Connection, Option<ChangeOptions>) -> Result<Option<Change>, Status>,
) -> Result<Exit, Failure> {
    let options = |dry_run| {
        Some(ChangeOptions {
            dry_run,
            persist: arguments.persist,
        })
    };
    let nothing = || {
        Failure::new(
            Exit::Failed,
            "no_answer",
            "the relay said nothing of the change",
        )
    };
    if arguments.dry_run || !arguments.yes {
        let told = call(context, relay, async |api| make(api, options(true)).await)?;
        let told = told.ok_or_else(nothing)?;
        if arguments.dry_run {
            return tell(context, &told);
        }
        for line in lines(&told) {
            context.out.note_always(&line);
        }
        let question = format!("{}?", capital(&told.summary));
        if !confirm(context, &question, !told.severe, "--yes")? {
            return Err(Failure::new(
                Exit::Failed,
                "declined",
                "nothing was changed",
            ));
        }
    }
    let change = call(context, relay, async |api| make(api, options(false)).await)?;
    tell(context, &change.ok_or_else(nothing)?)
}

fn tell(context: &mut Context, change: &Change) -> Result<Exit, Failure> {
    if context.out.is_json() {
        let effects = change
            .effects
            .iter()
            .map(|it| json!({"topic": it.topic, "text": it.text}));
        let data = json!({
            "applied": change.applied,
            "summary": change.summary,
            "effects": effects.collect::<Vec<Value>>(),
            "severe": change.severe,
            "lasts_over_reload": change.lasts_over_reload,
            "lasts_over_restart": change.lasts_over_restart,
            "config": change.config_digest,
        });
        context.out.data(data, &[])?;
        return Ok(Exit::Done);
    }
    if change.applied {
        let line = format!("{} {}", paint(GOOD, "done"), readable(&change.summary));
        context.out.line(&line)?;
        return Ok(Exit::Done);
    }
    for line in lines(change) {
        context.out.line(&line)?;
    }
    Ok(Exit::Done)
}

fn lines(change: &Change) -> Vec<String> {
    let mut lines = vec![readable(&change.summary).into_owned()];
    let effect = |it: &relay_api::v1::Effect| format!("  {:6} {}", it.topic, readable(&it.text));
    lines.extend(change.effects.iter().map(effect));
    if change.severe {
        lines.push(format!(
            "  {}",
            paint(WARN, "much of the traffic depends on it")
        ));
    }
    lines
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn address(context: &Context, relay: &RelayArgs) -> Result<Address, Failure> {
    if let Some(text) = &relay.manage {
        return text.parse().map_err(|error: relay_api::AddressError| {
            Failure::new(Exit::Usage, "address", error.to_string())
        });
    }
    let grpc = config::load(context)
        .map(|plan| plan.grpc)
        .unwrap_or_default();
    let scheme = if grpc.tls.is_some() { "https://" } else { "" };
    match grpc.listen {
        GrpcListen::Tcp(address) if relay.addr.is_none() => {
            let text = format!("{scheme}{address}");
            text.parse().map_err(|error: relay_api::AddressError| {
                Failure::new(Exit::Usage, "address", error.to_string())
            })
        }
        GrpcListen::Unix(path) if relay.addr.is_none() => Ok(Address::Unix(path)),
        GrpcListen::Beside | GrpcListen::Tcp(_) | GrpcListen::Unix(_) => {
            let port = port(context, relay)?;
            let folder = context.env.runtime_dir();
            Address::beside(&folder, port).ok_or_else(|| {
                let message = format!("{} is too long for a socket's path", folder.display());
                Failure::new(Exit::Unreachable, "unreachable", message)
                    .help("set grpc.listen in the configuration, and name it: --manage ADDRESS")
            })
        }
    }
}

fn port(context: &Context, relay: &RelayArgs) -> Result<u16, Failure> {
    let text = match &relay.addr {
        Some(text) => text.clone(),
        None => config::endpoint(context).url(),
    };
    let port = text
        .trim_end_matches('/')
        .rsplit_once(':')
        .and_then(|it| it.1.parse().ok());
    port.ok_or_else(|| {
        let message = format!("`{}` has no port", readable(&text));
        Failure::new(Exit::Usage, "address", message).help("such as 127.0.0.1:8787")
    })
}

fn credentials(context: &Context, relay: &RelayArgs) -> Result<Credentials, Failure> {
    let token = match &relay.token_file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                let message = format!("cannot read {}: {error}", path.display());
                Failure::new(Exit::Usage, "token_file", message)
            })?;
            Some(text.trim().to_owned())
        }
        None => context.env.get("CC_RELAY_TOKEN").map(ToOwned::to_owned),
    };
    // The relay's own certificate is trusted by whoever has its file.
    let tls = config::load(context).ok().and_then(|plan| plan.grpc.tls);
    let ca = tls.and_then(|tls| std::fs::read(tls.cert_file).ok());
    Ok(Credentials {
        token,
        ca,
        identity: None,
    })
}

/// Says that no relay answers.
pub fn unreachable(error: &ConnectError) -> Failure {
    Failure::new(Exit::Unreachable, "unreachable", chain(error))
        .help("start it: cc-relay serve; or say where it is: --addr HOST:PORT or --manage ADDRESS")
}

fn refused(status: &Status) -> Failure {
    let exits = [
        (Code::Unavailable, Exit::Unreachable),
        (Code::Aborted, Exit::TryLater),
        (Code::InvalidArgument, Exit::Usage),
    ];
    let exit = exits.iter().find(|(code, _)| *code == status.code());
    let exit = exit.map_or(Exit::Failed, |(_, exit)| *exit);
    let failure = Failure::new(exit, "refused", readable(status.message()));
    let info = status.get_details_error_info();
    match info.and_then(|info| info.metadata.get("fix").cloned()) {
        Some(fix) => failure.help(readable(&fix)),
        None => failure,
    }
}

/// Writes rows as columns: what is in the first row is the heading.
pub(super) fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Writes a time that is left, as short as it can be said.
pub(super) fn left(milliseconds: u64) -> String {
    match milliseconds.div_ceil(1_000) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h", seconds.div_ceil(3_600)),
    }
}
