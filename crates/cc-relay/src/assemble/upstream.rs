//! Makes one upstream from its plan.
//!
//! In: the plan of an upstream, and what goes on from the plan before. Out: its target and how it
//! is reached, and what is told to those who go on once the whole plan is known to hold.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use http::Uri;
use relay_config::{
    AffinityMode, AwsPlan, AzurePlan, CloudPlan, HttpVersion, KeyPlan, Plan, ProviderPlan,
    ProxyPlan, RoutingPlan, SelectionPlan, Variant,
};
use relay_core::breaker::BreakerOptions;
use relay_core::credential::UpstreamCredential;
use relay_core::keys::{KeyLimits, KeyPool, KeySpec, Selection};
use relay_core::models::Pattern;
use relay_core::price::Seller;
use relay_core::secret::{Secret, SecretDigest};
use relay_core::snapshot::{Origin, Target, TargetId};
use relay_core::station::Station;
use relay_identity::{EntraApp, EntraChain, Keeper, Source, identity};
use relay_providers::bedrock::mantle;
use relay_proxy::{self as proxy, Background, Connector, ConnectorOptions, ProxyChoice};
use tokio_util::sync::CancellationToken;

use super::dialect::dialect;
use super::memory::{Issuer, Kept, Memory, Reached};
use super::model_map;

/// An upstream, how it is reached, and what is told to those who go on.
pub(super) struct Upstream {
    pub(super) target: Arc<Target>,
    place: String,
    reached: Reached,
    issuer: Option<Issuer>,
    /// Who begins to ask for credentials.
    keeper: Option<(Keeper, CancellationToken)>,
    keys: Vec<KeySpec>,
    selection: Selection,
}

impl Upstream {
    pub(super) fn connector(&self) -> Arc<Connector> {
        Arc::clone(&self.reached.connector)
    }

    /// Returns how many keys it has.
    pub(super) fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Puts it in force; returns its name and what is kept of it.
    pub(super) fn commit(
        self,
        options: BreakerOptions,
        background: &Background,
    ) -> (Box<str>, Kept) {
        let station = &self.target.station;
        station.configure(options);
        station.keys.update(self.keys, self.selection);
        if let Some((keeper, stop)) = self.keeper {
            background.add(keeper.run(stop));
        }
        let kept = Kept {
            place: self.place,
            station: Arc::clone(station),
            connector: self.reached,
            identity: self.issuer,
        };
        (self.target.id.as_str().into(), kept)
    }
}

/// Makes an upstream.
pub(super) fn upstream(
    variant: &Variant,
    plan: &Plan,
    options: BreakerOptions,
    memory: &Memory,
) -> anyhow::Result<Upstream> {
    let provider = &variant.plan;
    let base = base_url(provider)?;
    let place = place(provider);
    let kept = memory.of(&provider.name, &place);
    let (issuer, keeper) = issuer(provider, kept)?;
    let selection = selection(provider, &plan.routing);
    let keys = keys(provider, issuer.as_ref());
    let station = match kept {
        Some(kept) => Arc::clone(&kept.station),
        None => Station::new(KeyPool::new(keys.clone(), selection), options),
    };
    Ok(Upstream {
        target: Arc::new(target(variant, &base, plan, station)?),
        place,
        reached: reached(provider, &base, kept)?,
        issuer,
        keeper,
        keys,
        selection,
    })
}

/// Says what an upstream is, beside its name: another one under the same name is not the same.
pub(super) fn place(provider: &ProviderPlan) -> String {
    format!("{} {}", provider.kind.as_str(), provider.base_url)
}

fn base_url(provider: &ProviderPlan) -> anyhow::Result<Uri> {
    provider
        .base_url
        .parse()
        .with_context(|| format!("base_url of {}", provider.name))
}

fn target(
    variant: &Variant,
    base: &Uri,
    plan: &Plan,
    station: Arc<Station>,
) -> anyhow::Result<Target> {
    let provider = &variant.plan;
    Ok(Target {
        id: TargetId::new(provider.name.as_str()),
        provider: dialect(provider, base)?,
        vendor: provider.vendor.as_str().into(),
        seller: Arc::new(Seller {
            names: [provider.name.as_str(), provider.kind.as_str()].map(Into::into),
            percent: provider.price_percent(),
        }),
        origin: Arc::new(origin(provider, base)),
        priority: provider.priority,
        weight: provider.weight,
        models: provider.models.iter().map(|it| Pattern::new(it)).collect(),
        knows: variant.limited.then_some(mantle::has),
        behind: variant.behind.as_deref().map(TargetId::new),
        model_mapping: model_map(&provider.model_mapping),
        max_body_bytes: provider
            .max_body_bytes
            .unwrap_or(plan.server.max_body_bytes),
        accepts_client_credential: provider.accepts_client_credential,
        station,
    })
}

fn origin(provider: &ProviderPlan, base: &Uri) -> Origin {
    let usual = if base.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    Origin {
        vendor: provider.kind.convention(),
        host: base.host().unwrap_or_default().into(),
        port: base.port_u16().unwrap_or(usual),
    }
}

fn keys(provider: &ProviderPlan, issuer: Option<&Issuer>) -> Vec<KeySpec> {
    let spec = |key: &KeyPlan| KeySpec {
        id: key.secret.id(),
        name: key.name.as_str().into(),
        credential: UpstreamCredential::Relay(key.secret.clone()),
        weight: key.weight,
        priority: key.priority,
        limits: KeyLimits {
            rpm: key.limits.rpm,
            tpm: key.limits.tpm,
            itpm: key.limits.itpm,
            otpm: key.limits.otpm,
        },
    };
    let used = if provider.pooling.enabled {
        provider.keys.len()
    } else {
        1
    };
    let mut specs: Vec<KeySpec> = provider.keys.iter().take(used).map(spec).collect();
    if specs.is_empty() {
        specs.extend(stand_in(provider, issuer));
    }
    specs
}

fn selection(provider: &ProviderPlan, routing: &RoutingPlan) -> Selection {
    match provider.pooling.strategy {
        Some(SelectionPlan::Weighted) => Selection::Weighted,
        Some(SelectionPlan::RoundRobin) => Selection::RoundRobin,
        Some(SelectionPlan::Random) => Selection::Random,
        Some(SelectionPlan::LeastLoaded) => Selection::LeastLoaded,
        // Where sessions are kept, their hash places them; what has no session goes where there is
        // most room.
        None if routing.affinity.mode == AffinityMode::Off => Selection::LeastLoaded,
        None => Selection::Placed,
    }
}

/// Returns what stands in a pool where the file has no keys: an identity, or nothing where no
/// credential is asked for.
fn stand_in(provider: &ProviderPlan, issuer: Option<&Issuer>) -> Option<KeySpec> {
    let name = provider.name.as_str();
    let (label, credential) = match issuer {
        Some(issuer) => {
            let identity = Arc::clone(&issuer.identity);
            ("identity", UpstreamCredential::Identity(identity))
        }
        None if provider.kind.answers_without_key() => ("none", UpstreamCredential::Nothing),
        None => return None,
    };
    Some(KeySpec {
        // Named by what it is: there is no key whose digest could name it.
        id: Secret::new(format!("{label} {name}")).id(),
        name: label.into(),
        credential,
        weight: 1,
        priority: 0,
        limits: KeyLimits::default(),
    })
}

type Issuing = (Option<Issuer>, Option<(Keeper, CancellationToken)>);

/// Returns who issues credentials, where the file has no keys: whoever did before, if the settings
/// are the same.
fn issuer(provider: &ProviderPlan, kept: Option<&Kept>) -> anyhow::Result<Issuing> {
    if !provider.keys.is_empty() {
        return Ok((None, None));
    }
    let Some(source) = source(&provider.cloud) else {
        return Ok((None, None));
    };
    // A secret is shown as its digest there.
    let settings = format!("{:?}", provider.cloud);
    let before = kept.and_then(|kept| kept.identity.as_ref());
    if let Some(before) = before.filter(|before| before.source == settings) {
        return Ok((Some(before.clone()), None));
    }
    let (identity, keeper) = identity(&provider.name, source)?;
    let stop = CancellationToken::new();
    let issuer = Issuer {
        source: settings,
        identity,
        _asking: Arc::new(stop.clone().drop_guard()),
    };
    Ok((Some(issuer), Some((keeper, stop))))
}

/// Returns where a cloud's credential comes from.
pub(crate) fn source(cloud: &CloudPlan) -> Option<Source> {
    match cloud {
        CloudPlan::None => None,
        CloudPlan::Aws(AwsPlan {
            access_key: Some(key),
            ..
        }) => Some(Source::AwsStatic {
            access_key_id: key.id.clone(),
            secret_access_key: key.secret.clone(),
            session_token: key.session_token.clone(),
        }),
        CloudPlan::Aws(aws) => Some(Source::AwsChain {
            profile: aws.profile.clone(),
            region: aws.region.clone(),
        }),
        CloudPlan::Google(_) => Some(Source::GoogleDefault {
            quota_project: None,
        }),
        CloudPlan::Azure(AzurePlan {
            application: Some(application),
            ..
        }) => Some(Source::EntraSecret(EntraApp {
            tenant_id: application.tenant.clone(),
            client_id: application.client_id.clone(),
            client_secret: application.secret.clone(),
            authority_host: None,
            scope: None,
        })),
        CloudPlan::Azure(azure) => Some(Source::EntraChain(EntraChain {
            client_id: azure.client_id.clone(),
            ..EntraChain::default()
        })),
    }
}

/// Returns how an upstream is reached: over the connections that are open, if nothing about them
/// is different.
fn reached(provider: &ProviderPlan, base: &Uri, kept: Option<&Kept>) -> anyhow::Result<Reached> {
    let options = options(provider, base)?;
    // The file may hold others under the same name.
    let certificates = options.ca_file.as_deref().map(std::fs::read);
    let trusts = certificates.and_then(Result::ok);
    let trusts = trusts.map(|pem| SecretDigest::of(&pem).id().to_string());
    if let Some(kept) = kept
        && *kept.connector.connector.options() == options
        && kept.connector.trusts == trusts
    {
        return Ok(kept.connector.clone());
    }
    let connector = Connector::new(options);
    let connector = connector.with_context(|| format!("provider {}", provider.name))?;
    Ok(Reached {
        connector: Arc::new(connector),
        trusts,
    })
}

fn options(provider: &ProviderPlan, base: &Uri) -> anyhow::Result<ConnectorOptions> {
    let authority = base
        .authority()
        .ok_or_else(|| anyhow!("base_url without a host"))?
        .clone();
    Ok(ConnectorOptions {
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
    })
}
