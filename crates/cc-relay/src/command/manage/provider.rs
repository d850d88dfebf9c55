//! `provider`: the upstreams of the running relay, and switching one off or on.

use clap::{Args, Subcommand};
use relay_api::v1::{
    DisableProviderRequest, EnableProviderRequest, EndCooldownRequest, GetProviderHealthRequest,
    ListProvidersRequest, Provider, ProviderState, ProviderStats, Traffic,
};
use serde_json::{Value, json};

use super::{ChangeArgs, RelayArgs, call, change, columns, key, left};
use crate::command::Context;
use crate::command::completions::names;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log::readable;

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  cc-relay provider list
  cc-relay provider health zai
  cc-relay provider disable zai --dry-run
  cc-relay provider disable zai --yes
  cc-relay provider enable zai --persist
  cc-relay provider reset zai";

/// The commands under `provider`.
#[derive(Debug, Subcommand)]
pub enum ProviderCommand {
    /// List them, with how each does
    #[command(after_help = EXAMPLES)]
    List(ProviderListArgs),
    /// Tell how one does, and why
    #[command(after_help = EXAMPLES)]
    Health(ProviderHealthArgs),
    /// Let one take requests again
    #[command(after_help = EXAMPLES)]
    Enable(ProviderChangeArgs),
    /// Give one no further request; those that run there finish
    #[command(after_help = EXAMPLES)]
    Disable(ProviderChangeArgs),
    /// Close the circuit of one that failed too often, before its time
    #[command(after_help = EXAMPLES)]
    Reset(ProviderChangeArgs),
}

/// Flags of `provider list`.
#[derive(Debug, Clone, Args)]
pub struct ProviderListArgs {
    /// Where the relay is.
    #[command(flatten)]
    pub relay: RelayArgs,
}

/// Flags of `provider health`.
#[derive(Debug, Clone, Args)]
pub struct ProviderHealthArgs {
    /// Its name
    #[arg(value_name = "PROVIDER", add = names::provider())]
    pub name: String,
    /// Where the relay is.
    #[command(flatten)]
    pub relay: RelayArgs,
}

/// Flags of the changes.
#[derive(Debug, Clone, Args)]
pub struct ProviderChangeArgs {
    /// Its name
    #[arg(value_name = "PROVIDER", add = names::provider())]
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
/// Exit 69 when no relay answers; else what it said.
pub fn run(context: &mut Context, command: &ProviderCommand) -> Result<Exit, Failure> {
    match command {
        ProviderCommand::List(arguments) => list(context, &arguments.relay),
        ProviderCommand::Health(arguments) => health(context, arguments),
        ProviderCommand::Enable(it) => {
            let name = &it.name;
            change(
                context,
                (&it.relay, &it.change),
                async |mut api, options| {
                    let asked = EnableProviderRequest {
                        name: name.clone(),
                        options,
                    };
                    Ok(api.enable_provider(asked).await?.into_inner().change)
                },
            )
        }
        ProviderCommand::Disable(it) => {
            let name = &it.name;
            change(
                context,
                (&it.relay, &it.change),
                async |mut api, options| {
                    let asked = DisableProviderRequest {
                        name: name.clone(),
                        options,
                    };
                    Ok(api.disable_provider(asked).await?.into_inner().change)
                },
            )
        }
        ProviderCommand::Reset(it) => {
            let name = &it.name;
            change(
                context,
                (&it.relay, &it.change),
                async |mut api, options| {
                    let (provider, key) = (name.clone(), String::new());
                    let asked = EndCooldownRequest {
                        provider,
                        key,
                        options,
                    };
                    Ok(api.end_cooldown(asked).await?.into_inner().change)
                },
            )
        }
    }
}

/// Says how one does, in one word.
pub(super) fn word(state: ProviderState) -> &'static str {
    match state {
        ProviderState::Up => "up",
        ProviderState::Slow => "slow",
        ProviderState::Probing => "probing",
        ProviderState::Open => "open",
        ProviderState::Off => "off",
        ProviderState::Unspecified => "-",
    }
}

fn list(context: &mut Context, relay: &RelayArgs) -> Result<Exit, Failure> {
    let providers = call(context, relay, async |mut api| {
        Ok(api
            .list_providers(ListProvidersRequest {})
            .await?
            .into_inner()
            .providers)
    })?;
    if context.out.is_json() {
        let all: Vec<Value> = providers.iter().map(shown).collect();
        context.out.data(json!({ "providers": all }), &[])?;
        return Ok(Exit::Done);
    }
    let mut rows = vec![
        ["NAME", "STATE", "KEYS", "LIVE", "TYPE", "WHY"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for it in &providers {
        let keys = if it.keys == 0 {
            "-".to_owned()
        } else {
            format!("{}/{}", it.keys_usable, it.keys)
        };
        rows.push(vec![
            readable(&it.name).into_owned(),
            word(it.state()).to_owned(),
            keys,
            it.in_flight.to_string(),
            it.r#type.clone(),
            readable(&it.why).into_owned(),
        ]);
    }
    for line in columns(&rows) {
        context.out.line(&line)?;
    }
    Ok(Exit::Done)
}

fn health(context: &mut Context, arguments: &ProviderHealthArgs) -> Result<Exit, Failure> {
    let asked = GetProviderHealthRequest {
        name: arguments.name.clone(),
        window_s: 300,
    };
    let health = call(context, &arguments.relay, async |mut api| {
        Ok(api.get_provider_health(asked).await?.into_inner())
    })?;
    let ProviderStats { provider, traffic } = health.stats.unwrap_or_default();
    let (provider, traffic) = (provider.unwrap_or_default(), traffic.unwrap_or_default());
    let first_event = traffic.time_to_first_event.unwrap_or_default();
    if context.out.is_json() {
        let data = json!({
            "provider": shown(&provider),
            "window_s": traffic.window_s,
            "requests": traffic.requests,
            "errors": traffic.errors,
            "hops": traffic.hops,
            "first_event_p50_us": first_event.p50_us,
            "first_event_p95_us": first_event.p95_us,
            "probes_answered": health.probes_answered,
            "probes_failed": health.probes_failed,
            "keys": health.keys.iter().map(key::shown).collect::<Vec<Value>>(),
        });
        context.out.data(data, &[])?;
        return Ok(Exit::Done);
    }
    for line in said(&provider, &traffic) {
        context.out.line(&line)?;
    }
    for line in key::table(&health.keys) {
        context.out.line(&format!("  {line}"))?;
    }
    Ok(Exit::Done)
}

fn said(provider: &Provider, traffic: &Traffic) -> Vec<String> {
    let name = readable(&provider.name);
    let state = word(provider.state());
    let mut lines = vec![if provider.why.is_empty() {
        format!("{name} is {state}")
    } else {
        format!("{name} is {state}: {}", readable(&provider.why))
    }];
    if let Some(again) = provider.asked_again_in_ms {
        lines.push(format!("  asked again in {}", left(again)));
    }
    let first_event = traffic.time_to_first_event.unwrap_or_default();
    let seconds = |micros: u64| format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10);
    let seconds = |micros: Option<u64>| micros.map_or_else(|| "-".to_owned(), seconds);
    lines.push(format!(
        "  last 5 min   {} requests, {} errors, first event p50 {} p95 {}",
        traffic.requests,
        traffic.errors,
        seconds(first_event.p50_us),
        seconds(first_event.p95_us)
    ));
    let lacks = provider.lacks.iter();
    lines.extend(lacks.map(|lack| format!("  does not take {}", readable(lack))));
    lines
}

fn shown(it: &Provider) -> Value {
    json!({
        "name": it.name,
        "type": it.r#type,
        "vendor": it.vendor,
        "base_url": it.base_url,
        "enabled": it.enabled,
        "overridden": it.overridden,
        "state": word(it.state()),
        "why": it.why,
        "keys_usable": it.keys_usable,
        "keys": it.keys,
        "priority": it.priority,
        "weight": it.weight,
        "models": it.models,
        "in_flight": it.in_flight,
        "asked_again_in_ms": it.asked_again_in_ms,
        "lacks": it.lacks,
    })
}
