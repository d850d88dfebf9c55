//! `sessions`: those that were seen lately, where each lives, and what it costs.

use clap::Args;
use relay_api::v1::{ListSessionsRequest, Session, UnpinSessionRequest};
use relay_core::price::Money;
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
  cc-relay sessions
  cc-relay sessions --limit 5 --json
  cc-relay sessions --unpin 4f1c9a5e-0000-4000-8000-000000000000

One session, agent by agent, from the history: cc-relay session ID.";

/// Flags of `sessions`.
#[derive(Debug, Clone, Args)]
pub struct SessionsArgs {
    /// How many, the last used first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: u32,
    /// Forget where this one lives: its next request is placed anew
    #[arg(long, value_name = "ID", add = names::session())]
    pub unpin: Option<String>,
    /// Where the relay is.
    #[command(flatten)]
    pub relay: RelayArgs,
    /// How.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Prints them.
///
/// # Errors
/// Exit 69 when no relay answers; else what it said.
pub fn run(context: &mut Context, arguments: &SessionsArgs) -> Result<Exit, Failure> {
    if let Some(id) = &arguments.unpin {
        let relay = (&arguments.relay, &arguments.change);
        return change(context, relay, async |mut api, options| {
            let asked = UnpinSessionRequest {
                id: id.clone(),
                options,
            };
            Ok(api.unpin_session(asked).await?.into_inner().change)
        });
    }
    let asked = ListSessionsRequest {
        limit: arguments.limit,
    };
    let told = call(context, &arguments.relay, async |mut api| {
        Ok(api.list_sessions(asked).await?.into_inner())
    })?;
    if context.out.is_json() {
        let all: Vec<Value> = told.sessions.iter().map(shown).collect();
        context
            .out
            .data(json!({ "sessions": all, "total": told.total }), &[])?;
        return Ok(Exit::Done);
    }
    let heads = [
        "SESSION", "LIVES AT", "WARM FOR", "AGENTS", "REQUESTS", "CACHE", "COST",
    ];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(told.sessions.iter().map(row));
    for line in columns(&rows) {
        context.out.line(&line)?;
    }
    Ok(Exit::Done)
}

fn row(session: &Session) -> Vec<String> {
    let sums = session.sums.unwrap_or_default();
    let all = [sums.input, sums.cache_read, sums.cache_write];
    let all = all.into_iter().fold(0, u64::saturating_add);
    let share = sums.cache_read.saturating_mul(100).checked_div(all);
    let lives = match (session.provider.as_str(), session.key.as_str()) {
        ("", _) => "-".to_owned(),
        (provider, "") => readable(provider).into_owned(),
        (provider, key) => format!("{}/{}", readable(provider), readable(key)),
    };
    let least = if sums.unpriced > 0 { ">= " } else { "" };
    vec![
        readable(&session.id).into_owned(),
        lives,
        session.warm_for_ms.map_or_else(|| "-".to_owned(), left),
        session.agents.len().to_string(),
        sums.requests.to_string(),
        share.map_or_else(|| "-".to_owned(), |share| format!("{share}%")),
        format!("{least}{}", Money::nano_dollars(sums.cost_nano_usd)),
    ]
}

fn shown(session: &Session) -> Value {
    let sums = session.sums.unwrap_or_default();
    json!({
        "name": session.id,
        "provider": session.provider,
        "key": session.key,
        "warm_for_ms": session.warm_for_ms,
        "live": session.live,
        "requests": sums.requests,
        "failed": sums.failed,
        "unpriced": sums.unpriced,
        "cost": sums.cost_nano_usd,
        "moves": sums.moves,
        "moved": session.moved,
        "agents": session.agents.iter().map(|it| json!({
            "name": it.id,
            "parent": it.parent,
            "model": it.model,
            "live": it.live,
            "requests": it.sums.unwrap_or_default().requests,
            "cost": it.sums.unwrap_or_default().cost_nano_usd,
        })).collect::<Vec<Value>>(),
    })
}
