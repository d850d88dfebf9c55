//! `routing`: how requests find their provider.

use clap::{Args, Subcommand};
use relay_api::v1::{GetRoutingStrategyRequest, SetRoutingStrategyRequest, Strategy};
use serde_json::{Value, json};

use super::{ChangeArgs, RelayArgs, call, change, columns};
use crate::command::Context;
use crate::command::completions::names;
use crate::exit::Exit;
use crate::failure::Failure;

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  cc-relay routing get
  cc-relay routing set least_loaded
  cc-relay routing set failover --persist --yes";

/// The commands under `routing`.
#[derive(Debug, Subcommand)]
pub enum RoutingCommand {
    /// Tell the strategy in force, and all there are
    #[command(after_help = EXAMPLES)]
    Get(RoutingGetArgs),
    /// Have requests find their provider in another way
    #[command(after_help = EXAMPLES)]
    Set(RoutingSetArgs),
}

/// Flags of `routing get`.
#[derive(Debug, Clone, Args)]
pub struct RoutingGetArgs {
    /// Where the relay is.
    #[command(flatten)]
    pub relay: RelayArgs,
}

/// Flags of `routing set`.
#[derive(Debug, Clone, Args)]
pub struct RoutingSetArgs {
    /// The strategy
    #[arg(value_name = "STRATEGY", add = names::strategy())]
    pub strategy: String,
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
pub fn run(context: &mut Context, command: &RoutingCommand) -> Result<Exit, Failure> {
    match command {
        RoutingCommand::Get(arguments) => get(context, &arguments.relay),
        RoutingCommand::Set(it) => change(
            context,
            (&it.relay, &it.change),
            async |mut api, options| {
                let asked = SetRoutingStrategyRequest {
                    strategy: it.strategy.clone(),
                    options,
                };
                Ok(api.set_routing_strategy(asked).await?.into_inner().change)
            },
        ),
    }
}

fn get(context: &mut Context, relay: &RelayArgs) -> Result<Exit, Failure> {
    let told = call(context, relay, async |mut api| {
        Ok(api
            .get_routing_strategy(GetRoutingStrategyRequest {})
            .await?
            .into_inner())
    })?;
    if context.out.is_json() {
        let strategy = |it: &Strategy| json!({"name": it.name, "description": it.description});
        let data = json!({
            "strategy": told.strategy,
            "overridden": told.overridden,
            "affinity": told.affinity,
            "strategies": told.strategies.iter().map(strategy).collect::<Vec<Value>>(),
        });
        context.out.data(data, &[])?;
        return Ok(Exit::Done);
    }
    let row = |it: &Strategy| {
        let mark = if it.name == told.strategy { ">" } else { " " };
        vec![mark.to_owned(), it.name.clone(), it.description.clone()]
    };
    let rows: Vec<Vec<String>> = told.strategies.iter().map(row).collect();
    for line in columns(&rows) {
        context.out.line(&line)?;
    }
    if told.overridden {
        context
            .out
            .line("it was changed while the relay runs; the file says otherwise")?;
    }
    if told.affinity {
        context
            .out
            .line("sessions stay where their prompt cache is")?;
    }
    Ok(Exit::Done)
}
