//! The checks of providers: whom the relay is there, whether the host answers, and what it says to
//! a free question.
//!
//! In: the plan. Out: findings, one for each credential. A question is put in the provider's own
//! dialect, with the relay's own credential, which goes to its own provider alone and is named,
//! never shown. It must never ask anything that is paid for.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Request, StatusCode, Uri, header};
use relay_config::{CloudPlan, KeyPlan, Plan, ProviderPlan, ProxyPlan};
use relay_core::credential::{OwnCredential, UpstreamCredential};
use relay_core::error::chain;
use relay_core::provider::{Changes, Provider};
use relay_core::request::{Endpoint, Facts, Inbound};
use relay_identity::identity;
use tokio_util::sync::CancellationToken;

use super::{Finding, LIMIT};
use crate::assemble::dialect::dialect;
use crate::assemble::upstream::source;
use crate::environment::Environment;
use crate::http::{GetError, get_from};
use crate::settings::mask;

/// How long a credential may take to be issued: a question to an unreachable metadata server, or a
/// program that is started, takes longer than one to a host.
const IDENTITY_LIMIT: Duration = Duration::from_secs(15);

/// Questions under way at most.
const AT_ONCE: usize = 16;

/// Seconds by which the clocks may differ. A date is of whole seconds, and some answers come from a
/// cache.
const SKEW_S: f64 = 60.0;

/// Checks every enabled provider with each of its keys.
pub(super) async fn providers(plan: Option<&Plan>, env: &Environment) -> Vec<Finding> {
    let Some(plan) = plan else {
        let what = "not asked: the configuration has faults";
        return vec![Finding::skipped(
            "providers",
            what,
            "mend the configuration first",
        )];
    };
    let variants = plan.providers.iter().flat_map(ProviderPlan::variants);
    let providers: Vec<_> = variants.map(|it| it.plan).collect();
    let questions = providers.iter().flat_map(|provider| {
        let keys = provider.keys.iter().map(Some);
        let keys: Vec<Option<&KeyPlan>> = if provider.keys.is_empty() || !provider.enabled {
            vec![None]
        } else {
            keys.collect()
        };
        keys.into_iter().map(move |key| checked(provider, key, env))
    });
    let answers: Vec<Checked> = stream::iter(questions).buffered(AT_ONCE).collect().await;
    let skews: Vec<f64> = answers.iter().filter_map(|it| it.skew_s).collect();
    let mut findings: Vec<Finding> = answers.into_iter().map(|it| it.finding).collect();
    findings.extend(clock_finding(&skews));
    findings
}

/// What came of one question.
struct Checked {
    finding: Finding,
    /// Seconds that the provider's clock is ahead of this machine's.
    skew_s: Option<f64>,
}

async fn checked(provider: &ProviderPlan, key: Option<&KeyPlan>, env: &Environment) -> Checked {
    let name = &provider.name;
    let unasked = |finding| Checked {
        finding,
        skew_s: None,
    };
    if !provider.enabled {
        return unasked(Finding::skipped(
            name,
            "switched off",
            "enabled: true, to use it",
        ));
    }
    if let Some(proxy) = proxy(provider, env) {
        let what = format!("not asked: it is reached by the proxy {proxy}");
        return unasked(Finding::skipped(
            name,
            what,
            "curl it through that proxy by hand",
        ));
    }
    check(provider, key).await
}

/// Compares this machine's clock with those of the providers that said theirs. Signatures of AWS
/// hold for five minutes, and issued tokens begin at a time.
fn clock_finding(skews: &[f64]) -> Option<Finding> {
    let mut sorted = skews.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = *sorted.get(sorted.len() / 2)?;
    let count = match sorted.len() {
        1 => "1 provider".to_owned(),
        many => format!("{many} answers of providers"),
    };
    Some(if median.abs() < SKEW_S {
        Finding::ok("clock", format!("{median:+.1} s against {count}"))
    } else {
        let side = if median > 0.0 { "behind" } else { "ahead of" };
        let what = format!(
            "this machine is {:.0} s {side} {count}: signatures and tokens of clouds will be refused",
            median.abs()
        );
        Finding::warning("clock", what, "timedatectl set-ntp true")
    })
}

/// Returns how far the clock of an answer's sender is ahead of this machine's.
fn skew(headers: &HeaderMap) -> Option<f64> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    let theirs = httpdate::parse_http_date(text).ok()?;
    let theirs = theirs.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(theirs.as_secs_f64() - relay_proxy::clock::unix().as_secs_f64())
}

/// Returns the proxy on the way to a provider, if any: this check goes straight.
fn proxy(provider: &ProviderPlan, env: &Environment) -> Option<String> {
    match &provider.proxy {
        ProxyPlan::None => None,
        ProxyPlan::Url(_) => Some(provider.proxy.shown()),
        ProxyPlan::FromEnvironment => {
            let names: &[&str] = if provider.base_url.starts_with("https:") {
                &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
            } else {
                &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
            };
            names.iter().find_map(|name| env.get(name)).map(mask::url)
        }
    }
}

/// With what a provider is asked.
struct Caller {
    credential: UpstreamCredential,
    /// How it is called in a finding.
    label: String,
}

/// Returns with what a provider is asked, or why there is nothing.
async fn caller(provider: &ProviderPlan, key: Option<&KeyPlan>) -> Result<Caller, Finding> {
    if let Some(key) = key {
        return Ok(Caller {
            credential: UpstreamCredential::Relay(key.secret.clone()),
            label: format!("key {}", key.name),
        });
    }
    let label = provider.base_url.clone();
    let Some(source) = source(&provider.cloud) else {
        let credential = if provider.kind.answers_without_key() {
            UpstreamCredential::Nothing
        } else {
            UpstreamCredential::Client(OwnCredential::default())
        };
        return Ok(Caller { credential, label });
    };
    let name = &provider.name;
    let failed = |why: String| {
        let what = format!("no credential is issued: {why}");
        Finding::error(name, what, how_to_sign_in(&provider.cloud))
    };
    let (identity, keeper) = identity(name, source).map_err(|error| failed(error.to_string()))?;
    let asked = tokio::time::timeout(IDENTITY_LIMIT, identity.renew(0));
    let outcome = tokio::select! {
        biased;
        outcome = asked => outcome,
        // It asks for as long as it is let; it is let go with the answer.
        () = keeper.run(CancellationToken::new()) => return Err(failed("nobody asks".to_owned())),
    };
    match outcome {
        Ok(Ok(issued)) => Ok(Caller {
            credential: UpstreamCredential::Issued(issued),
            label: "the credential that was issued".to_owned(),
        }),
        Ok(Err(why)) => Err(failed(why.to_string())),
        Err(_elapsed) => {
            let seconds = IDENTITY_LIMIT.as_secs();
            Err(failed(format!("no answer within {seconds} s")))
        }
    }
}

/// Says what a user does who has no credential of a cloud.
const fn how_to_sign_in(cloud: &CloudPlan) -> &'static str {
    match cloud {
        CloudPlan::Aws(_) => {
            "aws sso login, or set AWS_PROFILE or keys; aws sts get-caller-identity shows who you are"
        }
        CloudPlan::Google(_) => {
            "gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS"
        }
        CloudPlan::Azure(_) => {
            "az login, or set azure_tenant_id, azure_client_id and azure_client_secret, or a key"
        }
        CloudPlan::None => "add keys",
    }
}

async fn check(provider: &ProviderPlan, key: Option<&KeyPlan>) -> Checked {
    let unasked = |finding| Checked {
        finding,
        skew_s: None,
    };
    let name = &provider.name;
    let bad_url = || Finding::error(name, "its base_url is not a URL", "correct base_url");
    let Ok(base) = provider.base_url.parse::<Uri>() else {
        return unasked(bad_url());
    };
    let Some(root) = root(&base) else {
        return unasked(bad_url());
    };
    let caller = match caller(provider, key).await {
        Ok(caller) => caller,
        Err(finding) => return unasked(finding),
    };
    let question = dialect(provider, &base)
        .ok()
        .and_then(|dialect| Some((dialect.probe()?.to_owned(), dialect)));
    let (path, headers, is_free) = match question {
        None => ("/".to_owned(), HeaderMap::new(), false),
        Some((probe, dialect)) => {
            let Some((path, headers)) = say(&*dialect, &probe, &caller.credential) else {
                let what = format!("{} cannot be put into a request", caller.label);
                return unasked(Finding::error(name, what, "write the credential anew"));
            };
            (path, headers, true)
        }
    };
    let ca_file = provider.ca_file.as_deref();
    match get_from(&root, &path, headers, ca_file, LIMIT).await {
        Ok(answer) => Checked {
            skew_s: skew(&answer.headers),
            finding: if is_free {
                judge(name, &caller, answer.status)
            } else {
                reached(name, provider, &caller)
            },
        },
        Err(error) => unasked(unreachable(name, provider, &error)),
    }
}

/// Returns a URL without its path: a dialect's paths begin there.
fn root(base: &Uri) -> Option<Uri> {
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    format!("{scheme}://{authority}").parse().ok()
}

/// Says a free question as the provider wants it: its path and headers.
fn say(
    dialect: &dyn Provider,
    question: &str,
    credential: &UpstreamCredential,
) -> Option<(String, HeaderMap)> {
    let head = Request::get(question)
        .header("anthropic-version", "2023-06-01")
        .header(header::ACCEPT, "application/json")
        .header(
            header::USER_AGENT,
            concat!("cc-relay/", env!("CARGO_PKG_VERSION")),
        )
        .body(());
    let (head, ()) = head.ok()?.into_parts();
    let inbound = Inbound {
        head,
        endpoint: Endpoint::Models,
        path_and_query: question.into(),
        body: bytes::Bytes::new(),
        facts: Facts::default(),
    };
    let mut encoded = dialect
        .encode(inbound, credential, &Changes::default())
        .ok()?;
    let unix = relay_proxy::clock::unix();
    dialect.sign(&mut encoded, credential, unix).ok()?;
    Some((encoded.path_and_query.into(), encoded.headers))
}

/// What is known where nothing is free: whoever it is, a host answers.
fn reached(name: &str, provider: &ProviderPlan, caller: &Caller) -> Finding {
    let has = match &caller.credential {
        UpstreamCredential::Issued(_) => "a credential was issued",
        UpstreamCredential::Relay(_) => "a key is there",
        UpstreamCredential::Client(_)
        | UpstreamCredential::Identity(_)
        | UpstreamCredential::Nothing => "no credential is needed",
    };
    let kind = provider.kind.as_str();
    Finding::ok(
        name,
        format!(
            "{} can be reached, and {has} ({}); {kind} answers nothing for free: its first turn is the proof",
            provider.base_url, caller.label
        ),
    )
}

fn unreachable(name: &str, provider: &ProviderPlan, error: &GetError) -> Finding {
    let fix = match error {
        GetError::Tls(_) => "add the certificate authority: ca_file, or SSL_CERT_FILE",
        GetError::Address | GetError::Connect(_) | GetError::Exchange(_) | GetError::Timeout(_) => {
            "check base_url and the network; behind a proxy set HTTPS_PROXY"
        }
    };
    let what = format!("{} cannot be reached: {}", provider.base_url, chain(&error));
    Finding::error(name, what, fix)
}

fn judge(name: &str, caller: &Caller, status: StatusCode) -> Finding {
    let (code, label) = (status.as_u16(), &caller.label);
    let is_own = matches!(
        caller.credential,
        UpstreamCredential::Relay(_) | UpstreamCredential::Issued(_)
    );
    let needs_none = matches!(caller.credential, UpstreamCredential::Nothing);
    match (code, is_own) {
        (200..=299, true) => Finding::ok(
            name,
            format!("{label} works (asked for the list of models, no tokens spent)"),
        ),
        (401 | 403, true) => Finding::error(
            name,
            format!("{label} was refused ({code})"),
            format!("put a valid key into the configuration of {name}, or permit it there"),
        ),
        (401 | 403, false) if needs_none => Finding::error(
            name,
            format!("{label} wants a key ({code})"),
            format!("add keys to {name}"),
        ),
        (429, true) => Finding::warning(
            name,
            format!("{label} is limited at present (429)"),
            "wait and ask again",
        ),
        (500..=599, _) => Finding::warning(
            name,
            format!("{label} answers, with a fault of its own ({code})"),
            "wait; see the provider's status page",
        ),
        (200..=299, false) if needs_none => {
            Finding::ok(name, format!("{label} answers, without a key"))
        }
        (_, false) if !needs_none => Finding::ok(
            name,
            format!("{label} can be reached; credentials: whatever the client sends"),
        ),
        (_, _) => Finding::warning(
            name,
            format!("{label}: unexpected answer {code} to the question for models"),
            "check base_url",
        ),
    }
}
