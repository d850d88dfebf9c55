//! Where credentials come from, and how a source is asked.
//!
//! In: settings. Out: [`Source`] for the caller, [`Ask`] for the keeper. It must never show a
//! secret: neither has a `Debug` that could.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use relay_core::identity::IssuedForm;
use relay_core::secret::Secret;

use crate::Unusable;

/// How long a question over HTTP may take.
pub(crate) const BOUND: Duration = Duration::from_secs(10);

/// How long a question may take that may start a program: `az`, a `credential_process`.
#[cfg(any(feature = "aws", feature = "google", feature = "azure"))]
pub(crate) const BOUND_PROGRAM: Duration = Duration::from_secs(20);

/// Where credentials come from.
#[expect(missing_debug_implementations, reason = "it holds secrets")]
pub enum Source {
    /// AWS credentials as they stand in the configuration. They do not end and cannot be renewed.
    AwsStatic {
        /// Access key id.
        access_key_id: String,
        /// Secret access key.
        secret_access_key: Secret,
        /// Session token of temporary credentials.
        session_token: Option<Secret>,
    },
    /// AWS's default chain: environment, profile (with SSO, assumed roles, `credential_process`),
    /// web identity, container, instance metadata.
    AwsChain {
        /// Profile; without it `AWS_PROFILE`, else `default`.
        profile: Option<String>,
        /// Region of the token service.
        region: String,
    },
    /// Google's application default credentials: the file that `GOOGLE_APPLICATION_CREDENTIALS`
    /// names, `gcloud`'s file, the metadata server.
    GoogleDefault {
        /// Whom Google bills, where that is not the caller; `GOOGLE_CLOUD_QUOTA_PROJECT` comes
        /// first.
        quota_project: Option<String>,
    },
    /// An application of Microsoft Entra with a client secret.
    EntraSecret(EntraApp),
    /// Microsoft Entra by where the relay runs: workload identity, managed identity, Azure CLI.
    EntraChain(EntraChain),
}

/// An application of Microsoft Entra with a client secret.
#[expect(missing_debug_implementations, reason = "it holds secrets")]
pub struct EntraApp {
    /// Tenant, by id or domain.
    pub tenant_id: String,
    /// The application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// Authority, an `https` URL; without it `AZURE_AUTHORITY_HOST`, else
    /// `https://login.microsoftonline.com`.
    pub authority_host: Option<String>,
    /// Scope of the token; without it [`ENTRA_SCOPE`].
    pub scope: Option<String>,
}

/// Microsoft Entra by where the relay runs.
#[derive(Debug, Clone, Default)]
pub struct EntraChain {
    /// The user-assigned managed identity, or the application of the workload identity; without
    /// it `AZURE_CLIENT_ID`, else the machine's own.
    pub client_id: Option<String>,
    /// Tenant; without it `AZURE_TENANT_ID`, else the Azure CLI's own.
    pub tenant_id: Option<String>,
    /// Scope of the token; without it [`ENTRA_SCOPE`].
    pub scope: Option<String>,
}

/// What Claude on Microsoft Foundry takes.
pub const ENTRA_SCOPE: &str = "https://ai.azure.com/.default";

impl Source {
    /// Finds settings that could never work.
    pub(crate) fn check(&self, name: &str) -> Result<(), Unusable> {
        match self {
            Self::AwsStatic {
                access_key_id,
                secret_access_key,
                ..
            } => {
                filled(name, "access_key_id", access_key_id)?;
                filled(name, "secret_access_key", secret_access_key.expose())
            }
            Self::AwsChain { profile, region } => {
                filled(name, "profile", profile.as_deref().unwrap_or("default"))?;
                filled(name, "region", region)
            }
            Self::GoogleDefault { .. } | Self::EntraChain(_) => Ok(()),
            Self::EntraSecret(app) => {
                filled(name, "tenant_id", &app.tenant_id)?;
                filled(name, "client_id", &app.client_id)?;
                filled(name, "client_secret", app.client_secret.expose())?;
                match app.authority_host.as_deref() {
                    Some(host) if !host.starts_with("https://") => Err(Unusable::Setting {
                        name: name.into(),
                        setting: "authority_host",
                        fault: "must begin with https://".into(),
                    }),
                    Some(_) | None => Ok(()),
                }
            }
        }
    }
}

fn filled(name: &str, setting: &'static str, value: &str) -> Result<(), Unusable> {
    if value.trim().is_empty() {
        return Err(Unusable::Setting {
            name: name.into(),
            setting,
            fault: "is empty: set it or leave it out".into(),
        });
    }
    Ok(())
}

/// Why a source is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// It is time: there is none yet, it ends soon, or it is looked at now and then.
    Due,
    /// Somebody needs another than the one in force. No cache may answer.
    Refused,
}

/// What a source answered.
pub(crate) struct Answer {
    pub(crate) form: IssuedForm,
    pub(crate) life: Life,
}

/// How long an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// Until this time since the Unix epoch.
    #[cfg_attr(
        not(any(feature = "aws", feature = "azure", test)),
        expect(dead_code, reason = "no source that is built says so")
    )]
    Until(Duration),
    /// Without an end that anybody knows.
    Endless,
    /// The SDK keeps it fresh, and tells when it has ended: look again after this time.
    #[cfg_attr(
        not(any(feature = "google", test)),
        expect(dead_code, reason = "no source that is built says so")
    )]
    Watched(Duration),
}

/// Why a source did not answer, and what to do, without any secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A question under way.
pub(crate) type Asked<'a> = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send + 'a>>;

/// A source that can be asked. Dropping a question must leave it able to be asked again.
pub(crate) trait Ask: Send {
    /// Asks once.
    fn ask(&mut self, why: Why) -> Asked<'_>;

    /// Returns how long one question may take.
    fn bound(&self) -> Duration;
}

/// Longest text of an error that is worth reading.
#[cfg(any(feature = "aws", feature = "google", feature = "azure"))]
const ERROR_LIMIT_CHARS: usize = 600;

/// Says an error with all that caused it, in one line, each cause once.
#[cfg(any(feature = "aws", feature = "google", feature = "azure"))]
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let words = cause.to_string();
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        if !text.contains(&words) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&words);
        }
        next = cause.source();
    }
    text.chars().take(ERROR_LIMIT_CHARS).collect()
}
