//! Tokens of Microsoft Entra, asked through `azure_identity`.
//!
//! In: an application with its secret, or where the relay runs. Out: bearer tokens. It must never
//! let a cache of the SDK's answer: a credential is built for each question, which also reads a
//! workload's token file anew.

use std::sync::Arc;
use std::time::Duration;

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{AccessToken, TokenCredential};
use azure_core::http::ClientOptions;
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use relay_core::identity::IssuedForm;
use relay_core::secret::Secret;
use tokio::time::timeout;

use crate::source::{
    Answer, Ask, Asked, BOUND, BOUND_PROGRAM, ENTRA_SCOPE, EntraApp, EntraChain, Failure, Life,
    Why, chain,
};

/// How long a machine without a managed identity may stay silent.
const BOUND_MACHINE: Duration = Duration::from_secs(5);

/// Asks as an application with a secret.
pub(crate) struct App(EntraApp);

impl App {
    /// Keeps who asks.
    pub(crate) fn new(app: EntraApp) -> Self {
        Self(app)
    }

    async fn token(&self) -> Result<AccessToken, azure_core::Error> {
        let cloud = self.0.authority_host.as_ref().map(|host| {
            let mut custom = CustomConfiguration::default();
            custom.authority_host.clone_from(host);
            Arc::new(CloudConfiguration::Custom(custom))
        });
        let credential = ClientSecretCredential::new(
            &self.0.tenant_id,
            self.0.client_id.clone(),
            self.0.client_secret.expose().to_owned().into(),
            Some(ClientSecretCredentialOptions {
                client_options: ClientOptions {
                    cloud,
                    ..ClientOptions::default()
                },
            }),
        )?;
        let scope = self.0.scope.as_deref().unwrap_or(ENTRA_SCOPE);
        credential.get_token(&[scope], None).await
    }
}

impl Ask for App {
    fn ask(&mut self, _why: Why) -> Asked<'_> {
        Box::pin(async move {
            let token = self.token().await.map_err(|error| {
                // What Entra says may quote what it was asked with.
                let what = chain(&error).replace(self.0.client_secret.expose(), "(secret)");
                Failure(format!(
                    "Entra issued no token to application {} of tenant {}: {what}; check the \
                     tenant, the client id, and that the client secret's value is right and has \
                     not expired",
                    self.0.client_id, self.0.tenant_id
                ))
            })?;
            Ok(answer(&token))
        })
    }

    fn bound(&self) -> Duration {
        BOUND
    }
}

/// One way to a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Workload,
    Managed,
    Cli,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Workload => "workload identity",
            Self::Managed => "managed identity",
            Self::Cli => "Azure CLI",
        }
    }

    fn bound(self) -> Duration {
        match self {
            Self::Workload => BOUND,
            Self::Managed => BOUND_MACHINE,
            Self::Cli => BOUND_PROGRAM,
        }
    }
}

/// Asks by where the relay runs.
pub(crate) struct Chain {
    settings: EntraChain,
    /// What answered last; asked first.
    last: Option<Step>,
}

impl Chain {
    /// Keeps who is meant.
    pub(crate) fn new(settings: EntraChain) -> Self {
        Self {
            settings,
            last: None,
        }
    }

    /// Returns the ways to try. What the environment names is meant: another would answer for
    /// somebody else.
    fn steps(&self) -> Vec<Step> {
        if std::env::var_os("AZURE_FEDERATED_TOKEN_FILE").is_some() {
            return vec![Step::Workload];
        }
        if std::env::var_os("IDENTITY_ENDPOINT").is_some() {
            return vec![Step::Managed];
        }
        let mut steps = vec![Step::Managed, Step::Cli];
        if self.last == Some(Step::Cli) {
            steps.reverse();
        }
        steps
    }

    fn credential(&self, step: Step) -> Result<Arc<dyn TokenCredential>, azure_core::Error> {
        let client_id = self.settings.client_id.clone();
        let tenant_id = self.settings.tenant_id.clone();
        Ok(match step {
            Step::Workload => {
                WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                    client_id,
                    tenant_id,
                    ..WorkloadIdentityCredentialOptions::default()
                }))?
            }
            Step::Managed => {
                let id = client_id.or_else(|| std::env::var("AZURE_CLIENT_ID").ok());
                ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                    user_assigned_id: id.map(UserAssignedId::ClientId),
                    ..ManagedIdentityCredentialOptions::default()
                }))?
            }
            Step::Cli => AzureCliCredential::new(Some(AzureCliCredentialOptions {
                tenant_id,
                ..AzureCliCredentialOptions::default()
            }))?,
        })
    }

    async fn step(&self, step: Step) -> Result<AccessToken, String> {
        let scope = self.settings.scope.as_deref().unwrap_or(ENTRA_SCOPE);
        let credential = self.credential(step).map_err(|error| chain(&error))?;
        match timeout(step.bound(), credential.get_token(&[scope], None)).await {
            Ok(token) => token.map_err(|error| chain(&error)),
            Err(_elapsed) => Err(format!("no answer within {} s", step.bound().as_secs())),
        }
    }

    async fn walk(&mut self) -> Result<Answer, Failure> {
        let mut tried = Vec::new();
        for step in self.steps() {
            match self.step(step).await {
                Ok(token) => {
                    self.last = Some(step);
                    return Ok(answer(&token));
                }
                Err(what) => tried.push(format!("{}: {what}", step.name())),
            }
        }
        Err(Failure(format!(
            "Entra issued no token: run `az login`, or give this machine a managed identity, or \
             set a client secret ({})",
            tried.join("; ")
        )))
    }
}

impl Ask for Chain {
    fn ask(&mut self, _why: Why) -> Asked<'_> {
        Box::pin(self.walk())
    }

    fn bound(&self) -> Duration {
        BOUND_MACHINE + BOUND_PROGRAM
    }
}

fn answer(token: &AccessToken) -> Answer {
    let end = u64::try_from(token.expires_on.unix_timestamp()).unwrap_or_default();
    Answer {
        form: IssuedForm::Bearer {
            token: Secret::new(token.token.secret()),
            quota_project: None,
        },
        life: Life::Until(Duration::from_secs(end)),
    }
}
