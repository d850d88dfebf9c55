//! Each call of the API.
//!
//! In: a request from somebody who was let in. Out: its answer. What may be done by whom is decided
//! here, and nothing else: a call is a few lines that ask others.

mod answers;
mod arguments;
mod config;
mod streams;

use std::sync::Arc;

use relay_api::v1;
use relay_api::v1::relay_manager_server::RelayManager;
use relay_config::{GrpcRole, KeyPlan, Override, StrategyPlan};
use relay_core::affinity::key::SessionKey;
use relay_core::request::SessionId;
use relay_core::secret::Secret;
use tonic::{Request, Response, Status};

use crate::caller;
use crate::events;
use crate::ledger::{self, MOST_SESSIONS, traffic::Window};
use crate::manager::Manager;
use crate::refusal::argument;
use crate::tell;
use arguments::{backlog, between, new_key, window};
use streams::{Filter, Messages};

/// The service.
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
        let pace = (every, streams::Pace::of(asked.max_per_second));
        Ok(Response::new(streams::requests(
            &self.0, filter, pace, backlog,
        )))
    }

    async fn stream_events(
        &self,
        call: Request<v1::StreamEventsRequest>,
    ) -> Answer<Self::StreamEventsStream> {
        let asked = call.into_inner();
        let least = Some(asked.least()).filter(|it| *it != v1::Level::Unspecified);
        let least = least.unwrap_or(v1::Level::Info);
        let backlog = backlog(asked.backlog, events::KEPT)?;
        let backlog = u64::try_from(backlog).unwrap_or(u64::MAX);
        Ok(Response::new(streams::events(&self.0, least, backlog)))
    }

    async fn get_request(
        &self,
        call: Request<v1::GetRequestRequest>,
    ) -> Answer<v1::GetRequestResponse> {
        answers::request(&self.0, &call.into_inner().id).map(Response::new)
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
        answers::provider_health(&self.0, &call.into_inner()).map(Response::new)
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
        answers::keys(&self.0, &call.into_inner().provider).map(Response::new)
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
        answers::key_usage(&self.0, &call.into_inner()).map(Response::new)
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
        let found = StrategyPlan::ALL
            .into_iter()
            .find(|it| it.as_str() == asked.strategy);
        let strategy = found.ok_or_else(|| {
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
        answers::usage(&self.0, call.into_inner())
            .await
            .map(Response::new)
    }
}
