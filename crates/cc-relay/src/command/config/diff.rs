//! `config diff`: what a file would change of what the running relay does.
//!
//! In: a file, and the relay's own word about its settings and where its sessions live. Out: the
//! settings that would be others, and the sessions that would find another home. It changes
//! nothing, and neither side shows a credential: two are told apart by their digests.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use relay_config::{Change, Plan, Settings};
use relay_core::error::chain;
use serde::Deserialize;
use serde_json::json;

use crate::cli::DiffArgs;
use crate::command::status::{Endpoint, endpoint};
use crate::command::{Context, block_on, config};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::http::get_from;
use crate::output::{BAD, GOOD, WARN, paint};

const LIMIT: Duration = Duration::from_secs(5);

/// What `/config` answers.
#[derive(Debug, Deserialize)]
struct Running {
    digest: String,
    settings: Settings,
    homes: Vec<Home>,
}

/// Sessions that live at one place.
#[derive(Debug, Deserialize)]
struct Home {
    provider: String,
    key: Option<String>,
    sessions: u64,
}

/// Prints what a file would change.
///
/// # Errors
/// Exit 78 with every fault of the file; exit 69 when no relay answers or lets nobody look.
pub fn run(context: &mut Context, arguments: &DiffArgs) -> Result<Exit, Failure> {
    // Where the relay is asked is a matter of the usual file, which it runs with.
    let endpoint = endpoint(context, arguments.addr.as_deref());
    if let Some(path) = &arguments.file {
        context.config = Some(path.clone());
    }
    let plan = config::load(context)?;
    let running = block_on(ask(&endpoint, token(context, arguments, &plan)?))??;
    let changes = relay_config::compare(&running.settings, &relay_config::settings(&plan));
    let moving = moving(&running.homes, &plan);
    if context.out.is_json() {
        let change = |change: &Change| json!({"path": change.path, "before": change.before, "after": change.after});
        let data = json!({
            "running": running.digest,
            "file": plan.digest,
            "changes": changes.iter().map(change).collect::<Vec<_>>(),
            "sessions_moving": moving,
        });
        context.out.data(data, &[])?;
        return Ok(Exit::Done);
    }
    if changes.is_empty() {
        let line = format!("nothing would change ({})", running.digest);
        context.out.line(&line)?;
        return Ok(Exit::Done);
    }
    context
        .out
        .line(&format!("{} -> {}", running.digest, plan.digest))?;
    for change in &changes {
        let style = match (&change.before, &change.after) {
            (None, _) => GOOD,
            (_, None) => BAD,
            (Some(_), Some(_)) => WARN,
        };
        context
            .out
            .line(&format!("  {}", paint(style, &change.to_string())))?;
    }
    context.out.line(&told(&moving))?;
    Ok(Exit::Done)
}

fn told(moving: &BTreeMap<String, u64>) -> String {
    if moving.is_empty() {
        return "no session would move".to_owned();
    }
    let from: Vec<String> = moving
        .iter()
        .map(|(provider, sessions)| format!("{sessions} from {provider}"))
        .collect();
    let count: u64 = moving.values().sum();
    let word = if count == 1 { "session" } else { "sessions" };
    format!("{count} {word} would move: {}", from.join(", "))
}

/// Counts the sessions whose home is not in a plan, by provider.
fn moving(homes: &[Home], plan: &Plan) -> BTreeMap<String, u64> {
    let stays = |home: &Home| {
        let mut providers = plan.providers.iter().filter(|provider| provider.enabled);
        let Some(provider) = providers.find(|provider| provider.name == home.provider) else {
            return false;
        };
        home.key.as_ref().is_none_or(|key| {
            // Where the file has no keys, what stands for them stays.
            let mut keys = provider.keys.iter();
            provider.keys.is_empty() || keys.any(|it| it.secret.id().as_str() == key)
        })
    };
    let mut moving = BTreeMap::new();
    for home in homes.iter().filter(|home| !stays(home)) {
        let count: &mut u64 = moving.entry(home.provider.clone()).or_default();
        *count = count.saturating_add(home.sessions);
    }
    moving
}

/// Returns with what the relay is asked.
fn token(
    context: &Context,
    arguments: &DiffArgs,
    plan: &Plan,
) -> Result<Option<HeaderValue>, Failure> {
    let text = if let Some(name) = &arguments.token {
        let missing = || {
            let message = format!("environment variable {name} is not set");
            Failure::new(Exit::Usage, "env_missing", message)
        };
        Some(context.env.get(name).ok_or_else(missing)?.to_owned())
    } else {
        let first = plan.server.auth.client_keys.first();
        first.map(|client| client.secret.expose().to_owned())
    };
    let value = text.map(|text| HeaderValue::from_str(&text)).transpose();
    let mut value = value.map_err(|_| {
        let message = "the client key holds what no header may hold";
        Failure::new(Exit::Usage, "client_key", message)
    })?;
    if let Some(value) = &mut value {
        value.set_sensitive(true);
    }
    Ok(value)
}

async fn ask(endpoint: &Endpoint, token: Option<HeaderValue>) -> Result<Running, Failure> {
    let url = endpoint.url();
    let failure = |message: String| {
        Failure::new(Exit::Unreachable, "unreachable", message)
            .help("start it: cc-relay serve; or name another address: --addr HOST:PORT")
    };
    let base = url.parse::<http::Uri>();
    let base = base.map_err(|_| failure(format!("{url} is no address")))?;
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        headers.insert("x-api-key", token);
    }
    let answer = get_from(&base, "/config", headers, endpoint.trust.as_deref(), LIMIT).await;
    let answer =
        answer.map_err(|error| failure(format!("no relay answers at {url}: {}", chain(&error))))?;
    if answer.status == StatusCode::UNAUTHORIZED {
        let message = format!("the relay at {url} does not know this client key");
        return Err(Failure::new(Exit::Unreachable, "unauthorized", message)
            .help("name the variable that holds one: --token ENV_NAME"));
    }
    serde_json::from_slice(&answer.body).map_err(|_| {
        let status = answer.status.as_u16();
        failure(format!(
            "something else answers at {url} (status {status}): it is not this version of cc-relay"
        ))
    })
}
