//! `key`: the relay's keys for its upstreams. A key is never an argument: others could read it there.

use std::io::Read as _;

use clap::{Args, Subcommand};
use relay_api::v1::{
    AddKeyRequest, DisableKeyRequest, EnableKeyRequest, EndCooldownRequest, Key, KeyLimits,
    KeyState, ListKeysRequest, RemoveKeyRequest,
};
use serde_json::{Value, json};

use super::{ChangeArgs, RelayArgs, call, change, columns, left};
use crate::command::Context;
use crate::command::completions::names;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log::readable;

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  cc-relay key list zai
  cc-relay key add zai k3 --env ZAI_KEY_3 --rpm 20 --persist
  pass show zai/k3 | cc-relay key add zai k3 --stdin --yes
  cc-relay key remove zai k3 --yes
  cc-relay key disable zai k2
  cc-relay key enable zai k2
  cc-relay key reset zai k2";

/// The longest key that is read.
const LONGEST: u64 = 64 << 10;

/// The commands under `key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// List them, with what each has left
    #[command(after_help = EXAMPLES)]
    List(KeyListArgs),
    /// Add one, read from a prompt, from stdin or from a variable
    #[command(after_help = EXAMPLES)]
    Add(KeyAddArgs),
    /// Take one away
    #[command(after_help = EXAMPLES)]
    Remove(KeyChangeArgs),
    /// Let one serve again
    #[command(after_help = EXAMPLES)]
    Enable(KeyChangeArgs),
    /// Have one serve no further request
    #[command(after_help = EXAMPLES)]
    Disable(KeyChangeArgs),
    /// End the cooldown of one before its time
    #[command(after_help = EXAMPLES)]
    Reset(KeyChangeArgs),
}

/// Flags of `key list`.
#[derive(Debug, Clone, Args)]
pub struct KeyListArgs {
    /// Only those of this provider
    #[arg(value_name = "PROVIDER", add = names::provider())]
    pub provider: Option<String>,
    /// Where the relay is.
    #[command(flatten)]
    pub relay: RelayArgs,
}

/// Flags of `key add`.
#[derive(Debug, Clone, Args)]
pub struct KeyAddArgs {
    /// To which provider
    #[arg(value_name = "PROVIDER", add = names::provider())]
    pub provider: String,
    /// Under which name
    #[arg(value_name = "KEY")]
    pub name: String,
    /// Read it from standard input
    #[arg(long, conflicts_with = "env")]
    pub stdin: bool,
    /// Read it from this environment variable; with --persist the file gets its name, not the key
    #[arg(long, value_name = "ENV_NAME")]
    pub env: Option<String>,
    /// Requests that it may use a minute
    #[arg(long, value_name = "N")]
    pub rpm: Option<u64>,
    /// Tokens that it may use a minute
    #[arg(long, value_name = "N")]
    pub tpm: Option<u64>,
    /// Its share among the keys
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub weight: u32,
    /// Where the relay is.
    #[command(flatten)]
    pub relay: RelayArgs,
    /// How.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Flags of the changes.
#[derive(Debug, Clone, Args)]
pub struct KeyChangeArgs {
    /// Of which provider
    #[arg(value_name = "PROVIDER", add = names::provider())]
    pub provider: String,
    /// Its name
    #[arg(value_name = "KEY", add = names::key())]
    pub name: String,
    /// Where the relay is.
    #[command(flatten)]
    pub relay: RelayArgs,
    /// How.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Runs one of them.
///
/// # Errors
/// Exit 69 when no relay answers; exit 2 when there is nobody to read a key from.
pub fn run(context: &mut Context, command: &KeyCommand) -> Result<Exit, Failure> {
    match command {
        KeyCommand::List(arguments) => list(context, arguments),
        KeyCommand::Add(arguments) => add(context, arguments),
        KeyCommand::Remove(it) => change(
            context,
            (&it.relay, &it.change),
            async |mut api, options| {
                let (provider, name) = (it.provider.clone(), it.name.clone());
                let asked = RemoveKeyRequest {
                    provider,
                    name,
                    options,
                };
                Ok(api.remove_key(asked).await?.into_inner().change)
            },
        ),
        KeyCommand::Enable(it) => change(
            context,
            (&it.relay, &it.change),
            async |mut api, options| {
                let (provider, name) = (it.provider.clone(), it.name.clone());
                let asked = EnableKeyRequest {
                    provider,
                    name,
                    options,
                };
                Ok(api.enable_key(asked).await?.into_inner().change)
            },
        ),
        KeyCommand::Disable(it) => change(
            context,
            (&it.relay, &it.change),
            async |mut api, options| {
                let (provider, name) = (it.provider.clone(), it.name.clone());
                let asked = DisableKeyRequest {
                    provider,
                    name,
                    options,
                };
                Ok(api.disable_key(asked).await?.into_inner().change)
            },
        ),
        KeyCommand::Reset(it) => change(
            context,
            (&it.relay, &it.change),
            async |mut api, options| {
                let (provider, key) = (it.provider.clone(), it.name.clone());
                let asked = EndCooldownRequest {
                    provider,
                    key,
                    options,
                };
                Ok(api.end_cooldown(asked).await?.into_inner().change)
            },
        ),
    }
}

fn add(context: &mut Context, arguments: &KeyAddArgs) -> Result<Exit, Failure> {
    let secret = secret(context, arguments)?;
    let reference = arguments.env.as_ref().map(|name| format!("${{{name}}}"));
    let asked = AddKeyRequest {
        provider: arguments.provider.clone(),
        name: arguments.name.clone(),
        secret,
        reference: reference.unwrap_or_default(),
        weight: arguments.weight,
        priority: 0,
        limits: Some(KeyLimits {
            rpm: arguments.rpm,
            tpm: arguments.tpm,
            itpm: None,
            otpm: None,
        }),
        options: None,
    };
    change(
        context,
        (&arguments.relay, &arguments.change),
        async |mut api, options| {
            let asked = AddKeyRequest {
                options,
                ..asked.clone()
            };
            Ok(api.add_key(asked).await?.into_inner().change)
        },
    )
}

fn secret(context: &mut Context, arguments: &KeyAddArgs) -> Result<String, Failure> {
    let unread = |error: std::io::Error| {
        Failure::new(
            Exit::Failed,
            "key_unread",
            format!("the key cannot be read: {error}"),
        )
    };
    if let Some(name) = &arguments.env {
        let value = context.env.get(name).filter(|value| !value.is_empty());
        return value.map(ToOwned::to_owned).ok_or_else(|| {
            let message = format!("environment variable {} is not set", readable(name));
            Failure::new(Exit::Usage, "env_missing", message)
        });
    }
    if arguments.stdin {
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .take(LONGEST)
            .read_to_string(&mut text)
            .map_err(unread)?;
        return Ok(text.trim().to_owned());
    }
    if !context.ask.interactive() {
        let message = "a key is needed and there is nobody to ask for it";
        return Err(Failure::new(Exit::Usage, "key_missing", message)
            .help("--stdin reads it from standard input, --env NAME from a variable"));
    }
    context.out.prompt("Key (it is not shown): ");
    let key = rpassword::read_password().map_err(unread)?;
    Ok(key.trim().to_owned())
}

fn list(context: &mut Context, arguments: &KeyListArgs) -> Result<Exit, Failure> {
    let asked = ListKeysRequest {
        provider: arguments.provider.clone().unwrap_or_default(),
    };
    let keys = call(context, &arguments.relay, async |mut api| {
        Ok(api.list_keys(asked).await?.into_inner().keys)
    })?;
    if context.out.is_json() {
        let all: Vec<Value> = keys.iter().map(shown).collect();
        context.out.data(json!({ "keys": all }), &[])?;
        return Ok(Exit::Done);
    }
    for line in table(&keys) {
        context.out.line(&line)?;
    }
    Ok(Exit::Done)
}

fn word(state: KeyState) -> &'static str {
    match state {
        KeyState::Ok => "ok",
        KeyState::Cooling => "cooling",
        KeyState::Off => "off",
        KeyState::Unspecified => "-",
    }
}

pub(super) fn table(keys: &[Key]) -> Vec<String> {
    let heads = [
        "PROVIDER", "NAME", "STATE", "ENDS IN", "RPM", "TPM", "LAST 4", "WHY",
    ];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    let of = |used: Option<u64>, limit: Option<u64>| match limit {
        Some(limit) => format!("{}/{limit}", used.unwrap_or(0)),
        None => "-".to_owned(),
    };
    for key in keys {
        let (used, limits) = (key.used.unwrap_or_default(), key.limits.unwrap_or_default());
        let last = if key.last_four.is_empty() {
            "-"
        } else {
            &key.last_four
        };
        rows.push(vec![
            readable(&key.provider).into_owned(),
            readable(&key.name).into_owned(),
            word(key.state()).to_owned(),
            key.cools_for_ms.map_or_else(|| "-".to_owned(), left),
            of(used.rpm, limits.rpm),
            of(used.tpm, limits.tpm),
            last.to_owned(),
            readable(&key.why).into_owned(),
        ]);
    }
    columns(&rows)
}

pub(super) fn shown(key: &Key) -> Value {
    let limits = |it: &Option<KeyLimits>| {
        it.map(|it| json!({"rpm": it.rpm, "tpm": it.tpm, "itpm": it.itpm, "otpm": it.otpm}))
    };
    json!({
        "provider": key.provider,
        "name": key.name,
        "id": key.id,
        "last_four": key.last_four,
        "state": word(key.state()),
        "why": key.why,
        "cools_for_ms": key.cools_for_ms,
        "in_flight": key.in_flight,
        "limits": limits(&key.limits),
        "used": limits(&key.used),
        "capacity_percent": key.capacity_percent,
        "weight": key.weight,
        "priority": key.priority,
        "added": key.added,
    })
}
