//! Makes a relay from a plan. The only place that names every kind of provider.
//!
//! In: a checked [`Plan`]. Out: a snapshot, a connector for each target, and the server's options.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use http::Uri;
use relay_config::{
    AuthPlan, CredentialHeader, HttpVersion, LoggingPlan, Plan, ProviderKind, ProviderPlan,
    ProxyPlan,
};
use relay_core::credential::{self, AuthPolicy, Client};
use relay_core::provider::Provider;
use relay_core::request::{ModelName, Timeouts};
use relay_core::snapshot::{Limits, Snapshot, Target, TargetId};
use relay_providers::compatible::{Compatible, KeyHeader};
use relay_proxy::{self as proxy, Connector, ConnectorOptions, ExhibitOptions, ProxyChoice};

/// The parts of a relay.
#[expect(missing_debug_implementations, reason = "a snapshot holds secrets")]
pub struct Assembled {
    /// What decides about requests.
    pub snapshot: Snapshot,
    /// How each target is reached, in the snapshot's order.
    pub connectors: Vec<Arc<Connector>>,
    /// What the log keeps beyond the record.
    pub exhibit: ExhibitOptions,
}

/// Assembles the parts.
///
/// # Errors
/// If a URL cannot be used after all, or a proxy cannot be understood.
pub fn assemble(plan: &Plan) -> anyhow::Result<Assembled> {
    let mut targets = Vec::new();
    let mut connectors = Vec::new();
    for provider in plan.providers.iter().filter(|provider| provider.enabled) {
        let base = base_url(provider)?;
        targets.push(Arc::new(target(provider, &base)));
        connectors.push(Arc::new(connector(provider, &base)?));
    }
    let server = &plan.server;
    let snapshot = Snapshot {
        auth: auth(&server.auth),
        targets,
        limits: Limits {
            max_body_bytes: server.max_body_bytes,
            max_passthrough_bytes: server.max_passthrough_bytes,
            max_concurrent: server.max_concurrent,
        },
        timeouts: Timeouts {
            stream_first_byte: server.stream_first_byte_timeout,
            first_byte: server.timeout,
            gap: server.stream_gap_timeout,
            body_read: server.body_read_timeout,
        },
        digest: plan.digest.as_str().into(),
    };
    Ok(Assembled {
        snapshot,
        connectors,
        exhibit: exhibit(&plan.logging),
    })
}

fn exhibit(plan: &LoggingPlan) -> ExhibitOptions {
    let debug = &plan.debug_options;
    ExhibitOptions {
        headers: debug.log_headers,
        body_bytes: if debug.log_bodies {
            debug.max_body_log_bytes
        } else {
            0
        },
        connection: debug.log_connection,
    }
}

fn auth(plan: &AuthPlan) -> AuthPolicy {
    let client = |key: &relay_config::ClientKey| Client {
        name: key.name.as_str().into(),
        digest: key.secret.digest(),
        header: match key.header {
            CredentialHeader::Any if plan.allow_bearer => credential::CredentialHeader::Any,
            CredentialHeader::Any | CredentialHeader::ApiKey => {
                credential::CredentialHeader::ApiKey
            }
            CredentialHeader::Bearer => credential::CredentialHeader::Bearer,
        },
    };
    AuthPolicy {
        clients: plan.client_keys.iter().map(client).collect(),
        allow_subscription: plan.allow_subscription,
    }
}

fn base_url(provider: &ProviderPlan) -> anyhow::Result<Uri> {
    provider
        .base_url
        .parse()
        .with_context(|| format!("base_url of {}", provider.name))
}

fn target(provider: &ProviderPlan, base: &Uri) -> Target {
    Target {
        id: TargetId::new(provider.name.as_str()),
        provider: dialect(provider, base),
        key: provider.keys.first().map(|key| key.secret.clone()),
        accepts_client_credential: provider.accepts_client_credential,
    }
}

fn dialect(provider: &ProviderPlan, base: &Uri) -> Box<dyn Provider> {
    let mapping = provider.model_mapping.iter();
    match provider.kind {
        ProviderKind::Anthropic => Box::new(Compatible {
            path_prefix: base.path().trim_end_matches('/').into(),
            key_header: KeyHeader::ApiKey,
            model_mapping: mapping
                .map(|(from, to)| (ModelName::new(from.as_str()), ModelName::new(to.as_str())))
                .collect(),
        }),
    }
}

fn connector(provider: &ProviderPlan, base: &Uri) -> anyhow::Result<Connector> {
    let authority = base
        .authority()
        .ok_or_else(|| anyhow!("base_url without a host"))?
        .clone();
    let options = ConnectorOptions {
        tls: base.scheme_str() == Some("https"),
        authority,
        ca_file: provider.ca_file.clone(),
        proxy: match &provider.proxy {
            ProxyPlan::FromEnvironment => ProxyChoice::FromEnvironment,
            ProxyPlan::None => ProxyChoice::None,
            ProxyPlan::Url(url) => ProxyChoice::Url(url.as_str().into()),
        },
        http_version: match provider.http_version {
            HttpVersion::Auto => proxy::HttpVersion::Auto,
            HttpVersion::Http1 => proxy::HttpVersion::Http1,
            HttpVersion::Http2 => proxy::HttpVersion::Http2,
        },
        connect_timeout: provider.connect_timeout,
        prewarm: provider.prewarm,
        max_idle: provider.max_idle_connections,
        idle_timeout: provider.idle_timeout,
    };
    Connector::new(options).with_context(|| format!("provider {}", provider.name))
}
