//! Each call of the API.
//!
//! In: a request from somebody who was let in. Out: its answer. What may be done by whom is decided
//! here, and nothing else: a call is a few lines that ask others.

mod config;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use relay_api::v1;
use relay_api::v1::relay_manager_server::RelayManager;
use relay_config::{GrpcRole, KeyPlan, LimitsPlan, NewKey, Override, StrategyPlan};
use relay_core::affinity::key::SessionKey;
use relay_core::request::SessionId;
use relay_core::secret::Secret;
use relay_store::By;
use tonic::{Code, Request, Response, Status};

use crate::caller;
use crate::events;
use crate::ledger::{self, MOST_SESSIONS, traffic::Window};
use crate::manager::Manager;
use crate::orders::Order;
use crate::refusal::{argument, missing, refuse};
use crate::tell;
use streams::{Filter, Messages};

/// The service.
#[expect(missing_debug_implementations, reason = "a snapshot holds secrets")]
pub(crate) struct Service(pub(crate) Arc<Manager>);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl RelayManager for Service {
    type StreamStatsStream = Messages<v1::StreamStatsResponse>;
    type StreamRequestsStream = Messages<v1::StreamRequestsResponse>;
    type StreamEventsStream = Messages<v1::StreamEventsResponse>;

    async fn get_version(
        &self,
        call: Request<v1::GetVersionRequest>,
    ) -> Answer<v1::GetVersionResponse> {
        let role = match caller::of(&call)?.role {
            GrpcRole::Read => v1::Role::Read,
            GrpcRole::Admin => v1::Role::Admin,
        };
        Ok(Response::new(v1::GetVersionResponse {
            version: self.0.version().to_owned(),
            api: "relay.v1".to_owned(),
            instance_id: self.0.instance().to_owned(),
            pid: std::process::id(),
            started_unix_ms: ledger::millis(self.0.started()),
            url: self.0.situation().url.clone(),
            role: role.into(),
        }))
    }

    async fn stream_stats(
        &self,
        call: Request<v1::StreamStatsRequest>,
    ) -> Answer<Self::StreamStatsStream> {
        let asked = call.into_inner();
        let every = between("interval_ms", asked.interval_ms, (100, 60_000), 1_000)?;
        let window = window(asked.window_s)?;
        Ok(Response::new(streams::stats(&self.0, every, window)))
    }

    async fn stream_requests(
        &self,
        call: Request<v1::StreamRequestsRequest>,
    ) -> Answer<Self::StreamRequestsStream> {
        let asked = call.into_inner();
        let every = between("interval_ms", asked.interval_ms, (50, 10_000), 200)?;
        let backlog = backlog(asked.backlog, ledger::KEPT)?;
        let filter = Filter {
            provider: asked.provider,
            session: asked.session,
            outcome: asked.outcome,
        };
        Ok(Response::new(streams::requests(
            &self.0, filter, every, backlog,
        )))
    }

    async fn stream_events(
        &self,
        call: Request<v1::StreamEventsRequest>,
    ) -> Answer<Self::StreamEventsStream> {
        let asked = call.into_inner();
        let least = match asked.least() {
            v1::Level::Unspecified => v1::Level::Info,
            least => least,
        };
        let backlog = backlog(asked.backlog, events::KEPT)?;
        let backlog = u64::try_from(backlog).unwrap_or(u64::MAX);
        Ok(Response::new(streams::events(&self.0, least, backlog)))
    }

    async fn get_request(
        &self,
        call: Request<v1::GetRequestRequest>,
    ) -> Answer<v1::GetRequestResponse> {
        let id = call.into_inner().id;
        let open = self.0.witness().underway();
        let open = open.iter().rev().find(|it| *it.record.request_id == *id);
        let request = open.map(tell::underway).or_else(|| {
            let books = self.0.books();
            let mut last = books.last.iter().rev();
            last.find(|(_, it)| *it.request_id == *id)
                .map(|(_, it)| tell::ended(it))
        });
        let fix = "it may have ended too long ago: cc-relay request ID reads the history";
        let request = request.ok_or_else(|| missing("request", &id, fix))?;
        Ok(Response::new(v1::GetRequestResponse {
            request: Some(request),
        }))
    }

    async fn list_providers(
        &self,
        _: Request<v1::ListProvidersRequest>,
    ) -> Answer<v1::ListProvidersResponse> {
        let told = self.0.look(|place| tell::providers(place, Window::Minute));
        let providers = told.into_iter().filter_map(|it| it.provider).collect();
        Ok(Response::new(v1::ListProvidersResponse { providers }))
    }

    async fn get_provider_health(
        &self,
        call: Request<v1::GetProviderHealthRequest>,
    ) -> Answer<v1::GetProviderHealthResponse> {
        let asked = call.into_inner();
        let window = window(asked.window_s)?;
        let name = asked.name;
        let told = self.0.look(|place| {
            let stats = tell::provider(place, &name, window)?;
            let probes = place.target(&name).map(|it| it.0.station.probes.counts());
            let [answered, failed] = probes.unwrap_or_default();
            Some(v1::GetProviderHealthResponse {
                stats: Some(stats),
                keys: tell::keys(place, Some(&name)),
                probes_answered: answered,
                probes_failed: failed,
            })
        });
        told.map(Response::new).ok_or_else(|| no_provider(&name))
    }

    async fn enable_provider(
        &self,
        call: Request<v1::EnableProviderRequest>,
    ) -> Answer<v1::EnableProviderResponse> {
        let by = caller::admin_of(&call)?;
        let asked = call.into_inner();
        let change = Override::Provider {
            name: asked.name,
            enabled: true,
        };
        let change = self.0.change(change, None, asked.options, &by.name).await?;
        Ok(Response::new(v1::EnableProviderResponse {
            change: Some(change),
        }))
    }

    async fn disable_provider(
        &self,
        call: Request<v1::DisableProviderRequest>,
    ) -> Answer<v1::DisableProviderResponse> {
        let by = caller::admin_of(&call)?;
        let asked = call.into_inner();
        let change = Override::Provider {
            name: asked.name,
            enabled: false,
        };
        let change = self.0.change(change, None, asked.options, &by.name).await?;
        Ok(Response::new(v1::DisableProviderResponse {
            change: Some(change),
        }))
    }

    async fn list_keys(&self, call: Request<v1::ListKeysRequest>) -> Answer<v1::ListKeysResponse> {
        let name = call.into_inner().provider;
        if !name.is_empty() {
            self.known(&name)?;
        }
        let only = (!name.is_empty()).then_some(name.as_str());
        let keys = self.0.look(|place| tell::keys(place, only));
        Ok(Response::new(v1::ListKeysResponse { keys }))
    }

    async fn add_key(&self, call: Request<v1::AddKeyRequest>) -> Answer<v1::AddKeyResponse> {
        let by = caller::admin_of(&call)?;
        let asked = call.into_inner();
        let persist = asked.options.is_some_and(|it| it.persist);
        let new = new_key(&asked)?;
        let key = KeyPlan {
            name: new.name.clone(),
            secret: Secret::new(asked.secret),
            limits: new.limits,
            weight: new.weight,
            priority: new.priority,
        };
        let change = Override::KeyAdded {
            provider: asked.provider,
            key,
        };
        let change = self
            .0
            .change(change, persist.then_some(&new), asked.options, &by.name)
            .await?;
        Ok(Response::new(v1::AddKeyResponse {
            change: Some(change),
        }))
    }

    async fn remove_key(
        &self,
        call: Request<v1::RemoveKeyRequest>,
    ) -> Answer<v1::RemoveKeyResponse> {
        let by = caller::admin_of(&call)?;
        let asked = call.into_inner();
        let change = Override::KeyRemoved {
            provider: asked.provider,
            key: asked.name,
        };
        let change = self.0.change(change, None, asked.options, &by.name).await?;
        Ok(Response::new(v1::RemoveKeyResponse {
            change: Some(change),
        }))
    }

    async fn enable_key(
        &self,
        call: Request<v1::EnableKeyRequest>,
    ) -> Answer<v1::EnableKeyResponse> {
        let by = caller::admin_of(&call)?;
        let asked = call.into_inner();
        let change = Override::KeyOn {
            provider: asked.provider,
            key: asked.name,
        };
        let change = self.0.change(change, None, asked.options, &by.name).await?;
        Ok(Response::new(v1::EnableKeyResponse {
            change: Some(change),
        }))
    }

    async fn disable_key(
        &self,
        call: Request<v1::DisableKeyRequest>,
    ) -> Answer<v1::DisableKeyResponse> {
        let by = caller::admin_of(&call)?;
        let asked = call.into_inner();
        let change = Override::KeyOff {
            provider: asked.provider,
            key: asked.name,
        };
        let change = self.0.change(change, None, asked.options, &by.name).await?;
        Ok(Response::new(v1::DisableKeyResponse {
            change: Some(change),
        }))
    }

    async fn get_key_usage(
        &self,
        call: Request<v1::GetKeyUsageRequest>,
    ) -> Answer<v1::GetKeyUsageResponse> {
        let asked = call.into_inner();
        let window = window(asked.window_s)?;
        self.known(&asked.provider)?;
        let told = self.0.look(|place| {
            let keys = tell::keys(place, Some(&asked.provider));
            let key = keys.into_iter().find(|key| key.name == asked.name)?;
            let traffic = place
                .books
                .key(&asked.provider, &asked.name, window, place.unix);
            Some(v1::GetKeyUsageResponse {
                key: Some(key),
                traffic: Some(traffic),
            })
        });
        let fix = format!("cc-relay key list {}", asked.provider);
        told.map(Response::new)
            .ok_or_else(|| missing("key", &asked.name, &fix))
    }

    async fn end_cooldown(
        &self,
        call: Request<v1::EndCooldownRequest>,
    ) -> Answer<v1::EndCooldownResponse> {
        let by = caller::admin_of(&call)?;
        let asked = call.into_inner();
        let change = self.0.end_cooldown(&asked, &by.name)?;
        Ok(Response::new(v1::EndCooldownResponse {
            change: Some(change),
        }))
    }

    async fn get_config(
        &self,
        call: Request<v1::GetConfigRequest>,
    ) -> Answer<v1::GetConfigResponse> {
        caller::of(&call)?;
        config::get(&self.0).map(Response::new)
    }

    async fn validate_config(
        &self,
        call: Request<v1::ValidateConfigRequest>,
    ) -> Answer<v1::ValidateConfigResponse> {
        config::validate(&self.0, &call.into_inner()).map(Response::new)
    }

    async fn update_config(
        &self,
        call: Request<v1::UpdateConfigRequest>,
    ) -> Answer<v1::UpdateConfigResponse> {
        let by = caller::admin_of(&call)?;
        let asked = call.into_inner();
        config::update(&self.0, asked, &by.name)
            .await
            .map(Response::new)
    }

    async fn reload_config(
        &self,
        call: Request<v1::ReloadConfigRequest>,
    ) -> Answer<v1::ReloadConfigResponse> {
        let by = caller::admin_of(&call)?;
        let dry_run = call.into_inner().dry_run;
        config::reload(&self.0, dry_run, &by.name)
            .await
            .map(Response::new)
    }

    async fn get_routing_strategy(
        &self,
        _: Request<v1::GetRoutingStrategyRequest>,
    ) -> Answer<v1::GetRoutingStrategyResponse> {
        let situation = self.0.situation();
        let routing = &self.0.witness().settings().snapshot.routing;
        let strategy = |it: &StrategyPlan| v1::Strategy {
            name: it.as_str().to_owned(),
            description: it.description().to_owned(),
        };
        Ok(Response::new(v1::GetRoutingStrategyResponse {
            strategy: routing.kind.name().to_owned(),
            strategies: StrategyPlan::ALL.iter().map(strategy).collect(),
            overridden: situation.plan.routing.strategy != situation.file_plan.routing.strategy,
            affinity: routing.affinity,
        }))
    }

    async fn set_routing_strategy(
        &self,
        call: Request<v1::SetRoutingStrategyRequest>,
    ) -> Answer<v1::SetRoutingStrategyResponse> {
        let by = caller::admin_of(&call)?;
        let asked = call.into_inner();
        let named = StrategyPlan::ALL
            .into_iter()
            .find(|it| it.as_str() == asked.strategy);
        let strategy = named.ok_or_else(|| {
            let names: Vec<&str> = StrategyPlan::ALL.iter().map(|it| it.as_str()).collect();
            let message = format!("there is no strategy `{}`", asked.strategy);
            argument("strategy", message, &format!("one of {}", names.join(", ")))
        })?;
        let change = self
            .0
            .change(Override::Strategy(strategy), None, asked.options, &by.name)
            .await?;
        Ok(Response::new(v1::SetRoutingStrategyResponse {
            change: Some(change),
        }))
    }

    async fn list_sessions(
        &self,
        call: Request<v1::ListSessionsRequest>,
    ) -> Answer<v1::ListSessionsResponse> {
        let limit = match usize::try_from(call.into_inner().limit).unwrap_or(usize::MAX) {
            0 => 100,
            limit if limit <= MOST_SESSIONS => limit,
            _ => {
                return Err(argument(
                    "limit",
                    "more sessions than are kept",
                    "at most 10000",
                ));
            }
        };
        let told = self
            .0
            .look(|place| (tell::sessions(place, limit), place.books.sessions.len()));
        Ok(Response::new(v1::ListSessionsResponse {
            sessions: told.0,
            total: tell::count(told.1),
        }))
    }

    async fn unpin_session(
        &self,
        call: Request<v1::UnpinSessionRequest>,
    ) -> Answer<v1::UnpinSessionResponse> {
        let by = caller::admin_of(&call)?;
        let asked = call.into_inner();
        let id = SessionId::new(&asked.id);
        let key = id
            .map(|id| SessionKey::of(&id))
            .ok_or_else(|| argument("id", "no session's name", "cc-relay sessions"))?;
        let change = self.0.unpin(&asked, key, &by.name)?;
        Ok(Response::new(v1::UnpinSessionResponse {
            change: Some(change),
        }))
    }

    async fn get_usage(&self, call: Request<v1::GetUsageRequest>) -> Answer<v1::GetUsageResponse> {
        let asked = call.into_inner();
        let Some(path) = self.0.history().cloned() else {
            let fix = "history.enabled: true in the configuration, or cc-relay serve --history";
            return Err(refuse(
                Code::FailedPrecondition,
                "NO_HISTORY",
                "no history is kept",
                fix,
            ));
        };
        let by = by(asked.by());
        let since = asked.since_unix_ms / 1_000;
        let read = tokio::task::spawn_blocking(move || relay_store::usage(&path, by, since)).await;
        let rows = read
            .map_err(|error| Status::internal(error.to_string()))?
            .map_err(|error| {
                let fix = "the log says more; the file may be on a disk that fails";
                refuse(
                    Code::Unavailable,
                    "HISTORY_UNREADABLE",
                    error.to_string(),
                    fix,
                )
            })?;
        let rows = rows.into_iter().map(usage_row).collect();
        Ok(Response::new(v1::GetUsageResponse { rows }))
    }
}

impl Service {
    /// Refuses a provider that the configuration does not name.
    fn known(&self, name: &str) -> Result<(), Status> {
        let situation = self.0.situation();
        let known = situation
            .plan
            .providers
            .iter()
            .any(|plan| plan.name == name);
        known.then_some(()).ok_or_else(|| no_provider(name))
    }
}

fn no_provider(name: &str) -> Status {
    missing("provider", name, "cc-relay provider list names them")
}

fn window(seconds: u32) -> Result<Window, Status> {
    Window::of(seconds).ok_or_else(|| {
        argument(
            "window_s",
            format!("{seconds} s is no window"),
            "60, 300, 900 or 3600",
        )
    })
}

fn between(
    field: &str,
    asked: u32,
    (least, most): (u32, u32),
    default: u32,
) -> Result<Duration, Status> {
    let value = if asked == 0 { default } else { asked };
    if (least..=most).contains(&value) {
        Ok(Duration::from_millis(u64::from(value)))
    } else {
        let message = format!("{value} is out of bounds");
        Err(argument(
            field,
            message,
            &format!("{least} to {most} milliseconds"),
        ))
    }
}

fn backlog(asked: u32, kept: usize) -> Result<usize, Status> {
    let asked = usize::try_from(asked).unwrap_or(usize::MAX);
    if asked <= kept {
        Ok(asked)
    } else {
        Err(argument(
            "backlog",
            "more than are kept",
            &format!("at most {kept}"),
        ))
    }
}

fn new_key(asked: &v1::AddKeyRequest) -> Result<NewKey, Status> {
    if asked.name.is_empty() {
        return Err(argument(
            "name",
            "a key needs a name",
            "choose one, such as k2",
        ));
    }
    if asked.secret.trim().is_empty() {
        return Err(argument(
            "secret",
            "the key itself is missing",
            "send it in `secret`",
        ));
    }
    let limits = asked.limits.unwrap_or_default();
    let value = if asked.reference.is_empty() {
        &asked.secret
    } else {
        &asked.reference
    };
    Ok(NewKey {
        name: asked.name.clone(),
        value: value.clone(),
        weight: asked.weight.max(1),
        priority: asked.priority,
        limits: LimitsPlan {
            rpm: limits.rpm,
            tpm: limits.tpm,
            itpm: limits.itpm,
            otpm: limits.otpm,
        },
    })
}

fn by(asked: v1::GroupBy) -> By {
    match asked {
        v1::GroupBy::Unspecified | v1::GroupBy::Provider => By::Provider,
        v1::GroupBy::Model => By::Model,
        v1::GroupBy::Key => By::Key,
        v1::GroupBy::Client => By::Client,
        v1::GroupBy::Session => By::Session,
        v1::GroupBy::Agent => By::Agent,
        v1::GroupBy::Day => By::Day,
        v1::GroupBy::Hour => By::Hour,
    }
}

fn usage_row(sums: relay_store::Sums) -> v1::UsageRow {
    v1::UsageRow {
        name: sums.name,
        sums: Some(v1::Sums {
            requests: sums.requests,
            failed: sums.failed,
            unpriced: sums.unpriced,
            input: sums.input,
            cache_read: sums.cache_read,
            cache_write: sums.cache_write,
            output: sums.output,
            cost_nano_usd: sums.cost,
            saved_nano_usd: sums.saved,
            moves: sums.moves,
            moved_nano_usd: sums.moved,
        }),
    }
}
