//! Makes the dialect that an upstream is spoken to in. The only place that names every kind of it.
//!
//! In: the plan of an upstream, and its base URL. Out: its [`Provider`].

use anyhow::Context as _;
use http::Uri;
use http::header::{HeaderName, HeaderValue};
use relay_config::{
    AwsPlan, CloudPlan, KeyPlace, ProviderKind, ProviderPlan, RuntimePlan, VersionPlan,
};
use relay_core::provider::Provider;
use relay_providers::bedrock::invoke::{self, Bedrock};
use relay_providers::compatible::{Compatible, KeyHeader, row};
use relay_providers::sign::Signer;
use relay_providers::version::BodyVersion;
use relay_providers::vertex::{self, Vertex};

/// Returns the dialect of an upstream.
pub(crate) fn dialect(provider: &ProviderPlan, base: &Uri) -> anyhow::Result<Box<dyn Provider>> {
    let prefix = base.path();
    let compatible = |name: &str| -> anyhow::Result<Compatible> {
        let row = row(name).with_context(|| format!("no row for type {name}"))?;
        let mut compatible = Compatible::of(row, prefix);
        amend(&mut compatible, provider)?;
        Ok(compatible)
    };
    Ok(match (&provider.cloud, provider.kind) {
        (CloudPlan::Google(google), ProviderKind::Vertex) => Box::new(Vertex {
            path_prefix: prefix.trim_end_matches('/').into(),
            project: google.project.as_str().into(),
            location: google.location.as_str().into(),
            model_prefix: provider.model_prefix.as_deref().unwrap_or_default().into(),
            version: body_version(provider, vertex::VERSION),
            counts_tokens: provider.counts_tokens.unwrap_or(true),
        }),
        (CloudPlan::Aws(aws), ProviderKind::Bedrock) if aws.runtime == RuntimePlan::Mantle => {
            Box::new(signed(
                compatible("bedrock_mantle")?,
                "bedrock-mantle",
                aws,
                base,
            )?)
        }
        (CloudPlan::Aws(aws), ProviderKind::Bedrock) => Box::new(Bedrock {
            path_prefix: prefix.trim_end_matches('/').into(),
            model_prefix: provider
                .model_prefix
                .as_deref()
                .unwrap_or("anthropic.")
                .into(),
            version: body_version(provider, invoke::VERSION),
            counts_tokens: provider.counts_tokens.unwrap_or(true),
            signer: signer("bedrock", aws, base)?,
        }),
        (CloudPlan::Aws(aws), kind) => {
            let platform = compatible(kind.as_str())?;
            Box::new(signed(platform, "aws-external-anthropic", aws, base)?)
        }
        (_, kind) => Box::new(compatible(kind.as_str())?),
    })
}

/// Returns the version that a body names, of which the cloud has a name of its own.
fn body_version(provider: &ProviderPlan, usual: &str) -> BodyVersion {
    match &provider.version {
        None => BodyVersion::Is(usual.into()),
        Some(VersionPlan::Is(version)) => BodyVersion::Is(version.as_str().into()),
        Some(VersionPlan::Pass) => BodyVersion::Passes(usual.into()),
    }
}

fn signer(service: &'static str, aws: &AwsPlan, base: &Uri) -> anyhow::Result<Signer> {
    let host = base.authority().context("base_url without a host")?;
    Ok(Signer {
        service,
        region: aws.region.as_str().into(),
        host: host.as_str().into(),
    })
}

fn signed(
    mut upstream: Compatible,
    service: &'static str,
    aws: &AwsPlan,
    base: &Uri,
) -> anyhow::Result<Compatible> {
    upstream.signer = Some(signer(service, aws, base)?);
    Ok(upstream)
}

/// Puts in what the file says otherwise than the row.
fn amend(compatible: &mut Compatible, provider: &ProviderPlan) -> anyhow::Result<()> {
    match provider.key_place {
        Some(KeyPlace::ApiKey) => compatible.key_header = KeyHeader::ApiKey,
        Some(KeyPlace::Bearer) => compatible.key_header = KeyHeader::Bearer,
        None => {}
    }
    match &provider.version {
        Some(VersionPlan::Pass) => compatible.version = None,
        Some(VersionPlan::Is(version)) => {
            compatible.version = Some(HeaderValue::from_str(version)?);
        }
        None => {}
    }
    if let Some(counts) = provider.counts_tokens {
        compatible.counts_tokens = counts;
    }
    if let Some(prefix) = &provider.model_prefix {
        compatible.model_prefix = prefix.as_str().into();
    }
    if let CloudPlan::Aws(AwsPlan {
        workspace: Some(workspace),
        ..
    }) = &provider.cloud
    {
        let name = HeaderName::from_static("anthropic-workspace-id");
        let value = HeaderValue::from_str(workspace)?;
        compatible.headers.push((name, value));
    }
    Ok(())
}
