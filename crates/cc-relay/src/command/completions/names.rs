//! Names of the running relay, for a shell that completes a word.
//!
//! In: the words of the command line so far. Out: providers, keys, sessions and strategies that the
//! relay has now; those of the configuration where no relay answers. It must be quick, and silent:
//! a shell waits for it, and shows nothing of what goes wrong.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use relay_api::v1::{
    GetRoutingStrategyRequest, ListKeysRequest, ListProvidersRequest, ListSessionsRequest,
};
use relay_api::{Connection, connect};
use tokio::time::timeout;
use tonic::Status;

use crate::cli::{Color, Global};
use crate::command::manage::{Relay, RelayArgs};
use crate::command::{Context, block_on, config};
use crate::environment::Environment;

/// How long a shell is kept waiting.
const PATIENCE: Duration = Duration::from_millis(500);
/// Names that are shown at most.
const MOST: u32 = 200;

/// A name, and what is told of it.
type Named = (String, Option<String>);

/// Completes a provider.
pub fn provider() -> ArgValueCompleter {
    completer(|line| {
        let told = line.ask(async |mut api| {
            let told = api.list_providers(ListProvidersRequest {}).await?;
            let all = told.into_inner().providers.into_iter();
            let word = |on: bool| if on { "on" } else { "off" };
            Ok(all
                .map(|it| {
                    (
                        it.name,
                        Some(format!("{}, {}", it.r#type, word(it.enabled))),
                    )
                })
                .collect())
        });
        told.unwrap_or_else(|| {
            let plan = config::load(&line.context).ok();
            let all = plan.into_iter().flat_map(|plan| plan.providers);
            all.map(|it| (it.name, None)).collect()
        })
    })
}

/// Completes a key of the provider that stands before it.
pub fn key() -> ArgValueCompleter {
    completer(|line| {
        let told = line.ask(async |mut api| {
            let provider = String::new();
            let told = api.list_keys(ListKeysRequest { provider }).await?;
            let all = told.into_inner().keys.into_iter();
            let mine = all.filter(|it| line.has(&it.provider));
            Ok(mine.map(|it| (it.name, Some(it.provider))).collect())
        });
        told.unwrap_or_else(|| {
            let plan = config::load(&line.context).ok();
            let all = plan.into_iter().flat_map(|plan| plan.providers);
            let mine = all.filter(|it| line.has(&it.name));
            mine.flat_map(|it| it.keys)
                .map(|it| (it.name, None))
                .collect()
        })
    })
}

/// Completes a session that was seen lately.
pub fn session() -> ArgValueCompleter {
    completer(|line| {
        let told = line.ask(async |mut api| {
            let told = api
                .list_sessions(ListSessionsRequest { limit: MOST })
                .await?;
            let all = told.into_inner().sessions.into_iter();
            Ok(all.map(|it| (it.id, None)).collect())
        });
        told.unwrap_or_default()
    })
}

/// Completes a strategy.
pub fn strategy() -> ArgValueCompleter {
    completer(|line| {
        let told = line.ask(async |mut api| {
            let told = api
                .get_routing_strategy(GetRoutingStrategyRequest {})
                .await?;
            let all = told.into_inner().strategies.into_iter();
            Ok(all.map(|it| (it.name, Some(it.description))).collect())
        });
        told.unwrap_or_default()
    })
}

/// Only what begins as the word does is shown, and nothing that a shell would trip over.
fn completer(find: fn(&Line) -> Vec<Named>) -> ArgValueCompleter {
    ArgValueCompleter::new(move |begun: &OsStr| {
        let begun = begun.to_string_lossy().into_owned();
        let named = find(&Line::of_process()).into_iter();
        named
            .filter(|(name, _)| name.starts_with(&begun) && !name.chars().any(char::is_control))
            .map(|(name, help)| CompletionCandidate::new(name).help(help.map(Into::into)))
            .collect()
    })
}

/// The command line that is being written.
struct Line {
    words: Vec<String>,
    context: Context,
    relay: RelayArgs,
}

impl Line {
    /// The shell's script gives it after `--`.
    fn of_process() -> Self {
        let given: Vec<OsString> = std::env::args_os().collect();
        let words = given.iter().skip_while(|word| *word != "--").skip(1);
        let words: Vec<String> = words.map(|it| it.to_string_lossy().into_owned()).collect();
        let global = Global {
            config: value(&words, &["--config", "-c"]).map(Into::into),
            json: false,
            color: Color::Never,
            quiet: true,
            verbose: 0,
            no_input: true,
        };
        let env = Environment::of_process();
        let variable = |name: &str| env.get(name).map(ToOwned::to_owned);
        let global = Global {
            config: global
                .config
                .or_else(|| variable("CC_RELAY_CONFIG").map(Into::into)),
            ..global
        };
        let relay = RelayArgs {
            manage: value(&words, &["--manage"]).or_else(|| variable("CC_RELAY_MANAGE")),
            addr: value(&words, &["--addr"]).or_else(|| variable("CC_RELAY_ADDR")),
            token_file: value(&words, &["--token-file"])
                .or_else(|| variable("CC_RELAY_TOKEN_FILE"))
                .map(Into::into),
        };
        let context = Context::of_process(&global, env);
        Self {
            words,
            context,
            relay,
        }
    }

    fn has(&self, word: &str) -> bool {
        self.words.iter().any(|it| it == word)
    }

    /// Asks the running relay; nothing where none answers in time.
    fn ask(
        &self,
        ask: impl AsyncFnOnce(Connection) -> Result<Vec<Named>, Status>,
    ) -> Option<Vec<Named>> {
        let (address, credentials) = Relay::find(&self.context, &self.relay).ok()?.into_parts();
        let asked = async {
            let connection = connect(&address, &credentials).await.ok()?;
            ask(connection).await.ok()
        };
        block_on(async { timeout(PATIENCE, asked).await.ok().flatten() }).ok()?
    }
}

/// Returns what stands after an option, or after its `=`.
fn value(words: &[String], names: &[&str]) -> Option<String> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if names.contains(&word.as_str()) {
            return words.next().cloned();
        }
        let joined = word.split_once('=');
        if let Some((_, value)) = joined.filter(|(name, _)| names.contains(name)) {
            return Some(value.to_owned());
        }
    }
    None
}
